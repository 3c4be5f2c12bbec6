"""Matrix products, convolutions, and normalizations with weights."""

from __future__ import annotations

from graphopt.verify.choices import Impossible
from graphopt.verify.draft import Dims
from graphopt.verify.samplers import axis_of, sampler
from graphopt.verify.site import Site


@sampler("MatMul", "MatMulInteger")
def matmul(site: Site) -> None:
    """Products of any rank, vectors included; leading dims broadcast."""
    a = site.shape(0)
    b = site.shape(1)
    if a is None and b is None:
        a = site.any_shape(0, (1, 2, 2, 2, 3, 4))
    if a is None:
        assert b is not None
        inner = b[-2] if len(b) > 1 else (b[0] if b else 1)
        lead = _leading(site, b[:-2])
        site.settle(0, site.random.choice([[site.size(), inner], [*lead, site.size(), inner]]))
    elif b is None:
        inner = a[-1] if a else 1
        lead = _leading(site, a[:-2])
        options = [[inner, site.size()], [inner, site.size()], [*lead, inner, site.size()], [inner]]
        site.settle(1, site.random.choice(options))


def _leading(site: Site, dims: Dims) -> list[int]:
    return [1 if site.random.random() < 0.3 else d for d in dims]


@sampler("Gemm")
def gemm(site: Site) -> None:
    """Transposed or not; the bias may be a scalar, a row, a column, or of the whole shape."""
    left = int(site.attribute("transA", lambda: site.random.choice((0, 1))))
    right = int(site.attribute("transB", lambda: site.random.choice((0, 1))))
    site.attribute("alpha")
    site.attribute("beta")
    b = site.shape(1)
    inner = (b[1] if right else b[0]) if b is not None and len(b) == 2 else site.size()
    a = site.settle(0, [inner, site.size()] if left else [site.size(), inner])
    inner = (a[0] if left else a[1]) if len(a) == 2 else inner
    b = site.settle(1, [site.size(), inner] if right else [inner, site.size()])
    if site.is_open(2) and len(a) == len(b) == 2:
        m, n = a[1] if left else a[0], b[0] if right else b[1]
        site.settle(2, site.random.choice([[n], [n], [1, n], [m, n], [m, 1], [1], [1, 1], []]))
    if len(site.shape(2) or ()) > 2:  # shape inference does not see to that, and no runtime takes it
        raise Impossible("a bias of more than two axes")


