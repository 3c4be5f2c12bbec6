"""Files that appear whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import os
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from graphopt.errors import OutputError


@contextmanager
def whole_file(path: Path) -> Generator[BinaryIO]:
    """A stream whose content becomes `path` when the block ends well, and nothing when it does not.

    The bytes are on the disk before the name is; what was there before stays until then.

    Raises:
        OutputError: the folder cannot be written, or the disk is full.
    """
    try:
        number, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    except OSError as error:
        raise _unwritten(path, error) from None
    try:
        with os.fdopen(number, "wb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        os.chmod(name, 0o666 & ~umask())
        os.replace(name, path)
    except BaseException as error:
        with contextlib.suppress(OSError):
            os.unlink(name)
        if isinstance(error, OSError):
            raise _unwritten(path, error) from None
        raise


def _unwritten(path: Path, error: OSError) -> OutputError:
    full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    return OutputError(
        f"cannot write {path}: {error.strerror or error}", help="make room, or write elsewhere" if full else None
    )


def umask() -> int:
    """The permissions that this process withholds from what it makes; asking sets them for a moment."""
    mask = os.umask(0)
    os.umask(mask)
    return mask
