"""Results as JUnit's XML, which every CI reads."""

from __future__ import annotations

from collections.abc import Sequence
from xml.etree import ElementTree

from graphopt.report.text import printable
from graphopt.suite.lock import Changes
from graphopt.suite.run import CaseResult


def junit(name: str, results: Sequence[CaseResult], changes: Changes) -> bytes:
    """A test suite with a test case for each case; figures are properties."""
    worse: dict[str, list[str]] = {}
    for line in changes.worse:
        case, text = line.split(": ", 1)
        worse.setdefault(case, []).append(f"worse than the lock file: {text}")
    suite = ElementTree.Element("testsuite", name=name, tests=str(len(results)))
    failures = errors = 0
    for result in results:
        element = ElementTree.SubElement(suite, "testcase", classname=name, name=result.name)
        properties = ElementTree.SubElement(element, "properties")
        for key, value in sorted({**result.figures, **result.unsteady}.items()):
            ElementTree.SubElement(properties, "property", name=key, value=f"{value:.6g}")
        problems = [*result.problems, *worse.get(result.name, [])]
        if result.error is not None:
            errors += 1
            _add(element, "error", [result.error])
        elif problems:
            failures += 1
            _add(element, "failure", problems)
    suite.set("failures", str(failures))
    suite.set("errors", str(errors))
    return ElementTree.tostring(suite, encoding="utf-8", xml_declaration=True)


def _add(element: ElementTree.Element, kind: str, lines: Sequence[str]) -> None:
    found = ElementTree.SubElement(element, kind, message=printable(lines[0].splitlines()[0]))
    found.text = printable("\n".join(lines))
