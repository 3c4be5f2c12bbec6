"""Samples from a Python file: a function without arguments that gives dicts of arrays (Polygraphy's convention)."""

from __future__ import annotations

import contextlib
import importlib.util
import sys
import traceback
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, cast

from graphopt.data.attempts import strict
from graphopt.data.fit import try_fit
from graphopt.data.sample import Attempts, Sample
from graphopt.errors import DataError
from graphopt.graph.interface import Interface

DEFAULT_FUNCTION = "load_data"


@dataclass(frozen=True)
class ScriptSource:
    """Calls the function anew each time it is iterated. What the file prints goes to standard error."""

    path: Path
    function: str
    interface: Interface

    @property
    def name(self) -> str:
        return f"{self.path}:{self.function}"

    @property
    def len_hint(self) -> int | None:
        return None

    def __iter__(self) -> Iterator[Sample]:
        return strict(self.attempts())

    def attempts(self) -> Attempts:
        with self._running():
            items = self._series(self._load()())
        for row in range(sys.maxsize):
            with self._running():
                item = next(items, _END)
            if item is _END:
                return
            where = f"{self.name}[{row}]"
            if isinstance(item, Mapping):
                yield try_fit(where, cast("Mapping[str, object]", item), self.interface)
            else:
                kind = type(item).__name__
                yield DataError(f"the function gives {kind}, not a dict of arrays by input name", where=where)

    def _series(self, produced: object) -> Iterator[object]:
        if isinstance(produced, Iterable) and not isinstance(produced, Mapping):
            return iter(cast("Iterable[object]", produced))
        kind = type(cast("object", produced)).__name__
        raise DataError(
            f"the function gives {kind}, not a series of dicts",
            where=self.name,
            help="yield one dict of arrays by input name for each sample",
        )

    def _load(self) -> Callable[[], object]:
        module = _execute(self.path)
        found = getattr(module, self.function, None)
        if not callable(found):
            raise DataError(
                f"{self.path} defines no function {self.function!r}",
                help=f"define `def {self.function}():` that yields a dict of arrays by input name for each sample, "
                "or name another function with FILE.py:FUNCTION",
            )
        return cast("Callable[[], object]", found)

    @contextlib.contextmanager
    def _running(self) -> Generator[None]:
        """The user's code runs: it finds its neighbours, leaves standard output alone, and its faults are its own."""
        folder = str(self.path.resolve().parent)
        sys.path.insert(0, folder)
        try:
            with contextlib.redirect_stdout(sys.stderr):
                yield
        except (DataError, KeyboardInterrupt):
            raise
        except BaseException as error:  # SystemExit included: a script may not end the compiler
            raise DataError(
                f"the data script failed: {type(error).__name__}: {error}", where=_place(error, self.path)
            ) from error
        finally:
            with contextlib.suppress(ValueError):
                sys.path.remove(folder)


_END: Any = object()


def _execute(path: Path) -> ModuleType:
    name = f"graphopt_data_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise DataError(f"{path} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses and pickled functions of the script look themselves up by module
    try:
        spec.loader.exec_module(module)
    finally:
        del sys.modules[name]
    return module


def _place(error: BaseException, path: Path) -> str:
    if isinstance(error, SyntaxError) and error.filename:
        return f"{path.name}:{error.lineno}"
    own = [f for f in traceback.extract_tb(error.__traceback__) if Path(f.filename).name == path.name]
    return f"{path.name}:{own[-1].lineno}" if own else str(path)
