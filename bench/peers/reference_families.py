"""Logits of small models of every family by `transformers` -> fixtures/families.json, fixtures/deepseek.json, fixtures/qwen3_moe.json.

Choices:
1. The models are transformers' own classes in float32, eager attention, with the weights of `patterned.py` under their Hugging Face
   names; no weights are stored. Dimensions are tiny, features are not: grouped queries, heads wider than d / heads and of widths that
   are no multiple of 8, biases, rotary scaling and windows that bind within twelve positions.
2. A case is two rows of 12 and 7 tokens. Their logits are computed one row at a time; then in one batch padded on the right, in one
   padded on the left, and token by token over transformers' cache. The script stops when any of these differs by more than 2e-5, and
   stores the logits of the rows: one truth for every form.
3. `loss` is the mean next-token cross-entropy over both rows; `gradients` gives, for each parameter, the norm of its gradient and the
   gradient's product with the pattern named `probe.` + name. Computed in float64 but for norms and tables, as transformers does.
4. `config` is the config.json that transformers 5 writes, `older` the one that 4.57 would (given when it differs), `parameters` the
   number of parameters, tied ones counted once.
5. `greedy` continues the first five tokens of each row by the most likely ones; the script stops where two are nearly as likely.
6. Token 0 does not occur: it pads, and transformers leaves the padding row out of the embedding's gradient.
"""

import json
import sys

import numpy as np
import torch
import torch.nn.functional as F
import transformers

from fixture import tensor, write
from patterned import token_ids, uniform, weight

LENGTHS = (12, 7)
SHAPE = dict(vocab_size=24, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
             max_position_embeddings=32, initializer_range=0.02, pad_token_id=0, bos_token_id=1, eos_token_id=2)
LLAMA3 = dict(rope_type='llama3', factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0, original_max_position_embeddings=16)
YARN = dict(rope_type='yarn', factor=4.0, original_max_position_embeddings=8)

DEEPSEEK_YARN = dict(rope_type='yarn', factor=4.0, original_max_position_embeddings=8, beta_fast=32, beta_slow=1, mscale=0.707,
                     mscale_all_dim=1.0)
MLA = dict(num_hidden_layers=3, num_key_value_heads=4, kv_lora_rank=24, qk_nope_head_dim=16, qk_rope_head_dim=8, v_head_dim=12,
           moe_intermediate_size=16, rope_theta=10000.0, num_experts_per_tok=3)
V2 = dict(**MLA, n_routed_experts=8, n_shared_experts=2, first_k_dense_replace=1, norm_topk_prob=False)
V3 = dict(**MLA, n_routed_experts=8, n_shared_experts=1, first_k_dense_replace=1, norm_topk_prob=True, routed_scaling_factor=2.5,
          num_nextn_predict_layers=0)

QWEN_MOE = dict(head_dim=16, num_hidden_layers=3, moe_intermediate_size=16, num_experts=8, num_experts_per_tok=3, rope_theta=1000000.0)

