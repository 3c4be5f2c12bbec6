"""A call of a module as a flat one: tensors in, tensors out, each with a name."""

from __future__ import annotations

import inspect
import keyword
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, cast

import torch
from torch.nn.parameter import is_lazy
from torch.utils import _pytree as pytree

from graphopt.errors import ExportError, UsageError
from graphopt.exporting.evaluation import evaluation
from graphopt.exporting.exportable import Exportable
from graphopt.exporting.user_code import user_line

_random: Any = torch.random  # torch leaves its types half open

Tensors = tuple[torch.Tensor, ...]


@dataclass(frozen=True)
class Call:
    """The example call of a module, flattened.

    Attributes:
        module: the module.
        names: of the input tensors, in the order of `forward`'s parameters.
        tensors: their example values.
        rebuild: from input tensors to the positional and keyword arguments of `forward`.
    """

    module: torch.nn.Module
    names: tuple[str, ...]
    tensors: Tensors
    rebuild: Callable[[Sequence[torch.Tensor]], inspect.BoundArguments] = field(repr=False)

    @property
    def title(self) -> str:
        return type(self.module).__name__


def flatten(exportable: Exportable) -> Call:
    """Name the tensors of the example call.

    Raises:
        ExportError: the call does not fit `forward`, or holds no tensor.
        UsageError: `input_names` does not fit it.
    """
    module = _as_written(exportable.module)
    signature = inspect.signature(module.forward)
    try:
        bound = signature.bind(*exportable.args, **(exportable.kwargs or {}))
    except TypeError as error:
        raise ExportError(
            f"the example inputs do not fit {type(module).__name__}.forward{signature}: {error}"
        ) from None
    leaves, spec = cast("tuple[list[Any], Any]", pytree.tree_flatten(dict(bound.arguments)))
    paths = [path for path, _ in pytree.tree_flatten_with_path(dict(bound.arguments))[0]]
    places = [place for place, leaf in enumerate(leaves) if isinstance(leaf, torch.Tensor)]
    if not places:
        raise ExportError(f"the example inputs of {type(module).__name__} hold no tensor")
    names = _distinct([_name(paths[place], signature) for place in places])
    if exportable.input_names is not None:
        names = _chosen(exportable.input_names, len(places), "input")

    def rebuild(tensors: Sequence[torch.Tensor]) -> inspect.BoundArguments:
        filled = list(leaves)
        for place, tensor in zip(places, tensors, strict=True):
            filled[place] = tensor
        return inspect.BoundArguments(signature, pytree.tree_unflatten(filled, spec))

    return Call(module, names, tuple(leaves[place] for place in places), rebuild)


def _as_written(module: object) -> torch.nn.Module:
    """The module that was written, where torch.compile wraps it.

    Raises:
        UsageError: it is no module.
        ExportError: it was turned into TorchScript, which torch.export cannot follow, or was never run.
    """
    module = getattr(module, "_orig_mod", module)
    if not isinstance(module, torch.nn.Module):
        raise UsageError(f"the module is of type {type(module).__name__}", help="give a torch.nn.Module")
    if any(is_lazy(parameter) for parameter in (*module.parameters(), *module.buffers())):
        raise ExportError(
            f"{type(module).__name__} has parameters without a size",
            help="call the module once on its example inputs before it is exported",
        )
    if isinstance(module, torch.jit.ScriptModule):
        raise ExportError(
            f"{module.original_name} is TorchScript", help="export the torch.nn.Module that it was made from"
        )
    return module


def _name(path: tuple[Any, ...], signature: inspect.Signature) -> str:
    """The parameter and the keys below it; what `**kwargs` catches goes by its keyword alone."""
    keys = [_key(step) for step in path]
    if signature.parameters[keys[0]].kind is inspect.Parameter.VAR_KEYWORD:
        keys = keys[1:]
    return "_".join(keys)


def _key(step: Any) -> str:
    for attribute in ("key", "idx", "name"):
        if hasattr(step, attribute):
            return str(getattr(step, attribute))
    return str(step)


def _distinct(names: list[str], taken: Sequence[str] = ()) -> tuple[str, ...]:
    seen = set(taken)
    result: list[str] = []
    for name in names:
        fresh, count = name, 1
        while fresh in seen:
            count += 1
            fresh = f"{name}_{count}"
        seen.add(fresh)
        result.append(fresh)
    return tuple(result)


