"""The key of an export: all that its result can hang on, in one sha256."""

from __future__ import annotations

import hashlib
import importlib.metadata
import platform
from collections.abc import Mapping, Sequence

import torch

from graphopt.exporting.call import Call
from graphopt.exporting.exportable import Exportable
from graphopt.exporting.fingerprint import CannotTell, Fingerprint

SCHEMA = 1
"""Raised whenever the same input is written differently, or an entry of the cache has other fields."""


def export_key(
    exportable: Exportable,
    call: Call,
    dynamic: Mapping[str, Mapping[int, str]],
    exporters: Sequence[str],
    origins: Sequence[str],
) -> str:
    """The key, 64 hexadecimal digits.

    Args:
        exportable, call, dynamic: the module, its example, and the dynamic axes of that.
        exporters: the exporters that may be tried, in order.
        origins: Python modules that the factories lie in.

    Raises:
        CannotTell: something that matters has content that cannot be seen.
    """
    prints = Fingerprint()
    prints.add("schema", SCHEMA)
    prints.add("environment", _environment())
    prints.add("options", (tuple(exporters), exportable.opset, call.names, tuple(exportable.output_names or ())))
    prints.add("dynamic", {name: dict(axes) for name, axes in dynamic.items()})
    prints.add("settings", _settings())
    prints.add("inputs", (exportable.args, dict(exportable.kwargs or {})))
    for origin in origins:
        prints.sources.add(origin)
    try:
        prints.add(call.title, call.module)
        return prints.digest()
    except RecursionError:
        raise CannotTell(f"{call.title} is nested too deeply") from None


def _environment() -> str:
    """One digest of Python's version and of every package installed: any of them can change what is exported."""
    packages = {(found.metadata["Name"] or "", found.version) for found in importlib.metadata.distributions()}
    return hashlib.sha256(repr((platform.python_version(), sorted(packages))).encode()).hexdigest()


def _settings() -> tuple[str, ...]:
    """What torch is set to that shows in new tensors and in the choice of kernels."""
    return (
        str(torch.get_default_dtype()),
        str(torch.get_default_device()),
        str(torch.backends.mha.get_fastpath_enabled()),
    )
