"""The backend tests of the ONNX standard through the default recipe: models with inputs and expected outputs.

`python -m tests.parity.backend` runs all of them. What no oracle of ours can run, or where the oracles contradict the
expected outputs before anything is rewritten, is not supported; `--list FILE` writes these tests with their reasons.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx.backend.test
from onnx import numpy_helper
from onnx.backend.test.loader import load_model_tests
from onnx.reference import ReferenceEvaluator

from graphopt.data.sample import Sample
from graphopt.errors import GraphoptError
from graphopt.graph.load import from_proto
from graphopt.graph.save import to_bytes
from graphopt.graph.validate import violations
from graphopt.lang.tree import Rule
from graphopt.parity.model_interface import effective_interface
from graphopt.parity.runners import Runner
from graphopt.pipeline.manager import Manager
from graphopt.pipeline.passes import Context
from graphopt.pipeline.recipe import Recipe
from graphopt.processes import Lost, Say, in_processes
from graphopt.rewrite.library import load_rules

SETS = ("node", "simple", "pytorch-converted", "pytorch-operator")
LIGHT = Path(onnx.backend.test.__file__).parent / "data" / "light"


@dataclass(frozen=True)
class Verdict:
    """What came of one test.

    Attributes:
        kind: "same"; "failed"; "unsupported": nothing can be said.
        text: why.
        changed: whether the recipe changed the graph.
    """

    name: str
    kind: str
    text: str = ""
    changed: bool = False


def names() -> list[str]:
    """All tests, as set/name, in order."""
    return sorted(_cases())


def run(name: str, say: Say = lambda _: None) -> Verdict:
    """Run one test."""
    say("the original")
    case = _cases()[name]
    try:
        model, sets = _loaded(case)
    except Exception as error:
        return Verdict(name, "unsupported", f"it cannot be read: {_line(error)}")
    oracle, reason = _oracle(model, sets, case)
    if oracle is None:
        return Verdict(name, "unsupported", reason)
    say("compiling")
    try:
        after, changed = _compiled(model)
    except GraphoptError as error:
        return Verdict(name, "failed", f"it is refused: {_line(error)}")
    except Exception as error:
        return Verdict(name, "failed", f"{type(error).__name__}: {_line(error)}")
    if effective_interface(after) != effective_interface(model):
        return Verdict(name, "failed", "its interface is another one")
    say("the compiled model")
    for inputs, outputs in sets:
        try:
            found = oracle(after, inputs)
        except Exception as error:
            return Verdict(name, "failed", f"it does not run any more: {_line(error)}")
        wrong = _difference(outputs, found, case)
        if wrong is not None:
            return Verdict(name, "failed", wrong)
    return Verdict(name, "same", changed=changed)


@cache
def _cases() -> dict[str, Any]:
    found: dict[str, Any] = {}
    for kind in SETS:
        for case in _of_kind(kind):
            found[f"{kind}/{case.name}"] = case
    for path in sorted(LIGHT.glob("light_*.onnx")):
        found[f"light/{path.stem}"] = _Light(path)
    return found


@dataclass(frozen=True)
class _Light:
    """A network whose weights are made when it runs, and its expected output."""

    path: Path
    rtol: float = 1e-3
    atol: float = 1e-7


def _of_kind(kind: str) -> list[Any]:
    if kind != "node":
        return [c for c in load_model_tests(kind=kind) if c.model_dir is not None or c.model is not None]
    from onnx.backend.test.case.node import collect_testcases

    return list(collect_testcases(None))  # pyright: ignore[reportArgumentType]


Arrays = dict[str, Any]


def _loaded(case: Any) -> tuple[onnx.ModelProto, list[tuple[Arrays, list[Any]]]]:
    """The model, and for each data set inputs by name and expected outputs in order."""
    if isinstance(case, _Light):
        return _loaded_light(case)
    if case.model is not None:
        model = case.model
        sets = [(_named(model, _plain(inputs)), _plain(outputs)) for inputs, outputs in case.data_sets]
        return model, sets
    folder = Path(case.model_dir)
    model = onnx.load(folder / "model.onnx" if folder.is_dir() else folder)
    found: list[tuple[Arrays, list[Any]]] = []
    for data in sorted(folder.glob("test_data_set_*")) if folder.is_dir() else []:
        values = {kind: _read(data, kind, getattr(model.graph, kind)) for kind in ("input", "output")}
        found.append((_named(model, values["input"]), values["output"]))
    return model, found


def _loaded_light(case: _Light) -> tuple[onnx.ModelProto, list[tuple[Arrays, list[Any]]]]:
    """The inputs are those for which the standard's own runner has kept the outputs: 0 to 1 in steps."""
    model = onnx.load(case.path)
    weights = {t.name for t in model.graph.initializer}
    feeds: Arrays = {}
    for value in model.graph.input:
        if value.name not in weights:
            shape = [d.dim_value or 1 for d in value.type.tensor_type.shape.dim]
            count = int(np.prod(shape))
            feeds[value.name] = (np.arange(count).astype(np.float32) / count).reshape(shape)
    outputs = sorted(case.path.parent.glob(f"{case.path.stem}_output_*.pb"))
    expected = [numpy_helper.to_array(onnx.TensorProto.FromString(p.read_bytes())) for p in outputs]
    return model, [(feeds, expected)]


def _plain(values: Any) -> list[Any]:
    """Arrays, where the standard gives protos for what numpy lacks."""
    return [numpy_helper.to_array(v) if isinstance(v, onnx.TensorProto) else v for v in values]


def _named(model: onnx.ModelProto, inputs: list[Any]) -> Arrays:
    return {value.name: array for value, array in zip(model.graph.input, inputs, strict=False)}