def _chosen(names: Sequence[str], count: int, what: str) -> tuple[str, ...]:
    if len(names) != count:
        raise UsageError(
            f"{len(names)} {what} names for {count} {what} tensors", help=f"give one for each, or no {what}_names"
        )
    if len(set(names)) != len(names) or not all(names):
        raise UsageError(f"{what} names are empty or not distinct: {', '.join(map(repr, names))}")
    return tuple(names)


def copies(tensors: Sequence[torch.Tensor]) -> Tensors:
    """The same values to hand to a module, which may write to them."""
    return tuple(tensor.detach().clone() for tensor in tensors)


def run(
    call: Call, tensors: Sequence[torch.Tensor] | None = None, *, seed: int = 0
) -> tuple[list[tuple[str, ...]], Tensors]:
    """Call the module, in evaluation mode, on these tensors (on the example without any).

    It gets copies, and its own state is put back, so that a module that writes to either does no harm.
    Random numbers that it draws follow from the seed.

    Returns:
        The way to each output tensor, and the tensors.
    """
    arguments = call.rebuild(copies(call.tensors if tensors is None else tensors))
    with evaluation(call.module), torch.no_grad():
        _random.manual_seed(seed)
        result = call.module(*arguments.args, **arguments.kwargs)
    return _outputs(result)


def _outputs(result: object) -> tuple[list[tuple[str, ...]], Tensors]:
    found = [(path, leaf) for path, leaf in pytree.tree_flatten_with_path(result)[0] if leaf is not None]
    for path, leaf in found:
        if not isinstance(leaf, torch.Tensor):
            place = f" at {'.'.join(_key(step) for step in path)}" if path else ""
            raise ExportError(
                f"forward returned {type(leaf).__name__}{place}, which no model can give",
                help="return tensors, or tuples, lists and dicts of them",
            )
    if not found:
        raise ExportError("forward returned no tensor")
    return [tuple(_key(step) for step in path) for path, _ in found], tuple(leaf for _, leaf in found)


def example_outputs(call: Call, chosen: Sequence[str] | None) -> dict[str, torch.Tensor]:
    """The module's own outputs on the example, by name.

    Raises:
        ExportError: the module fails on its own example, or returns what is no tensor.
        UsageError: the names that were chosen do not fit.
    """
    try:
        paths, tensors = run(call)
    except ExportError:
        raise
    except Exception as error:
        raise ExportError(
            f"{call.title} fails on its own example inputs: {type(error).__name__}: {error}", where=user_line(error)
        ) from error
    if chosen is not None:
        names = _chosen(chosen, len(tensors), "output")
        if both := set(names) & set(call.names):
            raise UsageError(f"{min(both)!r} names an input and an output", help="choose another name for one of them")
    else:
        names = _distinct([_output_name(path) for path in paths], call.names)
    return dict(zip(names, tensors, strict=True))


def _output_name(path: tuple[str, ...]) -> str:
    if path and not path[0].isdecimal():
        return "_".join(path)
    return "_".join(("output", *path))


@contextmanager
def flat_forward(call: Call) -> Generator[torch.nn.Module]:
    """The module itself, taking and giving flat tensors while the block runs.

    Its `forward` is replaced rather than the module wrapped, so that parameters and scopes keep their names.
    """
    forward = call.module.forward
    own = vars(call.module).get("forward")

    def flat(*tensors: torch.Tensor) -> Tensors:
        arguments = call.rebuild(tensors)
        return _outputs(forward(*arguments.args, **arguments.kwargs))[1]

    names = call.names  # exporters speak of the inputs by the names that they see here
    if not all(name.isidentifier() and not keyword.iskeyword(name) for name in names):
        names = [f"input_{place}" for place in range(len(names))]
    parameters = [inspect.Parameter(name, inspect.Parameter.POSITIONAL_ONLY) for name in names]
    flat.__signature__ = inspect.Signature(parameters)  # pyright: ignore[reportFunctionMemberAccess]
    vars(call.module)["forward"] = flat
    try:
        yield call.module
    finally:
        del vars(call.module)["forward"]
        if own is not None:
            vars(call.module)["forward"] = own
