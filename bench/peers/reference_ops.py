"""Gradients of ONNX ops by PyTorch -> fixtures/gradients.json; the schema of the file is in README.md.

Choices:
1. A case is an ONNX op (name, attributes and input order as in the opset it names) beside the PyTorch expression that means the
   same. PyTorch computes the output and the gradient of sum(output * cotangent) in float64, from float32 inputs.
2. Inputs stay away from kinks and ties; `--check` verifies that by finite differences, and runs every case as a one-node
   model on ONNX Runtime, so that each expression is known to be the op.
3. Each case has its own seed (op name and count), so adding one changes no other.
4. Integer inputs have no gradient; neither have inputs marked as constants (bounds of Clip, rotary caches): null.
5. An attribute of kind float never has an integer value here, for JSON could not tell it from an int.
"""

import argparse
import zlib
from collections import Counter
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F

from fixture import Numbers, exact, spread, tensor, write

MICROSOFT = 'com.microsoft'
seen, cases = Counter(), []


@dataclass
class Random:
    """A seeded float32 input; `constant` inputs get no gradient."""

    dims: tuple
    low: float = -2.0
    high: float = 2.0
    constant: bool = False

    def make(self, rng):
        return torch.tensor(spread(rng, self.dims, self.low, self.high), requires_grad=not self.constant)


@dataclass
class Fixed:
    """An input given in full."""

    values: object
    dtype: str = 'int64'

    def make(self, _):
        array = exact(self.values) if self.dtype == 'float32' else np.array(self.values, self.dtype)
        return torch.tensor(array)


def f(*dims, low=-2.0, high=2.0, constant=False):
    return Random(dims, low, high, constant)


def positive(*dims):
    return Random(dims, 0.3, 2.5)


def ints(*values, dtype='int64'):
    return Fixed(list(values), dtype)


def case(op, function, *inputs, opset=21, domain='', differentiate=None, **attributes):
    """Adds a case; `function` takes the tensors, returns one output or several (None: absent);
    `differentiate` lists the outputs that get a cotangent, by default every float one."""
    name = f'{domain}.{op}' if domain else op
    seen[name] += 1
    rng = np.random.default_rng(zlib.crc32(f'{name}/{seen[name]}'.encode()))
    made = [i.make(rng) if i else None for i in inputs]
    outputs = function(*made)
    outputs = list(outputs) if isinstance(outputs, (tuple, list)) else [outputs]
    cotangents = [
        torch.tensor(spread(rng, tuple(o.shape), -1, 1, decimals=3))
        if o is not None and o.is_floating_point() and (differentiate is None or i in differentiate)
        else None
        for i, o in enumerate(outputs)
    ]
    cases.append(dict(op=op, domain=domain, opset=opset, attributes=attributes, function=function, inputs=made,
                      outputs=outputs, cotangents=cotangents, gradients=gradients(made, outputs, cotangents)))


def objective(outputs, cotangents):
    """sum(output * cotangent) over every output that has one."""
    return sum((o * c).sum() for o, c in zip(outputs, cotangents) if c is not None)


def gradients(inputs, outputs, cotangents):
    leaves = [i for i in inputs if i is not None and i.requires_grad]
    found = iter(torch.autograd.grad(objective(outputs, cotangents), leaves, allow_unused=True))
    zero = lambda i, g: torch.zeros_like(i) if g is None else g
    return [zero(i, next(found)) if i is not None and i.requires_grad else None for i in inputs]


def as_json(c):
    return dict(
        op=c['op'], domain=c['domain'], opset=c['opset'], attributes=c['attributes'],
        inputs=[None if i is None else tensor(i) for i in c['inputs']],
        outputs=[None if o is None else tensor(o) for o in c['outputs']],
        cotangents=[None if t is None else Numbers(t) for t in c['cotangents']],
        inputGradients=[None if g is None else Numbers(g) for g in c['gradients']],
        torchVersion=torch.__version__,
    )


# --- elementwise -----------------------------------------------------------------------------------------------------


