"""Whether ONNX Runtime runs Attention, GroupNormalization and RotaryEmbedding faster than what they stand for.

    python benchmarks/fusions.py

CPU time of one thread, the fused operator's as a share of that of the others: the median of pairs that run in turn,
with ONNX Runtime's own optimizations off and on.
"""

# onnxruntime's stubs are partial
# pyright: basic

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import onnx
import onnxruntime
from onnx import parser

PAIRS = 80

Arrays = dict[str, np.ndarray]


@dataclass(frozen=True)
class Pair:
    """What exporters spell out, and the operator for it, with inputs for each."""

    title: str
    spelled: onnx.ModelProto
    fused: onnx.ModelProto
    inputs: tuple[Arrays, Arrays]


def model(opset: int, signature: str, nodes: str, weights: str = "") -> onnx.ModelProto:
    held = f"<{weights}>" if weights else ""
    return parser.parse_model(f'<ir_version: 10, opset_import: ["" : {opset}]> g {signature} {held} {{ {nodes} }}')


def numbers(*shape: int) -> np.ndarray:
    return np.random.default_rng(list(shape)).standard_normal(shape).astype(np.float32)


def listed(values: np.ndarray) -> str:
    return "{" + ", ".join(str(v) for v in values.tolist()) + "}"


def attention(heads: int, steps: int, size: int) -> Pair:
    dims = f"float[2,{heads},{steps},{size}]"
    signature = f"({dims} q, {dims} k, {dims} v) => ({dims} y)"
    spelled = """t = Transpose <perm = [0, 1, 3, 2]> (k) a = MatMul (q, t) b = Mul (a, scale)
        c = Softmax <axis = -1> (b) y = MatMul (c, v)"""
    given = {name: numbers(2, heads, steps, size) for name in "qkv"}
    return Pair(
        f"Attention, {heads} heads, {steps} steps, {size} each",
        model(23, signature, spelled, f"float scale = {{{size**-0.5}}}"),
        model(23, signature, "y = Attention (q, k, v)"),
        (given, given),
    )


def rotary(heads: int, steps: int, size: int) -> Pair:
    half = size // 2
    x, cos, sin = numbers(2, heads, steps, size), numbers(2, steps, half), numbers(3, steps, half)[:2]
    dims, full = f"float[2,{heads},{steps},{size}]", f"float[2,1,{steps},{size}]"
    cache = f"float[2,{steps},{half}]"
    spelled = """a, b = Split <axis = -1> (x, halves) n = Neg (b) r = Concat <axis = -1> (n, a)
        p = Mul (x, c) q = Mul (r, s) y = Add (p, q)"""
    twice = {"c": np.concatenate([cos, cos], -1)[:, None], "s": np.concatenate([sin, sin], -1)[:, None]}
    return Pair(
        f"RotaryEmbedding, {heads} heads, {steps} steps, {size} each",
        model(23, f"({dims} x, {full} c, {full} s) => ({dims} y)", spelled, f"int64[2] halves = {{{half}, {half}}}"),
        model(23, f"({dims} x, {cache} c, {cache} s) => ({dims} y)", "y = RotaryEmbedding (x, c, s)"),
        ({"x": x, **twice}, {"x": x, "c": cos, "s": sin}),
    )


def group_normalization(channels: int, groups: int, size: int) -> Pair:
    dims = f"float[2,{channels},{size},{size}]"
    each, ones, zeros = listed(numbers(channels)), listed(np.ones(groups)), listed(np.zeros(groups))
    weights = f"""float[{groups}] o = {ones}, float[{groups}] z = {zeros}, int64[3] rows = {{0, {groups}, -1}},
        int64[4] back = {{0, {channels}, {size}, {size}}},
        float[{channels},1,1] k = {each}, float[{channels},1,1] b = {each}"""
    spelled = """r = Reshape (x, rows) i = InstanceNormalization (r, o, z) u = Reshape (i, back)
        m = Mul (u, k) y = Add (m, b)"""
    given = {"x": numbers(2, channels, size, size)}
    return Pair(
        f"GroupNormalization, {channels} channels, {groups} groups, {size}x{size}",
        model(21, f"({dims} x) => ({dims} y)", spelled, weights),
        model(
            21,
            f"({dims} x) => ({dims} y)",
            f"y = GroupNormalization <num_groups = {groups}> (x, k, b)",
            f"float[{channels}] k = {each}, float[{channels}] b = {each}",
        ),
        (given, given),
    )


def share(pair: Pair, *, optimized: bool) -> float:
    """CPU time of the fused operator, as a share of that of what is spelled out."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    levels = onnxruntime.GraphOptimizationLevel
    options.graph_optimization_level = levels.ORT_ENABLE_ALL if optimized else levels.ORT_DISABLE_ALL
    both = (pair.spelled, pair.fused)
    sessions = [onnxruntime.InferenceSession(m.SerializeToString(), options) for m in both]
    results = [s.run(None, dict(given))[0] for s, given in zip(sessions, pair.inputs, strict=True)]
    np.testing.assert_allclose(np.asarray(results[1]), np.asarray(results[0]), rtol=1e-3, atol=1e-4)
    shares = list(_shares(sessions, pair.inputs))
    return float(np.median(shares))


def _shares(sessions: list[onnxruntime.InferenceSession], inputs: tuple[Arrays, Arrays]) -> Iterator[float]:
    for _ in range(PAIRS):
        taken: list[float] = []
        for session, given in zip(sessions, inputs, strict=True):
            start = time.thread_time()
            session.run(None, dict(given))
            taken.append(time.thread_time() - start)
        yield taken[1] / taken[0]


def main() -> None:
    pairs = [attention(4, 64, 32), attention(12, 128, 64), attention(12, 384, 64), rotary(4, 64, 32)]
    pairs += [rotary(12, 128, 64), group_normalization(32, 8, 16), group_normalization(32, 8, 56)]
    print("| fused | optimizations off | on |\n|---|---|---|")
    for pair in pairs:
        print(f"| {pair.title} | {share(pair, optimized=False):.2f} | {share(pair, optimized=True):.2f} |")


if __name__ == "__main__":
    main()
