"""What a small model takes, from the command line, next to the peers that have one: they do the same work in turn.

    python benchmarks/small.py [MODEL ...] [--runs N] [--peers PYTHON] [--json]

Each run is a whole process: `graphopt compile MODEL -o FOLDER --check none`, and onnxsim and onnxslim as their own
commands run them. The table gives medians, and for a peer the median of its ratios to the graphopt run before it. MODEL
defaults to MobileNetV2 with random weights and a chain of nine nodes. PYTHON is an interpreter that has the peers
installed (benchmarks/requirements.txt).
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

from measure import Usage, command_of, in_turn, load_line, median, script

PEERS = ("onnxsim", "onnxslim")


def main() -> None:
    options = _options()
    results: dict[str, dict[str, list[Usage]]] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for model in [Path(m) for m in options.models] or _own_models(folder):
            commands = _commands(model, folder / model.stem, options.peers)
            in_turn(list(commands.values()), 1, [options.limit] * len(commands))  # what follows finds warm files
            runs = in_turn(list(commands.values()), options.runs, [options.limit] * len(commands))
            if failure := runs[0][-1].failure:
                sys.exit(f"graphopt {failure} on {model}")
            results[model.stem] = dict(zip(commands, runs, strict=True))
    if options.json:
        found = {m: {tool: [asdict(u) for u in runs] for tool, runs in r.items()} for m, r in results.items()}
        print(json.dumps({"machine": load_line(), "runs": found}, indent=2))
        return
    print(f"{load_line()}\n\n| model | tool | wall s | CPU s | peak MiB | wall ratio | CPU ratio |")
    print("|---|---|---:|---:|---:|---:|---:|")
    for model, runs_of in results.items():
        for tool, runs in runs_of.items():
            print(_row(model, tool, runs, runs_of["graphopt"]))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", help="ONNX files")
    parser.add_argument("--runs", type=int, default=5, help="counted runs of each command")
    parser.add_argument("--peers", default="", help="an interpreter that has the peers; none: graphopt alone")
    parser.add_argument("--limit", type=float, default=60.0, help="seconds that a run may take")
    parser.add_argument("--json", action="store_true", help="print one JSON document instead of a table")
    return parser.parse_args()


def _own_models(folder: Path) -> list[Path]:
    large, little = folder / "mobilenet-v2.onnx", folder / "nine-nodes.onnx"
    script("mobilenet.py", str(large))
    script("graphs.py", "conv-bn-relu", "9", str(little))
    return [large, little]


def _commands(model: Path, place: Path, peers: str) -> dict[str, list[str]]:
    place.mkdir()
    graphopt = command_of(sys.executable, "graphopt")
    commands = {"graphopt": [graphopt, "compile", str(model), "-o", str(place / "out"), "--check", "none"]}
    for peer in PEERS if peers else ():
        commands[peer] = [command_of(peers, peer), str(model), str(place / f"{peer}.onnx")]
    return commands


def _row(model: str, tool: str, runs: list[Usage], ours: list[Usage]) -> str:
    usage = median(runs)
    if usage.failure:
        return f"| {model} | {tool} | {usage.failure} | | | | |"
    pairs = list(zip(runs, ours, strict=False))
    wall = statistics.median(u.wall / own.wall for u, own in pairs)
    cpu = statistics.median(u.cpu / own.cpu for u, own in pairs)
    ratios = f"{wall:.2f} | {cpu:.2f}" if runs is not ours else "1 | 1"
    return f"| {model} | {tool} | {usage.wall:.2f} | {usage.cpu:.2f} | {usage.mebibytes:.0f} | {ratios} |"


if __name__ == "__main__":
    main()
