"""The output folder: what a run makes appears in it whole, or not at all."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import tempfile
import threading
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from graphopt.errors import OutputError, UsageError
from graphopt.graph.files import umask

LAST = ("report.json",)
"""Moved after everything that it speaks of."""

OURS = ("model.onnx", "model.onnx.data", "journal.jsonl", "report.json")
ENGINES = "engines"


class Staging:
    """A hidden folder on the disk of the output folder, in which a run writes."""

    def __init__(self, folder: Path, output: Path) -> None:
        self.folder = folder
        self.output = output

    def publish(self) -> None:
        """Move everything into the output folder; what an earlier run left there and this one did not make goes.

        Files of others in the folder stay. Ctrl-C waits until all is moved.

        Raises:
            OutputError: a file could not be moved.
        """
        with _uninterrupted():
            try:
                if not self.output.exists():
                    os.chmod(self.folder, 0o777 & ~umask())
                    self.folder.rename(self.output)
                    return
                made = sorted(p.relative_to(self.folder) for p in self.folder.rglob("*") if p.is_file())
                for name in sorted(made, key=lambda n: (str(n) in LAST, str(n))):
                    (self.output / name).parent.mkdir(parents=True, exist_ok=True)
                    os.replace(self.folder / name, self.output / name)
                _remove_stale(self.output, set(made))
            except OSError as error:
                raise OutputError(f"cannot write into {self.output}: {error.strerror}") from None


@contextmanager
def staging(output: Path) -> Generator[Staging]:
    """A staging folder for an output folder; it is gone in the end, whatever happens.

    Raises:
        UsageError: the output is a file.
        OutputError: the folder cannot be written.
    """
    if output.exists() and not output.is_dir():
        raise UsageError(f"the output {output} is a file", help="name a folder")
    made: list[Path] = []
    try:
        missing = [p for p in output.parents if not p.exists()]
        for parent in reversed(missing):
            parent.mkdir()
            made.append(parent)
        home = output if output.exists() else output.parent
        folder = Path(tempfile.mkdtemp(prefix=".graphopt-", dir=home))
    except OSError as error:
        _remove_empty(made)
        raise OutputError(
            f"cannot write into {output}: {error.strerror}", help="choose a folder that you may write to"
        ) from None
    try:
        yield Staging(folder, output)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        _remove_empty(made)
        raise
    shutil.rmtree(folder, ignore_errors=True)


def _remove_empty(made: list[Path]) -> None:
    for parent in reversed(made):
        with contextlib.suppress(OSError):
            parent.rmdir()


def _remove_stale(output: Path, made: set[Path]) -> None:
    engines = (p.relative_to(output) for p in (output / ENGINES).glob("*/*") if p.suffix in (".engine", ".json"))
    for name in [*map(Path, OURS), *engines]:
        if name not in made:
            (output / name).unlink(missing_ok=True)
    for folder in [*(output / ENGINES).glob("*/"), output / ENGINES]:
        with contextlib.suppress(OSError):
            folder.rmdir()


@contextmanager
def _uninterrupted() -> Generator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    blocked = {signal.SIGINT, signal.SIGTERM}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, blocked)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
