"""Directories as `transformers` saves them -> fixtures/directories/NAME and the logits of what is in them -> fixtures/directories.json.

Choices:
1. `qwen3-sharded`: bfloat16 in several files with an index, tied embeddings. `gemma3-vision`: float16, the text part of a model with a
   vision tower, whose tensors have other names and lie among the tower's.
2. Logits are computed in float32 from the weights as stored.
"""

import json
import shutil

import torch
import transformers

from fixture import FIXTURES, tensor, write
from patterned import token_ids, weight

FOLDER = FIXTURES / 'directories'
TEXT = dict(hidden_size=16, intermediate_size=24, num_hidden_layers=1, num_attention_heads=2, num_key_value_heads=1, head_dim=8,
            vocab_size=20, max_position_embeddings=32, pad_token_id=0, bos_token_id=1, eos_token_id=[2, 3])


def qwen3():
    return transformers.Qwen3ForCausalLM(transformers.Qwen3Config(**TEXT, tie_word_embeddings=True))


def gemma3():
    text = dict(TEXT, num_hidden_layers=2, sliding_window=4, sliding_window_pattern=2, query_pre_attn_scalar=8,
                rope_scaling=dict(rope_type='linear', factor=8.0))
    vision = dict(hidden_size=8, intermediate_size=8, num_hidden_layers=1, num_attention_heads=1, image_size=28, patch_size=14)
    config = transformers.Gemma3Config(text_config=text, vision_config=vision, mm_tokens_per_image=4, image_token_index=19)
    return transformers.Gemma3ForConditionalGeneration(config)


def save(name, model, dtype, shard_bytes):
    with torch.no_grad():
        for key, p in model.named_parameters():
            p.copy_(torch.tensor(weight(key, tuple(p.shape), name.startswith('gemma3'))))
    shutil.rmtree(FOLDER / name, ignore_errors=True)
    model.to(dtype).save_pretrained(FOLDER / name, max_shard_size=shard_bytes)
    for extra in ('generation_config.json', 'README.md'):
        (FOLDER / name / extra).unlink(missing_ok=True)
    model = type(model).from_pretrained(FOLDER / name, dtype=torch.float32)  # a cast back would leave rounded rotary frequencies
    ids = [1 + i for i in token_ids(name, 9, TEXT['vocab_size'] - 2)]  # neither padding nor the image token
    with torch.no_grad():
        logits = model(torch.tensor([ids])).logits[0]
    return dict(name=name, ids=ids, logits=tensor(logits))


def main():
    write('directories.json', [
        save('qwen3-sharded', qwen3(), torch.bfloat16, 2000),
        save('gemma3-vision', gemma3(), torch.float16, 1_000_000),
    ], max_bytes=10_000)
    sizes = {str(p.relative_to(FOLDER)): p.stat().st_size for p in sorted(FOLDER.rglob('*')) if p.is_file()}
    print(json.dumps(sizes, indent=1))


if __name__ == '__main__':
    main()
