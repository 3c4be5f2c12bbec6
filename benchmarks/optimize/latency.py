"""CPU seconds of a run in ONNX Runtime, of several models on one input: `ORIGINAL RESULT...`, as one line of JSON.

By setting: ONNX Runtime's own optimizations `on` and `off`. The original stands twice among the contenders:
how far it is from itself is what a difference has to exceed. In every round each contender runs once, in an order that
is drawn anew, so that whatever slows the machine down slows all of them, and none always runs behind the same other.
A session computes on the thread that calls it, and the seconds are that thread's own: time that others took from it on
a busy machine is not counted.
"""

from __future__ import annotations

import gc
import json
import random
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from graphopt.data.sample import Feeds
from graphopt.graph.session import new_session
from graphopt.parity.samples import parity_samples
from graphopt.parity.unique_names import with_unique_names

from .inputs import real_samples

SECONDS = 1.5
"""For all rounds of a setting; `FEWEST` are run whatever they take."""

FEWEST, MOST = 16, 400


def main() -> None:
    original, *results = map(Path, sys.argv[1:])
    samples = real_samples(original) or parity_samples(original).samples
    models = (original, original, *results)
    print(json.dumps({setting: _time(models, setting, samples[0].arrays) for setting in ("on", "off")}))


def _time(models: Sequence[Path], setting: str, feeds: Feeds) -> list[list[float]]:
    """Seconds of each model, round by round; none of one that does not run."""
    opened = [_open(model, setting, feeds) for model in models]
    rounds = _rounds([session for session in opened if session is not None], feeds)
    ran = iter(zip(*rounds, strict=True))
    return [[] if session is None else list(next(ran)) for session in opened]


def _open(model: Path, setting: str, feeds: Feeds) -> Any:
    """A session on one thread that has run once; None where that fails."""
    try:
        renamed, folder = with_unique_names(model)
        session = new_session(renamed, optimized=setting == "on", threads=1, folder=folder)
        session.run(None, feeds)
    except Exception as error:  # onnxruntime's exceptions share no base class of their own
        print(f"{model}: {error}", file=sys.stderr)
        return None
    return session


def _rounds(sessions: list[Any], feeds: Feeds) -> list[list[float]]:
    """Seconds of each contender, round by round; the first round is left out."""
    order = random.Random(0)
    rounds: list[list[float]] = []
    gc.disable()
    _round(sessions, feeds, order)
    end = time.perf_counter() + SECONDS
    while len(rounds) < FEWEST or (len(rounds) < MOST and time.perf_counter() < end):
        rounds.append(_round(sessions, feeds, order))
    return rounds


def _round(sessions: list[Any], feeds: Feeds, order: random.Random) -> list[float]:
    seconds = [0.0] * len(sessions)
    for index in order.sample(range(len(sessions)), len(sessions)):
        start = time.thread_time()
        sessions[index].run(None, feeds)
        seconds[index] = round(time.thread_time() - start, 7)
    return seconds


if __name__ == "__main__":
    main()
