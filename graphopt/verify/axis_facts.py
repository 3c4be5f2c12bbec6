"""`axes` declarations put to the test: cut what they say goes together, and see that the rest stays as it was.

For random instances of the operator, and each fact that holds there: some slices of one of its axes are chosen, all
that the declaration ties to them is taken out of the inputs, the operator runs again in float64, and its outputs must
be what they were without the slices that are tied. Where no output is cut (the axis is summed over), the slices of one
of the inputs are made 0 before, since what is summed over must be of no account.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any, Literal

import numpy as np
import onnx

from graphopt.graph.attributes import Attribute
from graphopt.graph.schemas import NEWEST_OPSET, attribute_default, schema
from graphopt.lang import tree as t
from graphopt.lang.parse import parse
from graphopt.lang.versions import opset_bounds
from graphopt.verify.axis_cuts import Link, Place, Situation, Slices, closure, links
from graphopt.verify.float64 import NotComputable, Program
from graphopt.verify.float64_node import run_node
from graphopt.verify.float64_widen import Array, is_array
from graphopt.verify.judge_run import NoKernel, Refused, run
from graphopt.verify.judge_values import distance, largest
from graphopt.verify.steer import Search
from graphopt.verify.subject import Subject

AT_LEAST = 20
"""Cuts of a fact with fewer of which it counts as not exercised."""

OLDEST = 7
"""The oldest opset that ONNX Runtime takes."""

ATTEMPTS = 200
"""Models to try for one cut."""

ROUNDING = 1e-9
"""Of the largest magnitude in an output: what adding the same float64 numbers in another order explains by far."""


@dataclass(frozen=True)
class FactVerdict:
    """What came of one fact.

    Attributes:
        text: the fact as it is written.
        place: file:line.
        cuts: how often it was tried.
        note: what went wrong, with the shapes, or why nothing is known.
        is_lost: whether nothing is known since verification did not come back.
    """

    operator: str
    text: str
    place: str
    kind: Literal["holds", "wrong", "not exercised"]
    cuts: int
    note: str = ""
    is_lost: bool = False

    def to_json(self) -> dict[str, Any]:
        return {
            "operator": self.operator,
            "fact": self.text,
            "place": self.place,
            "verdict": self.kind,
            "cuts": self.cuts,
            "note": self.note,
        }


def verify_axes(axes: t.Axes, *, cuts: int = 25, seed: int = 0) -> list[FactVerdict]:
    """Verify each fact of one checked declaration by so many cuts; the same seed gives the same verdicts."""
    return [_verify(axes, fact, cuts, Random(f"{seed} {number}")) for number, fact in enumerate(axes.facts)]


def unverified(axes: t.Axes, note: str, *, is_lost: bool = False) -> list[FactVerdict]:
    """The verdicts of a declaration of which nothing is known, and why."""
    places = [(_text(fact), fact.span.line_place) for fact in axes.facts]
    return [FactVerdict(axes.operator, *place, "not exercised", 0, note, is_lost) for place in places]


def _text(fact: t.Fact) -> str:
    return " ".join(fact.span.source.text[fact.span.start : fact.span.end].split())


def _verify(axes: t.Axes, fact: t.Fact, wanted: int, random: Random) -> FactVerdict:
    cuts, wrong = 0, ""
    for case in _cases(axes, fact, wanted * ATTEMPTS, random.getrandbits(30)):
        if cuts >= wanted or wrong:
            break
        found = list(links(axes, case.situation))
        for link in found:
            result = _try(case, found, link, random) if link.fact is fact and not wrong else None
            cuts += result is not None
            wrong = wrong or result or ""
    kind: Literal["holds", "wrong", "not exercised"] = "holds" if cuts >= AT_LEAST else "not exercised"
    note = "" if cuts >= AT_LEAST else f"only {cuts} cuts could be made"
    if wrong:
        kind, note = "wrong", wrong
    return FactVerdict(axes.operator, _text(fact), fact.span.line_place, kind, cuts, note)


# --- instances ---


@dataclass(frozen=True)
class _Case:
    """One node with its inputs, and what it gives."""

    axes: t.Axes
    node: onnx.NodeProto
    inputs: Sequence[Array | None]
    outputs: Sequence[Any]
    situation: Situation


def _cases(axes: t.Axes, fact: t.Fact, attempts: int, seed: int) -> Iterator[_Case]:
    rule = probe(axes, fact)
    search = Search(Subject(rule), [True] * len(rule.where), seed, feeds=1)
    for place in search.run(attempts):
        model = place.instance.model
        node = next(n for n in reversed(model.graph.node) if n.op_type == axes.operator.split("::")[-1])
        try:
            yield _case(axes, node, model, place.instance.feeds[0])
        except NotComputable:
            continue


def probe(axes: t.Axes, fact: t.Fact) -> t.Rule:
    """A rule that matches the operator where the condition of a fact holds, as far as it speaks of the whole node:
    instances of its left side are what the fact is tried on."""
    conditions = [_condition(axes, m) for m in fact.modifiers if not isinstance(m.value, str)]
    conditions = [c for c in conditions if c != "not (false)"]
    known = _declared_attributes(axes)
    read = [name for name in known if any(re.search(rf"\b{name}\b", c) for c in conditions)]
    matched = [f"{name}={name}{'' if known[name] else '?'}" for name in read]
    inputs = [f"*{o.name}" if o.is_variadic else f"{o.name}{'?' if o.is_optional else ''}" for o in axes.inputs]
    outputs = [o.name for o in axes.outputs]
    if axes.outputs[-1].is_variadic:
        outputs = [*outputs[:-1], f"{outputs[-1]}_0", f"{outputs[-1]}_1"]
    low, high = (axes.opset.low, axes.opset.high) if axes.opset is not None else (None, None)
    left = ", ".join([*inputs, *matched, "**how"])
    right = ", ".join([*(o.name for o in axes.inputs), *(f"{name}={name}" for name in read), "**how"])
    lines = [
        f"opset {low or OLDEST}..{high}" if high else f"opset >= {low or OLDEST}",
        "rule probe:",
        '    "An operator."',
        "    order once",
        "    match:",
        f"        {', '.join(outputs)} = {axes.operator}({left})",
        *(["    where:", *(f"        {c}" for c in conditions)] if conditions else []),
        "    rewrite:",
        f"        {', '.join(outputs)} = {axes.operator}({right})",
    ]
    return parse("\n".join(lines) + "\n", "probe.rules").rules[0]


def _condition(axes: t.Axes, modifier: t.Modifier) -> str:
    """A condition as a rule would write it; nothing is stretched."""
    assert not isinstance(modifier.value, str)
    span = modifier.value.span
    text = " ".join(span.source.text[span.start : span.end].split())
    first = axes.inputs[0].name
    text = re.sub(r"\bbroadcast\b", "false", text)
    text = re.sub(r"\bdepthwise\b", f"(group == {first}.shape[1] and {first}.shape[1] > 1)", text)
    return f"not ({text})" if modifier.kind == "unless" else text


def _declared_attributes(axes: t.Axes) -> dict[str, bool]:
    """The attributes that the operator has throughout the range, and whether they have defaults."""
    low, high = opset_bounds(axes.opset)
    found = [schema(axes.operator, opset) for opset in (low, min(high, NEWEST_OPSET[""]))]
    known = [set(s.attributes) for s in found if s is not None]
    names = set[str].intersection(*known) if known else set[str]()
    return {n: attribute_default(axes.operator, max(low, OLDEST), n) is not None for n in sorted(names)}


def _case(axes: t.Axes, node: onnx.NodeProto, model: onnx.ModelProto, feeds: Mapping[str, Array]) -> _Case:
    try:
        run(model, feeds)
    except NoKernel:
        pass
    except Refused as reason:
        raise NotComputable(str(reason)) from None
    opset = next(o.version for o in model.opset_import if not o.domain)
    read = onnx.ModelProto()
    read.CopyFrom(model)
    del read.graph.output[:]
    read.graph.output.extend(onnx.ValueInfoProto(name=name) for name in dict.fromkeys(n for n in node.input if n))
    values = Program(read).run(feeds)
    inputs = [values[name] if name else None for name in node.input]
    outputs = run_node(node, inputs, opset)
    names = [*_named(axes.inputs, inputs), *_named(axes.outputs, outputs)]
    shapes: dict[str, list[tuple[int, ...]]] = {o.name: [] for o in (*axes.inputs, *axes.outputs)}
    for name, value in names:
        shapes[name].append(value.shape)
    return _Case(axes, node, inputs, outputs, Situation(shapes, _attributes(node, opset), opset))


def _named(operands: Sequence[t.Operand], values: Sequence[Any]) -> Iterator[tuple[str, Array]]:
    for number, value in enumerate(values):
        operand = operands[min(number, len(operands) - 1)]
        if is_array(value) and (number < len(operands) or operand.is_variadic):
            yield operand.name, value


def _attributes(node: onnx.NodeProto, opset: int) -> dict[str, Any]:
    known = schema(node.op_type, opset, node.domain)
    names = sorted(known.attributes) if known is not None else []
    found = {name: attribute_default(node.op_type, opset, name, node.domain) for name in names}
    found.update((a.name, Attribute(a.name, a.type, proto=a).value) for a in node.attribute)
    return found


# --- one cut ---


def _try(case: _Case, found: Sequence[Link], link: Link, random: Random) -> str | None:
    """ "" if the fact holds for a cut, what is wrong if not, None if nothing could be cut."""
    situation = case.situation
    cuttable = link.places[:2] if link.kind == "fold" else link.places
    large = [p for p in cuttable if situation.size(p) > 1]
    if not large:
        return None
    sizes = {situation.size(p) for p in link.places}
    if link.kind == "tie" and len(sizes) > 1:
        return f"tied axes have sizes {sorted(sizes)}: {_shown(case)}"
    start = random.choice(large)
    count = random.randint(1, max(1, situation.size(start) // 2))
    cuts = closure(found, start, frozenset(random.sample(range(situation.size(start)), count)), situation)
    if any(len(cut) >= situation.size(p) for p, cut in cuts.items()):
        return None
    result = _compare(case, found, cuts, random)
    names = ", ".join(f"{name}[{axis}]" for name, _, axis in sorted(cuts))
    return f"without slices {sorted(cuts[start])} of {names}, {result}: {_shown(case)}" if result else result


def _compare(case: _Case, found: Sequence[Link], cuts: Mapping[Place, Slices], random: Random) -> str | None:
    opset = case.situation.opset
    inputs, outputs = list(case.inputs), list(case.outputs)
    try:
        if not any(name in {o.name for o in case.axes.outputs} for name, _, _ in cuts):
            _silence(case, inputs, cuts, random)
            outputs = run_node(case.node, inputs, opset)
    except NotComputable:
        return None
    cut_inputs = [_without(case.axes.inputs, n, value, cuts) for n, value in enumerate(inputs)]
    try:
        again = run_node(_scaled(case, found, cuts), cut_inputs, opset)
    except NotComputable as reason:
        return f"it does not run: {reason}"
    for number, value in enumerate(outputs):
        wanted, got = _without(case.axes.outputs, number, value, cuts), again[number]
        if not is_array(wanted) or not is_array(got) or (number >= len(case.axes.outputs) and not _many(case.axes)):
            continue
        if wanted.shape != got.shape:
            return f"an output has the shape {list(got.shape)}, and {list(wanted.shape)} is left of it"
        if (distance(wanted, got) > ROUNDING * max(1.0, largest(wanted))).any():
            return f"an output differs by {distance(wanted, got).max():.3g}"
    return ""


def _many(axes: t.Axes) -> bool:
    return axes.outputs[-1].is_variadic


def _silence(case: _Case, inputs: list[Array | None], cuts: Mapping[Place, Slices], random: Random) -> None:
    """Make the slices of one of the inputs 0."""
    name, number, _ = random.choice(sorted(cuts))
    for (other, position, axis), cut in cuts.items():
        index = _index(case.axes.inputs, name, number)
        value = inputs[index]
        if (other, position) == (name, number) and value is not None:
            silent = np.array(value)
            silent[(slice(None),) * axis + (sorted(cut),)] = 0
            inputs[index] = silent


def _index(operands: Sequence[t.Operand], name: str, number: int) -> int:
    return next(n for n, o in enumerate(operands) if o.name == name) + number


def _without(operands: Sequence[t.Operand], position: int, value: Any, cuts: Mapping[Place, Slices]) -> Any:
    if not is_array(value):
        return value
    last = len(operands) - 1
    name, number = operands[min(position, last)].name, max(0, position - last) if operands[-1].is_variadic else 0
    for (other, index, axis), cut in cuts.items():
        if (other, index) == (name, number) and position <= last + number:
            value = np.delete(value, sorted(cut), axis)
    return value


def _scaled(case: _Case, found: Sequence[Link], cuts: Mapping[Place, Slices]) -> onnx.NodeProto:
    """The node with the attributes that shrink with what is cut."""
    node = onnx.NodeProto()
    node.CopyFrom(case.node)
    for link in found:
        place = next((p for p in link.places if p in cuts), None)
        if link.scaling is None or place is None:
            continue
        size = case.situation.size(place)
        old = case.situation.attributes[link.scaling]
        kept = [a for a in node.attribute if a.name != link.scaling]
        del node.attribute[:]
        node.attribute.extend(kept)
        node.attribute.add(name=link.scaling, type=onnx.AttributeProto.INT, i=old * (size - len(cuts[place])) // size)
    return node


def _shown(case: _Case) -> str:
    shapes = ", ".join(f"{n} {list(s)}" for n, many in case.situation.shapes.items() for s in many)
    said = ", ".join(f"{a.name} = {case.situation.attributes[a.name]}" for a in case.node.attribute)
    return f"{shapes}{f'; {said}' if said else ''}; opset {case.situation.opset}"
