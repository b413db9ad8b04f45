# SPDX-License-Identifier: LGPL-2.1-or-later
"""docs/compression.md and its plot, of a report of the laboratory. Text that does not depend on figures stands in
page.md, which has a place for the tables."""
import os

import report as reports

PLACE = "<!-- figures -->"
WIDTH, HEIGHT, LEFT, TOP = 640, 360, 60, 30
COLOURS = ("#4477aa", "#ee6677", "#228833", "#ccbb44", "#66ccee", "#aa3377", "#bbbbbb", "#000000")


def points(data):
    """{method: [(tokens a window, share of all tokens' CIDEr-D)]} of the tables of budgets."""
    out = {}
    for table in data["tables"]:
        if "all keys attended to" in table["title"]:
            for row in table["rows"]:
                out.setdefault(row[0], set()).add((float(row[1]), row[4][0]))
    return {method: sorted(found) for method, found in out.items()}


def plot(data):
    found = {m: p for m, p in points(data).items() if m != "none"}
    tokens = [t for p in found.values() for t, _ in p]
    shares = [s for p in found.values() for _, s in p] + [1.]
    low, high = min(shares) - .02, max(shares) + .02
    left, right = min(tokens) - 8, max(tokens) + 8

    def x(value):
        return LEFT + (value - left) / (right - left) * (WIDTH - LEFT - 130)

    def y(value):
        return TOP + (high - value) / (high - low) * (HEIGHT - TOP - 45)

    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="11">',
           '<rect width="100%" height="100%" fill="white"/>',
           f'<text x="{LEFT}" y="18" font-size="13">CIDEr-D as a share of that of all tokens, by visual tokens of a window</text>',
           f'<path d="M{x(left):.1f} {y(1):.1f}H{x(right):.1f}" stroke="#888" stroke-dasharray="4 3"/>']
    for value in range(int(low * 20) + 1, int(high * 20) + 1):
        out.append(f'<text x="{LEFT - 6}" y="{y(value / 20) + 4:.1f}" text-anchor="end">{value / 20:.2f}</text>')
    for value in sorted({round(t) for t in tokens if t == round(t)}):
        out.append(f'<text x="{x(value):.1f}" y="{HEIGHT - 26}" text-anchor="middle">{value}</text>')
    for i, (method, places) in enumerate(sorted(found.items())):
        colour, dash = COLOURS[i % len(COLOURS)], "" if i < len(COLOURS) else ' stroke-dasharray="2 2"'
        path = "L".join(f"{x(t):.1f} {y(s):.1f}" for t, s in places)
        out.append(f'<path d="M{path}" stroke="{colour}" fill="none"{dash}/>')
        out += [f'<circle cx="{x(t):.1f}" cy="{y(s):.1f}" r="3" fill="{colour}"/>' for t, s in places]
        out.append(f'<text x="{WIDTH - 118}" y="{TOP + 12 + 16 * i}" fill="{colour}">{"- -" if dash else "---"} {method}</text>')
    return "\n".join(out + ["</svg>", ""])


def write(data, folder):
    with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "page.md"), encoding="utf8") as f:
        text = f.read()
    for table in data["tables"]:
        table["rows"] = [[round(c, 2) if isinstance(c, float) else c for c in row] for row in table["rows"]]
    with open(os.path.join(folder, "compression.svg"), "w", encoding="utf8") as f:
        f.write(plot(data))
    with open(os.path.join(folder, "compression.md"), "w", encoding="utf8") as f:
        f.write(text.replace(PLACE, reports.markdown(data)))
