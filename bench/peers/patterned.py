"""Weights and token ids that a program in any language can make again from their names, so that fixtures need not hold them.

Element i of tensor `name`: u = murmur3's finalizer of (FNV-1a of the name + i · 0x9E3779B9), all mod 2^32; v = (u >> 8) / 2^23 − 1, a float32
in [−1, 1). A matrix holds 0.375 v, a bias 0.25 v, a gain 1 + 0.3125 v, a gain stored as its distance from 1 (Gemma) 0.3125 v.
"""

import numpy as np

GOLDEN = 0x9E3779B9


def uniform(name, count):
    """float64 array of `count` float32 values in [-1, 1)."""
    return (bits(name, count) >> np.uint32(8)).astype(np.float64) / 2 ** 23 - 1


def bits(name, count):
    with np.errstate(over='ignore'):
        x = np.uint32(fnv1a(name)) + np.arange(count, dtype=np.uint32) * np.uint32(GOLDEN)
        x = (x ^ (x >> np.uint32(16))) * np.uint32(0x85EBCA6B)
        x = (x ^ (x >> np.uint32(13))) * np.uint32(0xC2B2AE35)
        return x ^ (x >> np.uint32(16))


def fnv1a(text):
    value = 0x811C9DC5
    for byte in text.encode():
        value = (value ^ byte) * 0x01000193 & 0xFFFFFFFF
    return value


def weight(name, dims, offset_gains):
    """The values of a parameter as float32."""
    v = uniform(name, int(np.prod(dims)))
    if name.endswith('norm.weight'):
        v = 0.3125 * v + (0 if offset_gains else 1)
    else:
        v = v * (0.25 if name.endswith('.bias') else 0.375)
    return v.astype(np.float32).reshape(dims)


def token_ids(name, count, vocab_size):
    return [int(x) for x in bits(name, count) % np.uint32(vocab_size)]
