# SPDX-License-Identifier: LGPL-2.1-or-later
"""`run.py compression`: what dropping visual tokens costs in captions of clips.

usage: run.py compression --files FOLDER --tsv FOLDER/references.tsv ... [-- OPTIONS]

TSV has `file<TAB>shot<TAB>caption`, as `run.py clips` writes it: a caption is scored against each shot's references and the
scores are averaged, so one that names only one of two photographs gets about half. Rows: no compression; DyCoke's merging
and a random choice of as many tokens at ratios .5 and .8; each without and with pruning of keys while decoding. The default is
DyCoke's merging at .8 without pruning. `bench/compression/run.py` compares all methods. One window of 4 s at 2 frames a second.
Differences are clip by clip: to keeping everything, and of DyCoke to random. Times are no part of it: `tern bench` has them.
"""
import files
import intervals
import scorers
import tables
from report import Report

SETTINGS = [("none", 0., 0.), ("none", 0., .7)] + [(method, ratio, prune) for method in ("random", "dycoke") for ratio in (.5, .8)
                                                   for prune in (0., .7)]


def arguments(parser):
    parser.add_argument("--kind", help="only the clips whose names begin with this")


def read(path):
    """{file: [references of shot 0, of shot 1, ...]}"""
    out = {}
    for name, shot, caption in tables.rows(path, ("file", "shot", "caption")):
        out.setdefault(name, {}).setdefault(shot, []).append(caption)
    return {name: list(shots.values()) for name, shots in out.items()}


class Scorer:
    """One scorer over all shots of all clips: how common an n-gram is does not depend on the kind of clip."""

    def __init__(self, table, names):
        self.at, groups = [], []
        for name in names:
            self.at.append(range(len(groups), len(groups) + len(table[name])))
            groups += [[scorers.cider.tokens(c) for c in shot] for shot in table[name]]
        self.cider = scorers.cider.CiderD(groups)

    def each(self, captions):
        words = [scorers.cider.tokens(c) for c in captions]
        return [sum(self.cider.score(i, w) for i in at) / len(at) for at, w in zip(self.at, words)]


def main(options):
    table = {name: shots for name, shots in read(options.tsv).items() if name.startswith(options.kind or "")}
    names = sorted(table)[: options.limit]
    if not names:
        raise tables.Wrong(f"{options.tsv}: expected clips whose names begin with {options.kind}, found none")
    scorer, tern = Scorer(table, names), options.program()
    kinds = sorted({n.split("-")[0] for n in names})
    report = Report("compression", {"clips": f"{len(names)}", **options.about()}, tern.origin())
    rows, done = [], {}
    with files.opened(options.files) as where:
        paths = where(names)
        for setting in SETTINGS:
            method, ratio, prune = setting
            found = tern.ask(paths, "--compress", method, "--kv-prune", str(prune), "--window", "4", "--frame-rate", "2/1",
                             *(["--merge-ratio", str(ratio)] if method != "none" else []))
            done[setting] = each = scorer.each([f[0]["result"] if f else "nothing" for f in found])
            kept, whole = (sum(f[0].get(key, 0) for f in found if f) / len(names) for key in ("visual_kept", "visual_in"))
            all_, random = done[SETTINGS[0]], done.get(("random", ratio, prune)) if method == "dycoke" else None
            parts = [[e for n, e in zip(names, each) if n.split("-")[0] == kind] for kind in kinds]
            rows.append([method, ratio, prune, f"{kept:.0f} of {whole:.0f}", intervals.mean(each),
                         intervals.paired(each, all_) if setting != SETTINGS[0] else None, sum(each) / max(1e-9, sum(all_)),
                         intervals.paired(each, random) if random else None, *(sum(p) / len(p) for p in parts)])
    report.table("CIDEr-D of clips, with 95 % intervals", ["method", "merge ratio", "kv-prune", "visual tokens", "CIDEr-D",
                 "less all tokens", "share of all tokens'", "less random", *kinds], rows)
    return report, tern
