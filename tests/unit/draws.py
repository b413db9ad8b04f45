# SPDX-License-Identifier: LGPL-2.1-or-later
"""Numbers that scripts of goldens and tests in C draw alike: SplitMix64 (doi:10.1145/2660193.2660195)."""

MASK = (1 << 64) - 1


def splitmix(x):
    x = (x + 0x9E3779B97F4A7C15) & MASK
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & MASK
    return x ^ (x >> 31)


def uniform(x):
    return (splitmix(x) >> 40) / (1 << 24) - .5