@sampler("Conv", "ConvInteger", "FusedConv", "QLinearConv")
def convolution(site: Site) -> None:
    """1 to 3 spatial axes, groups, strides, dilations, pads of all kinds."""
    weight_at = 3 if site.node.op_type == "QLinearConv" else 1
    w = site.shape(weight_at)
    x = site.shape(0)
    rank = _shared_rank(site, weight_at, (3, 4, 4, 4, 5))
    spatial = max(rank - 2, 0)
    if x is None and site.is_open(0):
        channels = w[1] * site.random.choice((1, 1, 2)) if w is not None and len(w) > 1 else site.random.randint(1, 6)
        x = site.settle(0, [site.random.choice((1, 1, 2)), channels, *[site.random.randint(3, 7)] * spatial])
    if x is None or len(x) < 3:
        return
    divisors = [g for g in range(1, x[1] + 1) if x[1] % g == 0] or [1]
    if w is not None and len(w) > 1 and w[1]:
        divisors = [x[1] // w[1]] if x[1] % w[1] == 0 else [1]
    group = int(site.attribute("group", lambda: site.random.choice([1, *divisors])) or 1)
    if site.is_open(weight_at):
        kernel = [site.random.choice((1, 1, 2, 3)) for _ in range(len(x) - 2)]
        w = site.settle(weight_at, [group * site.random.randint(1, 4), x[1] // max(group, 1), *kernel])
    _refuse_no_channels(x, w)
    _refuse_misfits(x, w, group)
    _window(site, len(x) - 2, list(w[2:]) if w is not None else [])
    if site.node.op_type != "QLinearConv" and w is not None:
        site.demand(2, w[:1])


def _shared_rank(site: Site, other: int, options: tuple[int, ...]) -> int:
    """A rank that both the first input and another one may have."""
    ranks = site.ranks(0, options)
    return site.random.choice([r for r in ranks if r in site.ranks(other, options)] or ranks)


def _refuse_no_channels(x: Dims, w: Dims | None) -> None:
    """ONNX Runtime 1.31 never comes back from a convolution of no channels."""
    if 0 in x[1:2] or 0 in (w or ()):
        raise Impossible("a convolution of no channels")


def _refuse_misfits(x: Dims, w: Dims | None, group: int) -> None:
    """What shape inference does not see to, and no runtime takes."""
    if w is not None and (len(w) != len(x) or x[1] != w[1] * group or w[0] % max(group, 1)):
        raise Impossible("channels that do not fit")


def _window(site: Site, spatial: int, kernel: list[int]) -> None:
    """The attributes of a window: pads only where auto_pad leaves them to us."""
    random = site.random
    if (site.attribute("kernel_shape", lambda: tuple(kernel)) or tuple(kernel)) != tuple(kernel):
        raise Impossible("a kernel of another shape than its weight")
    how = site.attribute("auto_pad")
    site.attribute("strides", lambda: tuple(random.choice((1, 1, 2)) for _ in range(spatial)))
    dilated = how in (None, "NOTSET", "VALID")
    site.attribute("dilations", lambda: tuple(random.choice((1, 1, 2) if dilated else (1,)) for _ in range(spatial)))
    smallest = min(kernel, default=1)
    padded = how in (None, "NOTSET")
    most = max(smallest - 1, 0) if site.node.op_type.endswith("Pool") else 2
    if padded:
        site.attribute("pads", lambda: tuple(random.randint(0, most) for _ in range(2 * spatial)))
    else:
        site.leave_out("pads")  # ONNX Runtime takes either


@sampler("ConvTranspose")
def transposed_convolution(site: Site) -> None:
    """The weight is [input channels, output channels / group, ...]."""
    x, w = site.shape(0), site.shape(1)
    rank = _shared_rank(site, 1, (3, 4, 4, 5))
    if site.is_open(0):
        channels = w[0] if w is not None and w else site.random.randint(1, 6)
        x = site.settle(0, [site.random.choice((1, 2)), channels, *[site.random.randint(2, 5)] * (rank - 2)])
    if x is None or len(x) < 3:
        return
    divisors = [g for g in range(1, x[1] + 1) if x[1] % g == 0] or [1]
    group = int(site.attribute("group", lambda: site.random.choice([1, *divisors])) or 1)
    kernel = [site.random.choice((1, 2, 3)) for _ in range(len(x) - 2)]
    w = site.settle(1, [x[1], site.random.randint(1, 4), *kernel])
    _refuse_no_channels(x, w)
    if w[:1] != x[1:2] or len(w) != len(x):
        raise Impossible("channels that do not fit")
    spatial = len(x) - 2
    site.attribute("output_shape", lambda: None)
    _window(site, spatial, list(w[2:]))
    strides = site.attribute("strides") or (1,) * spatial
    site.attribute("output_padding", lambda: tuple(site.random.randint(0, max(s - 1, 0)) for s in strides))
    site.demand(2, (w[1] * group,))


@sampler("MaxPool", "AveragePool", "LpPool")
def pool(site: Site) -> None:
    shape = site.any_shape(0, (3, 4, 4))
    spatial = len(shape) - 2
    kernel = site.attribute("kernel_shape", lambda: tuple(site.random.choice((1, 2, 3)) for _ in range(spatial)))
    _window(site, spatial, list(kernel or ()))
    site.attribute("storage_order", lambda: 0)


@sampler("GlobalAveragePool", "GlobalMaxPool", "GlobalLpPool")
def global_pool(site: Site) -> None:
    site.any_shape(0, (3, 4, 5))


@sampler("BatchNormalization")
def batch_normalization(site: Site) -> None:
    """Channels are axis 1; a variance is not negative."""
    shape = site.any_shape(0, (2, 3, 4, 4))
    channels = shape[1] if len(shape) > 1 else 1
    site.attribute("training_mode", lambda: 0)
    site.attribute("spatial", lambda: 1)
    for index in (1, 2, 3, 4):
        site.demand(index, (channels,))
    site.style(4, "variance")


@sampler("InstanceNormalization")
def instance_normalization(site: Site) -> None:
    shape = site.any_shape(0, (3, 4))
    if 0 in shape:
        raise Impossible("ONNX Runtime dies of an InstanceNormalization of nothing")
    for index in (1, 2):
        site.demand(index, (shape[1],) if len(shape) > 1 else ())


@sampler("GroupNormalization")
def group_normalization(site: Site) -> None:
    shape = site.any_shape(0, (3, 4))
    channels = shape[1] if len(shape) > 1 else 1
    divisors = [g for g in range(1, channels + 1) if channels % g == 0] or [1]
    groups = int(site.attribute("num_groups", lambda: site.random.choice(divisors)) or 1)
    for index in (1, 2):
        site.settle(index, (channels if site.opset >= 21 else groups,))


@sampler("LayerNormalization", "RMSNormalization", "SimplifiedLayerNormalization", "SkipLayerNormalization")
def layer_normalization(site: Site) -> None:
    """Scale and bias broadcast to the axes that are normalized."""
    shape = site.any_shape(0, (1, 2, 3, 3, 4))
    axis = axis_of(site, len(shape)) if site.node.version is not None else len(shape) - 1
    if site.node.op_type == "SkipLayerNormalization":
        site.settle(1, shape)
    for index in range(1, len(site.node.inputs)):
        if site.is_open(index):
            site.settle(index, shape[axis:])
    site.attribute("stash_type", lambda: 1)


@sampler("Einsum")
def einsum(site: Site) -> None:
    """Equations of one and two operands."""
    count = sum(1 for i in range(len(site.node.inputs)) if site.has(i))
    texts = {1: ("ij->ji", "ij->i", "ijk->jk"), 2: ("ij,jk->ik", "bij,bjk->bik", "bhid,bhjd->bhij", "i,j->ij")}
    text = site.attribute("equation", lambda: site.random.choice(texts.get(count, ("i->i",))))
    sizes: dict[str, int] = {}
    terms = str(text or "").replace(" ", "").split("->")[0].split(",")
    for index, term in enumerate(terms):
        for letter, size in zip(term, site.shape(index) or (), strict=False):
            sizes.setdefault(letter, size)
    for index, term in enumerate(terms):
        if site.is_open(index):
            site.settle(index, [sizes.setdefault(letter, site.size()) for letter in term if letter.isalpha()])