def elementwise():
    smooth = dict(Neg=torch.neg, Exp=torch.exp, Sin=torch.sin, Cos=torch.cos, Tanh=torch.tanh, Sigmoid=torch.sigmoid,
                  Erf=torch.erf, Softplus=F.softplus, Identity=lambda x: x * 1.0, HardSwish=F.hardswish)
    kinked = dict(Abs=torch.abs, Relu=torch.relu, Sign=torch.sign, Floor=torch.floor, Ceil=torch.ceil, Round=torch.round)
    for op, function in {**smooth, **kinked}.items():
        case(op, function, f(2, 4, low=-2.2, high=2.2))
    for op, function in dict(Log=torch.log, Sqrt=torch.sqrt, Reciprocal=torch.reciprocal).items():
        case(op, function, positive(2, 4))
    case('Reciprocal', torch.reciprocal, f(2, 4, low=-2.5, high=-0.3))
    case('LeakyRelu', lambda x: F.leaky_relu(x, 0.2), f(2, 4), alpha=0.2)
    case('Elu', lambda x: F.elu(x, 0.7), f(2, 4), alpha=0.7)
    case('HardSigmoid', lambda x: (0.25 * x + 0.55).clamp(0, 1), f(2, 4, low=-3.1, high=3.1), alpha=0.25, beta=0.55)
    case('Gelu', F.gelu, f(2, 6, low=-3, high=3))
    case('Gelu', lambda x: F.gelu(x, approximate='tanh'), f(2, 6, low=-3, high=3), approximate='tanh')
    case('Gelu', F.gelu, f(2, 4), domain=MICROSOFT)
    case('FastGelu', lambda x, b: F.gelu(x + b, approximate='tanh'), f(2, 4), f(4, low=-1, high=1), domain=MICROSOFT)
    case('BiasGelu', lambda x, b: F.gelu(x + b), f(2, 4), f(4, low=-1, high=1), domain=MICROSOFT)
    case('QuickGelu', lambda x: x * torch.sigmoid(1.702 * x), f(2, 4), domain=MICROSOFT, alpha=1.702)
    case('Swish', F.silu, f(2, 6, low=-4, high=4), opset=24)
    case('Swish', lambda x: x * torch.sigmoid(1.3 * x), f(2, 4), opset=24, alpha=1.3)
    low, high = Fixed(-1.1, 'float32'), Fixed(0.9, 'float32')
    case('Clip', torch.clamp, f(3, 4), low, high)
    case('Clip', lambda x, lo: torch.clamp(x, lo), f(2, 4), low)
    case('Clip', lambda x, _, hi: torch.clamp(x, max=hi), f(2, 4), None, high)


def binary():
    for op, function in dict(Add=torch.add, Sub=torch.sub, Mul=torch.mul).items():
        case(op, function, f(2, 3), f(2, 3))
        case(op, function, f(2, 1, 3), f(4, 1))
    case('Div', torch.div, f(2, 3), positive(2, 3))
    case('Div', torch.div, f(2, 1, 3), positive(4, 1))
    case('Mul', torch.mul, f(2, 3), f())
    case('Pow', torch.pow, positive(2, 3), f(2, 3))
    case('Pow', torch.pow, positive(2, 1, 3), f(2, 1))
    case('Pow', torch.pow, f(2, 4), Fixed(3))
    case('Pow', lambda x, e: x.pow(2), f(2, 4), Fixed(2.0, 'float32'))
    case('Mod', torch.fmod, f(2, 4, low=-5, high=5), f(4, low=1.4, high=1.9), fmod=1)
    case('PRelu', lambda x, s: torch.where(x > 0, x, x * s), f(2, 4), f(4, low=0.1, high=0.9))
    case('Min', torch.minimum, f(2, 4), f(2, 4))
    case('Max', torch.maximum, f(2, 4), f(4))
    case('Max', lambda a, b, c: torch.maximum(torch.maximum(a, b), c), f(2, 3), f(2, 3), f(3))
    case('Sum', lambda a, b, c: a + b + c, f(2, 3), f(3), f(2, 1))
    case('Mean', lambda a, b, c: (a + b + c) / 3, f(2, 3), f(3), f(2, 1))
    mask = Fixed([[True, False, True], [False, False, True]], 'bool')
    case('Where', torch.where, mask, f(2, 3), f(2, 3))
    case('Where', torch.where, mask, f(3), f(4, 1, 1))


