# SPDX-License-Identifier: LGPL-2.1-or-later
"""Pictures of three boxes with shapes, and what is in them: what the NLVR corpus (Suhr et al., "A Corpus of Natural Language for
Visual Reasoning", ACL 2017) is about. Its own pictures and sentences are read beside them; statements.py has ours.

A box is a list of items: dict(type, color, size, x_loc, y_loc), pixels of a box of 100 x 100, left upper corner. A picture
is 400 x 100: boxes at 0, 150 and 300. Towers are boxes of 20-pixel squares that stand on each other, from the lowest.
"""

import json
import os
import tarfile

import cv2
import numpy as np

import statements

COLORS = dict(zip(statements.COLORS, ((0, 0, 0), (0, 153, 255), (255, 255, 0))))     # black, blue, yellow
NAMES = {"Black": "black", "#0099ff": "blue", "Yellow": "yellow"}


# ---- pictures -------------------------------------------------------------------------------------------------------

def towers(rng):
    most = rng.integers(2, 5)
    return [[dict(type="square", color=str(rng.choice(list(COLORS))), size=20, x_loc=40, y_loc=80 - 21 * i)
             for i in range(rng.integers(1, most + 1))] for _ in range(3)]


def put(box, rng):
    """One more item where there is room; a third of them at a wall."""
    for _ in range(30):
        size = int(rng.choice([10, 20, 30]))
        x, y = rng.integers(0, 101 - size, 2)
        if rng.random() < 0.35:
            x, y = [(0, y), (100 - size, y), (x, 0), (x, 100 - size)][rng.integers(4)]
        if all(x + size < o["x_loc"] or o["x_loc"] + o["size"] < x or y + size < o["y_loc"] or o["y_loc"] + o["size"] < y
               for o in box):
            box.append(dict(type=str(rng.choice(statements.TYPES)), color=str(rng.choice(list(COLORS))), size=size, x_loc=int(x),
                            y_loc=int(y)))
            return


def scattered(rng):
    most = int(rng.integers(2, 9))
    boxes = []
    for _ in range(3):
        box = []
        for _ in range(rng.integers(1, most + 1)):
            put(box, rng)
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


# ---- what is there --------------------------------------------------------------------------------------------------
# Yes and no say little about a picture: they taught the tower what every cell shows, and the language model nothing (README.md).

PLACES = ["left", "middle", "right"]


def _contents(box):
    """Kinds of things in a box, with their numbers: "one black circle, two blue squares"."""
    kinds = [(c, t, sum(o["color"] == c and o["type"] == t for o in box)) for c in COLORS for t in statements.TYPES]
    return ", ".join(f"{statements.number(n)} {c} {statements.plural(t, n)}" for c, t, n in kinds if n)


def _total(n):
    return statements.number(n) if n else "none"        # "no" is an answer of another kind


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
            return "How many blocks has each tower?", ", ".join(statements.number(len(b)) for b in boxes)
        c = str(rng.choice(list(COLORS)))
        return f"How many {c} blocks are there?", _total(sum(o["color"] == c for o in every))
    _, many, test = statements.thing(rng)
    if kind == 2:
        return f"How many {many} are there?", _total(sum(map(test, every)))
    return f"How many {many} are touching the wall?", _total(sum(test(o) and statements.touches(o) for o in every))


def changed(boxes, rng):
    """The same picture but for one thing: of another colour, gone, one more, or (in a tower) at another height."""
    boxes = [[dict(o) for o in b] for b in boxes]
    stack, box = are_towers(boxes), boxes[rng.integers(3)]
    how, at = rng.integers(4), int(rng.integers(len(box)))
    if how == 0 and len(box) > 1:
        box.pop(at if not stack else -1)
    elif how == 1 and stack and len(box) < 4:
        box.append(dict(box[0], y_loc=box[-1]["y_loc"] - 21))
        box[-1]["color"] = str(rng.choice(list(COLORS)))
    elif how == 1 and not stack:
        put(box, rng)
    elif how == 2 and stack and len(box) > 1:
        a, b = rng.choice(len(box), 2, replace=False)
        box[a]["color"], box[b]["color"] = box[b]["color"], box[a]["color"]
    elif how == 2 and not stack:
        box[at]["type"] = str(rng.choice(statements.TYPES))
    else:
        box[at]["color"] = str(rng.choice([c for c in COLORS if c != box[at]["color"]]))
    return boxes


