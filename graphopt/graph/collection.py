"""Keeping Python's garbage collector from walking the whole graph again and again while it is built and rewritten."""

from __future__ import annotations

import gc
from collections.abc import Generator
from contextlib import contextmanager


@contextmanager
def collection_paused() -> Generator[None]:
    """No cyclic collection inside the block.

    Nodes and values refer to each other, so each full collection visits all of them: with one every few thousand
    new objects the cost of a load grows faster than the graph. What a rewrite drops is freed after the block.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
