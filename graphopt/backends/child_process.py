"""Running native code that may crash, hang or eat all memory in a process of its own."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import IO, Any

STDERR_LINES = 5
"""Last lines of a dead child's stderr that are kept."""

DYING_S = 10.0
"""Most seconds that a child which has closed its stdout may take to be gone; a big one is not gone at once."""

Event = dict[str, Any]
Lines = queue.SimpleQueue["bytes | None"]


@dataclass(frozen=True)
class End:
    """How a child ended.

    Attributes:
        finished: it said that it was done.
        timed_out: it was killed because its time was up.
        status: what it died of, in words, if it did not finish.
        stderr: the last lines that it, or a library in it, printed.
    """

    finished: bool
    timed_out: bool
    status: str
    stderr: str


def run(
    module: str, request: Mapping[str, Any], on_event: Callable[[Event], None], timeout_s: float | None = None
) -> End:
    """Run a module of ours with a JSON request on its stdin, handing on the JSON lines that it writes to stdout.

    The child sees the same modules as this process. It does not outlive this call, however that ends, nor this process:
    its stdin stays open for as long as we live. An event named "end" says that it finished.
    """
    deadline = None if timeout_s is None else time.monotonic() + timeout_s
    with tempfile.TemporaryFile() as errors:
        child = subprocess.Popen(
            [sys.executable, "-P", "-m", module],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(path or os.getcwd() for path in sys.path)},
        )
        assert child.stdin is not None
        assert child.stdout is not None
        lines: Lines = queue.SimpleQueue()
        pump = threading.Thread(target=_pump, args=(child.stdout, lines), daemon=True)
        pump.start()
        try:
            _ask(child.stdin, {**request, "parent": os.getpid()})
            finished, timed_out = _listen(lines, on_event, deadline)
            if not finished and not timed_out:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    child.wait(DYING_S)
        finally:
            child.kill()
            child.wait()
            pump.join()
            child.stdout.close()
            with contextlib.suppress(OSError):
                child.stdin.close()
        return End(finished, timed_out, _death(child.returncode), _last_lines(errors))


def _ask(stream: IO[bytes], request: Mapping[str, Any]) -> None:
    with contextlib.suppress(BrokenPipeError):  # a child that is dead already is told apart by its silence
        stream.write(json.dumps(request).encode() + b"\n")
        stream.flush()


def _listen(lines: Lines, on_event: Callable[[Event], None], deadline: float | None) -> tuple[bool, bool]:
    """Whether the child said that it finished, and whether its time was up."""
    while True:
        try:
            line = lines.get(timeout=None if deadline is None else max(0.0, deadline - time.monotonic()))
        except queue.Empty:
            return False, True
        if line is None:
            return False, False
        event: Event = json.loads(line)
        if event["event"] == "end":
            return True, False
        on_event(event)


def _pump(stream: IO[bytes], lines: Lines) -> None:
    for line in stream:
        if line.endswith(b"\n"):  # one that is cut short is the child's last breath
            lines.put(line)
    lines.put(None)


def _death(code: int) -> str:
    if code >= 0:
        return f"exit code {code}"
    try:
        return signal.Signals(-code).name
    except ValueError:
        return f"signal {-code}"


def _last_lines(stream: IO[bytes]) -> str:
    stream.seek(max(0, stream.seek(0, os.SEEK_END) - 4096))
    lines = [line for line in stream.read().decode("utf-8", "replace").splitlines() if line.strip()]
    return "\n".join(lines[-STDERR_LINES:])
