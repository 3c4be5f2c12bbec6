"""Left sides as closures.

Each matcher takes what to match, the state of the attempt, and what to do when it matched; it returns whether
that succeeded, and undoes its bindings where it did not. So a failing condition makes the matcher try the next
operand order or alternative, and no rule is ever cloned for commutativity.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import permutations
from typing import Any

import numpy as np

from graphopt.graph.dtypes import DType
from graphopt.graph.graph import Graph, Node, Value
from graphopt.graph.model import Model
from graphopt.lang import tree as t
from graphopt.lang.operators import COMMUTATIVE, split_operator
from graphopt.lang.values import UNKNOWN, dim_value, equal
from graphopt.rewrite.attributes import attribute_matcher

Continue = Callable[[], bool]


class State:
    """One attempt to match one rule at one node.

    Attributes:
        bindings: names of the rule and what they stand for.
        nodes: matched nodes that the rewrite takes out, in the order in which they matched.
        shared: matched nodes that stay.
        interior: values that must have no use outside `nodes`.
        unknown: whether the attempt failed somewhere on what is not established, rather than on what is false.
    """

    __slots__ = ("bindings", "graph", "interior", "model", "nodes", "plan", "shared", "unknown")

    def __init__(self, model: Model, graph: Graph, bindings: dict[str, Any]) -> None:
        self.model = model
        self.graph = graph
        self.bindings = bindings
        self.nodes: dict[Node, None] = {}
        self.shared: dict[Node, None] = {}
        self.interior: list[Value] = []
        self.unknown = False
        self.plan: Any = None

    def bind(self, name: str, value: Any, proceed: Continue) -> bool:
        """Bind a name for as long as `proceed` runs; a name that is bound must stand for the same thing."""
        if name in self.bindings:
            return self.same(self.bindings[name], value) and proceed()
        self.bindings[name] = value
        if proceed():
            return True
        del self.bindings[name]
        return False

    def same(self, left: Any, right: Any) -> bool:
        """Provably equal; two tensors are equal when they are one value."""
        if isinstance(left, Value) or isinstance(right, Value):
            return left is right
        truth = equal(left, right)
        if truth is UNKNOWN:
            self.unknown = True
            return False
        return bool(truth)


NodeMatcher = Callable[[Node, State, Continue], bool]
InputMatcher = Callable[[Value | None, Node, State, Continue], bool]


class PatternCompiler:
    """Compiles the match section of one rule for one set of opsets."""

    def __init__(self, rule: t.Rule, opsets: dict[str, int]) -> None:
        self.rule = rule
        self.opsets = opsets
        self.generics = {g.name: frozenset(g.options) for g in rule.generics}
        self.redefined = {name for r in rule.rewrites for name in r.targets if name}
        self.producers: dict[str, tuple[int, int]] = {
            name: (number, index)
            for number, match in enumerate(rule.matches)
            for index, name in enumerate(match.targets)
            if name is not None
        }
        self._references = _count_references(rule)
        self._statements: dict[int, Callable[[Node, int, State, Continue], bool]] = {}
        for number in range(len(rule.matches)):
            self._statements[number] = self._statement(number)

    def statement(self, number: int) -> Callable[[Node, int, State, Continue], bool]:
        """The matcher of one statement; its second argument is the output that led to the node (-1: any)."""
        return self._statements[number]

    def _statement(self, number: int) -> Callable[[Node, int, State, Continue], bool]:
        match = self.rule.matches[number]
        patterns = match.pattern.options if isinstance(match.pattern, t.Alternatives) else (match.pattern,)
        matchers = [self._node(p) for p in patterns]
        targets, is_shared = match.targets, match.is_shared
        private = [n is None or (n not in self.redefined and not is_shared) for n in targets]

        def run(node: Node, output: int, state: State, proceed: Continue) -> bool:
            if node in state.nodes or node in state.shared or (node.graph is not state.graph and not is_shared):
                return False
            if not _fits_outputs(node, targets) or not (output < len(targets)):
                return False
            values = [node.outputs[i] if i < len(node.outputs) else None for i in range(len(targets))]
            if not self._may_be_private(values, private, targets):
                return False
            held = state.shared if is_shared else state.nodes
            marks = len(state.interior)
            held[node] = None
            state.interior.extend(
                v for v, p in zip(values, private, strict=True) if p and v is not None and not is_shared
            )
            names = [(n, v) for n, v in zip(targets, values, strict=True) if n is not None]
            if _bind_all(names, state, lambda: any(m(node, state, proceed) for m in matchers)):
                return True
            del held[node]
            del state.interior[marks:]
            return False

        return run

    def _may_be_private(self, values: list[Value | None], private: list[bool], targets: tuple[str | None, ...]) -> bool:
        for value, is_private, name in zip(values, private, targets, strict=True):
            if value is None or not is_private:
                continue
            allowed = self._references.get(name, 0) if name is not None else 0
            if value.output_slots or len(value.uses) > allowed:
                return False
        return True

    # --- nodes ---

    def _node(self, pattern: t.NodePattern) -> NodeMatcher:
        domain, op_type = split_operator(pattern.operator)
        fits_attributes = attribute_matcher(pattern, op_type, self.opsets.get(domain, 0), domain)
        if pattern.is_product:
            return self._product(pattern, op_type, domain)
        inputs = [self._input(p) for p in pattern.inputs]
        kinds = tuple(pattern.inputs)
        variadic = bool(kinds) and isinstance(kinds[-1], t.Variadic)
        orders = _operand_orders(op_type, domain, kinds)
        least = sum(1 for p in kinds if not _may_be_absent(p))

        def run(node: Node, state: State, proceed: Continue) -> bool:
            if node.op_type != op_type or node.domain != domain or node.has_bodies:
                return False
            values = node.inputs
            if len(values) < least or (not variadic and len(values) > len(inputs) and any(values[len(inputs) :])):
                return False

            def with_attributes() -> bool:
                return any(_match_inputs(inputs, order, kinds, node, state, proceed) for order in orders)

            return fits_attributes(node, state, with_attributes)

        return run

    def _product(self, pattern: t.NodePattern, op_type: str, domain: str) -> NodeMatcher:
        inputs = [self._input(p) for p in pattern.inputs]
        count = len(inputs)
        orders = list(permutations(range(count)))

        def run(node: Node, state: State, proceed: Continue) -> bool:
            if node.op_type != op_type or node.domain != domain:
                return False
            for operands, interior in _groupings(node, count, state.graph):
                taken = [n for n in interior if n not in state.nodes]
                if len(taken) != len(interior):
                    continue
                state.nodes.update(dict.fromkeys(interior))
                marks = len(state.interior)
                state.interior.extend(n.outputs[0] for n in interior if n.outputs[0] is not None)
                for order in orders:
                    arranged = [operands[i] for i in order]
                    if _match_values(inputs, arranged, node, state, proceed):
                        return True
                for inner in interior:
                    del state.nodes[inner]
                del state.interior[marks:]
            return False

        return run

    # --- inputs ---

    def _input(self, pattern: t.InputPattern) -> InputMatcher:
        if isinstance(pattern, t.Variable):
            return self._variable(pattern)
        if isinstance(pattern, (t.NodePattern, t.Alternatives)):
            return self._nested(pattern)
        if isinstance(pattern, t.Number):
            return _number(pattern)
        if isinstance(pattern, t.Absent):
            return lambda value, _node, _state, proceed: value is None and proceed()
        return lambda _value, _node, _state, proceed: proceed()

    def _nested(self, pattern: t.NodePattern | t.Alternatives) -> InputMatcher:
        options = pattern.options if isinstance(pattern, t.Alternatives) else (pattern,)
        matchers = [self._node(p) for p in options]

        def run(value: Value | None, _node: Node, state: State, proceed: Continue) -> bool:
            if value is None or value.producer is None or value.output_slots or len(value.uses) > 1:
                return False
            node = value.producer
            if node.graph is not state.graph or node in state.nodes or not _fits_outputs(node, (None,)):
                return False
            marks = len(state.interior)
            state.nodes[node] = None
            state.interior.append(value)
            if any(m(node, state, proceed) for m in matchers):
                return True
            del state.nodes[node]
            del state.interior[marks:]
            return False

        return run

    def _variable(self, pattern: t.Variable) -> InputMatcher:
        name, is_const, is_optional = pattern.name, pattern.is_const, pattern.is_optional
        fits_type = self._type(pattern.type) if pattern.type is not None else None
        produced = self.producers.get(name)

        def run(value: Value | None, _node: Node, state: State, proceed: Continue) -> bool:
            if value is None:
                return is_optional and state.bind(name, None, proceed)
            if is_const and value.constant is None:
                return False
            fits = fits_type
            if fits is None:
                return state.bind(name, value, proceed)
            return state.bind(name, value, lambda: fits(value, state, proceed))

        def descend(value: Value | None, _node: Node, state: State, proceed: Continue) -> bool:
            if value is None:
                return False
            if name in state.bindings:
                return state.bindings[name] is value and proceed()
            if value.producer is None:
                return False
            assert produced is not None
            number, index = produced
            node = value.producer
            if index >= len(node.outputs) or node.outputs[index] is not value:
                return False
            return self._statements[number](node, index, state, proceed)

        return run if produced is None else descend

    def _type(self, pattern: t.TypePattern) -> Callable[[Value, State, Continue], bool]:
        dtype, dims = pattern.dtype, pattern.dims
        allowed = self.generics.get(dtype) if dtype is not None else None
        wanted = None if dtype is None or allowed is not None else DType[dtype]
        rest = next((i for i, d in enumerate(dims) if d.kind == "rest"), None)

        def run(value: Value, state: State, proceed: Continue) -> bool:
            if dtype is not None:
                if value.dtype is None:
                    state.unknown = True
                    return False
                if wanted is not None and value.dtype is not wanted:
                    return False
                if allowed is not None:
                    if value.dtype.name not in allowed:
                        return False
                    return state.bind(dtype, value.dtype, lambda: _match_dims(value, dims, rest, state, proceed))
            return _match_dims(value, dims, rest, state, proceed)

        return run


def _bind_all(names: list[tuple[str, Value | None]], state: State, proceed: Continue) -> bool:
    if not names:
        return proceed()
    (name, value), *others = names
    return state.bind(name, value, lambda: _bind_all(others, state, proceed))


def _fits_outputs(node: Node, targets: tuple[str | None, ...]) -> bool:
    """Outputs are closed: what the pattern does not name must be absent (`_` names one that nothing reads)."""
    return all(v is None for v in node.outputs[len(targets) :])


def _may_be_absent(pattern: t.InputPattern) -> bool:
    if isinstance(pattern, t.Variable):
        return pattern.is_optional
    return isinstance(pattern, (t.Absent, t.Anything, t.Variadic))


def _operand_orders(op_type: str, domain: str, kinds: tuple[t.InputPattern, ...]) -> list[tuple[int, ...]]:
    """The orders in which operands are tried; positions are those of the node's inputs."""
    given = tuple(range(len(kinds)))
    if (domain, op_type) not in COMMUTATIVE or len(kinds) < 2 or isinstance(kinds[-1], t.Variadic):
        return [given]
    return list(permutations(given)) if len(kinds) <= 4 else [given]


