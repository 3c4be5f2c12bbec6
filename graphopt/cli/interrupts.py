"""Ctrl-C and SIGTERM: both end a run in the same way, from its first import to its last line."""

from __future__ import annotations

import signal
import threading
from collections.abc import Generator
from contextlib import contextmanager
from types import FrameType

RETRY_S = 0.05
"""Seconds after which a signal that came at a bad moment is raised once more."""


class _Seen:
    """Of the run under way: whether somebody wanted it to end."""

    interrupt = False


@contextmanager
def heard() -> Generator[None]:
    """For as long as the block runs, SIGINT and SIGTERM raise KeyboardInterrupt, and it is remembered that they came.

    A signal that whoever started us chose to ignore stays ignored. May nest.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    ours = [n for n in (signal.SIGINT, signal.SIGTERM) if signal.getsignal(n) is not signal.SIG_IGN]
    before = {number: signal.signal(number, _interrupt) for number in ours}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)


def was_interrupted() -> bool:
    """Whether a signal came: foreign code may make an error of its own of the interruption."""
    return _Seen.interrupt


def forget() -> None:
    """Begin a new run."""
    _Seen.interrupt = False


def _interrupt(number: int, frame: FrameType | None) -> None:
    _Seen.interrupt = True
    if not _is_importing(frame):
        raise KeyboardInterrupt
    again = threading.Timer(RETRY_S, signal.raise_signal, (number,))
    again.daemon = True
    again.start()


def _is_importing(frame: FrameType | None) -> bool:
    """Whether a module is being loaded; one with native code that is interrupted then prints a traceback of its own."""
    while frame is not None:
        if frame.f_code.co_filename == "<frozen importlib._bootstrap>":
            return True
        frame = frame.f_back
    return False
