"""Functions that users add to the language, from Python."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, TypeVar, cast

import numpy as np

from graphopt.errors import RewriteError, UsageError
from graphopt.graph.dtypes import DType
from graphopt.graph.graph import Value
from graphopt.lang.registry import FUNCTIONS, Function
from graphopt.lang.signatures import Signature, parse_signature
from graphopt.lang.sorts import ANY, CONST, NONE, Sort, fits, list_of, sort_of, written
from graphopt.lang.target import TargetFacts
from graphopt.lang.values import UNKNOWN, Constant, Decline, Symbol, constant_of, is_list

Call = TypeVar("Call", bound=Callable[..., Any])


def rule_function(*signatures: str) -> Callable[[Call], Call]:
    """Decorator: make a Python function known to rules, under the name and with the sorts of its signature.

        @graphopt.rule_function("interleave(first: list[A], second: list[A]) -> list[A]")
        def interleave(first, second):
            "The items of two lists in turn."
            return [item for pair in zip(first, second) for item in pair]

    Several signatures are alternatives: the first that fits a call counts. The first line of the docstring documents
    the function in `graphopt rules functions`. It sees ints, floats, bools, text, tuples, `DType`s, constants as numpy
    arrays (float64, int64 or bool), graph tensors as `Value`s, and None for what is absent. It is not called where an
    argument is unknown, such as a dim without a size: the result is unknown then. To say that the rule does not apply,
    it raises ValueError.

    Raises:
        UsageError: the signature is none, does not fit the Python function, or its name is taken.
    """

    def register(call: Call) -> Call:
        parsed = _parsed(signatures, call)
        name = parsed[0].name
        doc = (inspect.getdoc(call) or "").split("\n\n")[0]
        taken = FUNCTIONS.get(name)
        if taken is not None and taken.origin != call.__module__:
            raise _refusal(call, f"there is a rule function {name} already, from {taken.origin}")
        if not doc:
            raise _refusal(call, "it has no docstring", "say in a sentence what it returns")
        FUNCTIONS[name] = Function(name, parsed, " ".join(doc.split()), _wrapped(call, parsed), True, call.__module__)
        return call

    return register


def _refusal(call: Callable[..., Any], message: str, help: str | None = None) -> UsageError:
    where = f"{call.__module__}.{call.__qualname__}"
    return UsageError(f"the function cannot be registered for rules: {message}", where=where, help=help)


def _parsed(signatures: tuple[str, ...], call: Callable[..., Any]) -> tuple[Signature, ...]:
    form = 'write @rule_function("name(parameter: sort) -> sort")'
    if not signatures:
        raise _refusal(call, "it has no signature", form)
    try:
        parsed = tuple(parse_signature(s) for s in signatures)
    except ValueError as error:
        raise _refusal(call, str(error), form) from None
    if len({s.name for s in parsed}) > 1:
        raise _refusal(call, "its signatures have several names")
    for signature in parsed:
        _check_parameters(signature, call)
    return parsed


def _check_parameters(signature: Signature, call: Callable[..., Any]) -> None:
    """The Python function must take what the signature says, by position and by name."""
    python = inspect.signature(call)
    needed = [p for p in signature.parameters if not (p.is_optional or p.is_variadic)]
    variadic = [p for p in signature.parameters if p.is_variadic]
    try:
        python.bind(*[None] * len(needed))
        python.bind(*[None] * (len(signature.parameters) + len(variadic)))
        if not variadic:
            python.bind(**{p.name: None for p in signature.parameters})
    except TypeError as error:
        raise _refusal(call, f"{signature} does not fit its parameters: {error}") from None


def _wrapped(call: Callable[..., Any], signatures: tuple[Signature, ...]) -> Callable[..., Any]:
    name = signatures[0].name
    wanted = [s.result for s in signatures]

    def run(*arguments: Any, **keywords: Any) -> Any:
        if any(_is_unknown(a) for a in (*arguments, *keywords.values())):
            return UNKNOWN
        parameters = {p.name: p.sort for s in reversed(signatures) for p in s.parameters}
        ordered = [_sort_at(signatures, i, a) for i, a in enumerate(arguments)]
        given = [_to_python(a, s) for a, s in zip(arguments, ordered, strict=True)]
        named = {n: _to_python(a, parameters[n]) for n, a in keywords.items()}
        try:
            result = call(*given, **named)
        except ValueError as error:
            raise Decline(f"{name}: {error}") from None
        except Exception as error:
            raise RewriteError(
                f"the rule function {name} failed: {type(error).__name__}: {error}",
                where=f"{call.__module__}.{call.__qualname__}",
                help="mend the function; where a rule does not apply it raises ValueError",
            ) from error
        return _checked(_from_python(result), wanted, call, name)

    return run


def _sort_at(signatures: tuple[Signature, ...], position: int, value: Any) -> Sort:
    """The sort that an argument is wanted as: of the first signature that takes such a value there."""
    given = sort_of_value(value)
    offered = [s.parameter(position).sort for s in signatures if s.parameters]
    return next((sort for sort in offered if fits(given, sort)), offered[0])


def _is_unknown(value: Any) -> bool:
    if is_list(value):
        return any(_is_unknown(item) for item in value)
    return value is UNKNOWN or isinstance(value, Symbol)


def _to_python(value: Any, wanted: Sort) -> Any:
    if isinstance(value, Constant):
        return value.array
    if isinstance(value, Value) and "tensor" not in wanted.names() and not wanted.is_any:
        return constant_of(value).array
    return value


def _from_python(result: object) -> object:
    if isinstance(result, (list, tuple)):
        return tuple(_from_python(item) for item in cast("list[object]", result))
    if isinstance(result, np.generic):
        return cast("np.generic[Any]", result).item()
    if isinstance(result, np.ndarray):
        return constant_of(result)
    return result


def _checked(result: Any, wanted: list[Sort], call: Callable[..., Any], name: str) -> Any:
    """What a function returned, if it is what its signature says."""
    found = sort_of_value(result)
    if any(fits(found, sort) for sort in wanted):
        return result
    said = " or ".join(written(s) for s in wanted)
    raise RewriteError(
        f"the rule function {name} returned {written(found)}; its signature says {said}",
        where=f"{call.__module__}.{call.__qualname__}",
        help="mend the function, or its signature",
    )


_SIMPLE: list[tuple[type[Any], str]] = [
    (bool, "bool"),
    (DType, "dtype"),
    (int, "int"),
    (float, "float"),
    (str, "text"),
    (Symbol, "int"),
    (Constant, "const"),
    (TargetFacts, "target"),
]


def sort_of_value(value: Any) -> Sort:
    """The sort of what an expression came to."""
    if value is None:
        return NONE
    if value is UNKNOWN:
        return ANY
    if is_list(value):
        item = Sort(frozenset())
        for part in value:
            item = item | sort_of_value(part)
        return list_of(item)
    if isinstance(value, Value):
        return CONST if value.constant is not None else sort_of("tensor")
    return next((sort_of(name) for kind, name in _SIMPLE if isinstance(value, kind)), sort_of(type(value).__name__))
