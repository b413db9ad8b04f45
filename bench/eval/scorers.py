# SPDX-License-Identifier: LGPL-2.1-or-later
"""Captions against what people wrote: CIDEr-D, BLEU, ROUGE-L, METEOR, SPICE.

`kept` is PyPI's pycocoevalcap, whose figures papers print: Penn Treebank tokens and METEOR run in Java, SPICE needs two
files more that its own package does not bring (stanford-corenlp-3.6.0.jar and its models, in its spice/lib).
`own` needs nothing: tokens, CIDEr-D and BLEU of training/cider.py, ROUGE-L here; no METEOR, no SPICE. On captions the two
agree to the last digit shown (tests/eval).

CIDEr-D weighs n-grams by how many files' references have them: references of all files stand in one scorer, and the score
of a file is the same whatever other captions are scored.
"""
import contextlib
import importlib.util
import io
import os
import shutil

import intervals
import program

_spec = importlib.util.spec_from_file_location("cider", os.path.join(program.ROOT, "training", "cider.py"))
cider = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(cider)

NAMES = ("CIDEr-D", "BLEU-4", "ROUGE-L", "METEOR", "SPICE")


def why_not_kept():
    """Why pycocoevalcap cannot be used; None where it can."""
    if importlib.util.find_spec("pycocoevalcap") is None:
        return "no pycocoevalcap (pip install -r bench/eval/requirements.txt)"
    return None if shutil.which("java") else "no java in the path"


def rouge(words, group):
    """ROUGE-L with recall weighed 1.2 times, the best precision and the best recall of any reference (as coco-caption)."""
    best = [0., 0.]
    for reference in group:
        row = [0] * (len(reference) + 1)
        for word in words:
            before = 0
            for i, other in enumerate(reference, 1):
                here = row[i]
                row[i] = before + 1 if word == other else max(row[i], row[i - 1])
                before = here
        best = [max(best[0], row[-1] / max(1, len(words))), max(best[1], row[-1] / max(1, len(reference)))]
    precision, recall = best
    return (1 + 1.44) * precision * recall / (recall + 1.44 * precision) if precision and recall else 0.


class Own:
    """Scores of token lists. `references[i]`: the captions of file i."""
    name = "own scorer (training/cider.py)"

    def __init__(self, references):
        self.disagreed = []     # what the kept library computed otherwise than we do
        self.groups = self.tokens(references)
        self.cider = cider.CiderD(self.groups)

    def tokens(self, lists):
        return [[cider.tokens(c) for c in group] for group in lists]

    def more(self, words, groups):
        """What only the kept library has, {name: (score, None)}, and its own figures for what we have too."""
        return {}, {}

    def cider_each(self, captions):
        return [self.cider.score(i, group[0]) for i, group in enumerate(self.tokens([[c] for c in captions]))]

    def score(self, captions, groups=None):
        """{name: ([value, low, high], value of each file)} of `captions`, one a file. `groups`: other references of the
        same files (one human against the rest); n-grams are weighed by these then."""
        words = [group[0] for group in self.tokens([[c] for c in captions])]
        scorer, against = self.cider, self.groups
        if groups is not None:
            against = self.tokens(groups)
            scorer = cider.CiderD(against)
        each = {"CIDEr-D": [scorer.score(i, w) for i, w in enumerate(words)],
                "ROUGE-L": [rouge(w, g) for w, g in zip(words, against)]}
        out = {name: (intervals.mean(values), values) for name, values in each.items()}
        counts = [cider.bleu_counts(w, g) for w, g in zip(words, against)]
        value = cider.bleu_of([sum(c) for c in zip(*counts)])
        ends = intervals.bootstrap(len(counts), lambda at: cider.bleu_of([sum(c) for c in zip(*[counts[i] for i in at])]))
        out["BLEU-4"] = ([value, *(ends or (value, value))], None)
        more, checked = self.more(words, against)
        out.update(more)
        for name, value in checked.items():
            if abs(value - out[name][0][0]) > 5e-4:
                self.disagreed.append(f"{name}: {value:.4f} by pycocoevalcap, {out[name][0][0]:.4f} by ours")
        out["words"] = (None, words)
        return out


@contextlib.contextmanager
def quiet():
    """Java tells stderr how quick it was."""
    kept, null = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(null)


class Kept(Own):
    """The same by pycocoevalcap: its tokens, its METEOR and SPICE; its CIDEr-D, BLEU and ROUGE-L are held against ours."""
    name = "pycocoevalcap"
    def __init__(self, references):
        from pycocoevalcap.meteor.meteor import Meteor
        from pycocoevalcap.tokenizer.ptbtokenizer import PTBTokenizer

        self.tokenizer, self.meteor = PTBTokenizer(), Meteor()
        super().__init__(references)

    def tokens(self, lists):
        table = {i: [{"caption": c} for c in group] for i, group in enumerate(lists)}
        with quiet():
            told = self.tokenizer.tokenize(table)
        return [[c.split() for c in told[i]] for i in range(len(lists))]

    def more(self, words, groups):
        from pycocoevalcap.bleu.bleu import Bleu
        from pycocoevalcap.cider.cider import Cider
        from pycocoevalcap.rouge.rouge import Rouge

        theirs = {i: [" ".join(r) for r in g] for i, g in enumerate(groups)}
        mine = {i: [" ".join(w)] for i, w in enumerate(words)}
        out = {}
        with contextlib.redirect_stdout(io.StringIO()):
            checked = {"CIDEr-D": Cider().compute_score(theirs, mine)[0], "ROUGE-L": Rouge().compute_score(theirs, mine)[0],
                       "BLEU-4": Bleu(4).compute_score(theirs, mine)[0][3]}
            out["METEOR"] = (float(self.meteor.compute_score(theirs, mine)[0]), None)
            if self.has_spice():
                from pycocoevalcap.spice.spice import Spice

                out["SPICE"] = (float(Spice().compute_score(theirs, mine)[0]), None)
        return out, checked

    @staticmethod
    def has_spice():
        places = importlib.util.find_spec("pycocoevalcap").submodule_search_locations
        return any(os.path.isfile(os.path.join(p, "spice", "lib", "stanford-corenlp-3.6.0.jar")) for p in places)
