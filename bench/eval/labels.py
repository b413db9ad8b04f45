# SPDX-License-Identifier: LGPL-2.1-or-later
"""Closed answers against what is true: accuracy by label, confusion, calibration, and a temperature that mends it.

An answer has one probability a label (`scores` of a result). The model's choice is the likeliest label; what it abstains
from is counted beside, not left out.
- accuracy, with an interval over files; of each label its recall (said where true) and precision (true where said);
- balanced accuracy: the mean of the recalls, so that a label that is common does not decide;
- ECE: answers in 10 bins of equal width by the probability of the chosen label; the mean of |right - said| over bins,
  weighed by their answers. 0.05: a probability is off by 5 points on average. Small sets look worse than they are;
- Brier: the mean of the sum of squares of (probability - truth) over labels, 0 to 2 (with two labels twice the binary one);
- temperature T: probabilities become p^(1/T), renewed to sum 1; the one is taken that makes the truths likeliest. It moves
  no choice, only how sure it sounds. `tern tasks IN OUT --label-temperature T` puts it into a model file (multiplied with
  the one that the file had).
"""
import dataclasses
import math

import intervals

BINS = 10
LEAST = 1e-12


@dataclasses.dataclass
class Answer:
    file: str
    prompt: str
    truth: str
    labels: list
    scores: list
    abstained: bool = False

    @property
    def said(self):
        return self.labels[max(range(len(self.scores)), key=self.scores.__getitem__)] if self.labels else None

    @property
    def right(self):
        return self.said == self.truth


def accuracy(answers):
    return sum(a.right for a in answers) / len(answers)


def recalls(answers):
    """{label: (recall or None, precision or None, how often true)}"""
    out = {}
    for label in sorted({a.truth for a in answers} | {a.said for a in answers if a.said is not None}):
        true = [a for a in answers if a.truth == label]
        told = [a for a in answers if a.said == label]
        hits = sum(a.right for a in true)
        out[label] = (hits / len(true) if true else None, hits / len(told) if told else None, len(true))
    return out


def balanced(answers):
    found = [r for r, _, _ in recalls(answers).values() if r is not None]
    return sum(found) / len(found)


def bins(answers):
    """[(answers, mean probability of the choice, share that is right)] of each bin that has any."""
    full = [[] for _ in range(BINS)]
    for a in answers:
        if a.scores:
            full[min(BINS - 1, int(max(a.scores) * BINS))].append(a)
    return [(len(b), sum(max(a.scores) for a in b) / len(b), accuracy(b)) for b in full if b]


def ece(answers):
    found = bins(answers)
    return sum(n * abs(right - sure) for n, sure, right in found) / max(1, sum(n for n, _, _ in found))


def brier(answers):
    return sum(sum((p - (label == a.truth)) ** 2 for label, p in zip(a.labels, a.scores)) + (a.truth not in a.labels)
               for a in answers) / len(answers)


def tempered(answers, temperature):
    out = []
    for a in answers:
        logs = [math.log(max(p, LEAST)) / temperature for p in a.scores]
        most = max(logs, default=0)
        weights = [math.exp(x - most) for x in logs]
        out.append(dataclasses.replace(a, scores=[w / sum(weights) for w in weights]))
    return out


def surprise(answers):
    """Mean of -ln(probability of the truth)."""
    return -sum(math.log(max(dict(zip(a.labels, a.scores)).get(a.truth, 0), LEAST)) for a in answers) / len(answers)


def fit(answers):
    """The temperature, .05 to 20, under which the truths are likeliest: golden section over its logarithm, where it has one
    minimum."""
    known = [a for a in answers if a.truth in a.labels]
    if not known:
        return 1.
    low, high, ratio = math.log(.05), math.log(20.), (5 ** .5 - 1) / 2
    for _ in range(60):
        left, right = high - ratio * (high - low), low + ratio * (high - low)
        if surprise(tempered(known, math.exp(left))) <= surprise(tempered(known, math.exp(right))):
            high = right
        else:
            low = left
    return math.exp((low + high) / 2)


def halves(answers):
    """Two halves by files, every second one of the sorted names, so that no photograph is in both."""
    order = {name: i for i, name in enumerate(sorted({a.file for a in answers}))}
    return [[a for a in answers if order[a.file] % 2 == k] for k in (0, 1)]


def clusters(answers):
    out = {}
    for a in answers:
        out.setdefault(a.file, []).append(a)
    return [out[name] for name in sorted(out)]


def measured(answers, function):
    """[value, low, high] of a function of answers, files drawn whole."""
    value = function(answers)
    return [value, *(intervals.clustered(clusters(answers), function, 300) or (value, value))]


COLUMNS = ["answers", "accuracy", "balanced accuracy", "ECE", "Brier"]


def summary(answers):
    return [len(answers), measured(answers, accuracy), measured(answers, balanced), measured(answers, ece),
            measured(answers, brier)]


def confusion(answers):
    """(columns, rows): true label by said label, with recall and precision."""
    found = recalls(answers)
    said = list(found)
    rows = []
    for label, (recall, precision, count) in found.items():
        mine = [a for a in answers if a.truth == label]
        rows.append([label, *(sum(a.said == s for a in mine) for s in said), count, recall, precision])
    return ["true \\ said", *said, "true", "recall", "precision"], rows
