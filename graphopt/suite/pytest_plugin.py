"""`pytest --graphopt-suite SUITE.toml`: each case of a suite is a test.

pytest finds this module by its entry point, and it alone imports it, so that graphopt does without pytest. It is
imported whenever pytest runs where graphopt is installed: the rest of graphopt waits until a suite is named.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from graphopt.suite import REPRODUCTIONS

if TYPE_CHECKING:
    from graphopt.suite.cases import Case


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("graphopt", "parity suites")
    group.addoption(
        "--graphopt-suite",
        action="append",
        default=[],
        metavar="SUITE.toml",
        help="make each case of a parity suite a test; can be said several times",
    )
    group.addoption(
        "--graphopt-no-cache", action="store_true", help="run also those cases that ran before with the same content"
    )


def pytest_configure(config: pytest.Config) -> None:
    """Suites are collected as if they had been named among the files to test."""
    for suite in _suites(config):
        if str(suite) not in config.args:
            config.args.append(str(suite))


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    # pytest gives its constructors no types
    suite: Any = SuiteFile
    return suite.from_parent(parent, path=file_path) if file_path in _suites(parent.config) else None


def _suites(config: pytest.Config) -> list[Path]:
    return [Path(config.invocation_params.dir, suite) for suite in config.getoption("--graphopt-suite") or ()]


class SuiteFile(pytest.File):
    """A suite and its lock file."""

    def collect(self) -> Iterator[CaseItem]:
        from graphopt.errors import GraphoptError
        from graphopt.suite.cases import cases_of
        from graphopt.suite.definition import load_suite
        from graphopt.suite.lock import lock_path, read_lock

        item_type: Any = CaseItem
        try:
            cases = cases_of(load_suite(self.path), self.path.parent)
            locked = read_lock(lock_path(self.path))
        except GraphoptError as error:
            raise self.CollectError(str(error)) from None
        for case in cases:
            item: CaseItem = item_type.from_parent(self, name=case.name)
            item.case, item.locked = case, locked
            yield item


class CaseItem(pytest.Item):
    """A case, which runs in a process of its own: one that dies costs this test alone."""

    case: Case
    locked: dict[str, dict[str, float]]

    def runtest(self) -> None:
        from graphopt.suite.cache import ResultCache
        from graphopt.suite.lock import changes
        from graphopt.suite.reproduction import keep_reproduction
        from graphopt.suite.runner import run_cases

        cache = None if self.config.getoption("--graphopt-no-cache") else ResultCache()
        (result,) = run_cases([self.case], cache=cache)
        worse = changes([result], self.locked, whole=False).worse
        lines = [result.error] if result.error is not None else [*result.problems, *worse]
        if lines:
            kept = keep_reproduction(self.case, self.config.invocation_params.dir / REPRODUCTIONS)
            raise CaseFailed("\n".join([*lines, f"to reproduce: {kept}"]))

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        return str(excinfo.value) if isinstance(excinfo.value, CaseFailed) else super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, None, str]:
        return self.path, None, self.name


class CaseFailed(Exception):
    """A case is not what is expected of it, or worse than it was."""
