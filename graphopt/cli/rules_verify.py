"""`graphopt rules verify`: rules put to the test."""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from graphopt.cli.axes_verify import chosen_axes, summary, verify_chosen

if TYPE_CHECKING:
    from graphopt.lang.tree import Axes, Rule
    from graphopt.verify.axis_facts import FactVerdict
    from graphopt.verify.kept import KeptVerdicts, Settings
    from graphopt.verify.verdict import ConditionVerdict, Verdict

SCHEMA = "graphopt.rules.verify/1"


def verify(
    what: Annotated[
        list[str] | None,
        typer.Argument(metavar="[RULE|FILE|FOLDER]...", help="Rules by name, or rule files, in place of all of ours."),
    ] = None,
    instances: Annotated[
        int | None, typer.Option(min=1, help="Models to judge each rule on. [default: 60]", show_default=False)
    ] = None,
    seed: Annotated[int, typer.Option(help="Other seeds give other models; the same one gives the same verdict.")] = 0,
    conditions: Annotated[
        bool, typer.Option("--conditions/--no-conditions", help="Drop each line of where: in turn.")
    ] = True,
    jobs: Annotated[
        int | None, typer.Option(min=1, help="Rules to verify at once. [default: processors]", show_default=False)
    ] = None,
    again: Annotated[bool, typer.Option("--again", help="Verify also what was verified before.")] = False,
    reproduce: Annotated[
        Path | None, typer.Option(help="The folder of a counterexample: rewrite and judge its model again.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON document, and nothing else.")] = False,
) -> None:
    """Verify rules on models made from their patterns. Exits with 1 where one is wrong, or was not exercised."""
    from graphopt.verify.kept import Settings
    from graphopt.verify.verify import INSTANCES

    rules = _rules(what or [])
    if reproduce is not None:
        _reproduce(reproduce, rules, json=json)
        return
    settings = Settings(instances or INSTANCES, seed, conditions)
    _Run(rules, settings, json, chosen_axes(what or [])).run(jobs or os.cpu_count() or 1, again=again)


def _rules(what: Sequence[str]) -> list[Rule]:
    """The rules that are meant: those of files and folders and those of these names, or all that ship."""
    from graphopt.errors import UsageError, did_you_mean
    from graphopt.lang.files import SUFFIX
    from graphopt.rewrite.library import load_files

    paths = [Path(w) for w in what if w.endswith(SUFFIX) or Path(w).exists()]
    names = [w for w in what if not (w.endswith(SUFFIX) or Path(w).exists())]
    files = load_files(paths)
    given = [rule for path in paths for file in files.add_path(path) for rule in file.rules]
    known = {rule.name: rule for rule in files.rules}
    for name in names:
        if name not in known:
            raise UsageError(f"there is no rule {name!r}, and no such file", help=did_you_mean(name, known))
    chosen = [*given, *(known[name] for name in names)] if what else files.rules
    return list({rule.place: rule for rule in chosen}.values())


@dataclass
class _Run:
    """One run of the verb: what was verified so far, in the order in which it was done."""

    rules: Sequence[Rule]
    settings: Settings
    json: bool
    axes: Sequence[Axes] = ()
    done: list[tuple[Rule, Verdict]] = field(default_factory=lambda: [])
    facts: list[FactVerdict] = field(default_factory=lambda: [])

    def run(self, jobs: int, *, again: bool) -> None:
        from graphopt.caches import cache_root
        from graphopt.cli.console import progress
        from graphopt.verify.batch import verify_rules
        from graphopt.verify.kept import KeptVerdicts

        kept = KeptVerdicts(cache_root())
        pending: list[Rule] = []
        for rule in self.rules:
            found = None if again else kept.find(rule, self.settings)
            if found is not None:
                self._note(rule, found, kept)
            else:
                pending.append(rule)
        try:
            with progress().task("verifying rules", len(self.rules)) as task:
                for rule, verdict in verify_rules(pending, self.settings, jobs=jobs):
                    kept.put(rule, self.settings, verdict)
                    self._note(rule, verdict, kept)
                    task.update(len(self.done), note=rule.name)
            seed = self.settings.seed
            self.facts = verify_chosen(self.axes, seed=seed, jobs=jobs, again=again, quiet=self.json)
        except KeyboardInterrupt:
            self._finish(kept, interrupted=True)
            raise
        self._finish(kept)

    def _note(self, rule: Rule, verdict: Verdict, kept: KeptVerdicts) -> None:
        self.done.append((rule, verdict))
        if not self.json:
            _show(rule, verdict, kept.folder(rule, self.settings))

    def _finish(self, kept: KeptVerdicts, *, interrupted: bool = False) -> None:
        from graphopt.cli.console import emit
        from graphopt.errors import RuleVerdictError

        verdicts = [verdict for _, verdict in self.done]
        if self.json:
            places = {rule.place: i for i, rule in enumerate(self.rules)}
            ordered = sorted(self.done, key=lambda found: places[found[1].place])
            rules = [_document(verdict, kept.folder(rule, self.settings)) for rule, verdict in ordered]
            found = {"rules": rules, "axes": [v.to_json() for v in self.facts]}
            emit({"schema": SCHEMA, "complete": not interrupted, **found})
        else:
            print(_summary(verdicts, len(self.rules)) + (f"; {summary(self.facts)}" if self.facts else ""))
        bad = [f"{v.rule} ({_trouble(v)})" for v in verdicts if not v.is_complete]
        bad += [f"{v.operator} {v.text} ({v.kind})" for v in self.facts if v.kind != "holds"]
        if bad and not interrupted:
            names = ", ".join(bad)
            raise RuleVerdictError(names, help="docs/proof.md tells what each verdict means, and what to do")


