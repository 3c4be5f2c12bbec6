"""CPU seconds of a run in ONNX Runtime, of several models on one input: `SETTING ORIGINAL RESULT...`, as one JSON line.

SETTING says whether ONNX Runtime's own optimizations are `on` or `off`. The original stands twice among the contenders:
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
from pathlib import Path
from typing import Any

from graphopt.data.sample import Feeds
from graphopt.graph.session import new_session
from graphopt.parity.samples import parity_samples
from graphopt.parity.unique_names import with_unique_names

from .inputs import real_samples

SECONDS = 3.0
"""For all rounds of a setting; `FEWEST` are run whatever they take."""

FEWEST, MOST = 16, 400


def main() -> None:
    setting, *names = sys.argv[1:]
    original, *results = map(Path, names)
    samples = real_samples(original) or parity_samples(original).samples
    feeds = samples[0].arrays
    contenders: list[Any] = []
    failures: list[str] = []
    for model in (original, original, *results):
        session, failure = _open(model, setting, feeds)
        contenders.append(session)
        failures.append(failure)
    rounds = _rounds([s for s in contenders if s is not None], feeds)
    ran = iter(zip(*rounds, strict=True))
    seconds = [list(next(ran)) if session is not None else [] for session in contenders]
    print(json.dumps({"seconds": seconds, "failures": failures}))


def _open(model: Path, setting: str, feeds: Feeds) -> tuple[Any, str]:
    """A session on one thread that has run once, or why there is none."""
    try:
        renamed, folder = with_unique_names(model)
        session = new_session(renamed, optimized=setting == "on", threads=1, folder=folder)
        session.run(None, feeds)
    except Exception as error:  # onnxruntime's exceptions share no base class of their own
        return None, str(error).splitlines()[0][:200]
    return session, ""


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
