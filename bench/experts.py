# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a mixture of experts costs by what it uses, not by what it has: decoding and memory of a dense model and of two
mixtures whose experts in use are as large, one with four times the experts of the other. Needs numpy.

python bench/experts.py --folder DIR [--tern build/tools/tern] [--type Q8_0]

The files are made by random_model.py (1.6 GB as Q8_0). Time: of a token by `tern bench`, and the share of what memory allows,
in turn, medians of the rounds. Memory: the most that was resident at the end of so many tokens, pages of the mapped file
included.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys

from loading import run

HERE = os.path.dirname(os.path.abspath(__file__))
COMMON = ["--layers", "6", "--width", "1024", "--heads", "16", "--kv-heads", "8", "--vocab", "8192"]
MODELS = {
    "dense, 3,584 inside": ["lfm2-350m", *COMMON, "--ffn", "3584"],
    "4 of 16 experts of 896": ["lfm2-8b-a1b", *COMMON, "--dense-layers", "0", "--expert-ffn", "896", "--experts", "16"],
    "4 of 64 experts of 896": ["lfm2-8b-a1b", *COMMON, "--dense-layers", "0", "--expert-ffn", "896", "--experts", "64"],
}
TOKENS = (1, 4, 16, 64)


def main():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("--folder", required=True, help="for the files, which stay")
    a.add_argument("--tern", default=os.path.join(HERE, "..", "build", "tools", "tern"))
    a.add_argument("--type", default="Q8_0", help="of the weights, as random_model.py has them")
    a.add_argument("--threads", type=int, default=1)
    a.add_argument("--rounds", type=int, default=7)
    options = a.parse_args()

    paths = {}
    for i, (name, shape) in enumerate(MODELS.items()):
        paths[name] = os.path.join(options.folder, f"experts-{i}-{options.type.lower()}.gguf")
        if not os.path.exists(paths[name]):
            subprocess.run([sys.executable, os.path.join(HERE, "random_model.py"), shape[0], paths[name], *shape[1:],
                            "--type", options.type, "--embedding-type", "Q8_0"], check=True, stdout=subprocess.DEVNULL)
    times = {name: [] for name in MODELS}
    for _ in range(options.rounds):
        for name, path in paths.items():
            command = [options.tern, "bench", "--json", "--model", path, "--prefill", "16", "--decode", "64", "--depth", "0",
                       "--repeat", "1", "--threads", str(options.threads)]
            decode = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)["decode"]
            times[name].append([1000 / decode["value"], decode["share"]])
    medians = {name: [statistics.median(column) for column in zip(*rows)] for name, rows in times.items()}
    first = medians[next(iter(medians))]
    print("| model | file MB | ms a token | to dense | of the floor | " + " | ".join(f"MB after {n}" for n in TOKENS) + " tokens |")
    print("| --- " * (5 + len(TOKENS)) + "|")
    for name, path in paths.items():
        resident = [run(options.tern, "generate", "--threads", options.threads, "--raw", "--prompt", "A", "--max-tokens",
                        n, "--model", path).resident for n in TOKENS]
        ms = medians[name]
        print(f"| {name} | {os.path.getsize(path) / 1e6:.0f} | {ms[0]:.2f} | {ms[0] / first[0]:.2f} | "
              f"{100 * ms[1]:.0f} % | "
              + " | ".join(f"{r / 1e6:.0f}" for r in resident) + " |", flush=True)


if __name__ == "__main__":
    main()
