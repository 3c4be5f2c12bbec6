"""A suite's cases: each model with each recipe, target, data source and set of shapes."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Any, cast

import onnx

from graphopt.errors import GraphoptError, UsageError
from graphopt.suite.definition import Entry, Expectations, Labels, Metric, Suite


@dataclass(frozen=True)
class Case:
    """One model, compiled one way.

    Attributes:
        name: entry/model/recipe/target, and the numbers of shapes and data where there are several.
        model: a file, or FILE.py:FUNCTION.
        folder: of the suite; what it names is found from there.
    """

    name: str
    model: str
    folder: Path
    recipe: str
    target: str
    data: str | None
    shapes: tuple[tuple[str, str], ...]
    rules: tuple[str, ...]
    contract: str | None
    samples: int | None
    expect: Expectations
    metrics: tuple[Metric, ...]
    labels: Labels | None

    @property
    def shape_options(self) -> list[str]:
        return [f"{name}={shape}" for name, shape in self.shapes]


def cases_of(suite: Suite, folder: Path, pattern: str | None = None) -> list[Case]:
    """All cases of a suite in a stable order; with a pattern, those whose name holds it, or fits it as a glob.

    Raises:
        UsageError: a path or glob finds no model.
    """
    found = [case for entry in suite.entry for case in _of_entry(entry, folder)]
    taken: set[str] = set()
    for case in found:
        if case.name in taken:
            raise UsageError(f"two cases are called {case.name}", help="give their entries different names")
        taken.add(case.name)
    return [c for c in found if pattern is None or pattern in c.name or fnmatch(c.name, pattern)]


def _of_entry(entry: Entry, folder: Path) -> Iterator[Case]:
    sources = [source for model in entry.models for source in _models(model, folder, entry.name)]
    shapes = entry.shapes or [{}]
    data = entry.data or [None]
    for source in sources:
        for recipe in entry.recipes:
            for target in entry.targets:
                for s, shape in enumerate(shapes):
                    for d, one in enumerate(data):
                        more = [f"shapes{s}"] if len(shapes) > 1 else []
                        more += [f"data{d}"] if len(data) > 1 else []
                        name = "/".join([entry.name, _stem(source), Path(recipe).stem, target, *more])
                        yield Case(
                            name,
                            source,
                            folder,
                            _relative(recipe, folder, ".toml"),
                            target,
                            None if one is None else str(folder / one),
                            tuple(sorted(shape.items())),
                            tuple(str(folder / rule) for rule in entry.rules),
                            entry.contract,
                            entry.samples,
                            entry.expect,
                            tuple(entry.metrics),
                            entry.labels,
                        )


_FACTORY = re.compile(r"^(?P<file>.+\.py):(?P<function>\w+)$")


def _stem(source: str) -> str:
    found = _FACTORY.match(source)
    return found["function"] if found else Path(source).stem


def _relative(name: str, folder: Path, suffix: str) -> str:
    return str(folder / name) if name.endswith(suffix) else name


def _models(model: str, folder: Path, entry: str) -> list[str]:
    where = f"entry {entry}"
    factory = _FACTORY.match(model)
    if factory is not None:
        if not (folder / factory["file"]).is_file():
            raise UsageError(f"there is no file {factory['file']}", where=where)
        return [f"{folder / factory['file']}:{factory['function']}"]
    path = folder / model
    if path.is_file():
        return [str(path)]
    root, pattern = (Path(path.anchor), str(path.relative_to(path.anchor))) if path.is_absolute() else (Path(), model)
    found = sorted(str(p) for p in root.glob(pattern) if p.is_file())
    if not found:
        raise UsageError(f"{model} finds no model", where=where)
    return found


def provide(source: str, folder: Path) -> Path:
    """The model file of a case; what a factory makes is written into the folder.

    Raises:
        UsageError: the factory fails, or gives what is no model.
    """
    factory = _FACTORY.match(source)
    if factory is None:
        return Path(source)
    made = call(source)
    path = folder / f"{factory['function']}.onnx"
    if isinstance(made, onnx.ModelProto):
        path.write_bytes(made.SerializeToString(deterministic=True))
        return path
    if isinstance(made, (str, Path)):
        return Path(made)
    if isinstance(made, tuple) and len(cast("tuple[Any, ...]", made)) == 2:
        from graphopt.exporting.job import export

        module, args = cast("tuple[Any, tuple[Any, ...]]", made)
        export(module, args, path)
        return path
    raise UsageError(
        f"{source} gave what is no model: {cast('object', made)!r:.80}",
        help="give an onnx.ModelProto, a path, or (torch module, inputs)",
    )


def call(reference: str, *arguments: Any) -> Any:
    """Call FILE.py:FUNCTION, which is the user's own code.

    Raises:
        UsageError: there is no such function, or it fails.
    """
    found = _FACTORY.match(reference)
    if found is None:
        raise UsageError(f"{reference} is no function", help="write FILE.py:FUNCTION")
    spec = importlib.util.spec_from_file_location(f"_suite_{abs(hash(found['file']))}", found["file"])
    if spec is None or spec.loader is None:
        raise UsageError(f"cannot read {found['file']}")
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
        return getattr(module, found["function"])(*arguments)
    except GraphoptError:
        raise
    except Exception as error:  # the user's code may raise anything
        raise UsageError(f"{reference} failed: {type(error).__name__}: {error}") from error
