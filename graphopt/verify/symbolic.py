"""Bounded proofs over the reals: both sides of a rule, on arrays of symbols, come to the same normal form.

What a proof covers: one instance's shapes, attributes, opset and way of matching, for all values of its inputs and of
its float constants for which both sides are defined. No rounding, and no number is tried: a difference that the normal
form does not settle goes to sympy, and what sympy does not bring to 0 is unknown. Floats that a rule or a model writes
stand for the simple number that they are a rounding of (see `Algebra.constant`); a constant that a condition asks
about keeps the instance's values, and the proof says so.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import onnx

from graphopt.graph.attributes import Attribute
from graphopt.graph.graph import Node, Value
from graphopt.graph.load import from_proto
from graphopt.graph.model import Model
from graphopt.lang import tree as t
from graphopt.lang.evaluate import compile_expression
from graphopt.lang.values import UNKNOWN, Constant, Decline, as_truth, is_list
from graphopt.rewrite.emit import NewNode, NewOutput, Plan, compile_rewrites
from graphopt.rewrite.rule import CompiledRule, applies_to, expand_operators, root_statements
from graphopt.rewrite.state import State
from graphopt.verify.float64_widen import Array
from graphopt.verify.symbolic_elementwise import Unsupported
from graphopt.verify.symbolic_operators import Operators, is_symbolic, objects
from graphopt.verify.symbolic_reals import Algebra, TooLarge, Undecided
from graphopt.verify.symbolic_zero import Zero, is_zero

MOST_ELEMENTS = 512
"""An input or constant of more elements than this is not made of symbols."""

WORK = 1 << 15
"""How many terms a proof may make: a few tenths of a second. No shipped rule needs a third of it."""


@dataclass(frozen=True)
class Proof:
    """`proved` for all values; `disproved` with values for which the sides differ; or `unknown`. `note` says what was
    covered, or what was in the way."""

    kind: Literal["proved", "disproved", "unknown"]
    note: str = ""


def prove(before: onnx.ModelProto, after: onnx.ModelProto, *, work: int = WORK) -> Proof:
    """Whether two models compute the same real numbers at the shapes of their inputs, which must be known.

    Constants that both have (of the same content) are made of the same symbols; others are the numbers that they are.
    """
    try:
        return _prove_pair(before, after, Algebra(work))
    except _STOPS as reason:
        return Proof("unknown", str(reason))


_STOPS = (Unsupported, TooLarge, Undecided, Decline, ZeroDivisionError)


def _prove_pair(before: onnx.ModelProto, after: onnx.ModelProto, algebra: Algebra) -> Proof:
    models = from_proto(_copy(before)), from_proto(_copy(after))
    opsets = [m.opsets.get("", 1) for m in models]
    shared = {_content(v) for v in _constants(models[0])} & {_content(v) for v in _constants(models[1])}
    sides: list[dict[str, Array]] = []
    for model, opset in zip(models, opsets, strict=True):
        symbolic = _Symbolic(Operators(algebra, opset), algebra)
        for value in _constants(model):
            if _content(value) in shared:
                symbolic.values[value] = _symbols(algebra, f"constant {hash(_content(value))}", value)
        sides.append({v.name: symbolic.value(v) for v in model.graph.outputs})
    return _compare(sides[0], sides[1], "for all inputs, and constants that both sides have")


def prove_rule(
    rule: t.Rule, model: onnx.ModelProto, *, work: int = WORK, environment: Mapping[str, Any] | None = None
) -> Proof:
    """Whether a rule is right over the reals where it matches in this model, which holds an instance of its left side.

    The rule is matched on the model as it is; then inputs and float constants become arrays of symbols, and the rule's
    `let`s, `where`s and right side are evaluated on these by the language's own evaluator.
    """
    graph = from_proto(_copy(model))
    found = _match(rule, graph, dict(environment or {}))
    if found is None:
        return Proof("unknown", "the rule does not match")
    chosen, state = found
    algebra = Algebra(work)
    pinned: frozenset[str] = frozenset()
    try:
        while True:
            try:
                return _prove_match(chosen, state, graph, algebra, pinned)
            except Undecided as reason:
                more = pinned | {name.split("[")[0] for name in reason.symbols}
                if more == pinned or not any(_is_constant(graph, name) for name in more - pinned):
                    raise
                pinned = more
    except _STOPS as reason:
        return Proof("unknown", str(reason))


def _match(rule: t.Rule, model: Model, environment: dict[str, Any]) -> tuple[t.Rule, State] | None:
    for variant in expand_operators(rule):
        if not applies_to(variant, model.opsets):
            continue
        for first in range(len(root_statements(variant))):
            compiled = CompiledRule(variant, model.opsets, environment, first)
            for node in model.all_nodes():
                if (node.domain, node.op_type) in compiled.roots and compiled.may_match(node):
                    with np.errstate(all="ignore"):
                        state = compiled.match(node, model)
                    if state is not None:
                        return variant, state
    return None


def _prove_match(rule: t.Rule, state: State, model: Model, algebra: Algebra, pinned: frozenset[str]) -> Proof:
    bound = {v for b in state.bindings.values() for v in (b if is_list(b) else (b,)) if isinstance(v, Value)}
    named = [v for v in _constants(model) if v in bound and v.name not in pinned]
    symbolic = _Symbolic(Operators(algebra, model.opsets.get("", 1)), algebra, named)
    lets = {let.name for let in rule.lets}
    bindings: dict[str, Any] = {n: symbolic.binding(b) for n, b in state.bindings.items() if n not in lets}
    for let in rule.lets:
        bindings[let.name] = compile_expression(let.value)(bindings)
    for condition in rule.where:
        truth = as_truth(compile_expression(condition)(bindings))
        if truth is UNKNOWN or not truth:
            return Proof("unknown", "a condition does not hold for every value of the constants")
    plan: Plan = compile_rewrites(rule)(bindings)
    before = {name: symbolic.value(state.bindings[name]) for name in plan.results}
    after = {name: symbolic.planned(result) for name, result in plan.results.items()}
    kept = ", ".join(sorted(n for n in pinned if _is_constant(model, n)))
    note = f"for all values{f' but those of {kept}' if kept else ''}; {symbolic.shapes()}"
    return _compare(before, after, note)


def _compare(before: Mapping[str, Array], after: Mapping[str, Array], note: str) -> Proof:
    for name, first in before.items():
        second = after[name]
        if first.shape != second.shape:
            return Proof("disproved", f"{name} has the shape {list(second.shape)}, and had {list(first.shape)}")
        if not is_symbolic(first) and not is_symbolic(second):
            if not np.array_equal(first, second):
                return Proof("disproved", f"{name} is another constant")
            continue
        for one, other in zip(first.ravel().tolist(), second.ravel().tolist(), strict=True):
            if one is other:
                continue
            found: Zero = is_zero(one - other)
            if found.kind != "zero":
                kind: Literal["disproved", "unknown"] = "disproved" if found.kind == "nonzero" else "unknown"
                return Proof(kind, f"{name}: {found.note}")
    return Proof("proved", note)


class _Symbolic:
    """The values of a model as symbols, computed when they are asked for.

    Args:
        named: the constants that become symbols; all others are the numbers that they are.
    """

    def __init__(self, run: Operators, algebra: Algebra, named: Collection[Value] = ()) -> None:
        self._run = run
        self._algebra = algebra
        self._named = frozenset(named)
        self.values: dict[Value, Array] = {}
        self._planned: dict[NewNode, list[Array]] = {}
        self._inputs: dict[str, tuple[int, ...]] = {}

    def value(self, value: Value) -> Array:
        if value not in self.values:
            if value.producer is not None and value.constant is None:
                self._compute(value.producer)
            else:
                self.values[value] = self._leaf(value)
        return self.values[value]

    def _leaf(self, value: Value) -> Array:
        if value.constant is not None and value not in self._named:
            return self._run.lift(_as_float64(value.constant.numpy()))
        if value.dtype is None or not value.dtype.is_float:
            raise Unsupported(f"{value.name}, an input that is not of floats")
        found = _symbols(self._algebra, value.name, value)
        self._inputs[value.name] = found.shape
        return found

    def _compute(self, node: Node) -> None:
        inputs = [None if i is None else self.value(i) for i in node.inputs]
        for output, found in zip(node.outputs, self._run.run(_proto(node), inputs), strict=False):
            if output is not None:
                self.values[output] = found

    def binding(self, bound: Any) -> Any:
        """What a name of the rule stands for, constants as symbols."""
        if is_list(bound):
            return tuple(self.binding(item) for item in bound)
        if isinstance(bound, Value) and bound.constant is not None and bound.constant.dtype.is_float:
            return Constant(self.value(bound), bound.constant.dtype)
        return bound

    def planned(self, result: Any) -> Array:
        """What the right side computes."""
        if isinstance(result, NewOutput):
            if result.node not in self._planned:
                inputs = [None if i is None else self.planned(i) for i in result.node.inputs]
                self._planned[result.node] = self._run.run(_new_proto(result.node), inputs)
            return self._planned[result.node][result.index]
        if isinstance(result, Value):
            return self.value(result)
        if isinstance(result, Constant):
            array = result.array
            return array if array.dtype == object else self._run.lift(array)
        return self._run.lift(np.asarray(result))

    def shapes(self) -> str:
        return ", ".join(f"{name} {list(shape)}" for name, shape in sorted(self._inputs.items()))


def _symbols(algebra: Algebra, name: str, value: Value) -> Array:
    shape = value.constant.shape if value.constant is not None else value.shape
    if shape is None or any(not isinstance(d, int) for d in shape):
        raise Unsupported(f"{value.name}, whose shape is not known")
    sizes = tuple(int(d) for d in shape if isinstance(d, int))
    if int(np.prod(sizes)) > MOST_ELEMENTS:
        raise TooLarge(f"{value.name} has {int(np.prod(sizes))} elements")
    return objects(sizes, [algebra.symbol(f"{name}{list(at)}") for at in np.ndindex(sizes)])


def _as_float64(array: Array) -> Array:
    return array.astype(np.float64) if array.dtype.name.startswith(("float", "bfloat")) else array


def _constants(model: Model) -> list[Value]:
    found = {v: None for n in model.all_nodes() for v in n.inputs if v is not None and v.constant is not None}
    return [v for v in found if v.constant is not None and v.constant.dtype.is_float]


def _content(value: Value) -> tuple[Any, ...]:
    assert value.constant is not None
    return value.constant.dtype, tuple(value.constant.shape), value.constant.numpy().tobytes()


def _is_constant(model: Model, name: str) -> bool:
    return any(v.name == name for v in _constants(model))


def _proto(node: Node) -> onnx.NodeProto:
    made = onnx.NodeProto(op_type=node.op_type, domain=node.domain)
    made.input.extend("" if i is None else f"i{n}" for n, i in enumerate(node.inputs))
    made.output.extend("" if o is None else f"o{n}" for n, o in enumerate(node.outputs))
    if any(a.is_graph for a in node.attributes.values()):
        raise Unsupported(f"{node.op_type}, which has a body")
    made.attribute.extend(a.to_proto() for a in node.attributes.values())
    return made


def _new_proto(node: NewNode) -> onnx.NodeProto:
    made = onnx.NodeProto(op_type=node.op_type, domain=node.domain)
    made.input.extend("" if i is None else f"i{n}" for n, i in enumerate(node.inputs))
    made.output.extend(f"o{n}" for n, _ in enumerate(node.outputs))
    for name, value in node.attributes.items():
        if value is not None:
            attribute = value if isinstance(value, Attribute) else Attribute.of(name, value)
            made.attribute.append(attribute.to_proto())
    return made


def _copy(model: onnx.ModelProto) -> onnx.ModelProto:
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    return copy
