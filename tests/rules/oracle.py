"""What models compute, and how close two results must be.

ONNX Runtime with its optimizations off is the oracle. Where it has no kernel (bfloat16 and most of float64) the
reference evaluator stands in, but not for what it gets wrong: BatchNormalization before opset 14, which it computes
with the statistics of the batch.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable
from math import sqrt

import ml_dtypes
import numpy as np
import onnx
import onnxruntime
from onnx import helper
from onnx.reference import ReferenceEvaluator

from graphopt.verify.judge import Contract, judge

Arrays = dict[str, np.ndarray]
Run = Callable[[Arrays], Arrays]

BATCH_NORMALIZATION_IS_RIGHT = 14


def runner(model: onnx.ModelProto, *, reference: bool = False) -> Run:
    """A function from inputs to outputs, both by name."""
    if reference:
        return _reference(model)
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    names = [o.name for o in model.graph.output]
    return lambda feed: dict(zip(names, session.run(names, feed), strict=True))


def needs_reference(model: onnx.ModelProto) -> bool:
    """Whether ONNX Runtime lacks kernels for this model."""
    try:
        runner(model)
    except Exception as error:  # ONNX Runtime's errors share no base but this one
        if "NOT_IMPLEMENTED" in str(error) or "bfloat16" in str(error):
            return True
        raise
    return False


def runs(model: onnx.ModelProto, feed: Arrays) -> bool:
    """Whether the oracle takes these inputs: kernels refuse some empty tensors."""
    try:
        runner(model, reference=needs_reference(model))(feed)
    except Exception:  # ONNX Runtime's errors share no base but this one
        return False
    return True


def loses_a_capture(model: onnx.ModelProto) -> bool:
    """Whether ONNX Runtime may fail for a reason of its own: it takes out Casts that it finds needless, even with its
    optimizations off, although the body of an If reads what they make."""
    casts = {name for node in model.graph.node if node.op_type == "Cast" for name in node.output}
    bodies = [a.g for node in model.graph.node for a in node.attribute if a.HasField("g")]
    return any(name in casts for body in bodies for node in body.node for name in node.input)


def _reference(model: onnx.ModelProto) -> Run:
    opset = next(o.version for o in model.opset_import if not o.domain)
    operators = {node.op_type for node in model.graph.node}
    assert opset >= BATCH_NORMALIZATION_IS_RIGHT or "BatchNormalization" not in operators, "no oracle for this opset"
    evaluator = ReferenceEvaluator(model)
    names = [o.name for o in model.graph.output]

    def run(feed: Arrays) -> Arrays:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")  # numpy warns of overflow in narrow types, which is what is being tested
            return dict(zip(names, map(np.asarray, evaluator.run(names, feed)), strict=True))

    return run


def terms_of(model: onnx.ModelProto) -> int:
    """An upper bound of how many products one output element is a sum of."""
    sizes = [int(np.prod(t.dims)) for t in model.graph.initializer]
    for info in model.graph.input:
        sizes.append(int(np.prod([d.dim_value or 7 for d in info.type.tensor_type.shape.dim])))
    return max(sizes, default=1)


def assert_equal(before: Arrays, after: Arrays) -> None:
    """Contract `exact`: the same bits, NaN for NaN."""
    assert list(before) == list(after)
    for name, wanted in before.items():
        found = after[name]
        assert (found.dtype, found.shape) == (wanted.dtype, wanted.shape), name
        assert np.array_equal(found, wanted, equal_nan=wanted.dtype.kind == "f"), name


def assert_close(before: Arrays, after: Arrays, terms: int) -> None:
    """Contract `real`: only rounding differs.

    A sum of n products in a type of unit roundoff u is off by at most n u times the sum of the magnitudes, and, since
    roundings are as good as independent, by 8 sqrt(n) u with a chance of failure below 1e-13 (Higham and Mary, "A new
    approach to probabilistic rounding error analysis", 2019, theorem 2.4 with lambda = 8). Both sides may be off, one
    each way, so the bound is doubled. Scale: the largest value of the same channel (axis 1), so that a loud channel
    does not hide a wrong one.
    """
    assert list(before) == list(after)
    for name, wanted in before.items():
        found = after[name]
        assert (found.dtype, found.shape) == (wanted.dtype, wanted.shape), name
        if wanted.dtype.kind in "iubO":
            assert np.array_equal(found, wanted), name
            continue
        information = ml_dtypes.finfo(wanted.dtype)
        a, b = wanted.astype(np.float64), found.astype(np.float64)
        assert np.array_equal(np.isfinite(a), np.isfinite(b)), name
        a, b = (np.where(np.isfinite(v), v, 0) for v in (a, b))
        roundoff = float(information.eps) / 2
        bound = 2 * 8 * sqrt(terms) * roundoff * _scale(a) + float(information.smallest_normal)
        worst = np.max(np.abs(a - b) / bound, initial=0)
        assert worst <= 1, f"{name} is off by {worst:.3g} times the bound"


def largest_magnitude(model: onnx.ModelProto, feed: Arrays) -> float:
    """Of all values of the main graph: what a rounding error anywhere can be a fraction of."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    shown = {o.name for o in model.graph.output}
    names = dict.fromkeys(name for node in model.graph.node for name in node.output if name not in shown)
    copy.graph.output.extend(helper.make_empty_tensor_value_info(name) for name in names)
    found = [v for v in runner(copy)(feed).values() if v.dtype.kind == "f" and v.size]
    return max((float(np.max(np.abs(v))) for v in found), default=0.0)


def assert_near(before: Arrays, after: Arrays, bound: float) -> None:
    """Every element within the bound."""
    assert list(before) == list(after)
    for name, wanted in before.items():
        found = after[name]
        assert (found.dtype, found.shape) == (wanted.dtype, wanted.shape), name
        worst = np.max(np.abs(wanted.astype(np.float64) - found.astype(np.float64)), initial=0)
        assert worst <= bound, f"{name} is off by {worst:.3g}, allowed: {bound:.3g}"


def assert_within_steps(before: onnx.ModelProto, after: onnx.ModelProto, feed: Arrays) -> None:
    """Contract `quant`: as near as half a step of each quantization, wherever it is, lets the result come."""
    if [node.op_type for node in before.graph.node] == ["If"]:
        inputs = {name: value for name, value in feed.items() if name != "_decide"}
        for branch in ("then_branch", "else_branch"):
            assert_within_steps(branch_of(before, branch), branch_of(after, branch), inputs)
        return
    outcome = judge(before, after, feed, Contract("quant", None))
    assert outcome.kind in ("same", "rounding"), outcome


def branch_of(model: onnx.ModelProto, branch: str) -> onnx.ModelProto:
    """One branch of a model that is a single If, as a model whose outputs have the names of that one's: what judges
    steps sees no further than the main graph."""
    opened = onnx.ModelProto()
    opened.CopyFrom(model)
    (node,) = model.graph.node
    opened.graph.CopyFrom(next(a.g for a in node.attribute if a.name == branch))
    opened.graph.input.extend(i for i in model.graph.input if i.name != "_decide")
    opened.graph.initializer.extend(model.graph.initializer)
    return opened


def _scale(values: np.ndarray) -> np.ndarray:
    if not values.size:
        return np.ones(())
    axes = tuple(i for i in range(values.ndim) if i != 1)
    return np.maximum(np.max(np.abs(values), axis=axes, keepdims=True), 0)


def assert_same_results(
    before: onnx.ModelProto, after: onnx.ModelProto, feeds: Iterable[Arrays], contract: str
) -> None:
    """Run both on every feed and compare by the contract of what happened in between."""
    if contract == "quant":
        for feed in feeds:
            assert_within_steps(before, after, feed)
        return
    reference = needs_reference(before)
    first, second = runner(before, reference=reference), runner(after, reference=reference)
    terms = terms_of(before)
    for feed in feeds:
        wanted, found = first(feed), second(feed)
        if contract == "exact":
            assert_equal(wanted, found)
        else:
            assert_close(wanted, found, terms)
