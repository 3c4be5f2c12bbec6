"""Mutation operators: each finds places in a rule's syntax tree and says what else could stand there."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import onnx

from graphopt.lang import tree as t
from graphopt.lang.names import walk
from graphopt.lang.operators import COMMUTATIVE, split_operator
from graphopt.lang.source import Span
from tests.mutants.mutant import Edit, Mutant, numbered

Operator = Callable[[t.Rule], Iterator[Edit]]


def mutants_of(rule: t.Rule) -> list[Mutant]:
    """Every mutant of a rule, in the order of OPERATORS and of places."""
    return numbered(Mutant(rule, name, edit) for name, operator in OPERATORS.items() for edit in operator(rule))


# --- where things are ---


def _text(span: Span) -> str:
    return span.source.text[span.start : span.end]


def _expressions(rule: t.Rule) -> Iterator[t.Expression]:
    """Every expression and part of one: conditions, lets, right sides, attributes of the nodes that these make. What
    only `when:` reads is about profit, as `when:` is: a rule that applies elsewhere is not wrong for it."""
    for whole in (*rule.where, *(x.value for x in _lets(rule)), *(x.value for x in rule.rewrites)):
        yield from walk(whole)


def _lets(rule: t.Rule) -> list[t.Let]:
    """Those that the conditions and the right side read, by way of others too."""
    read = {p.name for whole in (*rule.where, *rule.rewrites) for p in walk(whole) if isinstance(p, t.Name)}
    found: list[t.Let] = []
    for let in reversed(rule.lets):  # one reads those above it
        if let.name in read:
            found.insert(0, let)
            read |= {p.name for p in walk(let.value) if isinstance(p, t.Name)}
    return found


def _nodes(rule: t.Rule) -> Iterator[t.NodePattern]:
    def inner(pattern: t.InputPattern) -> Iterator[t.NodePattern]:
        if isinstance(pattern, t.Alternatives):
            for option in pattern.options:
                yield from inner(option)
        elif isinstance(pattern, t.NodePattern):
            yield pattern
            for part in pattern.inputs:
                yield from inner(part)

    for match in rule.matches:
        yield from inner(match.pattern)


def _variables(rule: t.Rule) -> Iterator[t.Variable]:
    for node in _nodes(rule):
        yield from (i for i in node.inputs if isinstance(i, t.Variable))


def _operations(rule: t.Rule, *signs: str) -> Iterator[t.Operation]:
    yield from (e for e in _expressions(rule) if isinstance(e, t.Operation) and e.sign in signs)


def _joined(first: t.Expression, sign: str, second: t.Expression) -> str:
    return f"(({_text(first.span)}) {sign} ({_text(second.span)}))"


# --- operators ---


def drop_condition(rule: t.Rule) -> Iterator[Edit]:
    for condition in rule.where:
        yield Edit(condition.span, "true")


def drop_alternative(rule: t.Rule) -> Iterator[Edit]:
    """Of `a and b`, one; `a or b` as `true`, one operand after the other (to leave one out would make a rule that
    applies more rarely, which is not wrong)."""
    for operation in _operations(rule, "and"):
        for operand in operation.operands:
            yield Edit(operation.span, _text(operand.span))
    for operation in _operations(rule, "or"):
        for operand in operation.operands:
            yield Edit(operand.span, f"not ({_text(operand.span)})")


def swap_operands(rule: t.Rule) -> Iterator[Edit]:
    """Where their order matters."""
    for operation in _operations(rule, "-", "/", "//", "%", "**", "++", "<", "<=", ">", ">="):
        first, second = operation.operands
        yield Edit(operation.span, _joined(second, operation.sign, first))
    for call in _expressions(rule):
        if isinstance(call, t.NodeCall) and split_operator(call.operator) not in COMMUTATIVE:
            for first, second in zip(call.arguments, call.arguments[1:], strict=False):
                span = Span(first.span.source, first.span.start, second.span.end)
                yield Edit(span, f"{_text(second.span)}, {_text(first.span)}")


OTHER_SIGNS = {
    **{"+": ("-",), "-": ("+",), "*": ("/",), "/": ("*",), "//": ("*",), "==": ("!=",), "!=": ("==",)},
    **{"<": ("<=",), "<=": (">=",), ">": (">=",), ">=": ("<=",)},
}
"""No comparison becomes a stricter one."""


def change_sign(rule: t.Rule) -> Iterator[Edit]:
    for operation in _operations(rule, *OTHER_SIGNS):
        first, second = operation.operands
        for sign in OTHER_SIGNS[operation.sign]:
            yield Edit(operation.span, _joined(first, sign, second))


def drop_operand(rule: t.Rule) -> Iterator[Edit]:
    """Of a sum, a difference, a product, a quotient, or of lists that are joined, one part."""
    for operation in _operations(rule, "+", "-", "*", "/", "++"):
        for operand in operation.operands:
            yield Edit(operation.span, f"({_text(operand.span)})")


def change_constant(rule: t.Rule) -> Iterator[Edit]:
    """Whole numbers by one in both directions, axes and off-by-ones of slices among them; others by a hundredth."""
    for literal in _expressions(rule):
        if isinstance(literal, t.Literal) and _is_number(literal.value):
            yield from (Edit(e.span, f"({e.text})" if e.text.startswith("-") else e.text) for e in _numbers(literal))
    for node in _nodes(rule):
        for attribute in node.attributes:
            literal = attribute.literal
            if isinstance(literal, t.Literal) and _is_number(literal.value):
                yield from _numbers(literal)


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _numbers(literal: t.Literal) -> Iterator[Edit]:
    value = literal.value
    if isinstance(value, int):
        yield Edit(literal.span, str(value + 1))
        yield Edit(literal.span, str(value - 1))
    elif isinstance(value, float):
        yield Edit(literal.span, repr(value * 1.01 if value else 1.0))


def move_slice(rule: t.Rule) -> Iterator[Edit]:
    for part in _expressions(rule):
        if isinstance(part, t.Slice):
            for bound in (part.start, part.stop):
                if bound is not None and not isinstance(bound, t.Literal):
                    yield Edit(bound.span, f"{_text(bound.span)} + 1")
                    yield Edit(bound.span, f"{_text(bound.span)} - 1")


def change_default(rule: t.Rule) -> Iterator[Edit]:
    """What stands in for what is absent, and taking the default although something is there."""
    for operation in _operations(rule, "??"):
        value, default = operation.operands
        yield Edit(operation.span, _text(default.span))
        if isinstance(default, t.Call):
            for other in {"zeros": ["ones"], "ones": ["zeros"], "reverse": [""]}.get(default.function, []):
                inside = _text(default.span)[len(default.function) :]
                yield Edit(operation.span, f"({_text(value.span)} ?? {other}{inside})")


def change_order(rule: t.Rule) -> Iterator[Edit]:
    """Of a permutation: one after the other as the other after the one, and a list from its start, not its end."""
    for part in _expressions(rule):
        if isinstance(part, t.Index) and isinstance(part.index, t.Name) and isinstance(part.of, t.Name):
            yield Edit(part.span, f"{part.index.name}[{part.of.name}]")
        if isinstance(part, t.Call) and part.function == "reverse":
            yield Edit(part.span, _text(part.arguments[0].span))


def drop_function(rule: t.Rule) -> Iterator[Edit]:
    """sqrt(x) as x, x.reshape(s) as x. `qdq(x)` hides a choice as well, but x as it is comes nearer to the original
    than its codes: nothing is wrong with that."""
    for call in _expressions(rule):
        if isinstance(call, t.Call) and call.function in ("sqrt", "exp", "abs", "reshape", "expand", "transpose"):
            yield Edit(call.span, _text(call.arguments[0].span))
        if isinstance(call, t.Operation) and call.sign == "if" and not _text(call.span).startswith("qdq("):
            for branch in (call.operands[0], call.operands[2]):
                yield Edit(call.span, _text(branch.span))


def accept_attribute(rule: t.Rule) -> Iterator[Edit]:
    """An attribute that had to have a value, or was read, may be anything."""
    for node in _nodes(rule):
        for attribute in node.attributes:
            if attribute.literal is not None:
                yield Edit(attribute.span, f"{attribute.name}=_")
        if node.rest is None:
            yield from _also_accepting(node)


def _also_accepting(node: t.NodePattern) -> Iterator[Edit]:
    """Attributes that the pattern does not mention, and which must have their defaults, may be anything."""
    mentioned = {a.name for a in node.attributes}
    for name in UNMENTIONED.get(node.operator, ()):
        if name not in mentioned:
            end = node.span.end - 1
            yield Edit(Span(node.span.source, end, end), f", {name}=_")


UNMENTIONED = {
    "Gemm": ("alpha", "beta", "transA", "transB"),
    "BatchNormalization": ("epsilon", "training_mode"),
    "Reshape": ("allowzero",),
    "Transpose": ("perm",),
    "Pad": ("mode",),
    "Conv": ("group", "strides", "auto_pad"),
}


def forget_attribute(rule: t.Rule) -> Iterator[Edit]:
    """One that the right side sets."""
    for call in _expressions(rule):
        if isinstance(call, t.NodeCall):
            for name, _, span in call.attributes:
                whole = _text(call.span)
                start = span.start - call.span.start
                before = whole.rfind(",", 0, start)
                if before >= 0:
                    del name
                    yield Edit(Span(span.source, call.span.start + before, span.end), "")


def forget_input(rule: t.Rule) -> Iterator[Edit]:
    """One that the right side passes on, from the end."""
    for call in _expressions(rule):
        if isinstance(call, t.NodeCall) and len(call.arguments) > 1:
            *_, before, last = call.arguments
            yield Edit(Span(last.span.source, before.span.end, last.span.end), "")


def widen_dtype(rule: t.Rule) -> Iterator[Edit]:
    """Element types that the operators take as well."""
    for generic in rule.generics:
        if generic.options[0][0].islower():
            more = [d for d in ("int32", "int64", "uint8") if _taken(rule, generic.name, d)]
            for dtype in more:
                yield Edit(Span(generic.span.source, generic.span.end, generic.span.end), f"|{dtype}")


def _taken(rule: t.Rule, generic: str, dtype: str) -> bool:
    """Whether all operators with an input of the generic take the type there, at the newest opset."""
    full = {"int32": "tensor(int32)", "int64": "tensor(int64)", "uint8": "tensor(uint8)"}[dtype]
    for node in _nodes(rule):
        schema = onnx.defs.get_schema(node.operator)
        for given, formal in zip(node.inputs, schema.inputs, strict=False):
            said = given.type if isinstance(given, t.Variable) else None
            if said is not None and said.dtype == generic and full not in formal.types:
                return False
    return True


def widen_rank(rule: t.Rule) -> Iterator[Edit]:
    """Dims that are all said may be any; and names of dims are free of each other."""
    for variable in _variables(rule):
        if variable.type is None or all(d.kind == "rest" for d in variable.type.dims):
            continue
        span = variable.type.span
        yield Edit(span, f"{variable.type.dtype or '_'}[...]")
        for dim in variable.type.dims:
            if dim.kind in ("name", "size"):
                yield Edit(dim.span, "_")


OLDEST = 7
"""ONNX Runtime takes nothing older, so that nothing is known of it."""


def widen_opset(rule: t.Rule) -> Iterator[Edit]:
    if rule.opset is None:
        return
    low, high = rule.opset.low, rule.opset.high
    lower = max(OLDEST, low - 1) if low else None
    for wider in ((lower, high), (OLDEST, high), (low, high + 1 if high else None)):
        if wider != (low, high):
            text = f"opset {wider[0]}..{wider[1]}" if wider[1] else f"opset >= {wider[0]}"
            yield Edit(rule.opset.span, text)


OPERATORS: dict[str, Operator] = {
    "drop condition": drop_condition,
    "drop alternative": drop_alternative,
    "swap operands": swap_operands,
    "change sign": change_sign,
    "drop operand": drop_operand,
    "change constant": change_constant,
    "move slice": move_slice,
    "change default": change_default,
    "change order": change_order,
    "drop function": drop_function,
    "accept attribute": accept_attribute,
    "forget attribute": forget_attribute,
    "forget input": forget_input,
    "widen dtype": widen_dtype,
    "widen rank": widen_rank,
    "widen opset": widen_opset,
}
