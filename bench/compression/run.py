#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The compression laboratory: every method at the same budgets, on clips with known events; writes docs/compression.md.

usage: run.py [--clips DIR] [--count 100] [--model GGUF --mmproj GGUF] [--methods A,B,...] [--budgets A,B,...] [--json F]
              [--write] [-- OPTIONS OF tern caption]

Without --clips they are made of the photographs in ../shared/data, as `bench/eval/run.py clips` does it (Pillow, ffmpeg),
--count of each kind, in a folder that goes away again; DIR is made where it is not there, and taken as it is where it is. One
process of `tern caption` asks about all clips at one setting, with one thread: some 30 s for 300 clips of the bundled model.
--write puts the tables and the plot into docs/compression.md and docs/compression.svg.
"""
import argparse
import os
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "bench", "eval"))
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import clips  # noqa: E402
import compression  # noqa: E402
import intervals  # noqa: E402
import page  # noqa: E402
import program  # noqa: E402
import tables  # noqa: E402
from report import Report  # noqa: E402

METHODS = ("uniform", "random-any", "random", "dycoke", "evs", "vidcom2", "v-cast", "visionzip", "sttm", "holitom", "fastvid", "flashvid",
           "cdpruner", "mean", "vla-cache")
# name: (what a reader is told, options); every method is given the same
BUDGETS = {"default": ("merge ratio .7, as by default", ("--merge-ratio", "0.7")),
           "quarter": ("25 %: merge ratio 1", ("--merge-ratio", "1")),
           "fifteen": ("15 tokens a frame: `max-tokens-per-frame` 15", ("--merge-ratio", "0", "--max-tokens-per-frame", "15"))}
RANDOM = "random-any"
ALL, PRUNED = ("none", "0"), ("none", "0.7")
STAGES = (("vision", "prepare_embeddings_duration_mean"), ("compression", "compress_duration"), ("prefill", "prefill_duration"),
          ("decode", "decode_duration"))


def parse():
    at = sys.argv.index("--") if "--" in sys.argv else len(sys.argv)
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", help="a folder of clips with references.tsv; made where it is not there")
    parser.add_argument("--count", type=int, default=100, help="clips of each kind that are made (100)")
    parser.add_argument("--data", default=os.path.join(ROOT, "..", "shared", "data"), help="(../shared/data)")
    parser.add_argument("--tern", help="the program (build/tools/tern, or the installed one)")
    parser.add_argument("--model", help="GGUF of the language model (what the program finds by itself)")
    parser.add_argument("--mmproj", help="GGUF of the vision encoder")
    parser.add_argument("--methods", default=",".join(METHODS), help="(%(default)s)")
    parser.add_argument("--budgets", default=",".join(BUDGETS), help="(%(default)s)")
    parser.add_argument("--limit", type=int, help="every so many clips only that as many are left")
    parser.add_argument("--json", help="keep the report here")
    parser.add_argument("--write", action="store_true", help="write docs/compression.md and docs/compression.svg")
    options = parser.parse_args(sys.argv[1:at])
    options.extra = sys.argv[at + 1:]
    options.methods, options.budgets = options.methods.split(","), options.budgets.split(",")
    for budget in options.budgets:
        if budget not in BUDGETS:
            parser.error(f"--budgets: expected some of {', '.join(BUDGETS)}, found {budget}")
    return options


def make_clips(options, folder):
    """The folder of clips, made if need be."""
    if options.clips and os.path.exists(os.path.join(options.clips, "references.tsv")):
        return options.clips
    made = argparse.Namespace(tsv=os.path.join(options.data, "flickr8k", "val.tsv"),
                              files=os.path.join(options.data, "flickr8k", "val.tar"), output=options.clips or folder,
                              count=options.count, kinds=",".join(clips.KINDS), seed=1, limit=None)
    clips.main(made)
    return made.output


class Lab:
    """Clips, their scorer, and what each setting said of them."""

    def __init__(self, options, folder):
        self.table = compression.read(os.path.join(folder, "references.tsv"))
        names = sorted(self.table)
        if options.limit:
            names = [names[i * len(names) // options.limit] for i in range(min(options.limit, len(names)))]
        self.names, self.folder = names, folder
        self.kinds = sorted({n.split("-")[0] for n in names})
        self.scorer = compression.Scorer(self.table, names)
        self.tern = program.Program(options.tern, options.model, options.mmproj, ["--threads", "1", *options.extra])
        self.done = {}

    def run(self, method, prune, budget):
        """A setting's figures, measured once."""
        key = (method, prune, budget if method != "none" else None)
        if key not in self.done:
            program.say(f"{method}, {budget}, kv-prune {prune}")
            found = self.tern.ask([os.path.join(self.folder, n) for n in self.names], "--compress", method, "--kv-prune", prune,
                                  "--window", "4", "--frame-rate", "2/1", "--metrics",
                                  *(BUDGETS[budget][1] if method != "none" else ()))
            self.done[key] = Setting(self, found)
        return self.done[key]


