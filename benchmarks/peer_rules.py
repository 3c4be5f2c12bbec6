"""Peers' default rewrites under our judge.

Models are made from left sides that peers rewrite (peer_patterns.rules), as for our own rules, given to each peer with
their shapes inferred, and compared in ONNX Runtime and in float64. Whatever is wrong is written down as two models, the
inputs, and a script that shows the difference.

    python benchmarks/peer_rules.py --peers PYTHON [--instances N] [--save FOLDER] [PEER]...

PYTHON is an interpreter that has the peers (benchmarks/requirements.txt).
"""

from __future__ import annotations

import subprocess
import sys
from argparse import ArgumentParser
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import onnx

from graphopt.graph.tensor import Array
from graphopt.lang import tree as t
from graphopt.lang.parse import parse
from graphopt.verify.judge import Contract, Outcome, judge
from graphopt.verify.judge_run import Refused, run
from graphopt.verify.steer import Search
from graphopt.verify.subject import Subject

HERE = Path(__file__).parent
PEERS = ("onnxscript", "onnxoptimizer", "onnxslim", "onnxsim")
ATTEMPTS = 30
"""Models to try for one that runs."""

SCRIPT = '''"""{peer} {version} on {pattern}: {note}"""
import numpy as np, onnxruntime as ort
feeds = dict(np.load("inputs.npz"))
options = ort.SessionOptions()
options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
for name in ("before.onnx", "after.onnx"):
    print(name, ort.InferenceSession(name, options, providers=["CPUExecutionProvider"]).run(None, feeds)[0])
'''


class Peer:
    """One peer in a process of its own, started again when it breaks."""

    def __init__(self, python: str, name: str) -> None:
        self.name = name
        self._command = [python, str(HERE / "peer_child.py"), name]
        self._child: subprocess.Popen[bytes] | None = None
        self.version = _version(python, name)

    def rewrite(self, model: onnx.ModelProto) -> onnx.ModelProto | str:
        """The rewritten model, or why there is none."""
        if self._child is None or self._child.poll() is not None:
            self._child = subprocess.Popen(
                self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
            )
        child = self._child
        assert child.stdin is not None
        data = model.SerializeToString()
        try:
            child.stdin.write(len(data).to_bytes(8, "big") + data)
            child.stdin.flush()
            answer = _read(child)
            return onnx.ModelProto.FromString(answer) if answer else _read(child).decode()
        except (OSError, EOFError):
            child.kill()
            return f"the process died with {child.wait()}"

    def close(self) -> None:
        if self._child is not None:
            self._child.kill()
            self._child.communicate()


def _read(child: subprocess.Popen[bytes]) -> bytes:
    assert child.stdout is not None
    header = child.stdout.read(8)
    if len(header) < 8:
        raise EOFError
    return child.stdout.read(int.from_bytes(header, "big"))


def _version(python: str, name: str) -> str | None:
    """None where the interpreter has no such package."""
    code = f"import importlib.metadata as m; print(m.version({name!r}))"
    found = subprocess.run([python, "-c", code], capture_output=True, text=True, check=False)
    return found.stdout.strip() if found.returncode == 0 else None


@dataclass
class Tally:
    """What came of one pattern with one peer; `worst` is the smallest model that went wrong."""

    models: int = 0
    changed: int = 0
    wrong: int = 0
    failed: int = 0
    oracle: int = 0
    worst: tuple[onnx.ModelProto, onnx.ModelProto, Mapping[str, Array], str] | None = None
    notes: list[str] = field(default_factory=list[str])


def patterns() -> tuple[t.Rule, ...]:
    return parse((HERE / "peer_patterns.rules").read_text("utf-8"), "peer_patterns.rules").rules


