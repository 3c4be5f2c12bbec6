"""What a suite says: models, recipes, targets, data, shapes, and what must hold. TOML, checked to the last key."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from graphopt.errors import UsageError, did_you_mean
from graphopt.parity.contract import Contract


def _kebab(name: str) -> str:
    return name.replace("_", "-")


class _Strict(BaseModel):
    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, alias_generator=_kebab, populate_by_name=False, allow_inf_nan=False
    )


Share = Annotated[float, Field(ge=-1, le=1)]
Size = Annotated[float, Field(ge=0)]


class Expectations(_Strict):
    """What must hold of a compiled model. None leaves it open.

    Attributes:
        max_abs, max_rel: largest difference of an output, absolute and relative to its scale.
        min_sqnr, min_cosine: smallest signal-to-noise ratio (dB) and cosine of an output.
        min_top1_agreement: least share of rows of the first output whose largest element is the same one.
        max_nodes, max_macs, max_bytes: of the compiled model; bytes are those of its files.
        max_latency_ratio: compiled by original, medians of one run after the other.
        build: whether what the target builds has to be there.
    """

    max_abs: Size | None = None
    max_rel: Size | None = None
    min_sqnr: float | None = None
    min_cosine: Share | None = None
    min_top1_agreement: Share | None = None
    max_nodes: Annotated[int, Field(ge=0)] | None = None
    max_macs: Annotated[int, Field(ge=0)] | None = None
    max_bytes: Annotated[int, Field(ge=0)] | None = None
    max_latency_ratio: Size | None = None
    build: bool = True


class Metric(_Strict):
    """A figure of the user's: a function of a Python file, which takes the original's and the compiled model's outputs
    (lists of dicts of arrays, a dict a sample) and gives a number."""

    name: str
    use: str
    min: float | None = None
    max: float | None = None


class Labels(_Strict):
    """The right classes of the data, and how many of them the compiled model must find.

    Attributes:
        file: .npy of whole numbers, one a row of the samples, in their order.
        output: the output that holds a number for each class; None: the first one.
        min_top1, min_top5: least shares of rows whose class is the first one, or among the first five.
        min_f1, min_precision, min_recall: least means over the classes.
        max_drop: by how much the compiled model's top-1 may be below the original's.
    """

    file: str
    output: str | None = None
    min_top1: Share | None = None
    min_top5: Share | None = None
    min_f1: Share | None = None
    min_precision: Share | None = None
    min_recall: Share | None = None
    max_drop: Share | None = None


class Entry(_Strict):
    """Models, and everything that each of them is tried with.

    Attributes:
        models: paths and globs, relative to the suite's folder, or FILE.py:FUNCTION, which gives an onnx.ModelProto, a
            path, or a torch module with example inputs.
        data: sources as `graphopt compile --data` takes them; without any, inputs are made.
        shapes: for each, shapes of inputs by name, as `--shape` takes them.
        contract: what the result is held to; None: what the passes promise.
        samples: as `--samples`.
    """

    name: str
    models: Annotated[list[str], Field(min_length=1)]
    recipes: Annotated[list[str], Field(min_length=1)] = ["default"]
    targets: Annotated[list[str], Field(min_length=1)] = ["onnxruntime"]
    data: list[str] = []
    shapes: list[dict[str, str]] = []
    rules: list[str] = []
    contract: str | None = None
    samples: Annotated[int, Field(ge=1)] | None = None
    expect: Expectations = Expectations()
    metrics: list[Metric] = []
    labels: Labels | None = None


class Suite(_Strict):
    """A file of entries."""

    description: str = ""
    entry: Annotated[list[Entry], Field(min_length=1)]


def load_suite(path: Path) -> Suite:
    """Read a suite.

    Raises:
        UsageError: there is no such file, it is not TOML, or it says what it cannot.
    """
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UsageError(f"there is no suite {path}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"cannot read the suite {path}: {error}") from None
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"the suite is not TOML: {error}", where=str(path)) from None
    try:
        suite = Suite.model_validate(content)
    except ValidationError as error:
        raise _refused(error, path) from None
    _check(suite, path)
    return suite


def _check(suite: Suite, path: Path) -> None:
    seen: set[str] = set()
    for entry in suite.entry:
        if entry.name in seen:
            raise UsageError(f"two entries are called {entry.name!r}", where=str(path))
        seen.add(entry.name)
        if entry.contract is not None:
            try:
                Contract.parse(entry.contract)
            except UsageError as error:
                raise UsageError(error.message, where=f"{path}, entry {entry.name}", help=error.help) from None
        if entry.labels is not None and not entry.data:
            raise UsageError(
                "labels are of data, and there is none", where=f"{path}, entry {entry.name}", help="give data"
            )


def _refused(error: ValidationError, path: Path) -> UsageError:
    first = error.errors()[0]
    place = [str(p) for p in first["loc"]]
    where = f"{path}, {'.'.join(place[:-1])}" if place[:-1] else str(path)
    if first["type"] == "extra_forbidden":
        known = _keys(place[:-1])
        hint = did_you_mean(place[-1], known) or f"known: {', '.join(known)}"
        return UsageError(f"a suite has no key {place[-1]!r} here", where=where, help=hint)
    return UsageError(f"{place[-1] if place else 'the suite'}: {first['msg']}", where=where)


def _keys(place: list[str]) -> list[str]:
    """The keys that are known at a place."""
    model: Any = Suite
    by_key: dict[str, Any] = {"entry": Entry, "expect": Expectations, "metrics": Metric, "labels": Labels}
    for part in place:
        model = by_key.get(part, model)
    return [_kebab(name) for name in model.model_fields]
