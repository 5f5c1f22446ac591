"""Opens the directories that bench/directories.ts wrote with `transformers`, adapters with `peft`, and compares logits: prints the largest
difference of each. Adapters are passed over where PEFT is not installed.

Stops with an error when a directory does not open, a tensor is missing or unexpected, or logits differ by more than 1e-4.
"""

import json
import sys
from pathlib import Path

import torch
import transformers

try:
    import peft
except ImportError:
    peft = None


def difference(entry):
    model = opened(entry.get('base') or entry['folder'])
    if 'base' in entry:
        model = peft.PeftModel.from_pretrained(model, entry['folder'])
    with torch.no_grad():
        logits = model.eval()(torch.tensor([entry['ids']])).logits[0]
    return float((logits.flatten() - torch.tensor(entry['logits'])).abs().max())


def opened(folder):
    model, info = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation='eager',
                                                                    output_loading_info=True)
    wrong = {key: value for key, value in info.items() if value and key in ('missing_keys', 'unexpected_keys', 'mismatched_keys')}
    assert not wrong, f'{folder}: {wrong}'
    return model


def main():
    folder = Path(sys.argv[1])
    for entry in json.loads((folder / 'directories.json').read_text()):
        if 'base' in entry and peft is None:
            continue
        worst = difference(entry)
        print(f"{Path(entry['folder']).name:20} differs by {worst:.1e}  (transformers {transformers.__version__})")
        assert worst <= 1e-4
    print('all equal')


if __name__ == '__main__':
    main()
