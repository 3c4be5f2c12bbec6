"""How small, quick and right models become, next to the peers, in one run.

    python -m benchmarks.optimize [MODEL|FOLDER|corpus ...] --peers PYTHON [--json | --into docs/benchmarks.md]

`corpus`, the default, stands for the models of the test corpus, the onnx package's light ones among them; `python
benchmarks/architectures.py FOLDER` makes more. PYTHON is an interpreter that has benchmarks/requirements.txt. Every
result is kept by content, so that a run which was interrupted goes on where it was, and another one does only what has
changed. Run it from the root of the repository.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from benchmarks.measure import load_line
from graphopt.caches import cache_root
from tests.corpus.fetch import provide
from tests.corpus.manifest import models

from . import tables
from .compare import Comparer
from .rows import Row
from .store import NotKept, Store
from .tools import MissingTool, tools

CORPUS = Path("corpus")


class BadUsage(Exception):
    """Something was named that is not there."""


def main() -> int:
    options = _options()
    try:
        chosen = _chosen(options.models, options.into)
        every = tools(options.peers)
    except (BadUsage, MissingTool) as error:
        print(f"error: {error}", file=sys.stderr)
        return 3 if isinstance(error, MissingTool) else 2
    store = Store(options.keep or cache_root() / "benchmarks", frozen=options.kept)
    rows: list[Row] = []
    say = _Progress(len(chosen))
    comparer = Comparer(store, every, options.limit, in_turn=options.in_turn, latency=not options.no_latency, say=say)
    try:
        for name, path in chosen.items():
            with suppress(NotKept):
                rows.append(comparer.compare(name, path))
            say.next()
    except KeyboardInterrupt:
        print("\ninterrupted: what was found is kept, the same command goes on from here", file=sys.stderr)
        return 130
    versions = {tool.name: tool.version for tool in every.values()}
    if options.json:
        print(json.dumps({"versions": versions, "machine": load_line(), **tables.to_json(rows)}, indent=2))
    elif options.into:
        tables.write_into(options.into, tables.document(rows, versions))
    else:
        print(tables.document(rows, versions))
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.optimize", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("models", nargs="*", type=Path, metavar="MODEL|FOLDER|corpus")
    parser.add_argument("--peers", default=sys.executable, metavar="PYTHON")
    parser.add_argument("--limit", type=float, default=120.0, help="seconds that a tool may take for a model")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="where results are kept (default: the cache)")
    parser.add_argument("--kept", action="store_true", help="only models whose results are kept; nothing is measured")
    parser.add_argument("--in-turn", action="store_true", help="where one tool has to work, let all work again")
    parser.add_argument("--no-latency", action="store_true", help="leave ONNX Runtime's times out")
    parser.add_argument("--into", type=Path, metavar="FILE", help="put the tables between the marks of a document")
    parser.add_argument("--json", action="store_true", help="print everything that is known as one JSON document")
    return parser.parse_args()


def _chosen(named: list[Path], into: Path | None) -> dict[str, Path]:
    """Models by name.

    Raises:
        BadUsage: there are none, one is no file, or there is no place for the tables.
    """
    if into is not None and not tables.has_marks(into):
        raise BadUsage(f"{into} has no lines {tables.BEGIN!r} and {tables.END!r} for the tables to go between")
    chosen = list(_models(named))
    for name, path in chosen:
        if not path.is_file() or [n for n, _ in chosen].count(name) > 1:
            raise BadUsage(f"{path} is no file" if not path.is_file() else f"two models are called {name}")
    if not chosen:
        raise BadUsage("there are no models in " + ", ".join(map(str, named)))
    return dict(chosen)


def _models(named: list[Path]) -> Iterator[tuple[str, Path]]:
    for path in named or [CORPUS]:
        if path == CORPUS:
            yield from ((name, provide(name)) for name in models())
        else:
            yield from ((m.stem, m) for m in (sorted(path.glob("*.onnx")) if path.is_dir() else [path]))


class _Progress:
    """A line on stderr that says what is being done; on a terminal it is always the same one."""

    def __init__(self, total: int) -> None:
        self._done, self._total = 0, total

    def __call__(self, what: str) -> None:
        line = f"[{self._done + 1}/{self._total}] {what}"
        if sys.stderr.isatty():
            print(f"\r\x1b[K{line}", end="", file=sys.stderr, flush=True)
        else:
            print(line, file=sys.stderr, flush=True)

    def next(self) -> None:
        self._done += 1
        if self._done == self._total and sys.stderr.isatty():
            print(file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
