"""Small torch modules, and what torch's exporters make of them: where the rules' patterns come from.

Each stands for something that people write; a rule that fires on none of them, nor on the corpus, says in its file who
writes its pattern.
"""

# torch's stubs are partial
# pyright: basic

from __future__ import annotations

import contextlib
import io
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Module(nn.Module):
    """A function of one tensor, and the layers that it uses."""

    def __init__(self, function: Callable[..., Tensor], **layers: Any) -> None:
        super().__init__()
        self.function = function
        self.names = tuple(layers)
        for name, layer in layers.items():
            if isinstance(layer, Tensor):
                self.register_buffer(name, layer)
            else:
                setattr(self, name, layer)

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x, *[getattr(self, name) for name in self.names])


@dataclass(frozen=True)
class Net:
    """A module, the shape of its input, and how it is exported: `dynamo` is the newer exporter."""

    module: Callable[[], nn.Module]
    shape: tuple[int, ...] = (2, 4, 6)
    opset: int = 17
    dynamo: bool = False


def of(function: Callable[..., Tensor], shape: tuple[int, ...] = (2, 4, 6), opset: int = 17, **layers: Any) -> Net:
    return Net(lambda: Module(function, **layers), shape, opset)


def newer(function: Callable[..., Tensor], shape: tuple[int, ...] = (2, 4, 6), opset: int = 18, **layers: Any) -> Net:
    return Net(lambda: Module(function, **layers), shape, opset, dynamo=True)


def in_turn(*layers: nn.Module, shape: tuple[int, ...], opset: int = 17) -> Net:
    return Net(lambda: nn.Sequential(*layers), shape, opset)


def trained(norm: nn.Module) -> nn.Module:
    """A BatchNormalization with statistics."""
    with torch.no_grad():
        for name in ("weight", "bias", "running_mean", "running_var"):
            getattr(norm, name).copy_(torch.rand_like(getattr(norm, name)) + 0.5)
    return norm


def normalized(x: Tensor, axes: Any) -> Tensor:
    centred = x - x.mean(axes, keepdim=True)
    return centred / torch.sqrt((centred * centred).mean(axes, keepdim=True) + 1e-5)


def by_gelu(x: Tensor) -> Tensor:
    return x * 0.5 * (1.0 + torch.erf(x / 1.4142135623730951))


def flipped(x: Tensor, function: Callable[[Tensor], Tensor]) -> Tensor:
    return function(x.transpose(1, 2)).transpose(1, 2)


PICTURE = (2, 3, 8, 8)
ROW = torch.arange(1.0, 7.0)