def _match_inputs(
    inputs: list[InputMatcher],
    order: tuple[int, ...],
    kinds: tuple[t.InputPattern, ...],
    node: Node,
    state: State,
    proceed: Continue,
) -> bool:
    if kinds and isinstance(kinds[-1], t.Variadic):
        fixed = len(inputs) - 1
        values = [node.input(i) for i in range(fixed)]
        others = tuple(node.inputs[fixed:])
        name = kinds[-1].name
        return _match_values(inputs[:fixed], values, node, state, lambda: state.bind(name, others, proceed))
    return _match_values(inputs, [node.input(i) for i in order], node, state, proceed)


def _match_values(
    inputs: list[InputMatcher], values: list[Value | None], node: Node, state: State, proceed: Continue
) -> bool:
    return _match_from(0, inputs, values, node, state, proceed)


def _match_from(
    position: int,
    inputs: list[InputMatcher],
    values: list[Value | None],
    node: Node,
    state: State,
    proceed: Continue,
) -> bool:
    # not an inner function that calls itself: such a one is a cycle, which only the garbage collector frees
    if position == len(inputs):
        return proceed()
    others = position + 1
    return inputs[position](
        values[position], node, state, lambda: _match_from(others, inputs, values, node, state, proceed)
    )


def _groupings(node: Node, count: int, graph: Graph) -> Iterator[tuple[list[Value | None], list[Node]]]:
    """Every way to read a nest of one associative operator as `count` operands; inner nodes must be private."""

    def expand(operands: list[Value | None], interior: list[Node], start: int) -> Iterator[Any]:
        if len(operands) == count:
            yield operands, interior
            return
        for position in range(start, len(operands)):
            inner = _private_same(operands[position], node, graph)
            if inner is not None and inner not in interior:
                wider = [*operands[:position], *inner.inputs, *operands[position + 1 :]]
                yield from expand(wider, [*interior, inner], position)

    yield from expand(list(node.inputs), [], 0)


