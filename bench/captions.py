# SPDX-License-Identifier: LGPL-2.1-or-later
"""Caption the 500 validation photographs with a tern binary and score it beside the baselines.

python bench/captions.py --tern build/tools/tern --model models/tern-captioner-4m-tq2_0.gguf \\
    --mmproj models/mmproj-tern-captioner-4m-f16.gguf [--beam 3] [--output captions.jsonl]
python bench/captions.py --captions some.jsonl          score captions that exist already

Baselines need no model: the caption that is most like all the others, one human caption against the other four.
With --paired FILE (JSON lines of the training code) the two are compared photograph by photograph. Two JPEG decoders
differ in how they enlarge the colour planes, which moves the visual tokens by 1e-3 of their energy and some words with
them; --png takes that out of the comparison.
"""

import argparse
import json
import os
import subprocess
import sys
import tarfile
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "training"))
import cider  # noqa: E402


def references(path):
    out = {}
    with open(path, encoding="utf8") as f:
        for line in f:
            name, caption = line.rstrip("\n").split("\t", 1)
            out.setdefault(name, []).append(caption)
    return out


def results(lines):
    out = {}
    for line in lines:
        if line.strip():
            record = json.loads(line)
            out.setdefault(os.path.basename(record["source"]), record["result"])
    return out


def run(options, archive, names):
    with tempfile.TemporaryDirectory() as folder:
        with tarfile.open(archive) as tar:
            tar.extractall(folder, filter="data")
        where = {f: os.path.join(root, f) for root, _, files in os.walk(folder) for f in files}
        if options.png:
            from PIL import Image

            for name in names:
                Image.open(where[name]).convert("RGB").save(where[name] + ".png", compress_level=1)
                where[name] += ".png"
        command = [options.tern, "caption", "--format", "jsonl", "--model", options.model, "--mmproj", options.mmproj]
        if options.beam > 1:
            command += ["--beam", str(options.beam)]
        if options.prompt is not None:
            command += ["--prompt", options.prompt]
        if options.threads:
            command += ["--threads", str(options.threads)]
        start = time.monotonic()
        done = subprocess.run(command + [where[n] for n in names], stdout=subprocess.PIPE, text=True)
        seconds = time.monotonic() - start
    if done.returncode:
        raise SystemExit(f"{options.tern} ended with {done.returncode}")
    return {n.removesuffix(".png"): r for n, r in results(done.stdout.splitlines()).items()}, seconds


def row(label, captions, groups):
    score, bleu, each = cider.corpus(captions, groups)
    words = sum(len(c.split()) for c in captions) / len(captions)
    print(f"{label:44} {score:8.4f} {bleu:7.4f} {len(set(captions)):6} {words:6.2f}")
    return each


def main():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("--data", default=os.path.join(HERE, "..", "..", "shared", "data"))
    a.add_argument("--tern", default=os.path.join(HERE, "..", "build", "tools", "tern"))
    a.add_argument("--model", default=os.path.join(HERE, "..", "models", "tern-captioner-4m-tq2_0.gguf"))
    a.add_argument("--mmproj", default=os.path.join(HERE, "..", "models", "mmproj-tern-captioner-4m-f16.gguf"))
    a.add_argument("--prompt", help="instead of the program's default")
    a.add_argument("--beam", type=int, default=1)
    a.add_argument("--threads", type=int)
    a.add_argument("--captions", help="JSON lines to score instead of running anything")
    a.add_argument("--paired", help="JSON lines of another run, compared photograph by photograph")
    a.add_argument("--output", help="keep the captions as JSON lines")
    a.add_argument("--png", action="store_true", help="hand over PNG made by Pillow: leaves the JPEG decoder out of --paired")
    a.add_argument("--limit", type=int, help="the first N photographs only")
    options = a.parse_args()

    refs = references(os.path.join(options.data, "flickr8k", "val.tsv"))
    names = sorted(refs)[: options.limit]
    groups = [refs[n] for n in names]
    seconds = None
    if options.captions:
        with open(options.captions, encoding="utf8") as f:
            said = results(f)
    else:
        said, seconds = run(options, os.path.join(options.data, "flickr8k", "val.tar"), names)
    missing = [n for n in names if n not in said]
    captions = [said.get(n, "nothing") for n in names]
    if options.output:
        with open(options.output, "w", encoding="utf8") as f:
            for n, c in zip(names, captions):
                f.write(json.dumps({"source": n, "result": c}) + "\n")

    print(f"{len(names)} photographs, {len(missing)} without a caption"
          + (f", {1000 * seconds / len(names):.1f} ms a photograph with start-up" if seconds else ""))
    print(f"{'':44} {'CIDEr-D':>8} {'BLEU-4':>7} {'diff.':>6} {'words':>6}")
    each = row(options.captions or f"{options.tern} beam {options.beam}", captions, groups)
    if options.paired:
        with open(options.paired, encoding="utf8") as f:
            other = results(f)
        theirs = row(options.paired, [other[n] for n in names], groups)
        delta = [x - y for x, y in zip(each, theirs)]
        mean = sum(delta) / len(delta)
        error = (sum((d - mean) ** 2 for d in delta) / (len(delta) - 1) / len(delta)) ** 0.5
        same = sum(said.get(n) == other[n] for n in names)
        print(f"{'difference':44} {mean:+8.4f} +- {error:.4f}, {same} captions equal")
    tokens = [cider.tokens(r) for group in groups for r in group]
    scorer = cider.CiderD([[cider.tokens(r) for r in group] for group in groups])
    best = max(range(0, len(tokens), 5), key=lambda i: sum(scorer.score(k, tokens[i]) for k in range(len(groups))))
    row("one caption for all (the best of the references)", [" ".join(tokens[best])] * len(names), groups)
    row("human caption 1 against the other 4", [g[0] for g in groups], [g[1:] for g in groups])


if __name__ == "__main__":
    main()
