"""Verdicts on `axes` declarations kept by content, below the folder of all caches: `facts/<declaration>-<settings>`."""

from __future__ import annotations

import contextlib
import hashlib
import json
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from graphopt.lang import tree as t
from graphopt.verify.axis_facts import FactVerdict, unverified
from graphopt.verify.content import axes_digest, judge_digest


class KeptFacts:
    """The verdicts below one cache folder, at one seed, of the versions that are installed now."""

    def __init__(self, root: Path, seed: int) -> None:
        self._folder = root / "facts"
        self._settings = hashlib.sha256(repr((seed, judge_digest())).encode()).hexdigest()[:16]

    def find(self, axes: t.Axes) -> list[FactVerdict] | None:
        """The verdicts that were kept, with the facts' present places; None where there are none."""
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            kept = cast("list[dict[str, Any]]", json.loads(self._path(axes).read_bytes()))
            return [
                replace(blank, kind=found["verdict"], cuts=found["cuts"], note=found["note"])
                for blank, found in zip(unverified(axes, ""), kept, strict=True)
            ]
        return None

    def put(self, axes: t.Axes, verdicts: Sequence[FactVerdict]) -> None:
        """Keep verdicts, but for those of a process that was lost; where the folder cannot be written, nothing is
        kept."""
        if any(verdict.is_lost for verdict in verdicts):
            return
        with contextlib.suppress(OSError):
            self._folder.mkdir(parents=True, exist_ok=True)
            path = self._path(axes)
            with tempfile.TemporaryDirectory(prefix=".new-", dir=self._folder) as folder:
                staged = Path(folder) / path.name
                staged.write_text(json.dumps([v.to_json() for v in verdicts], indent=1), encoding="utf-8")
                staged.replace(path)

    def _path(self, axes: t.Axes) -> Path:
        return self._folder / f"{axes_digest(axes)}-{self._settings}.json"
