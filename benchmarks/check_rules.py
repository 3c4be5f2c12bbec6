"""How long `graphopt rules check` takes on a folder of many rules.

    python benchmarks/check_rules.py [--rules 200] [--runs 5]

The rules are made, in two folders. `varied` has every shape of left side that the shipped rules have (chains, folds
with arithmetic, products, variadic inputs, alternatives, several outputs), each with every activation. In `one
operator` all are products of four operands, so that each has to be told from every other. What is timed is the whole
process, as a user waits for it.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

COMMAND = [sys.executable, "-c", "from graphopt.cli import main; main()"]

ACTIVATIONS = [
    "Abs",
    "Acos",
    "Acosh",
    "Asin",
    "Asinh",
    "Atan",
    "Atanh",
    "Ceil",
    "Cos",
    "Cosh",
    "Elu",
    "Erf",
    "Exp",
    "Floor",
    "HardSigmoid",
    "LeakyRelu",
    "Log",
    "Neg",
    "Reciprocal",
    "Relu",
    "Round",
    "Selu",
    "Sigmoid",
    "Sign",
    "Sin",
    "Sinh",
    "Softplus",
    "Softsign",
    "Sqrt",
    "Tan",
    "Tanh",
]

SHAPES = {
    "conv_bn": """rule conv_bn_{name}<T: float16|float32|float64>:
    "Fold an inference BatchNormalization into the Conv between it and {operator}."
    equal real
    match:
        y = Conv(x: T[...], const w: T[oc, ...], const b?: T[oc], **conv)
        z = BatchNormalization(y, const gamma, const beta, const mean, const var, epsilon=eps, training_mode=0)
        out = {operator}(z)
    where:
        w.rank >= 3
    let:
        k = gamma / sqrt(var + eps)
        w2 = w * k.reshape([-1] ++ rep(1, w.rank - 1))
        b2 = ((b ?? zeros([oc])) - mean) * k + beta
    rewrite:
        out = {operator}(Conv(x, w2, b2, **conv))
""",
    "matmul": """rule matmul_{name}<T: float16|float32|float64>:
    "A matrix product plus a row is one Gemm, in front of {operator}."
    match:
        y = MatMul(a: T[m, k], b: T[k, n])
        z = {operator}(Add(y, c: T[...]))
    where:
        broadcasts_to(c.shape, [m, n])
    rewrite:
        z = {operator}(Gemm(a, b, c))
""",
    "transposes": """rule transposes_{name}:
    "Two Transposes around {operator} are one, or none."
    equal exact
    match:
        y = {operator}(Transpose(x: _[...], perm=p?))
        z = Transpose(y, perm=q?)
    let:
        p0 = p ?? reverse(range(x.rank))
        q0 = q ?? reverse(range(x.rank))
        r = p0[q0]
    rewrite:
        z = {operator}(x) if r == range(x.rank) else Transpose({operator}(x), perm=r)
""",
    "product": """rule product_{name}:
    "A half of {operator}, in every grouping."
    equal approx(1e-5)
    match:
        y = Mul*(~0.5, Add({operator}(x), ~1.0), const scale)
    rewrite:
        y = Mul(Add({operator}(x), 1.0), scale / 2)
""",
    "concat": """rule concat_{name}:
    "{operator} of two parts that are joined and split again."
    equal exact
    match:
        a, b = Split({operator}(Concat(*xs, axis=0)), none, axis=0)
    where:
        len(xs) == 2
        a.shape == xs[0].shape
        b.shape == xs[1].shape
    rewrite:
        a = {operator}(xs[0])
        b = {operator}(xs[1])
""",
    "quotient": """rule quotient_{name}<T: float16|float32>:
    "A division by a constant, or a product with one, after {operator}."
    match:
        y = Div({operator}(x: T[n, c, ...]), const b) | Mul({operator}(x: T[n, c, ...]), const b)
        z = Sub(y, {operator}(x))
    where:
        x.rank == 4
        all(b != 0) and b.size == c
    rewrite:
        z = Mul({operator}(x), 1 / b - 1)
""",
    "reduction": """rule reduction_{name}:
    "A mean over axes of size one, before {operator}, is none."
    equal exact
    match:
        y = {operator}(ReduceMean(x: _[...], axes=_, keepdims=1))
    where:
        y.shape == x.shape
    rewrite:
        y = {operator}(x)
""",
}


PRODUCT = """rule product_{names}:
    "A half of {first}, and {second}, in every grouping."
    equal approx(1e-5)
    match:
        y = Mul*(~0.5, Add({first}(x), ~1.0), {second}(z), const scale)
    rewrite:
        y = Mul(Mul(Add({first}(x), 1.0), {second}(z)), scale / 2)
"""

IN_A_FILE = 10


def varied() -> list[str]:
    """Rules of every shape, with every activation."""
    pairs = [(shape, operator) for operator in ACTIVATIONS for shape in SHAPES]
    return [SHAPES[shape].format(name=operator.lower(), operator=operator) for shape, operator in pairs]


def one_operator() -> list[str]:
    """Rules that all begin at Mul, none of which can match where another does."""
    pairs = [(first, second) for first in ACTIVATIONS for second in ACTIVATIONS]
    return [PRODUCT.format(names=f"{a}_{b}".lower(), first=a, second=b) for a, b in pairs]


KINDS = {"varied": varied, "one operator": one_operator}


def write_rules(texts: list[str], folder: Path) -> None:
    """Rules in files of ten."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, first in enumerate(range(0, len(texts), IN_A_FILE)):
        body = "\n".join(texts[first : first + IN_A_FILE])
        (folder / f"made_{number:02}.rules").write_text(f"opset 13..17\nphase fuse\n\n{body}", encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rules", type=int, default=200)
    parser.add_argument("--runs", type=int, default=5)
    options = parser.parse_args()
    for kind, texts in KINDS.items():
        made = texts()[: options.rules]
        with tempfile.TemporaryDirectory() as folder:
            write_rules(made, Path(folder))
            runs = [_run(folder) for _ in range(options.runs)]
        walls, cpus = zip(*runs, strict=True)
        print(
            f"{kind}, {len(made)} rules: median {statistics.median(walls):.2f} s, "
            f"of CPU {statistics.median(cpus):.2f} s (fastest {min(walls):.2f} and {min(cpus):.2f} s)"
        )


def _run(folder: str) -> tuple[float, float]:
    """Seconds of one run, by the clock and of CPU."""
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run([*COMMAND, "rules", "check", folder], capture_output=True, text=True)
    wall, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        raise SystemExit(done.stdout + done.stderr)
    return wall, after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


if __name__ == "__main__":
    main()
