"""Multiply-accumulates of hand-made graphs, each number worked out by hand."""

from __future__ import annotations

import numpy as np
import onnx
import onnx.parser
import pytest

from graphopt.graph.accounting import Account, account
from graphopt.graph.load import from_proto


def counted(text: str, weights: dict[str, tuple[int, ...]] | None = None, **sizes: int) -> Account:
    proto = onnx.parser.parse_model(text)
    for name, shape in (weights or {}).items():
        proto.graph.initializer.append(onnx.numpy_helper.from_array(np.zeros(shape, np.float32), name))
    return account(from_proto(proto), sizes=sizes)


def one_node(inputs: str, node: str, weights: dict[str, tuple[int, ...]] | None = None, opset: int = 17) -> Account:
    return counted(f'<ir_version: 8, opset_import: ["" : {opset}]> g ({inputs}) => (y) {{ {node} }}', weights)


@pytest.mark.parametrize(
    ("inputs", "node", "weights", "macs"),
    [
        # OC 8 * OH 6 * OW 6 * KH 3 * KW 3 * IC 3
        ("float[1,3,8,8] x", "y = Conv(x, w)", {"w": (8, 3, 3, 3)}, 8 * 6 * 6 * 3 * 3 * 3),
        # a batch of 2, pads that keep the size, stride 2: OH = OW = 4
        ("float[2,3,8,8] x", "y = Conv<pads=[1,1,1,1], strides=[2,2]>(x, w)", {"w": (8, 3, 3, 3)}, 2 * 8 * 16 * 27),
        # grouped: each of 8 outputs sees 4 / 2 inputs
        ("float[1,4,8,8] x", "y = Conv<group=2>(x, w)", {"w": (8, 2, 3, 3)}, 8 * 36 * 9 * 2),
        # depthwise
        ("float[1,4,8,8] x", "y = Conv<group=4>(x, w)", {"w": (4, 1, 3, 3)}, 4 * 36 * 9),
        # dilated: the kernel spans 5, OH = OW = 4, still 9 products each
        ("float[1,3,8,8] x", "y = Conv<dilations=[2,2]>(x, w)", {"w": (8, 3, 3, 3)}, 8 * 16 * 27),
        # one and three spatial dims
        ("float[1,3,10] x", "y = Conv(x, w)", {"w": (5, 3, 4)}, 5 * 7 * 4 * 3),
        ("float[1,2,4,4,4] x", "y = Conv(x, w)", {"w": (3, 2, 2, 2, 2)}, 3 * 27 * 8 * 2),
        # the bias costs nothing
        ("float[1,3,8,8] x", "y = Conv(x, w, b)", {"w": (8, 3, 3, 3), "b": (8,)}, 8 * 36 * 27),
        # transposed: each of IC 4 * 5 * 5 inputs meets 6 kernels of 3 * 3, whatever the stride
        ("float[1,4,5,5] x", "y = ConvTranspose<strides=[2,2]>(x, w)", {"w": (4, 6, 3, 3)}, 4 * 25 * 6 * 9),
        ("float[1,4,5,5] x", "y = ConvTranspose<group=2>(x, w)", {"w": (4, 3, 3, 3)}, 4 * 25 * 3 * 9),
        # M 5, K 7, N 11, plain and with either side transposed
        ("float[5,7] a, float[7,11] b", "y = Gemm(a, b)", None, 5 * 7 * 11),
        ("float[7,5] a, float[7,11] b", "y = Gemm<transA=1>(a, b)", None, 5 * 7 * 11),
        ("float[5,7] a, float[11,7] b", "y = Gemm<transB=1>(a, b)", None, 5 * 7 * 11),
        ("float[7,5] a, float[11,7] b", "y = Gemm<transA=1, transB=1>(a, b)", None, 5 * 7 * 11),
        # numpy's matmul: batches broadcast, vectors are a row or a column
        ("float[5,7] a, float[7,11] b", "y = MatMul(a, b)", None, 5 * 7 * 11),
        ("float[2,3,5,7] a, float[2,3,7,11] b", "y = MatMul(a, b)", None, 6 * 5 * 7 * 11),
        ("float[2,1,5,7] a, float[3,7,11] b", "y = MatMul(a, b)", None, 6 * 5 * 7 * 11),
        ("float[7] a, float[7,11] b", "y = MatMul(a, b)", None, 7 * 11),
        ("float[3,5,7] a, float[7] b", "y = MatMul(a, b)", None, 3 * 5 * 7),
        ("float[7] a, float[7] b", "y = MatMul(a, b)", None, 7),
        ("float[0,7] a, float[7,11] b", "y = MatMul(a, b)", None, 0),
        ("uint8[5,7] a, uint8[7,11] b", "y = MatMulInteger(a, b)", None, 5 * 7 * 11),
        ("uint8[1,3,8,8] x, uint8[8,3,3,3] w", "y = ConvInteger(x, w)", None, 8 * 36 * 27),
        (
            "uint8[1,3,8,8] x, float s, uint8 z, uint8[8,3,3,3] w",
            "y = QLinearConv(x, s, z, w, s, z, s, z)",
            None,
            8 * 36 * 27,
        ),
        ("uint8[5,7] a, float s, uint8 z, uint8[7,11] b", "y = QLinearMatMul(a, s, z, b, s, z, s, z)", None, 385),
        # 6 steps of a batch of 2: W [1, gates*4, 3] and R [1, gates*4, 4]
        ("float[6,2,3] x", "y = RNN<hidden_size=4>(x, w, r)", {"w": (1, 4, 3), "r": (1, 4, 4)}, 12 * (12 + 16)),
        ("float[6,2,3] x", "y = GRU<hidden_size=4>(x, w, r)", {"w": (1, 12, 3), "r": (1, 12, 4)}, 12 * 3 * (12 + 16)),
        ("float[6,2,3] x", "y = LSTM<hidden_size=4>(x, w, r)", {"w": (1, 16, 3), "r": (1, 16, 4)}, 12 * 4 * (12 + 16)),
        (
            "float[6,2,3] x",
            'y = LSTM<hidden_size=4, direction="bidirectional">(x, w, r)',
            {"w": (2, 16, 3), "r": (2, 16, 4)},
            2 * 12 * 4 * (12 + 16),
        ),
        # Einsum: all labels of both operands
        ("float[5,7] a, float[7,11] b", 'y = Einsum<equation="ij,jk->ik">(a, b)', None, 5 * 7 * 11),
        ("float[5,7] a, float[7,11] b", 'y = Einsum<equation="ij,jk">(a, b)', None, 5 * 7 * 11),
        ("float[2,5,7] a, float[2,7,11] b", 'y = Einsum<equation="bij,bjk->bik">(a, b)', None, 2 * 5 * 7 * 11),
        ("float[2,1,5,7] a, float[2,3,7,11] b", 'y = Einsum<equation="...ij,...jk->...ik">(a, b)', None, 6 * 385),
        # three operands, left to right: i*j*k, then (j gone) i*k*l
        ("float[2,3] a, float[3,5] b, float[5,7] c", 'y = Einsum<equation="ij,jk,kl->il">(a, b, c)', None, 30 + 70),
        ("float[5,7] a", 'y = Einsum<equation="ij->ji">(a)', None, 0),
        # elementwise work, pooling and normalization count nothing
        ("float[1,3,8,8] x", "y = MaxPool<kernel_shape=[3,3]>(x)", None, 0),
        ("float[1,3,8,8] x", "y = Relu(x)", None, 0),
    ],
)
def test_macs_of_one_node(inputs: str, node: str, weights: dict[str, tuple[int, ...]] | None, macs: int) -> None:
    found = one_node(inputs, node, weights)
    assert (found.macs, found.macs_unknown) == (macs, ())


