# SPDX-License-Identifier: LGPL-2.1-or-later
"""Pictures of three boxes with shapes, and sentences about them with their truth: what the NLVR corpus (Suhr et al., "A
Corpus of Natural Language for Visual Reasoning", ACL 2017) is about. Its own pictures and sentences are read beside them.

A box is a list of items: dict(type, color, size, x_loc, y_loc), pixels of a box of 100 x 100, left upper corner. A picture
is 400 x 100: boxes at 0, 150 and 300. Towers are boxes of 20-pixel squares that stand on each other, from the lowest.
"""

import json
import os
import tarfile

import cv2
import numpy as np

COLORS = {"black": (0, 0, 0), "blue": (0, 153, 255), "yellow": (255, 255, 0)}
NAMES = {"Black": "black", "#0099ff": "blue", "Yellow": "yellow"}
TYPES = ["circle", "square", "triangle"]
NUMBERS = ["no", "one", "two", "three", "four", "five", "six", "seven"]


# ---- pictures -------------------------------------------------------------------------------------------------------

def towers(rng):
    most = rng.integers(2, 5)
    return [[dict(type="square", color=str(rng.choice(list(COLORS))), size=20, x_loc=40, y_loc=80 - 21 * i)
             for i in range(rng.integers(1, most + 1))] for _ in range(3)]


def scattered(rng):
    most = int(rng.integers(2, 9))
    boxes = []
    for _ in range(3):
        box = []
        for _ in range(rng.integers(1, most + 1)):
            for _ in range(30):
                size = int(rng.choice([10, 20, 30]))
                x, y = rng.integers(0, 101 - size, 2)
                if rng.random() < 0.35:     # at a wall
                    x, y = [(0, y), (100 - size, y), (x, 0), (x, 100 - size)][rng.integers(4)]
                if all(x + size < o["x_loc"] or o["x_loc"] + o["size"] < x or y + size < o["y_loc"] or o["y_loc"] + o["size"] < y for o in box):
                    box.append(dict(type=str(rng.choice(TYPES)), color=str(rng.choice(list(COLORS))), size=size, x_loc=int(x), y_loc=int(y)))
                    break
        boxes.append(box)
    return boxes


def are_towers(boxes):
    return all(o["type"] == "square" and o["x_loc"] == 40 for b in boxes for o in b)


