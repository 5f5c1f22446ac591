"""Writes src/tokenizer/fixtures/training.json: merges that Hugging Face's BpeTrainer learns, and ids of its tokenizers.

    python reference_training.py [--text FILE --size N --split NAME --out FILE --characters N]

With --text, trains on that file's paragraphs and writes one tokenizer.json instead.
"""

import argparse
import json
import pathlib

import tokenizers
from reference_tokenizers import DEEPSEEK_V3, GPT4, QWEN2, SEQ, TEXTS, added, byte_level, split
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

SPLITS = {
    "gpt-2": SEQ([split(r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"), byte_level()]),
    "llama-bpe": SEQ([split(GPT4), byte_level()]),
    "qwen2": SEQ([split(QWEN2), byte_level()]),
    "deepseek-v3": SEQ([split(r"\p{N}{1,3}"), split("[一-龥\u3040-ゟ゠-ヿ]+"), split(DEEPSEEK_V3), byte_level()]),
}
SPECIALS = ["<pad>", "<eos>", "<think>"]


def train(paragraphs, name, size, frequency):
    tok = Tokenizer(models.BPE())
    tok.pre_tokenizer = SPLITS[name]
    tok.decoder = decoders.ByteLevel()
    tok.train_from_iterator(
        paragraphs,
        trainers.BpeTrainer(
            vocab_size=size, min_frequency=frequency, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False,
            special_tokens=[added(SPECIALS[0]), added(SPECIALS[1]), added(SPECIALS[2], special=False)],
        ),
    )
    return tok


def main():
    here = pathlib.Path(__file__).resolve().parent
    parser = argparse.ArgumentParser()
    parser.add_argument("--text")
    parser.add_argument("--size", type=int, default=4096)
    parser.add_argument("--split", default="qwen2")
    parser.add_argument("--out", default=here / "../../src/tokenizer/fixtures/training.json")
    args = parser.parse_args()
    if args.text:
        tok = train(pathlib.Path(args.text).read_text().split("\n\n"), args.split, args.size, 2)
        pathlib.Path(args.out).write_text(tok.to_str())
        return
    text = "\n\n".join([*(t for t in TEXTS if "\0" not in t and not any(special in t for special in SPECIALS)), (here / "README.md").read_text().replace("\r", "")[:4000]])
    cases = []
    for name, size, frequency in [("gpt-2", 500, 2), ("llama-bpe", 420, 2), ("qwen2", 700, 1), ("deepseek-v3", 420, 3)]:
        tok = train(text.split("\n\n"), name, size, frequency)
        model = json.loads(tok.to_str())["model"]
        texts = [[t, tok.encode(t).ids] for t in TEXTS if "\0" not in t]
        cases.append({"split": name, "vocabSize": size, "minFrequency": frequency, "merges": model["merges"], "vocab": model["vocab"], "texts": texts})
    content = {"note": f"by PyPI tokenizers {tokenizers.__version__}; see bench/peers/reference_training.py", "text": text, "cases": cases}
    pathlib.Path(args.out).write_text(json.dumps(content, ensure_ascii=False, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
