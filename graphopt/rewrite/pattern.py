"""Left sides as closures.

Each matcher takes what to match, the state of the attempt, and what to do when it matched; it returns whether
that succeeded, and undoes its bindings where it did not. So a failing condition makes the matcher try the next
operand order or alternative, and no rule is ever cloned for commutativity.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from graphopt.graph.dtypes import DType
from graphopt.graph.graph import Graph, Node, Value
from graphopt.lang import tree as t
from graphopt.lang.operators import COMMUTATIVE, split_operator
from graphopt.lang.source import Span
from graphopt.rewrite.attributes import attribute_matcher
from graphopt.rewrite.leaves import match_dims, number_matcher
from graphopt.rewrite.state import Continue, State

NodeMatcher = Callable[[Node, State, Continue], bool]
InputMatcher = Callable[[Value | None, Node, State, Continue], bool]
TypeMatcher = Callable[[Value, State, Continue], bool]


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
        targets, is_shared, span = match.targets, match.is_shared, match.span
        private = [n is None or (n not in self.redefined and not is_shared) for n in targets]

        def run(node: Node, output: int, state: State, proceed: Continue) -> bool:
            if node in state.nodes or node in state.shared:
                return state.stop("structure", span, "{} is matched already", node)
            if node.graph is not state.graph and not is_shared:
                return state.stop("structure", span, "{} lies in another graph", node)
            if not _fits_outputs(node, targets) or not (output < len(targets)):
                return state.stop("structure", span, "{} has other outputs", node)
            values = [node.outputs[i] if i < len(node.outputs) else None for i in range(len(targets))]
            outside = self._read_outside(values, private, targets)
            if outside is not None:
                return state.stop("structure", span, "{!r} is read outside the match, or is an output", outside)
            held = state.shared if is_shared else state.nodes
            marks = len(state.interior)
            held[node] = None
            state.interior.extend(
                v for v, p in zip(values, private, strict=True) if p and v is not None and not is_shared
            )
            names = [(n, v) for n, v in zip(targets, values, strict=True) if n is not None]
            if _bind_all(names, state, span, lambda: any(m(node, state, proceed) for m in matchers)):
                return True
            del held[node]
            del state.interior[marks:]
            return False

        return run

    def _read_outside(
        self, values: list[Value | None], private: list[bool], targets: tuple[str | None, ...]
    ) -> Value | None:
        """A value that must be private and has more readers than the pattern."""
        for value, is_private, name in zip(values, private, targets, strict=True):
            if value is None or not is_private:
                continue
            allowed = self._references.get(name, 0) if name is not None else 0
            if value.output_slots or len(value.uses) > allowed:
                return value
        return None

    # --- nodes ---

    def _node(self, pattern: t.NodePattern) -> NodeMatcher:
        domain, op_type = split_operator(pattern.operator)
        span = pattern.span
        fits_attributes = attribute_matcher(pattern, op_type, self.opsets.get(domain, 0), domain)
        if pattern.is_product:
            return self._product(pattern, op_type, domain)
        inputs = [self._input(p) for p in pattern.inputs]
        kinds = tuple(pattern.inputs)
        variadic = bool(kinds) and isinstance(kinds[-1], t.Variadic)
        commutes = (domain, op_type) in COMMUTATIVE and not variadic
        least = sum(1 for p in kinds if not _may_be_absent(p))

        def run(node: Node, state: State, proceed: Continue) -> bool:
            if node.op_type != op_type or node.domain != domain or node.has_bodies:
                return state.stop("structure", span, "{} stands here", node)
            values = node.inputs
            if len(values) < least or (not variadic and len(values) > len(inputs) and any(values[len(inputs) :])):
                return state.stop("structure", span, "{} has {} inputs", node, len(values))

            def with_attributes() -> bool:
                if commutes:
                    operands = tuple(node.input(i) for i in range(len(inputs)))
                    return _match_in_some_order(0, inputs, operands, node, state, proceed)
                return _match_inputs(inputs, kinds, node, state, proceed)

            return fits_attributes(node, state, with_attributes)

        return run

    def _product(self, pattern: t.NodePattern, op_type: str, domain: str) -> NodeMatcher:
        inputs = [self._input(p) for p in pattern.inputs]
        count = len(inputs)
        span = pattern.span

        def run(node: Node, state: State, proceed: Continue) -> bool:
            if node.op_type != op_type or node.domain != domain:
                return state.stop("structure", span, "{} stands here", node)
            for operands, interior in _groupings(node, count, state.graph):
                taken = [n for n in interior if n not in state.nodes]
                if len(taken) != len(interior):
                    continue
                state.nodes.update(dict.fromkeys(interior))
                marks = len(state.interior)
                state.interior.extend(n.outputs[0] for n in interior if n.outputs[0] is not None)
                if _match_in_some_order(0, inputs, tuple(operands), node, state, proceed):
                    return True
                for inner in interior:
                    del state.nodes[inner]
                del state.interior[marks:]
            return state.stop("structure", span, "{} is no nest of {} such operands", node, count)

        return run

    # --- inputs ---

    def _input(self, pattern: t.InputPattern) -> InputMatcher:
        if isinstance(pattern, t.Variable):
            return self._variable(pattern)
        if isinstance(pattern, (t.NodePattern, t.Alternatives)):
            return self._nested(pattern)
        if isinstance(pattern, t.Number):
            return number_matcher(pattern)
        if isinstance(pattern, t.Absent):
            return _absent(pattern)
        return lambda _value, _node, _state, proceed: proceed()

    def _nested(self, pattern: t.NodePattern | t.Alternatives) -> InputMatcher:
        options = pattern.options if isinstance(pattern, t.Alternatives) else (pattern,)
        matchers = [self._node(p) for p in options]
        span = pattern.span

        def run(value: Value | None, _node: Node, state: State, proceed: Continue) -> bool:
            if value is None or value.producer is None:
                return state.stop("structure", span, "no node makes {!r}", value)
            if value.output_slots or len(value.uses) > 1:
                return state.stop("structure", span, "{!r} is read outside the match, or is an output", value)
            node = value.producer
            if node.graph is not state.graph or node in state.nodes or not _fits_outputs(node, (None,)):
                return state.stop("structure", span, "{} lies elsewhere, or has other outputs", node)
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
        if produced is not None:
            return self._made(pattern, fits_type, *produced)
        span = pattern.span

        def run(value: Value | None, _node: Node, state: State, proceed: Continue) -> bool:
            if value is None:
                absent = is_optional or state.stop("structure", span, "{} is absent", name)
                return absent and state.bind(name, None, span, proceed)
            if is_const and value.constant is None:
                return state.stop("structure", span, "{!r} is not constant", value)
            fits = fits_type
            if fits is None:
                return state.bind(name, value, span, proceed)
            return state.bind(name, value, span, lambda: fits(value, state, proceed))

        return run

    def _made(self, pattern: t.Variable, fits: TypeMatcher | None, number: int, index: int) -> InputMatcher:
        """A value that another statement makes."""
        name, span = pattern.name, pattern.span

        def follow(value: Value, node: Node, state: State, proceed: Continue) -> bool:
            if name in state.bindings:
                return state.bind(name, value, span, proceed)
            if index >= len(node.outputs) or node.outputs[index] is not value:
                return state.stop("structure", span, "{!r} is another output of {}", value, node)
            return self._statements[number](node, index, state, proceed)

        def run(value: Value | None, _node: Node, state: State, proceed: Continue) -> bool:
            node = value.producer if value is not None else None
            if value is None or node is None:
                return state.stop("structure", span, "no node makes {!r}", value)
            if fits is None:
                return follow(value, node, state, proceed)
            return fits(value, state, lambda: follow(value, node, state, proceed))

        return run

    def _type(self, pattern: t.TypePattern) -> TypeMatcher:
        dtype, span = pattern.dtype, pattern.span
        allowed = self.generics.get(dtype) if dtype is not None else None
        wanted = None if dtype is None or allowed is not None else DType[dtype]

        def run(value: Value, state: State, proceed: Continue) -> bool:
            if dtype is None:
                return match_dims(value, pattern, state, proceed)
            if value.dtype is None:
                return state.stop("unknown", span, "the element type of {!r} is not known", value)
            if allowed is None:
                fits = value.dtype is wanted or state.stop("structure", span, "{!r} is not of {}", value, dtype)
                return fits and match_dims(value, pattern, state, proceed)
            if value.dtype.name not in allowed:
                return state.stop("structure", span, "{!r} is of no {}", value, dtype)
            return state.bind(dtype, value.dtype, span, lambda: match_dims(value, pattern, state, proceed))

        return run


def _bind_all(names: list[tuple[str, Value | None]], state: State, span: Span, proceed: Continue) -> bool:
    if not names:
        return proceed()
    (name, value), *others = names
    return state.bind(name, value, span, lambda: _bind_all(others, state, span, proceed))


def _absent(pattern: t.Absent) -> InputMatcher:
    def run(value: Value | None, _node: Node, state: State, proceed: Continue) -> bool:
        return proceed() if value is None else state.stop("structure", pattern.span, "{!r} is not absent", value)

    return run


def _fits_outputs(node: Node, targets: tuple[str | None, ...]) -> bool:
    """Outputs are closed: what the pattern does not name must be absent (`_` names one that nothing reads)."""
    return all(v is None for v in node.outputs[len(targets) :])


def _may_be_absent(pattern: t.InputPattern) -> bool:
    if isinstance(pattern, t.Variable):
        return pattern.is_optional
    return isinstance(pattern, (t.Absent, t.Anything, t.Variadic))


def _match_in_some_order(
    position: int,
    inputs: list[InputMatcher],
    operands: tuple[Value | None, ...],
    node: Node,
    state: State,
    proceed: Continue,
) -> bool:
    """Match the inputs from a position on with these operands, each with one of them: as they stand first."""
    if position == len(inputs):
        return proceed()
    following = position + 1
    for number, operand in enumerate(operands):
        others = operands[:number] + operands[number + 1 :]

        def match_others(others: tuple[Value | None, ...] = others) -> bool:
            return _match_in_some_order(following, inputs, others, node, state, proceed)

        if inputs[position](operand, node, state, match_others):
            return True
    return False


def _match_inputs(
    inputs: list[InputMatcher],
    kinds: tuple[t.InputPattern, ...],
    node: Node,
    state: State,
    proceed: Continue,
) -> bool:
    if kinds and isinstance(kinds[-1], t.Variadic):
        fixed = len(inputs) - 1
        values = [node.input(i) for i in range(fixed)]
        others = tuple(node.inputs[fixed:])
        last = kinds[-1]
        return _match_values(
            inputs[:fixed], values, node, state, lambda: state.bind(last.name, others, last.span, proceed)
        )
    return _match_values(inputs, [node.input(i) for i in range(len(inputs))], node, state, proceed)


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