def draw(boxes, factor=4):
    """[100, 400, 3] uint8."""
    image = np.full((100 * factor, 400 * factor, 3), 128, np.uint8)
    for i, box in enumerate(boxes):
        left = 150 * i * factor
        image[:, left : left + 100 * factor] = 211
        for o in box:
            x, y, s = left + o["x_loc"] * factor, o["y_loc"] * factor, o["size"] * factor
            color = COLORS[o["color"]]
            if o["type"] == "square":
                cv2.rectangle(image, (x, y), (x + s - 1, y + s - 1), color, -1)
            elif o["type"] == "circle":
                cv2.circle(image, (x + s // 2, y + s // 2), s // 2, color, -1, cv2.LINE_AA)
            else:
                cv2.fillPoly(image, [np.array([(x, y + s), (x + s, y + s), (x + s // 2, y)])], color, cv2.LINE_AA)
    return cv2.resize(image, (400, 100), interpolation=cv2.INTER_AREA)


# ---- sentences ------------------------------------------------------------------------------------------------------

def _touches(o, wall=None):
    walls = {"left": o["x_loc"] <= 2, "right": o["x_loc"] + o["size"] >= 98, "top": o["y_loc"] <= 2, "bottom": o["y_loc"] + o["size"] >= 98}
    return walls[wall] if wall else any(walls.values())


def _corner(o):
    return (o["x_loc"] <= 2 or o["x_loc"] + o["size"] >= 98) and (o["y_loc"] <= 2 or o["y_loc"] + o["size"] >= 98)


def _count(rng, n, least=1):
    """A number in words or digits, near n, and how it is to be compared: (text, test)."""
    k = int(np.clip(n + rng.choice([0, 0, 0, -1, 1, 2]), least, 7))
    word = NUMBERS[k] if rng.random() < 0.6 else str(k)
    if k == 1 and rng.random() < 0.3:
        word = str(rng.choice(["a", "one"]))
    how = str(rng.choice(["", "", "exactly ", "at least ", "only ", "atleast ", "at most "]))
    if word == "a" and how not in ("at least ", "atleast "):
        how = ""
    test = {"exactly ": lambda m: m == k, "only ": lambda m: m == k, "at most ": lambda m: m <= k}.get(how, lambda m: m >= k)
    return how + word, test, k


def _be(k, rng):
    verb = "is" if k == 1 else "are"
    return f"{'There' if rng.random() < 0.7 else 'there'} {verb}"


def _s(word, k):
    return word if k == 1 else "boxes" if word == "box" else word + "s"


def _end(text, rng):
    return text + ("." if rng.random() < 0.6 else "")


def _of_towers(boxes, rng):
    c, d = (str(x) for x in rng.choice(list(COLORS), 2))
    tower = lambda test: sum(bool(test([o["color"] for o in b])) for b in boxes)
    above = lambda a, b: lambda t: any(t[i] == b and t[i + 1] == a for i in range(len(t) - 1))
    height = int(rng.integers(1, 5))
    tall = NUMBERS[height] if rng.random() < 0.7 else str(height)
    block = "block" if height == 1 else "blocks"
    choices = [
        (f"with a {c} block at the top", lambda t: t[-1] == c),
        (f"with a {c} block at the {rng.choice(['base', 'bottom'])}", lambda t: t[0] == c),
        (f"which has a {c} block {rng.choice(['above', 'over', 'on'])} a {d} block", above(c, d)),
        (f"with a {c} block {rng.choice(['below', 'under'])} a {d} block", above(d, c)),
        (f"with {rng.choice(['exactly ', 'only ', ''])}{tall} {block}", lambda t: len(t) == height),
        (f"with at least {tall} {block}", lambda t: len(t) >= height),
        (f"with more than {tall} {block}", lambda t: len(t) > height),
        (f"with {rng.choice(['exactly ', ''])}{tall} {block} {rng.choice(['with', 'having'])} a {c} block at the top", lambda t: len(t) == height and t[-1] == c),
        (f"with {rng.choice(['exactly ', ''])}{tall} {block} {rng.choice(['with', 'having'])} a {c} block at the base", lambda t: len(t) == height and t[0] == c),
        (f"{rng.choice(['which has blocks of', 'with'])} all three colors", lambda t: len(set(t)) == 3),
        (f"with {rng.choice(['at least one', 'at least 1', 'atleast one'])} {c} block", lambda t: c in t),
        (f"with only {c} blocks", lambda t: set(t) == {c}),
        (f"with only {c} and {d} blocks", lambda t: set(t) == {c, d}),
        ("that has only one color", lambda t: len(set(t)) == 1),
        (f"with a {c} block and a {d} block", lambda t: t.count(c) >= 1 and t.count(d) >= 1 and (c != d or t.count(c) > 1)),
        (f"where the second block is {c}", lambda t: len(t) > 1 and t[1] == c),
        (f"that has two {c} blocks", lambda t: t.count(c) >= 2),
    ]
    kind = rng.integers(8)
    text, test = choices[rng.integers(len(choices))]
    n = tower(test)
    if kind < 3:
        words, holds, k = _count(rng, n)
        return _end(f"{_be(k, rng)} {words} {_s('tower', k)} {text}", rng), holds(n)
    if kind == 3:
        if rng.random() < 0.3:
            return _end(f"There is a {c} tower with only {tall} {block}", rng), tower(lambda t: t == [c] * height) > 0
        return _end(f"There is a {c} tower", rng), tower(lambda t: set(t) == {c}) > 0
    if kind == 4:
        place, at = [("top", -1), ("base", 0)][rng.integers(2)]
        n = tower(lambda t: t[at] == c)
        words, holds, k = _count(rng, n)
        tail, more = "", lambda t: True
        if rng.random() < 0.3:
            tail, more = f" with at least {tall} {block}", lambda t: len(t) >= height
            n = tower(lambda t: t[at] == c and more(t))
        return _end(f"{_be(k, rng)} {words} {c} {_s('block', k)} as the {place} of a tower{tail}", rng), holds(n)
    if kind == 5:
        n = sum(o["color"] == c for b in boxes for o in b)
        words, holds, k = _count(rng, n)
        return _end(f"{_be(k, rng)} {words} {c} {_s('block', k)}", rng), holds(n)
    if kind == 6:
        same = [len(b) for b in boxes]
        if rng.random() < 0.4:
            return _end("There are at least two towers with the same height", rng), len(set(same)) < 3
        return _end(f"Each tower has at least 1 {c} block", rng), tower(lambda t: c in t) == 3
    if as_tall := [b for b in boxes if len(b) == height]:
        place, at = [("top", -1), ("base", 0)][rng.integers(2)]
        return _end(f"the tower with {tall} {block} has a {c} block at the {place}", rng), any(b[at]["color"] == c for b in as_tall)
    return _end(f"There is no tower with exactly {tall} {block}", rng), True


def _thing(rng):
    """(words for one, for several, test) of an item."""
    c = str(rng.choice(list(COLORS))) if rng.random() < 0.75 else ""
    t = str(rng.choice(TYPES)) if rng.random() < 0.55 else ""
    w, size = [("", 0), ("small ", 10), ("medium ", 20), ("big ", 30)][rng.choice(4, p=[0.94, 0.02, 0.02, 0.02])]
    noun = t or str(rng.choice(["item", "object", "item"]))
    words = f"{w}{c + ' ' if c else ''}{noun}"
    return words, words + "s", lambda o: (not c or o["color"] == c) and (not t or o["type"] == t) and (not size or o["size"] == size)


def _of_items(boxes, rng):
    one, many, test = _thing(rng)
    wall, corner = str(rng.choice(["the edge", "the wall", "any edge", "the side", "a wall"])), str(rng.choice(["the corner", "a corner", "a box corner"]))
    every = [o for b in boxes for o in b]
    kind = rng.integers(11)
    if kind <= 2:
        place = [("", lambda o: True), (f" {rng.choice(['', '', 'closely '])}touching {wall}", _touches),
                 (f" not touching {wall}", lambda o: not _touches(o)), (f" {rng.choice(['', 'closely '])}touching {corner}", _corner)][rng.integers(4)]
        n = sum(test(o) and place[1](o) for o in every)
        words, holds, k = _count(rng, n)
        return _end(f"{_be(k, rng)} {words} {one if k == 1 else many}{place[0]}", rng), holds(n)
    if kind == 3:
        side = str(rng.choice(["left", "right", "top", "bottom"]))
        text = f"the {side} of a box" if side in ("top", "bottom") else f"{side} wall of a box"
        n = sum(test(o) and _touches(o, side) for o in every)
        words, holds, k = _count(rng, n)
        return _end(f"{_be(k, rng)} {words} {one if k == 1 else many} closely touching {text}", rng), holds(n)
    contents = lambda b, f: sum(map(f, b))
    if kind == 4:
        box = boxes[rng.integers(3)]
        words, holds, k = _count(rng, contents(box, test))
        return _end(f"There is a box with {words} {one if k == 1 else many}", rng), any(holds(contents(b, test)) for b in boxes)
    if kind == 5:
        other, others, test2 = _thing(rng)
        box = boxes[rng.integers(3)]
        w1, h1, k1 = _count(rng, contents(box, test))
        w2, h2, k2 = _count(rng, contents(box, test2))
        return _end(f"There is a box with {w1} {one if k1 == 1 else many} and {w2} {other if k2 == 1 else others}", rng), \
            any(h1(contents(b, test)) and h2(contents(b, test2)) for b in boxes)
    if kind == 6:
        words, holds, k = _count(rng, contents(boxes[0], test))
        start = str(rng.choice(["one of the grey square contains", "at least one grey square contains", "there is a grey square with"]))
        return _end(f"{start} {words} {one if k == 1 else many}", rng), any(holds(contents(b, test)) for b in boxes)
    if kind == 7:
        n = sum(contents(b, test) > 0 for b in boxes)
        start = str(rng.choice(["Each box contains at least one", "Each grey box contains atleast one", "There is at least 1"]))
        return (_end(f"{start} {one}" + (" in each box" if start.startswith("There") else ""), rng)), n == 3
    if kind == 8:
        c, d = (str(x) for x in rng.permutation(list(COLORS))[:2])
        form = rng.integers(3)
        if form == 0:
            return _end(f"There is a box with only {c} and {d} items", rng), any({o["color"] for o in b} == {c, d} for b in boxes)
        if form == 1:
            return _end(f"There is a box with all {rng.choice(['3', 'three'])} {rng.choice(['', 'different '])}colors", rng), any(len({o["color"] for o in b}) == 3 for b in boxes)
        return _end(f"There is a box with only {c} items", rng), any({o["color"] for o in b} == {c} for b in boxes)
    if kind == 9:
        k = len(boxes[rng.integers(3)])
        c = str(rng.choice(list(COLORS)))
        if rng.random() < 0.5:
            text = NUMBERS[min(k, 7)] if rng.random() < 0.5 else str(k)
            return _end(f"There is a box with {text} items and a {c} item on top", rng), \
                any(len(b) == k and min(b, key=lambda o: o["y_loc"])["color"] == c for b in boxes)
        a, b2 = int(rng.integers(1, 6)), str(rng.choice(list(COLORS)))
        return _end(f"There is a box with {NUMBERS[a]} {c} and {b2} items", rng), \
            any(len(b) == a and {o["color"] for o in b} == {c, b2} for b in boxes)
    n = sum(test(o) and _touches(o) for o in every)
    if rng.random() < 0.5:
        return _end(f"None of the {many} are touching {wall}", rng), n == 0
    return _end(f"All {rng.choice(['the ', ''])}{many} are touching {wall}", rng), n == sum(map(test, every)) and n > 0


def sentence(boxes, rng, wanted=None):
    """(sentence, truth); `wanted` asks for a true or a false one, which is not always found."""
    stack = are_towers(boxes)
    for _ in range(12):
        text, truth = (_of_towers if stack else _of_items)(boxes, rng)
        if wanted is None or bool(truth) == wanted:
            break
    return text, bool(truth)


# ---- what is there --------------------------------------------------------------------------------------------------
# Yes and no say little about a picture: they taught the tower what every cell shows, and the language model nothing (README.md).

PLACES = ["left", "middle", "right"]


def _number(n):
    return NUMBERS[n] if n < len(NUMBERS) else str(n)


def _contents(box):
    """Kinds of things in a box, with their numbers: "one black circle, two blue squares"."""
    kinds = [(c, t, sum(o["color"] == c and o["type"] == t for o in box)) for c in COLORS for t in TYPES]
    return ", ".join(f"{_number(n)} {c} {_s(t, n)}" for c, t, n in kinds if n)


def told(boxes, rng):
    """(question, answer): what a box holds, of what a tower is built, how many there are of a kind, here or at a wall."""
    stack = are_towers(boxes)
    at = int(rng.integers(3))
    kind = rng.integers(4)
    if kind < 2 and stack:
        return f"Which blocks has the {PLACES[at]} tower?", ", ".join(o["color"] for o in boxes[at])
    if kind < 2:
        return f"What is in the {PLACES[at]} box?", _contents(boxes[at]) or "no item"
    every = [o for b in boxes for o in b]
    if stack:
        if kind == 2:
            return "How many blocks has each tower?", ", ".join(_number(len(b)) for b in boxes)
        c = str(rng.choice(list(COLORS)))
        return f"How many {c} blocks are there?", _number(sum(o["color"] == c for o in every))
    _, many, test = _thing(rng)
    if kind == 2:
        return f"How many {many} are there?", _number(sum(map(test, every)))
    return f"How many {many} are touching the wall?", _number(sum(test(o) and _touches(o) for o in every))


def picture(rng, questions=6, tellings=0):
    """(image, [(sentence, "yes" or "no") and (question, answer)], boxes)."""
    boxes = towers(rng) if rng.random() < 0.5 else scattered(rng)
    pairs = [(t, "yes" if v else "no") for t, v in (sentence(boxes, rng, i % 2 == 0) for i in range(questions))]
    return draw(boxes), pairs + [told(boxes, rng) for _ in range(tellings)], boxes


KINDS = len(COLORS) * len(TYPES)


def shown(boxes, columns=12, rows=3):
    """[rows * columns, KINDS] of 0 and 1: which kinds of thing (colour, shape) a cell of the picture has a good part of: a quarter of
    the thing, or a tenth of the cell."""
    out = np.zeros((rows, columns, KINDS), np.float32)
    wide, high = 400 / columns, 100 / rows
    for i, box in enumerate(boxes):
        for o in box:
            x, y, s = 150 * i + o["x_loc"], o["y_loc"], o["size"]
            kind = list(COLORS).index(o["color"]) * len(TYPES) + TYPES.index(o["type"])
            for row in range(int(y // high), min(int((y + s) // high), rows - 1) + 1):
                for column in range(int(x // wide), min(int((x + s) // wide), columns - 1) + 1):
                    w = min(x + s, (column + 1) * wide) - max(x, column * wide)
                    h = min(y + s, (row + 1) * high) - max(y, row * high)
                    if w > 0 and h > 0 and (w * h > s * s / 4 or w * h > wide * high / 10):
                        out[row, column, kind] = 1
    return out.reshape(-1, KINDS)


# ---- the corpus -----------------------------------------------------------------------------------------------------

class Corpus:
    """Pictures with a sentence each. The boxes of a picture stand in any order in training: no sentence is about that."""

    def __init__(self, folder, split):
        self.items = [json.loads(line) for line in open(os.path.join(folder, split + ".jsonl"), encoding="utf8")]
        self.images = {}
        with tarfile.open(os.path.join(folder, split + ".tar")) as tar:
            for member in tar:
                if member.isfile():
                    coded = np.frombuffer(tar.extractfile(member).read(), np.uint8)
                    self.images[os.path.basename(member.name)] = cv2.imdecode(coded, cv2.IMREAD_COLOR)[..., ::-1]

    def real(self, i):
        return self.images[self.items[i]["image"]], self.items[i]["sentence"], "yes" if self.items[i]["label"] == "true" else "no"

    def boxes(self, i):
        return [[dict(o, color=NAMES[o["color"]]) for o in b] for b in self.items[i]["structured_rep"]]

    def drawn(self, i, rng):
        """Drawn anew with the boxes in another order; now and then mirrored where no side is spoken of."""
        boxes = [self.boxes(i)[j] for j in rng.permutation(3)]
        item = self.items[i]
        if rng.random() < 0.5 and not any(w in item["sentence"].lower() for w in ("left", "right")):
            boxes = [[dict(o, x_loc=100 - o["x_loc"] - o["size"]) for o in b] for b in boxes]
        return draw(boxes), [(item["sentence"], "yes" if item["label"] == "true" else "no")], boxes
