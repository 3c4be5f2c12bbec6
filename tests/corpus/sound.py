"""Sound for the corpus, and the spectrograms that the packages of the sound models compute.

None of the wheels has a recording in it, so speech and music are synthesised, the same each time: harmonics of a
gliding pitch under the formants of English vowels, with fricatives, syllables and pauses; and plucked strings. Silero's
detector takes the one for speech, and basic-pitch reads the notes of the other (tests/corpus/test_inputs.py).
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.float32]
Spectrum = NDArray[np.float64]

# Formants in Hz, from Peterson and Barney, "Control methods used in a study of the vowels", 1952 (men's averages).
VOWELS = (
    *((270, 2290, 3010), (530, 1840, 2480), (660, 1720, 2410), (730, 1090, 2440)),
    *((570, 840, 2410), (300, 870, 2240), (640, 1190, 2390)),
)
BANDWIDTHS = (80, 100, 140)
STRENGTHS = (1.0, 0.6, 0.3)


@cache
def speech(seconds: float, rate: int, seed: int = 0) -> Samples:
    """A voice that speaks syllables in phrases of about two seconds, with pauses: float32 in -1..1 at `rate` Hz."""
    random = np.random.default_rng(seed)
    count = round(seconds * rate)
    time = np.arange(count) / rate
    starts, loudness, hiss = _syllables(random, seconds)
    vowels = random.integers(len(VOWELS), size=len(starts))
    pitch = random.uniform(95, 210) * (1 + 0.15 * np.sin(2 * np.pi * 0.4 * time) + 0.02 * np.sin(2 * np.pi * 5 * time))
    voice = np.zeros(count)
    phase = 2 * np.pi * np.cumsum(pitch) / rate
    tracks = [np.interp(time, starts, [VOWELS[vowel][formant] for vowel in vowels]) for formant in range(3)]
    for harmonic in range(1, int(4000 / pitch.max()) + 1):
        frequency = harmonic * pitch
        resonance = sum(
            strength / (1 + ((frequency - track) / width) ** 2)
            for strength, track, width in zip(STRENGTHS, tracks, BANDWIDTHS, strict=True)
        )
        voice += resonance * np.sin(harmonic * phase) / harmonic**0.5
    noise = np.diff(random.standard_normal(count), prepend=0.0)
    sound = voice * np.interp(time, *loudness) + 0.25 * noise * np.interp(time, *hiss)
    return (0.5 * sound / np.abs(sound).max() + 0.001 * noise).astype(np.float32)


@cache
def music(seconds: float, rate: int, seed: int = 0) -> tuple[Samples, tuple[int, ...]]:
    """Plucked strings, two notes a second, float32 in -1..1 at `rate` Hz; and the notes as MIDI numbers."""
    random = np.random.default_rng(seed)
    notes = tuple(int(note) for note in random.choice((48, 52, 55, 57, 60, 62, 64, 67, 69, 72), size=int(2 * seconds)))
    time = np.arange(2 * rate)[:, np.newaxis] / rate  # a string rings for two seconds at most
    harmonic = np.arange(1, 9)
    sound = np.zeros(round(seconds * rate) + len(time))
    for number, note in enumerate(notes):
        frequency = 440 * 2 ** ((note - 69) / 12)
        partials = np.exp(-time * (2 + harmonic)) * np.sin(2 * np.pi * harmonic * frequency * time) / harmonic
        sound[number * rate // 2 :][: len(time)] += partials.sum(axis=1)
    sound = sound[: round(seconds * rate)]
    return (0.6 * sound / np.abs(sound).max()).astype(np.float32), notes


def frames(sound: Samples, size: int, hop: int) -> Samples:
    """The frames of `size` samples that start every `hop` samples and are whole: [count, size]."""
    return np.lib.stride_tricks.sliding_window_view(sound, size)[::hop]


def power(sound: Samples, size: int, hop: int) -> Spectrum:
    """Power of a Hann-windowed transform centred on every `hop`-th sample, zeros around: [frames, size // 2 + 1]."""
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(size) / size)
    padded = np.pad(sound, size // 2)
    return np.abs(np.fft.rfft(frames(padded, size, hop) * window)) ** 2


def mel(sound: Samples, rate: int, size: int, hop: int, bands: int) -> Samples:
    """Mel bands in dB below the loudest, as the MOS models take them: (dB + 40) / 40, float32 [frames, bands]."""
    bank = power(sound, size, hop) @ _mel_filters(rate, size, bands)
    decibels = 10 * np.log10(np.maximum(bank, 1e-10) / bank.max())
    return ((np.maximum(decibels, -80) + 40) / 40).astype(np.float32)


def log_power(sound: Samples, size: int, hop: int) -> Samples:
    """Base-10 logarithm of the power, float32 [frames, size // 2 + 1]."""
    return np.log10(np.maximum(power(sound, size, hop), 1e-12)).astype(np.float32)


def plc_features(sound: Samples) -> Samples:
    """PLCMOS features: ln of the power of Hamming frames of 512 every 256, over 20; silence 120 dB below the least."""
    window = 0.54 - 0.46 * np.cos(2 * np.pi * np.arange(512) / 512)
    count = -(-(len(sound) + 256) // 256)
    padded = np.pad(sound, (256, count * 256 - len(sound)))
    spectrum = np.abs(np.fft.rfft(frames(padded, 512, 256)[:count] * window)) ** 2
    least = spectrum[spectrum > 0].min()
    return (np.log(np.where(spectrum > 0, spectrum, least * 1e-12)) / 20).astype(np.float32)


def _syllables(random: np.random.Generator, seconds: float) -> tuple[list[float], *tuple[tuple[list[float], ...], ...]]:
    """Start times, then two envelopes as points to interpolate: of the voice, and of the fricatives before it."""
    starts: list[float] = []
    loudness: tuple[list[float], list[float]] = ([], [])
    hiss: tuple[list[float], list[float]] = ([], [])
    now = 0.3
    while now < seconds or not starts:
        for _ in range(random.integers(6, 12)):
            length, level, fricative = random.uniform(0.14, 0.28), random.uniform(0.5, 1.0), random.random() < 0.4
            starts.append(now)
            _add(hiss, (now - 0.03, 0.0), (now, 1.0 if fricative else 0.0), (now + 0.05, 0.0))
            _add(loudness, (now + 0.02, 0.1), (now + 0.06, level), (now + length - 0.03, level), (now + length, 0.1))
            now += length
        _add(loudness, (now + 0.05, 0.0), (now + 0.3, 0.0))
        now += random.uniform(0.4, 0.9)
        _add(loudness, (now, 0.0))
    return starts, loudness, hiss


def _add(envelope: tuple[list[float], list[float]], *points: tuple[float, float]) -> None:
    for time, level in points:
        envelope[0].append(time)
        envelope[1].append(level)


@cache
def _mel_filters(rate: int, size: int, bands: int) -> Spectrum:
    """Triangles of equal area on the mel scale of Slaney, "Auditory Toolbox", 1998: [size // 2 + 1, bands]."""
    step = np.log(6.4) / 27
    top = 15 + np.log(rate / 2 / 1000) / step
    mels = np.linspace(0, top, bands + 2)
    edges = np.where(mels < 15, mels * 200 / 3, 1000 * np.exp(step * (mels - 15)))
    bins = np.fft.rfftfreq(size, 1 / rate)[:, np.newaxis]
    low, peak, high = edges[:-2], edges[1:-1], edges[2:]
    triangles = np.minimum((bins - low) / (peak - low), (high - bins) / (high - peak)).clip(0)
    return triangles * 2 / (high - low)
