"""Models under adapters by `peft` -> fixtures/lora.json, and one adapter as PEFT saves it -> fixtures/adapter/.

Choices:
1. Base models are those of `reference_families.py`; the adapters' two matrices have the values of `patterned.py` under the names that
   PEFT's files give them, so that neither is zero.
2. `loss` and `gradients` (norm, and product with a pattern) as in families.json, for the adapters alone: the base is frozen.
3. `merged` is the norm of one merged weight and its product with a pattern.
"""

import shutil

import numpy as np
import peft
import torch
import torch.nn.functional as F

from fixture import FIXTURES, tensor, write
from patterned import token_ids, uniform, weight
from reference_families import CASES, SHAPE, build

ADAPTERS = {
    'qwen3-biases': dict(r=2, lora_alpha=6, target_modules=['q_proj', 'v_proj', 'mlp.down_proj']),
    'gemma-3': dict(r=4, lora_alpha=3, target_modules='all-linear', use_rslora=True),
    'llama-3.2': dict(r=1, lora_alpha=1, target_modules=r'.*layers\.1\.self_attn\.[kvo]_proj'),
}


def adapted(name, options):
    model = peft.get_peft_model(build(*CASES[name]), peft.LoraConfig(**options, task_type='CAUSAL_LM'))
    with torch.no_grad():
        for key, p in adapters(model):
            p.copy_(torch.tensor(weight(key, tuple(p.shape), False)))
    return model.eval()


def adapters(model):
    """Trainable parameters under the names of PEFT's files."""
    return [(key.replace('.default.', '.'), p) for key, p in model.named_parameters() if p.requires_grad]


def summary(pattern, values):
    flat = values.detach().double().numpy().ravel()
    return [float(np.linalg.norm(flat)), float(flat @ uniform(f'probe.{pattern}', flat.size))]


def case(name, options):
    model = adapted(name, options)
    ids = [1 + i for i in token_ids(f'lora.{name}', 11, SHAPE['vocab_size'] - 1)]
    with torch.no_grad():
        logits = model(torch.tensor([ids])).logits[0]
    if name == 'qwen3-biases':
        folder = FIXTURES / 'adapter'
        shutil.rmtree(folder, ignore_errors=True)
        model.save_pretrained(folder)
        (folder / 'README.md').unlink()
    model.double()
    loss = F.cross_entropy(model(torch.tensor([ids])).logits[0, :-1], torch.tensor(ids[1:]))
    loss.backward()
    gradients = {key: summary(key, p.grad) for key, p in adapters(model)}
    module = adapters(model)[0][0].removeprefix('base_model.model.').removesuffix('.lora_A.weight')
    merged = dict(model.merge_and_unload().named_parameters())[f'{module}.weight']
    return dict(name=name, options=options, ids=ids, logits=tensor(logits), loss=loss.item(), gradients=gradients,
                merged=dict(name=f'{module}.weight', summary=summary(f'{module}.weight', merged)))


def main():
    write('lora.json', [case(*item) for item in ADAPTERS.items()], max_bytes=30_000)


if __name__ == '__main__':
    main()