def products():
    for a, b in [((3, 4), (4, 2)), ((2, 3, 4), (4, 2)), ((2, 1, 2, 3), (3, 3, 2)), ((4,), (4, 3)), ((2, 3, 4), (4,))]:
        case('MatMul', torch.matmul, f(*a), f(*b))
    case('Gemm', lambda a, b: a @ b, f(3, 4), f(4, 2))
    gemm = lambda a, b, c: 0.5 * a.T @ b.T + 1.5 * c
    case('Gemm', gemm, f(4, 3), f(2, 4), f(2), alpha=0.5, beta=1.5, transA=1, transB=1)
    case('Gemm', lambda a, b, c: a @ b.T + c, f(3, 4), f(2, 4), f(3, 1), transB=1)
    case('FusedMatMul', lambda a, b: 0.5 * a @ b.mT, f(2, 3, 4), f(2, 2, 4), domain=MICROSOFT, alpha=0.5, transB=1)
    case('FusedMatMul', lambda a, b: 0.25 * a.mT @ b, f(2, 4, 3), f(2, 4, 2), domain=MICROSOFT, alpha=0.25, transA=1)
    case('Einsum', lambda a, b: torch.einsum('bij,bkj->bik', a, b), f(2, 2, 3), f(2, 3, 3), equation='bij,bkj->bik')


# --- reductions and normalization ------------------------------------------------------------------------------------


def reductions():
    plain = dict(ReduceSum=torch.sum, ReduceMean=torch.mean, ReduceMax=torch.amax, ReduceMin=torch.amin,
                 ReduceL1=lambda x, d, keepdim: x.abs().sum(d, keepdim=keepdim),
                 ReduceL2=lambda x, d, keepdim: x.square().sum(d, keepdim=keepdim).sqrt(),
                 ReduceSumSquare=lambda x, d, keepdim: x.square().sum(d, keepdim=keepdim),
                 ReduceLogSumExp=torch.logsumexp)
    for op, reduce in plain.items():
        case(op, lambda x, _, r=reduce: r(x, (1,), keepdim=True), f(2, 4), ints(1))
        case(op, lambda x, _, r=reduce: r(x, (0, 2), keepdim=False), f(2, 3, 2), ints(0, -1), keepdims=0)
        case(op, lambda x, r=reduce: r(x, (0, 1), keepdim=True), f(2, 4))
    case('ReduceProd', lambda x, _: x.prod(1, keepdim=True), f(3, 4), ints(1))
    case('ReduceSum', lambda x, _: x * 1.0, f(2, 3), ints(), noop_with_empty_axes=1)
    case('CumSum', lambda x, _: x.cumsum(1), f(2, 4), Fixed(1))
    case('CumSum', lambda x, _: x.cumsum(0) - x, f(4, 2), Fixed(0), exclusive=1)
    case('CumSum', lambda x, _: x.flip(1).cumsum(1).flip(1), f(2, 4), Fixed(-1), reverse=1)
    both = lambda x, _: x.flip(1).cumsum(1).flip(1) - x
    case('CumSum', both, f(2, 4), Fixed(1), exclusive=1, reverse=1)
    case('TopK', lambda x, _: tuple(x.topk(2, -1)), f(2, 5), ints(2))
    case('TopK', lambda x, _: tuple(x.topk(2, 0, largest=False)), f(4, 3), ints(2), axis=0, largest=0)


def simplified(x, scale, epsilon=1e-5):
    return F.rms_norm(x, scale.shape, scale, epsilon)


