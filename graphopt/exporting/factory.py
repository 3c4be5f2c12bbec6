"""From `package.module:factory` to what it gives, with one clear error for each way in which that can fail."""

from __future__ import annotations

import contextlib
import importlib
import pkgutil
import sys
from collections.abc import Generator, Mapping
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, cast

from graphopt.errors import ExportError, GraphoptError, UsageError, did_you_mean
from graphopt.exporting.exportable import Exportable
from graphopt.exporting.user_code import user_line

if TYPE_CHECKING:
    import torch

RETURNS = "return Exportable(module, args, ...), (module, args) or (module, args, kwargs)"


def from_factory(target: str, inputs: str | None = None) -> Exportable:
    """Call the factory that `target` names.

    Args:
        target: `package.module:factory`; the part after the colon may be dotted, and may be a module itself.
        inputs: the same for a factory of example inputs, where the first gives a bare module.

    Raises:
        UsageError: the name is not of that form, or names nothing.
        ExportError: the user's code raised, or returned what is no export.
    """
    made = _made(target)
    call = None if inputs is None else _call_of(_made(inputs), inputs)
    return _exportable(made, target, call)


def _made(target: str) -> object:
    module_name, attribute = _parts(target)
    with _user_code_runs(f"importing {module_name} failed"):
        module = _import(module_name)
    found = _find(module, module_name, attribute)
    if _is_module(found):
        return found
    if not callable(found):
        raise UsageError(f"{target} is of type {type(found).__name__}, which is neither a factory nor a torch module")
    with _user_code_runs(f"the factory {target} failed"):
        return found()


def _parts(target: str) -> tuple[str, str]:
    module, colon, attribute = target.partition(":")
    path = Path(module)
    if path.suffix == ".py" and not path.is_absolute():
        written = f"{'.'.join(path.with_suffix('').parts)}:{attribute or 'factory'}"
        raise UsageError(f"{target!r} names a file, not a Python module", help=f"write {written}")
    if colon and all(part.isidentifier() for part in (*module.split("."), *attribute.split("."))):
        return module, attribute
    raise UsageError(f"{target!r} names no factory", help="write package.module:factory, such as nets.small:make")


def _import(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        missing = error.name or ""
        if missing != name and not name.startswith(f"{missing}."):
            raise
        folder, _, module = missing.rpartition(".")
        raise UsageError(
            f"there is no Python module {module!r}{f' in {folder}' if folder else ''}",
            where=name if missing != name else None,
            help=did_you_mean(module, _siblings(missing)) or "run it in the folder that the module lies in",
        ) from None


def _siblings(missing: str) -> list[str]:
    parent = missing.rpartition(".")[0]
    folders = getattr(sys.modules.get(parent), "__path__", []) if parent else [str(Path.cwd())]
    return [found.name for found in pkgutil.iter_modules(list(folders))]


def _find(module: ModuleType, module_name: str, attribute: str) -> object:
    found: object = module
    path = module_name
    for part in attribute.split("."):
        inside = found
        found = getattr(inside, part, None)
        if found is None:
            names = [n for n in dir(inside) if not n.startswith("_")]
            raise UsageError(f"{path} has no {part!r}", help=did_you_mean(part, names))
        path = f"{path}.{part}"
    return found


@contextlib.contextmanager
def _user_code_runs(what: str) -> Generator[None]:
    """The user's code leaves standard output alone, and its faults are its own."""
    try:
        with contextlib.redirect_stdout(sys.stderr):
            yield
    except (GraphoptError, KeyboardInterrupt):
        raise
    except BaseException as error:  # SystemExit included: a factory may not end the compiler
        text = f": {error}" if str(error) else ""
        raise ExportError(f"{what}: {type(error).__name__}{text}", where=user_line(error)) from error


def _is_module(found: object) -> bool:
    import torch

    return isinstance(found, torch.nn.Module)


def _exportable(made: Any, target: str, call: _Call | None) -> Exportable:
    if _is_module(made):
        return _with_inputs(cast("torch.nn.Module", made), target, call)
    if call is not None:
        raise UsageError(
            f"{target} gives example inputs of its own, and --inputs names others",
            help="leave out --inputs, or let the factory return the module alone",
        )
    if isinstance(made, Exportable):
        if not _is_module(made.module):
            raise _wrong(target, f"an Exportable whose module is of type {type(made.module).__name__}")
        return made
    if isinstance(made, tuple) and len(cast("tuple[Any, ...]", made)) in (2, 3):
        first, *rest = cast("tuple[Any, ...]", made)
        if not _is_module(first):
            raise _wrong(target, f"a tuple that begins with {type(first).__name__}, not with a torch module")
        return Exportable(first, *_call_of(rest[0] if len(rest) == 1 else tuple(rest), target, split=len(rest) == 2))
    raise _wrong(target, _described(made))


def _described(made: Any) -> str:
    if isinstance(made, tuple):
        return f"a tuple of {len(cast('tuple[Any, ...]', made))}"
    return "nothing" if made is None else f"{type(made).__name__}"


def _wrong(target: str, got: str) -> ExportError:
    return ExportError(f"the factory {target} returned {got}", help=RETURNS)


def _with_inputs(module: torch.nn.Module, target: str, call: _Call | None) -> Exportable:
    if call is None:
        # Lightning's convention, kept by many modules for just this purpose.
        given = getattr(module, "example_input_array", None)
        if given is None:
            raise ExportError(
                f"the factory {target} returned a module without example inputs",
                help=f"{RETURNS}, or name a factory of inputs with --inputs",
            )
        call = _call_of(given, f"example_input_array of {target}")
    return Exportable(module, *call)


_Call = tuple[tuple[Any, ...], Mapping[str, Any]]


def _call_of(given: Any, target: str, *, split: bool = False) -> _Call:
    """The positional and keyword arguments that a tensor, a list, a dict or (list, dict) stands for."""
    import torch

    if split:
        args, kwargs = cast("tuple[Any, Any]", given)
        if not isinstance(args, (tuple, list)) or not isinstance(kwargs, Mapping):
            raise ExportError(
                f"the example inputs of {target} are {_kind(args)} and {_kind(kwargs)}",
                help="give positional arguments as a tuple and keyword arguments as a dict",
            )
        return tuple(cast("list[Any]", args)), cast("Mapping[str, Any]", kwargs)
    if isinstance(given, torch.Tensor):
        return (given,), {}
    if isinstance(given, Mapping):
        return (), cast("Mapping[str, Any]", given)
    if isinstance(given, (tuple, list)):
        return tuple(cast("list[Any]", given)), {}
    raise ExportError(
        f"the example inputs of {target} are of type {_kind(given)}",
        help="give a tensor, a tuple of positional arguments, or a dict of keyword arguments",
    )


def _kind(given: Any) -> str:
    return type(given).__name__
