# SPDX-License-Identifier: LGPL-2.1-or-later
"""Writes data/tokenizers/pieces.json: how Hugging Face's tokenizers cuts awkward texts with the published expressions.

usage: make-pretokenizer-vectors.py > data/tokenizers/pieces.json    (needs the package tokenizers, 0.22 was used)

Texts keep to code points of Unicode 3.2 and well-known emoji, so that the tables of all who take part know them. Llama 3's
contractions are written with both cases instead of (?i:), as GGUF's readers have them.
"""
import json
import random
import unicodedata

from tokenizers import Regex, pre_tokenizers

CONTRACTION = "(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])"
TAIL = r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
WORDS = CONTRACTION + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}%s|" + TAIL
UPPER, LOWER = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
PREFIX = r"[^\r\n\p{L}\p{N}]?"
CASED = (PREFIX + UPPER + "*" + LOWER + "+%s|" + PREFIX + UPPER + "+" + LOWER
         + r"*%s|\p{N}%s| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+")
RULES = {
    "llama-bpe": [WORDS % "{1,3}"],
    "qwen2": [WORDS % ""],
    "qwen35": [CONTRACTION + r"|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+"
               r"|\s+(?!\S)|\s+"],
    "minicpm5": [r"\p{N}{1,3}", WORDS % "+"],
    "seed-coder": [CONTRACTION + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1}| ?[^\s\p{L}\p{N}\r\n]+|\s*[\r\n]+|\s+(?!\S)|\s+"],
    "ufakzeka": [r"[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}|" + TAIL],
    "laguna": [r"[^\n]+|[\n]+", WORDS % ""],
    "gpt-2": [GPT2],
    "smollm": [r"\p{N}", GPT2],
    "falcon": [r"[\p{P}\$\+<=>\^~\|`]+", GPT2, "[0-9][0-9][0-9]"],
    "default": [r"[\p{P}\$\+<=>\^~\|]+", GPT2, r"\p{N}+", "[0-9][0-9][0-9]"],
    "deepseek-coder": ["[\r\n]", r"\s?\p{L}+", r"\s?\p{P}+", "[\u4e00-\u9fa5\u0800-\u4e00\uac00-\ud7ff]+", r"\p{N}"],
    "deepseek-v3": [r"\p{N}{1,3}", "[\u4e00-\u9fa5\u3040-\u309f\u30a0-\u30ff]+",
                    r"[!\"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+"
                    r"| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"],
    "tekken": [CASED % ("", "", "")],
    "gpt-4o": [CASED % (CONTRACTION + "?", CONTRACTION + "?", "{1,3}")],
}
BLANKS = "\t\n\v\f\r \x85\xa0\u1680\u2003\u2009\u2028\u2029\u202f\u3000\u200b\ufeff"
PARTS = ["it's", "IT'S", "we'Ll", "'RE", "don't", "'tis", "l'\xe9t\xe9", "hello", "World", "1234567", "3.14",
         "\u0661\u0662\u0663", "\u0968\u0966", "\xbd", "\u216b", "\xb2\xb3", "\ufb01", "\u65e5\u672c\u8a9e",
         "\u30ab\u30bf", "\ud55c\uad6d", "\u0e44\u0e17\u0e22", "\u0939\u093f\u0928\u094d\u0926\u0940", "e\u0301",
         "\U0001f469\u200d\U0001f467", "\U0001f1e9\U0001f1ea", "\U0001f44d\U0001f3fd", "<|im_end|>", "$100", "a_b",
         "x+y=z", "~~", "||", "`code`", "...", "!?", "\u2026", "\u2014", "\xab\xbb", "(a)", "/path/to", "%20", "^^",
         "camelCase", "HTTPServer", "\u01c5", "\xdf", "\u03a9mega", "\u041f\u0440\u0438\u0432\u0435\u0442",
         "\u05e9\u05dc\u05d5\u05dd", "\x01\x02", "\x7f", "\ufffd", "don't/\n", "A\u0300B", "\u0300", "\u02b0\u3042B"]


def texts(count):
    draw = random.Random(2024)
    old = [chr(c) for c in range(1, 0x30000) if unicodedata.ucd_3_2_0.category(chr(c)) not in ("Cn", "Cs", "Co")
           and unicodedata.category(chr(c)) == unicodedata.ucd_3_2_0.category(chr(c)) and chr(c) != "\u017f"]
    for _ in range(count):
        text = ""
        for _ in range(draw.randrange(1, 12)):
            kind = draw.random()
            if kind < .45:
                text += draw.choice(PARTS)
            elif kind < .6:
                text += draw.choice(BLANKS) * draw.choice([1, 1, 2, 3])
            elif kind < .75:
                text += " " * draw.choice([1, 1, 2, 3])
            elif kind < .85:
                text += "\n" * draw.choice([1, 2])
            elif kind < .9:
                text += chr(draw.randrange(33, 127))
            else:
                text += "".join(draw.choice(old) for _ in range(draw.randrange(1, 3)))
        yield text


def lengths(splitter, text):
    return [len(piece.encode()) for piece, _ in splitter.pre_tokenize_str(text)]


def main():
    samples = list(texts(160))
    out = {"texts": samples, "pieces": {}}
    for name, expressions in RULES.items():
        splitter = pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(e), "isolated") for e in expressions])
        out["pieces"][name] = [" ".join(map(str, lengths(splitter, text))) for text in samples]
    print(json.dumps(out, ensure_ascii=True, indent=0))


main()
