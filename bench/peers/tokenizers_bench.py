"""Times Hugging Face tokenizers for `npm run bench -- tokenizers`: python tokenizers_bench.py TEXT TOKENIZER_JSON OUT ROUNDS"""

import json
import pathlib
import statistics
import sys
import time

from tokenizers import Tokenizer, models, pre_tokenizers, trainers


def speed(megabytes, work):
    started = time.perf_counter()
    work()
    return megabytes / (time.perf_counter() - started)


def main():
    text, file, out, rounds = sys.argv[1:]
    lines = pathlib.Path(text).read_bytes().decode().split("\n")
    megabytes = len("".join(lines).encode()) / 1e6
    tok = Tokenizer.from_file(file)
    ids = []

    def encode():
        ids[:] = [tok.encode(line, add_special_tokens=False).ids for line in lines]

    def decode():
        for line in ids:
            tok.decode(line, skip_special_tokens=False)

    first = speed(megabytes, encode)
    speeds = {"firstEncode": first}
    for name, work in [("encode", encode), ("decode", decode)]:
        speeds[name] = statistics.median(speed(megabytes, work) for _ in range(int(rounds)))
    fresh = Tokenizer(models.BPE())
    fresh.pre_tokenizer, size = tok.pre_tokenizer, tok.get_vocab_size()
    started = time.perf_counter()
    fresh.train_from_iterator(lines, trainers.BpeTrainer(vocab_size=size, min_frequency=2, show_progress=False, initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))
    speeds["trainSeconds"] = time.perf_counter() - started
    pathlib.Path(out).write_text(json.dumps({"speeds": speeds, "ids": ids}))


if __name__ == "__main__":
    main()
