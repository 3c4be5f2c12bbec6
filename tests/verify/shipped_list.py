"""Writes graphopt/verify/shipped.json: what verification says of every rule that ships.

What is kept of earlier runs is not asked: it may be from an earlier verifier.

    python -m tests.verify.shipped_list
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import graphopt.verify
from graphopt.rewrite.library import shipped_files
from graphopt.verify.batch import verify_rules
from graphopt.verify.content import rule_digest
from graphopt.verify.kept import Settings
from graphopt.verify.proof_state import LIST
from graphopt.verify.verify import INSTANCES

PATH = Path(graphopt.verify.__file__).parent / LIST


def main() -> None:
    rules = [rule for file in shipped_files() for rule in file.rules]
    settings = Settings(INSTANCES, 0, conditions=True)
    verdicts = {rule.name: verdict for rule, verdict in verify_rules(rules, settings, jobs=os.cpu_count() or 1)}
    wrong = [name for name, verdict in verdicts.items() if not verdict.is_complete]
    assert not wrong, wrong
    kinds = {name: verdict.kind for name, verdict in verdicts.items()}
    entries = [{"rule": r.name, "digest": rule_digest(r), "verdict": kinds[r.name]} for r in rules]
    text = ",\n".join(json.dumps(entry) for entry in sorted(entries, key=lambda e: e["rule"]))
    PATH.write_text(f'{{"rules": [\n{text}\n]}}\n', encoding="utf-8")


if __name__ == "__main__":
    main()
