"""What the tests of the pipeline share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from graphopt.pipeline.passes import PASSES

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def registered() -> Iterator[None]:
    """What a test registers is forgotten after it: the passes that are known are part of messages."""
    before = dict(PASSES)
    yield
    PASSES.clear()
    PASSES.update(before)
