"""GGUF files of the weights in a Hugging Face directory that bench/random-model.ts wrote, every matrix as Q4_0 or Q8_0.

Usage: random_gguf.py DIR OUT.gguf q4|q8      (needs numpy and gguf)

The vocabulary is made up, as large as real ones are, since reading it is a part of loading; speed is measured on ids.
"""

import json
import struct
import sys

import numpy as np
from gguf import GGMLQuantizationType, GGUFWriter, quants

NAMES = {
    "model.embed_tokens": "token_embd",
    "model.norm": "output_norm",
    "lm_head": "output",
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "self_attn.q_norm": "attn_q_norm",
    "self_attn.k_norm": "attn_k_norm",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}


def tensors(path):
    """(name, float32 array) of a safetensors file of bfloat16 values."""
    with open(path, "rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(length))
        for name, entry in header.items():
            if name == "__metadata__":
                continue
            begin, end = entry["data_offsets"]
            file.seek(8 + length + begin)
            bits = np.frombuffer(file.read(end - begin), np.uint16).astype(np.uint32) << 16
            yield name, bits.view(np.float32).reshape(entry["shape"])


def gguf_name(name):
    stem, kind = name.rsplit(".", 1)
    if stem in NAMES:
        return f"{NAMES[stem]}.{kind}"
    _, _, layer, part = stem.split(".", 3)
    return f"blk.{layer}.{NAMES[part]}.{kind}"


def byte_letters():
    """The letters that byte-level vocabularies write the 256 bytes with."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    rest = [b for b in range(256) if b not in plain]
    return [chr(b) for b in plain] + [chr(256 + i) for i in range(len(rest))]


def vocabulary(size):
    """Tokens of one to three letters, each longer one with its merge, as byte-pair encoding finds them."""
    letters = byte_letters()
    tokens, merges = list(letters), []
    for left in tokens:  # grows while it is walked
        for right in letters:
            if len(tokens) == size:
                return tokens, merges
            tokens.append(left + right)
            merges.append(f"{left} {right}")
    return tokens, merges


def main(folder, out, dtype):
    kind = {"q4": GGMLQuantizationType.Q4_0, "q8": GGMLQuantizationType.Q8_0}[dtype]
    with open(f"{folder}/config.json") as file:
        c = json.load(file)
    w = GGUFWriter(out, c["model_type"])
    w.add_context_length(c["max_position_embeddings"])
    w.add_embedding_length(c["hidden_size"])
    w.add_block_count(c["num_hidden_layers"])
    w.add_feed_forward_length(c["intermediate_size"])
    w.add_head_count(c["num_attention_heads"])
    w.add_head_count_kv(c["num_key_value_heads"])
    w.add_key_length(c["head_dim"])
    w.add_value_length(c["head_dim"])
    w.add_layer_norm_rms_eps(c["rms_norm_eps"])
    w.add_rope_freq_base(c["rope_theta"])
    w.add_tokenizer_model("gpt2")
    w.add_tokenizer_pre("qwen2")
    tokens, merges = vocabulary(c["vocab_size"])
    w.add_token_list(tokens)
    w.add_token_types([1] * c["vocab_size"])
    w.add_token_merges(merges)
    w.add_eos_token_id(0)
    for name, values in tensors(f"{folder}/model.safetensors"):
        if values.ndim == 1:
            w.add_tensor(gguf_name(name), values.copy())
        else:
            w.add_tensor(gguf_name(name), quants.quantize(values, kind), raw_dtype=kind)
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
