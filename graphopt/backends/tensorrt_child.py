"""The process in which TensorRT parses and builds: `python -m graphopt.backends.tensorrt_child`.

It reads one JSON request from stdin and writes JSON lines to what was its stdout; the library's own prints go to
stderr. It ends when its parent does: stdin then ends, and on Linux the kernel kills it as well. It imports nothing
heavy but the library, and leaves by `os._exit`, since the library's destructors have nothing to say to anyone.
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib
import json
import os
import signal
import sys
import threading
import traceback
from typing import Any, TextIO

KILLED_BY_PARENT = 1
PR_SET_PDEATHSIG = 1
MIB = 1 << 20


class Channel:
    """Events to the parent, one JSON object a line. A parent that is gone ends the process."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def send(self, event: str, **fields: Any) -> None:
        try:
            self._stream.write(json.dumps({"event": event, **fields}) + "\n")
            self._stream.flush()
        except OSError:
            os._exit(KILLED_BY_PARENT)


def main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to the whole group; the parent decides
    channel = Channel(os.fdopen(os.dup(1), "w", encoding="utf-8"))
    os.dup2(2, 1)
    request: dict[str, Any] = json.loads(sys.stdin.buffer.readline())
    _die_with(request["parent"])
    try:
        _serve(request, channel)
    except MemoryError:
        channel.send("failed", errors=["std::bad_alloc"])
    except Exception:
        channel.send("bug", traceback=traceback.format_exc())
    channel.send("end")
    os._exit(0)


def _serve(request: dict[str, Any], channel: Channel) -> None:
    try:
        trt = importlib.import_module(request["module"])
    except Exception as error:  # a broken installation fails in many ways; each is "cannot be imported" to the user
        channel.send("unavailable", reason=f"cannot be imported: {error}")
        return
    from graphopt.backends.tensorrt_build import Build, start

    builder = start(trt, channel)
    if builder is not None and request["task"] == "build":
        if request["memory_limit_mb"]:
            _limit_memory(request["memory_limit_mb"])
        Build(trt, *builder, channel, request).run()


def _die_with(parent: int) -> None:
    """End when the parent does, and leave no core file of gigabytes behind when the library crashes."""
    if sys.platform == "linux":
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(KILLED_BY_PARENT)
    threading.Thread(target=_wait_for_end_of_stdin, daemon=True).start()


def _wait_for_end_of_stdin() -> None:
    with contextlib.suppress(OSError):
        os.read(0, 1)  # not sys.stdin: its lock would stop the interpreter
    os._exit(KILLED_BY_PARENT)


def _limit_memory(mib: int) -> None:
    """Limit private memory (RLIMIT_DATA): weights mapped from files do not count, and running out is an exception."""
    import resource

    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    wanted = mib * MIB
    limit = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    resource.setrlimit(resource.RLIMIT_DATA, (limit, hard))


if __name__ == "__main__":
    main()
