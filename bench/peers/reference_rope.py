"""Rotary frequencies by `transformers` -> fixtures/rope.json: one case for each scheme and its variants.

Choices:
1. The settings are those of published models: Llama 2 and 3.2, DeepSeek Coder (linear), Qwen2.5 with YaRN, DeepSeek-V3 (YaRN with
   both mscales, over 64 rotated dimensions), gpt-oss (YaRN that does not truncate), Gemma 3 (linear).
2. `parameters` is the object as it stands in config.json.
"""

import transformers
from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS

from fixture import tensor, write

CASES = [
    ('llama-2', 128, 4096, dict(rope_type='default', rope_theta=10000.0)),
    ('llama-3.2', 64, 131072, dict(rope_type='llama3', rope_theta=500000.0, factor=32.0, low_freq_factor=1.0,
                                   high_freq_factor=4.0, original_max_position_embeddings=8192)),
    ('deepseek-coder', 128, 16384, dict(rope_type='linear', rope_theta=100000.0, factor=4.0)),
    ('gemma-3-4b', 256, 131072, dict(rope_type='linear', rope_theta=1000000.0, factor=8.0)),
    ('qwen2.5-yarn', 128, 131072, dict(rope_type='yarn', rope_theta=1000000.0, factor=4.0,
                                       original_max_position_embeddings=32768)),
    ('deepseek-v3', 64, 163840, dict(rope_type='yarn', rope_theta=10000.0, factor=40.0, beta_fast=32, beta_slow=1, mscale=1.0,
                                     mscale_all_dim=0.5, original_max_position_embeddings=4096)),
    ('gpt-oss', 64, 131072, dict(rope_type='yarn', rope_theta=150000.0, factor=32.0, beta_fast=32.0, beta_slow=1.0, truncate=False,
                                 original_max_position_embeddings=4096)),
    ('yarn-given-factor', 16, 64, dict(rope_type='yarn', rope_theta=10000.0, factor=2.0, attention_factor=1.25,
                                       original_max_position_embeddings=32)),
]


def frequencies(head_dim, positions, parameters):
    config = transformers.LlamaConfig(hidden_size=head_dim, num_attention_heads=1, head_dim=head_dim,
                                      max_position_embeddings=positions, rope_parameters=dict(parameters))
    if parameters['rope_type'] == 'default':
        rotary = transformers.models.llama.modeling_llama.LlamaRotaryEmbedding(config)
        return rotary.inv_freq, rotary.attention_scaling
    return ROPE_INIT_FUNCTIONS[parameters['rope_type']](config, None)


def main():
    cases = []
    for name, head_dim, positions, parameters in CASES:
        values, factor = frequencies(head_dim, positions, parameters)
        cases.append(dict(name=name, headDim=head_dim, maxPositions=positions, parameters=parameters, frequencies=tensor(values),
                          attentionFactor=float(factor)))
    write('rope.json', cases, max_bytes=20_000)


if __name__ == '__main__':
    main()
