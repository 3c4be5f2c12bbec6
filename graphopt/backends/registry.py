"""Backends by the name of their target. Nothing is imported before it is asked for."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import EntryPoint, entry_points

from graphopt.backends.base import Backend
from graphopt.errors import BackendError, UsageError, did_you_mean

ENTRY_POINTS = "graphopt.backends"


def _onnxruntime() -> Backend:
    from graphopt.backends.onnxruntime import OnnxRuntime

    return OnnxRuntime()


def _tensorrt() -> Backend:
    from graphopt.backends.tensorrt import TensorRT

    return TensorRT("tensorrt")


def _tensorrt_rtx() -> Backend:
    from graphopt.backends.tensorrt import TensorRT

    return TensorRT("tensorrt-rtx")


BUILT_IN: dict[str, Callable[[], Backend]] = {
    "onnxruntime": _onnxruntime,
    "tensorrt": _tensorrt,
    "tensorrt-rtx": _tensorrt_rtx,
}


def names() -> tuple[str, ...]:
    """Every target that can be asked for, sorted; those of third parties are entry points `graphopt.backends`."""
    return tuple(sorted({*BUILT_IN, *_foreign()}))


def get(name: str) -> Backend:
    """The backend of a target. Ours win over an entry point of the same name.

    Raises:
        UsageError: there is no such target.
        BackendError: a third party's backend cannot be loaded.
    """
    if name in BUILT_IN:
        return BUILT_IN[name]()
    found = _foreign().get(name)
    if found is not None:
        return _load(found)
    raise UsageError(
        f"there is no target {name!r}; the targets are {', '.join(names())}", help=did_you_mean(name, names())
    )


def _foreign() -> dict[str, EntryPoint]:
    return {point.name: point for point in entry_points(group=ENTRY_POINTS)}


def _load(point: EntryPoint) -> Backend:
    """An entry point names a callable without arguments that returns a Backend (a class will do)."""
    try:
        return point.load()()
    except Exception as error:  # foreign code may raise anything; a traceback would read as a fault of ours
        raise BackendError(
            f"the backend {point.name!r} cannot be loaded: {error}",
            where=f"entry point {point.value}",
            help=f"update or uninstall {point.dist.name}" if point.dist else None,
        ) from error
