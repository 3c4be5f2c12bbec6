"""A few random models, others each day; `make fuzz` takes as many as one likes."""

from __future__ import annotations

import datetime
import os

import onnx
import pytest

from tests.fuzz.examine import made
from tests.fuzz.workers import findings

TODAY = int(os.environ.get("GRAPHOPT_FUZZ_SEED", datetime.datetime.now(datetime.UTC).toordinal() * 10_000))
COUNT = 30


def test_random_models_of_the_day() -> None:
    """None wrong, none refused by the compiler, none with another interface; and most are models that run at all."""
    found = list(findings(range(TODAY, TODAY + COUNT), jobs=1))
    bad = [f"seed {f.seed}: {f.kind}: {f.text}" for f in found if f.kind not in ("same", "refused", "lost")]
    assert bad == []
    assert sum(f.kind == "same" for f in found) >= COUNT * 3 // 4
    assert sum(any("@" in name for name in f.fired) for f in found) >= COUNT // 4


@pytest.mark.parametrize("seed", range(8))
def test_a_seed_gives_one_model(seed: int) -> None:
    assert made(seed).model.SerializeToString() == made(seed).model.SerializeToString()
    onnx.checker.check_model(made(seed).model)
