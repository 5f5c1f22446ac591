"""Writes grids.ts: the vectors that codes of the IQ1 to IQ3 types stand for, as the gguf package has them.

Usage: python make_grids.py > grids.ts        (pip install gguf numpy)
"""

import base64

import numpy as np
from gguf import quants

print('/** Vectors of the IQ1 to IQ3 types, each element as the number of its level, two a byte, low first. Made by make_grids.py. */')
print('export const GRIDS = {')
for name in "IQ1_S IQ2_XXS IQ2_XS IQ2_S IQ3_XXS IQ3_S".split():
    kind = getattr(quants, name)
    kind.init_grid()
    levels = np.searchsorted(np.array(kind.grid_map, dtype=np.float32), kind.grid.reshape(-1)).astype(np.uint8)
    text = base64.b64encode((levels[0::2] | levels[1::2] << 4).astype(np.uint8).tobytes()).decode()
    print(f"  {name}:")
    lines = [text[i : i + 100] for i in range(0, len(text), 100)]
    print("\n".join(f"    {'+ ' if i else ''}'{line}'" for i, line in enumerate(lines)) + ",")
print('} as const;')
