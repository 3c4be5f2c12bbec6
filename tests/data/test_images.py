"""Folders of pictures, and the declaration of how they become inputs."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from graphopt.data.attempts import ReadableSamples
from graphopt.data.preprocess import DECLARATION, EXAMPLE
from graphopt.data.sources import open_source
from graphopt.errors import DataError
from graphopt.graph.dtypes import DType
from graphopt.graph.interface import Interface, TensorSpec

X = Interface((TensorSpec("x", DType.float32, ("N", 3, None, None)),), ())
PLAIN = 'size = [2, 4]\nlayout = "NCHW"\ncolors = "RGB"\n'
EXAMPLE_INDENTED = "For instance:\n" + "\n".join(f"    {line}" for line in EXAMPLE.splitlines())


def paint(path: Path, color: tuple[int, int, int] = (255, 51, 0), size: tuple[int, int] = (4, 2)) -> Path:
    """A picture of one colour; `size` is width and height."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, color).save(path)
    return path


def declare(folder: Path, text: str = PLAIN) -> Path:
    path = folder / DECLARATION
    path.write_text(text)
    return path


def only(folder: Path, interface: Interface = X) -> np.ndarray[Any, Any]:
    (sample,) = open_source(folder, interface)
    return np.asarray(sample.arrays[interface.inputs[0].name])


def refusal(folder: Path, interface: Interface = X, preprocess: Path | None = None) -> str:
    with pytest.raises(DataError) as caught:
        list(open_source(folder, interface, preprocess))
    return str(caught.value)


def test_pictures_are_read_in_the_order_of_their_paths(tmp_path: Path) -> None:
    for name in ("b.png", "a/z.png", ".hidden/c.png", "c.bmp"):
        paint(tmp_path / name)
    (tmp_path / "notes.txt").write_text("no picture")
    declare(tmp_path)
    source = open_source(tmp_path, X)
    assert source.len_hint == 3
    assert [Path(s.name).relative_to(tmp_path).as_posix() for s in source] == ["a/z.png", "b.png", "c.bmp"]


def test_pixels_are_divided_and_normalized(tmp_path: Path) -> None:
    paint(tmp_path / "a.png")
    declare(tmp_path, PLAIN + "mean = [0.5, 0.2, 0.25]\nstd = [0.5, 2, 0.25]\n")
    array = only(tmp_path)
    assert (array.shape, array.dtype) == ((1, 3, 2, 4), np.float32)
    assert np.unique(array[0, 0]).tolist() == [1.0]
    assert np.unique(array[0, 1]).tolist() == [0.0]
    assert np.unique(array[0, 2]).tolist() == [-1.0]


@pytest.mark.parametrize(
    ("colors", "layout", "shape", "first"),
    [
        ("RGB", "NCHW", (1, 3, 2, 4), [255, 51, 0]),
        ("BGR", "NCHW", (1, 3, 2, 4), [0, 51, 255]),
        ("RGB", "NHWC", (1, 2, 4, 3), [255, 51, 0]),
        ("BGR", "NHWC", (1, 2, 4, 3), [0, 51, 255]),
        # Pillow: L = R * 299/1000 + G * 587/1000 + B * 114/1000
        ("gray", "NCHW", (1, 1, 2, 4), [106]),
    ],
)
@pytest.mark.parametrize("dtype", [DType.float32, DType.float16, DType.uint8])
def test_colors_layout_and_type(
    tmp_path: Path, colors: str, layout: str, shape: tuple[int, ...], first: list[int], dtype: DType
) -> None:
    paint(tmp_path / "a.png")
    declare(tmp_path, f'size = [2, 4]\nlayout = "{layout}"\ncolors = "{colors}"\ndivide = 1.0\n')
    array = only(tmp_path, Interface((TensorSpec("x", dtype, (1, None, None, None)),), ()))
    assert (array.shape, array.dtype) == (shape, dtype.numpy)
    assert (array[0, :, 0, 0] if layout == "NCHW" else array[0, 0, 0]).tolist() == first


def halves(path: Path) -> None:
    """8 wide and 4 high: the left half black, the right one white."""
    pixels = np.zeros((4, 8, 3), np.uint8)
    pixels[:, 4:] = 255
    Image.fromarray(pixels).save(path)