CASES = {
    'llama-2': ('Llama', dict(rope_theta=10000.0)),
    'llama-3.2': ('Llama', dict(head_dim=16, rope_theta=500000.0, rope_scaling=LLAMA3, tie_word_embeddings=True)),
    'llama-biases': ('Llama', dict(head_dim=12, attention_bias=True, mlp_bias=True, rope_theta=10000.0)),
    'deepseek-coder': ('Llama', dict(rope_theta=100000.0, rope_scaling=dict(rope_type='linear', factor=4.0))),
    'qwen2.5': ('Qwen2', dict(rope_theta=1000000.0, tie_word_embeddings=True)),
    'qwen2.5-long': ('Qwen2', dict(rope_theta=10000.0, rope_scaling=YARN, use_sliding_window=True, sliding_window=5,
                                   max_window_layers=1)),
    'qwen3': ('Qwen3', dict(head_dim=16, rope_theta=1000000.0, tie_word_embeddings=True)),
    'qwen3-biases': ('Qwen3', dict(head_dim=20, attention_bias=True, num_key_value_heads=1, rope_theta=1000000.0)),
    'qwen3-moe': ('Qwen3Moe', dict(**QWEN_MOE, norm_topk_prob=True)),
    'qwen3-moe-mixed': ('Qwen3Moe', dict(**{**QWEN_MOE, 'num_hidden_layers': 4, 'moe_intermediate_size': 10}, norm_topk_prob=False,
                                         decoder_sparse_step=2, mlp_only_layers=[3], attention_bias=True, tie_word_embeddings=True)),
    'gemma-3': ('Gemma3', dict(num_hidden_layers=3, head_dim=16, num_key_value_heads=1, query_pre_attn_scalar=24, sliding_window=4,
                               sliding_window_pattern=3, rope_theta=1000000.0, rope_local_base_freq=10000.0)),
    'gemma-3-scaled': ('Gemma3', dict(num_hidden_layers=3, head_dim=10, query_pre_attn_scalar=10, sliding_window=3,
                                      sliding_window_pattern=2, rope_theta=1000000.0, rope_local_base_freq=5000.0,
                                      rope_scaling=dict(rope_type='linear', factor=8.0), final_logit_softcapping=3.0,
                                      attention_bias=True)),
    'deepseek-v2-lite': ('DeepseekV2', dict(**V2, q_lora_rank=None, n_group=1, topk_group=1, topk_method='greedy', rope_scaling=DEEPSEEK_YARN)),
    'deepseek-v2': ('DeepseekV2', dict(**V2, q_lora_rank=24, n_group=4, topk_group=2, topk_method='group_limited_greedy',
                                       routed_scaling_factor=16.0, attention_bias=True)),
    'deepseek-v3': ('DeepseekV3', dict(**V3, q_lora_rank=24, n_group=4, topk_group=2, rope_scaling=DEEPSEEK_YARN)),
    'deepseek-v3-uneven': ('DeepseekV3', dict(**{**V3, 'kv_lora_rank': 18, 'moe_intermediate_size': 10}, q_lora_rank=None, n_group=1, topk_group=1,
                                              rope_scaling=dict(rope_type='yarn', factor=4.0, original_max_position_embeddings=8))),
}


def build(family, options):
    suffix = 'TextConfig' if family == 'Gemma3' else 'Config'
    given = json.loads(json.dumps({**SHAPE, **options}))  # configs keep and change the dicts that they are given
    config = getattr(transformers, family + suffix)(**given, attn_implementation='eager', experts_implementation='eager')
    model = getattr(transformers, family + 'ForCausalLM')(config).eval()
    with torch.no_grad():
        for name, p in [*model.named_parameters(), *biases(model)]:
            for part, view in views(name, p):
                view.copy_(torch.tensor(weight(part, tuple(view.shape), family == 'Gemma3')))
    return model


def biases(model):
    return [(name, p) for name, p in model.named_buffers() if name.endswith('e_score_correction_bias')]


def views(name, tensor):
    """The tensors of Hugging Face's files that one parameter stands for: transformers holds all experts of a layer in two."""
    prefix, fused, kind = name.partition('.experts.')
    if not fused:
        return [(name, tensor)]
    names = ('gate_proj', 'up_proj') if kind == 'gate_up_proj' else ('down_proj',)
    return [(f'{prefix}.experts.{j}.{part}.weight', view) for j, expert in enumerate(tensor)
            for part, view in zip(names, expert.chunk(len(names)))]


@torch.no_grad()
def row_logits(model, ids):
    return model(torch.tensor([ids])).logits[0]


@torch.no_grad()
def padded_logits(model, rows, side):
    """Logits of each row from one batch padded on `side`."""
    longest = max(map(len, rows))
    pads = [longest - len(ids) for ids in rows]
    left = side == 'left'
    ids = [[0] * n * left + row + [0] * n * (not left) for row, n in zip(rows, pads)]
    mask = [[0] * n * left + [1] * len(row) + [0] * n * (not left) for row, n in zip(rows, pads)]
    mask = torch.tensor(mask)
    positions = (mask.cumsum(-1) - 1).clamp(min=0)
    logits = model(torch.tensor(ids), attention_mask=mask, position_ids=positions).logits
    return [logits[i, mask[i].bool()] for i in range(len(rows))]


