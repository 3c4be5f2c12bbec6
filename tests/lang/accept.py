"""`python -m tests.lang.accept [NAME...]` writes what the files in fail/ give today on top of them.

Read the difference before you commit it: it is what users will read.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from tests.lang.test_files import FAIL, errors_of, expected_errors


def accepted(path: Path) -> str:
    """The file with its errors on top. They name lines below them, so that it takes a few rounds to settle."""
    text = path.read_text(encoding="utf-8")
    lines = text.splitlines(keepends=True)
    body = "".join(lines[len(expected_errors(path).splitlines()) :]).lstrip("\n")
    with tempfile.TemporaryDirectory() as outer:
        copy, folder = Path(outer) / path.name, Path(outer) / "parts"
        folder.mkdir()
        copy.write_text(text, encoding="utf-8")
        for _ in range(len(lines)):
            comment = "".join(f"# {line}".rstrip() + "\n" for line in errors_of(copy, folder).splitlines())
            if copy.read_text(encoding="utf-8") == f"{comment}\n{body}":
                break
            copy.write_text(f"{comment}\n{body}", encoding="utf-8")
        return copy.read_text(encoding="utf-8")


def main(names: list[str]) -> None:
    for path in FAIL:
        if not names or path.stem in names:
            path.write_text(accepted(path), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