def test_stretch_crop_and_fit(tmp_path: Path) -> None:
    halves(tmp_path / "a.png")
    red: dict[str, Any] = {}
    for resize in ("stretch", "crop", "fit"):
        more = "fill = 102\n" if resize == "fit" else ""
        declare(
            tmp_path, f'size = [4, 4]\nlayout = "NCHW"\ncolors = "RGB"\nfilter = "box"\nresize = "{resize}"\n{more}'
        )
        red[resize] = [[round(float(value), 3) for value in row] for row in only(tmp_path)[0, 0]]
    assert red["stretch"] == [[0, 0, 1, 1]] * 4
    assert red["crop"] == [[0, 0, 1, 1]] * 4
    assert red["fit"] == [[0.4] * 4, [0, 0, 1, 1], [0, 0, 1, 1], [0.4] * 4]


def test_crop_to_a_shorter_side_first(tmp_path: Path) -> None:
    halves(tmp_path / "a.png")
    declare(tmp_path, 'size = [2, 2]\nlayout = "NCHW"\ncolors = "RGB"\nfilter = "box"\nresize = "crop"\nshorter = 4\n')
    assert only(tmp_path)[0, 0].tolist() == [[0, 1], [0, 1]]


def test_the_declaration_may_lie_elsewhere(tmp_path: Path) -> None:
    paint(tmp_path / "pictures" / "a.png")
    declaration = declare(tmp_path)
    assert len(list(open_source(tmp_path / "pictures", X, declaration))) == 1


def test_without_a_declaration_nothing_is_guessed(tmp_path: Path) -> None:
    paint(tmp_path / "a.png")
    assert refusal(tmp_path) == (
        f"the folder {tmp_path} holds pictures, and nothing says how the model wants them\n"
        f"  help: write {tmp_path / DECLARATION}, or name such a file with --preprocess. {EXAMPLE_INDENTED}"
    )
    declare(tmp_path, EXAMPLE)
    assert only(tmp_path).shape == (1, 3, 224, 224)


def test_pillow_may_be_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paint(tmp_path / "a.png")
    declare(tmp_path)
    monkeypatch.setitem(sys.modules, "PIL.Image", None)
    assert refusal(tmp_path) == (
        f"the folder {tmp_path} holds pictures, and Pillow, which reads them, is not installed\n"
        "  help: pip install 'graphopt[images]', or write the inputs as .npy or .npz files"
    )


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('layout = "NCHW"\ncolors = "RGB"\n', "size: Field required"),
        (PLAIN.replace("[2, 4]", "[0, 4]"), "size must be two whole numbers from 1 to 65536"),
        (
            PLAIN.replace("[2, 4]", "[2.5, 4]"),
            "size: Input should be a valid integer",
        ),
        (PLAIN.replace("NCHW", "CHW"), "layout: Input should be 'NCHW' or 'NHWC'"),
        (PLAIN + "mean = [0.1, 0.2]\n", "mean must have 1 or 3 numbers"),
        (PLAIN + "std = [1, 2]\n", "std must have 1 or 3 numbers"),
        (PLAIN + "mean = nan\n", "mean must be finite"),
        (PLAIN + "std = 0\n", "std and divide must be finite, and not 0"),
        (PLAIN + "divide = 0\n", "std and divide must be finite, and not 0"),
        (PLAIN + "fill = 256\n", "fill must be from 0 to 255"),
        (PLAIN + "shorter = 8\n", 'shorter is for resize = "crop"'),
        (PLAIN + 'shorter = 3\nresize = "crop"\n', "shorter must not be less than a side of size"),
    ],
)
def test_a_wrong_declaration_is_refused(tmp_path: Path, text: str, reason: str) -> None:
    paint(tmp_path / "a.png")
    path = declare(tmp_path, text)
    assert refusal(tmp_path) == (
        f"the preprocessing declaration is wrong: {reason}\n  at: {path}\n  help: {EXAMPLE_INDENTED}"
    )


def test_a_declaration_with_an_unknown_key_or_no_toml_is_refused(tmp_path: Path) -> None:
    paint(tmp_path / "a.png")
    path = declare(tmp_path, PLAIN + "means = 1\n")
    assert refusal(tmp_path) == (
        f"a preprocessing declaration has no key 'means'\n  at: {path}\n  help: did you mean 'mean'?"
    )
    path.write_text("size 3")
    assert refusal(tmp_path).startswith("the preprocessing declaration is not TOML: Expected '='")
    missing = tmp_path / "none.toml"
    assert refusal(tmp_path, preprocess=missing) == (
        f"the preprocessing declaration cannot be read: No such file or directory\n  at: {missing}"
    )


def test_a_declaration_for_what_is_no_pictures_is_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.zeros(1))
    declaration = declare(tmp_path)
    assert refusal(tmp_path, preprocess=declaration) == (
        f"{tmp_path} is no folder of pictures, and only they are preprocessed\n  at: {declaration}"
    )


