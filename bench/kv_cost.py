# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the type of the KV cache costs: NMSE of logits against a golden set's, for every case and type. Needs numpy.

python bench/kv_cost.py --tern build/tools/tern ../shared/golden/lfm2/lfm2-f32.json tests/golden/data/lfm2/lfm2-tq2_0.json
"""

import argparse
import json
import pathlib
import subprocess
import tempfile

import numpy as np

TYPES = "f32", "f16", "int8", "int8-rotated", "int4", "int4-rotated", "int3", "int3-rotated"


def nmse(tern, model, case, kv, folder):
    with tempfile.TemporaryDirectory() as temporary:
        ids, out = pathlib.Path(temporary, "ids"), pathlib.Path(temporary, "out.npy")
        ids.write_text(" ".join(map(str, case["tokens"])))
        subprocess.run([tern, "logits", "--model", model, "--tokens", ids, "--output", out, "--kv", kv], check=True)
        found = np.load(out).astype(np.float64)
    want = np.load(folder / case["logits"]).astype(np.float64)
    return ((found - want) ** 2).sum() / (want ** 2).sum()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tern", default="build/tools/tern")
    parser.add_argument("models", nargs="+", type=pathlib.Path, help="JSON files of a golden set")
    options = parser.parse_args()
    print("| model | tokens |", " | ".join(TYPES), "|\n| --- | --- |" + " --- |" * len(TYPES))
    for path in options.models:
        golden = json.loads(path.read_text())
        # Ternary files: computed with the rounding of activations that runs; else without.
        for case in golden.get("cases_a8") or golden["cases"]:
            if (path.parent / case.get("logits", "?")).is_file():
                cells = [f"{nmse(options.tern, path.parent / golden['gguf'], case, kv, path.parent):.1e}" for kv in TYPES]
                print(f"| {path.stem} | {len(case['tokens'])} |", " | ".join(cells), "|")


if __name__ == "__main__":
    main()
