"""Polygraphy without its two habits that a library cannot have: installing packages, and printing."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator
from contextlib import contextmanager
from importlib import import_module
from typing import Any


@contextmanager
def quiet_polygraphy() -> Generator[Callable[[str], Any]]:
    """Import and call Polygraphy inside this block; gives what imports one of its modules."""
    os.environ["POLYGRAPHY_AUTOINSTALL_DEPS"] = "0"  # read once, when polygraphy is first imported
    logger: Any = import_module("polygraphy.logger").G_LOGGER
    with logger.verbosity(logger.CRITICAL + 1):  # its errors are exceptions as well, and those are enough
        yield import_module
