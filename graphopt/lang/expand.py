"""`qdq(...)` written out: what stands in `rewrite:` for a QuantizeLinear and a DequantizeLinear.

qdq(x)            x if quantized(x) else DequantizeLinear(QuantizeLinear(x, scale(x), zero_point(x)), ...)
qdq(x, like=y)    the same in the steps of y
qdq(w, axis=k)    DequantizeLinear(codes(w, scales(w, k), k), scales(w, k), zero_codes(scales(w, k)), axis=k)
y = qdq(Conv(…))  DequantizeLinear(QuantizeLinear(Conv(…), scale(y), zero_point(y)), ...), or in the steps of `like`
qdq(xs)           the first of these for each tensor that `*xs` has bound
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TypeGuard

from graphopt.lang import tree as t
from graphopt.lang.names import walk
from graphopt.lang.source import Span

NAME = "qdq"
HELP = "in rewrite: there are qdq(x), qdq(x, like=y), qdq(w, axis=k) and y = qdq(Op(...)), of names that are matched"
Q, DQ = "QuantizeLinear", "DequantizeLinear"


def expand(rewrite: t.Rewrite, lists: Iterable[str]) -> t.Rewrite:
    """A rewrite without `qdq`, where it is well formed; `lists` are the names that `*xs` binds."""
    return replace(rewrite, value=_whole(rewrite.value, rewrite, frozenset(lists)))


def variadic_names(matches: Iterable[t.Match]) -> set[str]:
    """Names that stand for all inputs that are left: `*xs`."""
    return {part.name for match in matches for part in walk(match.pattern) if isinstance(part, t.Variadic)}


def _whole(value: t.Expression, rewrite: t.Rewrite, lists: frozenset[str]) -> t.Expression:
    """What a rewrite's value can be: a result has a name, so that its steps can be asked for."""
    if isinstance(value, t.Operation) and value.sign == "if":
        first, condition, second = value.operands
        operands = (_whole(first, rewrite, lists), condition, _whole(second, rewrite, lists))
        return replace(value, operands=operands)
    if _is_qdq(value) and len(value.arguments) == 1 and len(rewrite.targets) == 1:
        (inner,) = value.arguments
        steps = _steps(value, rewrite.targets[0])
        if isinstance(inner, t.NodeCall) and steps is not None:
            return _pair(_inside(inner, lists), steps, value.span)
    return _inside(value, lists)


def _steps(call: t.Call, target: str | None) -> t.Name | None:
    """The tensor in whose steps a result is quantized: the one that `like` names, or itself."""
    if not call.keywords:
        return None if target is None else t.Name(target, call.span)
    (key, value), *others = call.keywords
    return value if key == "like" and not others and isinstance(value, t.Name) else None


def _inside(value: t.Expression, lists: frozenset[str]) -> t.Expression:
    if isinstance(value, t.NodeCall):
        return replace(value, arguments=tuple(_inside(a, lists) for a in value.arguments))
    if isinstance(value, t.Operation) and value.sign in ("if", "??"):
        return replace(value, operands=tuple(_inside(o, lists) for o in value.operands))
    return _expanded(value, lists) if _is_qdq(value) else value


def _is_qdq(value: t.Expression) -> TypeGuard[t.Call]:
    return isinstance(value, t.Call) and value.function == NAME


def _expanded(call: t.Call, lists: frozenset[str]) -> t.Expression:
    keywords = dict(call.keywords)
    if len(call.arguments) != 1 or not isinstance(call.arguments[0], t.Name):
        return call
    tensor, span = call.arguments[0], call.span
    if "axis" in keywords and keywords.keys() <= {"axis", "block", "type"}:
        return _weight(tensor, keywords, span)
    if keywords.keys() == {"like"}:
        like = keywords["like"]
        return _each(_pair(tensor, like, span), tensor.name, lists) if isinstance(like, t.Name) else call
    if keywords:
        return call
    is_there = t.Call("quantized", (tensor,), (), span)
    return _each(t.Operation("if", (tensor, is_there, _pair(tensor, tensor, span)), span), tensor.name, lists)


def _each(value: t.Expression, name: str, lists: frozenset[str]) -> t.Expression:
    return t.Each(value, name, value.span) if name in lists else value


def _pair(source: t.Expression, steps: t.Name, span: Span) -> t.NodeCall:
    scale, zero = (t.Call(name, (steps,), (), span) for name in ("scale", "zero_point"))
    codes = t.NodeCall(Q, (source, scale, zero), (), None, span)
    return t.NodeCall(DQ, (codes, scale, zero), (), None, span)


def _weight(tensor: t.Name, given: Mapping[str, t.Expression], span: Span) -> t.NodeCall:
    axis, block = given["axis"], given.get("block")
    kind = {name: value for name, value in given.items() if name == "type"}
    blocks = {name: value for name, value in given.items() if name == "block"}
    scales = t.Call("scales", (tensor, axis), tuple({**blocks, **kind}.items()), span)
    codes = t.Call("codes", (tensor, scales, axis), tuple({**blocks, **kind}.items()), span)
    zeros = t.Call("zero_codes", (scales,), tuple(kind.items()), span)
    attributes = [("axis", axis, span)] + ([("block_size", block, span)] if block is not None else [])
    return t.NodeCall(DQ, (codes, scales, zeros), tuple(attributes), None, span)
