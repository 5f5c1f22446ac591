"""Writes src/tokenizer/fixtures/pipelines.json: what Hugging Face tokenizers makes of texts in the pipelines of published families.

The pipelines (normalizer, pre-tokenizer, decoder, post-processor, added tokens) are those of the families' tokenizer.json;
the vocabularies are small ones trained here on tinyshakespeare and the texts below.

    python reference_tokenizers.py [--text ../shared/data/tinyshakespeare.txt]
"""

import argparse
import json
import pathlib

import tokenizers
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

GPT4 = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
QWEN2 = GPT4.replace(r"\p{N}{1,3}", r"\p{N}")
O200K = (
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
    r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
    r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
CL100K_POSSESSIVE = (
    r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++[\r\n]*+|\s++$|\s*[\r\n]|\s+(?!\S)|\s"
)
DEEPSEEK_LETTERS = (
    "\\s?[A-Za-zµÀ-ÖØ-öø-ƺƼ-ƿǄ-ʓʕ-ʯͰ-ͳͶͷͻ-ͽͿΆΈ-ΊΌΎ-ΡΣ-ϵϷ-ҁҊ-ԯԱ-ՖႠ-ჅᎠ-Ᏽᏸ-ᏽᲐ-ᲺᲽ-Ჿᴀ-ᴫᵫ-ᵷᵹ-ᶚḀ-ἕἘ-Ἕἠ-ὅὈ-Ὅὐ-ὗὙὛὝὟ-\u1f7dᾀ-ᾴᾶ-ᾼ\u1fbeῂ-ῄῆ-ῌῐ-\u1fd3ῖ-\u1fdbῠ-Ῥῲ-ῴῶ-ῼ"
    "ℂℇℊ-ℓℕℙ-ℝℤ\u2126ℨ\u212a-ℭℯ-ℴℹℼ-ℿⅅ-ⅉⅎↃↄⰀ-ⱻⱾ-ⳤⳫ-ⳮⳲⳳꙀ-ꙭꚀ-ꚛꜢ-ꝯꝱ-ꞇꞋ-ꞎꭰ-ꮿﬀ-ﬆﬓ-ﬗＡ-Ｚａ-ｚ𐐀-𐑏𐒰-𐓓𐓘-𐓻𐲀-𐲲𐳀-𐳲𑢠-𑣟𞤀-𞥃]+"
)
DEEPSEEK_V3 = (
    r"""[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"""
)

TEXTS = [
    "",
    " ",
    "Hello, world! It's 2024 and we've 1234567 things; don't WE'LL I'M they'd'S",
    "  two leading spaces, a  double and trailing  ",
    "line one\nline two\r\n\r\n\tindented\n\n\n   end\n",
    "The quick brown fox jumps over the lazy dog. Thou art more lovely and more temperate:",
    "naïve café Ångström ÀÉÎÕÜ ßẞ œuvre ﬁne ﬃ Ⅷ ½ ² №",
    "e\u0301 A\u030a n\u0303 \u1100\u1161\u11a8 한국어 텍스트",
    "你好，世界！今天天气很好。我们去公园玩吧 3 點 45 分",
    "こんにちは世界。カタカナとひらがなー混ぜ書き、ﾊﾝｶｸ",
    "Привет, мир! Как дела? Ёжик ΑΒΓ ΣΊΣΥΦΟΣ ὈΔΥΣΣΕΎΣ",
    "مرحبا بالعالم ١٢٣ שלום עולם हिन्दी देवनागरी ภาษาไทย ไม่มีเว้นวรรค",
    "😀 😃😄 👩‍👩‍👧‍👦 🇫🇷🇩🇪 ❤️ 👍🏽 \U0001f9d1\u200d\U0001f680 𝒳𝓎𝔷 𠜎",
    "def f(x):\n    return x**2 + 3.14e-10  # comment\n\nif __name__ == '__main__':\n\tprint(f(10_000))",
    "<html><body class=\"a-b\">&nbsp;{{ x }}</body></html> https://example.com/a?b=c&d=%20#e",
    "a\u00a0b\u2003c\u3000d\u0085e\ufefff\u200bg\u2028h\u2029i\u180ej\u1680k",
    "\u0000\u0001\u0007\u001b[31mred\u007f\u009f\ufffd\ufffe",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa bbbbbbbb abababababab ============ !!!!!!??? ......",
    "ſ's it'ſ K'K ŉ ǰ ΐ İI ıi ǅ Ǆ",
    "▁▁under ▁score ▁ x ▁",
    "<s>begin</s> [CLS] mask[MASK]ed <|endoftext|><|im_start|>user\nhi<|im_end|>\n<think>\n\nok</think>",
    "<|begin_of_text|><|start_header_id|>system<|end_header_id|>\n\nYou are<|eot_id|>",
    "<｜begin▁of▁sentence｜><｜User｜>1+1?<｜Assistant｜>2<｜end▁of▁sentence｜> <bos><start_of_turn>model\n",
    "A  [pad] word<pad>word  <sep>  ok<sep>",
    "Ünïcödé 12٣४５ ⅻ 3½ $€¥£ +−×÷ ≤≥≠ «»„“ ‘’ … – — ¿¡",
    "x\u0301\u0323 \u0323\u0301x \u0344 \u212b \u2126 \ufb01 \u1e9b\u0323",
    "snake_case camelCase PascalCase SCREAMING_CASE kebab-case MixedUP123abc4567DEF",
    "!@#$%^&*()_+-=[]{}|;':\",./<>?`~",
    "\t\t\n \n  \n\r\n \r x \n",
    "don’t can’t ’tis rock ’n’ roll",
]


def added(content, special=True, normalized=False, **options):
    return AddedToken(content, special=special, normalized=normalized, **options)


def byte_level(regex=False, prefix=False):
    return pre_tokenizers.ByteLevel(add_prefix_space=prefix, trim_offsets=True, use_regex=regex)


def split(pattern, behavior="isolated", invert=False):
    return pre_tokenizers.Split(Regex(pattern), behavior, invert)


def template(before, after=()):
    def process(tok):
        named = lambda t: (t, tok.token_to_id(t))
        return processors.TemplateProcessing(
            single=[*before, "$A", *after], pair=None, special_tokens=[named(t) for t in {*before, *after}]
        )

    return process


def spm_decoder(strip=True):
    steps = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
    return decoders.Sequence(steps + ([decoders.Strip(" ", 1, 0)] if strip else []))


SEQ = pre_tokenizers.Sequence
BYTES = decoders.ByteLevel()
DEEPSEEK_LLM = SEQ(
    [
        split("[\r\n]"),
        split(DEEPSEEK_LETTERS),
        split("\\s?[!-/:-~！-／：-～‘-‟　-。]+"),
        split("\\s+$"),
        split("[一-龥ࠀ-一가-\ud7ff]+"),
        pre_tokenizers.Digits(individual_digits=True),
        byte_level(),
    ]
)
DEEPSEEK_CODER = SEQ(
    [
        split("[\r\n]"),
        split("\\s?\\p{L}+"),
        split("\\s?\\p{P}+"),
        split("[一-龥ࠀ-一가-\ud7ff]+"),
        pre_tokenizers.Digits(individual_digits=True),
        byte_level(),
    ]
)
V3 = SEQ([split(r"\p{N}{1,3}"), split("[一-龥\u3040-ゟ゠-ヿ]+"), split(DEEPSEEK_V3), byte_level()])
DEEPSEEK_TOKENS = ["<｜begin▁of▁sentence｜>", "<｜end▁of▁sentence｜>"]
DEEPSEEK_TAGS = [added(t, special=False, normalized=True) for t in ["<｜User｜>", "<｜Assistant｜>"]] + [
    added(t, special=False) for t in ["<think>", "</think>"]
]
CHATML = [added("<|im_start|>"), added("<|im_end|>"), added("<think>", special=False), added("</think>", special=False)]
MERGED = ["merged_with_previous", "merged_with_next", "contiguous", "removed"]

# name → model, pipeline
FAMILIES = {
    "gpt2": dict(model="byte", pre=byte_level(regex=True), post=processors.ByteLevel(trim_offsets=False), tokens=["<|endoftext|>"]),
    "roberta": dict(
        model="byte", pre=byte_level(regex=True, prefix=True), tokens=["<s>", "</s>"],
        post=lambda t: processors.RobertaProcessing(("</s>", t.token_to_id("</s>")), ("<s>", t.token_to_id("<s>"))),
    ),
    "llama3": dict(
        model="byte", ignore_merges=True, pre=SEQ([split(GPT4), byte_level()]),
        post=lambda t: processors.Sequence([processors.ByteLevel(trim_offsets=False), template(["<|begin_of_text|>"])(t)]),
        tokens=["<|begin_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"],
    ),
    "qwen2": dict(
        model="byte", normalizer=normalizers.NFC(), pre=SEQ([split(QWEN2), byte_level()]),
        post=processors.ByteLevel(trim_offsets=False), tokens=["<|endoftext|>", *CHATML],
    ),
    "o200k": dict(model="byte", pre=SEQ([split(O200K, "removed", True), byte_level()]), tokens=["<|endoftext|>"]),
    "possessive": dict(model="byte", pre=SEQ([split(CL100K_POSSESSIVE), byte_level()])),
    "deepseek-llm": dict(model="byte", pre=DEEPSEEK_LLM, post=template(["<｜begin▁of▁sentence｜>"]), tokens=[*DEEPSEEK_TOKENS, *DEEPSEEK_TAGS]),
    "deepseek-coder": dict(model="byte", pre=DEEPSEEK_CODER, post=template(["<｜begin▁of▁sentence｜>"]), tokens=[*DEEPSEEK_TOKENS, *DEEPSEEK_TAGS]),
    "deepseek-v3": dict(model="byte", pre=V3, post=processors.ByteLevel(), tokens=[*DEEPSEEK_TOKENS, *DEEPSEEK_TAGS]),
    "llama2": dict(
        model="metaspace", normalizer=normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]),
        decoder=spm_decoder(), post=template(["<s>"]), tokens=["<unk>", "<s>", "</s>"],
    ),
    "llama2-metaspace": dict(
        model="metaspace", pre=pre_tokenizers.Metaspace("▁", "first", split=False), decoder=spm_decoder(),
        post=template(["<s>"], ["</s>"]), tokens=["<unk>", "<s>", "</s>", added("<sep>", lstrip=True, rstrip=True), added("[pad]", single_word=True)],
    ),
    "gemma3": dict(
        model="metaspace", normalizer=normalizers.Replace(" ", "▁"), pre=pre_tokenizers.Split(" ", "merged_with_previous"),
        decoder=decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]),
        post=template(["<bos>"]), tokens=["<pad>", "<bos>", "<start_of_turn>", added("\n\n", special=False), added("▁▁", special=False), added("[MASK]", special=False, normalized=True)],
    ),
    "t5": dict(
        model="unigram", normalizer=normalizers.Sequence([normalizers.Nmt(), normalizers.NFKC(), normalizers.Replace(Regex(" {2,}"), " ")]),
        pre=pre_tokenizers.Metaspace(), decoder=decoders.Metaspace(), post=template([], ["</s>"]), tokens=["</s>"],
    ),
    "unigram-bytes": dict(
        model="unigram", byte_fallback=True, normalizer=normalizers.Sequence([normalizers.Strip(), normalizers.Lowercase()]),
        pre=SEQ([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace(prepend_scheme="always")]),
        decoder=decoders.Sequence([decoders.ByteFallback(), decoders.Metaspace()]), tokens=["</s>"],
    ),
    "bert": dict(
        model="wordpiece", normalizer=normalizers.BertNormalizer(), pre=pre_tokenizers.BertPreTokenizer(), decoder=decoders.WordPiece(),
        post=template(["[CLS]"], ["[SEP]"]), tokens=["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"],
    ),
    "words": dict(
        model="wordlevel", normalizer=normalizers.Sequence([normalizers.NFD(), normalizers.StripAccents(), normalizers.NFKC()]),
        pre=SEQ([pre_tokenizers.Whitespace(), pre_tokenizers.Digits(False)]), decoder=None, tokens=["[UNK]"],
    ),
    **{
        f"cut-{behavior}": dict(
            model="byte", normalizer=normalizers.NFKD(),
            pre=SEQ([pre_tokenizers.Punctuation(behavior), split(r"[\s\d]+|\bthe\b|[[:upper:]&&[^A-F]]", behavior), byte_level()]),
        )
        for behavior in MERGED
    },
}


