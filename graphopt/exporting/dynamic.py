"""Dynamic axes: as options write them, checked against the example, and other sizes to try them with."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from graphopt.errors import UsageError, did_you_mean
from graphopt.exporting.exportable import DynamicShapes

if TYPE_CHECKING:
    import torch

    from graphopt.exporting.call import Call, Tensors

FORM = "write NAME=AXIS:SIZE, such as x=0:batch or x=0:batch,2:height"


def parse_dynamic(options: Sequence[str]) -> dict[str, dict[int, str]]:
    """Read `NAME=AXIS:SIZE,...` options.

    Raises:
        UsageError: one is not of that form, or names an axis twice.
    """
    found: dict[str, dict[int, str]] = {}
    for option in options:
        name, equals, axes = option.rpartition("=")
        if not equals or not name:
            raise UsageError(f"--dynamic {option!r} names no input", help=FORM)
        for part in axes.split(","):
            axis, _, size = part.partition(":")
            if not axis.strip().isdecimal() or not size.strip():
                raise UsageError(f"--dynamic {option!r} has {part!r}, which is no AXIS:SIZE", help=FORM)
            of_input = found.setdefault(name, {})
            if int(axis) in of_input:
                raise UsageError(f"--dynamic says twice what axis {int(axis)} of {name!r} is")
            of_input[int(axis)] = size.strip()
    return found


def checked(dynamic: DynamicShapes | None, call: Call) -> dict[str, dict[int, str]]:
    """The dynamic axes of each input that has any, if they can be meant.

    Raises:
        UsageError: an input or axis that is not there, a size without a plain name, or one name for two sizes.
    """
    examples = dict(zip(call.names, call.tensors, strict=True))
    sizes: dict[str, tuple[int, str]] = {}
    found: dict[str, dict[int, str]] = {}
    for name, axes in (dynamic or {}).items():
        if name not in examples:
            raise UsageError(
                f"dynamic shapes name {name!r}, which is no input",
                help=did_you_mean(name, examples) or f"the inputs are {', '.join(examples)}",
            )
        found[name] = {axis: _size(name, axis, axes[axis], examples[name], sizes) for axis in sorted(axes, key=str)}
    return {name: found[name] for name in call.names if found.get(name)}


def _size(name: str, axis: Any, symbol: object, example: torch.Tensor, sizes: dict[str, tuple[int, str]]) -> str:
    where = f"axis {axis} of {name!r}"
    if not isinstance(axis, int) or not 0 <= axis < example.dim():
        raise UsageError(f"dynamic shapes name {where}, which has {example.dim()} axes", help="axes count from 0")
    if not isinstance(symbol, str) or not symbol.isidentifier():
        raise UsageError(
            f"the size of {where} is called {symbol!r}",
            help="give it a plain name of letters and digits, such as batch",
        )
    size = example.shape[axis]
    other, first = sizes.setdefault(symbol, (size, where))
    if other != size:
        raise UsageError(
            f"{symbol!r} is {other} on {first} and {size} on {where} of the example",
            help="give sizes that differ names that differ",
        )
    return symbol


def resized(call: Call, dynamic: Mapping[str, Mapping[int, str]]) -> Iterator[Tensors]:
    """Inputs of other sizes to try: each dynamic size one larger, then doubled; values come round again."""
    for times, more in ((1, 1), (2, 0)):
        tensors: list[torch.Tensor] = []
        for name, example in zip(call.names, call.tensors, strict=True):
            tensor = example
            for axis in dynamic.get(name, {}):
                size: int = tensor.shape[axis]
                places = [place % max(size, 1) for place in range(times * size + more)]
                tensor = tensor.index_select(axis, _indices(places, tensor))
            tensors.append(tensor)
        yield tuple(tensors)


def _indices(places: list[int], like: torch.Tensor) -> torch.Tensor:
    import torch

    return torch.tensor(places, device=like.device)