def normalization():
    for op, function in dict(Softmax=torch.softmax, LogSoftmax=torch.log_softmax).items():
        case(op, lambda x, g=function: g(x, -1), f(2, 6))
        case(op, lambda x, g=function: g(x, 1), f(2, 3, 2), axis=1)
    layer = lambda x, w, b: F.layer_norm(x, w.shape, w, b, 1e-5)
    case('LayerNormalization', layer, f(2, 3, 4), positive(4), f(4))
    case('LayerNormalization', layer, f(2, 2, 4), positive(2, 4), f(2, 4), axis=1)
    case('LayerNormalization', lambda x, w: F.layer_norm(x, w.shape, w, None, 1e-3), f(3, 4), positive(4), epsilon=1e-3)
    case('RMSNormalization', simplified, f(2, 3, 4), positive(4), opset=23, epsilon=1e-5)
    case('RMSNormalization', simplified, f(2, 2, 4), positive(2, 4), opset=23, axis=1, epsilon=1e-5)
    case('SimplifiedLayerNormalization', simplified, f(2, 3, 4), positive(4), axis=-1, epsilon=1e-5)
    skip = lambda x, s, w: (simplified(x + s, w), None, None, x + s)
    case('SkipSimplifiedLayerNormalization', skip, f(1, 3, 4), f(1, 3, 4), positive(4), domain=MICROSOFT, epsilon=1e-5)
    skip = lambda x, s, w, b: (F.layer_norm(x + s, w.shape, w, b, 1e-5), None, None, x + s)
    case('SkipLayerNormalization', skip, f(1, 3, 4), f(1, 3, 4), positive(4), f(4), domain=MICROSOFT, epsilon=1e-5)


def losses():
    targets, ignored = ints(1, 4, 0, 3), ints(2, -100, 0, 4)
    case('SoftmaxCrossEntropyLoss', lambda x, t: F.cross_entropy(x, t), f(4, 5), targets)
    case('SoftmaxCrossEntropyLoss', lambda x, t: F.cross_entropy(x, t), f(4, 5), ignored, ignore_index=-100)
    case('SoftmaxCrossEntropyLoss', lambda x, t: F.cross_entropy(x, t, reduction='sum'), f(4, 5), ignored,
         ignore_index=-100, reduction='sum')
    case('SoftmaxCrossEntropyLoss', lambda x, t: F.cross_entropy(x, t, reduction='none'), f(4, 5), targets,
         reduction='none')
    weights = Fixed([0.5, 1.5, 0.25, 2, 0.75], 'float32')
    case('SoftmaxCrossEntropyLoss', lambda x, t, w: F.cross_entropy(x, t, w), f(4, 5), targets, weights)
    positions = Fixed([[1, 0, -1], [2, 3, 0]])
    case('SoftmaxCrossEntropyLoss', lambda x, t: F.cross_entropy(x, t, ignore_index=-1), f(2, 4, 3), positions,
         ignore_index=-1)
    pair = lambda x, t: (F.cross_entropy(x, t), torch.log_softmax(x, 1))
    case('SoftmaxCrossEntropyLoss', pair, f(4, 5), targets)


# --- shape, movement, indexing ---------------------------------------------------------------------------------------


def movement():
    case('Reshape', lambda x, _: x.reshape(2, 6), f(2, 3, 2), ints(0, -1))
    case('Flatten', lambda x: x.reshape(2, 6), f(2, 3, 2))
    case('Squeeze', lambda x, _: x.squeeze(1), f(2, 1, 3), ints(1))
    case('Unsqueeze', lambda x, _: x[:, None, :, None], f(2, 3), ints(1, 3))
    case('Transpose', lambda x: x.permute(2, 0, 1), f(2, 3, 2), perm=[2, 0, 1])
    case('Transpose', lambda x: x.permute(2, 1, 0), f(2, 3, 2))
    case('Expand', lambda x, _: x.expand(2, 3, 4), f(3, 1), ints(2, 1, 4))
    case('Tile', lambda x, _: x.tile(2, 3), f(2, 2), ints(2, 3))
    case('Concat', lambda *x: torch.cat(x, 1), f(2, 1), f(2, 3), f(2, 2), axis=1)
    case('Concat', lambda *x: torch.cat(x, -2), f(2, 1, 2), f(2, 2, 2), axis=-2)
    case('Split', lambda x, _: x.split([1, 3, 2], 1), f(2, 6), ints(1, 3, 2), axis=1)
    case('Split', lambda x: x.split(2, 0), f(5, 2), num_outputs=3)
    case('Slice', lambda x, *_: x[1:3, 0:2], f(4, 3), ints(1, 0), ints(3, 2))
    case('Slice', lambda x, *_: x[:, 1:6:2], f(2, 7), ints(1), ints(6), ints(1), ints(2))
    backwards = lambda x, *_: x.flip(1)[:, 1::2]
    case('Slice', backwards, f(2, 6), ints(-2), ints(-100), ints(-1), ints(-2))
    case('Pad', lambda x, *_: F.pad(x, (2, 1, 1, 0), value=0.5), f(2, 3), ints(1, 2, 0, 1), Fixed(0.5, 'float32'))
    case('Pad', lambda x, *_: F.pad(x, (1, 2)), f(2, 3), ints(1, 2), None, ints(-1))
    case('Pad', lambda x, *_: F.pad(x, (-1, 2)), f(2, 4), ints(0, -1, 0, 2))
    case('Pad', lambda x, *_: F.pad(x, (2, 1), mode='reflect'), f(2, 4), ints(0, 2, 0, 1), mode='reflect')
    case('Pad', lambda x, *_: F.pad(x[None], (2, 1), mode='replicate')[0], f(2, 3), ints(0, 2, 0, 1), mode='edge')
    case('Trilu', lambda x: x.triu(), f(3, 4))
    case('Trilu', lambda x, _: x.tril(-1), f(2, 3, 3), Fixed(-1), upper=0)
    case('Trilu', lambda x, _: x.triu(1), f(4, 3), Fixed(1))
    one_hot = lambda _, __, v: v[0] + (v[1] - v[0]) * F.one_hot(torch.tensor([0, 2, 1]), 3)
    case('OneHot', one_hot, ints(0, 2, 1), Fixed(3), f(2))


