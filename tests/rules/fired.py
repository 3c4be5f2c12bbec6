"""Where the rules of the recipe `default` fire: fired.json, and for the others who writes their patterns."""

from __future__ import annotations

from pathlib import Path

from graphopt.lang import tree
from graphopt.passes.apply_rules import ApplyRules
from graphopt.pipeline.recipe import Recipe
from graphopt.rewrite.library import load_rules

PATH = Path(__file__).with_name("fired.json")
FOLDER = Path(__file__).parents[2] / "rules"
SAYS_WHO = "Written by "


def default_rules() -> list[tree.Rule]:
    """The shipped rules of the phases that the default recipe runs."""
    phases = {phase for p in Recipe.load("default").passes if isinstance(p, ApplyRules) for phase in p.phases}
    return [rule for rule in load_rules() if rule.phase in phases]


def written_by(rule: tree.Rule) -> str | None:
    """What the comment before a rule says of who writes its pattern."""
    lines = (
        (FOLDER / rule.phase / Path(rule.place.split("@")[1].rsplit(":", 1)[0]).name).read_text("utf-8").splitlines()
    )
    start = next(i for i, line in enumerate(lines) if line.startswith((f"rule {rule.name}:", f"rule {rule.name}<")))
    before: list[str] = []
    for line in reversed(lines[:start]):
        if line.startswith("#"):
            before.insert(0, line.removeprefix("#").strip())
        elif before or not line.startswith("opset "):
            break
    comment = " ".join(before)
    return comment[comment.index(SAYS_WHO) :] if SAYS_WHO in comment else None