def iterate(path):
    text = pathlib.Path(path).read_text()[:200_000]
    return [*text.split("\n\n"), *TEXTS * 3]


def train(path):
    """The small vocabularies, by name."""
    corpus = iterate(path)
    made = {}

    def fit(name, model, trainer, pre=None, normalizer=None):
        tok = Tokenizer(model)
        tok.pre_tokenizer = pre or pre_tokenizers.ByteLevel(add_prefix_space=False)
        if normalizer:
            tok.normalizer = normalizer
        tok.train_from_iterator(corpus, trainer)
        made[name] = json.loads(tok.to_str())["model"]

    fit("byte", models.BPE(), trainers.BpeTrainer(vocab_size=700, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False))
    hexes = [f"<0x{b:02X}>" for b in range(256)]
    fit(
        "metaspace", models.BPE(unk_token="<unk>", fuse_unk=True, byte_fallback=True),
        trainers.BpeTrainer(vocab_size=700, special_tokens=["<unk>", "<s>", "</s>", *hexes], show_progress=False, limit_alphabet=150),
        pre=pre_tokenizers.Metaspace(),
    )
    fit(
        "unigram", models.Unigram(), trainers.UnigramTrainer(vocab_size=500, unk_token="<unk>", special_tokens=["<unk>", *hexes], show_progress=False),
        pre=pre_tokenizers.Metaspace(),
    )
    fit(
        "wordpiece", models.WordPiece(unk_token="[UNK]"),
        trainers.WordPieceTrainer(vocab_size=500, special_tokens=["[UNK]"], show_progress=False, limit_alphabet=200),
        pre=pre_tokenizers.BertPreTokenizer(), normalizer=normalizers.BertNormalizer(),
    )
    fit("wordlevel", models.WordLevel(unk_token="[UNK]"), trainers.WordLevelTrainer(vocab_size=300, special_tokens=["[UNK]"], show_progress=False), pre=pre_tokenizers.Whitespace())
    return made


