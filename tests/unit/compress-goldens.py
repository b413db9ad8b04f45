#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What compression methods keep, by numpy: writes compress-goldens.h.

usage: compress-goldens.py > compress-goldens.h

Written from the papers' equations (each method's file in compress/ names them), beside and not from the C code: arrays of
the whole group, numpy's sorting, float64. Tokens are drawn by a rule that both sides know, so none are stored.
"""
import math
import sys

import numpy as np

sys.dont_write_bytecode = True
from draws import uniform  # noqa: E402

CASES = (  # columns, rows, dim, frames, merge ratio, tokens of the group, of a frame (0: no limit)
    (7, 7, 24, 4, 1.0, 0, 0), (7, 7, 24, 4, .7, 0, 0), (7, 7, 16, 4, 0.0, 0, 15), (5, 3, 9, 3, .5, 21, 0), (6, 5, 12, 2, .9, 0, 11),
    (8, 8, 32, 4, .3, 70, 0), (4, 4, 8, 1, .7, 7, 0), (1, 13, 10, 4, .6, 17, 0))


def draw(case):
    """Places that stand still, that move a little, and that change: what they are and what a frame adds."""
    w, h, dim, frames = case[:4]
    out = np.zeros((frames, w * h, dim), np.float32)
    for f in range(frames):
        for p in range(w * h):
            own = (.0625, .25, 1.)[(p // 2) % 3]
            for d in range(dim):
                out[f, p, d] = np.float32(uniform(p * 4096 + d) + own * uniform(((f + 1) << 32) + p * 4096 + d))
    return out


# ---- What all have in common ----

def keep_of(case):
    n = case[0] * case[1]
    return min(n, math.floor((1 - case[4]) * n + 1e-9))


def cap_of(case):
    n = case[0] * case[1]
    return min(case[6], n) if case[6] else n


def budget_of(case):
    n = case[0] * case[1]
    budget = min(n + (case[3] - 1) * keep_of(case), case[3] * cap_of(case))
    return min(budget, case[5]) if case[5] else budget


def cosine(a, b):
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    return (a * b).sum(-1) / np.sqrt((a * a).sum(-1) * (b * b).sum(-1))


def shares(weights, total, least, most):
    """Whole numbers that sum to `total`: least + floors of the shares of the rest, then largest fractions."""
    n = len(weights)
    total = min(total, n * most)
    least = 0 if total < n * least else least
    part = np.asarray(weights, np.float64) / np.sum(weights) * (total - n * least)
    out = [least + min(int(p), most - least) for p in part]
    for i in sorted(range(n), key=lambda i: (-(part[i] - math.floor(part[i])), i)):
        if sum(out) < total and out[i] < most:
            out[i] += 1
    while sum(out) < total:
        for i in range(n):
            if sum(out) < total and out[i] < most:
                out[i] += 1
    return out


def best(scores, k):
    """The places of the k highest, ties at the lower one, ascending."""
    return sorted(np.argsort(-np.asarray(scores), kind="stable")[:k].tolist())


def as_rows(tokens, keep):
    return keep, [tokens[f][keep[f]].astype(np.float64) for f in range(len(keep))]


def thin(row, k):
    n = len(row)
    return row if n <= k else [r for i, r in enumerate(row) if i * k // n != (i + 1) * k // n]


# ---- Methods ----

def vcast(tokens, case):
    x = tokens.astype(np.float64)
    frames = x.mean(1)
    frames /= np.maximum(np.linalg.norm(frames, axis=-1, keepdims=True), 1e-6)
    curve = np.ones(len(x))
    for t in range(1, len(x) - 1):
        i, o = frames[t] - frames[t - 1], frames[t + 1] - frames[t]
        curve[t] = 1 - i @ o / (np.linalg.norm(i) * np.linalg.norm(o))
    weights = np.exp(curve / .7) / np.exp(curve / .7).sum()
    keep = []
    for t, k in enumerate(shares(weights, budget_of(case), 1, cap_of(case))):
        norm = np.linalg.norm(x[t], axis=-1)
        keep.append(best(1 - cosine(x[t], frames[t]) + (norm - norm.min()) / (norm.max() - norm.min() + 1e-6), k))
    return as_rows(tokens, keep)


def vidcom2(tokens, case):
    x = tokens.astype(np.float64)
    variance = x.reshape(-1, x.shape[-1]).var(0)
    x = x[..., np.argsort(variance, kind="stable")[:x.shape[-1] // 2]]
    x = x / np.linalg.norm(x, axis=-1, keepdims=True)

    def gauss(center):
        distance = ((x - center) ** 2).sum(-1)
        return sum(np.exp(-distance / (2 * 2. ** k)) for k in range(-3, 2))

    video, frame = gauss(x.mean((0, 1))), gauss(x.mean(1, keepdims=True))
    apart = -video.mean(1)
    soft = np.exp((apart - apart.max()) / .01)
    soft /= soft.sum()
    counts = shares(1 + soft - soft.mean(), budget_of(case), 1, cap_of(case))
    return as_rows(tokens, [best(-(video[t] + frame[t]), k) for t, k in enumerate(counts)])


def evs(tokens, case):
    n, cap, budget = tokens.shape[1], cap_of(case), budget_of(case)
    keep = [thin(list(range(n)), min(cap, budget))] + [[] for _ in tokens[1:]]
    left = budget - len(keep[0])
    far = [(-(1 - cosine(tokens[t, p], tokens[t - 1, p])), t, p) for t in range(1, len(tokens)) for p in range(n)]
    for _, t, p in sorted(far):
        if left and len(keep[t]) < cap:
            keep[t].append(p)
            left -= 1
    return as_rows(tokens, [sorted(k) for k in keep])


def mean_time(tokens, case):
    frames, n = tokens.shape[:2]
    pairs = sorted((cosine(tokens[t - 1, p], tokens[t, p]), t, p) for t in range(1, frames) for p in range(n))
    cut = {(t, p) for _, t, p in pairs[:max(0, min(budget_of(case) - n, len(pairs)))]}
    keep, rows = [[] for _ in tokens], {}
    for p in range(n):
        runs = [[0]]
        for t in range(1, frames):
            runs.append([t]) if (t, p) in cut else runs[-1].append(t)
        for run in runs:
            at = min(run, key=lambda t: len(keep[t])) if cap_of(case) < n else run[0]
            keep[at].append(p)
            rows[at, p] = tokens[run, p].astype(np.float64).mean(0)
    cap = cap_of(case)
    keep = [thin(row, cap) for row in keep]
    for t in range(frames if cap < n and frames > 1 else 0):
        for p in np.argsort(cosine(tokens[t - 1 if t else 1], tokens[t]), kind="stable").tolist():
            if len(keep[t]) < cap and sum(map(len, keep)) < budget_of(case) and p not in keep[t]:
                keep[t].append(p)
                rows[t, p] = tokens[t, p].astype(np.float64)
        keep[t].sort()
    return keep, [[rows[t, p] for p in keep[t]] for t in range(frames)]


def attended(x):
    logits = x @ x.T / math.sqrt(x.shape[1])
    soft = np.exp(logits - logits.max(1, keepdims=True))
    return (soft / soft.sum(1, keepdims=True)).mean(0)


def visionzip(tokens, case):
    keep, rows = [], []
    for t, k in enumerate(shares(np.ones(len(tokens)), budget_of(case), 1, cap_of(case))):
        x = tokens[t].astype(np.float64)
        contextual = 0 if k < 2 else max(k * 10 // 64, 1)
        dominant = best(attended(x), k - contextual)
        others = [i for i in range(len(x)) if i not in dominant]
        found = {i: x[i] for i in dominant}
        if contextual:
            targets = others[::max(1, len(others) // contextual)][:contextual]
            groups = {target: [target] for target in targets}
            for o in others:
                if o not in targets:
                    groups[targets[int(np.argmax([cosine(x[o], x[target]) for target in targets]))]].append(o)
            found.update({target: x[members].mean(0) for target, members in groups.items()})
        keep.append(sorted(found))
        rows.append([found[i] for i in keep[-1]])
    return keep, rows


def quadtree(x, w, h):
    """Levels of {(column, row): mean of its children}, from the tokens up."""
    levels = [{(i % w, i // w): x[i].astype(np.float32) for i in range(w * h)}]
    while len(levels[-1]) > 1:
        below, above = levels[-1], {}
        for (c, r), row in below.items():
            above.setdefault((c // 2, r // 2), []).append(row)
        levels.append({at: np.mean(rows, axis=0, dtype=np.float64).astype(np.float32) for at, rows in above.items()})
    return levels


def sttm_merge(trees, w, h, tau):
    def split(tree, level, at):
        children = [(c, r) for c in (2 * at[0], 2 * at[0] + 1) for r in (2 * at[1], 2 * at[1] + 1)
                    if level and (c, r) in tree[level - 1]]
        if all(cosine(tree[level - 1][c], tree[level][at]) >= tau for c in children):
            return [(level, at)]
        return [node for c in children for node in split(tree, level - 1, c)]

    def places(node):
        side = 1 << node[0]
        return frozenset((c, r) for c in range(node[1][0] * side, min(w, (node[1][0] + 1) * side))
                         for r in range(node[1][1] * side, min(h, (node[1][1] + 1) * side)))

    nodes = [[(t, places(n), tree[n[0]][n[1]]) for n in split(tree, len(tree) - 1, (0, 0))] for t, tree in enumerate(trees)]
    flat = [n for frame in nodes for n in frame]
    group = list(range(len(flat)))
    for a, (t, where, row) in enumerate(flat):
        for b, (u, other, second) in enumerate(flat):
            if u == t + 1 and (where <= other or other <= where) and cosine(row, second) >= tau - .3:
                group = [group[a] if g == group[b] else g for g in group]
    sets = {}
    for g, (t, where, row) in zip(group, flat):
        sets.setdefault(g, []).append((t, min(r * w + c for c, r in where), row))
    return sorted((min((t, p) for t, p, _ in s), np.mean([row for _, _, row in s], axis=0, dtype=np.float64))
                  for s in sets.values())


def sttm(tokens, case):
    w, h = case[:2]
    trees = [quadtree(x, w, h) for x in tokens]
    low, high = -1.1, 1.4
    found = sttm_merge(trees, w, h, high)
    if len(found) > budget_of(case):
        for _ in range(14):
            middle = (low + high) / 2
            if len(sttm_merge(trees, w, h, middle)) <= budget_of(case):
                low = middle
            else:
                high = middle
        found = sttm_merge(trees, w, h, low)
    keep, rows = [[] for _ in tokens], [[] for _ in tokens]
    for (t, p), row in found:
        keep[t].append(p)
        rows[t].append(row)
    return keep, rows


def equal(tokens, case):
    return shares(np.ones(len(tokens)), budget_of(case), 1, cap_of(case))


def shares_within(weights, total, most):
    """As shares() with nothing at least, each part with its own most."""
    total = min(total, sum(most))
    part = np.asarray(weights, np.float64) / max(np.sum(weights), 1e-300) * total
    out = [min(int(p), m) for p, m in zip(part, most)]
    for i in sorted(range(len(most)), key=lambda i: (-(part[i] - math.floor(part[i])), i)):
        if sum(out) < total and out[i] < most[i]:
            out[i] += 1
    while sum(out) < total:
        for i in range(len(most)):
            if sum(out) < total and out[i] < most[i]:
                out[i] += 1
    return out


def peaks(rows, k, n):
    """DPC-KNN: the n rows of the largest density x distance to what is denser, best first; and all distances."""
    x = np.array(rows, np.float64)
    square = ((x[:, None] - x[None]) ** 2).sum(-1) / x.shape[1]
    density = np.exp(-np.sort(square, 1)[:, :k].mean(1))
    delta = []
    for i in range(len(x)):
        denser = [j for j in range(len(x)) if density[j] > density[i] or (density[j] == density[i] and j < i)]
        delta.append(math.sqrt(min(square[i, denser])) if denser else math.sqrt(square.max()))
    return np.argsort(-density * np.array(delta), kind="stable")[:n].tolist(), square


def clusters(rows, k, n):
    """{centre: members, itself first}"""
    centres, square = peaks(rows, k, n)
    out = {c: [c] for c in centres}
    for i in range(len(rows)):
        if i not in out:
            out[centres[int(np.argmin(square[i, centres]))]].append(i)
    return out


def holitom(tokens, case):
    x, (frames, n) = tokens.astype(np.float64), tokens.shape[:2]
    alike = [None] + [cosine(x[t], x[t - 1]) > .8 for t in range(1, frames)]

    def still(s, e):
        return np.all(alike[s + 1:e + 1], axis=0) if e > s else np.zeros(n, bool)

    def stretches(s):
        if s == frames:
            return [[]]
        return [[(s, e)] + rest for e in range(s, frames) for rest in stretches(e + 1)]

    cuts = max(stretches(0), key=lambda cut: sum(int(still(s, e).sum()) * (e - s) for s, e in cut))
    sets = []                                           # (frame, [(place, row)])
    for s, e in cuts:
        mask = still(s, e)
        for t in range(s, e + 1):
            sets.append((t, [(p, x[s:e + 1, p].mean(0).astype(np.float32)) for p in range(n) if mask[p]] if t == s else []))
            sets.append((t, [(p, tokens[t, p]) for p in range(n) if not mask[p]]))
    sizes = [len(rows) for _, rows in sets]
    keep = [{} for _ in tokens]
    for (t, rows), k in zip(sets, shares_within(sizes, min(budget_of(case), sum(sizes)), sizes)):
        if k == len(rows):
            keep[t].update({p: row.astype(np.float64) for p, row in rows})
        elif k:
            for c, members in clusters([row for _, row in rows], 7, k).items():
                row = rows[c][1].astype(np.float64)
                if len(members) > 1:
                    row = .6 * row + .4 * np.mean([rows[i][1] for i in members[1:]], axis=0, dtype=np.float64)
                keep[t][rows[c][0]] = row
    return [sorted(k) for k in keep], [[k[p] for p in sorted(k)] for k in keep]


def cuts_of(x):
    means = x.mean(1)
    return [0] + [t for t in range(1, len(x)) if cosine(means[t - 1], means[t]) < .9] + [len(x)]


def fastvid(tokens, case):
    x, (frames, n) = tokens.astype(np.float64), tokens.shape[:2]
    counts, keep = equal(tokens, case), [{} for _ in tokens]
    ends = list(range(frames + 1)) if cap_of(case) < n else cuts_of(x)
    for s, e in zip(ends, ends[1:]):
        context = [int(counts[t] * .4 + 1e-9) for t in range(s, e)]
        salient, anchors = [counts[t] - c for t, c in zip(range(s, e), context)], sum(context)
        for i in range(e - s - 1):
            more = min(max(anchors - (n - salient[-1]), 0), n - salient[i])
            salient[i], anchors = salient[i] + more, anchors - more
        chosen = [best(attended(x[t]), k) for t, k in zip(range(s, e), salient)]
        for t, places in zip(range(s, e), chosen):
            keep[t].update({p: x[t, p] for p in places})
        if not anchors:
            continue
        others = [p for p in range(n) if p not in chosen[-1]]
        places = [others[i] for i in peaks(x[e - 1, others], 4, anchors)[0]]
        joined = {p: [] for p in places}
        for t in range(s, e):
            for p in range(n):
                if p not in chosen[t - s] and not (t == e - 1 and p in joined):
                    joined[places[int(np.argmax(cosine(x[t, p], x[e - 1, places])))]].append(x[t, p])
        for p, rows in joined.items():
            w = max(1 / (len(rows) + 1), .6)
            keep[e - 1][p] = w * x[e - 1, p] + (1 - w) * np.mean(rows, axis=0) if rows else x[e - 1, p]
    return [sorted(k) for k in keep], [[k[p] for p in sorted(k)] for k in keep]


def various(x, k):
    far = (1 - cosine(x[:, None], x[None])) * attended(x)[None]
    apart = far + np.where(np.eye(len(x)) > 0, np.inf, 0)
    chosen = [int(np.argmax(apart.min(0)))] if k and len(x) > 1 else list(range(k))
    while len(chosen) < k:
        nearest = far[chosen].min(0)
        nearest[chosen] = -np.inf
        chosen.append(int(np.argmax(nearest)))
    return chosen


def flashvid(tokens, case):
    x, (frames, n) = tokens.astype(np.float64), tokens.shape[:2]
    counts, cuts = equal(tokens, case), cuts_of(x)
    chosen = [various(x[t], math.ceil(counts[t] * .7 - 1e-9)) for t in range(frames)]
    left = sum(counts) - sum(map(len, chosen))
    free = [[p for p in range(n) if p not in chosen[t]] for t in range(frames)]
    parent = {}
    for t in range(1, frames):
        for p in free[t] if t not in cuts else ():
            if free[t - 1]:
                like = cosine(x[t, p], x[t - 1, free[t - 1]])
                if like.max() > .8:
                    parent[t, p] = (like.max(), (t - 1, free[t - 1][int(np.argmax(like))]))
    roots = [len(free[t]) - sum(u == t for u, _ in parent) for t in range(frames)]
    room = [cap_of(case) - len(chosen[t]) for t in range(frames)]
    for at in sorted(parent, key=lambda at: (parent[at][0], at)):
        if sum(map(min, roots, room)) < left and roots[at[0]] < room[at[0]]:
            del parent[at]
            roots[at[0]] += 1
    trees = {}
    for t in range(frames):
        for p in free[t]:
            at = (t, p)
            while at in parent:
                at = parent[at][1]
            trees.setdefault(at, []).append(x[t, p])
    keep = [{p: x[t, p] for p in chosen[t]} for t in range(frames)]
    of_frame = [sorted(p for u, p in trees if u == t) for t in range(frames)]
    most = [min(cap_of(case) - len(chosen[t]), len(of_frame[t])) for t in range(frames)]
    for t, k in enumerate(shares_within([len(r) for r in of_frame], left, most)):
        means = [np.mean(trees[t, p], axis=0).astype(np.float32) for p in of_frame[t]]
        for c, members in (clusters(means, 7, k) if k else {}).items():
            keep[t][of_frame[t][c]] = np.mean([means[i] for i in members], axis=0, dtype=np.float64)
    return [sorted(k) for k in keep], [[k[p] for p in sorted(k)] for k in keep]


def cdpruner(tokens, case):
    """The authors' Cholesky updates, with every token equally relevant."""
    keep = []
    for t, k in enumerate(equal(tokens, case)):
        x = tokens[t].astype(np.float64)
        x /= np.linalg.norm(x, axis=1, keepdims=True)
        kernel = x @ x.T
        gain, factors, chosen = np.diag(kernel).copy(), np.zeros((k, len(x))), []
        for i in range(k):
            j = int(np.argmax(np.where(np.isin(np.arange(len(x)), chosen), -np.inf, gain.round(12))))
            factors[i] = (kernel[j] - factors[:i, j] @ factors[:i]) / math.sqrt(gain[j])
            gain -= factors[i] ** 2
            chosen.append(j)
        keep.append(sorted(chosen))
    return as_rows(tokens, keep)


