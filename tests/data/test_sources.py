"""The kinds of files that samples come in."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from graphopt.data.quiet_polygraphy import quiet_polygraphy
from graphopt.data.sources import open_source
from graphopt.errors import DataError
from graphopt.graph.dtypes import DType
from graphopt.graph.interface import Interface, TensorSpec

X = TensorSpec("x", DType.float32, ("N", 2))
Y = TensorSpec("y", DType.int64, (3,))
ONE = Interface((X,), ())
TWO = Interface((X, Y), ())
KINDS = (
    "a .npz or .npy file, a folder of them or of pictures, Polygraphy's .json, or a Python file with a function "
    "load_data()"
)


def x(value: float, rows: int = 1) -> np.ndarray[Any, Any]:
    return np.full((rows, 2), value, np.float32)


def values(spec: str | Path, interface: Interface = ONE) -> list[float]:
    return [float(np.asarray(s.arrays["x"]).flat[0]) for s in open_source(spec, interface)]


def refusal(spec: str | Path, interface: Interface = ONE) -> str:
    with pytest.raises(DataError) as caught:
        list(open_source(spec, interface))
    return str(caught.value)


def test_an_npz_is_one_sample(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    np.savez(path, x=x(1, rows=5), y=np.arange(3))
    samples = list(open_source(path, TWO))
    assert [s.name for s in samples] == [str(path)]
    assert samples[0].shapes == {"x": (5, 2), "y": (3,)}


def test_an_npz_with_one_more_dimension_everywhere_is_a_stack(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    np.savez(path, x=np.stack([x(i) for i in range(4)]), y=np.arange(12).reshape(4, 3))
    samples = list(open_source(path, TWO))
    assert [s.name for s in samples] == [f"{path}[{i}]" for i in range(4)]
    assert [np.asarray(s.arrays["y"]).tolist() for s in samples][3] == [9, 10, 11]


def test_a_stack_of_different_lengths_is_none(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=np.stack([x(0), x(1)]), y=np.arange(9).reshape(3, 3))
    assert refusal(tmp_path / "a.npz", TWO) == (
        f"input 'x' has shape [2, 1, 2], and the model takes float32[N,2]\n  at: {tmp_path / 'a.npz'}"
    )


def test_an_empty_stack(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=np.zeros((0, 1, 2), np.float32))
    assert refusal(tmp_path / "a.npz") == f"the file holds a stack of no samples\n  at: {tmp_path / 'a.npz'}"


def test_an_npy_feeds_a_model_with_one_input(tmp_path: Path) -> None:
    path = tmp_path / "a.npy"
    np.save(path, np.stack([x(1), x(2)]))
    assert values(path) == [1, 2]
    np.save(path, x(7))
    assert values(path) == [7]
    assert refusal(path, TWO) == (
        "a .npy file feeds a model with one input, and this one has 2\n"
        f"  at: {path}\n"
        "  help: write .npz files with an array for each input: 'x', 'y'"
    )


def test_the_name_of_a_file_need_not_tell_the_truth(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", x(3))
    path = (tmp_path / "a.npy").rename(tmp_path / "a.npz")
    assert values(path) == [3]


def test_a_folder_is_read_in_the_order_of_names(tmp_path: Path) -> None:
    np.savez(tmp_path / "2.npz", x=x(2))
    np.save(tmp_path / "1.npy", x(1))
    np.savez(tmp_path / "10.NPZ.npz", x=x(10))
    (tmp_path / "notes.txt").write_text("no sample")
    source = open_source(tmp_path, ONE)
    assert source.len_hint == 3
    assert [Path(s.name).name for s in source] == ["1.npy", "10.NPZ.npz", "2.npz"]
    assert values(tmp_path) == [1, 10, 2]


def test_a_source_can_be_iterated_again(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=x(2))
    source = open_source(tmp_path, ONE)
    assert [len(list(source)), len(list(source))] == [1, 1]


def test_samples_are_read_when_they_are_asked_for(tmp_path: Path) -> None:
    np.savez(tmp_path / "1.npz", x=x(1))
    (tmp_path / "2.npz").write_bytes(b"garbage")
    samples = iter(open_source(tmp_path, ONE))
    assert next(samples).shapes == {"x": (1, 2)}
    with pytest.raises(DataError):
        next(samples)


def test_an_empty_folder(tmp_path: Path) -> None:
    assert refusal(tmp_path) == (
        f"there is no .npz or .npy file in the folder {tmp_path}, and no picture\n  help: put one file a sample into it"
    )


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    missing = tmp_path / "none.npz"
    assert refusal(missing) == f"there is no file or folder {missing}\n  help: --data takes {KINDS}"


def test_a_file_of_another_kind(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("1,2")
    assert refusal(path) == f"{path} is no kind of data that is known\n  help: --data takes {KINDS}"


@pytest.mark.parametrize("suffix", [".npz", ".npy"])
@pytest.mark.parametrize("content", ["garbage", "cut", "empty", "pickle"])
def test_corrupt_files_are_named(tmp_path: Path, suffix: str, content: str) -> None:
    whole = tmp_path / f"whole{suffix}"
    (np.savez if suffix == ".npz" else np.save)(whole, x(1, 500))
    path = tmp_path / f"a{suffix}"
    raw = {
        "garbage": b"\x80\x04garbage that is no array",
        "cut": whole.read_bytes()[:2000],
        "empty": b"",
        "pickle": pickle.dumps({"x": 1}),
    }[content]
    path.write_bytes(raw)
    text = refusal(path)
    assert f"  at: {path}\n" in text
    assert text.splitlines()[0] in (
        "the sample cannot be read: it is cut short or garbled",
        "the file holds Python objects, which are never loaded, or is no numpy file",
    )


def test_a_bit_flip_in_an_npz_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    np.savez(path, x=x(1, 500))
    raw = bytearray(path.read_bytes())
    raw[1000] ^= 1
    path.write_bytes(raw)
    assert refusal(path) == (
        f"the sample cannot be read: it is cut short or garbled\n  at: {path}\n  help: write the file again"
    )


def test_object_arrays_are_never_unpickled(tmp_path: Path) -> None:
    path = tmp_path / "a.npy"
    np.save(path, np.array([Bomb()], dtype=object), allow_pickle=True)
    assert refusal(path) == (
        "the file holds Python objects, which are never loaded, or is no numpy file\n"
        f"  at: {path}\n"
        "  help: write plain arrays with numpy.save or numpy.savez; text as an array of type 'U'"
    )


class Bomb:
    def __reduce__(self) -> Any:
        return (exit, (99,))


def test_polygraphys_json(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    with quiet_polygraphy() as module:
        feeds = [{"x": x(1, rows), "y": np.arange(3)} for rows in (1, 2)]
        module("polygraphy.json").save_json(feeds, str(path))
    samples = list(open_source(path, TWO))
    assert [s.name for s in samples] == [f"{path}[0]", f"{path}[1]"]
    assert samples[1].shapes == {"x": (2, 2), "y": (3,)}
    assert np.asarray(samples[1].arrays["y"]).tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (
            "{",
            "the file is not Polygraphy's JSON: Expecting property name enclosed in double quotes: line 1 column 2",
        ),
        ("{}", "the file holds no list of samples"),
        ("[]", "the file holds no list of samples"),
        ('[{"x": {"array": "AAAA", "polygraphy_class": "ndarray"}}]', "the file is not Polygraphy's JSON: "),
        (
            '[{"x": {"tensor": "AAAA", "polygraphy_class": "Tensor"}}]',
            "the file holds torch tensors, which would have to be unpickled",
        ),
        (
            '[{"x": {"tensor": "AAAA", "polygraphy_class": "\\u0054ensor"}}]',
            "the file holds torch tensors, which would have to be unpickled",
        ),
    ],
)
def test_json_that_is_none_of_polygraphys(tmp_path: Path, content: str, reason: str) -> None:
    path = tmp_path / "a.json"
    path.write_text(content)
    text = refusal(path)
    assert text.startswith(reason)
    assert f"  at: {path}" in text


def test_json_that_is_no_text(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(b"\xff\xfe\x00")
    assert refusal(path) == f"the file is not text, and so no JSON\n  at: {path}"


def test_json_items_must_be_dicts(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text("[1]")
    assert refusal(path) == f"a sample is int, not a dict of arrays by input name\n  at: {path}[0]"
