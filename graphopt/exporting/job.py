"""Exporting a torch module once: from the cache where the same was exported before, else anew and checked."""

from __future__ import annotations

import importlib
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from graphopt.errors import BackendError, ExportError, OutputError, UsageError
from graphopt.exporting.exportable import DynamicShapes, Exportable
from graphopt.exporting.result import ExportResult
from graphopt.progress import SILENT, Progress

if TYPE_CHECKING:
    import torch

    from graphopt.exporting.attempt import Made
    from graphopt.exporting.cache import Cache, Entry
    from graphopt.exporting.call import Call

Exporter = Literal["auto", "dynamo", "legacy"]

_TRIED: dict[Exporter, tuple[str, ...]] = {"auto": ("dynamo", "legacy"), "dynamo": ("dynamo",), "legacy": ("legacy",)}

OLDEST_OPSET = 7


def export(
    module: torch.nn.Module,
    args: tuple[Any, ...],
    path: str | Path,
    *,
    kwargs: Mapping[str, Any] | None = None,
    dynamic_shapes: DynamicShapes | None = None,
    input_names: Sequence[str] | None = None,
    output_names: Sequence[str] | None = None,
    opset: int | None = None,
    exporter: Exporter = "auto",
    cache: bool = True,
    cache_dir: str | Path | None = None,
    progress: Progress = SILENT,
) -> ExportResult:
    """Export a torch module to an ONNX file that gives the module's own outputs.

    The module is exported in evaluation mode, and left as it was. The file appears whole or not at all.

    Args:
        module, args, kwargs, dynamic_shapes, input_names, output_names, opset: see `Exportable`.
        path: the file to write; weights of more than 2 GB go into `path` + ".data" beside it.
        exporter: `dynamo`, `legacy`, or `auto`: dynamo, and legacy where dynamo does not manage.
        cache: whether to take the model from the cache if the same was exported before, and to keep it there.
        cache_dir: the cache to use instead of $GRAPHOPT_CACHE or the user's cache folder.
        progress: what shows the work.

    Raises:
        BackendError: torch is not installed.
        ExportError: the module could not be exported.
        ParityError: it was, and the model's outputs differ from the module's.
        OutputError: the file could not be written.
        UsageError: names, dynamic shapes or the opset cannot be meant.
    """
    require_torch()
    exportable = Exportable(module, args, kwargs, dynamic_shapes, input_names, output_names, opset)
    return export_exportable(exportable, path, exporter=exporter, cache=cache, cache_dir=cache_dir, progress=progress)


def require_torch() -> None:
    """Raises BackendError without torch."""
    try:
        importlib.import_module("torch")
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        raise BackendError(
            "exporting needs torch, which is not installed", help="pip install 'graphopt[torch]'"
        ) from None
    except (ImportError, OSError) as error:
        raise BackendError(f"torch is installed, and cannot be loaded: {error}", help="install it again") from error


def export_exportable(
    exportable: Exportable,
    path: str | Path,
    *,
    origins: Sequence[str] = (),
    exporter: Exporter = "auto",
    cache: bool = True,
    cache_dir: str | Path | None = None,
    progress: Progress = SILENT,
) -> ExportResult:
    """`export` of what a factory gave; `origins` are the Python modules of the factories."""
    from graphopt.caches import cache_root
    from graphopt.exporting.cache import Cache
    from graphopt.exporting.call import flatten
    from graphopt.exporting.dynamic import checked

    path = _writable(Path(path))
    exporters = _TRIED[exporter_named(exporter)]
    _check_opset(exportable.opset)
    call = flatten(exportable)
    dynamic = checked(exportable.dynamic_shapes, call)
    shelf = Cache(cache_root(Path(cache_dir) if cache_dir is not None else None)) if cache else None
    return _Job(exportable, call, dynamic, exporters, origins, path, shelf, progress).run()


def _writable(path: Path) -> Path:
    if path.is_dir():
        raise OutputError(f"cannot write {path}: it is a folder", help="name the file to write, such as model.onnx")
    if not path.parent.is_dir():
        raise OutputError(f"cannot write {path}: there is no folder {path.parent}", help="make it, or name another")
    return path


def exporter_named(text: str) -> Exporter:
    """The exporter of that name.

    Raises:
        UsageError: there is none.
    """
    for name in _TRIED:
        if name == text:
            return name
    raise UsageError(f"there is no exporter {text!r}", help=f"choose {', '.join(_TRIED)}")


def _check_opset(opset: int | None) -> None:
    from onnx.defs import onnx_opset_version

    if opset is not None and not OLDEST_OPSET <= opset <= onnx_opset_version():
        newest = onnx_opset_version()
        raise UsageError(f"opset {opset} cannot be exported", help=f"choose one from {OLDEST_OPSET} to {newest}")