NETS: dict[str, Net] = {
    # linear layers in a row
    "linear-batchnorm": in_turn(nn.Linear(6, 5), trained(nn.BatchNorm1d(5)), shape=(3, 6)),
    "linear-batchnorm-without-bias": in_turn(nn.Linear(6, 5, bias=False), trained(nn.BatchNorm1d(5)), shape=(3, 6)),
    "batchnorm-conv": in_turn(trained(nn.BatchNorm2d(3)), nn.Conv2d(3, 4, 3), shape=PICTURE),
    "conv-batchnorm-relu": in_turn(nn.Conv2d(3, 4, 3), nn.Identity(), trained(nn.BatchNorm2d(4)), shape=PICTURE),
    "low-rank": in_turn(nn.Linear(6, 2, bias=False), nn.Linear(2, 3, bias=False), shape=(2, 4, 6)),
    "two-linear": in_turn(nn.Linear(6, 8), nn.Linear(8, 3), shape=(3, 6)),
    "conv-divided": of(lambda x, c: c(x) / 2.5, PICTURE, c=nn.Conv2d(3, 4, 3)),
    "conv-shifted": of(lambda x, c: c(x) - 2.5, PICTURE, c=nn.Conv2d(3, 4, 3)),
    "upsampled-scaled": of(lambda x, c: c(x) * 2.5, PICTURE, c=nn.ConvTranspose2d(3, 4, 2)),
    "linear-scaled": of(lambda x, c: c(x) * 2.5, (3, 6), c=nn.Linear(6, 5)),
    "linear-scaled-without-bias": of(lambda x, c: c(x) * 2.5, c=nn.Linear(6, 5, bias=False)),
    "linear-and-row": newer(lambda x, w, b: F.linear(x, w) + b, (3, 6), w=torch.rand(5, 6), b=torch.rand(5)),
    "transposed-product-and-row": of(lambda x, w, b: x.t() @ w + b, (3, 6), w=torch.rand(3, 5), b=torch.rand(5)),
    "padded-conv": of(lambda x, c: c(F.pad(x, (1, 1, 1, 1))), PICTURE, opset=9, c=nn.Conv2d(3, 4, 3)),
    "padded-pool": of(lambda x, p: p(F.pad(x, (1, 1, 1, 1))), PICTURE, opset=19, p=nn.AvgPool2d(3)),
    "instancenorm-scaled": of(lambda x, n: n(x) * 2.0 + 3.0, PICTURE, n=nn.InstanceNorm2d(3, affine=True)),
    # activations and normalizations that modules spell out
    "gelu-by-hand": of(by_gelu, opset=20),
    "hardswish-by-hand": of(lambda x: x * F.hardsigmoid(x)),
    "hardswish-of-mobilenet": of(lambda x: x * F.relu6(x + 3) / 6),
    "silu": newer(F.silu, opset=24),
    "mish": in_turn(nn.Mish(), shape=(2, 6), opset=18),
    "softplus-by-hand": of(lambda x: torch.log(torch.exp(x) + 1)),
    "log-of-softmax": of(lambda x: torch.log(F.softmax(x, -1))),
    "layernorm-by-hand": of(lambda x, w, b: normalized(x, -1) * w + b, w=ROW, b=ROW),
    "layernorm-by-hand-newer": newer(lambda x, w, b: normalized(x, -1) * w + b, w=ROW, b=ROW),
    "instancenorm-newer": newer(lambda x, n: n(x), PICTURE, n=nn.InstanceNorm2d(3)),
    "instancenorm-by-hand": of(lambda x: normalized(x, (2, 3)), PICTURE),
    "instancenorm-by-hand-newer": newer(lambda x: normalized(x, (2, 3)), PICTURE),
    "rmsnorm-by-hand": newer(lambda x, w: x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-6) * w, opset=23, w=ROW),
    "length-by-hand": of(lambda x: x.pow(2).sum(-1).sqrt()),
    "length-by-hand-older": of(lambda x: x.pow(2).sum(-1).sqrt(), opset=11),
    "length-by-hand-newer": newer(lambda x: x.pow(2).sum(-1).sqrt()),
    # recurrent layers
    "gru": Net(lambda: First(nn.GRU(6, 5, batch_first=True))),
    "rnn": Net(lambda: First(nn.RNN(6, 5, batch_first=True))),
    "lstm": Net(lambda: First(nn.LSTM(6, 5, num_layers=2, batch_first=True))),
    # settings that happen to do nothing
    "by-one": of(lambda x: ((x / 1.0 - 0.0) ** 1.0) * 2.0),
    "scaled-back": of(lambda x: x * ROW / 3.0),
    "moved-twice": of(lambda x: (x + ROW) + 3.0),
    "negated-twice": of(lambda x: torch.neg(torch.neg(x))),
    "not-not": of(lambda x: x * (~(~(x > 0)))),
    "relu-relu": in_turn(nn.ReLU(), nn.ReLU(), shape=(2, 6)),
    "repeated-once": of(lambda x: x.repeat(1, 1, 1) * 2.0),
    "flat-already": in_turn(nn.Flatten(), nn.Linear(6, 5), shape=(3, 6)),
    "one-chunk": newer(lambda x: x.chunk(1, 1)[0] * 2.0),
    "all-rows-older": of(lambda x: x[:, 0:4] * 2.0, opset=9),
    "no-padding-older": of(lambda x: F.pad(x, (0, 0)) * 2.0, opset=9),
    "no-padding": of(lambda x: F.pad(x, (0, 0)) * 2.0),
    "cast-cast": of(lambda x: (x > 0).to(torch.int32).to(torch.float32) * x),
    # putting together and taking apart
    "joined-twice": newer(lambda x: torch.cat([torch.cat([x, x * 2.0], 1), x * 3.0], 1)),
    "parts-put-together": of(lambda x: torch.cat(x.split([1, 3], 1), 1) * 2.0),
    "parts-put-together-older": of(lambda x: torch.cat(x.split([1, 3], 1), 1) * 2.0, opset=11),
    "three-parts-put-together": of(lambda x: torch.cat(x.split([1, 1, 2], 1), 1) * 2.0),
    "chunks": newer(lambda x: (lambda a, b: a * b.sigmoid())(*x.chunk(2, 1))),
    "three-slices": of(lambda x: x[:, :1] * x[:, 1:2] + x[:, 2:]),
    # stretching for what broadcasts by itself
    "stretched-sum": of(lambda x, w: x + w.expand_as(x), w=ROW),
    "stretched-divisor": of(lambda x, w: x / w.expand_as(x), w=ROW),
    "stretched-dividend": of(lambda x: x[:, :1].expand_as(x) / (x.abs() + 1.0)),
    "stretched-factor": of(lambda x: x[:, :1].expand_as(x) * x),
    "stretched-subtrahend": of(lambda x: x - x.mean(-1, keepdim=True).expand_as(x)),
    "stretched-choice": of(lambda x: torch.where(x > 0, x[:, :1].expand_as(x), x)),
    "stretched-other-choice": of(lambda x: torch.where(x > 0, x, x[:, :1].expand_as(x))),
    "stretched-mask": of(lambda x: torch.where((x[:, :1] > 0).expand_as(x), x, x * 2.0)),
    "masked-where-not": of(lambda x: torch.where(~(x > 0), x * 2.0, x)),
    # there and back
    "leaky-between-transposes": of(lambda x: flipped(x, lambda t: F.leaky_relu(t, 0.2))),
    "hardsigmoid-between-transposes": of(lambda x: flipped(x, F.hardsigmoid)),
    "erf-between-transposes": of(lambda x: flipped(x, torch.erf)),
    "cast-between-transposes": of(lambda x: flipped(x, lambda t: t.to(torch.float64))),
    "clip-between-transposes": of(lambda x: flipped(x, lambda t: t.clamp(-1, 1))),
    "one-minus-between-transposes": of(lambda x: flipped(x, lambda t: 1.0 - t)),
    "difference-between-transposes": of(
        lambda x: (lambda a, b: (a - b).transpose(1, 2) + b.sum())((x * 2.0).transpose(1, 2), x.transpose(1, 2))
    ),
    "unsqueezed-between-transposes-older": of(lambda x: x.transpose(1, 2).unsqueeze(1).transpose(2, 3) * 2.0, opset=11),
    "squeezed-back-older": of(lambda x: x.unsqueeze(1).squeeze(1) * 2.0, opset=11),
}


class First(nn.Module):
    """The first output of a module."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, x: Tensor) -> Tensor:
        return self.module(x)[0]


def export_all(folder: Path) -> Iterator[Path]:
    """Export every module with a dynamic batch; yields the files as they are made."""
    for name, net in NETS.items():
        path = folder / f"{name}.onnx"
        torch.manual_seed(0)
        module, given = net.module().eval(), (torch.rand(*net.shape),)
        with (
            warnings.catch_warnings(),
            contextlib.redirect_stdout(io.StringIO()),
            contextlib.redirect_stderr(io.StringIO()),
        ):
            warnings.simplefilter("ignore")
            _export(module, given, path, net)
        yield path


def _export(module: nn.Module, given: tuple[Tensor], path: Path, net: Net) -> None:
    how: dict[str, Any] = {"input_names": ["x"], "opset_version": net.opset, "dynamo": net.dynamo}
    if net.dynamo:
        program = torch.onnx.export(module, given, dynamic_shapes=({0: "batch"},), optimize=False, **how)
        assert program is not None
        program.save(str(path))
    else:
        torch.onnx.export(module, given, str(path), dynamic_axes={"x": {0: "batch"}}, **how)
