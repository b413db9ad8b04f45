#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What is remembered of a stream, by numpy: writes remember-goldens.h.

usage: remember-goldens.py > remember-goldens.h

Written from the equations that compress/remember.h names, beside and not from the C code: mean of cosines one by one, numpy's
sorting, float64. Keys and values are drawn by a rule that both sides know, so none are stored.
"""
import math
import sys

import numpy as np

sys.dont_write_bytecode = True
from draws import splitmix, uniform  # noqa: E402

# frames, places, dim, layers, rows to keep, recent rows, change, asked (-1: nothing was asked), least
CASES = (
    (12, 9, 8, 2, 60, 24, .5, .25, .125), (12, 9, 8, 2, 60, 24, .5, -1, .125), (20, 16, 16, 3, 120, 40, .5, .25, .3),
    (6, 49, 12, 1, 150, 0, 1.0, 0.0, 0.0), (9, 5, 6, 2, 30, 30, .25, .5, .5), (5, 7, 4, 1, 8, 4, .5, .25, .125),
    (8, 12, 8, 2, 1000, 30, .5, .25, 0.0))


def rows_of(case):
    """(frame, place) of each row: a word, the places that are there (all of every fourth frame), a word."""
    rows = []
    for f in range(case[0]):
        rows.append((f, -1))
        rows += [(f, p) for p in range(case[1]) if f % 4 == 0 or splitmix(f * 1000 + p) % 3]
        rows.append((f, -1))
    return rows


def vector(layer, what, f, p, dim, own):
    """What its place is, and what its frame adds to it."""
    base, mine = (layer * 2 + what) << 48, ((f + 1) << 32)
    return np.array([np.float32(uniform(base + (p + 1) * 4096 + d) + own * uniform(base + mine + (p + 1) * 4096 + d))
                     for d in range(dim)], np.float64)


def cosine(a, b):
    return float(a @ b / math.sqrt(float(a @ a) * float(b @ b)))


def recent_from(rows, recent):
    frames = sorted({f for f, _ in rows}, reverse=True)
    kept = {frames[0]}
    for f in frames[1:]:
        if sum(r[0] in kept or r[0] == f for r in rows) > recent:
            break
        kept.add(f)
    return min(i for i, r in enumerate(rows) if r[0] in kept)


def scores(case, rows, first):
    frames, places, dim, layers = case[:4]
    change, value = np.zeros(len(rows)), np.zeros(len(rows))
    visual = [i for i, (_, p) in enumerate(rows) if p >= 0]
    for layer in range(layers):
        keys = {(f, p): vector(layer, 0, f, p, dim, (.0625, .25, 1.)[p % 3]) for f, p in rows if p >= 0}
        norms = {i: math.sqrt(float(np.sum(vector(layer, 1, *rows[i], dim, .5) ** 2))) for i in visual}
        mean = sum(norms.values()) / len(norms)
        for i in visual:
            value[i] += norms[i] / mean / layers
        for i in range(first):
            f, p = rows[i]
            then = [keys[r] for r in rows[first:] if r[1] == p and p >= 0]
            if then:
                change[i] -= np.mean([cosine(keys[f, p], k) for k in then]) / layers
    pooled = value.copy()
    for i in visual:
        near = [j for j in (i - 1, i, i + 1) if 0 <= j < len(rows) and rows[j][0] == rows[i][0] and rows[j][1] >= 0]
        pooled[i] = np.mean([value[j] for j in near])
    asked = np.array([np.float32(uniform((99 << 48) + i) + .5) for i in range(len(rows))], np.float64)
    return change, asked, pooled


def remember(case, rows):
    keep, recent, share_change, share_asked, least = case[4:]
    first = recent_from(rows, min(recent, keep))
    newest = list(range(first, len(rows)))[:keep]
    change, asked, value = scores(case, rows, first)
    room = total = keep - len(newest)
    chosen, open_frames = set(), set()
    words = {f: sum(r == (f, -1) for r in rows[:first]) for f in range(case[0])}
    parts = [(change, math.floor(share_change * total))]
    if share_asked >= 0:
        parts.append((asked, math.floor(share_asked * total)))
    parts.append((value, total))
    for score, share in parts:
        left = min(share, room)
        order = sorted((i for i in range(first) if rows[i][1] >= 0 and i not in chosen), key=lambda i: (-score[i], -i))
        near = [abs(score[a] - score[b]) for a, b in zip(order, order[1:]) if score[a] != score[b]]
        assert not near or min(near) > 1e-7, "scores too near to each other for floats"
        for i in order:
            f = rows[i][0]
            cost = 1 + (0 if f in open_frames else words[f])
            if left > 0 and cost <= left:
                chosen.add(i)
                open_frames.add(f)
                left -= cost
                room -= cost
    for f in list(open_frames):
        stays = [i for i in chosen if rows[i][0] == f]
        whole = case[1]
        if len(stays) < least * whole:
            chosen -= set(stays)
            open_frames.discard(f)
    kept = sorted(chosen | {i for i in range(first) if rows[i][1] < 0 and rows[i][0] in open_frames}) + newest
    return kept, first, float(change.sum()), float(value.sum())


def main():
    print("/* SPDX-License-Identifier: LGPL-2.1-or-later */\n/* Made by remember-goldens.py; do not edit. */\n")
    made = []
    for number, case in enumerate(CASES):
        kept, first, change, value = remember(case, rows_of(case))
        lines, line = [], "  "
        for p in kept:
            if len(line) + len(str(p)) > 110:
                lines.append(line.rstrip())
                line = "  "
            line += f"{p}, "
        print(f"static const gint32 kept_{number}[] = {{\n" + "\n".join(lines + [line.rstrip()]) + "\n};")
        made.append((case, number, len(kept), first, change, value))
    print("\nstatic const Golden goldens[] = {")
    for case, number, n, first, change, value in made:
        print(f'  {{ {", ".join(map(str, case))}, kept_{number}, {n}, {first}, {change:.6f}, {value:.6f} }},')
    print("};")


main()
