# SPDX-License-Identifier: LGPL-2.1-or-later
"""Runs the program `tern` on SmolLM2-135M-Instruct Q4_1 and compares it with llama.cpp. Prints TAP.

usage: smollm2.py TERN GREEDY.json

The model is named by TERN_SMOLLM2 or lies where bench/fetch_smollm2.sh puts it; without it everything is skipped.
GREEDY.json (bench/llamacpp.py record) holds for 20 prompts the ids that llama.cpp makes of the text, 64 greedy ids of
the file as it is, with the next best ids and how far behind they are, and 64 of the same weights expanded to float.

- Prompts and their ids must be equal.
- With float activations the likeliest id must be the float run's, at all 64 steps, but where its margin is below EXACT.
- As it runs, greedy ids must be llama.cpp's up to the first near tie: our own margin with float activations and
  llama.cpp's are both below NEAR. The noise of its 8-bit activations is .09 to .16 logits (standard deviation), of ours
  .04; llama.cpp parts from its own float run in 15 of the 20.
"""
import array
import hashlib
import json
import os
import pathlib
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from tap import plan, point  # noqa: E402

NEAR, EXACT = 0.5, 0.02
TERN, ABOUT = os.path.abspath(sys.argv[1]), json.loads(pathlib.Path(sys.argv[2]).read_text(encoding="utf8"))
CACHE = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "tern"
MODEL = pathlib.Path(os.environ.get("TERN_SMOLLM2") or CACHE / ABOUT["model"])


def run(*args, data=None):
    return subprocess.run([TERN, *map(str, args)], input=data, capture_output=True, check=True).stdout.decode()


def float_rows(folder, tokens):
    """Our logits after each of the tokens, with float activations."""
    width = ABOUT["vocabulary"]
    (folder / "ids").write_text(" ".join(map(str, tokens)))
    run("logits", "--model", MODEL, "--tokens", folder / "ids", "--output", folder / "rows.npy", "--activations", "f32")
    values = array.array("f", (folder / "rows.npy").read_bytes()[-4 * width * len(tokens):])
    return [values[i * width:(i + 1) * width] for i in range(len(tokens))]


def check_prompt(folder, case):
    if case["chat"]:
        (folder / "messages").write_text(json.dumps({"messages": [{"role": "user", "content": case["prompt"]}],
                                                     "add_generation_prompt": True}))
        if run("prompt", "--model", MODEL, "--messages", folder / "messages") != case["text"]:
            return "the prompt differs"
    ids = run("tokenize", "--model", MODEL, "--special", data=case["text"].encode()).split()
    return None if ids == [str(i) for i in case["tokens"]] else "the ids of the prompt differ"


def check_exact(folder, case):
    rows = float_rows(folder, case["tokens"] + case["exact"][:-1])[len(case["tokens"]) - 1:]
    best = [max(range(len(row)), key=row.__getitem__) for row in rows]
    for step, (ours, theirs) in enumerate(zip(best, case["exact"])):
        if ours != theirs and rows[step][ours] - rows[step][theirs] >= EXACT:
            return f"float: step {step} is {ours}, expected {theirs}"
    return None


def check_greedy(folder, case):
    """What is wrong, and how many ids are equal."""
    theirs = case["greedy"]
    (folder / "ids").write_text(" ".join(map(str, case["tokens"])))
    ours = [int(i) for i in run("logits", "--model", MODEL, "--tokens", folder / "ids", "--greedy", len(theirs)).split()]
    if ours == theirs:
        return None, len(theirs)
    same = next(i for i, (a, b) in enumerate(zip(ours, theirs)) if a != b)
    row = float_rows(folder, case["tokens"] + theirs[:same])[-1]
    own = abs(row[ours[same]] - row[theirs[same]])
    other = dict(case["behind"][same]).get(ours[same], float("inf"))
    print(f"# they part at step {same}: margins {own:.3f} (ours, float), {other:.3f} (llama.cpp)")
    return (None if own < NEAR and other < NEAR else f"step {same} differs and is no near tie"), same


def main():
    if not MODEL.exists():
        print(f"1..0 # SKIP {MODEL} is not there; bench/fetch_smollm2.sh brings it, TERN_SMOLLM2 names another place")
        return
    if hashlib.sha256(MODEL.read_bytes()).hexdigest() != ABOUT["sha256"]:
        print(f"1..0 # SKIP {MODEL} is another file than {ABOUT['reference']} was run on")
        return
    equal = 0
    with tempfile.TemporaryDirectory() as folder:
        for case in ABOUT["cases"]:
            same = 0
            wrong = check_prompt(pathlib.Path(folder), case) or check_exact(pathlib.Path(folder), case)
            if not wrong:
                wrong, same = check_greedy(pathlib.Path(folder), case)
            equal += same == len(case["greedy"])
            point(not wrong, f"{same} equal ids: {wrong or case['prompt']!r}")
    print(f"# {equal} of {len(ABOUT['cases'])} equal over all {len(ABOUT['cases'][0]['greedy'])} steps")
    plan()


main()
