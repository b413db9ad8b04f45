# SPDX-License-Identifier: LGPL-2.1-or-later
"""`run.py hallucination`: things in captions that no human names, as CHAIR counts them (Rohrbach et al. 2018,
arXiv:1809.02156), with our own list of things.

usage: run.py hallucination [--files FOLDER|TAR --tsv TSV] [--twin GGUF] [--captions JSONL] [--nouns TSV] ... [-- OPTIONS]

TSV has `file<TAB>caption`, several lines a file: what people named is all that is known to be there, so a thing that is
there but that nobody names counts against the model. Compare models on the same files; the last row says what a human pays.

nouns.tsv is made of the words of the reference captions of Flickr8k: every noun for a visible thing that is said 18 times or
more, and their synonyms. A line is `thing<TAB>kinds of which it is one<TAB>words`. A thing in a caption is supported if a
reference names it, one of its kinds, or a thing that is one (a "person" by "man", a "man" by "person": nobody said
otherwise; a "man" by "woman": not supported). Words that may be no noun ("orange", "train", "play") are not in it.
CHAIRi: unsupported among all things named; CHAIRs: captions with any among all captions. Intervals are over files.
"""
import os
import re

import captions
import files
import intervals
import tables
from report import Report

NOUNS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "nouns.tsv")
_WORD = re.compile(r"[a-z]+(?:-[a-z]+)*")


def arguments(parser):
    parser.add_argument("--nouns", default=NOUNS, help="list of things (bench/eval/nouns.tsv)")
    parser.add_argument("--captions", help="score these JSON lines (source, result) instead of running anything")
    parser.add_argument("--twin", help="GGUF of the full-precision twin, with the same vision encoder")


class Things:
    def __init__(self, path=NOUNS):
        self.of, kinds = {}, {}
        for thing, above, words in tables.rows(path, ("thing", "kinds", "words")):
            kinds[thing] = [] if above == "-" else above.split(",")
            for word in [thing, *(w for w in words.split(",") if w != "-")]:
                for form in forms(word):
                    if self.of.setdefault(form, thing) != thing:
                        raise tables.Wrong(f"{path}: expected each word once, found \"{form}\" for {self.of[form]} and {thing}")
        self.above = {thing: self._above(thing, kinds, path) for thing in kinds}
        self.longest = max(len(word.split()) for word in self.of)

    @staticmethod
    def _above(thing, kinds, path):
        out, ahead = set(), [thing]
        while ahead:
            for kind in kinds[ahead.pop()]:
                if kind not in kinds:
                    raise tables.Wrong(f"{path}: expected kinds that have a line, found \"{kind}\" of {thing}")
                if kind not in out:
                    out.add(kind)
                    ahead.append(kind)
        return out

    def named(self, caption):
        """Things of a caption, in order; the longest words first ("hot dog" is none of a dog)."""
        words, at, out = _WORD.findall(caption.lower()), 0, []
        while at < len(words):
            for n in range(min(self.longest, len(words) - at), 0, -1):
                thing = self.of.get(" ".join(words[at:at + n]))
                if thing:
                    out.append(thing)
                    break
            at += n
        return list(dict.fromkeys(out))

    def unsupported(self, caption, references):
        """(things named, those among them that no reference supports)"""
        known = {t for r in references for t in self.named(r)}
        wide = known | {a for t in known for a in self.above[t]}
        named = self.named(caption)
        return named, [t for t in named if t not in wide and not self.above[t] & known]


def forms(word):
    """A word as it is and its plural, by the rules of English; irregular ones stand in the list."""
    if word.endswith("!"):                      # as it is, has no plural
        return [word[:-1]]
    if re.search(r"(s|x|z|ch|sh)$", word):
        return [word, word + "es"]
    if re.search(r"[^aeiou]y$", word):
        return [word, word[:-1] + "ies"]
    return [word, word + "s"]


def chair(found):
    """(CHAIRi, CHAIRs) of [(named, unsupported)]"""
    return (sum(len(u) for _, u in found) / max(1, sum(len(n) for n, _ in found)), sum(bool(u) for _, u in found) / len(found))


def row(label, things, texts, references):
    found = [things.unsupported(t, r) for t, r in zip(texts, references)]
    cells = []
    for which in (0, 1):
        value = chair(found)[which]
        cells.append([value, *(intervals.bootstrap(len(found), lambda at: chair([found[i] for i in at])[which]) or (value, value))])
    return [label, *cells, sum(len(n) for n, _ in found) / len(found)], found


def main(options):
    things = Things(options.nouns)
    table = tables.groups(options.tsv)
    names = sorted(table)[: options.limit]
    groups = [table[n] for n in names]
    tern, blind, other = None, None, None
    if options.captions:
        texts = captions.said(options.captions, names)
    else:
        tern = options.program()
        with files.opened(options.files) as where:
            texts, other, blind, _ = captions.run(tern, where(names), options.twin)
    report = Report("hallucination", {"files": f"{len(names)}", "things": f"{len(things.above)}", **options.about()},
                    tern.origin() if tern else {})
    line, found = row("this model", things, texts, groups)
    rows, pairs = [line], []
    if other:
        line, theirs = row("its full-precision twin", things, other, groups)
        rows.append(line)
        pairs.append(["its full-precision twin", intervals.paired(*([float(bool(u)) for _, u in f] for f in (found, theirs)))])
    rows.append(row("another file's caption", things, texts[1:] + texts[:1], groups)[0])
    if blind is not None:
        rows.append(row("no picture", things, [blind] * len(names), groups)[0])
    if min(map(len, groups)) > 1:
        fewer = [g[1:] for g in groups]
        rows.append(row("a human (first caption, others as references)", things, [g[0] for g in groups], fewer)[0])
        rows.append(row("this model, by the same references as the human", things, texts, fewer)[0])
    report.table("Things that no human names, with 95 % intervals", ["captions of", "CHAIRi", "CHAIRs", "things a caption"], rows)
    if pairs:
        report.table("This model less another, the same files", ["other", "CHAIRs"], pairs)
    worst = {}
    for named, wrong in found:
        for thing in named:
            count = worst.setdefault(thing, [0, 0])
            count[0] += 1
            count[1] += thing in wrong
    worst = sorted(worst.items(), key=lambda w: (-w[1][1], w[0]))[:12]
    report.table("What is wrong most often", ["thing", "named", "by no human", "share"],
                 [[t, n, wrong, wrong / n] for t, (n, wrong) in worst if wrong])
    return report, tern
