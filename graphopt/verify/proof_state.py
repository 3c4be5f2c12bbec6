"""Whether rules are proved: those that ship by their list, which the tests keep true, all others by what was kept."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path

from graphopt.caches import cache_root
from graphopt.errors import RuleProofError
from graphopt.lang import tree as t
from graphopt.verify.content import rule_digest
from graphopt.verify.kept import KeptVerdicts

UNPROVED = "unproved"
SHOWN = 5

LIST = "shipped.json"


def proof_states(rules: Iterable[t.Rule], cache: Path | None = None) -> dict[str, str]:
    """What is known of each rule, by rule@file:line: "proved", "holds" or "unproved"."""
    kept = KeptVerdicts(cache_root(cache))
    shipped = shipped_verdicts()
    return {rule.place: shipped.get(rule_digest(rule)) or kept.trusted(rule) or UNPROVED for rule in rules}


def refuse_unproved(rules: Sequence[t.Rule], cache: Path | None = None) -> None:
    """
    Raises:
        RuleProofError: a rule that does not come with graphopt is not proved.
    """
    texts = set(_texts(resources.files("graphopt.rules")))
    foreign = [rule for rule in rules if rule.name_span.source.text not in texts]
    states = proof_states(foreign, cache)
    unproved = [rule for rule in foreign if states[rule.place] == UNPROVED]
    if not unproved:
        return
    shown = ", ".join(rule.place for rule in unproved[:SHOWN])
    more = f" and {len(unproved) - SHOWN} more" if len(unproved) > SHOWN else ""
    files = " ".join(dict.fromkeys(rule.name_span.source.name for rule in unproved))
    raise RuleProofError(
        f"not proved: {shown}{more}",
        help=f"prove with `graphopt rules verify {files}`, or take the risk with --allow-unproved",
    )


@cache
def shipped_verdicts() -> Mapping[str, str]:
    """The verdicts of the rules that ship, by digest."""
    listed = json.loads(resources.files("graphopt.verify").joinpath(LIST).read_text("utf-8"))
    return {entry["digest"]: entry["verdict"] for entry in listed["rules"]}


def _texts(folder: Traversable) -> Iterator[str]:
    for item in folder.iterdir():
        if item.is_dir():
            yield from _texts(item)
        elif item.name.endswith(".rules"):
            yield item.read_text("utf-8")
