"""Parameters of published models by `transformers` on the meta device -> fixtures/published.json.

Choices:
1. `config` is the published config.json without what does not change a shape. Nothing is downloaded: numbers alone.
2. The module tree is built without memory; tied tensors count once, DeepSeek's correction biases too. For Gemma 3 4B, whose config has a vision tower, the text part counts.
"""

import torch
import transformers

from fixture import write

LLAMA3 = dict(rope_type='llama3', factor=32.0, low_freq_factor=1.0, high_freq_factor=4.0, original_max_position_embeddings=8192)

MLA = dict(kv_lora_rank=512, qk_nope_head_dim=128, qk_rope_head_dim=64, v_head_dim=128, moe_layer_freq=1)
YARN = dict(rope_theta=10000, rope_scaling=dict(type='yarn', factor=40, original_max_position_embeddings=4096, beta_fast=32,
                                                beta_slow=1, mscale=0.707, mscale_all_dim=0.707))


def config(model_type, layers, width, heads, key_heads, feed_forward, vocabulary, positions, **others):
    return dict(model_type=model_type, num_hidden_layers=layers, hidden_size=width, num_attention_heads=heads,
                num_key_value_heads=key_heads, intermediate_size=feed_forward, vocab_size=vocabulary,
                max_position_embeddings=positions, **others)


MODELS = {
    'Llama-2-7b': config('llama', 32, 4096, 32, 32, 11008, 32000, 4096),
    'Llama-3.1-8B': config('llama', 32, 4096, 32, 8, 14336, 128256, 131072, rope_theta=500000.0,
                           rope_scaling=dict(LLAMA3, factor=8.0)),
    'Llama-3.2-1B': config('llama', 16, 2048, 32, 8, 8192, 128256, 131072, head_dim=64, tie_word_embeddings=True,
                           rope_theta=500000.0, rope_scaling=LLAMA3),
    'deepseek-llm-7b-base': config('llama', 30, 4096, 32, 32, 11008, 102400, 4096),
    'deepseek-llm-67b-base': config('llama', 95, 8192, 64, 8, 22016, 102400, 4096),
    'deepseek-coder-1.3b-base': config('llama', 24, 2048, 16, 16, 5504, 32256, 16384, rope_theta=100000,
                                       rope_scaling=dict(type='linear', factor=4.0)),
    'deepseek-coder-33b-base': config('llama', 62, 7168, 56, 8, 19200, 32256, 16384, rope_theta=100000,
                                      rope_scaling=dict(type='linear', factor=4.0)),
    'Qwen2.5-0.5B': config('qwen2', 24, 896, 14, 2, 4864, 151936, 32768, tie_word_embeddings=True, use_sliding_window=False),
    'DeepSeek-R1-Distill-Qwen-1.5B': config('qwen2', 28, 1536, 12, 2, 8960, 151936, 131072, use_sliding_window=False),
    'Qwen3-0.6B': config('qwen3', 28, 1024, 16, 8, 3072, 151936, 40960, head_dim=128, tie_word_embeddings=True,
                         use_sliding_window=False),
    'Qwen3-8B': config('qwen3', 36, 4096, 32, 8, 12288, 151936, 40960, head_dim=128, use_sliding_window=False),
    'Qwen3-30B-A3B': config('qwen3_moe', 48, 2048, 32, 4, 6144, 151936, 40960, head_dim=128, num_experts=128, num_experts_per_tok=8,
                            moe_intermediate_size=768, norm_topk_prob=True, decoder_sparse_step=1, mlp_only_layers=[],
                            use_sliding_window=False),
    'Qwen3-235B-A22B': config('qwen3_moe', 94, 4096, 64, 4, 12288, 151936, 40960, head_dim=128, num_experts=128, num_experts_per_tok=8,
                              moe_intermediate_size=1536, norm_topk_prob=True, decoder_sparse_step=1, mlp_only_layers=[],
                              use_sliding_window=False),
    'gemma-3-270m': config('gemma3_text', 18, 640, 4, 1, 2048, 262144, 32768, head_dim=256, sliding_window=512),
    'gemma-3-1b': config('gemma3_text', 26, 1152, 4, 1, 6912, 262144, 32768, head_dim=256, sliding_window=512),
    'gemma-3-4b': dict(model_type='gemma3', text_config=dict(
        model_type='gemma3_text', hidden_size=2560, intermediate_size=10240, num_hidden_layers=34, sliding_window=1024,
        rope_scaling=dict(rope_type='linear', factor=8.0))),
    'DeepSeek-V2-Lite': config('deepseek_v2', 27, 2048, 16, 16, 10944, 102400, 163840, **MLA, **YARN, q_lora_rank=None,
                               moe_intermediate_size=1408, n_routed_experts=64, n_shared_experts=2, num_experts_per_tok=6,
                               n_group=1, topk_group=1, topk_method='greedy', routed_scaling_factor=1.0,
                               norm_topk_prob=False, first_k_dense_replace=1),
    'DeepSeek-V2': config('deepseek_v2', 60, 5120, 128, 128, 12288, 102400, 163840, **MLA, **YARN, q_lora_rank=1536,
                          moe_intermediate_size=1536, n_routed_experts=160, n_shared_experts=2, num_experts_per_tok=6,
                          n_group=8, topk_group=3, topk_method='group_limited_greedy', routed_scaling_factor=16.0,
                          norm_topk_prob=False, first_k_dense_replace=1),
    'DeepSeek-V3': config('deepseek_v3', 61, 7168, 128, 128, 18432, 129280, 163840, **MLA, **{**YARN, 'rope_scaling': {**YARN['rope_scaling'], 'mscale': 1.0, 'mscale_all_dim': 1.0}},
                          q_lora_rank=1536, moe_intermediate_size=2048, n_routed_experts=256, n_shared_experts=1, num_experts_per_tok=8,
                          n_group=8, topk_group=4, topk_method='noaux_tc', routed_scaling_factor=2.5, norm_topk_prob=True,
                          scoring_func='sigmoid', first_k_dense_replace=3, num_nextn_predict_layers=1),
}


def count(settings):
    settings = settings.get('text_config', settings)
    made = transformers.AutoConfig.for_model(**{k: dict(v) if isinstance(v, dict) else v for k, v in settings.items()})
    with torch.device('meta'):
        model = transformers.AutoModelForCausalLM.from_config(made)
    biases = sum(b.numel() for name, b in model.named_buffers() if name.endswith('e_score_correction_bias'))
    return model.num_parameters() + biases


def main():
    models = [dict(name=name, config=settings, parameters=count(settings)) for name, settings in MODELS.items()]
    for model in models:
        print(f"{model['name']:32} {model['parameters']:>16,}")
    write('published.json', models, max_bytes=10_000)


if __name__ == '__main__':
    main()