@pytest.mark.parametrize(
    ("inputs", "node", "macs"),
    [
        # batch 2, 4 heads, 5 queries, 6 keys, head size 8, value head size 3
        ("float[2,4,5,8] q, float[2,4,6,8] k, float[2,4,6,3] v", "y = Attention(q, k, v)", 2 * 4 * 5 * 6 * (8 + 3)),
        (
            "float[2,5,32] q, float[2,6,16] k, float[2,6,6] v",
            "y = Attention<q_num_heads=4, kv_num_heads=2>(q, k, v)",
            2 * 4 * 5 * 6 * (8 + 3),
        ),
        # 7 more keys from the past
        (
            "float[2,4,5,8] q, float[2,4,6,8] k, float[2,4,6,3] v, float[2,4,7,8] p, float[2,4,7,3] u",
            "y, pk, pv = Attention(q, k, v, , p, u)",
            2 * 4 * 5 * 13 * (8 + 3),
        ),
    ],
)
def test_macs_of_attention(inputs: str, node: str, macs: int) -> None:
    assert one_node(inputs, node, opset=23).macs == macs


def test_macs_by_operator_add_up() -> None:
    found = counted(
        """<ir_version: 8, opset_import: ["" : 17]>
        g (float[1,3,8,8] x, float[6,5] b) => (y, z) {
            c = Conv(x, w)
            y = Relu(c)
            z = MatMul(y, b)
        }""",
        {"w": (8, 3, 3, 3)},
    )
    assert found.macs_by_operator == {"Conv": 7776, "MatMul": 8 * 6 * 6 * 5}
    assert found.macs == 7776 + 1440


