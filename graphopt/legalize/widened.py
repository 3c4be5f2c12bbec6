"""How operators act on whole numbers that stand in a wider type than their own."""

from __future__ import annotations

from graphopt.graph.dtypes import DType

WIDER = {
    DType.int8: DType.int32,
    DType.uint8: DType.int32,
    DType.int16: DType.int32,
    DType.uint16: DType.int32,
    DType.uint32: DType.int64,
    DType.uint64: DType.int64,
    DType.float64: DType.float32,
}
"""What stands for each element type that a target may lack."""

INEXACT = frozenset({DType.uint64, DType.float64})
"""Types of which the wider one does not hold every value."""

KEEPS = frozenset(
    {
        *("Identity", "Reshape", "Transpose", "Squeeze", "Unsqueeze", "Flatten", "Concat", "Split", "Slice", "Gather"),
        *("GatherElements", "GatherND", "ScatterElements", "ScatterND", "Expand", "Tile", "Pad", "Where", "Compress"),
        *("Max", "Min", "Equal", "Greater", "Less", "GreaterOrEqual", "LessOrEqual", "Clip", "Sign", "Mod"),
        *("ReduceMax", "ReduceMin", "ArgMax", "ArgMin", "TopK", "Shape", "Size", "DepthToSpace", "SpaceToDepth"),
        *("ReverseSequence", "Trilu", "OneHot", "EyeLike", "ConstantOfShape", "NonZero", "Unique", "Relu", "Cast"),
        *("BitwiseAnd", "BitwiseOr", "BitwiseXor", "If", "Loop", "Scan", "CastLike", "Range", "Upsample"),
    }
)
"""Operators whose results, in the wider type, are those of the narrow one: they choose, order or compare."""

WRAPS = frozenset(
    {
        *("Add", "Sub", "Mul", "Div", "Neg", "Abs", "Pow", "Sum", "ReduceSum", "ReduceProd", "ReduceSumSquare"),
        *("ReduceL1", "CumSum", "CumProd", "MatMul", "Gemm", "BitwiseNot", "Einsum"),
    }
)
"""Operators whose results, in the wider type, are those of the narrow one but for a multiple of 2 ** bits."""

SHIFTS = "BitShift"
"""The standard has it for unsigned types alone, so that it is spelled out in the wider type."""

ORDERS = frozenset({"Div", "Mod", "Max", "Min", "Greater", "Less", "GreaterOrEqual", "LessOrEqual", "Clip", "TopK"})
"""Operators that tell large numbers of 64 bits from negative ones."""