def two(rng):
    """Boxes of two pictures of a kind, as often as not the same but for one thing."""
    make = towers if rng.random() < 0.65 else scattered     # as often as in the corpus
    boxes = make(rng)
    return boxes, changed(boxes, rng) if rng.random() < 0.5 else make(rng)


def asked(a, b, rng, questions, tellings):
    """[(question, answer)] about each of two pictures: statements true of one of them, and what there is."""
    found = statements.between(rng, a, b, are_towers(a), questions)
    return [[(text, "yes" if truth else "no") for text, truth in f] + [told(boxes, rng) for _ in range(tellings)]
            for f, boxes in zip(found, (a, b))]


KINDS = len(COLORS) * len(statements.TYPES)
MANY, HIGH = 3, 4       # of a kind are told apart; blocks of a tower
SEEN = 2 * KINDS        # of a cell
FACTS = MANY * KINDS + 2 * KINDS + HIGH * len(COLORS) + len(COLORS)     # of a box


def _kind(o):
    return statements.COLORS.index(o["color"]) * len(statements.TYPES) + statements.TYPES.index(o["type"])


def _facts(box, stack):
    """[FACTS] of 0 and 1: at least one, two, three of each kind; one, two of them at a wall; what colour each block of a tower has,
    from the ground; of what colour the highest thing is."""
    many, walls = np.zeros((MANY, KINDS), np.float32), np.zeros((2, KINDS), np.float32)
    tower, top = np.zeros((HIGH, len(COLORS)), np.float32), np.zeros(len(COLORS), np.float32)
    for table, items in ((many, box), (walls, [o for o in box if statements.touches(o)])):
        for kind in map(_kind, items):
            table[: int(table[:, kind].sum()) + 1, kind] = 1
    if stack:
        for at, o in enumerate(box[:HIGH]):
            tower[at, statements.COLORS.index(o["color"])] = 1
    if box:
        top[statements.COLORS.index(statements.on_top(box))] = 1
    return np.concatenate([x.ravel() for x in (many, walls, tower, top)])


def known(boxes, columns=12, rows=3):
    """[rows * columns, SEEN + FACTS] of 0 and 1: what each cell of a picture shows, of which things it has the middle (whose sum is
    their number), and what there is in the box nearest to it."""
    stack = are_towers(boxes)
    facts = np.stack([_facts(box, stack) for box in boxes])
    nearest = [min(range(3), key=lambda i: abs((column + 0.5) * 400 / columns - 150 * i - 50)) for column in range(columns)]
    middles = np.zeros((rows, columns, KINDS), np.float32)
    for i, box in enumerate(boxes):
        for o in box:
            x, y = (o[k] + o["size"] / 2 for k in ("x_loc", "y_loc"))
            middles[int(y * rows / 100), int((150 * i + x) * columns / 400), _kind(o)] = 1
    return np.concatenate((shown(boxes, columns, rows), middles.reshape(-1, KINDS), np.tile(facts[nearest], (rows, 1))), 1)


def shown(boxes, columns=12, rows=3):
    """[rows * columns, KINDS] of 0 and 1: which kinds of thing (colour, shape) a cell of the picture has a good part of: a quarter
    of the thing, or a tenth of the cell."""
    out = np.zeros((rows, columns, KINDS), np.float32)
    wide, high = 400 / columns, 100 / rows
    for i, box in enumerate(boxes):
        for o in box:
            x, y, s = 150 * i + o["x_loc"], o["y_loc"], o["size"]
            kind = _kind(o)
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
        """(sentence, [(boxes, answer)]) of an item and one for which the same sentence holds or does not, as this one does not or
        does, where there is one: boxes in another order, now and then mirrored where no side is spoken of."""
        sentence, label = self.items[i]["sentence"], self.items[i]["label"]
        others = [j for j, item in enumerate(self.items) if item["sentence"] == sentence and item["label"] != label]
        mirrored = rng.random() < 0.5 and not any(w in sentence.lower() for w in ("left", "right"))
        out = []
        for j in [i] + [int(j) for j in rng.permutation(others)[:1]]:
            boxes = [self.boxes(j)[k] for k in rng.permutation(3)]
            if mirrored:
                boxes = [[dict(o, x_loc=100 - o["x_loc"] - o["size"]) for o in b] for b in boxes]
            out.append((boxes, "yes" if self.items[j]["label"] == "true" else "no"))
        return sentence, out