DYNAMIC = """<ir_version: 8, opset_import: ["" : 17]>
g (float[batch,3,8,8] x, float[batch,?] v) => (y) { y = Conv(x, w) }"""


def test_a_dynamic_dim_counts_as_one_unless_told() -> None:
    assert counted(DYNAMIC, {"w": (8, 3, 3, 3)}).macs == 7776
    assert counted(DYNAMIC, {"w": (8, 3, 3, 3)}, batch=5).macs == 5 * 7776


def test_what_dynamic_dims_were_assumed_is_said() -> None:
    found = counted(DYNAMIC, {"w": (8, 3, 3, 3)}, batch=5)
    assert found.macs_assume == {"batch": 5, "v[1]": 1}
    assert found.dynamic_dims == ("batch", "v[1]")


def test_a_kernel_that_finds_no_room_is_unknown_not_negative() -> None:
    text = '<ir_version: 8, opset_import: ["" : 17]> g (float[1,3,h,8] x) => (y) { [conv] y = Conv(x, w) }'
    assert (counted(text, {"w": (8, 3, 3, 3)}).macs, counted(text, {"w": (8, 3, 3, 3)}).macs_unknown) == (
        0,
        ("Conv conv",),
    )
    assert counted(text, {"w": (8, 3, 3, 3)}, h=8).macs == 7776


def test_shapes_behind_a_computed_reshape_are_known() -> None:
    """The target of the Reshape is computed from a shape through operators that onnx's propagation does not follow."""
    found = counted(
        """<ir_version: 8, opset_import: ["" : 17]>
        g (float[batch,4,6] x, float[3,5] b) => (y) {
            s = Shape(x)
            f = Cast<to=1>(s)
            half = Constant<value = float[3] {1.0, 2.0, 0.5}>()
            h = Mul(f, half)
            t = Cast<to=7>(h)
            r = Reshape(x, t)
            y = MatMul(r, b)
        }""",
        batch=2,
    )
    assert (found.macs, found.macs_unknown) == (2 * 8 * 3 * 5, ())


def test_a_data_dependent_shape_leaves_the_node_uncounted() -> None:
    found = counted(
        """<ir_version: 8, opset_import: ["" : 17]>
        g (float[4,6] x, float[6,5] b) => (y, z) {
            n = NonZero(x)
            f = Cast<to=1>(n)
            t = Transpose(f)
            [heavy] y = MatMul(f, t)
            z = MatMul(x, b)
        }"""
    )
    assert (found.macs, found.macs_unknown) == (4 * 6 * 5, ("MatMul heavy",))


def test_an_unnamed_node_is_named_by_its_output() -> None:
    found = counted(
        """<ir_version: 8, opset_import: ["" : 17, "com.example" : 1]>
        g (float[4,6] x) => (y) { y = com.example.Mystery(x) }"""
    )
    assert found.macs_unknown == ("Mystery(y)",)


