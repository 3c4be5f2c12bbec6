"""How much each quantized layer alone takes from the outputs: one at a time, on the activations of the float model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from graphopt.data.sample import Array, Feeds
from graphopt.graph.graph import Value
from graphopt.graph.model import Model
from graphopt.progress import SILENT, Progress
from graphopt.quantization.contents import values_by_name
from graphopt.quantization.counterpart import counterpart
from graphopt.quantization.layers import Layer, layers
from graphopt.quantization.score import is_scored
from graphopt.quantization.stream import Stream


@dataclass(frozen=True)
class Sensitivity:
    """What one layer does to the outputs when it alone is quantized.

    Attributes:
        name: of the tensor that the layer makes.
        label: what messages call the layer.
        noise: energy of the outputs' error over that of the outputs, of the worst output.
    """

    name: str
    label: str
    noise: float


def sensitivities(
    model: Model, original: Model, samples: Sequence[Feeds], progress: Progress = SILENT
) -> list[Sensitivity]:
    """The layers of a quantized model, the one that costs most first.

    The float model runs once, layer by layer; at each layer the quantized one takes its place, and only what comes
    after is run again.

    Raises:
        ModelError: ONNX Runtime cannot run a part of one of the models.
    """
    floats = values_by_name(original)
    plain = Stream(original, samples)
    outputs = [v for v in original.graph.outputs if is_scored(v)]
    whole = Stream(original, samples)
    reference = {v: whole.values(v) for v in outputs}
    found: list[Sensitivity] = []
    every = list(layers(model))
    with progress.task("ranking layers", len(every)) as task:
        for done, layer in enumerate(every):
            task.update(done, note=layer.node.label)
            made = counterpart(layer, floats)
            if made is None:
                continue
            result = _alone(layer, model, floats, plain, samples)
            changed = plain.fork()
            changed.assume(made, result)
            noise = max((_noise(reference[v], changed.values(v)) for v in outputs), default=0.0)
            found.append(Sensitivity(layer.output.name, layer.node.label, noise))
            plain.values(made)
            plain.forget()
    return sorted(found, key=lambda s: -s.noise)


def _alone(
    layer: Layer, model: Model, floats: Mapping[str, Value], plain: Stream, samples: Sequence[Feeds]
) -> list[Array]:
    """What the quantized layer makes of what the float model gives it."""
    piece = Stream(model, samples)
    stack = [layer.output]
    while stack:
        value = stack.pop()
        before = floats.get(value.name)
        if before is not None and value is not layer.output and value.constant is None:
            piece.assume(value, plain.values(before))
        elif value.producer is not None:
            stack.extend(v for v in value.producer.inputs if v is not None)
    return piece.values(layer.output)


def _noise(reference: Sequence[Array], candidate: Sequence[Array]) -> float:
    signal = noise = 0.0
    for r, c in zip(reference, candidate, strict=True):
        signal += float(np.square(r, dtype=np.float64).sum())
        noise += float(np.square(r.astype(np.float64) - c).sum())
    return noise / signal if signal else noise