def indexing():
    case('Gather', lambda x, i: x[i], f(4, 3), ints(2, 0, 2))
    case('Gather', lambda x, i: x[:, i], f(2, 4), Fixed([[0, -1], [3, 3]]), axis=1)
    case('Gather', lambda x, i: x[i], f(4, 2), Fixed(-3, 'int32'))
    at = Fixed([[0, 2, 2], [1, 0, 1]])
    case('GatherElements', lambda x, i: x.gather(1, i), f(2, 3), at, axis=1)
    case('GatherElements', lambda x, i: x.gather(0, i % 3), f(3, 3), Fixed([[0, -1, 2], [1, 0, 1]]))
    case('GatherND', lambda x, i: x[i[:, 0], i[:, 1]], f(2, 3, 2), Fixed([[0, 1], [1, 0], [0, 1]]))
    case('GatherND', lambda x, i: x[torch.arange(2), i[:, 0]], f(2, 3, 2), Fixed([[1], [0]]), batch_dims=1)
    put = lambda x, i, u: x.scatter(1, i, u)
    case('ScatterElements', put, f(2, 4), Fixed([[0, 2], [3, 1]]), f(2, 2), axis=1)
    add = lambda x, i, u: x.scatter_add(0, i, u)
    case('ScatterElements', add, f(3, 3), Fixed([[0, 2, 2], [0, 0, 2]]), f(2, 3), axis=0, reduction='add')
    case('ScatterND', lambda x, i, u: x.index_put((i[:, 0],), u), f(4, 3), Fixed([[2], [0]]), f(2, 3))
    rows = lambda x, i, u: x.index_put((i[:, 0],), u, accumulate=True)
    case('ScatterND', rows, f(4, 3), Fixed([[1], [3], [1]]), f(3, 3), reduction='add')
    cells = lambda x, i, u: x.index_put((i[:, 0], i[:, 1]), u, accumulate=True)
    case('ScatterND', cells, f(3, 3), Fixed([[0, 1], [2, 2], [0, 1]]), f(3), reduction='add')


# --- attention -------------------------------------------------------------------------------------------------------


def heads(x_BTC, count):
    return x_BTC.unflatten(-1, (count, -1)).transpose(1, 2)


def merged(x_BHTD):
    return x_BHTD.transpose(1, 2).flatten(-2)


def attend(q, k, v, mask=None, causal=False, **options):
    grouped = q.shape[1] != k.shape[1]
    return F.scaled_dot_product_attention(q, k, v, mask, is_causal=causal, enable_gqa=grouped, **options)


def softcapped(q, k, v, cap):
    scores = cap * torch.tanh(q @ k.mT / q.shape[-1] ** 0.5 / cap)
    return torch.softmax(scores, -1) @ v


