"""docs/authoring.md: what it says is what happens, in the order in which it stands there."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

from tests.lang.documents import Block, blocks_of

PATH = "docs/authoring.md"


def test_the_page(tmp_path: Path) -> None:
    for block in blocks_of(PATH):
        kind, _, name = block.info.partition(" ")
        if name.startswith("in "):
            assert block.text in (tmp_path / name.removeprefix("in ")).read_text("utf-8"), block
        elif name:
            (tmp_path / name).write_text(block.text, "utf-8")
        elif kind == "toml":
            assert tomllib.loads(block.text), block
        else:
            assert kind == "console", block
            run_console(block, tmp_path)


def run_console(block: Block, folder: Path) -> None:
    for command, expected in commands_of(block.text):
        found = output_of(command, folder)
        assert fits(found, expected), f"{block}\n$ {command}\n{found}"


def commands_of(text: str) -> list[tuple[str, list[str]]]:
    """Each command of a console with the lines that it prints."""
    found: list[tuple[str, list[str]]] = []
    for line in text.splitlines():
        if line.startswith("$ "):
            found.append((line.removeprefix("$ "), []))
        else:
            found[-1][1].append(line)
    return found


def output_of(command: str, folder: Path) -> str:
    """What a command prints, on both streams, in the environment that runs the tests, with nothing in the cache."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    own = {"PATH": path, "COLUMNS": "120", "GRAPHOPT_CACHE": str(folder / "cache")}
    env = {**os.environ, **own, "PYTHONDONTWRITEBYTECODE": "1", "PYTEST_ADDOPTS": ""}
    ended = subprocess.run(
        ["bash", "-c", command], cwd=folder, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False
    )
    return ended.stdout.decode()


def fits(found: str, expected: list[str]) -> bool:
    """`...` on a line of its own is any number of lines; within a line any text."""
    parts = [r"(?:.*\n)*" if line == "..." else _line(line) for line in expected]
    return re.fullmatch("".join(parts), found) is not None


def _line(text: str) -> str:
    return ".*".join(re.escape(part) for part in text.split("...")) + r" *\n"
