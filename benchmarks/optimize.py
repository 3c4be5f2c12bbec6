"""How small models become, next to the peers, tool by tool in one run: nodes, bytes, time, memory, and the numbers.

    python benchmarks/optimize.py [MODEL|FOLDER ...] [--peers PYTHON] [--json]

Models default to the trained models of the test corpus; `python benchmarks/architectures.py FOLDER` makes more. Nodes
are counted without Constant, those of bodies and functions included; a tool whose result holds operators of other
domains than the model's own does not compete. Parity is the largest difference to the original over the largest output,
in ONNX Runtime with its optimizations off, on generated inputs of two batch sizes. PYTHON is an interpreter that has
the peers installed (benchmarks/requirements.txt).
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from measure import Usage, load_line, run

from graphopt.graph.bodies import nodes_below
from graphopt.graph.load import read_proto
from graphopt.graph.session import new_session

HERE = Path(__file__).parent
PEERS = ("onnxsim", "onnxslim", "onnxscript", "onnxoptimizer", "onnxruntime_standard")


@dataclass(frozen=True)
class Outcome:
    """What a tool made of a model.

    Attributes:
        nodes, size: nodes left (not counting Constant), and bytes of the file.
        parity: largest difference to the original over the largest output; None where that could not be run.
        usage: what its process took.
        failure: why there is no result, or why it does not compete.
    """

    nodes: int = 0
    size: int = 0
    parity: float | None = None
    usage: Usage | None = None
    failure: str = ""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", type=Path)
    parser.add_argument("--peers", default=sys.executable)
    parser.add_argument("--limit", type=float, default=120.0, help="seconds that a tool may take for a model")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    found: dict[str, dict[str, Outcome]] = {}
    models = list(_models(options.models))
    if not models:
        sys.exit("there are no models; run `make corpus`, or name some")
    if not options.json:
        print(f"{load_line()}\n\n{_head()}", flush=True)
    for path in models:
        found[path.stem] = _compare(path, options.peers, options.limit)
        if not options.json:
            print(_row(path.stem, found[path.stem]), flush=True)
    if options.json:
        print(json.dumps({m: {t: asdict(o) for t, o in r.items()} for m, r in found.items()}, indent=2))
    else:
        print(_summary(found))
    return 0


def _models(named: list[Path]) -> Iterator[Path]:
    for path in named or list(_corpus()):
        yield from sorted(path.glob("*.onnx")) if path.is_dir() else [path]


def _corpus() -> Iterator[Path]:
    sys.path.insert(0, str(HERE.parent))
    from tests.corpus.fetch import provide
    from tests.corpus.manifest import models

    yield from (provide(name) for name in models())


# --- one model ---


def _compare(path: Path, peers: str, limit: float) -> dict[str, Outcome]:
    original = read_proto(path)
    results = {"original": Outcome(_nodes(original), path.stat().st_size)}
    with tempfile.TemporaryDirectory() as name:
        for tool in ("graphopt", *PEERS):
            python = sys.executable if tool == "graphopt" else peers
            target = Path(name) / tool / "model.onnx"
            target.parent.mkdir()
            usage = run([python, str(HERE / "optimize_once.py"), tool, str(path), str(target)], limit)
            made = next(iter(sorted(target.parent.glob("*.onnx"))), target)
            results[tool] = _outcome(path, original, made, usage)
    return results


def _outcome(path: Path, original: onnx.ModelProto, made: Path, usage: Usage) -> Outcome:
    if usage.failure or not made.exists():
        return Outcome(usage=usage, failure=usage.failure or "it wrote nothing")
    model = read_proto(made)
    size = sum(f.stat().st_size for f in made.parent.iterdir() if f.suffix in (".onnx", ".data"))
    foreign = _domains(model) - _domains(original)
    failure = f"operators of {', '.join(sorted(foreign))}" if foreign else ""
    try:
        parity = _parity(path, made)
    except Exception as error:  # whatever a runtime says of a model that a tool broke
        return Outcome(_nodes(model), size, None, usage, f"does not run: {str(error)[:60]}")
    return Outcome(_nodes(model), size, parity, usage, failure)


def _all_nodes(model: onnx.ModelProto) -> Iterator[onnx.NodeProto]:
    yield from nodes_below(model.graph.node)
    for function in model.functions:
        yield from nodes_below(function.node)


def _nodes(model: onnx.ModelProto) -> int:
    return sum(1 for n in _all_nodes(model) if n.op_type != "Constant")


def _domains(model: onnx.ModelProto) -> set[str]:
    return {n.domain for n in _all_nodes(model)} - {"", "ai.onnx"}


# --- what it did to the numbers ---


def _parity(first: Path, second: Path) -> float | None:
    before, after = new_session(first), new_session(second)
    worst: float | None = None
    for batch in (1, 3):
        feeds = _feeds(before, batch)
        try:
            expected = before.run(None, feeds)
        except Exception:  # the model takes no such batch
            continue
        for left, right in zip(expected, after.run(None, feeds), strict=True):
            worst = max(worst or 0.0, _difference(np.asarray(left), np.asarray(right)))
    return worst


def _feeds(session: Any, batch: int) -> dict[str, np.ndarray[Any, Any]]:
    random = np.random.default_rng(batch)
    feeds: dict[str, np.ndarray[Any, Any]] = {}
    for spec in session.get_inputs():
        shape = [d if isinstance(d, int) and d > 0 else (batch if i == 0 else 32) for i, d in enumerate(spec.shape)]
        if "int" in spec.type:
            feeds[spec.name] = random.integers(0, 2, shape).astype(np.int64 if "64" in spec.type else np.int32)
        elif "bool" in spec.type:
            feeds[spec.name] = random.integers(0, 2, shape).astype(bool)
        else:
            feeds[spec.name] = random.normal(size=shape).astype(np.float16 if "16" in spec.type else np.float32)
    return feeds


def _difference(left: np.ndarray[Any, Any], right: np.ndarray[Any, Any]) -> float:
    if left.shape != right.shape:
        return float("inf")
    if not left.size or np.array_equal(left, right, equal_nan=left.dtype.kind == "f"):
        return 0.0
    difference = np.abs(left.astype(np.float64) - right.astype(np.float64)).max()
    return float(difference / max(float(np.abs(left.astype(np.float64)).max()), 1e-30))


# --- the table ---


def _head() -> str:
    tools = ("graphopt", *PEERS)
    head = "| model | original | " + " | ".join(tools) + " | best peer | ours : best | bytes | wall | peak |"
    return head + "\n|---|---:|" + "---:|" * (len(tools) + 5)


def _row(model: str, results: dict[str, Outcome]) -> str:
    ours = results["graphopt"]
    best = _best(results)
    cells = [str(results["original"].nodes), *(_cell(results[t]) for t in ("graphopt", *PEERS))]
    if ours.failure or best is None:
        return f"| {model} | " + " | ".join(cells) + " | | | | | |"
    peer = results[best]
    assert ours.usage is not None
    assert peer.usage is not None
    ratios = (ours.nodes / max(peer.nodes, 1), ours.size / peer.size, ours.usage.wall / peer.usage.wall,
              ours.usage.mebibytes / peer.usage.mebibytes)  # fmt: skip
    mark = " (!)" if ours.nodes > peer.nodes else ""
    return f"| {model} | " + " | ".join(cells) + f" | {best}{mark} | " + " | ".join(f"{r:.2f}" for r in ratios) + " |"


def _cell(outcome: Outcome) -> str:
    if outcome.failure and not outcome.nodes:
        return outcome.failure
    wrong = outcome.parity is None or outcome.parity > 1e-3
    return (
        f"{outcome.nodes}"
        + (f" ({outcome.failure})" if outcome.failure else "")
        + (f" (off by {outcome.parity:.1g})" if wrong and outcome.parity is not None else "")
    )


def _best(results: dict[str, Outcome]) -> str | None:
    """The peer with the fewest nodes whose result runs and has only the model's own domains."""
    fair = [t for t in PEERS if not results[t].failure and results[t].nodes]
    return min(fair, key=lambda t: results[t].nodes, default=None)


def _summary(found: dict[str, dict[str, Outcome]]) -> str:
    pairs = [(r["graphopt"], r[b]) for r in found.values() if (b := _best(r)) is not None and not r["graphopt"].failure]
    ratios = [ours.nodes / max(peer.nodes, 1) for ours, peer in pairs]
    ahead = sum(1 for ours, peer in pairs if ours.nodes <= peer.nodes)
    return (
        f"\nOf {len(found)} models, graphopt leaves as few nodes as the best peer or fewer on {ahead};"
        f" median ratio {statistics.median(ratios):.2f}."
    )


if __name__ == "__main__":
    sys.exit(main())
