"""Small modules, and factories of them, that the tests export."""

from __future__ import annotations

import torch
from torch import nn

from graphopt.exporting import Exportable


class Block(nn.Module):
    """Conv, BatchNorm with statistics that matter, ReLU; mean over the picture, then a classifier."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, padding=1)
        self.norm = nn.BatchNorm2d(8)
        self.head = nn.Linear(8, 4)
        with torch.no_grad():
            self.norm.running_mean.copy_(torch.linspace(-1, 1, 8))  # type: ignore[union-attr]
            self.norm.running_var.copy_(torch.linspace(0.5, 4, 8))  # type: ignore[union-attr]

    def forward(self, picture: torch.Tensor) -> torch.Tensor:
        return self.head(torch.relu(self.norm(self.conv(picture))).mean((2, 3)))


def block() -> Exportable:
    """A CNN whose batch varies, in training mode, with an example of one picture."""
    torch.manual_seed(0)
    module = Block().train()
    return Exportable(module, (torch.randn(1, 3, 8, 8),), dynamic_shapes={"picture": {0: "batch"}})


class Many(nn.Module):
    """Nested inputs and outputs, a constant argument, an input that is not read and one that is handed through."""

    def __init__(self) -> None:
        super().__init__()
        self.output_0 = nn.Parameter(torch.full((3,), 2.0))  # bears the name that an output will have

    def forward(
        self, x: torch.Tensor, state: dict[str, torch.Tensor], *, times: int = 1, unread: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, list[torch.Tensor], torch.Tensor]:
        return x * self.output_0 * times, [x + state["left"], state["right"]], x


def many() -> Exportable:
    state = {"right": torch.ones(2), "left": torch.ones(1)}
    return Exportable(Many(), (torch.ones(2, 3), state), {"times": 3, "unread": torch.zeros(5)})


class Keyed(nn.Module):
    """A dict of outputs."""

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"largest": x.argmax(-1), "positive": x > 0}


def keyed() -> tuple[nn.Module, torch.Tensor]:
    return Keyed(), torch.tensor([[1.0, -2.0], [3.0, 4.0]])


class Sign(nn.Module):
    """Takes one of two ways, and which one hangs on the values: torch.export cannot follow, a trace writes it down.

    Both ways agree on every input, so that the trace is right all the same.
    """

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + x if bool(x.sum() > 0) else 2 * x


def sign() -> tuple[nn.Module, torch.Tensor]:
    return Sign(), torch.ones(2, 3)


class Fork(nn.Module):
    """The same with two ways that differ: a trace is right on the example alone."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + 1 if bool(x.sum() > 0) else x * x


def fork() -> tuple[nn.Module, torch.Tensor]:
    return Fork(), torch.ones(2, 3)


class Baked(nn.Module):
    """A trace writes the example's batch into the Reshape; torch.export fixes the axis, and says so."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.reshape(int(x.shape[0]), -1)


def baked() -> Exportable:
    return Exportable(Baked(), (torch.ones(2, 3, 4),), dynamic_shapes={"x": {0: "batch"}})


class Writer(nn.Module):
    """Writes to its input, its buffer and its attributes whenever it is called."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("seen", torch.zeros(3))
        self.seen: torch.Tensor
        self.calls = 0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.seen.add_(1)
        self.calls += 1
        return x.add_(1) * self.seen


def writer() -> tuple[nn.Module, torch.Tensor]:
    return Writer(), torch.ones(2, 3)


class Add(nn.Module):
    """The quickest there is to export."""

    def __init__(self, amount: float = 1.0) -> None:
        super().__init__()
        self.amount = nn.Parameter(torch.tensor(amount))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.amount


def add() -> tuple[nn.Module, torch.Tensor]:
    return Add(), torch.ones(2)
