# SPDX-License-Identifier: LGPL-2.1-or-later
"""What `tern inspect` predicts beside what `tern generate` held at most, for models x tokens of context x types of KV.

python bench/memory.py --tern build/tools/tern --context 512,4096 --kv f16,int8 --threads 2 MODEL...
python bench/memory.py --tern build/tools/tern --within 5 --plus 2 MODEL...      # TAP; fails beyond 5 % + 2 MB

The prompt is made of words until it fills the context but for the tokens that are said. Linux: the most that was
resident is what wait4(2) says of the child.
"""

import argparse
import itertools
import json
import os
import pathlib
import random
import subprocess
import sys
import tempfile

SAID = 8


def tern(options, *args, **kwargs):
    return subprocess.run([options.tern, *map(str, args)], stdout=subprocess.PIPE, check=True, **kwargs).stdout.decode()


def prompt_of(options, model, context):
    """A text of about @context - SAID tokens, never more, and how many it has."""
    draw = random.Random(1)
    words = " ".join("".join(draw.choice("etaoinshrdlu") for _ in range(draw.randint(2, 8))) for _ in range(context))
    count = lambda n: len(tern(options, "tokenize", "--model", model, input=words[:n].encode()).split())
    want, n = context - SAID, context
    for _ in range(12):
        found = count(n)
        if want - 3 <= found <= want:
            break
        n = max(1, min(len(words), n + (want - found) * max(1, n // max(found, 1)) - (found > want)))
    while found > want:
        n -= found - want
        found = count(n)
    return words[:n], found


def most_resident(options, model, kv, text, threads):
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as prompt:
        prompt.write(text)
        prompt.flush()
        env = {k: v for k, v in os.environ.items() if not k.startswith("MALLOC_")}
        child = subprocess.Popen([options.tern, "generate", "--model", model, "--raw", "--prompt-file", prompt.name,
                                  "--max-tokens", str(SAID), "--ignore-end", "--kv", kv, "--threads", str(threads)],
                                 stdout=subprocess.DEVNULL, env=env)
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
    return usage.ru_maxrss * 1024, child.returncode


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tern", default="build/tools/tern")
    parser.add_argument("--context", default="512,2048")
    parser.add_argument("--kv", default="f32,f16,int8")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--within", type=float, help="per cent")
    parser.add_argument("--plus", type=float, default=0, help="MB that may be added to --within")
    parser.add_argument("models", nargs="+")
    options = parser.parse_args()
    options.tern = os.path.abspath(options.tern)
    contexts = [int(c) for c in options.context.split(",")]
    number, bad = 0, 0
    if options.within is None:
        print("| model | context | KV | predicted MB | measured MB | off |\n| --- | --- | --- | --- | --- | --- |")
    for model, context in itertools.product(options.models, contexts):
        text, found = prompt_of(options, model, context)
        for kv in options.kv.split(","):
            held, code = most_resident(options, model, kv, text, options.threads)
            plan = json.loads(tern(options, "inspect", "--json", "--context", found + SAID, "--kv", kv, "--threads",
                                   options.threads, model))["memory"]
            number += 1
            off = plan["total"] - held
            what = f"{pathlib.Path(model).stem}, {found + SAID} tokens, {kv}"
            if options.within is None:
                print(f"| {pathlib.Path(model).stem} | {found + SAID} | {kv} | {plan['total'] / 1e6:.1f} | {held / 1e6:.1f} |"
                      f" {100 * off / held:+.1f} % |", flush=True)
                continue
            good = code == 0 and abs(off) <= held * options.within / 100 + options.plus * 1e6
            bad += not good
            if not good:
                print(f"# status {code}, predicted {plan}, held {held}")
            print("ok" if good else "not ok", number, "-", f"{what}: {100 * off / held:+.1f} %", flush=True)
    if options.within is not None:
        print(f"1..{number}")
    return bad > 0


if __name__ == "__main__":
    sys.exit(main())
