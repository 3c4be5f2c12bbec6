"""The table of builder messages: every row is met by a message that the builder really gave."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from graphopt.backends.messages import Meaning, meaning, table

BACKREFERENCE = r"\\\d"

CASES = [
    tuple(block.split("\n=> "))
    for block in (Path(__file__).parent / "messages.txt").read_text("utf-8").strip().split("\n\n")[1:]
]


@pytest.mark.parametrize(("message", "reason"), CASES)
def test_known_message(message: str, reason: str) -> None:
    assert meaning(message).reason == reason


def test_every_row_is_met() -> None:
    met = {next(e.pattern for e in table() if re.search(e.pattern, m, re.DOTALL)) for m, _ in CASES}
    assert {entry.pattern for entry in table()} == met


PLACE = " In validate at /_src/optimizer/api/network.cpp:42)"
NO_CUDA = "\n[checkMacros.cpp::catchCudaError::250] Error Code 1: Cuda Runtime (… (cudaError 35: CUDA driver …))"


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ('cap == 0.0 && "Setting softcap is not supported."', "Setting softcap is not supported"),
        ('Assertion failed: mode == "none": ScatterND reduces.', "ScatterND reduces"),
        ("IBuilder::build: Error Code 4: API Usage Error (Something new." + PLACE + NO_CUDA, "Something new"),
        ("[a.cpp::f::7] Error Code 2: Internal Error (Assertion x > 0 failed." + PLACE, "Assertion x > 0 failed"),
        (NO_CUDA, ""),
    ],
)
def test_unknown_message_is_freed_of_noise(message: str, reason: str) -> None:
    assert meaning(message) == Meaning(reason)


def test_every_row_is_documented() -> None:
    page = (Path(__file__).parents[2] / "docs" / "targets.md").read_text("utf-8")
    rows = [
        f"| {re.sub(BACKREFERENCE, '…', entry.reason)} | {re.sub(BACKREFERENCE, '…', entry.help or '')} |"
        for entry in table()
    ]
    assert page.splitlines()[-len(rows) :] == rows
