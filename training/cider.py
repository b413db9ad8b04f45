# SPDX-License-Identifier: LGPL-2.1-or-later
"""CIDEr-D and BLEU-4 of our own, and a tokenisation that agrees with the Penn Treebank one on captions.

Used as the reward of the self-critical stage and for every score that training prints. It needs nothing but
the standard library; bench/eval uses it too.
"""

import collections
import math
import re

ORDERS = 4
# The scorer drops these tokens. Its list has the brackets' Treebank names in capitals, but compares lower case:
# brackets stay.
DROPPED = {"''", "'", "``", "`", ".", "?", "!", ",", ":", "-", "--", "...", ";"}
_WORD = re.compile(
    r"""\d+(?:[.,:/]\d+)+|\#\d+|\w+\.(?:com|net|org)\b|\b[a-z](?:\.[a-z])*\.(?=\s|$)|(?:mr|mrs|ms|dr|st|jr|sr|vs|etc)\.(?=\s)"""
    r"""|'n'|\w+(?:-\w+|'(?!(?:s|m|d|re|ve|ll)\b)\w+)*|'(?:s|m|d|re|ve|ll)\b|``|''|\.\.\.|--|\S""",
    re.VERBOSE,
)
_NAMES = {"n_t": "n't", "(": "-lrb-", ")": "-rrb-", "[": "-lsb-", "]": "-rsb-", "{": "-lcb-", "}": "-rcb-"}
_NOT = re.compile(r"\b(\w+)n't\b")


def tokens(caption):
    text = caption.lower().replace("cannot", "can not").replace("gonna", "gon na").replace("wanna", "wan na")
    text = re.sub(r'"', " '' ", text)
    text = _NOT.sub(r"\1 n_t", text)
    out = []
    for word in _WORD.findall(text):
        if word not in DROPPED:
            out.append(_NAMES.get(word, word))
    return out


def grams(words):
    counts = collections.Counter()
    for n in range(1, ORDERS + 1):
        for i in range(len(words) - n + 1):
            counts[tuple(words[i : i + n])] += 1
    return counts


class CiderD:
    """Reference captions of many photographs, weighed once; then the score of any caption of any of them."""

    def __init__(self, references, sigma=6.0):
        """`references[i]`: token lists of photograph i. Document frequencies come from these references."""
        self.sigma = sigma
        counted = [[grams(r) for r in group] for group in references]
        self.frequency = collections.Counter()
        for group in counted:
            self.frequency.update({g for c in group for g in c})
        self.documents = math.log(len(references))
        self.weighed = [[self._weigh(c) for c in group] for group in counted]

    def _weigh(self, counts):
        vectors, squares, length = [{} for _ in range(ORDERS)], [0.0] * ORDERS, 0
        for gram, count in counts.items():
            n = len(gram) - 1
            value = count * (self.documents - math.log(max(1.0, self.frequency[gram])))
            vectors[n][gram] = value
            squares[n] += value * value
            if n == 1:
                length += count  # as the reference scorer does: a caption's length is its number of pairs
        return vectors, [math.sqrt(s) for s in squares], length

    def score(self, at, words):
        vectors, norms, length = self._weigh(grams(words))
        total = 0.0
        for other, other_norms, other_length in self.weighed[at]:
            damp = math.exp(-((length - other_length) ** 2) / (2 * self.sigma**2))
            for n in range(ORDERS):
                if norms[n] and other_norms[n]:
                    mine, theirs = vectors[n], other[n]
                    dot = sum(min(v, theirs[g]) * theirs[g] for g, v in mine.items() if g in theirs)
                    total += damp * dot / (norms[n] * other_norms[n])
        return 10.0 * total / (ORDERS * len(self.weighed[at]))


def bleu_counts(words, group):
    """What a caption adds to corpus BLEU: n-grams that references have, all n-grams, its length, the closest reference's."""
    most, right = collections.Counter(), [0] * ORDERS
    for r in group:
        most |= grams(r)
    for gram, count in grams(words).items():
        right[len(gram) - 1] += min(count, most[gram])
    all_ = [max(0, len(words) - n) for n in range(ORDERS)]
    return (*right, *all_, len(words), min((abs(len(r) - len(words)), len(r)) for r in group)[1])


def bleu_of(counts, orders=ORDERS):
    """Corpus BLEU of the sums of `bleu_counts`."""
    right, all_, (mine, theirs) = counts[:orders], counts[ORDERS : ORDERS + orders], counts[2 * ORDERS :]
    tiny, small = 1e-15, 1e-9
    precision = math.exp(sum(math.log((r + tiny) / (a + small)) for r, a in zip(right, all_)) / orders)
    return precision * (1.0 if mine >= theirs else math.exp(1 - theirs / max(1, mine)))


def bleu4(candidates, references):
    """Corpus BLEU-4 with the closest reference length."""
    return bleu_of([sum(column) for column in zip(*map(bleu_counts, candidates, references))])


def corpus(candidates, references):
    """(CIDEr-D, BLEU-4, CIDEr-D of each) of caption strings against lists of caption strings."""
    words = [tokens(c) for c in candidates]
    groups = [[tokens(r) for r in group] for group in references]
    scorer = CiderD(groups)
    each = [scorer.score(i, w) for i, w in enumerate(words)]
    return sum(each) / len(each), bleu4(words, groups), each
