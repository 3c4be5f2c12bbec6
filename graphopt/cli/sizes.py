"""Sizes as people write them."""

from __future__ import annotations

import re

from graphopt.errors import UsageError

UNITS = {"": 1, "B": 1, "KB": 1 << 10, "MB": 1 << 20, "GB": 1 << 30}


def parse_size(text: str, option: str) -> int:
    """Bytes that a text such as `512KB`, `1MB`, `1.5GB` or `4096` says; K, M and G are powers of 1024.

    Raises:
        UsageError: it is no size.
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMG]?B?)", text.strip().upper())
    if found is None:
        raise UsageError(f"{text!r} is no size", where=option, help="write a size as 512KB, 1MB or 4GB")
    unit = found[2] if found[2].endswith("B") or not found[2] else f"{found[2]}B"
    return int(float(found[1]) * UNITS[unit])
