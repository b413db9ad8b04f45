#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What copying the last action, and a line through the last two, come to on a robot's episodes, by several definitions:

    copying.py [FOLDER] [--draw 17]         (../shared/data/g1; as episodes.py reads them)

Of each definition: copy, line, and line / copy; in brackets where 95 of 100 draws of so many of the episodes lie. A decision every
row. Needs pyarrow and numpy.
"""
import argparse
import os

import episodes
import numpy as np

DRAWS = 2000


def guesses(base, wanted, ahead):
    """(errors of base[r] at wanted[r + k], errors of a line through base[r - 1] and base[r]), [rows, k, dims], for k in `ahead`."""
    rows = np.arange(1, len(base) - max(ahead))
    true, now, step = wanted[rows[:, None] + np.array(ahead)], base[rows][:, None], (base[rows] - base[rows - 1])[:, None]
    return true - now, true - now - step * np.array(ahead)[None, :, None]


def absolute(error):
    return np.abs(error).mean((1, 2))


def square(error):
    return np.sqrt((error ** 2).mean((1, 2)))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", default=os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "..",
                                                                  "shared", "data", "g1"))
    parser.add_argument("--draw", type=int, default=17)
    o = parser.parse_args()
    found = list(episodes.read(o.folder, episodes.numbers(o.folder)))
    steps = round(.5 * found[0].rate)
    draws = [np.random.default_rng(i).choice(len(found), o.draw, replace=False) for i in range(DRAWS)]
    for name, base, ahead, size in (
            (f"the last action, mean of steps 1 to {steps}", "actions", range(1, steps + 1), absolute),
            (f"the last action, step {steps}", "actions", [steps], absolute),
            (f"the last action, step {steps + 1}", "actions", [steps + 1], absolute),
            (f"the last action, root mean square of steps 1 to {steps}", "actions", range(1, steps + 1), square),
            (f"the state, mean of steps 1 to {steps}", "states", range(1, steps + 1), absolute),
            (f"the state, step {steps}", "states", [steps], absolute)):
        each = np.array([[len(copy), size(copy).sum(), size(line).sum()] for copy, line in
                         (guesses(getattr(e, base).astype(float), e.actions, list(ahead)) for e in found)])
        of = np.array([each[d].sum(0) for d in draws])
        copied, ratio = of[:, 1] / of[:, 0], of[:, 2] / of[:, 1]
        rows, copy, line = each.sum(0)
        low, high = np.quantile(copied, (.025, .975)), np.quantile(ratio, (.025, .975))
        print(f"{name}: {copy / rows:.4f} [{low[0]:.4f}, {low[1]:.4f}], {line / rows:.4f}, {line / copy:.3f} "
              f"[{high[0]:.3f}, {high[1]:.3f}]", flush=True)


if __name__ == "__main__":
    main()
