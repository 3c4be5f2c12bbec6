"""How pictures become inputs: a declaration in TOML, validated to the last key."""

from __future__ import annotations

import json
import tomllib
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Literal

from pydantic import TypeAdapter, ValidationError

from graphopt.errors import DataError, did_you_mean

DECLARATION = "graphopt-data.toml"
"""The name of the file in a folder of pictures that says how they are preprocessed."""

EXAMPLE = """\
size = [224, 224]                # height and width
resize = "crop"                  # stretch, crop or fit
shorter = 256                    # crop: the shorter side before the middle is cut out
colors = "RGB"                   # RGB, BGR or gray
divide = 255.0                   # pixels by this, first
mean = [0.485, 0.456, 0.406]     # then this is subtracted, in the order of `colors`
std = [0.229, 0.224, 0.225]      # and it is divided by this
layout = "NCHW"                  # NCHW or NHWC
"""

Filter = Literal["nearest", "box", "bilinear", "bicubic", "lanczos"]


@dataclass(frozen=True)
class Preprocessing:
    """What is done to each picture, in this order.

    Attributes:
        size: height and width of the input.
        layout: of the input, with one picture in each sample.
        colors: which channels, and in which order.
        resize: stretch: both sides to the size. crop: the shorter side to `shorter`, then the middle is cut out. fit:
            as large as fits, in the middle, and the rest is filled with `fill`.
        shorter: for crop; the shorter side of `size` if not given.
        fill: for fit; a pixel value from 0 to 255.
        filter: how pixels between pixels are told, as Pillow names it.
        divide: what pixels, from 0 to 255, are divided by.
        mean, std: then subtracted and divided by, one number or one for each channel in the order of `colors`.
        input: the input of the model that takes the picture; the only one if not given.
    """

    size: tuple[int, int]
    layout: Literal["NCHW", "NHWC"]
    colors: Literal["RGB", "BGR", "gray"]
    resize: Literal["stretch", "crop", "fit"] = "stretch"
    shorter: int | None = None
    fill: int = 0
    filter: Filter = "bilinear"
    divide: float = 255.0
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)
    input: str | None = None

    @property
    def channels(self) -> int:
        return 1 if self.colors == "gray" else 3

    @property
    def keeps_pixels(self) -> bool:
        """Whether the values are the pixels as they are, so that a model may take them as uint8."""
        return (self.divide, set(self.mean), set(self.std)) == (1.0, {0.0}, {1.0})

    def __post_init__(self) -> None:
        for problem, wrong in self._problems():
            if wrong:
                raise ValueError(problem)

    def _problems(self) -> list[tuple[str, bool]]:
        lengths = {1, self.channels}
        return [
            ("size must be two whole numbers from 1 to 65536", not all(1 <= side <= 65536 for side in self.size)),
            (f"mean must have 1 or {self.channels} numbers", len(self.mean) not in lengths),
            (f"std must have 1 or {self.channels} numbers", len(self.std) not in lengths),
            ("mean must be finite", not all(map(isfinite, self.mean))),
            ("std and divide must be finite, and not 0", not all(isfinite(v) and v for v in (*self.std, self.divide))),
            ("fill must be from 0 to 255", not 0 <= self.fill <= 255),
            ('shorter is for resize = "crop"', self.shorter is not None and self.resize != "crop"),
            (
                "shorter must not be less than a side of size",
                self.shorter is not None and self.shorter < max(self.size),
            ),
        ]


def read_preprocessing(path: Path) -> Preprocessing:
    """
    Raises:
        DataError: the file cannot be read, is not TOML, or has an unknown key or a value that cannot be meant.
    """
    where = str(path)
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise DataError(f"the preprocessing declaration cannot be read: {error.strerror}", where=where) from None
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise DataError(f"the preprocessing declaration is not TOML: {error}", where=where) from None
    known = list(Preprocessing.__dataclass_fields__)
    for key in content:
        if key not in known:
            hint = did_you_mean(key, known) or f"known: {', '.join(known)}"
            raise DataError(f"a preprocessing declaration has no key {key!r}", where=where, help=hint)
    content = {k: [v] if k in ("mean", "std") and isinstance(v, int | float) else v for k, v in content.items()}
    try:
        # by way of JSON, whose arrays make tuples and whose strict reading makes no numbers of texts
        text = json.dumps(content, default=str)
        return TypeAdapter(Preprocessing).validate_json(text, strict=True)
    except ValidationError as error:
        first = error.errors()[0]
        key = str(first["loc"][0]) if first["loc"] else ""
        reason = first["msg"].removeprefix("Value error, ")
        what = f"{key}: {reason}" if key else reason
        raise DataError(f"the preprocessing declaration is wrong: {what}", where=where, help=_example()) from None


def no_declaration(folder: Path) -> DataError:
    """The error for pictures of which nobody says how they become inputs."""
    return DataError(
        f"the folder {folder} holds pictures, and nothing says how the model wants them",
        help=f"write {folder / DECLARATION}, or name such a file with --preprocess. {_example()}",
    )


def _example() -> str:
    return "For instance:\n" + "\n".join(f"    {line}" for line in EXAMPLE.splitlines())