def rotate(x, cos, sin, interleaved=False):
    """x [..., T, D]; cos and sin [..., T, R/2]; channels from R on stay."""
    r = 2 * cos.shape[-1]
    part, rest = x[..., :r], x[..., r:]
    a, b = (part[..., ::2], part[..., 1::2]) if interleaved else part.chunk(2, -1)
    c, d = a * cos - b * sin, b * cos + a * sin
    return torch.cat((torch.stack((c, d), -1).flatten(-2) if interleaved else torch.cat((c, d), -1), rest), -1)


def rope_caches(positions, rotary):
    """cos and sin of position * 10000^(-2i/rotary), each [positions, rotary/2], as constants."""
    angle = np.outer(np.arange(positions), 10000.0 ** (-np.arange(0, rotary, 2) / rotary))
    return Fixed(np.cos(angle), 'float32'), Fixed(np.sin(angle), 'float32')


def attention():
    causal = lambda q, k, v: attend(q, k, v, causal=True)
    case('Attention', causal, f(1, 2, 3, 4), f(1, 2, 3, 4), f(1, 2, 3, 4), opset=23, is_causal=1)
    case('Attention', causal, f(2, 4, 3, 2), f(2, 2, 3, 2), f(2, 2, 3, 2), opset=23, is_causal=1)
    packed = lambda q, k, v: merged(attend(heads(q, 4), heads(k, 2), heads(v, 2), causal=True))
    case('Attention', packed, f(1, 3, 8), f(1, 3, 4), f(1, 3, 4), opset=23, is_causal=1, q_num_heads=4, kv_num_heads=2)
    wide = lambda q, k, v: attend(q, k, v, scale=0.3)
    case('Attention', wide, f(1, 2, 2, 4), f(1, 2, 3, 4), f(1, 2, 3, 2), opset=23, scale=0.3)
    case('Attention', attend, f(1, 2, 2, 2), f(1, 2, 3, 2), f(1, 2, 3, 2), f(2, 3), opset=23)
    keep = Fixed([[True, False, True], [True, True, False]], 'bool')
    case('Attention', attend, f(1, 2, 2, 2), f(1, 2, 3, 2), f(1, 2, 3, 2), keep, opset=23)
    capped = lambda q, k, v: softcapped(q, k, v, 1.5)
    case('Attention', capped, f(1, 2, 2, 2), f(1, 2, 3, 2), f(1, 2, 3, 2), opset=23, softcap=1.5)


def grouped(q, k, v, *_):
    k, v = heads(k, 2), heads(v, 2)
    return merged(attend(heads(q, 4), k, v, causal=True)), k * 1.0, v * 1.0


def fused_attention():
    lengths = ints(2, dtype='int32'), Fixed(3, 'int32')
    case('GroupQueryAttention', grouped, f(1, 3, 32), f(1, 3, 16), f(1, 3, 16), None, None, *lengths,
         domain=MICROSOFT, differentiate=[0], num_heads=4, kv_num_heads=2)
    multi = lambda q, k, v: merged(attend(heads(q, 2), heads(k, 2), heads(v, 2)))
    case('MultiHeadAttention', multi, f(1, 2, 4), f(1, 3, 4), f(1, 3, 4), domain=MICROSOFT, num_heads=2)


def rotary():
    positions = Fixed([[0, 1, 2], [1, 3, 4]])
    cached = lambda x, c, s, p, **o: rotate(x, c[p][:, None], s[p][:, None], **o)
    case('RotaryEmbedding', cached, f(2, 2, 3, 4), *rope_caches(5, 4), positions, opset=23)
    flat = lambda x, c, s, p: merged(cached(heads(x, 2), c, s, p))
    case('RotaryEmbedding', flat, f(2, 3, 8), *rope_caches(5, 4), positions, opset=23, num_heads=2)
    pairs = lambda x, c, s, p: cached(x, c, s, p, interleaved=True)
    case('RotaryEmbedding', pairs, f(2, 1, 3, 4), *rope_caches(5, 4), positions, opset=23, interleaved=1)
    case('RotaryEmbedding', cached, f(2, 1, 3, 6), *rope_caches(5, 4), positions, opset=23, rotary_embedding_dim=4)
    case('RotaryEmbedding', lambda x, p, c, s: flat(x, c, s, p), f(2, 3, 8), positions, *rope_caches(5, 4),
         domain=MICROSOFT, num_heads=2)


