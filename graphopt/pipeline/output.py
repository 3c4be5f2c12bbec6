"""The output folder: what a run makes appears in it whole, or not at all."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from pathlib import Path

from graphopt.errors import GraphoptError, OutputError, UsageError
from graphopt.graph.files import umask
from graphopt.pipeline.interrupts import put_off

LAST = ("report.json",)
"""Moved after everything that it speaks of."""

OURS = ("model.onnx", "model.onnx.data", "journal.jsonl", "report.json")
ENGINES = "engines"

KEPT = ".kept"
"""Where in a staging folder the files lie that a run takes the place of, until all of its own have their names."""


class Staging:
    """A hidden folder on the disk of the output folder, in which a run writes."""

    def __init__(self, folder: Path, output: Path) -> None:
        self.folder = folder
        self.output = output

    def publish(self) -> None:
        """Move everything into the output folder; what an earlier run left there and this one did not make goes.

        Files of others in the folder stay. Ctrl-C waits until all is moved.

        Raises:
            OutputError: a file could not be moved; the folder is then as it was.
        """
        with put_off():
            try:
                if self.output.exists():
                    self._replace()
                else:
                    os.chmod(self.folder, 0o777 & ~umask())
                    self.folder.rename(self.output)
            except OSError as error:
                raise OutputError(f"cannot write into {self.output}: {error.strerror}") from None

    def _replace(self) -> None:
        made = sorted(p.relative_to(self.folder) for p in self.folder.rglob("*") if p.is_file())
        moved: list[Path] = []
        try:
            for name in sorted(made, key=lambda n: (str(n) in LAST, str(n))):
                self._keep(name)
                moved.append(name)
                (self.output / name).parent.mkdir(parents=True, exist_ok=True)
                os.replace(self.folder / name, self.output / name)
            for name in _stale(self.output, made):
                self._keep(name)
                moved.append(name)
                (self.output / name).unlink()
        except OSError:
            for name in reversed(moved):
                self._restore(name)
            raise
        finally:
            _remove_empty([self.output / ENGINES, *(self.output / ENGINES).glob("*/")])

    def _keep(self, name: Path) -> None:
        """Keep what stands under a name a second time; the name never stands for nothing meanwhile."""
        old, kept = self.output / name, self.folder / KEPT / name
        if not os.path.lexists(old):
            return
        kept.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.link(old, kept, follow_symlinks=False)
        except OSError:  # not every file system has links
            shutil.copy2(old, kept, follow_symlinks=False)

    def _restore(self, name: Path) -> None:
        kept = self.folder / KEPT / name
        with contextlib.suppress(OSError):
            if os.path.lexists(kept):
                os.replace(kept, self.output / name)
            else:
                (self.output / name).unlink()


@contextmanager
def staging(output: Path) -> Generator[Staging]:
    """A staging folder for an output folder; it is gone in the end, whatever happens.

    Raises:
        UsageError: the output, or a place in it, is taken by something else.
        OutputError: the folder cannot be written.
    """
    _refuse_taken(output)
    parents: list[Path] = []
    folder: Path | None = None
    try:
        with put_off():
            folder = _make_folder(output, parents)
        yield Staging(folder, output)
    except GraphoptError as error:
        if folder is not None:
            _rename_in(error, folder, output)
        raise
    finally:
        with put_off():
            if folder is not None:
                shutil.rmtree(folder, ignore_errors=True)
            _remove_empty(parents)


def _make_folder(output: Path, parents: list[Path]) -> Path:
    """The staging folder, on the disk of the output; `parents` lists what is made above it, as it is made."""
    try:
        for parent in reversed([p for p in output.parents if not p.exists()]):
            parent.mkdir()
            parents.append(parent)
        return Path(tempfile.mkdtemp(prefix=".graphopt-", dir=output if output.exists() else output.parent))
    except OSError as error:
        raise OutputError(
            f"cannot write into {output}: {error.strerror}", help="choose a folder that you may write to"
        ) from None


def _rename_in(error: GraphoptError, folder: Path, output: Path) -> None:
    """Let an error speak of the folder that the user named, not of the one that stands in for it."""
    error.message = error.message.replace(str(folder), str(output))
    error.where = error.where and error.where.replace(str(folder), str(output))


def refuse_to_replace(output: Path, sources: Iterable[Path]) -> None:
    """
    Raises:
        UsageError: one of the files that a run reads lies where it is going to write.
    """
    taken = {(output / name).resolve() for name in OURS}
    for path in sources:
        if path.resolve() in taken:
            raise UsageError(
                f"the output would take the place of {path}, which is being compiled", help="name another folder"
            )


def _refuse_taken(output: Path) -> None:
    if os.path.lexists(output) and not output.is_dir():
        raise UsageError(f"the output {output} is a file", help="name a folder")
    for name in OURS:
        if (output / name).is_dir():
            raise UsageError(f"{output / name} is a folder, where a file is to be written", help="name another folder")
    if os.path.lexists(output / ENGINES) and not (output / ENGINES).is_dir():
        raise UsageError(f"{output / ENGINES} is a file, where a folder is to be", help="name another folder")


def _stale(output: Path, made: Iterable[Path]) -> list[Path]:
    """What an earlier run left in the output folder and this one did not make."""
    engines = (p.relative_to(output) for p in (output / ENGINES).glob("*/*") if p.suffix in (".engine", ".json"))
    kept = set(made)
    return [n for n in (*map(Path, OURS), *engines) if n not in kept and os.path.lexists(output / n)]


def _remove_empty(folders: Iterable[Path]) -> None:
    """Remove those folders that hold nothing, the last ones first."""
    for folder in reversed(list(folders)):
        with contextlib.suppress(OSError):
            folder.rmdir()
