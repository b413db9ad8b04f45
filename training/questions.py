# SPDX-License-Identifier: LGPL-2.1-or-later
"""Yes/no questions about photographs, out of what people wrote under them: as many yes as no for each noun.

python training/questions.py CAPTIONS.tsv > questions.tsv       file<TAB>prompt<TAB>answer, as bench/eval asks the program
"""

import sys

import numpy as np

import lexicon

HARD = 0.7  # share of the negatives that show another noun of the same kind
LABELS = ("yes", "no")


class Questions:
    """truth[i, k]: 1, 0 or -1 (open) for photograph i and noun k; rivals[i, k]: another noun of its kind is there."""

    def __init__(self, captions):
        nouns = lexicon.NOUNS
        self.truth = np.full((len(captions), len(nouns)), -1, np.int8)
        for i, group in enumerate(captions):
            said = [lexicon.words(c) for c in group]
            for k, noun in enumerate(nouns):
                value = lexicon.judge(noun, said)
                if value is not None:
                    self.truth[i, k] = value
        kinds = np.array([n.kind for n in nouns])
        there = self.truth == 1
        self.rivals = np.zeros_like(there)
        for kind in set(kinds):
            of = kinds == kind
            # "a person" is a hypernym of its kind, and no rival.
            self.rivals[:, of] = (there & of & (np.array([n.asked for n in nouns]) != "a person")).any(1)[:, None]

    def draw(self, rng, hard=HARD, least=1):
        """One pass: for every noun its positives and as many negatives. Arrays photograph, noun, truth, in random order."""
        out = []
        for k in range(self.truth.shape[1]):
            yes = np.flatnonzero(self.truth[:, k] == 1)
            close = np.flatnonzero((self.truth[:, k] == 0) & self.rivals[:, k])
            far = np.flatnonzero((self.truth[:, k] == 0) & ~self.rivals[:, k])
            wanted = int(round(hard * len(yes)))
            near = rng.permutation(close)[:wanted]
            rest = rng.permutation(far)[: len(yes) - len(near)]
            n = min(len(yes), len(near) + len(rest))
            if n < least:
                continue
            no = np.concatenate((near, rest))[:n]
            yes = rng.permutation(yes)[:n]
            at = np.concatenate((yes, no))
            out.append(np.stack((at, np.full(2 * n, k), np.repeat((1, 0), n)), 1))
        return rng.permutation(np.concatenate(out))


def asked(noun, rng=None):
    """The question as it is documented; with a generator sometimes in other words."""
    what = lexicon.NOUNS[noun].asked
    ways = ("Is there {}?", "is there {}?", "Is there {} in the picture?", "Do you see {}?", "Is there {} in the video?")
    if what in ("stairs", "sunglasses", "shorts"):
        ways = tuple(w.replace("Is there", "Are there").replace("is there", "are there") for w in ways)
    return ways[0 if rng is None or rng.random() < 0.6 else int(rng.integers(1, len(ways)))].format(what)


def main(path):
    """Held-out questions: every negative that can be a hard one is."""
    captions = {}
    with open(path, encoding="utf8") as f:
        for line in f:
            name, caption = line.rstrip("\n").split("\t", 1)
            captions.setdefault(name, []).append(caption)
    names = sorted(captions)
    for at, noun, truth in Questions([captions[n] for n in names]).draw(np.random.default_rng(5), hard=1.0):
        print(names[at], asked(noun), LABELS[1 - truth], sep="\t")


if __name__ == "__main__":
    main(sys.argv[1])
