"""Small pieces of valid graph: one operator of the standard, or what a rule looks for, or nearly so.

Shapes, element types, attributes and constants come from what verifies the rules (`graphopt.verify`): an operator is a
rule whose pattern is that one node.
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy
from dataclasses import dataclass
from functools import cache
from itertools import islice
from random import Random
from typing import Any

import numpy as np
import onnx

from graphopt.errors import GraphoptError
from graphopt.graph.schemas import schema
from graphopt.graph.session import new_session
from graphopt.lang import tree as t
from graphopt.lang.parse import parse
from graphopt.rewrite.library import load_rules
from graphopt.verify.build import Instance, build
from graphopt.verify.choices import Address, Choices, Impossible
from graphopt.verify.element_types import ElementTypes
from graphopt.verify.sketch import sketch
from graphopt.verify.steer import Search
from graphopt.verify.subject import Subject
from graphopt.verify.surroundings import KINDS, variant

Array = np.ndarray[Any, Any]

OPSETS = tuple(range(7, 24))
"""Those in which rules are declared and that ONNX Runtime takes."""

ATTEMPTS = 6
"""Decisions to try before a block counts as one that cannot be had here."""

STEERING = 40
"""Models to try until every condition of a rule is as wanted."""

LEFT_OUT = frozenset(
    {
        *("If", "Loop", "Scan", "SequenceMap", "Constant", "Optional", "OptionalGetElement", "OptionalHasElement"),
        *("RandomNormal", "RandomUniform", "RandomNormalLike", "RandomUniformLike", "Multinomial", "Bernoulli"),
        *("ImageDecoder", "MaxUnpool", "StringNormalizer", "TfIdfVectorizer", "RegexFullMatch", "StringSplit"),
        # ONNX Runtime reads what nobody has written, or does not come back, for shapes that the checker allows
        *("RNN", "GRU", "LSTM", "RoiAlign", "MaxRoiPool", "NonMaxSuppression", "Col2Im", "AffineGrid", "STFT", "DFT"),
    }
)
"""Operators without a sampler: with bodies (made elsewhere), random ones, those that are not about tensors."""

Feed = dict[str, Array]


@dataclass(frozen=True)
class Tie:
    """A value of the graph that a block may read instead of an input of its own: type and shape."""

    name: str
    array: Array


@dataclass(frozen=True)
class Block:
    """A model that runs, and what it runs on.

    Attributes:
        tied: its inputs that stand for values which are there already.
        fixed: its inputs whose numbers must not be others.
        made: what it gives, by name.
    """

    model: onnx.ModelProto
    feed: Feed
    tied: Mapping[str, str]
    fixed: frozenset[str]
    made: Mapping[str, Array]


def operator_block(random: Random, opset: int, ties: list[Tie]) -> Block | None:
    """One operator of the standard; None where none was found that runs."""
    name = random.choice(operators(opset))
    return _tried(operator_rule(name, opset, _inputs(name, opset, random), _outputs(name, opset)), opset, random, ties)


def rule_block(random: Random, opset: int, ties: list[Tie], number: int) -> Block | None:
    """What the rule of this number looks for: as it is, next to it, or in other surroundings."""
    rules = [s for s in subjects() if opset in s.opsets]
    subject = copy(rules[number % len(rules)])
    subject.opsets = [opset]
    if ties and random.random() < 0.6:
        block = _tried(random.choice(subject.forms), opset, random, ties)
        if block is not None:
            return block
    conditions = len(subject.rule.where)
    missed = random.randrange(conditions) if conditions and random.random() < 0.4 else None
    search = Search(subject, [i != missed for i in range(conditions)], random.getrandbits(30), feeds=1)
    found = (_block(place.instance, {}, random) for place in islice(search.run(STEERING), ATTEMPTS))
    return next((block for block in found if block is not None), None)


def _tried(rule: t.Rule, opset: int, random: Random, ties: list[Tie]) -> Block | None:
    for _ in range(ATTEMPTS):
        tie = random.choice(ties) if ties and random.random() < 0.85 else None
        seed = random.getrandbits(30)
        try:
            given, tied = _given(rule, opset, seed, tie, random)
            instance = build(rule, opset, Choices(seed, given), special=random.random() < 0.1, feeds=1)
        except (Impossible, GraphoptError, ValueError):  # some samplers trip over shapes that they did not choose
            continue
        block = _block(instance, tied, random)
        if block is not None:
            return block
    return None


def _given(
    rule: t.Rule, opset: int, seed: int, tie: Tie | None, random: Random
) -> tuple[dict[Address, Any], dict[str, str]]:
    """Decisions by which a leaf of the pattern is of the type of a value that is there already."""
    if tie is None:
        return {}, {}
    choices = Choices(seed)
    found = sketch(rule, opset, choices)
    leaves = [leaf.name for leaf in found.leaves.values() if not leaf.is_const and leaf.number is None]
    types = ElementTypes(rule, found)
    dtype = _dtype(tie.array)
    fitting = [name for name in leaves if dtype in types.allowed(name)]
    if not fitting:
        return {}, {}
    name = fitting[0] if random.random() < 0.7 else random.choice(fitting)
    given: dict[Address, Any] = dict(choices.made)
    given |= {("shape", name): tie.array.shape, types.address(name): dtype, ("source", name): "input"}
    return given, {name: tie.name}


def _dtype(array: Array) -> Any:
    from graphopt.graph.dtypes import dtype_of

    return dtype_of(array)


def _block(instance: Instance, tied: dict[str, str], random: Random) -> Block | None:
    model, feed = instance.model, dict(instance.feeds[0])
    if not tied and random.random() < 0.4:
        changed = variant(instance, random.choice(list(KINDS)), random)
        model, feed = (changed[0], dict(changed[1][0])) if changed is not None else (model, feed)
    style = instance.draft.style
    tied = {name: value for name, value in tied.items() if name in feed and style.get(name) in (None, "positive")}
    fixed = {name for name in feed if style.get(name.removesuffix("_in")) in ("fixed", "nonzero")}
    made = run(model, feed)
    if made is None or any(array.size > 8192 for array in made.values()):
        return None
    return Block(model, feed, tied, frozenset(fixed), made)


def run(model: onnx.ModelProto, feed: Mapping[str, Array]) -> dict[str, Array] | None:
    """What ONNX Runtime makes of it, tensors alone; None where it does not run."""
    try:
        session = new_session(model.SerializeToString(), threads=1)
        found = session.run(None, dict(feed))
    except Exception:  # the runtime's exceptions share no base
        return None
    names = [o.name for o in model.graph.output]
    if not all(isinstance(value, np.ndarray) for value in found):
        return None
    return dict(zip(names, found, strict=True))


# --- operators as rules ---


@cache
def operators(opset: int) -> tuple[str, ...]:
    """Operators of the default domain that are there at an opset, those left out apart."""
    names = {s.name for s in onnx.defs.get_all_schemas_with_history() if s.domain == ""}
    found = []
    for name in sorted(names - LEFT_OUT):
        known = schema(name, opset)
        if known is not None and not known.deprecated and known.inputs and not _is_strange(known):
            found.append(name)
    return tuple(found)


def _is_strange(known: Any) -> bool:
    """Sequences and the like, which the samplers do not know."""
    formals = [*known.inputs, *known.outputs]
    return any("seq(" in t or "optional(" in t or "map(" in t for f in formals for t in sorted(f.types)[:40])


def _inputs(name: str, opset: int, random: Random) -> int:
    known = schema(name, opset)
    assert known is not None
    if known.inputs and known.inputs[-1].option == onnx.defs.OpSchema.FormalParameterOption.Variadic:
        return len(known.inputs) - 1 + random.randint(max(1, known.min_input - len(known.inputs) + 1), 3)
    return len(known.inputs)


def _outputs(name: str, opset: int) -> int:
    known = schema(name, opset)
    assert known is not None
    variadic = known.outputs[-1].option == onnx.defs.OpSchema.FormalParameterOption.Variadic
    return 2 if variadic else max(1, known.min_output)


@cache
def operator_rule(name: str, opset: int, inputs: int, outputs: int) -> t.Rule:
    """A rule whose pattern is one node; what it makes of it is no matter here."""
    read = ", ".join(["x", *(f"x{i}" if i < _required(name, opset) else "_" for i in range(1, inputs))])
    made = ", ".join(["y", *(f"y{i}" for i in range(1, outputs))])
    text = f'opset >= 7\nphase simplify\nrule one:\n "One."\n equal real\n match:\n  {made} = {name}({read}, **rest)\n'
    text += " rewrite:\n" + "".join(f"  {y.strip()} = x\n" for y in made.split(","))
    (rule,) = parse(text).rules
    return rule


def _required(name: str, opset: int) -> int:
    known = schema(name, opset)
    assert known is not None
    variadic = known.inputs[-1].option == onnx.defs.OpSchema.FormalParameterOption.Variadic
    return 99 if variadic else known.min_input


@cache
def subjects() -> tuple[Subject, ...]:
    """The rules that ship, ready to be instantiated."""
    return tuple(Subject(rule) for rule in load_rules())
