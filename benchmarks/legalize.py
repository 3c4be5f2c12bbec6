"""Which of the ONNX standard's own node tests TensorRT-RTX builds, as they are and after they were compiled for it.

    python benchmarks/legalize.py [--work FOLDER] [--capabilities sm80,sm120] [--only TEXT] [--list]

Inputs that a real model has as constants (axes, shapes, weights, scales: `legalize_cases.py`) are frozen from the test
data before compiling; the table says in how many tests. What was rewritten must still give the expected outputs. Each
test runs in a child process with a limit of time and memory. Results are kept in the folder by content, so that a run
that was broken off goes on where it ended.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from queue import Empty, Queue
from typing import Any

from legalize_cases import write_cases

HERE = Path(__file__).parent

ROOT = HERE.parent

CAPABILITIES = ("sm75", "sm80", "sm86", "sm89", "sm120")

STAGES = ("as-is", "legal")

LIMIT_S = 90.0
"""Most seconds for one test, all compute capabilities together; the slowest takes 20."""

Row = dict[str, Any]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, default=ROOT / "build" / "legalize", help="folder for tests and results")
    parser.add_argument("--capabilities", default=",".join(CAPABILITIES))
    parser.add_argument("--only", default="", help="regular expression: tests to run")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--list", action="store_true", help="name every test that does not build, by reason")
    options = parser.parse_args()
    capabilities = options.capabilities.split(",")
    names = [n for n in write_cases(options.work / "cases") if re.search(options.only, n)]
    results = {stage: _run(stage, names, capabilities, options) for stage in STAGES}
    _report(results, capabilities)
    if options.list:
        _list(results["legal"])
    wrong = [r for r in results["legal"] if _is_wrong(r)]
    return 1 if wrong or any("died" in r or "bug" in r for r in results["legal"]) else 0


def _run(stage: str, names: list[str], capabilities: list[str], options: argparse.Namespace) -> list[Row]:
    """The rows of all tests, those of an earlier run of the same code among them."""
    kept = options.work / f"{stage}-{_key(stage, capabilities)}.jsonl"
    rows = {row["name"]: row for row in _read(kept)}
    waiting: Queue[str] = Queue()
    for name in names:
        if name not in rows:
            waiting.put(name)
    lock = threading.Lock()

    def note(row: Row) -> None:
        with lock, kept.open("a") as stream:
            stream.write(json.dumps(row) + "\n")
            rows[row["name"]] = row

    command = [sys.executable, str(HERE / "legalize_child.py"), str(options.work / "cases"), stage]
    command.append(",".join(capabilities))
    workers = [threading.Thread(target=_work, args=(command, waiting, note)) for _ in range(options.jobs)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return [rows[name] for name in names]


def _work(command: list[str], waiting: Queue[str], note: Any) -> None:
    """Give tests to a child, one at a time; one that dies or takes too long is replaced."""
    child: subprocess.Popen[str] | None = None
    try:
        while True:
            name = waiting.get_nowait()
            if child is None:
                child = subprocess.Popen(
                    command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
                )
            row = _ask(child, name)
            if "died" in row:
                child = None
            note(row)
    except Empty:
        pass
    finally:
        if child is not None:
            child.kill()
            child.wait()


def _ask(child: subprocess.Popen[str], name: str) -> Row:
    assert child.stdin is not None
    assert child.stdout is not None
    timer = threading.Timer(LIMIT_S, child.kill)
    started = time.monotonic()
    timer.start()
    try:
        child.stdin.write(name + "\n")
        child.stdin.flush()
        line = child.stdout.readline()
    except BrokenPipeError:
        line = ""
    finally:
        timer.cancel()
    if line:
        return json.loads(line)
    child.kill()
    seconds = time.monotonic() - started
    return {"name": name, "died": "time" if seconds >= LIMIT_S else f"code {child.wait()}", "seconds": seconds}


def _read(path: Path) -> Iterator[Row]:
    if path.exists():
        for line in path.read_text().splitlines():
            if line.endswith("}"):  # the last one may be cut short
                yield json.loads(line)


def _key(stage: str, capabilities: list[str]) -> str:
    """What results depend on: versions, and what is compiled with."""
    digest = hashlib.sha256(repr((capabilities, version("tensorrt-rtx"), version("onnx"))).encode())
    folders = [HERE / "legalize_build.py", HERE / "legalize_child.py"]
    if stage != "as-is":
        folders += [ROOT / "graphopt", ROOT / "passes", ROOT / "rules", HERE / "legalize_cases.py"]
    for folder in folders:
        for path in sorted(folder.rglob("*")) if folder.is_dir() else [folder]:
            if path.suffix in (".py", ".rules", ".toml"):
                digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def _is_wrong(row: Row) -> bool:
    found = row.get("wrong")
    return bool(found) and found != "random" and not found.startswith("not run")


def _built(row: Row, capability: str) -> bool:
    return capability in row.get("built", {}) and row["built"][capability] is None


def _report(results: dict[str, list[Row]], capabilities: list[str]) -> None:
    legal = results["legal"]
    print("| stage | tests |", " | ".join(capabilities), "|")
    print("|---|---:|", "---:|" * len(capabilities), sep="")
    for stage, rows in results.items():
        counts = [sum(_built(row, c) for row in rows) for c in capabilities]
        print(f"| {stage} | {len(rows)} |", " | ".join(map(str, counts)), "|")
    built = [r for r in legal if any(_built(r, c) for c in capabilities)]
    print(f"\nOf {len(built)} that build after compiling:")
    print(f"- {sum(bool(r.get('frozen')) for r in built)} had inputs frozen;", end=" ")
    print(f"{sum(r.get('left') == 0 for r in built)} have nothing left to compute")
    print(f"- {sum(bool(r.get('narrowed')) for r in built)} needed narrowing")
    print(f"- {sum(r.get('wrong') is None for r in built)} give the expected outputs;", end=" ")
    print(f"{sum(r.get('wrong') == 'random' for r in built)} are random,", end=" ")
    print(f"{sum(str(r.get('wrong')).startswith('not run') for r in built)} run nowhere,", end=" ")
    print(f"{sum(_is_wrong(r) for r in built)} are wrong")
    lost = [a["name"] for a, b in zip(results["as-is"], legal, strict=True) for c in capabilities if _lost(a, b, c)]
    print(f"- {len(set(lost))} build as they are, and not any more: {', '.join(dict.fromkeys(lost))}")
    seconds = {stage: sum(row["seconds"] for row in rows) for stage, rows in results.items()}
    print("\nSeconds:", ", ".join(f"{stage} {total:.0f}" for stage, total in seconds.items()))


def _lost(before: Row, after: Row, capability: str) -> bool:
    return _built(before, capability) and not _built(after, capability)


def _list(rows: list[Row]) -> None:
    """Every test that does not build for the first compute capability, by reason; and what is wrong."""
    named: dict[str, list[str]] = {}
    for row in rows:
        reason = row.get("died") or row.get("bug") or next(iter(row.get("built", {"": None}).values()))
        if reason:
            named.setdefault(re.sub(r"\d+", "#", reason), []).append(row["name"])
    for reason, count in Counter({r: len(n) for r, n in named.items()}).most_common():
        print(f"\n{count} {reason}\n  {' '.join(named[reason])}")
    for row in rows:
        if _is_wrong(row):
            print(f"\nwrong: {row['name']}: {row['wrong']}")


if __name__ == "__main__":
    sys.exit(main())