def test_models_that_take_no_picture_are_refused(tmp_path: Path) -> None:
    paint(tmp_path / "a.png")
    path = declare(tmp_path)
    two = Interface((X.inputs[0], TensorSpec("y", DType.int64, (1,))), ())
    assert refusal(tmp_path, two) == (
        "pictures feed a model with one input, and this one has 2: 'x', 'y'\n"
        "  help: write .npz files with an array for each input"
    )
    integers = Interface((TensorSpec("x", DType.int64, None),), ())
    assert refusal(tmp_path, integers) == f"input 'x' takes int64, which no picture gives\n  at: {path}"
    pixels = Interface((TensorSpec("x", DType.uint8, None),), ())
    assert refusal(tmp_path, pixels) == (
        f"input 'x' takes pixels as uint8, and the declaration changes them\n  at: {path}\n"
        "  help: write divide = 1.0, and leave mean and std out"
    )
    declare(tmp_path, PLAIN + 'input = "image"\n')
    assert refusal(tmp_path) == f"the model has no input 'image'\n  at: {path}\n  help: it has 'x'"


def test_another_size_than_the_model_takes_names_the_picture(tmp_path: Path) -> None:
    file = paint(tmp_path / "a.png")
    declare(tmp_path)
    fixed = Interface((TensorSpec("x", DType.float32, (1, 3, 8, 8)),), ())
    assert refusal(tmp_path, fixed).startswith("input 'x' has shape [1, 3, 2, 4], and the model takes float32[1,3,8,8]")
    assert f"at: {file}" in refusal(tmp_path, fixed)


@pytest.mark.parametrize("keep", [0, 20, 200])
def test_a_garbled_picture_is_named(tmp_path: Path, keep: int) -> None:
    file = paint(tmp_path / "a.jpg", size=(64, 64))
    declare(tmp_path)
    file.write_bytes(file.read_bytes()[:keep])
    assert refusal(tmp_path) == f"the picture cannot be read: it is no picture, or garbled\n  at: {file}"


# --- what cannot be read, of any kind ---


def test_pictures_that_cannot_be_read_are_left_out_by_name(tmp_path: Path) -> None:
    for name in "abc":
        paint(tmp_path / f"{name}.png")
    (tmp_path / "b.png").write_bytes(b"no picture")
    declare(tmp_path)
    samples = ReadableSamples(open_source(tmp_path, X))
    for _ in range(2):
        assert [Path(s.name).name for s in samples] == ["a.png", "c.png"]
        (left_out,) = samples.left_out
        assert left_out.name == str(tmp_path / "b.png")
        assert left_out.reason == "the picture cannot be read: it is no picture, or garbled"


def test_no_more_than_so_many_that_can_be_read(tmp_path: Path) -> None:
    for name in "abcd":
        paint(tmp_path / f"{name}.png")
    (tmp_path / "a.png").write_bytes(b"no picture")
    declare(tmp_path)
    samples = ReadableSamples(open_source(tmp_path, X), 2)
    assert samples.len_hint == 2
    assert [Path(s.name).name for s in samples] == ["b.png", "c.png"]
    assert len(samples.left_out) == 1


def test_when_nothing_can_be_read_the_first_reason_is_told(tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / f"{name}.npy").write_bytes(b"garbled")
    with pytest.raises(DataError) as caught:
        list(ReadableSamples(open_source(tmp_path, X)))
    assert caught.value.where == str(tmp_path / "a.npy")


def test_rows_items_and_files_fail_one_by_one(tmp_path: Path) -> None:
    one = Interface((TensorSpec("x", DType.float32, (2,)),), ())
    script = tmp_path / "data.py"
    script.write_text(
        "import numpy as np\n"
        "def load_data():\n"
        "    yield {'x': np.zeros(2, np.float32)}\n"
        "    yield {'x': np.zeros(3, np.float32)}\n"
        "    yield 5\n"
        "    yield {'x': np.ones(2, np.float32)}\n"
    )
    samples = ReadableSamples(open_source(script, one))
    assert [np.asarray(s.arrays["x"]).tolist() for s in samples] == [[0, 0], [1, 1]]
    assert [u.name for u in samples.left_out] == [f"{script}:load_data[1]", f"{script}:load_data[2]"]
    folder = tmp_path / "arrays"
    folder.mkdir()
    np.save(folder / "a.npy", np.zeros(2, np.float32))
    np.save(folder / "b.npy", np.zeros(3, np.float32))
    (folder / "c.npy").write_bytes(b"garbled")
    samples = ReadableSamples(open_source(folder, one))
    assert len(list(samples)) == 1
    assert [u.name for u in samples.left_out] == [str(folder / "b.npy"), str(folder / "c.npy")]
