# SPDX-License-Identifier: LGPL-2.1-or-later
"""What dropping visual tokens costs: CIDEr-D, tokens kept and time, on the clips that make_clips.py made.

python bench/compress_table.py --tern build/tools/tern --clips DIR [--threads N]

Rows: no compression; DyCoke's merging and a random choice of as many tokens at ratios .5 and .7; each with and
without pruning of keys while decoding. One caption a clip (8 frames, window 4 s at 2 a second). The error is the
standard error of the paired difference to the first row.
"""

import argparse
import json
import os
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "training"))
import cider  # noqa: E402

SETTINGS = [("none", 0.0, 0.0), ("none", 0.0, 0.7)] + [
    (method, ratio, prune) for method in ("dycoke", "random") for ratio in (0.5, 0.7) for prune in (0.0, 0.7)
]


def clips(folder):
    """{file: [references of shot 0, of shot 1, ...]}"""
    out = {}
    with open(os.path.join(folder, "references.tsv"), encoding="utf8") as f:
        for line in f:
            name, shot, caption = line.rstrip("\n").split("\t", 2)
            shots = out.setdefault(name, [])
            while len(shots) <= int(shot):
                shots.append([])
            shots[int(shot)].append(caption)
    return out


def run(options, names, method, ratio, prune):
    command = [options.tern, "caption", "--format", "jsonl", "--model", options.model, "--mmproj", options.mmproj,
               "--compress", method, "--kv-prune", str(prune), "--window", "4", "--frame-rate", "2/1"]
    if method != "none":
        command += ["--merge-ratio", str(ratio)]
    if options.threads:
        command += ["--threads", str(options.threads)]
    start = time.monotonic()
    done = subprocess.run(command + [os.path.join(options.clips, n) for n in names], stdout=subprocess.PIPE, text=True)
    seconds = time.monotonic() - start
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {done.returncode}")
    said = {}
    for line in done.stdout.splitlines():
        if line.strip():
            record = json.loads(line)
            said.setdefault(os.path.basename(record["source"]), record)
    missing = [n for n in names if n not in said]
    if missing:
        raise SystemExit(f"no caption of {missing[0]} and {len(missing) - 1} others")
    return said, seconds


def main():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("--tern", default=os.path.join(HERE, "..", "build", "tools", "tern"))
    a.add_argument("--model", default=os.path.join(HERE, "..", "models", "tern-captioner-4m-tq2_0.gguf"))
    a.add_argument("--mmproj", default=os.path.join(HERE, "..", "models", "mmproj-tern-captioner-4m-f16.gguf"))
    a.add_argument("--clips", required=True)
    a.add_argument("--kind", help="only the clips whose names begin with this")
    a.add_argument("--threads", type=int)
    options = a.parse_args()
    table = {n: s for n, s in clips(options.clips).items() if n.startswith(options.kind or "")}
    names = sorted(table)
    # One scorer over all shots: document frequencies do not depend on the kind of clip.
    shots, where = [], {}
    for n in names:
        where[n] = range(len(shots), len(shots) + len(table[n]))
        shots += [[cider.tokens(c) for c in group] for group in table[n]]
    scorer = cider.CiderD(shots)
    kinds = sorted({n.split("-")[0] for n in names})
    print(f"{len(names)} clips in {options.clips}")
    print(f"{'compress':9} {'ratio':>5} {'prune':>5} {'kept':>6} {'of':>6} {'CIDEr-D':>8} {'paired':>8} {'error':>6} {'ms/clip':>8}"
          + "".join(f" {k:>7}" for k in kinds))
    first = None
    for method, ratio, prune in SETTINGS:
        said, seconds = run(options, names, method, ratio, prune)
        each = []
        for n in names:
            words = cider.tokens(said[n]["result"])
            each.append(sum(scorer.score(i, words) for i in where[n]) / len(where[n]))
        first = first or each
        delta = [x - y for x, y in zip(each, first)]
        mean = sum(delta) / len(delta)
        error = (sum((d - mean) ** 2 for d in delta) / max(1, len(delta) - 1) / len(delta)) ** 0.5
        kept = sum(said[n].get("visual_kept", 0) for n in names) / len(names)
        all_ = sum(said[n].get("visual_in", 0) for n in names) / len(names)
        by = [[e for n, e in zip(names, each) if n.startswith(k + "-")] for k in kinds]
        print(f"{method:9} {ratio:5.2f} {prune:5.2f} {kept:6.1f} {all_:6.1f} {sum(each) / len(each):8.4f} {mean:+8.4f} {error:6.4f} "
              f"{1000 * seconds / len(names):8.1f}" + "".join(f" {sum(b) / len(b):7.4f}" for b in by), flush=True)


if __name__ == "__main__":
    main()
