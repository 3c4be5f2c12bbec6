"""Which operators compute in float32 whatever their operands, and which inputs are sensitive to small numbers.

Whatever adds up many numbers or raises to powers within one operator stays in float32, unless the standard says that it
does so inside (LayerNormalization and its kin, by `stash_type`): nothing else promises that the sum is kept in a wider
type. It costs no kernel: TensorRT-RTX computes the Casts around a Softmax or a reduction in the same kernel as it.
"""

from __future__ import annotations

from graphopt.graph.graph import Node

MULTIPLYING = frozenset(
    {
        *("Conv", "ConvTranspose", "DeformConv", "CausalConvWithState", "Gemm", "MatMul", "Einsum"),
        *("Attention", "FlexAttention", "LinearAttention", "LSTM", "GRU", "RNN"),
    }
)
"""What a short type is for: kernels that multiply matrices. Elsewhere Casts would cost more than they save."""

SUMS = frozenset(
    {
        *("ReduceL1", "ReduceL2", "ReduceLogSum", "ReduceLogSumExp", "ReduceMean", "ReduceProd", "ReduceSum"),
        *("ReduceSumSquare", "Softmax", "LogSoftmax", "CumSum", "CumProd", "GlobalAveragePool", "GlobalLpPool"),
        *("LpPool", "InstanceNormalization", "LpNormalization", "MeanVarianceNormalization", "LRN", "Hardmax"),
        *("NegativeLogLikelihoodLoss", "SoftmaxCrossEntropyLoss"),
    }
)

STASHING = 21
"""The opset from which GroupNormalization says in which type it sums."""

PLACES = frozenset(
    {
        *("Range", "GridSample", "AffineGrid", "RoiAlign", "MaxRoiPool", "NonMaxSuppression", "EyeLike", "Multinomial"),
        *("Bernoulli", "RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike", "Mod"),
        *("BlackmanWindow", "HammingWindow", "HannWindow", "MelWeightMatrix", "DFT", "STFT", "Det"),
    }
)
"""What tells places by its numbers, or draws them, or transforms a signal."""

MOVES = frozenset(
    {
        *("Cast", "Concat", "Expand", "Flatten", "Gather", "Identity", "Pad", "Reshape", "Slice", "Split", "Squeeze"),
        *("Tile", "Transpose", "Unsqueeze", "Where"),
    }
)

ARITHMETIC = frozenset({"Add", "Sub", "Mul", "Div", "Neg", "MatMul", "Einsum"})

ANGLES = frozenset({"Sin", "Cos", "Tan"})
"""What is periodic: how near its input is to a multiple of 2 pi is lost by relative rounding."""

SPECTRA = frozenset(
    {
        *("Conv", "Gemm", "Pow", "Square", "Sqrt", "Abs", "Sum", "Max", "Min", "Clip", "ReduceSum", "ReduceMean"),
        *("ReduceL1", "ReduceL2", "ReduceSumSquare"),
    }
)
"""What logarithms are taken of, as of a spectrum, by way of linear filters and powers: the weakest bands count as much
as the strongest, and are small differences of large numbers."""

MADE_BY = {**dict.fromkeys(ANGLES, MOVES | ARITHMETIC), "Log": MOVES | ARITHMETIC | SPECTRA}
"""Operators that need more of their input than its size, and what that is usually made by: these stay in float32 too,
back to whatever else there is."""

SATURATING = {"Clip": (1, 2), "Max": None, "Min": None}
"""Operators whose constant operands are bounds: one beyond the range of the type means the end of the range. None
stands for all inputs."""

_DIVIDED_BY = {"Div": 1, "Reciprocal": 0, "Log": 0, "Sqrt": 0}

RISKY = frozenset({"Exp", "Log", "Pow", "Reciprocal", "Sqrt", "Square", "Softplus", "Div"})
"""What makes large numbers of small ones, or the other way round: not in float16 without having seen the numbers."""


def stays_float32(node: Node) -> bool:
    """Whether an operator computes in float32 whatever is asked for."""
    if node.op_type == "GroupNormalization":
        return node.graph is None or node.graph.model.opset < STASHING
    return node.op_type in SUMS or node.op_type in PLACES or node.op_type in ANGLES


def sensitive_input(node: Node) -> int | None:
    """The input whose smallest numbers decide about the output: what is divided by, or taken the logarithm or a root
    of."""
    if node.op_type == "Pow":
        power = node.input(1)
        constant = power.constant if power is not None else None
        return 0 if constant is None or float(constant.numpy().min(initial=1.0)) < 1 else None
    return _DIVIDED_BY.get(node.op_type)


def bounds(node: Node) -> range | tuple[int, ...]:
    """The inputs of a node that are bounds."""
    found = SATURATING.get(node.op_type, ())
    return range(len(node.inputs)) if found is None else found
