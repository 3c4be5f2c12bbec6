"""Target files, validated: an unknown key is an error, so that no fact stands in a file unread."""

from __future__ import annotations

import tomllib
from functools import cache
from importlib.resources import files
from typing import Literal

from pydantic import BaseModel, ConfigDict, field_validator

from graphopt.graph.dtypes import DType


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


def _known(names: tuple[str, ...]) -> tuple[str, ...]:
    unknown = [name for name in names if name not in DType.__members__]
    if unknown:
        raise ValueError(f"no element types: {', '.join(unknown)}")
    return names


class Capability(_Strict):
    """One GPU generation that an engine can be built for.

    Attributes:
        bit: its bit in the engine header's mask.
        gpus: what people call these GPUs.
        lacks: element types for which it has no kernels.
    """

    bit: int
    gpus: str
    lacks: tuple[str, ...] = ()

    check_lacks = field_validator("lacks")(_known)


class Plan(_Strict):
    """How engine files of a target begin.

    Attributes:
        magic: the first four bytes.
        version: the library versions for which the header was measured, as a prefix ("1.7.").
        default_mask: the mask of compute capabilities if none is asked for.
    """

    magic: str
    version: str
    default_mask: int


class Target(_Strict):
    """One target.

    Attributes:
        name: as on the command line.
        title: as in messages.
        module: Python module that the backend imports.
        install: command that installs it.
        max_rank: largest number of dimensions of a tensor; None: no limit known.
        io_dtypes: element types of inputs and outputs; empty: not limited here.
        weight_dtypes: element types of weights; empty: not limited here.
        lacks_operators: operators of the standard that it cannot run; empty: none is known.
        placement: where its kernels want pairs of QuantizeLinear and DequantizeLinear: before what reads codes
            ("inputs"), or behind what makes them as well ("everywhere").
        activations: the element type in which it wants activations quantized to 8 bits: int8, around 0, or uint8,
            from the lowest value to the highest.
        quantizes: operators of which it has kernels that read codes.
        lacks_arithmetic: element types that it does not compute in, or not as the standard says.
        lacks_kernels: by element type, operators that it computes in float32 and not in that type; "*" stands for all.
        refuses: forms of operators that it has and does not take, each under a name that rules ask for.
        plan: how its engine files begin; None: not known.
        capabilities: by name; empty: the target builds for the GPU at hand, or for none.
    """

    name: str
    title: str
    module: str
    install: str
    max_rank: int | None = None
    io_dtypes: tuple[str, ...] = ()
    weight_dtypes: tuple[str, ...] = ()
    lacks_operators: tuple[str, ...] = ()
    placement: Literal["inputs", "everywhere"]
    activations: Literal["int8", "uint8"]
    quantizes: tuple[str, ...]
    lacks_arithmetic: tuple[str, ...] = ()
    lacks_kernels: dict[str, tuple[str, ...]] = {}
    refuses: dict[str, str] = {}
    plan: Plan | None = None
    capabilities: dict[str, Capability] = {}

    check_dtypes = field_validator("io_dtypes", "weight_dtypes", "lacks_arithmetic")(_known)


@cache
def load(name: str) -> Target:
    """The target of one of our own backends.

    Raises:
        pydantic.ValidationError: a target file of ours is wrong, which is a bug.
    """
    text = files("graphopt.targets").joinpath(f"{name}.toml").read_text("utf-8")
    return Target.model_validate({"name": name, **tomllib.loads(text)})


def names() -> list[str]:
    """The targets of our own backends."""
    return sorted(f.name.removesuffix(".toml") for f in files("graphopt.targets").iterdir() if f.name.endswith(".toml"))