def _private_same(value: Value | None, node: Node, graph: Graph) -> Node | None:
    if value is None or value.producer is None or value.output_slots or sum(value.uses.values()) != 1:
        return None
    inner = value.producer
    same = inner.op_type == node.op_type and inner.domain == node.domain and inner.graph is graph
    return inner if same and not inner.attributes else None


def _match_dims(
    value: Value, dims: tuple[t.DimPattern, ...], rest: int | None, state: State, proceed: Continue
) -> bool:
    if rest is not None and len(dims) == 1 and dims[0].name is None:
        return proceed()
    if value.shape is None:
        state.unknown = True
        return False
    found = tuple(dim_value(d) for d in value.shape)
    if len(found) < len(dims) - (rest is not None) or (rest is None and len(found) != len(dims)):
        return False
    pairs: list[tuple[t.DimPattern, Any]] = []
    after = len(dims) - rest - 1 if rest is not None else 0
    front = rest if rest is not None else len(dims)
    pairs.extend(zip(dims[:front], found[:front], strict=True))
    if rest is not None:
        pairs.append((dims[rest], found[front : len(found) - after]))
        if after:
            pairs.extend(zip(dims[-after:], found[-after:], strict=True))

    return _match_pairs(0, pairs, state, proceed)


def _match_pairs(position: int, pairs: list[tuple[t.DimPattern, Any]], state: State, proceed: Continue) -> bool:
    if position == len(pairs):
        return proceed()
    dim, size = pairs[position]
    if dim.kind == "size" and not state.same(dim.size, size):
        return False
    others = position + 1
    if dim.name is not None:
        return state.bind(dim.name, size, lambda: _match_pairs(others, pairs, state, proceed))
    return _match_pairs(others, pairs, state, proceed)