@torch.no_grad()
def cached_logits(model, ids):
    """Logits token by token over a cache, after a prompt of three tokens."""
    cache = transformers.DynamicCache(config=model.config)
    parts = []
    for piece in [ids[:3], *([i] for i in ids[3:])]:
        parts.append(model(torch.tensor([piece]), cache=cache, use_cache=True).logits[0])
    return torch.cat(parts)


def loss_and_gradients(family, options, rows):
    model = build(family, options).double()
    losses = [F.cross_entropy(model(torch.tensor([ids])).logits[0, :-1], torch.tensor(ids[1:]), reduction='sum') for ids in rows]
    loss = sum(losses) / sum(len(ids) - 1 for ids in rows)
    loss.backward()
    grads = [pair for name, p in model.named_parameters() for pair in views(name, p.grad)]
    untouched = [(name, torch.zeros_like(b)) for name, b in biases(model)]
    return loss.item(), {name: summary(name, g.numpy().ravel()) for name, g in [*grads, *untouched]}


def summary(name, gradient):
    return [float(np.linalg.norm(gradient)), float(gradient @ uniform(f'probe.{name}', gradient.size))]


def greedy(model, ids, count=10):
    for _ in range(count):
        best = row_logits(model, ids)[-1].topk(2)
        assert best.values[0] - best.values[1] > 1e-4, 'two tokens are nearly as likely'
        ids = [*ids, int(best.indices[0])]
    return ids[-count:]


def check(name, what, got, expected):
    worst = max(float((a - b).abs().max()) for a, b in zip(got, expected))
    print(f'{name}: {what} differs by {worst:.1e}')
    assert worst <= 2e-5, f'{name}: {what} differs by {worst}'


def config_json(model):
    """What transformers writes, without what only says how it was written."""
    config = json.loads(model.config.to_json_string(use_diff=False))
    keep = set(json.loads(model.config.to_json_string())) | {'head_dim', 'hidden_act', 'num_key_value_heads'}
    return {k: v for k, v in config.items() if k in keep and not k.startswith('_') and k not in ('transformers_version', 'use_cache')}


def case(name, family, options):
    model = build(family, options)
    rows = [[1 + id for id in token_ids(f'{name}.{i}', n, SHAPE['vocab_size'] - 1)] for i, n in enumerate(LENGTHS)]
    logits = [row_logits(model, ids) for ids in rows]
    check(name, 'right padding', padded_logits(model, rows, 'right'), logits)
    check(name, 'left padding', padded_logits(model, rows, 'left'), logits)
    check(name, 'cache', [cached_logits(model, ids) for ids in rows], logits)
    prefix = {'Gemma3': 'gemma3_text', 'DeepseekV2': 'deepseek_v2', 'DeepseekV3': 'deepseek_v3', 'Qwen3Moe': 'qwen3_moe'}.get(family, family.lower())
    older = {'model_type': prefix, **SHAPE, **options}
    loss, gradients = loss_and_gradients(family, options, rows)
    return dict(name=name, loss=loss, gradients=gradients, config=config_json(model), older=older, parameters=model.num_parameters() + sum(b.numel() for _, b in biases(model)), ids=rows,
                greedy=[greedy(model, ids[:5]) for ids in rows],
                logits=[tensor(x) for x in logits])


def main():
    torch.manual_seed(0)
    for file in sys.argv[1:] or ('families.json', 'deepseek.json', 'qwen3_moe.json'):
        cases = [case(name, *rest) for name, rest in CASES.items() if file_of(name) == file]
        write(file, cases, max_bytes=100_000)


def file_of(name):
    sparse = {'deepseek-v': 'deepseek.json', 'qwen3-moe': 'qwen3_moe.json'}
    return next((file for prefix, file in sparse.items() if name.startswith(prefix)), 'families.json')


if __name__ == '__main__':
    main()
