"""What the reference scripts share: seeded inputs, float32 rounding, compact JSON.

Choices:
1. Inputs are float32 values with at most four decimals; references are computed from exactly these values in float64
   and rounded once, to float32, when written.
2. The values of one tensor are spread over an even grid with jitter, in random order: no two are close, so that maxima,
   sorts and the like have no ties.
3. A number is written as the shortest decimal that reads back as the same float32.
"""

import json
from pathlib import Path

import numpy as np
import torch

FIXTURES = Path(__file__).parent / 'fixtures'


def spread(rng, dims, low=-2.0, high=2.0, decimals=4):
    """float64 array of float32 values, one in each cell of an even grid over [low, high], shuffled."""
    n = int(np.prod(dims))
    cell = rng.permutation(n) + 0.5 + rng.uniform(-0.25, 0.25, n)
    return exact(np.round(low + (high - low) * cell / n, decimals)).reshape(dims)


def exact(values):
    """The nearest float32 values, held in float64."""
    return np.asarray(values, np.float64).astype(np.float32).astype(np.float64)


def number(value):
    """Shortest decimal of a float32; integers without a point."""
    text = str(np.float32(value))
    text = text[:-2] if text.endswith('.0') else text
    return '0' if text == '-0' else text.replace('e+', 'e').replace('e-0', 'e-')


def tensor(value):
    """{dtype, dims, data} of a torch tensor or numpy array; float64 becomes float32, bool becomes 0 and 1."""
    array = value.detach().numpy() if isinstance(value, torch.Tensor) else np.asarray(value)
    dtype = 'float32' if array.dtype.kind == 'f' else array.dtype.name
    return {'dtype': dtype, 'dims': list(array.shape), 'data': Numbers(array)}


class Numbers:
    """A flat array on its way to JSON; floats are rounded to float32."""

    def __init__(self, array):
        array = np.asarray(array.detach() if isinstance(array, torch.Tensor) else array)
        if array.dtype.kind == 'f' and not np.isfinite(array).all():
            raise ValueError('a fixture holds finite numbers only')
        write = number if array.dtype.kind == 'f' else lambda v: str(int(v))
        self.text = '[' + ','.join(write(v) for v in array.ravel()) + ']'


def dumps(value):
    """JSON without spaces; `Numbers` keep their own spelling."""
    if isinstance(value, Numbers):
        return value.text
    if isinstance(value, dict):
        return '{' + ','.join(f'{json.dumps(k)}:{dumps(v)}' for k, v in value.items()) + '}'
    if isinstance(value, (list, tuple)):
        return '[' + ','.join(dumps(v) for v in value) + ']'
    return number(value) if isinstance(value, float) else json.dumps(value)


def write(name, value, max_bytes):
    """Writes fixtures/<name>: one top-level element a line, so that a change shows in a diff."""
    if isinstance(value, list):
        text = '[\n' + ',\n'.join(dumps(v) for v in value) + '\n]\n'
    else:
        text = '{\n' + ',\n'.join(f'{json.dumps(k)}:{dumps(v)}' for k, v in value.items()) + '\n}\n'
    if len(text) > max_bytes:
        raise ValueError(f'{name}: {len(text)} bytes, more than {max_bytes}')
    json.loads(text)
    FIXTURES.mkdir(exist_ok=True)
    (FIXTURES / name).write_text(text)
    print(f'{name}: {len(text)} bytes')
