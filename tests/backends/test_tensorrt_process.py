"""The builder's process: what its death, and ours, looks like; and libraries that are missing or broken."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from graphopt.backends.base import Availability, BuildRequest
from graphopt.backends.tensorrt import TensorRT
from graphopt.errors import BackendError, OutputError, UsageError
from graphopt.progress import SILENT
from tests.backends import models
from tests.backends.building import Told, builder_id
from tests.backends.rtx import build, needs_rtx, refusal, request

on_linux = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc, or keeps a limit that only Linux has")


def gone(process: int) -> bool:
    """Whether a process that is not our child ends; it has been killed, so that only a hang would last."""
    for _ in range(600):
        try:
            os.kill(process, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.05)
    return False


@needs_rtx
@on_linux
@pytest.mark.parametrize(
    ("blow", "help"),
    [
        (
            signal.SIGKILL,
            "most likely memory ran out: raise the memory limit, or build on a machine with more",
        ),
        (signal.SIGSEGV, "this is a fault of TensorRT-RTX; another version of it may do"),
    ],
)
def test_builder_that_dies(tmp_path: Path, blow: signal.Signals, help: str) -> None:
    with pytest.raises(BackendError) as caught:
        TensorRT("tensorrt-rtx").build(BuildRequest(models.slow(), tmp_path), Told(lambda: os.kill(builder_id(), blow)))
    assert caught.value.message == (
        f"the builder of TensorRT-RTX died of {blow.name} while building light_densenet121.onnx"
    )
    assert caught.value.where is not None
    assert caught.value.where.startswith("the builder's phase '")
    assert caught.value.help == help
    assert list(tmp_path.iterdir()) == []


@needs_rtx
def test_builder_that_takes_too_long(tmp_path: Path) -> None:
    with pytest.raises(BackendError) as caught:
        TensorRT("tensorrt-rtx").build(
            BuildRequest(models.slow(), tmp_path, options=request(tmp_path / "m", timeout_s=0.25).options), SILENT
        )
    assert caught.value.message == ("TensorRT-RTX was stopped after 0.25 s, before it had built light_densenet121.onnx")
    assert caught.value.help == "allow it more time"
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


@needs_rtx
@on_linux
def test_memory_limit(tmp_path: Path) -> None:
    body = "net (float[1,2048] x) => (float[1,2048] y) { y = MatMul (x, w) }"
    model = models.write(tmp_path / "net.onnx", body, {"w": models.random(2048, 2048)})
    # The library itself takes about 30 MiB, and the weights 16 MiB in each of several copies.
    assert refusal(model, memory_limit_mb=50) == (
        "TensorRT-RTX cannot build net.onnx:"
        "\n  the model: memory ran out"
        "\n  help: raise the memory limit, or build on a machine with more"
    )
    assert build(model, memory_limit_mb=4096).bytes > 2048 * 2048 * 4


@needs_rtx
@on_linux
def test_control_c(tmp_path: Path) -> None:
    with _building(tmp_path) as parent:
        assert parent.stdout is not None
        builder = int(parent.stdout.readline())
        os.killpg(parent.pid, signal.SIGINT)  # as a terminal does: to the whole group, the builder too
        assert parent.communicate() == ("interrupted\n", "")
    assert gone(builder)
    assert list(tmp_path.iterdir()) == []


@needs_rtx
@on_linux
def test_builder_does_not_outlive_us(tmp_path: Path) -> None:
    with _building(tmp_path) as parent:
        assert parent.stdout is not None
        builder = int(parent.stdout.readline())
        parent.kill()
    assert gone(builder)


def _building(out: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "tests.backends.building", str(out)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
        start_new_session=True,
    )


@needs_rtx
def test_folder_that_is_not_there(tmp_path: Path) -> None:
    model = models.cnn(tmp_path / "net.onnx")
    with pytest.raises(OutputError) as caught:
        TensorRT("tensorrt-rtx").build(BuildRequest(model, tmp_path / "none"), SILENT)
    assert str(caught.value) == f"cannot write into {tmp_path}/none: No such file or directory"


@needs_rtx
@on_linux
def test_disk_that_is_full(tmp_path: Path) -> None:
    """A file size limit is what a full disk looks like to the builder."""
    model = models.cnn(tmp_path / "net.onnx")
    code = (
        "import resource, signal, sys; from pathlib import Path\n"
        "from graphopt.backends.base import BuildRequest; from graphopt.backends.tensorrt import TensorRT\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (65536, 65536)); signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "TensorRT('tensorrt-rtx').build(BuildRequest(Path(sys.argv[1]), Path(sys.argv[2])))"
    )
    out = tmp_path / "out"
    out.mkdir()
    ended = subprocess.run(
        [sys.executable, "-c", code, str(model), str(out)],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[2],
        check=False,
    )
    assert ended.stderr.splitlines()[-1] == (
        "graphopt.errors.OutputError: cannot write the engine of net.onnx: File too large"
    )
    assert list(out.iterdir()) == []


def test_distribution_that_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorrt_rtx", None)
    help = "pip install 'graphopt[tensorrt-rtx]'"
    assert TensorRT("tensorrt-rtx").probe() == Availability(False, None, "tensorrt_rtx is not installed", help)
    with pytest.raises(BackendError) as caught:
        TensorRT("tensorrt-rtx").build(BuildRequest(models.cnn(tmp_path / "net.onnx"), tmp_path), SILENT)
    assert str(caught.value) == (
        f"target 'tensorrt-rtx' cannot be built here: tensorrt_rtx is not installed\n  help: {help}"
    )


def fake(folder: Path, monkeypatch: pytest.MonkeyPatch, code: str) -> None:
    """Put a module `tensorrt` in front of whatever may be installed."""
    (folder / "modules").mkdir()
    (folder / "modules" / "tensorrt.py").write_text(code)
    monkeypatch.syspath_prepend(folder / "modules")


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (
            "raise ImportError('libnvinfer.so.10: cannot open shared object file')",
            "tensorrt cannot be imported: libnvinfer.so.10: cannot open shared object file",
        ),
        ("__version__ = '8.6.1'", "tensorrt is version 8.6.1; version 10 or newer is needed"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "tensorrt died while starting (SIGSEGV)"),
    ],
)
def test_distribution_that_is_broken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str, reason: str) -> None:
    fake(tmp_path, monkeypatch, code)
    assert TensorRT("tensorrt").probe() == Availability(False, None, reason, "pip install 'graphopt[tensorrt]'")


NO_GPU = """
from tensorrt_rtx import *
__version__ = "10.13.2.6"
_Logger = ILogger
class Builder:
    def __init__(self, log):
        log.log(ILogger.Severity.ERROR, "CUDA initialization failure with error: 35")
        raise TypeError("pybind11::init(): factory function returned nullptr")