class _Job:
    def __init__(
        self,
        exportable: Exportable,
        call: Call,
        dynamic: dict[str, dict[int, str]],
        exporters: tuple[str, ...],
        origins: Sequence[str],
        path: Path,
        shelf: Cache | None,
        progress: Progress,
    ) -> None:
        self._exportable = exportable
        self._call = call
        self._dynamic = dynamic
        self._exporters = exporters
        self._origins = origins
        self._path = path
        self._shelf = shelf
        self._progress = progress
        self._note: str | None = None

    def run(self) -> ExportResult:
        with self._progress.task(f"look for {self._call.title} in the cache"):
            key = self._key() if self._shelf else None
            entry = self._find(key) if key is not None else None
        if entry is not None:
            publish(entry.model, self._path)
            return self._result(key, entry.record, cached=True)
        try:
            folder = tempfile.TemporaryDirectory(prefix=f".{self._path.name}.", dir=self._path.parent)
        except OSError as error:
            raise OutputError(f"cannot write {self._path}: {error.strerror}") from None
        with folder as name:
            made = self._make(Path(name))
            record = _record(made)
            if key is not None:
                self._keep(key, made.path, record)
            publish(made.path, self._path)
        return self._result(key, record, cached=False)

    def _key(self) -> str | None:
        from graphopt.exporting.fingerprint import CannotTell
        from graphopt.exporting.key import export_key

        try:
            return export_key(self._exportable, self._call, self._dynamic, self._exporters, self._origins)
        except CannotTell as error:
            self._note = f"not kept: {error}"
            return None

    def _find(self, key: str) -> Entry | None:
        from graphopt.exporting.cache import Damaged

        assert self._shelf is not None
        try:
            return self._shelf.find(key)
        except Damaged as error:
            self._note = f"a damaged entry was replaced: {error}"
            self._shelf.drop(key)
            return None

    def _keep(self, key: str, model: Path, record: Mapping[str, Any]) -> None:
        assert self._shelf is not None
        try:
            self._shelf.put(key, model, record)
        except OSError as error:
            self._note = f"not kept: the cache cannot be written: {error.strerror or error}"

    def _make(self, folder: Path) -> Made:
        from graphopt.exporting.attempt import Maker
        from graphopt.exporting.call import example_outputs
        from graphopt.exporting.exporters import Order
        from graphopt.exporting.noise import Noise, caught

        noise = Noise()
        try:
            with self._progress.task(f"run {self._call.title} on its example"), caught(noise):
                wanted = example_outputs(self._call, self._exportable.output_names)
                order = Order(tuple(wanted), self._dynamic, self._exportable.opset)
                maker = Maker(self._call, wanted, order, folder, self._progress)
        except ExportError as error:
            if noise.text:
                error.add_note(noise.text)
            raise
        return maker.make(self._exporters)

    def _result(self, key: str | None, record: Mapping[str, Any], *, cached: bool) -> ExportResult:
        from graphopt.graph.digest import sha256_of

        return ExportResult(
            path=self._path,
            exporter=record["exporter"],
            fallback=record["fallback"],
            cached=cached,
            cache_note=self._note,
            key=key,
            opset=record["opset"],
            inputs=tuple(record["inputs"]),
            outputs=tuple(record["outputs"]),
            comparison=record["comparison"],
            warnings=tuple(record["warnings"]),
            sha256=sha256_of(self._path),
        )


def _record(made: Made) -> dict[str, Any]:
    """What the cache keeps of an export beside its model, in plain values."""
    return {
        "exporter": made.exporter,
        "fallback": made.fallback,
        "opset": made.opset,
        "inputs": list(made.inputs),
        "outputs": list(made.outputs),
        "comparison": made.comparison.to_json(),
        "warnings": list(made.warnings),
    }


def publish(model: Path, path: Path) -> None:
    """Put a model where the user wants it, with the data beside it under the name that goes with it.

    Raises:
        OutputError: the folder cannot be written, or the disk is full.
    """
    from graphopt.graph.files import whole_file
    from graphopt.graph.load import load
    from graphopt.graph.save import save

    if model.with_name(f"{model.name}.data").exists():
        save(load(model), path)
        return
    with model.open("rb") as source, whole_file(path) as target:
        shutil.copyfileobj(source, target)


def with_options(exportable: Exportable, dynamic: Mapping[str, Mapping[int, str]], opset: int | None) -> Exportable:
    """What the command line says goes before what the factory says, input by input."""
    shapes = {**(exportable.dynamic_shapes or {}), **dynamic}
    return replace(exportable, dynamic_shapes=shapes, opset=opset if opset is not None else exportable.opset)
