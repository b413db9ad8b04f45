# SPDX-License-Identifier: LGPL-2.1-or-later
"""Bootstrap intervals: what a score might have been with other files of the same kind (Efron's percentile method, 95 %).

Files are drawn, with replacement, as often as there are files; the score of the draw is taken; the middle 95 % of 1,000
draws is the interval. What belongs together (all questions about a photograph) is drawn together. For two systems the same
files are drawn for both, so that what is hard for both cancels. Seeds are fixed: the same values give the same interval.
"""
import random

ROUNDS, SEED = 1000, 1


def bootstrap(count, statistic, rounds=ROUNDS):
    """(low, high) of `statistic(indices)` over draws of `count` indices; None where there is nothing to draw."""
    if count < 2:
        return None
    rng = random.Random(SEED)
    found = sorted(statistic(rng.choices(range(count), k=count)) for _ in range(rounds))
    return quantile(found, .025), quantile(found, .975)


def quantile(ordered, share):
    """Linear between neighbours, as numpy's default."""
    at = share * (len(ordered) - 1)
    low = int(at)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (at - low) * (ordered[high] - ordered[low])


def mean(values):
    """[mean, low, high]"""
    middle = sum(values) / len(values)
    return [middle, *(bootstrap(len(values), lambda at: sum(values[i] for i in at) / len(at)) or (middle, middle))]


def paired(ours, theirs):
    """[mean difference, low, high] of values of the same files."""
    if len(ours) != len(theirs):
        raise ValueError(f"expected as many values on both sides, found {len(ours)} and {len(theirs)}")
    return mean([a - b for a, b in zip(ours, theirs)])


def clustered(clusters, statistic, rounds=ROUNDS):
    """(low, high) of `statistic(list of items)`, whole clusters drawn."""
    return bootstrap(len(clusters), lambda at: statistic([item for i in at for item in clusters[i]]), rounds)
