"""Whose code is this: the user's own, or that of Python, of installed packages, or ours."""

from __future__ import annotations

import site
import sysconfig
import traceback
from functools import cache
from pathlib import Path

_OURS = Path(__file__).resolve().parent.parent


@cache
def _foreign_folders() -> tuple[Path, ...]:
    paths = {sysconfig.get_path(key) for key in ("stdlib", "platstdlib", "purelib", "platlib")}
    paths |= {*site.getsitepackages(), site.getusersitepackages()}
    return tuple(Path(p).resolve() for p in paths if p)


@cache
def is_user_file(name: str) -> bool:
    """Whether a source file is the user's own (editable installs are: their version says nothing)."""
    path = Path(name)
    if not path.is_file():
        return False
    resolved = path.resolve()
    return not any(resolved.is_relative_to(folder) for folder in (*_foreign_folders(), _OURS))


def user_line(error: BaseException) -> str | None:
    """`file:line` of the innermost frame of the user's own code that an exception passed, if any."""
    if isinstance(error, SyntaxError) and error.filename:
        return f"{shown(error.filename)}:{error.lineno}"
    frames = [f for f in traceback.extract_tb(error.__traceback__) if is_user_file(f.filename)]
    return f"{shown(frames[-1].filename)}:{frames[-1].lineno}" if frames else None


def shown(name: str) -> str:
    """A path as messages show it: relative where it lies below the current folder."""
    path = Path(name).resolve()
    folder = Path.cwd()
    return str(path.relative_to(folder)) if path.is_relative_to(folder) else str(path)