LOOP = """<ir_version: 8, opset_import: ["" : 17]>
g (float[5,7] a, float[7,7] b, bool c%s) => (y) {
    %s
    [loop] y = Loop(trips, c, a) <body = body (int64 i, bool on, float[5,7] s) => (bool go, float[5,7] t) {
        go = Identity(on)
        t = MatMul(s, b)
    }>
}"""


def test_a_loop_counts_once_for_each_trip() -> None:
    found = counted(LOOP % ("", "trips = Constant<value = int64 {9}>()"))
    assert (found.macs, found.macs_assume) == (9 * 5 * 7 * 7, {})


@pytest.mark.parametrize("limit", [2**31 - 1, 2**63 - 1])
def test_a_loop_until_a_condition_counts_once(limit: int) -> None:
    found = counted(LOOP % ("", f"trips = Constant<value = int64 {{{limit}}}>()"))
    assert (found.macs, found.macs_assume) == (5 * 7 * 7, {"trips of loop": 1})


def test_a_loop_of_unknown_trips_counts_once() -> None:
    found = counted(LOOP % (", int64 trips", ""))
    assert (found.macs, found.macs_assume) == (5 * 7 * 7, {"trips of loop": 1})


def test_a_scan_counts_once_for_each_step() -> None:
    found = counted(
        """<ir_version: 8, opset_import: ["" : 17]>
        g (float[1,7] h, float[6,1,7] x, float[7,7] w) => (last, all) {
            last, all = Scan(h, x) <num_scan_inputs = 1, body = body (float[1,7] s, float[1,7] e) =>
                (float[1,7] t, float[1,7] o) {
                m = MatMul(s, w)
                t = Add(m, e)
                o = Identity(t)
            }>
        }"""
    )
    assert (found.macs, found.macs_assume) == (6 * 49, {})


def test_an_if_counts_as_its_costlier_branch() -> None:
    found = counted(
        """<ir_version: 8, opset_import: ["" : 17]>
        g (bool c, float[5,7] a, float[7,11] b) => (y) {
            y = If(c) <
                then_branch = t () => (float[5,11] p) { p = MatMul(a, b) },
                else_branch = e () => (float[5,11] q) { m = MatMul(a, b) n = MatMul(m, w) q = Relu(n) }
            >
        }""",
        {"w": (11, 11)},
    )
    assert found.macs_by_operator == {"MatMul": 5 * 7 * 11 + 5 * 11 * 11}


def test_a_function_that_multiplies_is_unknown_and_another_is_free() -> None:
    found = counted(
        """<ir_version: 8, opset_import: ["" : 17, "local" : 1]>
        g (float[5,7] a, float[7,11] b) => (y) {
            [call] m = local.outer(a, b)
            y = local.soft(m)
        }
        <domain: "local", opset_import: ["" : 17, "local" : 1]>
        outer (x, w) => (z) { z = local.inner(x, w) }
        <domain: "local", opset_import: ["" : 17]>
        inner (x, w) => (z) { z = MatMul(x, w) }
        <domain: "local", opset_import: ["" : 17]>
        soft (x) => (z) { z = Softplus(x) }
        """
    )
    assert (found.macs, found.macs_unknown) == (0, ("local::outer call",))
    assert found.functions == ("local::outer", "local::inner", "local::soft")


def test_attributes_that_make_no_sense_are_unknown_not_a_crash() -> None:
    found = counted(
        """<ir_version: 8, opset_import: ["" : 17, "com.microsoft" : 1]>
        g (float[5,7] a, uint8[4,1,4] b, float[4] s) => (y, z) {
            [good] y = com.microsoft.MatMulNBits<K=7, N=4>(a, b, s)
            [bad] z = com.microsoft.MatMulNBits<K=7, N="many">(a, b, s)
        }"""
    )
    assert (found.macs, found.macs_unknown) == (5 * 7 * 4, ("com.microsoft::MatMulNBits bad",))
