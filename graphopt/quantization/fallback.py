"""Leaving the fewest layers in float with which the outputs are as good as somebody asks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from graphopt.data.sample import Feeds
from graphopt.graph.dead import sweep_graph
from graphopt.graph.graph import Node, Value
from graphopt.graph.model import Model
from graphopt.progress import SILENT, Progress
from graphopt.quantization.contents import copied, take_contents, values_by_name
from graphopt.quantization.counterpart import counterpart
from graphopt.quantization.layers import layers
from graphopt.quantization.score import Outputs, Score, outputs_of, score
from graphopt.quantization.sensitivity import Sensitivity, sensitivities


@dataclass(frozen=True)
class Goal:
    """What the outputs must reach on the samples; None asks for nothing.

    Attributes:
        sqnr: dB.
        cosine, agreement: from 0 to 1.
        metric: a figure of the outputs, the higher the better, and the least that it may be.
    """

    sqnr: float | None = None
    cosine: float | None = None
    agreement: float | None = None
    metric: tuple[Callable[[Outputs], float], float] | None = None

    def is_met(self, found: Score, outputs: Outputs) -> bool:
        asked = ((self.sqnr, found.sqnr), (self.cosine, found.cosine), (self.agreement, found.agreement))
        if any(least is not None and value < least for least, value in asked):
            return False
        return self.metric is None or self.metric[0](outputs) >= self.metric[1]


@dataclass(frozen=True)
class Step:
    """One evaluation of the whole model: how many of the most sensitive layers were float, and what that gave."""

    layers: int
    score: Score
    met: bool


@dataclass
class Fallback:
    """How a goal was met, or not.

    Attributes:
        met: whether it was.
        kept: labels of the layers that were left in float, the most sensitive first.
        ranking: all layers, the most sensitive first; empty where nothing had to be left in float.
        steps: the evaluations.
    """

    met: bool
    kept: list[str] = field(default_factory=list[str])
    ranking: list[Sensitivity] = field(default_factory=list[Sensitivity])
    steps: list[Step] = field(default_factory=list[Step])


def fall_back(
    model: Model,
    original: Model,
    samples: Sequence[Feeds],
    goal: Goal,
    *,
    ranked_on: int = 8,
    progress: Progress = SILENT,
) -> Fallback:
    """Return layers of a quantized model to float, in place, until the goal is met: the most sensitive ones, and as few
    as a search by halves finds, which is log2 of the layers in evaluations. Where not even all of them are enough, all
    are returned, and `met` says so.

    Args:
        samples: what the goal is for; the first `ranked_on` of them rank the layers.

    Raises:
        ModelError: ONNX Runtime cannot run one of the models.
    """
    reference = outputs_of(original, samples)
    quantized = copied(model)
    steps: list[Step] = []

    def evaluate(count: int, names: Sequence[str]) -> bool:
        return_to_float(candidate := copied(quantized), original, names)
        outputs = outputs_of(candidate, samples)
        found = score(reference, outputs)
        steps.append(Step(count, found, goal.is_met(found, outputs)))
        return steps[-1].met

    if evaluate(0, ()):
        return Fallback(True, steps=steps)
    ranking = sensitivities(model, original, samples[:ranked_on], progress)
    names = [s.name for s in ranking]
    low, high = 0, len(names)
    with progress.task("searching for layers to leave in float") as task:
        while high - low > 1:
            middle = (low + high) // 2
            task.update(len(steps), note=f"{middle} of {len(names)}")
            low, high = (low, middle) if evaluate(middle, names[:middle]) else (middle, high)
        met = any(step.met and step.layers == high for step in steps) or evaluate(high, names[:high])
    return_to_float(quantized, original, names[:high])
    take_contents(model, quantized)
    return Fallback(met, [s.label for s in ranking[:high]], ranking, steps)


def return_to_float(model: Model, original: Model, names: Sequence[str]) -> None:
    """Make the layers that make these tensors float again, with the weights that they had."""
    wanted = set(names)
    before = values_by_name(original)
    for layer in list(layers(model)):
        result = layer.output
        source = counterpart(layer, before) if result.name in wanted else None
        if source is None:
            continue
        order = layer.node.order
        for node in (layer.adder, layer.node):
            if node is not None:
                model.graph.remove_node(node)
        _copy(source, result, values_by_name(model), model, order)
    sweep_graph(model.graph)


def _copy(source: Value, result: Value, now: Mapping[str, Value], model: Model, order: int) -> None:
    """Make `result` as the original makes `source`, out of the tensors that both models have."""
    node = source.producer
    assert node is not None
    inputs: list[Value | None] = []
    for value in node.inputs:
        if value is None:
            inputs.append(None)
        elif value.constant is not None:
            inputs.append(model.graph.add_initializer(value.constant, value.name))
        elif value.name in now:
            inputs.append(now[value.name])
        else:
            made = model.graph.new_value(value.name, value.dtype, value.shape)
            _copy(value, made, now, model, order)
            inputs.append(made)
    name = model.names.fresh(node.name or f"{result.name}_float")
    model.graph.add_node(
        Node(node.op_type, inputs, [result], dict(node.attributes), domain=node.domain, name=name), order
    )
