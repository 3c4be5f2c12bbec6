"""`python -m tests.fuzz`: random valid models through the default recipe, and what is wrong with the results."""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from pathlib import Path

import numpy as np
import onnx

from tests.fuzz.examine import Finding, made
from tests.fuzz.workers import findings

BAD = ("wrong", "crash", "interface")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--count", type=int, default=2000, help="how many models")
    parser.add_argument("--seed", type=int, default=0, help="where to begin")
    parser.add_argument("--jobs", type=int, default=2, help="processes")
    parser.add_argument("--folder", type=Path, default=Path("build/fuzz"), help="where findings are written")
    arguments = parser.parse_args()
    started = time.monotonic()
    kinds: Counter[str] = Counter()
    fired: Counter[str] = Counter()
    for found in findings(range(arguments.seed, arguments.seed + arguments.count), arguments.jobs):
        kinds[found.kind] += 1
        fired.update(found.fired)
        if found.kind in BAD:
            print(f"seed {found.seed}: {found.kind}: {found.text}\n  see {_kept(found, arguments.folder)}", flush=True)
    rules = [name for name in fired if "@" in name]
    print(", ".join(f"{kind}: {count}" for kind, count in sorted(kinds.items())))
    print(f"{len(rules)} rules fired, {sum(fired[r] for r in rules)} times; {time.monotonic() - started:.0f} s")
    return 1 if any(kinds[kind] for kind in BAD) else 0


def _kept(found: Finding, folder: Path) -> Path:
    """The model and its inputs, written where one can look at them."""
    place = folder / str(found.seed)
    place.mkdir(parents=True, exist_ok=True)
    (place / "finding.txt").write_text(f"{found.kind}: {found.text}\n", encoding="utf-8")
    if "at: making" not in found.text:
        odd = made(found.seed)
        onnx.save(odd.model, place / "model.onnx")
        for number, feed in enumerate(odd.feeds):
            np.savez(place / f"feed{number}.npz", **feed)
    return place


if __name__ == "__main__":
    sys.exit(main())
