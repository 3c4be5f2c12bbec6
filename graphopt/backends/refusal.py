"""What a builder will not take, told so that it can be mended: which nodes, why, what to do."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from graphopt.errors import BackendError

SHOWN = 8
"""Most nodes that a message names for one reason."""


@dataclass(frozen=True)
class Refusal:
    """One node, weight, input or output that is refused; `what` names it, with its kind ("node …", "input …")."""

    what: str
    reason: str
    help: str | None = None


def refused(
    title: str, model: str, refusals: Iterable[Refusal], *, more: bool = False, hint: str | None = None
) -> BackendError:
    """The error that names them all, those of one reason together; `more` if there may be others behind them.

    `hint` is what to do besides what the refusals themselves say.
    """
    unique = tuple(dict.fromkeys(refusals))
    by_reason: dict[str, list[str]] = {}
    for refusal in unique:
        by_reason.setdefault(refusal.reason, []).append(refusal.what)
    lines = [f"{title} cannot build {model}:"]
    lines += [f"  {listed(what)}: {reason}" for reason, what in by_reason.items()]
    if more:
        lines.append("  and perhaps others, which could not be judged behind these")
    helps = dict.fromkeys(h for h in (*(r.help for r in unique), hint) if h)
    return BackendError("\n".join(lines), help="\n        ".join(helps) or None)


def listed(what: list[str]) -> str:
    """The first names of a list, and how many there are besides."""
    names = list(dict.fromkeys(what))
    shown = ", ".join(names[:SHOWN])
    return shown if len(names) <= SHOWN else f"{shown} and {len(names) - SHOWN} more"
