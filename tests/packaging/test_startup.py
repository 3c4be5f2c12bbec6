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


@pytest.mark.parametrize(
    "statement",
    [
        "import graphopt",
        "import graphopt.cli",
        "import graphopt.errors, graphopt.progress",
        "from graphopt.cli import run; assert run(['--help']) == 0",
        "from graphopt.cli import run; assert run(['compile', '--help']) == 0",
    ],
)
def test_imports_nothing_heavy(statement: str) -> None:
    program = f"import sys; {statement}; print('imported:', *sorted(sys.modules.keys() & {set(HEAVY)!r}))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[-1] == "imported:"