METHODS = {"v-cast": vcast, "vidcom2": vidcom2, "evs": evs, "mean": mean_time, "visionzip": visionzip, "sttm": sttm,
           "holitom": holitom, "fastvid": fastvid, "flashvid": flashvid, "cdpruner": cdpruner}


def check(rows):
    """One number of all rows in their order; and the sum of what it adds up, without signs, for the tolerance."""
    total = size = 0.
    for j, row in enumerate(r for frame in rows for r in frame):
        weights = (j % 7 + 1) * (np.arange(len(row)) % 5 + 1)
        total += float((weights * row).sum())
        size += float((weights * np.abs(row)).sum())
    return total, size


def main():
    print("/* SPDX-License-Identifier: LGPL-2.1-or-later */\n/* Made by compress-goldens.py; do not edit. */\n")
    made = []
    for number, case in enumerate(CASES):
        tokens = draw(case)
        for name, method in METHODS.items():
            keep, rows = method(tokens, case)
            # what a method keeps over a frame's budget, and then the group's, is dropped evenly
            for f, row in enumerate(keep):
                at = thin(list(range(len(row))), cap_of(case))
                keep[f], rows[f] = [row[i] for i in at], [rows[f][i] for i in at]
            flat = [(f, i) for f, row in enumerate(keep) for i in range(len(row))]
            left = set(thin(flat, case[5]) if case[5] else flat)
            rows = [[r for i, r in enumerate(row) if (f, i) in left] for f, row in enumerate(rows)]
            keep = [[p for i, p in enumerate(row) if (f, i) in left] for f, row in enumerate(keep)]
            total, size = check(rows)
            flat = [p for row in keep for p in row]
            ident = f"{name.replace('-', '_')}_{number}"
            made.append((ident, name, case, [len(row) for row in keep] + [0] * (4 - len(keep)), total, size))
            lines, line = [], "  "
            for p in flat:
                if len(line) + len(str(p)) > 110:
                    lines.append(line.rstrip())
                    line = "  "
                line += f"{p}, "
            print(f"static const gint32 {ident}[] = {{\n" + "\n".join(lines + [line.rstrip()]) + "\n};")
    print("\nstatic const Golden goldens[] = {")
    for ident, name, case, counts, total, size in made:
        w, h, dim, frames, ratio, group, frame = case
        print(f'  {{ "{name}", {w}, {h}, {dim}, {frames}, {ratio}, {group}, {frame}, '
              f'{{ {", ".join(map(str, counts))} }}, {ident},\n'
              f"    {total:.6f}, {size:.3f} }},")
    print("};")


main()
