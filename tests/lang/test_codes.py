"""What `codes.toml` tells of each code: its bad example is refused with that code and no other, its good one is not."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

import graphopt.lang
from graphopt.lang.files import RuleFiles
from graphopt.rewrite.library import known_targets
from tests.lang.codes import CODES

FILE = Path(graphopt.lang.__file__).parent / "codes.toml"
ENTRIES: dict[str, dict[str, Any]] = tomllib.loads(FILE.read_text(encoding="utf-8"))


def test_every_code_is_explained_and_nothing_else():
    assert sorted(ENTRIES) == sorted(CODES)


@pytest.mark.parametrize(("code", "kind"), [(code, kind) for code in ENTRIES for kind in ("bad", "good")])
def test_examples(code: str, kind: str, tmp_path: Path):
    entry = ENTRIES[code]
    beside = entry.get("beside", {}) if kind == "good" else {}
    for name, text in {"example.rules": entry[kind], **beside}.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    files = RuleFiles()
    files.add_path(tmp_path)
    assert {error.code for error in files.find_errors(known_targets)} == ({code} if kind == "bad" else set())