class Setting:
    def __init__(self, lab, found):
        first = [f[0] if f else {} for f in found]
        self.each = lab.scorer.each([f.get("result", "nothing") for f in first])
        self.kept = [f.get("visual_kept", 0) for f in first]
        self.whole = [f.get("visual_in", 0) for f in first]
        self.frames = [f.get("frames", 0) for f in first]
        self.stages = [sum(f.get("metrics", {}).get(key, 0) for f in first) / len(first) for _, key in STAGES]
        self.kinds = [sum(e for n, e in zip(lab.names, self.each) if n.startswith(kind)) /
                      max(1, sum(n.startswith(kind) for n in lab.names)) for kind in lab.kinds]

    def mean(self):
        return sum(self.each) / len(self.each)


def share(ours, theirs):
    """[ratio, low, high] of sums over the same clips."""
    ratio = sum(ours) / max(1e-9, sum(theirs))
    found = intervals.bootstrap(len(ours), lambda at: sum(ours[i] for i in at) / max(1e-9, sum(theirs[i] for i in at)))
    return [ratio, *(found or (ratio, ratio))]


def verdict(difference):
    return "better" if difference[1] > 0 else "worse" if difference[2] < 0 else "not told apart"


def row(lab, method, prune, budget):
    setting, whole, random = lab.run(method, prune, budget), lab.run(*ALL, budget), lab.run(RANDOM, prune, budget)
    against = intervals.paired(setting.each, random.each) if method not in (RANDOM, "none") else None
    kept = setting.kept
    return [method, f"{sum(kept) / len(kept):.1f}", max(kept), intervals.mean(setting.each), share(setting.each, whole.each),
            against, verdict(against) if against else None, *setting.kinds, *setting.stages]


def report_of(options, lab):
    report = Report("compression laboratory", {"clips": f"{len(lab.names)} ({', '.join(lab.kinds)}), one window of 8 frames each",
                    "seeds": "clips 1, bootstrap 1",
                    **({"options": " ".join(options.extra)} if options.extra else {})}, lab.tern.origin())
    columns = ["method", "tokens", "most of a window", "CIDEr-D", "share of all tokens'", f"less {RANDOM}", "",
               *lab.kinds, *(f"{name} ms" for name, _ in STAGES)]
    for budget in options.budgets:
        rows = [row(lab, *ALL, budget)] + [row(lab, method, "0", budget) for method in options.methods]
        report.table(f"{BUDGETS[budget][0]}, all keys attended to", columns, rows)
    if "default" in options.budgets:
        best = [m for m in ("dycoke", "mean") if m in options.methods]
        rows = [row(lab, *ALL, "default"), row(lab, *PRUNED, "default")] + [row(lab, m, "0.7", "default") for m in best]
        report.table("kv-prune 0.7 beside the first row's 0: what pruning of keys costs", columns, rows)
    return report


def main():
    options = parse()
    try:
        with tempfile.TemporaryDirectory(prefix="tern-clips-") as folder:
            lab = Lab(options, make_clips(options, folder))
            report = report_of(options, lab)
    except tables.Wrong as wrong:
        program.say(f"run.py: {wrong}")
        return 2
    report.print()
    if options.json:
        report.write(options.json)
    if options.write:
        page.write(report.data, os.path.join(ROOT, "docs"))
    return 1 if lab.tern.failed else 0


if __name__ == "__main__":
    sys.exit(main())
