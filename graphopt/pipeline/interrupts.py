"""Putting off Ctrl-C while something must not stop half-way."""

from __future__ import annotations

import signal
import threading
from collections.abc import Generator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def put_off() -> Generator[None]:
    """Let SIGINT and SIGTERM wait until the block has ended.

    Their handlers are replaced: a mask would not do, since the signal then goes to a thread of some library that does
    not have it, and Python handles it in the main thread all the same. Elsewhere than there nothing needs to be done.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    waiting: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        waiting.append(number)

    before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
        if waiting:
            signal.raise_signal(waiting[0])
