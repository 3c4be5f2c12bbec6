"""Ranks that follow from a rule's text: from the types of its inputs, through operators whose rank is plain."""

from __future__ import annotations

from graphopt.lang import tree as t
from graphopt.lang.operators import split_operator

Ranks = dict[str, int]

BROADCASTING = frozenset(
    (
        *("Add", "Sub", "Mul", "Div", "Pow", "Mod", "And", "Or", "Xor", "Equal", "Less", "Greater", "LessOrEqual"),
        *("GreaterOrEqual", "Max", "Min", "Sum", "Mean", "Where", "PRelu", "BitwiseAnd", "BitwiseOr", "BitwiseXor"),
    )
)
SAME = frozenset(
    (
        *("Abs", "Cast", "Ceil", "Celu", "Clip", "Cos", "Dropout", "Elu", "Erf", "Exp", "Floor", "Gelu", "HardSigmoid"),
        *("HardSwish", "Identity", "LeakyRelu", "Log", "Mish", "Neg", "Not", "Reciprocal", "Relu", "Round", "Selu"),
        *("Sigmoid", "Sign", "Sin", "Softplus", "Softsign", "Sqrt", "Tan", "Tanh", "ThresholdedRelu", "Softmax"),
        *("LogSoftmax", "Hardmax", "Transpose", "Pad", "Conv", "ConvTranspose", "AveragePool", "MaxPool", "LpPool"),
        *("GlobalAveragePool", "GlobalMaxPool", "GlobalLpPool", "BatchNormalization", "InstanceNormalization"),
        *("LayerNormalization", "GroupNormalization", "RMSNormalization", "LRN", "CumSum", "Slice", "Concat", "Tile"),
        *("QuantizeLinear", "DequantizeLinear", "DepthToSpace", "SpaceToDepth", "Resize", "Trilu", "Swish", "Split"),
    )
)
FIXED = {"Gemm": 2, "Flatten": 2, "Shape": 1, "Size": 0, "NonZero": 2}


def pattern_ranks(rule: t.Rule) -> Ranks:
    """The ranks of what a rule matches, as far as its types tell."""
    ranks: Ranks = {}
    for match in rule.matches:
        _annotations(match.pattern, ranks)
    for _ in rule.matches:  # statements may stand in any order
        for match in rule.matches:
            if isinstance(match.pattern, t.NodePattern) and match.targets[0] is not None:
                rank = _pattern_rank(match.pattern, ranks)
                if rank is not None:
                    ranks[match.targets[0]] = rank
    return ranks


def _annotations(pattern: t.InputPattern, ranks: Ranks) -> None:
    if isinstance(pattern, t.Variable) and pattern.type is not None:
        if all(d.kind != "rest" for d in pattern.type.dims):
            ranks[pattern.name] = len(pattern.type.dims)
    elif isinstance(pattern, t.NodePattern):
        for inner in pattern.inputs:
            _annotations(inner, ranks)


def _pattern_rank(pattern: t.InputPattern, ranks: Ranks) -> int | None:
    if isinstance(pattern, t.Variable):
        return ranks.get(pattern.name)
    if isinstance(pattern, t.Number):
        return 0
    if not isinstance(pattern, t.NodePattern):
        return None
    return _rank(pattern.operator, [_pattern_rank(i, ranks) for i in pattern.inputs])


def rank_of(expression: t.Expression, ranks: Ranks) -> int | None:
    """The rank of what a rewrite makes; None where it does not follow."""
    if isinstance(expression, t.Name):
        return ranks.get(expression.name)
    if isinstance(expression, t.Literal):
        return 0
    if isinstance(expression, t.NodeCall):
        return _rank(expression.operator, [rank_of(a, ranks) for a in expression.arguments])
    return None


def _rank(operator: str, inputs: list[int | None]) -> int | None:
    domain, name = split_operator(operator)
    if domain or not inputs:
        return None
    if name in FIXED:
        return FIXED[name]
    if name in SAME:
        return inputs[0]
    known = [r for r in inputs if r is not None]
    if len(known) < len(inputs):
        return None
    if name in BROADCASTING:
        return max(known)
    return max(known) if name == "MatMul" and min(known) >= 2 else None
