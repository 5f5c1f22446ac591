"""A tiny random Llama by `transformers` -> fixtures/llama_tiny.json: weights, logits, loss and four gradients.

Choices:
1. The model is LlamaForCausalLM itself, eager attention, in float64, except where transformers itself goes through float32
   (norms and rotary tables), which leaves 2e-6 in the logits. Weights are float32 values of four decimals, so that the file
   is small and float32 programs start from the same numbers.
2. Weights are large enough (norms away from 1, matrices about 0.2) for attention to be far from uniform.
3. `loss` is the mean next-token cross-entropy over positions 0 .. T-2 of every row (targets are the ids shifted by one).
4. Parameter names are Hugging Face's; matrices are [out, in].
"""

import numpy as np
import torch
import torch.nn.functional as F
import transformers

from fixture import Numbers, exact, tensor, write

CONFIG = dict(vocab_size=40, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4,
              num_key_value_heads=2, head_dim=8, max_position_embeddings=64, rms_norm_eps=1e-5, hidden_act='silu',
              tie_word_embeddings=False, attention_bias=False, mlp_bias=False)
ROPE_THETA = 10000.0
GRADIENTS = ('model.embed_tokens.weight', 'model.layers.0.self_attn.k_proj.weight',
             'model.layers.1.mlp.down_proj.weight', 'model.layers.1.input_layernorm.weight')


def random_model(rng):
    rope = dict(rope_type='default', rope_theta=ROPE_THETA)
    config = transformers.LlamaConfig(**CONFIG, rope_parameters=rope, attn_implementation='eager')
    model = transformers.LlamaForCausalLM(config).double().eval()
    with torch.no_grad():
        for p in model.parameters():
            values = rng.uniform(0.7, 1.3, p.shape) if p.dim() == 1 else rng.normal(0, 0.2, p.shape)
            p.copy_(torch.tensor(exact(np.round(values, 4))))
    return model


def main():
    rng = np.random.default_rng(7)
    model = random_model(rng)
    ids = torch.tensor(rng.integers(0, CONFIG['vocab_size'], (2, 12)))
    logits_BTV = model(ids).logits
    loss = F.cross_entropy(logits_BTV[:, :-1].flatten(0, 1), ids[:, 1:].flatten())
    loss.backward()
    parameters = dict(model.named_parameters())
    write('llama_tiny.json', dict(
        torchVersion=torch.__version__,
        transformersVersion=transformers.__version__,
        config=dict(model_type='llama', **CONFIG, rope_theta=ROPE_THETA),
        ids=tensor(ids),
        loss=loss.item(),
        logits=tensor(logits_BTV),
        gradients={name: tensor(parameters[name].grad) for name in GRADIENTS},
        parameters={name: tensor(p) for name, p in parameters.items()},
    ), max_bytes=200_000)


if __name__ == '__main__':
    main()