def build(spec, made):
    model = dict(made[spec["model"]])
    for key in ("ignore_merges", "byte_fallback"):
        if key in spec:
            model[key] = spec[key]
    shell = {"version": "1.0", "truncation": None, "padding": None, "added_tokens": [], "normalizer": None, "pre_tokenizer": None, "post_processor": None, "decoder": None, "model": model}
    tok = Tokenizer.from_str(json.dumps(shell))
    if "normalizer" in spec:
        tok.normalizer = spec["normalizer"]
    if "pre" in spec:
        tok.pre_tokenizer = spec["pre"]
    decoder = spec.get("decoder", BYTES)
    if decoder is not None:
        tok.decoder = decoder
    tok.add_special_tokens([t if isinstance(t, AddedToken) else added(t) for t in spec.get("tokens", []) if isinstance(t, str) or t.special])
    tok.add_tokens([t for t in spec.get("tokens", []) if isinstance(t, AddedToken) and not t.special])
    post = spec.get("post")
    if post is not None:
        tok.post_processor = post(tok) if callable(post) and not isinstance(post, processors.PostProcessor) else post
    return tok


def case(tok, text):
    ids = tok.encode(text, add_special_tokens=False).ids
    return [ids, tok.decode(ids, skip_special_tokens=False), tok.decode(ids, skip_special_tokens=True)]


