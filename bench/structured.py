#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""How many answers to JSON Schemas parse and validate: `tern generate --json-schema` at temperature 1.5 over the schemas of
the tests and one model of each tokenizer (the bundled one; a token a byte; SentencePiece), judged by PyPI's jsonschema.

usage: structured.py N [--tern PROGRAM] [--temperature X] [--beam N] [--max-tokens A,B,...] [--models F,...] [SCHEMA...]

Answers are spread over schema, model and max-tokens, each with a seed of its own. Pairs whose smallest answer does not fit
are refused by the program with both numbers, are listed, and are no answers. A name that a schema leaves free may come
twice in an object, which JSON allows; how often is told. Prints TAP.
"""
import argparse
import collections
import concurrent.futures
import json
import pathlib
import re
import subprocess

try:
    import jsonschema
except ImportError:
    print("1..0 # SKIP python3-jsonschema is not installed")
    raise SystemExit

ROOT = pathlib.Path(__file__).resolve().parent.parent
DATA = ROOT / "tests/golden/data"
MODELS = [ROOT / "models/tern-captioner-4m-tq2_0.gguf", DATA / "families/qwen3.gguf", DATA / "families/llama-linear.gguf"]

a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
a.add_argument("n", type=int)
a.add_argument("--tern", default=str(ROOT / "build/tools/tern"))
a.add_argument("--temperature", default="1.5")
a.add_argument("--beam", default="1")
a.add_argument("--max-tokens", default="64,450")
a.add_argument("--models", default=",".join(map(str, MODELS)))
a.add_argument("--jobs", type=int, default=2)
a.add_argument("schemas", nargs="*", metavar="SCHEMA")
options = a.parse_intermixed_args()
schemas = [pathlib.Path(s) for s in options.schemas] or sorted((DATA / "schemas").glob("*.json"))
models = [pathlib.Path(m) for m in options.models.split(",")]
budgets = [int(t) for t in options.max_tokens.split(",")]
loaded = {s: json.loads(s.read_text()) for s in schemas}
twice = 0                       # objects with a name twice
FORMATS = jsonschema.Draft202012Validator.FORMAT_CHECKER


def once(key):
    """Strings that JSON's readers let pass but are not JSON."""
    raise ValueError(f"{key} is not JSON")


def members(pairs):
    global twice
    twice += len(dict(pairs)) < len(pairs)
    return dict(pairs)


def ask(schema, model, budget, seed):
    """("ok" | "refused" | "bad", what was said or why)"""
    command = [options.tern, "generate", "--model", model, "--raw", "--prompt", "What is there to be seen? Answer in JSON.",
               "--json-schema", schema, "--max-tokens", budget, "--temperature", options.temperature, "--seed", seed,
               "--beam", options.beam, "--threads", "1"]
    done = subprocess.run(list(map(str, command)), capture_output=True, check=False, timeout=600)
    if done.returncode == 2 and re.search(rb"expected \d+ or more, .*, found \d+|expected room for \d+ tokens", done.stderr):
        return "refused", done.stderr.decode().strip()
    if done.returncode:
        return "bad", f"exit status {done.returncode}: {done.stderr.decode(errors='replace').strip()}"
    try:
        text = done.stdout.decode("utf8").removesuffix("\n")
        value = json.loads(text, parse_constant=once, object_pairs_hook=members)
        jsonschema.Draft202012Validator(loaded[schema], format_checker=FORMATS).validate(value)
    except (ValueError, jsonschema.ValidationError) as error:
        return "bad", f"{str(error).splitlines()[0]}: {done.stdout!r}"
    return "ok", text


def main():
    combinations = [(s, m, t) for t in budgets for s in schemas for m in models]
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        first = list(pool.map(lambda c: ask(*c, 0), combinations))
        refused = [(c, why) for c, (state, why) in zip(combinations, first) if state == "refused"]
        fits = [c for c, (state, _) in zip(combinations, first) if state != "refused"]
        todo = [(*fits[i % len(fits)], 1 + i // len(fits)) for i in range(options.n if fits else 0)]
        answers = list(pool.map(lambda c: ask(*c), todo))
    for (schema, model, budget), why in refused:
        print(f"# refused: {schema.name}, {model.name}, max-tokens {budget}: {why}")
    for (schema, model, budget, seed), (state, why) in zip(todo, answers):
        if state != "ok":
            print(f"# {schema.name}, {model.name}, max-tokens {budget}, seed {seed}: {why}")
    good = collections.Counter((s.name, m.name, t) for (s, m, t, _), (state, _) in zip(todo, answers) if state == "ok")
    print(f"# {len({k[0] for k in good})} schemas, {len({k[1] for k in good})} models, max-tokens {options.max_tokens}, "
          f"temperature {options.temperature}, beam {options.beam}; {twice} objects with a name twice")
    print("1..1")
    print("ok" if sum(good.values()) == options.n else "not ok",
          f"1 - {sum(good.values())} of {options.n} parse and validate")


if not loaded:
    print("1..0 # SKIP no schemas")
    raise SystemExit
main()
