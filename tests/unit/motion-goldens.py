# SPDX-License-Identifier: LGPL-2.1-or-later
"""Writes motion-goldens.h: what vision/motion.h says is measured, of the pictures of test-motion.c, by numpy from the words of
vision/motion.c's head: whole arrays and every candidate, no sums that are carried on and none that end early. With `stream`,
motion-stream-goldens.h: of the frames of test-motion-tokens.c, which make pictures in pairs, the inputs of version 2.

usage: motion-goldens.py > motion-goldens.h
       motion-goldens.py stream > motion-stream-goldens.h
"""
import sys

import numpy as np

# width, height, cell, kind, and two numbers of the kind
CASES = [
    ("still", 96, 64, 32, 0, 0), ("equal", 64, 64, 32, 0, 0), ("shift", 96, 64, 32, 8, -4), ("shift", 256, 64, 32, 60, 0),
    ("shift", 80, 48, 32, -6, 7), ("brighter", 96, 64, 32, 20, 0), ("brighter", 64, 32, 32, -90, 0),
    ("mover", 128, 96, 32, 16, 0), ("mover", 160, 96, 32, 8, 12), ("zoom", 160, 128, 32, 10, 11), ("zoom", 160, 128, 32, 12, 11),
    ("other", 96, 64, 32, 0, 0), ("flat", 64, 64, 32, 30, 0), ("shift", 36, 20, 16, 4, 0), ("shift", 4, 4, 4, 1, 0),
    ("shift", 6, 9, 4, 1, 1),
]
BORDER = 14                     # that planes are continued by


def lattice(i, j, c):
    mixed = (i * 73856093) ^ (j * 19349663) ^ (c * 83492791)
    return ((mixed * 2654435761) % 2**32) >> 24


def texture(x, y, c):
    """Patterns with detail of some six pixels; x, y arrays of whole numbers from 0 on."""
    i, j, fx, fy = x // 6, y // 6, x % 6, y % 6
    return ((6 - fx) * (6 - fy) * lattice(i, j, c) + fx * (6 - fy) * lattice(i + 1, j, c)
            + (6 - fx) * fy * lattice(i, j + 1, c) + fx * fy * lattice(i + 1, j + 1, c)) // 36


