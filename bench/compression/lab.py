# SPDX-License-Identifier: LGPL-2.1-or-later
"""What is run on which clips, and what is said of it."""
import argparse
import json
import os
import random

import clips
import compression
import intervals
import program
import scorers
from report import Report

METHODS = ("uniform", "random-any", "dycoke", "evs", "vidcom2", "v-cast", "visionzip", "sttm", "holitom", "fastvid", "flashvid",
           "cdpruner", "mean")
# name: (what a reader is told, options); every method is given the same
BUDGETS = {"default": ("46 %: merge ratio .7, as by default", ("--merge-ratio", "0.7")),
           "quarter": ("25 %: merge ratio 1", ("--merge-ratio", "1")),
           "fifteen": ("15 tokens a frame: `max-tokens-per-frame` 15", ("--merge-ratio", "0", "--max-tokens-per-frame", "15"))}
RANDOM = "random-any"
ALL = ("none", "0")
# what a user might have by default: (method, kv-prune, budget); the second, which is the default, is compared with the others
BETWEEN = {"between": ("39 %: merge ratio .8", ("--merge-ratio", "0.8"))}
RATIOS = {name: arguments[1] for name, (_, arguments) in {**BUDGETS, **BETWEEN}.items()}
DEFAULTS = (("none", "0", "default"), ("dycoke", "0", "default"), ("none", "0.7", "default"), ("dycoke", "0.7", "default"),
            ("v-cast", "0.7", "between"), ("v-cast", "0", "between"), ("v-cast", "0", "quarter"), ("mean", "0", "quarter"))
CHANCE = .95                    # of other clips' captions score lower against an event's references than one that tells it
STAGES = (("vision", "prepare_embeddings_duration_mean"), ("compression", "compress_duration"), ("prefill", "prefill_duration"),
          ("decode", "decode_duration"))


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
        self.events = [i for i, n in enumerate(names) if len(self.table[n]) > 1]
        self.bars = None
        self.tern = program.Program(options.tern, options.model, options.mmproj, ["--threads", "1", *options.extra])
        self.done, self.keep = {}, options.keep

    def kept(self, name, ask):
        """What was said, of an earlier run where it was kept."""
        path = self.keep and os.path.join(self.keep, f"{name}.json")
        if path and os.path.exists(path):
            with open(path, encoding="utf8") as f:
                return json.load(f)
        found = ask()
        if path:
            os.makedirs(self.keep, exist_ok=True)
            with open(path, "w", encoding="utf8") as f:
                json.dump(found, f)
        return found

    def missed(self, captions):
        """For each clip in which something comes (a second photograph): 1, it is not told. Told is what scores above
        the captions of other clips, those of the first setting, against the same references."""
        words = [scorers.cider.tokens(c) for c in captions]
        if self.bars is None:
            rng = random.Random(1)
            others = {i: rng.sample([j for j in range(len(words)) if j != i], min(100, len(words) - 1)) for i in self.events}
            self.bars = {i: intervals.quantile(sorted(self.event_score(i, words[j]) for j in others[i]), CHANCE)
                         for i in self.events}
        return [float(self.event_score(i, words[i]) <= self.bars[i]) for i in self.events]

    def event_score(self, clip, words):
        return self.scorer.cider.score(self.scorer.at[clip][-1], words)

    def run(self, method, prune, budget):
        """A setting's figures, measured once."""
        key = (method, prune, budget if method != "none" else None)
        if key not in self.done:
            program.say(f"{method}, {budget}, kv-prune {prune}")
            files = [os.path.join(self.folder, n) for n in self.names]
            amount = {**BUDGETS, **BETWEEN}[budget][1] if method != "none" else ()
            found = self.kept("-".join(map(str, key)),
                              lambda: self.tern.ask(files, "--compress", method, "--kv-prune", prune, "--window", "4",
                                                    "--frame-rate", "2/1", "--metrics", *amount))
            self.done[key] = Setting(self, found)
        return self.done[key]


class Setting:
    def __init__(self, lab, found):
        first = [f[0] if f else {} for f in found]
        captions = [f.get("result", "nothing") for f in first]
        self.each, self.missed = lab.scorer.each(captions), lab.missed(captions)
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


def row(lab, method, prune, budget, beside, name=None):
    """`beside`: the setting that it is compared with clip by clip, or None."""
    setting, whole = lab.run(method, prune, budget), lab.run(*ALL, budget)
    against = intervals.paired(setting.each, lab.run(*beside).each) if beside and beside != (method, prune, budget) else None
    kept = setting.kept
    return [name or method, f"{sum(kept) / len(kept):.1f}", max(kept), intervals.mean(setting.each), share(setting.each, whole.each),
            against, verdict(against) if against else None, intervals.mean(setting.missed) if setting.missed else None, *setting.kinds, *setting.stages]


def first_of(lab, methods, budget):
    """Which method is first, and which ones cannot be told from it."""
    each = {m: lab.run(m, "0", budget).each for m in methods}
    best = max(methods, key=lambda m: sum(each[m]))
    like = [m for m in methods if m != best and verdict(intervals.paired(each[best], each[m])) != "better"]
    return (f"{BUDGETS[budget][0]}: {best} has the highest mean; not told apart from it, clip by clip: {', '.join(like) or 'none'}.")


def report_of(options, lab):
    report = Report("compression laboratory", {"clips": f"{len(lab.names)} ({', '.join(lab.kinds)}), one window of 8 frames each",
                    "seeds": "clips 1, bootstrap 1",
                    **({"options": " ".join(options.extra)} if options.extra else {})}, lab.tern.origin())
    columns = ["method", "tokens", "most of a window", "CIDEr-D", "share of all tokens'", "less {}", "", "events missed", *lab.kinds, *(f"{name} ms" for name, _ in STAGES)]
    for budget in options.budgets:
        chance = (RANDOM, "0", budget)
        rows = [row(lab, *ALL, budget, None)] + [row(lab, method, "0", budget, chance) for method in options.methods]
        report.table(f"{BUDGETS[budget][0]}; all keys attended to", [c.format(RANDOM) for c in columns], rows)
        report.note(first_of(lab, options.methods, budget))
    if {"default", "quarter"} <= set(options.budgets):
        rows = [row(lab, *setting, DEFAULTS[1], f"{setting[0]}, {RATIOS[setting[2]]}, {setting[1]}") for setting in DEFAULTS]
        report.table("What might be the default: method, merge ratio, kv-prune", [c.format("the second row") for c in columns], rows)
    return report