# What each expression of Oniguruma's syntax cuts out of PATTERN_TEXT.
PATTERNS = [
    r"\s+", r"\S+", r"\d+", r"\w+", r"\W+", r"\h+", r"\H+", r"^.", r".$", r"^", r"\A..", r"..\z", r"..\Z", r"\b", r"\B.", r"\R", r"(?m:.+)",
    r"(?i:k's|S)", r"(?i)STRA|[a-c]+", r"(?i:[x-z]|é)", "(?x: a b # both\n | c )", r"a++b|a?+", r"(?>a+)b|b", r"a{2}+", r"a{,2}b", r"b{2,}?", r"a{x}",
    r"[[:alpha:]]+", r"[[:^alpha:]]+", r"[[:punct:]]+", r"[[:upper:][:digit:]]+", r"[[:space:]]", r"[[:word:]]+", r"[[:alnum:]]+", r"[[:print:]]+", r"[[:graph:]]+",
    r"[a-z&&[^aeiou]]+", r"[^a-z&&[^b]]+", r"[]a]+", r"[a\]b-]+", r"[\w-]+", r"[a-]+", r"\p{Lu}\p{Ll}*", r"\p{^L}+", r"\P{L}+", r"\p{Han}+", r"\p{Letter}+", r"\p{Greek}+",
    r"(?<=a)b", r"(?<!a)b", r"b(?=b)", r"b(?!b)", r"(a)\1", r"(?<x>b)\k<x>", r"\x61\x{62}|\u00e9", r"[\x{3b1}-\x{3c9}]+", r"\t|\e|\a|\f|\v", r"(?#note)c", r"\.|\-|\/|'", r"(?:)x*",
]
PATTERN_TEXT = (
    "aab abb aaab bbb a{x} cat-dog a]b \tK's k'S ſ ½٣ 中文字 αβγ Ελ Ⓐ☃€² éÉ e\u0301 _x_ 9f\r\n x\u0085y\u00a0z\ufeff\u200b straße STRASSE"
    " \x07\x1b\x0c\x0b .-/'$+<=>^`|~!@#%&*()[]{}\n\nlast xX line\n"
)