def _read(folder: Path, kind: str, declared: Any) -> list[Any]:
    files = sorted(folder.glob(f"{kind}_*.pb"), key=lambda p: int(p.stem.rsplit("_", 1)[1]))
    return [_value(path.read_bytes(), d.type.WhichOneof("value")) for path, d in zip(files, declared, strict=False)]


def _value(raw: bytes, kind: str) -> Any:
    if kind == "sequence_type":
        return numpy_helper.to_list(onnx.SequenceProto.FromString(raw))
    if kind == "optional_type":
        return numpy_helper.to_optional(onnx.OptionalProto.FromString(raw))
    return numpy_helper.to_array(onnx.TensorProto.FromString(raw))


# --- oracles ---


def _oracle(model: onnx.ModelProto, sets: list[tuple[Arrays, list[Any]]], case: Any) -> tuple[Any, str]:
    """The first way of running the original that gives what is expected; else why there is none."""
    if not sets:
        return None, "it has no data"
    reasons: list[str] = []
    for label, oracle in (("ONNX Runtime", _by_onnxruntime), ("the reference evaluator", _by_reference)):
        try:
            wrong = next(
                (w for inputs, outputs in sets if (w := _difference(outputs, oracle(model, inputs), case))), None
            )
        except Exception as error:
            reasons.append(f"{label}: {_line(error)}")
            continue
        if wrong is None:
            return oracle, ""
        reasons.append(f"{label}: {wrong}")
    return None, "; ".join(reasons)


def _by_onnxruntime(model: onnx.ModelProto, inputs: Arrays) -> list[Any]:
    with Runner(model.SerializeToString(), "the model") as runner:
        found = runner.run(Sample("one", dict(inputs)))
    return [found[o.name] for o in model.graph.output]


def _by_reference(model: onnx.ModelProto, inputs: Arrays) -> list[Any]:
    with np.errstate(all="ignore"):
        return list(ReferenceEvaluator(model).run(None, dict(inputs)))


def _difference(expected: list[Any], found: list[Any], case: Any) -> str | None:
    """What is not as expected, by the standard's own tolerances (for results in other types: equality)."""
    if len(expected) > len(found):
        return f"{len(found)} outputs, where {len(expected)} are expected"
    for number, (left, right) in enumerate(zip(expected, found, strict=False)):
        wrong = _apart(left, right, case)
        if wrong is not None:
            return f"output {number}: {wrong}"
    return None


def _apart(left: Any, right: Any, case: Any) -> str | None:
    if isinstance(left, list):
        if not isinstance(right, list) or len(left) != len(right):
            return "another length"
        return next((w for a, b in zip(left, right, strict=True) if (w := _apart(a, b, case))), None)
    if left is None or right is None:
        return None if left is right else "one is absent"
    a, b = np.asarray(left), np.asarray(right)
    if a.shape != b.shape or a.dtype != b.dtype:
        return f"{a.dtype}{list(a.shape)} became {b.dtype}{list(b.shape)}"
    if a.dtype.kind in "OUSb":
        return None if np.array_equal(a, b) else "it differs"
    wide = np.complex128 if a.dtype.kind == "c" else np.float64
    close = np.allclose(b.astype(wide), a.astype(wide), rtol=case.rtol, atol=case.atol, equal_nan=True)
    return None if close else "it differs by more than the standard allows"


# --- compiling ---


@cache
def _rules() -> tuple[Rule, ...]:
    return tuple(load_rules())


def _compiled(proto: onnx.ModelProto) -> tuple[onnx.ModelProto, bool]:
    model = from_proto(onnx.ModelProto.FromString(proto.SerializeToString()))
    manager = Manager(model, Context(_rules(), source_bytes=model.weight_bytes()), None, "end")
    manager.run(Recipe.load("default"))
    model.sort()
    complaints = list(violations(model, effective_interface(proto)))
    assert not complaints, complaints[0]
    return onnx.ModelProto.FromString(to_bytes(model)), any(r.modified for r in manager.records)


def _line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:160]


# --- all of them ---


def verdicts(chosen: list[str], jobs: int) -> Iterator[Verdict]:
    """What comes of each test, in the order in which they are done."""
    for name, found in in_processes(chosen, run, jobs=jobs, seconds=300):
        if isinstance(found, Lost):
            kind = "unsupported" if found.phase == "the original" else "failed"
            yield Verdict(name, kind, f"{found.reason}, at: {found.phase}")
        else:
            yield found


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.parity.backend", description=__doc__)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--filter", default="", help="a part of the name")
    parser.add_argument("--list", type=Path, help="a TOML file for what is not supported, and why")
    arguments = parser.parse_args()
    started = time.monotonic()
    found = [v for v in verdicts([n for n in names() if arguments.filter in n], arguments.jobs) if _told(v)]
    kinds = Counter(v.kind for v in found)
    left = {v.name: v.text for v in sorted(found, key=lambda v: v.name) if v.kind == "unsupported"}
    if arguments.list is not None:
        lines = [f'"{name}" = {_quoted(text)}' for name, text in left.items()]
        arguments.list.write_text("\n".join(["[unsupported]", *lines, ""]), encoding="utf-8")
    changed = sum(v.changed for v in found)
    print(", ".join(f"{kind}: {count}" for kind, count in sorted(kinds.items())))
    print(f"{changed} changed by the recipe; {time.monotonic() - started:.0f} s")
    return 1 if kinds["failed"] else 0


def _told(verdict: Verdict) -> bool:
    if verdict.kind == "failed":
        print(f"{verdict.name}: {verdict.text}", flush=True)
    return True


def _quoted(text: str) -> str:
    clean = " ".join(text.split()).replace("\\", "/").replace('"', "'")
    return f'"{clean}"'


if __name__ == "__main__":
    sys.exit(main())
