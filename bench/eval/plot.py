# SPDX-License-Identifier: LGPL-2.1-or-later
"""A reliability plot as SVG: how often answers are right (bars), by how sure they were; the line is honesty."""
SIDE, EDGE = 320, 40


def reliability(bins, title):
    """`bins`: (answers, mean probability, share that is right) as labels.bins() has them."""
    def x(value):
        return EDGE + value * SIDE

    def y(value):
        return EDGE + (1 - value) * SIDE

    total = max(1, sum(n for n, _, _ in bins))
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {SIDE + 2 * EDGE} {SIDE + 2 * EDGE}" font-family="sans-serif" '
           'font-size="11">', '<rect width="100%" height="100%" fill="white"/>',
           f'<text x="{EDGE}" y="22" font-size="13">{escape(title)}</text>']
    for n, sure, right in bins:
        width = 4 + 24 * (n / total) ** .5
        out.append(f'<rect x="{x(sure) - width / 2:.1f}" y="{y(right):.1f}" width="{width:.1f}" height="{right * SIDE:.1f}" '
                   f'fill="#4477aa" opacity=".8"><title>{n} answers: {sure:.2f} sure, {right:.2f} right</title></rect>')
    out.append(f'<path d="M{x(0)} {y(0)}H{x(1)}M{x(0)} {y(0)}V{y(1)}M{x(0)} {y(0)}L{x(1)} {y(1)}" stroke="black" fill="none"/>')
    for tick in (0, .5, 1):
        out.append(f'<text x="{x(tick)}" y="{y(0) + 14}" text-anchor="middle">{tick:g}</text>')
        out.append(f'<text x="{EDGE - 6}" y="{y(tick) + 4}" text-anchor="end">{tick:g}</text>')
    out.append(f'<text x="{x(.5)}" y="{y(0) + 28}" text-anchor="middle">probability of the chosen label</text>')
    out.append(f'<text transform="translate(12 {y(.5)}) rotate(-90)" text-anchor="middle">share that is right</text>')
    return "\n".join(out + ["</svg>", ""])


def escape(text):
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
