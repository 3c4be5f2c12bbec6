"""Fates of mutants, kept by content below the folder of all caches: `mutants/<digest>.json`.

A kill stays one until the rule, or a library, changes: there is a counterexample. That a mutant lives is known only of
the verifier that let it live, so it is tried anew when a source of that one changes.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from graphopt.verify.content import judge_digest, rule_digest, versions_digest
from tests.mutants import trial
from tests.mutants.mutant import Mutant
from tests.mutants.trial import Fate, Trial


@dataclass(frozen=True)
class KeptTrials:
    """The trials of mutants at one setting."""

    root: Path
    instances: int
    seed: int

    def find(self, mutant: Mutant) -> tuple[Trial | None, Fate | None]:
        """What is known of a mutant: its trial, and what an earlier verifier, or this one, said of it."""
        with contextlib.suppress(OSError, ValueError, KeyError):
            kept: dict[str, Any] = json.loads(self._path(mutant).read_bytes())
            if kept["fate"] == "killed" or kept["sources"] == sources_digest():
                return Trial(mutant, kept["fate"], kept["note"], kept["seconds"]), kept["fate"]
            return None, kept["fate"]
        return None, None

    def put(self, trial: Trial) -> None:
        path = self._path(trial.mutant)
        path.parent.mkdir(parents=True, exist_ok=True)
        found = {"mutant": trial.mutant.id, "fate": trial.fate, "note": trial.note, "seconds": trial.seconds}
        staged = path.with_suffix(".new")
        staged.write_text(json.dumps({**found, "sources": sources_digest()}, indent=1), encoding="utf-8")
        staged.replace(path)

    def _path(self, mutant: Mutant) -> Path:
        original = rule_digest(mutant.rule)
        key = repr((mutant.rule.name, original, mutant.alone, self.instances, self.seed, versions_digest()))
        return self.root / "mutants" / f"{hashlib.sha256(key.encode()).hexdigest()[:32]}.json"


@cache
def sources_digest() -> str:
    """What decides whether a mutant lives: what judges a rule, and how a mutant is tried."""
    return hashlib.sha256(judge_digest().encode() + Path(trial.__file__).read_bytes()).hexdigest()[:16]