def _number(pattern: t.Number) -> InputMatcher:
    wanted = pattern.value

    def run(value: Value | None, node: Node, _state: State, proceed: Continue) -> bool:
        if value is None or value.constant is None or value.constant.size != 1 or value.dtype is None:
            return False
        if value.dtype in (DType.string, DType.bool) or not _lifts_nothing(value, node):
            return False
        found = value.constant.numpy().reshape(())
        tolerance = _tolerance(value.dtype) if pattern.is_approximate else 0.0
        if not pattern.is_approximate and value.dtype.is_float:
            return bool(found == np.asarray(wanted, found.dtype)) and proceed()
        return abs(float(found) - wanted) <= tolerance * abs(wanted) and proceed()

    return run


def _tolerance(dtype: DType) -> float:
    """How far apart two writings of one number may lie: some exporters keep seven digits, all round to the dtype."""
    if not dtype.is_float:
        return 0.0
    mantissa = {DType.float16: 10, DType.bfloat16: 7}.get(dtype)
    return 2.0 ** (1 - mantissa) if mantissa is not None else 1e-6


def _lifts_nothing(constant: Value, node: Node) -> bool:
    """A one-element constant of rank 1 gives a scalar another rank; it counts as a number only where it does not."""
    assert constant.shape is not None
    if not constant.shape:
        return True
    others = [v for v in node.inputs if v is not None and v is not constant]
    return any(v.shape is not None and len(v.shape) >= len(constant.shape) for v in others)


def _count_references(rule: t.Rule) -> dict[str, int]:
    """In how many places of the pattern each name is read."""
    counts: dict[str, int] = {}

    def walk(pattern: t.InputPattern) -> None:
        if isinstance(pattern, (t.Variable, t.Variadic)):
            counts[pattern.name] = counts.get(pattern.name, 0) + 1
        elif isinstance(pattern, t.Alternatives):
            for option in pattern.options:
                walk(option)
        elif isinstance(pattern, t.NodePattern):
            for inner in pattern.inputs:
                walk(inner)

    for match in rule.matches:
        walk(match.pattern)
    return counts
