"""Writes tests/rules/fired.json: where the rules of the recipe `default` fire.

    python -m tests.rules.fired_list [FOLDER...]

On the corpus, on the modules of tests/rules/exports.py (which takes torch), and on the models of other folders, such as
those that benchmarks/architectures.py exports. Each rule with up to three models, those of the corpus before others.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from graphopt.pipeline.coverage import cover
from graphopt.pipeline.recipe import Recipe
from tests.corpus.fetch import provide
from tests.corpus.manifest import models
from tests.rules.fired import PATH, default_rules

MOST = 3


def main() -> None:
    rules = default_rules()
    fired: dict[str, list[str]] = {rule.name: [] for rule in rules}
    with tempfile.TemporaryDirectory() as folder:
        for group, path in _models([Path(f) for f in sys.argv[1:]], Path(folder)):
            found = cover([path], rules, Recipe.load("default"))
            assert not found.failures, found.failures
            for entry in found.rules:
                if entry.tally.fired and len(fired[entry.rule.name]) < MOST:
                    fired[entry.rule.name].append(f"{group}/{path.stem}")
    lines = ",\n".join(f"{json.dumps(name)}: {json.dumps(models)}" for name, models in sorted(fired.items()))
    PATH.write_text(f"{{\n{lines}\n}}\n", encoding="utf-8")
    print(f"{sum(map(bool, fired.values()))} of {len(fired)} rules fire somewhere")


def _models(folders: list[Path], made: Path) -> Iterator[tuple[str, Path]]:
    for name in models():
        yield "corpus", provide(name)
    for folder in folders:
        for path in sorted(folder.glob("*.onnx")):
            yield "architectures", path
    from tests.rules.exports import export_all

    for path in export_all(made):
        yield "exports", path


if __name__ == "__main__":
    main()
