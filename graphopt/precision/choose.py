"""Which nodes compute in the short type, and why the others don't."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from graphopt.calibration.statistics import TensorStatistics
from graphopt.graph.dtypes import DType
from graphopt.graph.graph import Node, Value
from graphopt.graph.model import Model
from graphopt.precision.formats import Format
from graphopt.precision.operators import MADE_BY, MULTIPLYING, RISKY, bounds, sensitive_input, stays_float32
from graphopt.precision.slots import Slots, short_slots


@dataclass
class Choice:
    """What every node that could compute in the short type does.

    Attributes:
        short: nodes that compute in it, with the slots that change.
        islands: reasons of those that stay in float32 for their numbers, or since the recipe says so.
    """

    short: dict[Node, Slots] = field(default_factory=dict[Node, Slots])
    islands: dict[Node, str] = field(default_factory=dict[Node, str])


def choose(
    model: Model,
    kind: Format,
    seen: Mapping[str, TensorStatistics] | None,
    kept: Collection[str] = (),
    lacking: Collection[str] = (),
) -> Choice:
    """Decide for each node.

    Args:
        seen: statistics by the name of the tensor; None where there is no calibration. Then float16 is refused to what
            `RISKY` lists, and to what reads or makes a constant that does not fit.
        kept: labels of nodes that stay in float32.
        lacking: operators that have no kernels in the type.
    """
    return _Choosing(model, kind, seen, kept, lacking).run()


class _Choosing:
    def __init__(
        self,
        model: Model,
        kind: Format,
        seen: Mapping[str, TensorStatistics] | None,
        kept: Collection[str],
        lacking: Collection[str],
    ) -> None:
        self.model = model
        self.kind = kind
        self.seen = seen
        self.kept = kept
        self.lacking = lacking
        self.choice = Choice()
        self._verdicts: dict[Value, str | None] = {}

    def run(self) -> Choice:
        exact = _exact_makers(self.model.all_nodes())
        for node in self.model.all_nodes():
            slots = short_slots(node, self.model, self.kind.dtype)
            if slots is None or stays_float32(node) or node in exact:
                continue
            reason = self._refusal(node, slots)
            if reason is None:
                self.choice.short[node] = slots
            else:
                self.choice.islands[node] = reason
        self._spread()
        self._drop_idle()
        return self.choice

    def _refusal(self, node: Node, slots: Slots) -> str | None:
        if node.label in self.kept:
            return "the recipe keeps it"
        if node.op_type in self.lacking:
            return f"the target has no {self.kind.dtype.name} kernel for it"
        for index in slots.inputs:
            value = node.inputs[index]
            assert value is not None
            reason = self._refuses(value) if index not in bounds(node) or value.constant is None else None
            if reason is not None:
                return f"its input {value.name!r} {reason}"
        for index in slots.outputs:
            value = node.outputs[index]
            assert value is not None
            reason = self._refuses(value)
            if reason is not None:
                return f"its output {value.name!r} {reason}"
        return self._risk(node)

    def _refuses(self, value: Value) -> str | None:
        if value not in self._verdicts:
            if value.constant is not None:
                self._verdicts[value] = self.kind.refuses_constant(value.constant.numpy())
            else:
                seen = self._statistics(value)
                self._verdicts[value] = None if seen is None else self.kind.refuses(seen)
        return self._verdicts[value]

    def _risk(self, node: Node) -> str | None:
        """What speaks against a node whose tensors fit, each by itself."""
        index = sensitive_input(node)
        sensitive = node.input(index) if index is not None else None
        seen = None if sensitive is None else self._statistics(sensitive)
        if sensitive is not None and seen is not None and not self.kind.is_normal(seen):
            return f"its input {sensitive.name!r} may be 0 in {self.kind.dtype.name} where it is not"
        if self.kind.dtype is DType.bfloat16 or node.op_type not in RISKY:
            return None
        results = [v for v in node.outputs if v is not None]
        is_known = sensitive is not None and sensitive.constant is not None
        if is_known or all(self._statistics(v) is not None for v in results):
            return None
        return "how large its numbers get is not known"

    def _statistics(self, value: Value) -> TensorStatistics | None:
        return None if self.seen is None else self.seen.get(value.name)

    def _spread(self) -> None:
        """Leave what multiplies no matrices in float32 where all that it reads comes in float32, or all that it makes
        goes into float32: it is computed in the kernel beside it, and one rounding less."""
        pending = list(self.choice.short)
        while pending:
            node = pending.pop()
            if node not in self.choice.short or node.op_type in MULTIPLYING:
                continue
            if self._reads_float32(node) or self._goes_into_float32(node):
                neighbours = [n for n in self._neighbours(node) if n in self.choice.short]
                del self.choice.short[node]
                pending += neighbours

    def _reads_float32(self, node: Node) -> bool:
        read = [node.inputs[index] for index in self.choice.short[node].inputs]
        computed = [v for v in read if v is not None and v.constant is None]
        return bool(computed) and not any(self._is_made_short(v) for v in computed)

    def _is_made_short(self, value: Value) -> bool:
        made = value.producer
        slots = self.choice.short.get(made) if made is not None else None
        return made is not None and slots is not None and made.outputs.index(value) in slots.outputs

    def _goes_into_float32(self, node: Node) -> bool:
        made = [v for index in self.choice.short[node].outputs if (v := node.outputs[index]) is not None]
        return bool(made) and not any(self._is_read_short(user, v) for v in made for user in v.uses)

    def _is_read_short(self, user: Node, value: Value) -> bool:
        slots = self.choice.short.get(user)
        return slots is not None and any(user.inputs[index] is value for index in slots.inputs)

    def _drop_idle(self) -> None:
        """Leave what is connected in the short type without multiplying any matrices in float32: Casts into it and out
        of it would cost more than it saves."""
        left = set(self.choice.short)
        for start in list(self.choice.short):
            if start not in left:
                continue
            part = self._connected(start)
            left -= part
            if not any(n.op_type in MULTIPLYING for n in part):
                for node in part:
                    del self.choice.short[node]

    def _connected(self, start: Node) -> set[Node]:
        found, pending = {start}, [start]
        while pending:
            node = pending.pop()
            for other in self._neighbours(node):
                if other not in found and other in self.choice.short:
                    found.add(other)
                    pending.append(other)
        return found

    def _neighbours(self, node: Node) -> Iterable[Node]:
        slots = self.choice.short[node]
        for index in slots.inputs:
            value = node.inputs[index]
            if value is not None and value.producer is not None:
                yield value.producer
        for index in slots.outputs:
            value = node.outputs[index]
            if value is not None:
                yield from value.uses


def _exact_makers(nodes: Iterable[Node]) -> set[Node]:
    """What makes the inputs of operators that need more of them than their size."""
    found: set[Node] = set()
    for start in nodes:
        makers = MADE_BY.get(start.op_type) if not start.domain else None
        pending = [start] if makers is not None else []
        while pending:
            for value in pending.pop().inputs:
                made = value.producer if value is not None else None
                if made is None or made in found or made.domain or makers is None or made.op_type not in makers:
                    continue
                found.add(made)
                pending.append(made)
    return found
