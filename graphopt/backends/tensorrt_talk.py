"""What the builder's process says, and what our messages call the nodes that it speaks of."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

import onnx

from graphopt.backends.child_process import Event
from graphopt.backends.refusal import listed
from graphopt.graph.bodies import nodes_below
from graphopt.graph.check_file import node_label
from graphopt.progress import Task

OVERALL = "Building engine"
"""The builder's outermost phase, whose steps are the whole."""


@dataclass
class Talk:
    """The events of one conversation, by kind; progress goes to the task at once."""

    task: Task | None = None
    events: dict[str, list[Event]] = field(default_factory=dict[str, list[Event]])
    phase: str = "starting"

    def hear(self, event: Event) -> None:
        """Take one event."""
        kind = event.pop("event")
        if kind != "progress":
            self.events.setdefault(kind, []).append(event)
            return
        self.phase = event["phase"]
        if self.task is not None:
            _show(self.task, event["phase"], event["done"], event["total"])

    def first(self, kind: str) -> Event | None:
        """The first event of a kind, if there is one."""
        found = self.events.get(kind)
        return found[0] if found else None


def _show(task: Task, phase: str, done: int, total: int | None) -> None:
    if phase == OVERALL:
        task.update(done, total)
    else:
        task.update(note=f"{phase} {done}/{total}" if total else phase)


class Names:
    """What our messages call the nodes of a model, by what the builder calls them."""

    def __init__(self, model: onnx.ModelProto) -> None:
        self.main = [(node_label(node), node.op_type) for node in model.graph.node]
        self.labels: dict[str, str] = {}
        self._of_operator: dict[str, list[str]] = {}
        of_functions = (node for function in model.functions for node in nodes_below(function.node))
        for node in (*nodes_below(model.graph.node), *of_functions):
            builders = node.name or f"node_of_{next(iter(node.output), '')}"
            self.labels.setdefault(builders, node_label(node))
            self._of_operator.setdefault(node.op_type, []).append(node_label(node))

    def place(self, text: str, operators: tuple[str, ...]) -> str | None:
        """The node that a message of the builder is about, or the ones of some operators that it may be about."""
        label = self._mentioned(text)
        if label:
            return f"node {label}"
        labels = [label for operator in operators for label in self._of_operator.get(operator, ())]
        return f"{'one of the nodes' if len(labels) > 1 else 'node'} {listed(labels)}" if labels else None

    def _mentioned(self, text: str) -> str | None:
        for name in sorted((name for name in self.labels if name in text), key=len, reverse=True):
            escaped = re.escape(name)
            if re.search(rf"'{escaped}'|(?<![\w/.]){escaped}(?:_\d+)?(?:: | has )", text):
                return self.labels[name]
        return None
