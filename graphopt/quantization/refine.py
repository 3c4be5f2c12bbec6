"""One pass over a quantized model that makes each layer do what the float layer does, given what reaches it.

A float stream and a quantized stream go through the graph in lockstep, in topological order. Before a tensor is rounded
its channels are centred and scaled; at each layer the weights are fitted to the float output from the rounded input,
rounded by second-order information, and given the bias that the rounded weights need. What follows sees the errors of
all that went before, and makes up for what it can.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from graphopt.data.sample import Array, Feeds
from graphopt.graph.graph import Node, Value
from graphopt.graph.model import Model
from graphopt.progress import SILENT, Progress
from graphopt.quantization import regression, rounding, rows
from graphopt.quantization.contents import values_by_name
from graphopt.quantization.counterpart import counterpart, float_node
from graphopt.quantization.layers import Layer, give_biases, layers
from graphopt.quantization.pairs import pair_of
from graphopt.quantization.settle import Weights, settle, window
from graphopt.quantization.stream import Stream

ENOUGH = 1.5
"""Rows for each input of a layer from which the second-order information is worth rounding by."""


@dataclass(frozen=True)
class Settings:
    """What the pass does.

    Attributes:
        rows: output positions that a layer is fitted on, over all samples.
        held_out: the share of the samples on which ridges are chosen.
        affine: whether tensors are centred and scaled before they are rounded.
        fit: whether weights are fitted to the float outputs before they are rounded.
    """

    rows: int = 5000
    held_out: float = 0.25
    affine: bool = True
    fit: bool = True


@dataclass
class Refined:
    """What became of each layer: the noise of its output relative to the float output, in dB, before later layers."""

    layers: dict[str, float] = field(default_factory=dict[str, float])


@dataclass(frozen=True)
class _Fit:
    """What a layer is fitted from: rows of the rounded input, of the wanted output, the sample of each row."""

    x: Array
    y: Array
    sample: Array


def refine(
    model: Model,
    original: Model,
    samples: Sequence[Feeds],
    settings: Settings = Settings(),
    progress: Progress = SILENT,
) -> Refined:
    """Change scales, weights and biases of a quantized model in place.

    Args:
        model: with Q/DQ pairs and int8 weights; its float tensors have the names that they have in `original`.
        original: the float model that it was made from.
        samples: inputs for both; 16 to 64 are enough.

    Raises:
        ModelError: ONNX Runtime cannot run a part of one of the models.
    """
    return _Refinement(model, original, samples, settings).run(progress)


class _Refinement:
    def __init__(self, model: Model, original: Model, samples: Sequence[Feeds], settings: Settings) -> None:
        self.model = model
        self.settings = settings
        self.plain = Stream(original, samples)
        self.rounded = Stream(model, samples)
        self.floats = values_by_name(original)
        give_biases(model)
        self.wanted: dict[Node, Value] = {}
        self.layers: dict[Node, Layer] = {}
        for layer in layers(model):
            found = counterpart(layer, self.floats)
            if found is not None:
                self.layers[layer.node], self.wanted[layer.node] = layer, found
        self.given: Weights = {node: self._given(layer) for node, layer in self.layers.items()}
        self.settled: set[Node] = set()
        self.refined = Refined()

    def run(self, progress: Progress) -> Refined:
        with progress.task("refining weights", len(self.layers)) as task:
            for done, (node, layer) in enumerate(self.layers.items()):
                task.update(done, note=node.label)
                self._layer(layer, done)
                self.plain.forget()
                self.rounded.forget()
        return self.refined

    def _given(self, layer: Layer) -> tuple[Array, Array]:
        """The float weights and biases of a layer."""
        stored = float_node(layer, self.wanted[layer.node]).input(1)
        held = stored.constant if stored is not None else None
        weights = layer.matrix(held.numpy()) if held is not None else layer.weights()
        bias = layer.bias()
        return weights, np.zeros(weights.shape[:2], np.float32) if bias is None else bias

    def _reach(self, value: Value) -> list[Array]:
        """The values of a tensor of the quantized model, once every pair on the way to it is settled."""
        for node in self.rounded.pending(value):
            pair = pair_of(node) if node.op_type == "QuantizeLinear" and not node.domain else None
            if pair is not None and node not in self.settled:
                self.settled.add(node)
                if self.settings.affine:
                    values = self.rounded.values(pair.source)
                    settle(pair, values, self.layers, self.given, self.model, self.settings.rows)
        return self.rounded.values(value)

    def _layer(self, layer: Layer, seed: int) -> None:
        inputs = self._reach(layer.activation)
        fit = self._rows(layer, inputs, seed)
        w, b = self.given[layer.node]
        weights = regression.robust_weights(fit.x, fit.y, w, b)
        held_out = fit.sample >= np.ceil(len(self.rounded) * (1 - self.settings.held_out))
        if not self.settings.fit:
            held_out[:] = False
        fitted, moments = regression.fit(fit.x, fit.y, w, weights, held_out)
        scale = rounding.scales(fitted, moments.h)
        if fit.x.shape[1] > ENOUGH * fit.x.shape[2]:
            whole = rounding.second_order(fitted, moments.h, scale)
        else:
            whole = rounding.nearest(fitted, scale[..., np.newaxis])
        weight = whole * scale[..., np.newaxis]
        bias = moments.mean_y - np.einsum("goi,gi->go", weight, moments.mean_x)
        layer.write(whole, scale, bias, self.model)
        left = fit.y - fit.x @ weight.transpose(0, 2, 1) - bias[:, np.newaxis]
        noise, signal = np.square(left).mean(dtype=np.float64), np.square(fit.y).mean(dtype=np.float64)
        self.refined.layers[layer.node.label] = float(10 * np.log10(signal / max(noise, 1e-30) + 1e-30))

    def _rows(self, layer: Layer, inputs: Sequence[Array], seed: int) -> _Fit:
        wanted = self.plain.values(self.wanted[layer.node])
        skips = self._skips(layer)
        per_sample = -(-self.settings.rows // len(inputs))
        xs: list[Array] = []
        ys: list[Array] = []
        numbers: list[Array] = []
        for number, (x, y) in enumerate(zip(inputs, wanted, strict=True)):
            target = y if skips is None else y + skips[0][number] - skips[1][number]
            chosen = rows.positions(rows.count(y.shape, is_conv=layer.is_conv), per_sample, seed * len(inputs) + number)
            walk = window(layer, x)
            if walk is None:
                xs.append(rows.matrix_rows(x, chosen))
                ys.append(rows.matrix_rows(target, chosen))
            else:
                xs.append(rows.conv_rows(x, walk, layer.groups, chosen))
                ys.append(rows.conv_results(target, layer.groups, chosen))
            numbers.append(np.full(len(chosen), number))
        return _Fit(np.concatenate(xs, 1), np.concatenate(ys, 1), np.concatenate(numbers))

    def _skips(self, layer: Layer) -> tuple[list[Array], list[Array]] | None:
        """Where an Add alone reads the result: the other operand, float and rounded, if nothing unrefined makes it."""
        output = layer.output
        user = next(iter(output.uses)) if len(output.uses) == 1 and not output.is_output else None
        if user is None or user.op_type != "Add" or user.domain or user.graph is not self.model.graph:
            return None
        result, other = user.outputs[0], next((v for v in user.inputs if v is not output), None)
        before = self.floats.get(result.name) if result is not None else None
        adder = before.producer if before is not None else None
        if other is None or other.constant is not None or adder is None or adder.op_type != "Add":
            return None
        own = self.wanted[layer.node]
        plain = next((v for v in adder.inputs if v is not None and v is not own), None) if own in adder.inputs else None
        unrefined = (n in self.layers and n.label not in self.refined.layers for n in self.rounded.pending(other))
        if plain is None or plain.constant is not None or any(unrefined):
            return None
        floats, rounded = self.plain.values(plain), self._reach(other)
        if any(f.shape != r.shape for f, r in zip(floats, rounded, strict=True)):
            return None
        return floats, rounded