def _trouble(verdict: Verdict) -> str:
    return verdict.kind if not verdict.is_trusted else "a condition was not exercised"


def _summary(verdicts: Sequence[Verdict], total: int) -> str:
    from collections import Counter

    counts = Counter(v.kind for v in verdicts)
    parts = ", ".join(f"{count} {kind}" for kind, count in sorted(counts.items()))
    of = f"{len(verdicts)} of {total} rules" if len(verdicts) != total else f"{total} rules" if total != 1 else "1 rule"
    return f"{of}: {parts or 'nothing verified'}"


def _show(rule: Rule, verdict: Verdict, folder: Path) -> None:
    """One verdict in a few lines, as soon as it is there."""
    from graphopt.report.text import printable

    how = "kept" if verdict.cached else f"{verdict.seconds:.1f} s"
    lines = [f"{verdict.place}: {verdict.kind} ({verdict.contract}, {verdict.instances} instances, {how})"]
    if verdict.proof:
        lines.append(f"    {verdict.proof}")
    lines += [f"    {note}" for note in verdict.notes]
    if verdict.kind == "wrong":
        lines += _counterexample_lines(verdict, folder)
    lines += [f"    {c.kind}: {c.text}" + (f" ({c.note})" if c.note else "") for c in verdict.conditions if _told(c)]
    print(printable("\n".join(lines)), flush=True)


def _told(condition: ConditionVerdict) -> bool:
    return condition.kind != "load-bearing"


def _counterexample_lines(verdict: Verdict, folder: Path) -> list[str]:
    lines: list[str] = []
    found = verdict.counterexample
    if found is not None:
        where = f", where {found.surroundings}" if found.surroundings else ""
        off = f": off by {found.error:.3g}, allowed {found.allowed:.3g}" if found.error else ""
        at = f"output {found.output}, " if found.output else ""
        lines.append(f"    {at}{found.note}{off}{where}")
    saved = _saved(verdict, folder)
    return lines + [f"    {'counterexample' if k == 'folder' else k}: {text}" for k, text in saved.items()]


def _saved(verdict: Verdict, folder: Path) -> dict[str, str]:
    """Where the counterexample of a rule lies, and the command that judges it again; nothing if it was not kept."""
    from graphopt.verify.kept import WRONG

    place = folder / WRONG
    if not place.is_dir():
        return {}
    source = verdict.place.partition("@")[2].rpartition(":")[0]
    named = source if Path(source).exists() else verdict.rule
    again = shlex.join(["graphopt", "rules", "verify", named, "--reproduce", str(place)])
    return {"folder": str(place), "again": again}


def _document(verdict: Verdict, folder: Path) -> dict[str, Any]:
    found = verdict.to_json()
    if found["counterexample"] is not None:
        found["counterexample"] |= _saved(verdict, folder)
    return found


def _reproduce(folder: Path, rules: Sequence[Rule], *, json: bool) -> None:
    from graphopt.cli.console import emit
    from graphopt.errors import RuleVerdictError
    from graphopt.verify.reproduce import reproduce

    then, found = reproduce(folder, {rule.name: rule for rule in rules})
    now: dict[str, Any] | None = None
    if found is not None:
        now = {"output": found.output, "note": found.note}
    if json:
        emit({"schema": "graphopt.rules.reproduce/1", "then": then, "now": now})
    elif found is None:
        print(f"right now; then: {then}")
    if found is not None:
        raise RuleVerdictError(f"wrong: {found.note}", help=f"the model, its result and the inputs are in {folder}")
