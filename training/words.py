# SPDX-License-Identifier: LGPL-2.1-or-later
"""The tokenizer: byte-level BPE with LFM2's special tokens and Llama-3's way of cutting text."""

import os

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

import prompts

VOCABULARY = 3072
# LFM2's names and, up to <|tool_response_end|>, its ids.
SPECIALS = [
    "<|pad|>", "<|startoftext|>", "<|endoftext|>", "<|fim_pre|>", "<|fim_mid|>", "<|fim_suf|>", "<|im_start|>",
    "<|im_end|>", "<|tool_list_start|>", "<|tool_list_end|>", "<|tool_call_start|>", "<|tool_call_end|>",
    "<|tool_response_start|>", "<|tool_response_end|>", "<image>", "<|image_start|>", "<|image_end|>",
    "<|image_split|>", "<|img_thumbnail|>",
] + [f"<|reserved_{i}|>" for i in range(13)]
PAD, BOS, EOS = 0, 1, 7

CUT = (
    r"(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}|"
    r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)


def _dressed(model):
    tokenizer = Tokenizer(model)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Split(Regex(CUT), "isolated"), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


def of(tokens, merges):
    """From a model file's list of tokens and its merges, as pairs."""
    tokenizer = _dressed(models.BPE({t: i for i, t in enumerate(tokens)}, merges, ignore_merges=True))
    tokenizer.add_special_tokens(SPECIALS)
    return tokenizer


def train(captions, path):
    """`captions` cleaned; instructions and roles are repeated so that their words become whole tokens."""
    tokenizer = _dressed(models.BPE(ignore_merges=True))
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY, special_tokens=SPECIALS, show_progress=False,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
    )
    chat = [i for i in prompts.INSTRUCTIONS if i] + ["user\n", "assistant\n", "system\n", "Question", "Answer"]
    tokenizer.train_from_iterator(list(captions) + chat * 200, trainer)
    if tokenizer.get_vocab_size() != VOCABULARY:
        raise SystemExit(f"the tokenizer has {tokenizer.get_vocab_size()} tokens, not {VOCABULARY}")
    os.makedirs(os.path.dirname(path), exist_ok=True)
    tokenizer.save(path)


def load(path):
    return Tokenizer.from_file(path)


def encode(tokenizer, text):
    return tokenizer.encode(text, add_special_tokens=False).ids
