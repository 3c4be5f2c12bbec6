"""What exporters print, log and warn of: kept aside, and shown only when they fail."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import sys
import tempfile
import threading
import warnings
from collections.abc import Generator
from typing import Any, TextIO, cast


class Noise:
    """What was caught: text in order, and warnings apart."""

    def __init__(self) -> None:
        self.warnings: list[warnings.WarningMessage] = []
        self._text = io.StringIO()

    def add(self, text: str) -> None:
        self._text.write(text)

    @property
    def text(self) -> str:
        lines = [f"{type(w.message).__name__}: {w.message}" for w in self.warnings]
        return "\n".join([self._text.getvalue().rstrip(), *lines]).strip()


class _Diverted(io.TextIOBase):
    """A stream whose lines go to the noise when the catching thread writes, and on their way otherwise.

    Threads that show progress write to the same standard error meanwhile. Handlers that outlive the block
    may keep this stream, so that it lets everything through once closed off.
    """

    def __init__(self, real: TextIO, noise: Noise) -> None:
        self._real = real
        self._noise = noise
        self._thread: int | None = threading.get_ident()

    def write(self, text: str, /) -> int:
        if threading.get_ident() == self._thread:
            self._noise.add(text)
            return len(text)
        return self._real.write(text)

    def flush(self) -> None:
        self._real.flush()

    def isatty(self) -> bool:
        return self._real.isatty()

    @property
    def encoding(self) -> str:  # pyright: ignore[reportIncompatibleVariableOverride]
        return self._real.encoding

    def let_through(self) -> None:
        self._thread = None


@contextlib.contextmanager
def caught(noise: Noise) -> Generator[None]:
    """Catch what this thread prints, logs and warns of while the block runs."""
    out, err = _Diverted(sys.stdout, noise), _Diverted(sys.stderr, noise)
    with contextlib.ExitStack() as stack:
        stack.callback(out.let_through)
        stack.callback(err.let_through)
        for handler in _console_handlers():
            stack.callback(handler.setStream, handler.setStream(err))
        stack.enter_context(contextlib.redirect_stdout(out))
        stack.enter_context(contextlib.redirect_stderr(err))
        stack.enter_context(_native_stdout(noise))
        noise.warnings = stack.enter_context(warnings.catch_warnings(record=True))
        warnings.simplefilter("always")
        yield


@contextlib.contextmanager
def _native_stdout(noise: Noise) -> Generator[None]:
    """What torch's C++ writes to file descriptor 1, past Python: the graph at which the legacy exporter failed."""
    with tempfile.TemporaryFile() as file:
        try:
            with stdout_into(file.fileno()):
                yield
        finally:
            file.seek(0)
            noise.add(file.read().decode("utf-8", "replace"))


@contextlib.contextmanager
def stdout_into(descriptor: int) -> Generator[None]:
    """What native code and child processes write to standard output, past Python, goes elsewhere meanwhile."""
    kept = _own_stdout()
    if kept is None:
        yield
        return
    sys.stdout.flush()
    os.dup2(descriptor, 1)
    try:
        yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)


def _own_stdout() -> int | None:
    """A second descriptor of standard output; None where the process has none, and 1 may be any file."""
    if sys.__stdout__ is None:
        return None
    try:
        return os.dup(1)
    except OSError:
        return None


def _console_handlers() -> list[logging.StreamHandler[Any]]:
    """Handlers that write to a console; those of torch hold what was standard error when torch was imported.

    Subclasses are left alone: what they do with their stream is their own business (torch's lazy trace handler
    closes the file descriptor of any that it did not open).
    """
    consoles = (sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__)
    found: dict[logging.StreamHandler[Any], None] = {}
    for logger in (logging.root, *logging.root.manager.loggerDict.values()):
        if not isinstance(logger, logging.Logger):
            continue
        for handler in logger.handlers:
            if type(handler) is logging.StreamHandler:
                stream = cast("logging.StreamHandler[Any]", handler)
                if logger.name.startswith(("torch", "onnx")) or any(stream.stream is c for c in consoles):
                    found[stream] = None
    return list(found)
