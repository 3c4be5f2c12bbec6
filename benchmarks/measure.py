"""Running a command as a process of its own: what it took, by the operating system's own account.

The peak of a process counts from the memory of the one that started it. So whoever measures stays small, and has models
made by `script`, in other processes.
"""

from __future__ import annotations

import json
import os
import signal
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Usage:
    """One run of a command, or the median of several.

    Attributes:
        wall, cpu: seconds of the whole process; `cpu` is user and system time of all its threads.
        mebibytes: the most that it had in memory.
        said: the JSON object in the last line that it printed; empty where there is none.
        failure: why there is nothing to compare: it took too long, or ended with an error.
    """

    wall: float = 0.0
    cpu: float = 0.0
    mebibytes: float = 0.0
    said: dict[str, Any] = field(default_factory=dict[str, Any])
    failure: str = ""


def run(command: Sequence[str], limit: float = 600.0) -> Usage:
    """Run a command to its end, or for `limit` seconds."""
    started = time.perf_counter()
    # as installed: a checkout whose modules are compiled anew in each run is not what is measured
    env = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    process = subprocess.Popen(
        list(command), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True, env=env
    )
    timer = threading.Timer(limit, os.killpg, (process.pid, signal.SIGKILL))
    timer.start()
    assert process.stdout is not None
    assert process.stderr is not None
    try:
        with process.stdout as output, process.stderr as complaints:
            errors: list[str] = []
            reader = threading.Thread(target=lambda: errors.append(complaints.read()))
            reader.start()
            printed = output.read()
            reader.join()
        _, status, used = os.wait4(process.pid, 0)
    except BaseException:  # Ctrl-C does not reach a session of its own
        os.killpg(process.pid, signal.SIGKILL)
        raise
    finally:
        timer.cancel()
    wall = time.perf_counter() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode == -signal.SIGKILL and wall >= limit:
        return Usage(failure=f"> {limit:g} s")
    if process.returncode:
        return Usage(failure=_reason("".join(errors)))
    return Usage(wall, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024, _last_object(printed))


def in_turn(commands: Sequence[Sequence[str]], runs: int, limits: Sequence[float]) -> list[list[Usage]]:
    """Every command `runs` times, in turn (A B C A B C …), so that a machine that slows down slows all of them."""
    found: list[list[Usage]] = [[] for _ in commands]
    for _ in range(runs):
        for own, command, limit in zip(found, commands, limits, strict=True):
            if not own or not own[-1].failure:
                own.append(run(command, limit))
    return found


def median(runs: Sequence[Usage]) -> Usage:
    """The median of each figure; what was said is the last run's."""
    if runs[-1].failure:
        return runs[-1]
    return Usage(
        wall=statistics.median(u.wall for u in runs),
        cpu=statistics.median(u.cpu for u in runs),
        mebibytes=statistics.median(u.mebibytes for u in runs),
        said=runs[-1].said,
    )


def script(name: str, *arguments: str) -> str:
    """Run another file of this folder to its end; what it printed."""
    command = [sys.executable, str(Path(__file__).with_name(name)), *arguments]
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout


def command_of(python: str, name: str) -> str:
    """The command that a package installed beside an interpreter."""
    return str(Path(python).with_name(name))


def load_line() -> str:
    """How busy the machine is, for the reader of a table."""
    return f"{os.cpu_count()} CPUs, load average {os.getloadavg()[0]:.1f}"


def _last_object(printed: str) -> dict[str, Any]:
    lines = printed.strip().splitlines()
    return json.loads(lines[-1]) if lines and lines[-1].startswith("{") else {}


def _reason(errors: str) -> str:
    if "ModuleNotFoundError" in errors:
        return "missing"
    lines = errors.strip().splitlines()
    return f"fails: {lines[-1][:60] if lines else 'it says nothing'}"
