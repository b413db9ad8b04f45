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


def measured(first, second, cell):
    _, h, w = first.shape
    ph, pw, side = max(h // 4, 1), max(w // 4, 1), cell // 4
    rows, columns = -(-h // cell), -(-w // cell)
    y4, x4 = np.minimum(np.arange(ph * 4), h - 1), np.minimum(np.arange(pw * 4), w - 1)
    luma, detail, half = [], [], []
    for rgb in (first, second):
        grey = (77 * rgb[0] + 150 * rgb[1] + 29 * rgb[2] + 128) // 256
        luma.append(grey[np.ix_(y4, x4)].reshape(ph, 4, pw, 4).sum((1, 3)))
        mean = np.empty_like(luma[-1])
        for i in range(ph):
            for j in range(pw):
                window = luma[-1][max(i - 4, 0) : i + 5, max(j - 4, 0) : j + 5]
                mean[i, j] = (window.sum() + window.size // 2) // window.size
        detail.append(luma[-1] - mean)
        d = detail[-1][: ph // 2 * 2, : pw // 2 * 2]
        half.append((d[0::2, 0::2] + d[0::2, 1::2] + d[1::2, 0::2] + d[1::2, 1::2]) // 4)

    # The whole picture's step.
    hh, hw = half[0].shape
    all_step = (0, 0)
    if hh >= 2 and hw >= 2:
        best, still = None, np.abs(half[0] - half[1]).mean()
        for dy in range(-min(hh // 2, 32), min(hh // 2, 32) + 1):
            for dx in range(-min(hw // 2, 32), min(hw // 2, 32) + 1):
                a = half[0][max(0, -dy) : min(hh, hh - dy), max(0, -dx) : min(hw, hw - dx)]
                b = half[1][max(0, dy) : min(hh, hh + dy), max(0, dx) : min(hw, hw + dx)]
                value = np.abs(a - b).mean()
                if value < (still if best is None else best):
                    best, all_step = value, (2 * dx, 2 * dy)
        if best is None or best > 0.8 * still - 8:
            all_step = (0, 0)

    border = 14
    wide = [np.pad(d, border, mode="edge") for d in detail]

    def block(i, j, margin):
        y0, x0 = min(i * side, ph - 1), min(j * side, pw - 1)
        return y0 - margin, x0 - margin, min(y0 + side, ph) + margin, min(x0 + side, pw) + margin

    def sad(at, dx, dy):
        y0, x0, y1, x1 = at
        a = wide[0][border + y0 : border + y1, border + x0 : border + x1]
        b = wide[1][border + y0 + dy : border + y1 + dy, border + x0 + dx : border + x1 + dx]
        return int(np.abs(a - b).sum())

    out = np.zeros((rows, columns, 24))
    steps, weights = np.zeros((rows, columns, 2)), np.zeros((rows, columns))
    for i in range(rows):
        for j in range(columns):
            at = block(i, j, 2)
            y0, x0, y1, x1 = at
            best = (sad(at, 0, 0), 0, 0)
            searches = [((0, 0), 10)] + ([(all_step, 4)] if all_step != (0, 0) else [])
            for (cx, cy), reach in searches:
                for dy in range(cy - reach, cy + reach + 1):
                    for dx in range(cx - reach, cx + reach + 1):
                        if not (x0 + dx > -border and y0 + dy > -border and x1 + dx < pw + border and y1 + dy < ph + border):
                            continue
                        cost = sad(at, dx, dy) + 16 * min(abs(dx) + abs(dy), abs(dx - cx) + abs(dy - cy))
                        if cost < best[0]:
                            best = (cost, dx, dy)
            _, bx, by = best

            def fraction(left, middle, right):
                bend = left - 2 * middle + right
                return np.clip((left - right) / (2 * bend), -0.5, 0.5) if bend > 0 else 0

            middle = sad(at, bx, by)
            steps[i, j] = (bx + fraction(sad(at, bx - 1, by), middle, sad(at, bx + 1, by)),
                           by + fraction(sad(at, bx, by - 1), middle, sad(at, bx, by + 1)))
            inner = block(i, j, 0)
            cut = np.s_[inner[0] : inner[2], inner[1] : inner[3]]
            n = luma[0][cut].size
            size = [np.abs(d[cut]).mean() for d in detail]
            weights[i, j] = size[0] / (size[0] + 32)
            o = out[i, j]
            o[0:2] = np.clip(steps[i, j] / side, -4, 4)
            o[4] = log_of(np.abs(detail[0][cut] - detail[1][cut]).mean())
            o[5] = log_of(sad(inner, bx, by) / n)
            o[6] = log_of(np.abs(luma[0][cut] - luma[1][cut]).mean())
            o[7] = log_of(size[0])
            o[8] = np.clip((luma[1][cut].mean() - luma[0][cut].mean()) / 512, -4, 4)
            o[9] = log_of(size[1]) - log_of(size[0])
            o[10] = luma[0][cut].mean() / 2048 - 1
            piece = first[:, i * cell : (i + 1) * cell, j * cell : (j + 1) * cell]
            grey = (77 * piece[0] + 150 * piece[1] + 29 * piece[2] + 128) // 256
            o[11], o[12] = (piece[2] - grey).mean() / 64, (piece[0] - grey).mean() / 64
            o[23] = 1

    d = steps.reshape(-1, 2) / side
    p = np.stack(np.meshgrid(np.arange(columns), np.arange(rows)), -1).reshape(-1, 2).astype(float)
    middle = np.array([(columns - 1) / 2, (rows - 1) / 2])
    w0 = weights.reshape(-1)
    t, zoom = np.array(all_step) / side, 0.0
    for _ in range(8):
        r2 = ((d - t - zoom * (p - middle)) ** 2).sum(1)
        w = w0 / (1 + r2 / 0.15**2)
        pm, dm = (w[:, None] * p).sum(0) / (w.sum() + 1e-6), (w[:, None] * d).sum(0) / (w.sum() + 1e-6)
        zoom = np.clip((w[:, None] * (p - pm) * (d - dm)).sum() / ((w[:, None] * (p - pm) ** 2).sum() + 1e-6), -0.5, 0.5)
        t = dm + zoom * (middle - pm)
    off = d - t - zoom * (p - middle)
    agree = w0[(off**2).sum(1) < 0.25**2].sum() / (w0.sum() + 1e-6)
    flat = out.reshape(-1, 24)
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
