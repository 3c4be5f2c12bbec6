"""The stable codes of errors, as the sources of the language name them."""

from __future__ import annotations

import re
from pathlib import Path

import graphopt.lang

SOURCES = sorted(Path(graphopt.lang.__file__).parent.glob("*.py"))
CODES = frozenset(code for path in SOURCES for code in re.findall(r"\"(GR\d{3})\"", path.read_text(encoding="utf-8")))
