# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the type of the KV cache costs in captions: CIDEr-D of the photographs of a table with each type, and what is lost to F32,
file by file, with 95 % intervals. Uses the scorer of bench/eval (needs nothing beside Python).

python3 bench/kv_captions.py [--photos TAR|FOLDER --tsv TSV] [--folder DIR] [--types f32,int4] [-- OPTIONS OF tern caption]

--folder keeps each type's captions as TYPE.jsonl; what is there is not run again.
"""
import argparse
import os
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(ROOT, "bench", "eval"))
import captions as eval_captions  # noqa: E402
import files  # noqa: E402
import intervals  # noqa: E402
import scorers  # noqa: E402
import tables  # noqa: E402

TYPES = "f32,f16,int8,int8-rotated,int4,int4-rotated,int3,int3-rotated"
DATA = os.path.join(ROOT, "..", "shared", "data", "flickr8k")


def caption(tern, kv, paths, out, more):
    with open(out + ".part", "wb") as f:
        subprocess.run([tern, "caption", "--kv", kv, *more, *paths], stdout=f, check=True)
    os.replace(out + ".part", out)


def main():
    at = sys.argv.index("--") if "--" in sys.argv else len(sys.argv)
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tern", default=os.path.join(ROOT, "build", "tools", "tern"))
    parser.add_argument("--photos", default=os.path.join(DATA, "val.tar"))
    parser.add_argument("--tsv", default=os.path.join(DATA, "val.tsv"))
    parser.add_argument("--folder")
    parser.add_argument("--types", default=TYPES)
    options = parser.parse_args(sys.argv[1:at])
    if not os.path.exists(options.tsv):
        sys.exit(f"skipped: {options.tsv} is not there; give --photos and --tsv of your own")
    references = tables.groups(options.tsv)
    names = sorted(references)
    scorer = scorers.Own([references[n] for n in names])
    first, said = None, []
    print("| KV | CIDEr-D | less the first | equal captions |\n| --- | --- | --- | --- |")
    with files.opened(options.photos) as where, tempfile.TemporaryDirectory() as temporary:
        for kv in options.types.split(","):
            kept = os.path.join(options.folder or temporary, kv + ".jsonl")
            if not os.path.exists(kept):
                caption(options.tern, kv, where(names), kept, sys.argv[at + 1:])
            found = eval_captions.said(kept, names)
            each = scorer.cider_each(found)
            first, said = first or each, said or found
            score, lost = intervals.mean(each), intervals.paired(each, first)
            print(f"| {kv} | {score[0]:.4f} [{score[1]:.3f}, {score[2]:.3f}] | {lost[0]:+.4f} [{lost[1]:+.4f}, {lost[2]:+.4f}] "
                  f"| {sum(a == b for a, b in zip(said, found))} of {len(names)} |", flush=True)


if __name__ == "__main__":
    main()
