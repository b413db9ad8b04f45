# SPDX-License-Identifier: LGPL-2.1-or-later
"""Runs the program `tern` on SmolLM2-135M-Instruct Q4_1 and compares ids with llama.cpp's. Prints TAP.

usage: smollm2.py TERN GREEDY.json

The model is named by TERN_SMOLLM2 or lies where bench/fetch_smollm2.sh puts it; without it everything is skipped. Ids of
20 prompts must be equal, and so must 64 greedy ids of each up to the first near tie: a step where our own margin with
float activations and llama.cpp's are both below NEAR.
"""
import hashlib
import json
import os
import pathlib
import subprocess
import sys
import tempfile

NEAR = 0.5                      # logits; their noise from 4-bit products with 8-bit activations is some 0.1
TERN, ABOUT = os.path.abspath(sys.argv[1]), json.loads(pathlib.Path(sys.argv[2]).read_text(encoding="utf8"))
CACHE = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "tern"
MODEL = pathlib.Path(os.environ.get("TERN_SMOLLM2") or CACHE / ABOUT["model"])


def run(*args, data=None):
    return subprocess.run([TERN, *map(str, args)], input=data, capture_output=True, check=True).stdout.decode()


def point(number, good, what):
    print("ok" if good else "not ok", number, "-", what, flush=True)


def row_margin(path, a, b):
    """The margin of id a over id b in the last row of a float32 .npy file."""
    import array
    values = array.array("f", pathlib.Path(path).read_bytes()[-4 * ABOUT["vocabulary"]:])
    return values[a] - values[b]


def margin(folder, tokens, a, b):
    (folder / "ids").write_text(" ".join(map(str, tokens)))
    run("logits", "--model", MODEL, "--tokens", folder / "ids", "--output", folder / "row.npy", "--activations", "f32")
    return row_margin(folder / "row.npy", a, b)


def check(folder, case):
    """What differs, or how many greedy ids are equal and the two margins where they part."""
    text = case["text"].encode()
    if case["chat"]:
        (folder / "messages").write_text(json.dumps({"messages": [{"role": "user", "content": case["prompt"]}],
                                                     "add_generation_prompt": True}))
        if run("prompt", "--model", MODEL, "--messages", folder / "messages").encode() != text:
            return "the prompt differs", 0
    if run("tokenize", "--model", MODEL, "--special", data=text).split() != [str(i) for i in case["tokens"]]:
        return "the ids of the prompt differ", 0
    theirs = case["greedy"]["tokens"]
    (folder / "ids").write_text(" ".join(map(str, case["tokens"])))
    ours = [int(i) for i in run("logits", "--model", MODEL, "--tokens", folder / "ids", "--greedy", len(theirs)).split()]
    if ours == theirs:
        return None, len(theirs)
    same = next(i for i, (a, b) in enumerate(zip(ours, theirs)) if a != b)
    float_margin = abs(margin(folder, case["tokens"] + theirs[:same], theirs[same], ours[same]))
    other = case["greedy"]["margin"][same] if ours[same] == case["greedy"]["second"][same] else float("inf")
    print(f"# they part at step {same}: margins {float_margin:.3f} (ours, float), {other:.3f} (llama.cpp)")
    return (None if float_margin < NEAR and other < NEAR else f"step {same} differs and is no near tie"), same


def main():
    if not MODEL.exists():
        print(f"1..0 # SKIP {MODEL} is not there; bench/fetch_smollm2.sh brings it, TERN_SMOLLM2 names another place")
        return
    if hashlib.sha256(MODEL.read_bytes()).hexdigest() != ABOUT["sha256"]:
        print(f"1..0 # SKIP {MODEL} is another file than {ABOUT['reference']} was run on")
        return
    equal = 0
    with tempfile.TemporaryDirectory() as folder:
        for i, case in enumerate(ABOUT["cases"]):
            wrong, same = check(pathlib.Path(folder), case)
            equal += same == len(case["greedy"]["tokens"])
            point(i + 1, not wrong, f"{same} equal ids: {wrong or case['prompt']!r}")
    print(f"# {equal} of {len(ABOUT['cases'])} equal over all {len(ABOUT['cases'][0]['greedy']['tokens'])} steps")
    print(f"1..{len(ABOUT['cases'])}")


main()
