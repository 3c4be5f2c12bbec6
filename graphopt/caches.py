"""Where graphopt keeps what it can make anew."""

from __future__ import annotations

import os
from pathlib import Path


def cache_root(chosen: Path | None = None) -> Path:
    """The folder of all caches: the one chosen, $GRAPHOPT_CACHE, or graphopt in the user's cache folder."""
    if chosen is not None:
        return chosen
    if named := os.environ.get("GRAPHOPT_CACHE"):
        return Path(named).expanduser().absolute()
    caches = os.environ.get("XDG_CACHE_HOME")
    return (Path(caches) if caches and Path(caches).is_absolute() else Path.home() / ".cache") / "graphopt"
