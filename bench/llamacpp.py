# SPDX-License-Identifier: LGPL-2.1-or-later
"""What Tern says beside what llama.cpp says: the same file.

usage: llamacpp.py agree --model TEXT.gguf [--tern build/tools/tern]
       llamacpp.py record --model TEXT.gguf [--exact FLOAT.gguf] PROMPTS.json > GREEDY.json
       llamacpp.py perplexity --model TEXT.gguf [--context N] TEXT.txt

agree: greedy continuations of bench/prompts.txt (raw text, no chat template); prints where and how they part.
record: llama.cpp's greedy ids, and the three next best with the logits by which they are behind, as tests/golden/smollm2.py compares them; with
--exact also the greedy ids of the same weights expanded to float. PROMPTS.json holds two lists:
chat (one user turn in ChatML with the system message of SmolLM2) and raw (text to continue).
perplexity: llama.cpp's, as `tern perplexity` computes it.
Speed: bench/compare/run.py.
Needs the package xllamacpp (llama.cpp as a Python wheel); record and perplexity numpy too.
"""
import argparse
import hashlib
import json
import math
import pathlib
import subprocess
import sys

import xllamacpp

HERE = pathlib.Path(__file__).resolve().parent


def server(args):
    params = xllamacpp.CommonParams()
    params.model.path = args.model
    params.n_ctx = 2048
    params.n_parallel = 1
    params.cpuparams.n_threads = 1
    params.cpuparams_batch.n_threads = 1
    params.verbosity = -1
    return xllamacpp.Server(params)


def agree(args):
    llama = server(args)
    prompts = [p for p in (HERE / "prompts.txt").read_text(encoding="utf8").splitlines() if p]
    equal = 0
    for prompt in prompts:
        theirs = llama.handle_completions({"prompt": prompt, "max_tokens": args.tokens, "temperature": 0,
                                           "cache_prompt": False})["choices"][0]["text"]
        ours = subprocess.run([args.tern, "generate", "--model", args.model, "--raw", "--prompt", prompt, "--max-tokens",
                               str(args.tokens)], check=True, capture_output=True, text=True).stdout.rstrip("\n")
        same = ours == theirs
        equal += same
        print(f"{'equal ' if same else 'differ'} | {prompt} |{ours}" + ("" if same else f" | llama.cpp:{theirs}"))
    print(f"{equal} of {len(prompts)} equal")
    return 0


CHATML = ("<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\n"
          "<|im_start|>user\n{}<|im_end|>\n<|im_start|>assistant\n")


def greedy(model, tokens, count):
    """Greedy ids, and after each the three next best with the logits by which they are behind."""
    model.clear()
    row = model.eval(tokens)
    ids, behind = [], []
    for _ in range(count):
        order = row.argsort()[::-1][:4]
        ids.append(int(order[0]))
        behind.append([[int(i), round(float(row[order[0]] - row[i]), 3)] for i in order[1:]])
        row = model.eval(ids[-1:])
    return ids, behind


def record(args):
    import libllama
    prompts = json.loads(pathlib.Path(args.prompts).read_text(encoding="utf8"))
    model = libllama.Model(args.model)
    exact = libllama.Model(args.exact) if args.exact else None
    cases = []
    for chat, prompt in [(True, p) for p in prompts["chat"]] + [(False, p) for p in prompts["raw"]]:
        text = CHATML.format(prompt) if chat else prompt
        tokens = model.tokenize(text, special=True)
        ids, behind = greedy(model, tokens, args.tokens)
        case = {"prompt": prompt, "chat": chat, "text": text, "tokens": tokens, "greedy": ids, "behind": behind}
        if exact:
            case["exact"] = greedy(exact, tokens, args.tokens)[0]
        cases.append(case)
    digest = hashlib.sha256(pathlib.Path(args.model).read_bytes()).hexdigest()
    head = {"model": pathlib.Path(args.model).name, "sha256": digest, "vocabulary": model.n_vocab,
            "reference": libllama.VERSION}
    lines = ",\n".join(json.dumps(case, ensure_ascii=False) for case in cases)
    print(json.dumps(head)[:-1] + ', "cases": [\n' + lines + "\n]}")
    return 0


def perplexity(args):
    """Chunks of the context's size, each from an empty cache with BOS in its first place when the model wants one; the
    second half of each is scored."""
    import libllama
    import numpy
    model = libllama.Model(args.model, args.context)
    ids = model.tokenize(pathlib.Path(args.text).read_text(encoding="utf8"), special=False)
    total, count, half = 0.0, 0, args.context // 2
    for start in range(0, len(ids) - args.context + 1, args.context):
        chunk = ids[start:start + args.context]
        model.clear()
        rows = model.eval([libllama.bos(model.vocab)] + chunk[1:] if libllama.add_bos(model.vocab) else chunk, True)
        for i in range(half, args.context - 1):
            row = rows[i].astype(numpy.float64)
            total += row.max() + math.log(numpy.exp(row - row.max()).sum()) - row[chunk[i + 1]]
            count += 1
    print(f"{libllama.VERSION}: {len(ids)} tokens, {count} scored, perplexity {math.exp(total / count):.4f}")
    return 0


parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
commands = parser.add_subparsers(required=True)
one = commands.add_parser("agree")
one.add_argument("--model", required=True)
one.add_argument("--tern", default="build/tools/tern")
one.add_argument("--tokens", type=int, default=24)
one.set_defaults(run=agree)
one = commands.add_parser("record")
one.add_argument("--model", required=True)
one.add_argument("--exact")
one.add_argument("--tokens", type=int, default=64)
one.add_argument("prompts")
one.set_defaults(run=record)
one = commands.add_parser("perplexity")
one.add_argument("--model", required=True)
one.add_argument("--context", type=int, default=512)
one.add_argument("text")
one.set_defaults(run=perplexity)
arguments = parser.parse_args()
sys.exit(arguments.run(arguments))