def quantization():
    levels = Fixed([[-7, 3, 0], [5, -2, 8]], 'int8')
    whole = lambda q, s, z: (q.double() - z) * s
    case('DequantizeLinear', whole, levels, positive(), Fixed(2, 'int8'))
    per_row = lambda q, s: q.double() * s[:, None]
    case('DequantizeLinear', per_row, levels, positive(2), axis=0)


# --- checking --------------------------------------------------------------------------------------------------------


def finite_difference_error(c, step=1e-4):
    """Largest difference from central differences over every element, in units of max(1, |gradient|)."""
    worst = 0.0
    for i, (x, g) in enumerate(zip(c['inputs'], c['gradients'])):
        for j in range(x.numel() if g is not None else 0):
            sides = []
            for sign in (1, -1):
                moved = x.detach().clone()
                moved.view(-1)[j] += sign * step
                out = c['function'](*[moved if k == i else v for k, v in enumerate(c['inputs'])])
                out = out if isinstance(out, (tuple, list)) else [out]
                sides.append(objective(out, c['cotangents']).item())
            exact_value = g.reshape(-1)[j].item()
            worst = max(worst, abs((sides[0] - sides[1]) / (2 * step) - exact_value) / max(1, abs(exact_value)))
    return worst


def as_runtime_array(x):
    array = x.detach().numpy()
    return array.astype(np.float32) if array.dtype == np.float64 else array


def runtime_error(c):
    """Largest difference between ONNX Runtime's outputs and PyTorch's; the case becomes a model of one node."""
    from onnx import helper, numpy_helper
    import onnxruntime

    inputs = {f'x{i}': as_runtime_array(x) for i, x in enumerate(c['inputs']) if x is not None}
    names = [f'x{i}' if x is not None else '' for i, x in enumerate(c['inputs'])]
    outs = [f'y{i}' if y is not None else '' for i, y in enumerate(c['outputs'])]
    node = helper.make_node(c['op'], names, outs, domain=c['domain'], **c['attributes'])
    info = lambda n, a: helper.make_tensor_value_info(n, helper.np_dtype_to_tensor_dtype(a.dtype), a.shape)
    expected = {n: as_runtime_array(y) for n, y in zip(outs, c['outputs']) if n}
    graph = helper.make_graph([node], 'case', [], [info(n, a) for n, a in expected.items()],
                              [numpy_helper.from_array(a, n) for n, a in inputs.items()])
    opsets = [helper.make_opsetid('', c['opset']), helper.make_opsetid(MICROSOFT, 1)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=10)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=['CPUExecutionProvider'])
    errors = []
    for got, want in zip(session.run(list(expected), {}), expected.values()):
        if got.shape != want.shape:
            raise ValueError(f'shape {got.shape}, not {want.shape}')
        errors.append(np.abs(got.astype(np.float64) - want).max(initial=0))
    return max(errors)


def check():
    failures = 0
    for number, c in enumerate(cases):
        try:
            forward = runtime_error(c)
        except Exception as error:  # every case is tried, and what ONNX Runtime says is shown
            forward = f'{type(error).__name__}: {str(error)[:300]}'
        backward = finite_difference_error(c)
        if isinstance(forward, str) or forward > 2e-5 or backward > 1e-5:
            failures += 1
            print(f'case {number} {c["domain"]} {c["op"]} {c["attributes"]}: forward {forward}, gradient {backward}')
    print(f'{len(cases) - failures} of {len(cases)} cases agree with ONNX Runtime and with finite differences')
    return failures


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--check', action='store_true', help='compare with ONNX Runtime and finite differences')
    arguments = parser.parse_args()
    for group in (elementwise, binary, products, reductions, normalization, losses, movement, indexing, attention,
                  fused_attention, rotary, quantization):
        group()
    write('gradients.json', [as_json(c) for c in cases], max_bytes=250_000)
    if arguments.check and check():
        raise SystemExit(1)


if __name__ == '__main__':
    main()
