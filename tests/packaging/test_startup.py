"""What starts up quickly imports little; seen in a process of its own, since the tests import everything."""

from __future__ import annotations

import subprocess
import sys

import pytest

# Each costs between a tenth of a second and three.
HEAVY = (
    *("lark", "ml_dtypes", "numpy", "onnx", "onnxruntime", "polygraphy", "pydantic", "rich", "scipy", "sympy"),
    *("tensorrt", "tensorrt_rtx", "torch"),
)
VERBS = ("compile", "export", "check", "inspect")


def imported(statement: str) -> set[str]:
    """Which of the heavy ones a new process has imported after this statement."""
    program = f"import sys; {statement}; print(*sys.modules.keys() & {set(HEAVY)!r})"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    return set(done.stdout.splitlines()[-1].split())


@pytest.mark.parametrize(
    "statement",
    [
        "import graphopt",
        "import graphopt.cli",
        "import graphopt.errors, graphopt.progress",
        "from graphopt.cli import run; assert run(['--help']) == 0",
    ],
)
def test_imports_nothing_heavy(statement: str) -> None:
    assert imported(statement) == set()


@pytest.mark.parametrize("arguments", [["--version"], *([verb, "--help"] for verb in VERBS)])
def test_imports_nothing_heavy_but_what_typer_takes(arguments: list[str]) -> None:
    # Newer versions of typer import pydantic by themselves, to convert options.
    assert imported(f"from graphopt.cli import run; assert run({arguments!r}) == 0") <= {"pydantic"}