def instances(rule: t.Rule, count: int) -> Iterator[tuple[onnx.ModelProto, Mapping[str, Array]]]:
    """Models of a left side that ONNX Runtime runs, with inputs."""
    search = Search(Subject(rule), [True] * len(rule.where), 0, feeds=1)
    found = 0
    for place in search.run(count * ATTEMPTS):
        model, feeds = place.instance.model, place.instance.feeds[0]
        try:
            run(model, feeds)
        except Refused:
            continue
        yield model, feeds
        found += 1
        if found == count:
            return


def try_peer(peer: Peer, rule: t.Rule, count: int) -> Tally:
    tally = Tally()
    for model, feeds in instances(rule, count):
        tally.models += 1
        after = peer.rewrite(model)
        if isinstance(after, str):
            tally.failed += 1
            tally.notes.append(after)
            continue
        if _operators(after) == _operators(model):
            continue
        tally.changed += 1
        outcome = _judge(model, after, feeds)
        tally.oracle += outcome.kind == "oracle"
        if outcome.kind == "wrong":
            tally.wrong += 1
            size = len(model.SerializeToString())
            if tally.worst is None or size < len(tally.worst[0].SerializeToString()):
                tally.worst = model, after, feeds, _said(outcome)
    return tally


def _judge(before: onnx.ModelProto, after: onnx.ModelProto, feeds: Mapping[str, Array]) -> Outcome:
    """By numbers alone: how a peer declares dims of outputs is its own affair."""
    copy = onnx.ModelProto()
    copy.CopyFrom(after)
    if [o.name for o in after.graph.output] == [o.name for o in before.graph.output]:
        del copy.graph.output[:], copy.graph.input[:]
        copy.graph.output.extend(before.graph.output)
        copy.graph.input.extend(before.graph.input)
    return judge(before, copy, feeds, Contract("real"))


def _operators(model: onnx.ModelProto) -> list[str]:
    return sorted(n.op_type for n in model.graph.node if n.op_type != "Constant")


def _said(outcome: Outcome) -> str:
    number = f" (off by {outcome.error:.3g}, {outcome.allowed:.3g} is allowed)" if outcome.error else ""
    return f"{outcome.note}{number}"


def save(folder: Path, peer: Peer, rule: t.Rule, tally: Tally) -> None:
    assert tally.worst is not None
    before, after, feeds, note = tally.worst
    target = folder / f"{peer.name}-{rule.name}"
    target.mkdir(parents=True, exist_ok=True)
    (target / "before.onnx").write_bytes(before.SerializeToString())
    (target / "after.onnx").write_bytes(after.SerializeToString())
    np.savez(target / "inputs.npz", allow_pickle=False, **feeds)
    text = SCRIPT.format(peer=peer.name, version=peer.version, pattern=rule.name, note=note.replace('"', "'"))
    (target / "show.py").write_text(text, "utf-8")


def main() -> int:
    parser = ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("names", nargs="*", metavar="PEER", help=f"of {', '.join(PEERS)}; all that are there")
    parser.add_argument("--peers", required=True, metavar="PYTHON", help="an interpreter that has the peers")
    parser.add_argument("--instances", type=int, default=40, help="models to make of each pattern")
    parser.add_argument("--save", type=Path, help="where to write what is wrong")
    options = parser.parse_args()
    for name in options.names or PEERS:
        peer = Peer(options.peers, name)
        if peer.version is None:
            print(f"{name}: not there\n")
            continue
        print(f"{name} {peer.version}\n\n| pattern | models | rewritten | wrong | fails |\n|---|---|---|---|---|")
        found: list[str] = []
        for rule in patterns():
            tally = try_peer(peer, rule, options.instances)
            print(f"| {rule.name} | {tally.models} | {tally.changed} | {tally.wrong} | {tally.failed} |", flush=True)
            if tally.worst is not None:
                found.append(f"- {rule.name}: {tally.worst[3][:300]}")
                if options.save is not None:
                    save(options.save, peer, rule, tally)
            found += [f"- {rule.name} fails: {note[:200]}" for note in sorted(set(tally.notes))[:1]]
        print("\n" + "\n".join(found or ["nothing wrong"]) + "\n")
        peer.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
