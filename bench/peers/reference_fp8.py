"""Matrices in scaled 8-bit floats as DeepSeek-V3's files have them, and what they stand for -> fixtures/fp8.json.

Choices:
1. Quantized and turned back as DeepSeek-V3's inference/kernel.py says: blocks of 128 x 128, scale = max |w| / 448, w = e4m3 * scale.
2. The file is made by `safetensors`; one matrix has blocks that are cut on both sides, one is smaller than a block.
"""

import base64

import torch
from safetensors.torch import save

from fixture import write

BLOCK = 128


def blocks(rows, columns):
    for r in range(0, rows, BLOCK):
        for c in range(0, columns, BLOCK):
            yield slice(r, r + BLOCK), slice(c, c + BLOCK)


def quantized(w):
    rows, columns = w.shape
    codes = torch.empty(rows, columns, dtype=torch.float8_e4m3fn)
    scales = torch.empty(-(-rows // BLOCK), -(-columns // BLOCK))
    for i, (r, c) in enumerate(blocks(rows, columns)):
        scale = w[r, c].abs().max() / 448
        scales.view(-1)[i] = scale
        codes[r, c] = (w[r, c] / scale).to(torch.float8_e4m3fn)
    return codes, scales


def dequantized(codes, scales):
    out = torch.empty(codes.shape)
    for i, (r, c) in enumerate(blocks(*codes.shape)):
        out[r, c] = codes[r, c].to(torch.float32) * scales.view(-1)[i]
    return out


def text(data):
    return base64.b64encode(data).decode()


def main():
    torch.manual_seed(1)
    tensors, values = {}, {}
    for name, shape in [('a.weight', (131, 12)), ('b.weight', (3, 260))]:
        codes, scales = quantized(torch.randn(*shape) * torch.rand(shape[0], 1))
        tensors[name] = codes
        tensors[f'{name}_scale_inv'] = scales
        values[name] = dict(dims=list(shape), values=text(dequantized(codes, scales).numpy().tobytes()))
    tensors['n.weight'] = torch.randn(5)
    values['n.weight'] = dict(dims=[5], values=text(tensors['n.weight'].numpy().tobytes()))
    write('fp8.json', [dict(file=text(save(tensors)), tensors=values)], max_bytes=40_000)


if __name__ == '__main__':
    main()
