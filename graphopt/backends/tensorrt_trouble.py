"""The errors that follow from what the builder's process said, or from how it ended."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NoReturn

from graphopt.backends.base import BuildOptions
from graphopt.backends.child_process import End, Event
from graphopt.backends.messages import Meaning, meaning
from graphopt.backends.parser_error import ParserError
from graphopt.backends.preflight import UNSIGNED, UNSIGNED_HELP
from graphopt.backends.profiles import Profiles
from graphopt.backends.refusal import Refusal, refused
from graphopt.backends.tensorrt_talk import Names, Talk
from graphopt.errors import BackendError, OutputError
from graphopt.targets import Target

WHOLE = "the model"

OUT_OF_MEMORY = "std::bad_alloc"


def unavailable(target: Target, reason: str) -> BackendError:
    """The error of a target whose library is missing or broken here."""
    return BackendError(f"target {target.name!r} cannot be built here: {target.module} {reason}", help=target.install)


@dataclass(frozen=True)
class Trouble:
    """Makes errors of what goes wrong with one build."""

    target: Target
    model: str
    names: Names
    profiles: Profiles
    options: BuildOptions

    def check(self, talk: Talk, end: End) -> None:
        """Return if the engine was built.

        Raises:
            BackendError: it was not.
            OutputError: it could not be written.
            RuntimeError: our own code in the builder's process failed, which is a bug.
        """
        if event := talk.first("bug"):
            raise RuntimeError(event["traceback"])
        if event := talk.first("unavailable"):
            raise unavailable(self.target, event["reason"])
        if events := talk.events.get("refused"):
            self._refused(events, more="more" in talk.events or not end.finished)
        if event := talk.first("unsigned"):
            nodes = [f"node {self.names.labels.get(name, name)}" for name in event["nodes"]]
            raise refused(self.target.title, self.model, [Refusal(n, UNSIGNED, UNSIGNED_HELP) for n in nodes])
        if event := talk.first("values"):
            self._values_missing(event["names"])
        if event := talk.first("unwritten"):
            raise OutputError(f"cannot write the engine of {self.model}: {event['reason']}")
        if event := talk.first("failed"):
            self._failed(event["errors"])
        if not end.finished:
            self._died(talk.phase, end)

    def _refused(self, events: list[Event], *, more: bool) -> NoReturn:
        errors = [ParserError(e["node"], e["name"], e["operator"], e["text"], tuple(e["stack"])) for e in events]
        self._raise([(self._place(error), meaning(error.text)) for error in errors], more)

    def _place(self, error: ParserError) -> str:
        if error.node < 0:
            return WHOLE
        label, operator = self.names.main[error.node]
        if error.operator == operator and not error.stack:
            return f"node {label}"
        inner = f"{error.operator} {error.name!r}" if error.name else error.operator
        return f"{inner} inside node {label}"

    def _failed(self, texts: list[str]) -> NoReturn:
        found: list[tuple[str, Meaning]] = []
        for text in texts:
            meant = meaning(text)
            if meant.reason:
                found.append((self.names.place(text, meant.operators) or WHOLE, meant))
        self._raise(found or [(WHOLE, Meaning("the builder gave no reason"))], more=False)

    def _raise(self, found: list[tuple[str, Meaning]], more: bool) -> NoReturn:
        hint = self._sizes_hint() if any(m.about_sizes for _, m in found) else None
        refusals = [Refusal(place, m.reason, m.help) for place, m in found]
        raise refused(self.target.title, self.model, refusals, more=more, hint=hint)

    def _sizes_hint(self) -> str | None:
        if not self.profiles.shapes:
            return None
        taken = [f"{name}={self.profiles.shapes[name]}" for name in self.profiles.defaulted]
        if not taken:
            return "other sizes can be given with --shape NAME=MIN:OPT:MAX"
        return f"no sizes were given, so {', '.join(taken)} was taken: give better ones with --shape NAME=MIN:OPT:MAX"

    def _values_missing(self, names: list[str]) -> NoReturn:
        reason = "holds sizes that the network computes with, and their range is not given"
        hint = f"give the smallest, usual and largest values with --shape {names[0]}=MIN:OPT:MAX, or make it a constant"
        raise refused(self.target.title, self.model, [Refusal(f"input {n!r}", reason) for n in names], hint=hint)

    def _died(self, phase: str, end: End) -> NoReturn:
        title = self.target.title
        if end.timed_out:
            raise BackendError(
                f"{title} was stopped after {self.options.timeout_s:g} s, before it had built {self.model}",
                where=f"the builder's phase {phase!r}",
                help="allow it more time",
            )
        if OUT_OF_MEMORY in end.stderr:  # in a thread of the library's own, where nothing catches it
            self._failed([end.stderr])
        if end.status == "SIGKILL":
            help = "most likely memory ran out: raise the memory limit, or build on a machine with more"
        else:
            help = f"this is a fault of {title}; another version of it may do"
        said = f"; it printed: {end.stderr}" if end.stderr else ""
        raise BackendError(
            f"the builder of {title} died of {end.status} while building {self.model}{said}",
            where=f"the builder's phase {phase!r}",
            help=help,
        )
