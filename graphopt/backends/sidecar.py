"""The small JSON file beside what a backend made: where it came from, and what it is.

Nothing in it depends on when or how fast it was made: the same model, options and versions give the same bytes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from graphopt.graph.files import whole_file

SCHEMA_VERSION = 1


def package_version(name: str) -> str:
    """The version of an installed package; "source" for one that runs from its sources."""
    try:
        return version(name)
    except PackageNotFoundError:
        return "source"


def write_sidecar(path: Path, target: str, versions: Mapping[str, str], content: Mapping[str, Any]) -> dict[str, Any]:
    """Write a sidecar and return what reading it gives.

    Raises:
        OutputError: it cannot be written.
    """
    versions = {"graphopt": package_version("graphopt"), **versions}
    details = {"schema_version": SCHEMA_VERSION, "target": target, "versions": versions, **content}
    text = json.dumps(details, indent=2, ensure_ascii=False)
    with whole_file(path) as stream:
        stream.write(f"{text}\n".encode())
    return json.loads(text)
