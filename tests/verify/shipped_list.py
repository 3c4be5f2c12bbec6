"""Writes graphopt/verify/shipped.json: what a thorough verification says of every rule that ships.

python -m tests.verify.shipped_list
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import graphopt.verify
from graphopt.rewrite.library import shipped_files
from graphopt.verify.content import rule_digest
from graphopt.verify.kept import Settings
from graphopt.verify.pool import verify_rules
from graphopt.verify.proof_state import LIST

PATH = Path(graphopt.verify.__file__).parent / LIST
INSTANCES = 200


def main() -> None:
    rules = [rule for file in shipped_files() for rule in file.rules]
    settings = Settings(INSTANCES, 0, conditions=True)
    verdicts = {rule.name: verdict for rule, verdict in verify_rules(rules, settings, jobs=os.cpu_count() or 1)}
    wrong = [name for name, verdict in verdicts.items() if not verdict.is_complete]
    assert not wrong, wrong
    entries = [{"rule": r.name, "digest": rule_digest(r), "verdict": verdicts[r.name].kind} for r in rules]
    text = ",\n".join(json.dumps(entry) for entry in sorted(entries, key=lambda e: e["rule"]))
    PATH.write_text(f'{{"rules": [\n{text}\n]}}\n', encoding="utf-8")


if __name__ == "__main__":
    main()