def cuts(pattern):
    try:
        return [piece for piece, _ in split(pattern).pre_tokenize_str(PATTERN_TEXT)]
    except Exception as error:
        print(pattern, error)
        return None


def main():
    here = pathlib.Path(__file__).resolve().parent
    parser = argparse.ArgumentParser()
    parser.add_argument("--text", default=here / "../../../shared/data/tinyshakespeare.txt")
    parser.add_argument("--out", default=here / "../../src/tokenizer/fixtures/pipelines.json")
    args = parser.parse_args()
    made = train(args.text)
    families = []
    for name, spec in FAMILIES.items():
        tok = build(spec, made)
        file = json.loads(tok.to_str())
        changed = {k: v for k, v in file.pop("model").items() if v != made[spec["model"]].get(k)}
        cases = [case(tok, text) for text in TEXTS]
        surrounded = tok.encode("ab", add_special_tokens=True).ids
        families.append({"name": name, "model": spec["model"], "options": changed, "file": file, "surrounded": surrounded, "cases": cases})
    content = {"note": f"by PyPI tokenizers {tokenizers.__version__}; see bench/peers/reference_tokenizers.py", "models": made, "texts": TEXTS, "families": families,
        "patternText": PATTERN_TEXT, "patterns": [[pattern, cuts(pattern)] for pattern in PATTERNS]}
    pathlib.Path(args.out).write_text(json.dumps(content, ensure_ascii=False, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
