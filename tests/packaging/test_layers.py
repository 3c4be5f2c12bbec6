"""Imports point down only: data goes one way, so whoever reads one layer never has to know the ones above it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

# From the lowest to the highest; a folder may import those of the lines above its own, and itself.
LAYERS = (
    ("caches", "errors", "processes", "progress"),
    ("graph", "skeletons"),
    ("data", "lang", "targets"),
    ("backends", "parity", "rewrite"),
    ("calibration", "exporting", "legalize"),
    ("quantization",),
    ("precision",),
    ("verify",),
    ("pipeline",),
    ("report",),
    ("suite",),
    ("api",),
    ("testing",),
    ("cli",),
)
LEVELS = {name: level for level, names in enumerate(LAYERS) for name in names}


def imports(path: Path) -> Iterator[tuple[int, str]]:
    """Line and dotted name of each import of ours, lazy ones too; `from graphopt import x` gives graphopt.x."""
    package = path.relative_to(ROOT).parts[:-1]
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names if alias.name.split(".")[0] == "graphopt")
        elif isinstance(node, ast.ImportFrom):
            base = [*package[: len(package) - node.level + 1], *([node.module] if node.module else [])]
            source = ".".join(base) if node.level else (node.module or "")
            if source.split(".")[0] == "graphopt":
                yield from ((node.lineno, f"{source}.{alias.name}") for alias in node.names)


@pytest.mark.parametrize("name", sorted(LEVELS))
def test_a_layer_imports_only_what_is_below_it(name: str) -> None:
    paths = [*(ROOT / "graphopt" / name).rglob("*.py"), *(ROOT / "graphopt").glob(f"{name}.py")]
    upward = [
        f"{path.relative_to(ROOT)}:{line}: {target}"
        for path in paths
        for line, target in imports(path)
        for area in [target.split(".")[1]]
        if area in LEVELS and area != name and LEVELS[area] >= LEVELS[name]
    ]
    assert upward == []


def test_every_folder_has_its_layer() -> None:
    folders = {path.parent.name for path in (ROOT / "graphopt").glob("*/__init__.py")}
    assert folders - LEVELS.keys() == set()


def test_passes_see_the_public_api_alone() -> None:
    """What third parties write against: a pass that needs more shows what the API lacks."""
    inner = [
        f"{path.relative_to(ROOT)}:{line}: {target}"
        for path in (ROOT / "passes").rglob("*.py")
        for line, target in imports(path)
        if target.count(".") > 1
    ]
    assert inner == []