def frames(kind, w, h, a, b):
    """[2, 3, h, w]"""
    y, x = np.mgrid[0:h, 0:w].astype(np.int64) + 100
    out = np.empty((2, 3, h, w), np.int64)
    for c in range(3):
        out[0, c] = texture(x, y, c)
        out[1, c] = out[0, c]
        if kind == "still":         # the last bits of some pixels
            out[1, c] += (x * 7 + y * 13 + c) % 3 - 1
        elif kind == "shift":
            out[1, c] = texture(x - a, y - b, c)
        elif kind == "brighter":
            out[1, c] += a
        elif kind == "mover":
            for f in range(2):
                inside = (x - f * a >= 120) & (x - f * a < 160) & (y - f * b >= 130) & (y - f * b < 165)
                out[f, c] = np.where(inside, texture(x - f * a + 500, y - f * b + 300, c), texture(x, y, c))
        elif kind == "zoom":        # about (100 + w / 2, 100 + h / 2)
            out[1, c] = texture((x - 100 - w // 2) * a // b + 100 + w // 2, (y - 100 - h // 2) * a // b + 100 + h // 2, c)
        elif kind == "other":
            out[1, c] = texture(x + 1000, y + 2000, c)
        elif kind == "flat":
            out[0, c], out[1, c] = 90 + 20 * c, 90 + 20 * c + a
    return np.clip(out, 0, 255)


def log_of(v):
    return np.log2(1 + v / 4) / 4


def planes_of(rgb, ph, pw):
    """Of a frame: sums of four by four grey pixels, these less the mean around them, and that of half the size."""
    _, h, w = rgb.shape
    y4, x4 = np.minimum(np.arange(ph * 4), h - 1), np.minimum(np.arange(pw * 4), w - 1)
    grey = (77 * rgb[0] + 150 * rgb[1] + 29 * rgb[2] + 128) // 256
    luma = grey[np.ix_(y4, x4)].reshape(ph, 4, pw, 4).sum((1, 3))
    mean = np.empty_like(luma)
    for i in range(ph):
        for j in range(pw):
            window = luma[max(i - 4, 0) : i + 5, max(j - 4, 0) : j + 5]
            mean[i, j] = (window.sum() + window.size // 2) // window.size
    detail = luma - mean
    d = detail[: ph // 2 * 2, : pw // 2 * 2]
    return luma, detail, (d[0::2, 0::2] + d[0::2, 1::2] + d[1::2, 0::2] + d[1::2, 1::2]) // 4


def whole_step(half):
    """The whole picture's, x and y in pixels of a plane; (0, 0) where none fits much better than standing still."""
    hh, hw = half[0].shape
    if hh < 2 or hw < 2:
        return 0, 0
    best, step, still = None, (0, 0), np.abs(half[0] - half[1]).mean()
    for dy in range(-min(hh // 2, 32), min(hh // 2, 32) + 1):
        for dx in range(-min(hw // 2, 32), min(hw // 2, 32) + 1):
            a = half[0][max(0, -dy) : min(hh, hh - dy), max(0, -dx) : min(hw, hw - dx)]
            b = half[1][max(0, dy) : min(hh, hh + dy), max(0, dx) : min(hw, hw + dx)]
            value = np.abs(a - b).mean()
            if value < (still if best is None else best):
                best, step = value, (2 * dx, 2 * dy)
    return (0, 0) if best is None or best > 0.8 * still - 8 else step


def fraction(left, middle, right):
    bend = left - 2 * middle + right
    return np.clip((left - right) / (2 * bend), -0.5, 0.5) if bend > 0 else 0


class Pair:
    """Two frames, and their planes, in cells of `side` pixels of a plane."""

    def __init__(self, first, second, cell):
        _, h, w = first.shape
        self.first, self.cell, self.side = first, cell, cell // 4
        self.ph, self.pw = max(h // 4, 1), max(w // 4, 1)
        self.rows, self.columns = -(-h // cell), -(-w // cell)
        self.luma, self.detail, half = zip(*(planes_of(rgb, self.ph, self.pw) for rgb in (first, second)))
        self.whole = whole_step(half)
        self.wide = [np.pad(d, BORDER, mode="edge") for d in self.detail]

    def block(self, i, j, margin):
        y0, x0 = min(i * self.side, self.ph - 1), min(j * self.side, self.pw - 1)
        return y0 - margin, x0 - margin, min(y0 + self.side, self.ph) + margin, min(x0 + self.side, self.pw) + margin

    def sad(self, at, dx, dy):
        y0, x0, y1, x1 = (BORDER + v for v in at)
        return int(np.abs(self.wide[0][y0:y1, x0:x1] - self.wide[1][y0 + dy : y1 + dy, x0 + dx : x1 + dx]).sum())

    def holds(self, at, dx, dy):
        y0, x0, y1, x1 = at
        return x0 + dx > -BORDER and y0 + dy > -BORDER and x1 + dx < self.pw + BORDER and y1 + dy < self.ph + BORDER

    def step(self, i, j):
        """Of a cell: in whole pixels of a plane, and in parts of one."""
        at = self.block(i, j, 2)
        best = (self.sad(at, 0, 0), 0, 0)
        searches = [((0, 0), 10)] + ([(self.whole, 4)] if self.whole != (0, 0) else [])
        for (cx, cy), reach in searches:
            for dy in range(cy - reach, cy + reach + 1):
                for dx in range(cx - reach, cx + reach + 1):
                    if not self.holds(at, dx, dy):
                        continue
                    cost = self.sad(at, dx, dy) + 16 * min(abs(dx) + abs(dy), abs(dx - cx) + abs(dy - cy))
                    if cost < best[0]:
                        best = (cost, dx, dy)
        _, bx, by = best
        middle = self.sad(at, bx, by)
        return (bx, by), (bx + fraction(self.sad(at, bx - 1, by), middle, self.sad(at, bx + 1, by)),
                          by + fraction(self.sad(at, bx, by - 1), middle, self.sad(at, bx, by + 1)))

    def values(self, i, j, whole, step):
        """What is said of a cell by itself, and how much its step counts."""
        at = self.block(i, j, 0)
        cut = np.s_[at[0] : at[2], at[1] : at[3]]
        luma, detail = [v[cut] for v in self.luma], [v[cut] for v in self.detail]
        size = [np.abs(d).mean() for d in detail]
        piece = self.first[:, i * self.cell : (i + 1) * self.cell, j * self.cell : (j + 1) * self.cell]
        grey = (77 * piece[0] + 150 * piece[1] + 29 * piece[2] + 128) // 256
        o = np.zeros(24)
        o[0:2] = np.clip(np.array(step) / self.side, -4, 4)
        o[4] = log_of(np.abs(detail[0] - detail[1]).mean())
        o[5] = log_of(self.sad(at, *whole) / luma[0].size)
        o[6] = log_of(np.abs(luma[0] - luma[1]).mean())
        o[7] = log_of(size[0])
        o[8] = np.clip((luma[1].mean() - luma[0].mean()) / 512, -4, 4)
        o[9] = log_of(size[1]) - log_of(size[0])
        o[10] = luma[0].mean() / 2048 - 1
        o[11], o[12] = (piece[2] - grey).mean() / 64, (piece[0] - grey).mean() / 64
        o[23] = 1
        return o, size[0] / (size[0] + 32)


def fit(d, p, middle, t, w0):
    """The step and zoom of the whole picture that most cells' steps @d at @p agree with, and what is left of each."""
    zoom = 0.0
    for _ in range(8):
        r2 = ((d - t - zoom * (p - middle)) ** 2).sum(1)
        w = w0 / (1 + r2 / 0.15**2)
        pm, dm = (w[:, None] * p).sum(0) / (w.sum() + 1e-6), (w[:, None] * d).sum(0) / (w.sum() + 1e-6)
        zoom = np.clip((w[:, None] * (p - pm) * (d - dm)).sum() / ((w[:, None] * (p - pm) ** 2).sum() + 1e-6), -0.5, 0.5)
        t = dm + zoom * (middle - pm)
    return t, zoom, d - t - zoom * (p - middle)


def measured(first, second, cell):
    pair = Pair(first, second, cell)
    cells = [(i, j) for i in range(pair.rows) for j in range(pair.columns)]
    steps = [pair.step(i, j) for i, j in cells]
    found = [pair.values(i, j, *step) for (i, j), step in zip(cells, steps)]
    flat, weights = np.array([o for o, _ in found]), np.array([w for _, w in found])
    p = np.stack(np.meshgrid(np.arange(pair.columns), np.arange(pair.rows)), -1).reshape(-1, 2).astype(float)
    middle = np.array([(pair.columns - 1) / 2, (pair.rows - 1) / 2])
    t, zoom, off = fit(np.array([step for _, step in steps]) / pair.side, p, middle, np.array(pair.whole) / pair.side, weights)
    agree = weights[(off**2).sum(1) < 0.25**2].sum() / (weights.sum() + 1e-6)
    flat[:, 2:4] = np.clip(off, -4, 4)
    flat[:, 13:17] = *np.clip(t, -4, 4), 4 * zoom, agree
    flat[:, 17:23] = flat[:, [4, 5, 6, 7, 8, 9]].mean(0)
    return flat


def put(name, rows):
    print(f"static const float {name}[] = {{")
    for row in rows:
        for i in range(0, len(row), 8):
            print("  " + " ".join(f"{v:.7g}f," if "." in f"{v:.7g}" or "e" in f"{v:.7g}" else f"{v:.7g}," for v in row[i : i + 8]))
    print("};")


def stream_frame(f):
    """A pattern that moves by a plane's pixel from frame to frame, and a cut before frame 2, in the light of another lamp."""
    y, x = np.mgrid[0:24, 0:32]
    x = x + 40 - 4 * f + 90 * (f >= 2)
    return np.stack([(5 * x * x + 3 * y * y + 2 * x * y + 70 * c) % 199 + 30 * (f >= 2) for c in range(3)])


def stream():
    """Five frames: two pictures of two, one of one. A row: from the frame before to the first, from the first to the second."""
    frame = [stream_frame(f) for f in range(5)]
    nothing = np.zeros((12, 24))
    for n in range(3):
        before = measured(frame[2 * n - 1], frame[2 * n], 8) if n else nothing
        own = measured(frame[2 * n], frame[2 * n + 1], 8) if n < 2 else nothing
        put(f"stream_{n}", np.hstack([before, own]))
    print("\nstatic const float *const stream_inputs[] = { stream_0, stream_1, stream_2 };")


def main():
    print("/* SPDX-License-Identifier: LGPL-2.1-or-later */\n/* Made by motion-goldens.py with numpy. */\n")
    if sys.argv[1:] == ["stream"]:
        stream()
        return
    table = []
    for n, (kind, w, h, cell, a, b) in enumerate(CASES):
        put(f"motion_{n}", measured(*frames(kind, w, h, a, b), cell))
        table.append(f'  {{ "{kind}", {w}, {h}, {cell}, {a}, {b}, motion_{n}, G_N_ELEMENTS (motion_{n}) }},')
    print("\nstatic const MotionCase cases[] = {")
    print("\n".join(table))
    print("};")


if __name__ == "__main__":
    main()
