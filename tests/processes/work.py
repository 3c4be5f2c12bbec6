"""What a worker process does in a test; in a module of its own, which takes no time to import."""

from __future__ import annotations

import os
import time

from graphopt.processes import Say


def work(item: str, say: Say) -> str | None:
    """The item in capitals; or the end that it names."""
    say(f"about to {item}")
    if item == "die":
        os._exit(7)
    if item == "fail":
        raise KeyError("nothing")
    if item == "eat":
        held = bytearray(1 << 30)
        held[::4096] = b"x" * len(held[::4096])
        time.sleep(600)
    if item == "nothing":
        return None
    if item == "hang":
        time.sleep(600)
    return item.upper()
