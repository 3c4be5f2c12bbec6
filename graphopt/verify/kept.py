"""Verdicts kept by content, below the folder of all caches: `verdicts/<rule>-<settings>/`.

An entry is there whole or not at all. It holds the verdict, and every counterexample as files.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

from graphopt.errors import UsageError
from graphopt.lang import tree as t
from graphopt.verify.content import judge_digest, rule_digest
from graphopt.verify.verdict import TRUSTED, ConditionVerdict, Counterexample, Verdict

VERDICT = "verdict.json"
WRONG = "wrong"


@dataclass(frozen=True)
class Settings:
    """How thoroughly a rule is verified; the arguments of `verify_rule`."""

    instances: int
    seed: int
    conditions: bool


class KeptVerdicts:
    """The verdicts below one cache folder, of the versions that are installed now."""

    def __init__(self, root: Path) -> None:
        self._folder = root / "verdicts"

    def folder(self, rule: t.Rule, settings: Settings) -> Path:
        """Where the verdict of a rule at some settings lies, and its counterexamples."""
        text = repr((settings, judge_digest()))
        return self._folder / f"{rule_digest(rule)}-{hashlib.sha256(text.encode()).hexdigest()[:16]}"

    def find(self, rule: t.Rule, settings: Settings) -> Verdict | None:
        """The verdict that was kept, with the rule's present name and place; None where there is none."""
        folder = self.folder(rule, settings)
        try:
            kept = cast("dict[str, Any]", json.loads((folder / VERDICT).read_bytes()))
            found = replace(_verdict(kept), rule=rule.name, place=rule.place, cached=True)
            return _with_counterexamples(found, folder)
        except (OSError, ValueError, KeyError, TypeError, UsageError):
            return None

    def put(self, rule: t.Rule, settings: Settings, verdict: Verdict) -> None:
        """Keep a verdict and its counterexamples, unless it was lost; where the folder cannot be written, nothing is
        kept."""
        if verdict.is_lost:
            return
        with contextlib.suppress(OSError):
            self._put(self.folder(rule, settings), rule, verdict)

    def trusted(self, rule: t.Rule) -> str | None:
        """How a rule was found right, at whatever settings; None where it was not, or not by these versions."""
        now = judge_digest()
        for path in sorted(self._folder.glob(f"{rule_digest(rule)}-*/{VERDICT}")):
            with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
                kept = cast("dict[str, Any]", json.loads(path.read_bytes()))
                if kept["versions"] == now and kept["verdict"] in TRUSTED:
                    return str(kept["verdict"])
        return None

    def _put(self, folder: Path, rule: t.Rule, verdict: Verdict) -> None:
        from graphopt.verify.reproduce import save_counterexample

        self._folder.mkdir(parents=True, exist_ok=True)
        staged = Path(tempfile.mkdtemp(prefix=".new-", dir=self._folder))
        try:
            if verdict.counterexample is not None:
                save_counterexample(verdict.counterexample, staged / WRONG, rule)
            for number, condition in enumerate(verdict.conditions):
                if condition.counterexample is not None:
                    save_counterexample(condition.counterexample, staged / _without(number), rule, number)
            text = json.dumps({**verdict.to_json(), "versions": judge_digest()}, indent=1)
            (staged / VERDICT).write_text(text, encoding="utf-8")
            shutil.rmtree(folder, ignore_errors=True)
            os.rename(staged, folder)
        finally:
            shutil.rmtree(staged, ignore_errors=True)


def _with_counterexamples(verdict: Verdict, folder: Path) -> Verdict:
    from graphopt.verify.reproduce import load_counterexample

    def at(name: str) -> Counterexample | None:
        return load_counterexample(folder / name)[0] if (folder / name).exists() else None

    conditions = (replace(c, counterexample=at(_without(i))) for i, c in enumerate(verdict.conditions))
    return replace(verdict, counterexample=at(WRONG), conditions=tuple(conditions))


def _without(number: int) -> str:
    """The folder of the counterexample to a rule without its condition of this number."""
    return f"without-{number + 1}"


def _verdict(kept: Mapping[str, Any]) -> Verdict:
    conditions = [
        ConditionVerdict(c["condition"], c["place"], c["verdict"], c["instances"], note=c["note"])
        for c in kept["conditions"]
    ]
    return Verdict(
        kept["rule"],
        kept["place"],
        kept["verdict"],
        kept["contract"],
        kept["instances"],
        kept["comparisons"],
        kept["coverage"],
        tuple(conditions),
        proof=kept["proof"],
        notes=tuple(kept["notes"]),
        seconds=kept["seconds"],
    )
