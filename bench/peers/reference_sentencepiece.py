"""Writes src/tokenizer/fixtures/sentencepiece.json: small models that the sentencepiece library trained, and what it makes of texts.

    python reference_sentencepiece.py [--text ../shared/data/tinyshakespeare.txt] [--full]

--full trains with sentencepiece's own nmt_nfkc normalization (a charsmap of 240 KB) instead of a small one.
"""

import argparse
import base64
import io
import json
import pathlib
import tempfile

import sentencepiece
from reference_tokenizers import TEXTS

# What a small precompiled charsmap does: source code points, tab, target code points.
RULES = "FB01\t66 69\nFB03\t66 66 69\nFF21\t41\nFF41\t61\nA0\t20\n3000\t20\n9\t20\nA\t20\nD A\t20\n41 30A\tC5\n65 301\tE9\nAD\t\n200B\t20\n1F600\t3A 29\n"

MODELS = {
    "llama": dict(model_type="bpe", byte_fallback=True, normalization_rule_name="identity", remove_extra_whitespaces=False, split_digits=True, allow_whitespace_only_pieces=True, vocab_size=700),
    "bpe-spaces": dict(model_type="bpe", normalization_rule_name="identity", vocab_size=500),
    "bpe-user": dict(
        model_type="bpe", byte_fallback=True, normalization_rule_name="identity", remove_extra_whitespaces=False, add_dummy_prefix=False,
        user_defined_symbols=["▁▁", "▁▁▁▁", "the", "<mask>", "\n\n", "tt"], control_symbols=["<turn>"], vocab_size=600, pad_id=3,
    ),
    "unigram": dict(model_type="unigram", vocab_size=400, rules=True),
    "unigram-bytes": dict(model_type="unigram", byte_fallback=True, normalization_rule_name="identity", user_defined_symbols=["the", "▁▁", "<mask>"], remove_extra_whitespaces=False, vocab_size=600),
}


def train(options, text, full):
    options = dict(options)
    model = io.BytesIO()
    if options.pop("rules", False) and not full:
        file = tempfile.NamedTemporaryFile("w", suffix=".tsv", delete=False)
        file.write(RULES)
        file.close()
        options["normalization_rule_tsv"] = file.name
    lines = [line for line in text[:200_000].split("\n") if line] + [t.replace("\n", " ").replace("\0", "") for t in TEXTS for _ in range(3)]
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(lines), model_writer=model, character_coverage=0.995, minloglevel=2, **options
    )
    return model.getvalue()


def main():
    here = pathlib.Path(__file__).resolve().parent
    parser = argparse.ArgumentParser()
    parser.add_argument("--text", default=here / "../../../shared/data/tinyshakespeare.txt")
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--texts", help="a JSON list of texts instead of those of reference_tokenizers.py")
    parser.add_argument("--out", default=here / "../../src/tokenizer/fixtures/sentencepiece.json")
    args = parser.parse_args()
    text = pathlib.Path(args.text).read_text()
    texts = json.loads(pathlib.Path(args.texts).read_text()) if args.texts else TEXTS
    models = []
    for name, options in MODELS.items():
        data = train(options, text, args.full)
        processor = sentencepiece.SentencePieceProcessor(model_proto=data)
        controls = [processor.id_to_piece(i) for i in range(processor.vocab_size()) if processor.is_control(i) or processor.is_unknown(i)]
        # sentencepiece never finds control pieces in text; the tokenizers here do. It stops at a zero character.
        cases = [[t, processor.encode(t)] for t in texts if "\0" not in t and not any(c in t for c in controls)]
        models.append({"name": name, "model": base64.b64encode(data).decode(), "cases": cases})
    content = {"note": f"by PyPI sentencepiece {sentencepiece.__version__}; see bench/peers/reference_sentencepiece.py", "models": models}
    pathlib.Path(args.out).write_text(json.dumps(content, ensure_ascii=False, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