"""


@needs_rtx
def test_full_distribution_without_a_gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake(tmp_path, monkeypatch, NO_GPU)
    with pytest.raises(BackendError) as caught:
        TensorRT("tensorrt").build(BuildRequest(models.cnn(tmp_path / "net.onnx"), tmp_path), SILENT)
    assert str(caught.value) == (
        "target 'tensorrt' cannot be built here: tensorrt cannot start: CUDA initialization failure with error: 35"
        "\n  help: pip install 'graphopt[tensorrt]'"
    )


OLDER_API = """
import tensorrt_rtx
from tensorrt_rtx import *
__version__ = "10.0.1"
del ComputeCapability
class Builder:
    def __init__(self, log):
        self._real = tensorrt_rtx.Builder(log)
    def __getattr__(self, name):
        if name == "build_serialized_network_to_stream":
            raise AttributeError(name)
        return getattr(self._real, name)
"""


@needs_rtx
def test_full_distribution_lacks_what_only_rtx_has(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The RTX library under the other's name, without the API that TensorRT 10.0 does not have yet."""
    fake(tmp_path, monkeypatch, OLDER_API)
    model = models.cnn(tmp_path / "net.onnx")
    artifact = TensorRT("tensorrt").build(BuildRequest(model, tmp_path), SILENT)
    engine = artifact.files[0].read_bytes()
    assert engine == build(model).files[0].read_bytes()
    assert artifact.details["versions"]["tensorrt"] == "10.0.1"
    assert artifact.details["compute_capabilities"] == []
    assert artifact.details["engine"]["header"] is None


def test_full_distribution_builds_for_the_gpu_at_hand(tmp_path: Path) -> None:
    model = models.cnn(tmp_path / "net.onnx")
    with pytest.raises(UsageError) as caught:
        TensorRT("tensorrt").build(request(model, compute_capabilities=("sm80",)), SILENT)
    assert str(caught.value) == (
        "target 'tensorrt' builds for the GPU at hand; it cannot be told to build for sm80"
        "\n  help: leave the compute capabilities out, or build for the target tensorrt-rtx"
    )
