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
BUDGETS = {"default": ("39 %: merge ratio .8, as by default", ("--merge-ratio", "0.8")),
           "quarter": ("25 %: merge ratio 1", ("--merge-ratio", "1")),
           "fifteen": ("15 tokens a frame: `max-tokens-per-frame` 15", ("--merge-ratio", "0", "--max-tokens-per-frame", "15"))}
RANDOM = "random-any"
ALL = ("none", "0")
# what a user might have by default: METHOD:RATIO[:KV-PRUNE]; the first one is what the others are compared with
DEFAULTS = "dycoke:0.8,dycoke:0.8:0.7,dycoke:0.7,none:0:0.7,v-cast:0.8,visionzip:0.9,v-cast:1,mean:1"
CHANCE = .95                    # of other clips' captions score lower against an event's references than one that tells it
STAGES = (("vision", "prepare_embeddings_duration_mean"), ("compression", "compress_duration"), ("prefill", "prefill_duration"),
          ("decode", "decode_duration"))


def make_clips(options, folder):
    """The folders of clips; one is made if need be."""
    there = (options.clips or folder).split(",")
    if len(there) > 1 or os.path.exists(os.path.join(there[0], "references.tsv")):
        return there
    made = argparse.Namespace(tsv=os.path.join(options.data, "flickr8k", "val.tsv"),
                              files=os.path.join(options.data, "flickr8k", "val.tar"), output=there[0],
                              count=options.count, kinds=",".join(clips.KINDS), seed=options.seed, limit=None)
    clips.main(made)
    return there


def kind(name):
    return os.path.basename(name).split("-")[0]


class Lab:
    """Clips, their scorer, and what each setting said of them."""

    def __init__(self, options, folders):
        self.table = {os.path.join(folder, name): shots for folder in folders
                      for name, shots in compression.read(os.path.join(folder, "references.tsv")).items()}
        names = sorted(self.table)
        if options.limit:
            names = [names[i * len(names) // options.limit] for i in range(min(options.limit, len(names)))]
        self.names, self.folders = names, folders
        self.kinds = sorted({kind(n) for n in names})
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
            amount = BUDGETS[budget][1] if budget in BUDGETS else ("--merge-ratio", budget)
            found = self.kept("-".join(map(str, key)),
                              lambda: self.tern.ask(self.names, "--compress", method, "--kv-prune", prune, "--window", "4",
                                                    "--frame-rate", "2/1", "--metrics", *(amount if method != "none" else ())))
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
        self.kinds = [sum(e for n, e in zip(lab.names, self.each) if kind(n) == k) / max(1, sum(kind(n) == k for n in lab.names))
                      for k in lab.kinds]

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
    return [name or method, f"{sum(kept) / len(kept):.1f}", max(kept), intervals.mean(setting.each),
            share(setting.each, whole.each),
            against, verdict(against) if against else None, intervals.mean(setting.missed) if setting.missed else None,
            *setting.kinds, *setting.stages]


def first_of(lab, methods, budget):
    """Which method is first, and which ones cannot be told from it."""
    each = {m: lab.run(m, "0", budget).each for m in methods}
    best = max(methods, key=lambda m: sum(each[m]))
    like = [m for m in methods if m != best and verdict(intervals.paired(each[best], each[m])) != "better"]
    return (f"{BUDGETS[budget][0]}: {best} has the highest mean; not told apart from it, clip by clip: "
            f"{', '.join(like) or 'none'}.")


def shares_of(lab, ours, theirs):
    """Of each folder's clips by themselves."""
    out = []
    for folder in lab.folders:
        at = [i for i, name in enumerate(lab.names) if os.path.dirname(name) == os.path.dirname(os.path.join(folder, ""))]
        out.append(share([ours[i] for i in at], [theirs[i] for i in at]))
    return out


def candidate(lab, setting, beside):
    """A row: beside all tokens, beside as many at random, and beside the first candidate."""
    method, ratio, prune = setting
    found, whole, first = lab.run(method, prune, ratio), lab.run(*ALL, "0"), lab.run(beside[0], beside[2], beside[1])
    chance = lab.run(RANDOM, "0", ratio) if method != "none" else found
    pairs = (found.each, chance.each), (found.each, first.each), (found.missed, whole.missed)
    return [", ".join(setting), f"{sum(found.kept) / len(found.kept):.1f}", intervals.mean(found.each),
            *shares_of(lab, found.each, whole.each), *(intervals.paired(a, b) if a is not b else None for a, b in pairs),
            *found.kinds]


def candidates_of(lab, settings):
    """What might be the default, and what a choice looks at."""
    settings = [(*setting.split(":"), "0")[:3] for setting in settings.split(",")]
    rows = [candidate(lab, setting, settings[0]) for setting in [("none", "0", "0"), *settings]]
    columns = ["method, merge ratio, kv-prune", "tokens", "CIDEr-D",
               *("share of all tokens'" + (f", {os.path.basename(os.path.normpath(folder))}" if len(lab.folders) > 1 else "")
                 for folder in lab.folders),
               f"less {RANDOM}", "less the second row", "events missed, less all tokens'", *lab.kinds]
    return "What might be the default", columns, rows


def report_of(options, lab):
    report = Report("compression laboratory", {"clips": f"{len(lab.names)} ({', '.join(lab.kinds)}), one window of 8 frames each",
                    "seeds": f"{'' if options.clips else f'clips {options.seed}, '}bootstrap 1",
                    **({"options": " ".join(options.extra)} if options.extra else {})}, lab.tern.origin())
    columns = ["method", "tokens", "most of a window", "CIDEr-D", "share of all tokens'", "less {}", "", "events missed",
               *lab.kinds, *(f"{name} ms" for name, _ in STAGES)]
    for budget in options.budgets:
        chance = (RANDOM, "0", budget)
        rows = [row(lab, *ALL, budget, None)] + [row(lab, method, "0", budget, chance) for method in options.methods]
        report.table(f"{BUDGETS[budget][0]}; all keys attended to", [c.format(RANDOM) for c in columns], rows)
        report.note(first_of(lab, options.methods, budget))
    if options.candidates:
        report.table(*candidates_of(lab, options.candidates))
    return report
