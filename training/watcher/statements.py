# SPDX-License-Identifier: LGPL-2.1-or-later
"""Statements about pictures of shapes (shapes.py), in the manner of the NLVR corpus's, each with what makes it true.

A statement is (text, holds): holds(boxes) is its truth in any picture of its kind, so that it can be asked of two pictures in
which it differs. A tower is read as the list of its colours from the ground.
"""

import numpy as np

COLORS = ["black", "blue", "yellow"]
TYPES = ["circle", "square", "triangle"]
NUMBERS = ["no", "one", "two", "three", "four", "five", "six", "seven"]


# ---- words ----------------------------------------------------------------------------------------------------------

def number(n):
    return NUMBERS[n] if n < len(NUMBERS) else str(n)


def plural(word, k):
    return word if k == 1 else word + ("es" if word.endswith("x") else "s")


def _one(rng, *words):
    return words[rng.integers(len(words))]


def _color(rng):
    return _one(rng, *COLORS)


def _figure(rng, k):
    return number(k) if rng.random() < 0.55 else str(k)


def _amount(rng, n):
    """How many, near n: (words, number, test)."""
    k = int(np.clip(n + _one(rng, 0, 0, 0, 0, -1, 1), 1, 7))
    how = _one(rng, "", "", "", "exactly", "exactly", "at least", "at least", "only", "atleast", "at most")
    word = "a" if k == 1 and how in ("", "at least") and rng.random() < 0.5 else _figure(rng, k)
    test = {"exactly": lambda m: m == k, "only": lambda m: m == k, "at most": lambda m: m <= k}.get(how, lambda m: m >= k)
    return f"{how} {word}".strip(), k, test


def _there(rng, words, k, thing, things):
    return f"{_one(rng, 'There', 'There', 'there')} {'is' if k == 1 else 'are'} {words} {thing if k == 1 else things}"


def _counted(rng, boxes, count, thing, things, tail=""):
    """count(boxes) of a thing are there: some number of them, or none."""
    if rng.random() < 0.07:
        return f"There is no {thing}{tail}", lambda b: count(b) == 0
    words, k, test = _amount(rng, count(boxes))
    return _there(rng, words, k, thing, things) + tail, lambda b: test(count(b))


# ---- towers ---------------------------------------------------------------------------------------------------------

def _tower(box):
    return [o["color"] for o in box]


def _towers(test):
    return lambda boxes: sum(bool(test(_tower(b))) for b in boxes)


def _above(a, b):
    return lambda t: any(t[i] == b and t[i + 1] == a for i in range(len(t) - 1))


def _run(t, c=None):
    """The longest row of blocks of one colour, of c if that is given."""
    best = here = 0
    for i, x in enumerate(t):
        here = here + 1 if i and t[i - 1] == x else 1
        best = max(best, here if c in (None, x) else 0)
    return best


def _height(rng):
    """(words, test) of how many blocks a tower has."""
    n = int(rng.choice([1, 2, 3, 4], p=[0.2, 0.3, 0.3, 0.2]))
    how = _one(rng, "exactly ", "only ", "", "exactly ", "at least ", "more than ", "at most ")
    if how == "more than ":
        n = max(n - 1, 1)
    test = {"at least ": lambda t: len(t) >= n, "more than ": lambda t: len(t) > n, "at most ": lambda t: len(t) <= n}.get(
        how, lambda t: len(t) == n)
    return f"{how}{_figure(rng, n)} {plural('block', n)}", test


def _end(rng):
    """(words, index) of one end of a tower."""
    return _one(rng, ("at the top", -1), ("at the top", -1), ("at the base", 0), ("at the base", 0), ("on the top", -1),
                ("at the bottom", 0))


def _content(rng):
    """(words, test) of what a tower has."""
    c, d = _color(rng), _color(rng)
    e = next(x for x in COLORS if x not in (c, d))
    kind = max(int(rng.integers(-6, 16)), 0)    # ends are what people speak of most
    if kind < 5:
        words, at = _end(rng)
        return f"{_one(rng, 'a', 'a', '1', 'one')} {c} block {words}", lambda t: t[at] == c
    if kind == 5:
        return f"a {c} block {_one(rng, 'above', 'over', 'over', 'on', 'on top of')} a {d} block", _above(c, d)
    if kind == 6:
        return _one(rng, (f"a {c} block {_one(rng, 'below', 'under')} a {d} block", _above(d, c)),
                    (f"a {c} block below a different colored block", lambda t: any(x == c != y for x, y in zip(t, t[1:]))))
    if kind == 7:
        return _height(rng)
    if kind == 8:
        n, how = int(rng.integers(1, 4)), _one(rng, "exactly ", "only ", "at least ", "")
        test = (lambda t: t.count(c) == n) if how in ("exactly ", "only ") else lambda t: t.count(c) >= n
        return f"{how}{_figure(rng, n)} {c} {plural('block', n)}{_one(rng, '', '', '', ' in it')}", test
    if kind == 9:
        colors = _one(rng, "colors", "colours")
        return _one(rng, (f"blocks of all {_one(rng, 'three', '3')} {colors}", lambda t: len(set(t)) == 3),
                    (_one(rng, f"only {c} blocks", f"blocks of {c} color only"), lambda t: set(t) == {c}),
                    (_one(rng, "only one color", "all blocks of the same color"), lambda t: len(set(t)) == 1),
                    (f"only {c} and {d} blocks", lambda t: set(t) == {c, d}))
    if kind == 10:
        n = int(rng.integers(2, 4))
        if rng.random() < 0.5:
            return f"{_figure(rng, n)} {c} blocks stacked together", lambda t: _run(t, c) >= n
        return f"{_figure(rng, n)} blocks of the same {_one(rng, 'color', 'colour')}", \
            lambda t: max(t.count(x) for x in COLORS) >= n
    if kind == 11:
        if c == d:
            return f"a {c} {_one(rng, 'base', 'bottom')}", lambda t: t[0] == c
        if rng.random() < 0.3:
            return f"a {c} block, a {d} block and a {e} block", lambda t: len(set(t)) == 3
        n = int(rng.integers(1, 3))
        return (f"a {c} block and {_one(rng, '', 'at least ')}{number(n) if n > 1 else _one(rng, 'a', 'one')} {d} "
                f"{plural('block', n)}",
                lambda t: c in t and t.count(d) >= n)
    if kind == 12:
        if rng.random() < 0.5:
            return f"a {c} block at the top and a {d} block at the base", lambda t: t[-1] == c and t[0] == d
        return f"a {c} block below a {d} block at the top", lambda t: len(t) > 1 and t[-1] == d and t[-2] == c
    if kind == 13:
        at, word = _one(rng, (1, "second"), (2, "third"), (1, "second"))
        return _one(rng, f"a {c} {word} block", f"a {c} block as {word} block"), lambda t: len(t) > at and t[at] == c
    if kind == 14:
        if rng.random() < 0.3:
            return f"{_one(rng, 'exactly', 'only')} one block which is not of {c} color", lambda t: len(t) == 1 and t[0] != c
        return f"{_one(rng, 'exactly', 'only')} one {_one(rng, 'block', 'object')} which is {c}", lambda t: t == [c]
    return f"a {c} block in the middle", lambda t: c in t[1:-1]


def _tall(rng):
    """(words, test): a height, or a content, or a height with a content."""
    words, test = _content(rng)
    if rng.random() < 0.3:
        tall, high = _height(rng)
        return f"{tall}{_one(rng, ' with', ' having', ' and', ', and it has')} {words}", lambda t: high(t) and test(t)
    return words, test


def _of_towers(rng, boxes):
    kind, c, d = _one(rng, *range(12), 0, 6, 6, 8), _color(rng), _color(rng)
    words, test = _tall(rng)
    if kind < 5:
        tail = f" {_one(rng, 'with', 'with', 'with', 'which has', 'that has', 'having', 'that contains')} {words}"
        if rng.random() < 0.15:
            n = int(rng.integers(1, 5))
            joint = "of" if rng.random() < 0.5 else "with"
            tail = f" {joint} {number(n)} {plural('block', n)}{tail}"
            return _counted(rng, boxes, _towers(lambda t: len(t) == n and test(t)), "tower", "towers", tail)
        return _counted(rng, boxes, _towers(test), "tower", "towers", tail)
    if kind == 5:
        if rng.random() < 0.5:
            return f"There is a {c} tower", lambda b: _towers(lambda t: set(t) == {c})(b) > 0
        tall, high = _height(rng)
        return f"There is a {c} tower with {tall}", lambda b: _towers(lambda t: set(t) == {c} and high(t))(b) > 0
    if kind == 6:
        place, at = _one(rng, ("top", -1), ("base", 0))
        tail, high = "", lambda t: True
        if rng.random() < 0.3:
            tall, high = _height(rng)
            tail = " with " + tall
        return _counted(rng, boxes, _towers(lambda t: t[at] == c and high(t)), f"{c} block", f"{c} blocks",
                        f" as the {place} of a tower{tail}")
    if kind == 7:
        return _counted(rng, boxes, lambda b: sum(o["color"] == c for x in b for o in x), f"{c} block", f"{c} blocks")
    if kind == 8:
        return _counted(rng, [], _towers(_above(c, d)), f"{c} block", f"{c} blocks",
                        f" {_one(rng, 'above', 'on', 'over')} a {d} block")
    if kind == 9:
        return _one(rng, (f"{_one(rng, 'Each tower has', 'All 3 towers have', 'All towers contain')} at least 1 {c} block",
                          lambda b: _towers(lambda t: c in t)(b) == 3),
                    (f"There are {_one(rng, 'at least ', '')}two towers "
                     f"{_one(rng, 'with the same height', 'that are the same in height')}",
                     lambda b: len({len(x) for x in b}) < 3),
                    (f"There are two towers {_one(rng, 'which have', 'that has')} the same base color",
                     lambda b: len({_tower(x)[0] for x in b}) < 3),
                    (f"There are two towers that has the same base color that is not {c}",
                     lambda b: any(_towers(lambda t: t[0] == x)(b) > 1 for x in COLORS if x != c)),
                    ("The top of the three towers are the same", lambda b: len({_tower(x)[-1] for x in b}) == 1),
                    ("The top of the three towers are not the same", lambda b: len({_tower(x)[-1] for x in b}) > 1))
    n = int(rng.integers(1, 5))
    if kind == 10:
        end, at = _end(rng)
        if rng.random() < 0.5:
            return (f"the tower with {_figure(rng, n)} {plural('block', n)} has a {c} block {end}",
                    lambda b: _towers(lambda t: len(t) == n and t[at] == c)(b) > 0)
        if rng.random() < 0.3:
            return f"The {'top' if at else 'base'} of a tower is {c}", lambda b: _towers(lambda t: t[at] == c)(b) > 0
        return (f"The {'top' if at else 'base'} of {_one(rng, 'a', 'the')} {number(n)} blocks tower is {c}",
                lambda b: _towers(lambda t: len(t) == n and t[at] == c)(b) > 0)
    if rng.random() < 0.3:
        words, test = _content(rng)
        return (f"There is a {number(n)} blocks tower {_one(rng, 'with', 'which has', 'that has')} {words}",
                lambda b: _towers(lambda t: len(t) == n and test(t))(b) > 0)
    k, test = int(rng.integers(1, 4)), _content(rng)
    start = [("One tower has", "At least one tower has"),
             ("Two towers have", "Two of the three towers has", "At least two of the towers have"),
             ("All three towers have", "All 3 towers contain")][k - 1]
    return f"{_one(rng, *start)} {test[0]}", lambda b: _towers(test[1])(b) >= k


# ---- things in boxes ------------------------------------------------------------------------------------------------

def touches(o, wall=None):
    walls = {"left": o["x_loc"] <= 2, "right": o["x_loc"] + o["size"] >= 98, "top": o["y_loc"] <= 2,
             "bottom": o["y_loc"] + o["size"] >= 98}
    return walls[wall] if wall else any(walls.values())


def _corner(o):
    return (o["x_loc"] <= 2 or o["x_loc"] + o["size"] >= 98) and (o["y_loc"] <= 2 or o["y_loc"] + o["size"] >= 98)


def thing(rng):
    """(words for one, for several, test) of an item."""
    c = _color(rng) if rng.random() < 0.8 else ""
    t = _one(rng, *TYPES) if rng.random() < 0.5 else ""
    w, size = [("", 0), ("small ", 10), ("medium ", 20), ("big ", 30)][rng.choice(4, p=[0.94, 0.02, 0.02, 0.02])]
    noun = t or _one(rng, "item", "object", "item")
    words = f"{w}{c + ' ' if c else ''}{noun}"
    return (words, words + "s",
            lambda o: (not c or o["color"] == c) and (not t or o["type"] == t) and (not size or o["size"] == size))


def _place(rng):
    """(words, test) of where an item is."""
    edge = _one(rng, "the edge", "the wall", "any edge", "the side", "the wall")
    side = _one(rng, "bottom", "bottom", "right", "left", "top")
    return _one(rng, (f"touching {edge}", touches), (f"touching {edge}", touches),
                (f"not touching {edge}", lambda o: not touches(o)),
                (f"{_one(rng, '', 'closely ')}touching {_one(rng, 'the corner', 'a corner', 'a corner of a box')}", _corner),
                ("touching the base", lambda o: touches(o, "bottom")),
                (f"closely touching {f'the {side} of a box' if side in ('bottom', 'top') else f'{side} wall of a box'}",
                 lambda o: touches(o, side)))


def _among(test):
    return lambda boxes: sum(bool(test(o)) for b in boxes for o in b)


def _colors(items):
    return {o["color"] for o in items}


def on_top(box):
    """The colour of the highest item."""
    return min(box, key=lambda o: o["y_loc"])["color"]


def _inside(rng, box):
    """(words, test of a box) of what a box holds; numbers are near those of `box`."""
    one, many, test = thing(rng)
    kind, c, d = rng.integers(10), _color(rng), _color(rng)
    words, k, holds = _amount(rng, sum(map(test, box)))
    some = (f"{words} {one if k == 1 else many}", lambda b: holds(sum(map(test, b))))
    if kind < 3:
        return some
    if kind == 3:
        other, others, test2 = thing(rng)
        if rng.random() < 0.25:
            third, _, test3 = thing(rng)
            return (f"a {one}, a {other} and {_one(rng, 'a', 'one')} {third}",
                    lambda b: all(any(map(x, b)) for x in (test, test2, test3)))
        if c != d and rng.random() < 0.25:
            i, j = int(rng.integers(1, 4)), int(rng.integers(1, 3))
            return (f"only {_figure(rng, i)} {c} and {_figure(rng, j)} {d} {plural('item', j)}",
                    lambda b: len(b) == i + j and sum(o["color"] == c for o in b) == i and sum(o["color"] == d for o in b) == j)
        words2, k2, holds2 = _amount(rng, sum(map(test2, box)))
        if rng.random() < 0.1:
            words2, k2, holds2 = "no", 0, lambda m: m == 0
        return (f"{some[0]} and {words2} {other if k2 == 1 else others}", lambda b: some[1](b) and holds2(sum(map(test2, b))))
    n = int(np.clip(len(box) + _one(rng, 0, 0, -1, 1), 1, 8))
    items = f"{_one(rng, '', 'exactly ', 'only ')}{_figure(rng, n)} {plural(_one(rng, 'item', 'object'), n)}"
    if kind == 4:
        return items, lambda b: len(b) == n
    if kind == 5:
        return _one(rng, (f"only {c} items", lambda b: _colors(b) == {c}),
                    (_one(rng, f"only {c} and {d} items", f"items of only {c} and {d} color"), lambda b: _colors(b) == {c, d}),
                    (f"items of only {c} color", lambda b: _colors(b) == {c}),
                    ("items of only one color", lambda b: len(_colors(b)) == 1),
                    (f"{_one(rng, 'items of ', '')}all {_one(rng, '3', 'three')} {_one(rng, 'different ', '')}colors",
                     lambda b: len(_colors(b)) == 3),
                    ("items of 2 different colors", lambda b: len(_colors(b)) == 2))
    if kind == 6:
        j = int(rng.integers(1, n + 1))
        return (f"{_figure(rng, n)} items of which {_figure(rng, j)} {'is' if j == 1 else 'are'} {c}",
                lambda b: len(b) == n and sum(o["color"] == c for o in b) == j)
    if kind == 7:
        return f"a {c} item on top", lambda b: on_top(b) == c
    if kind == 8:
        if rng.random() < 0.5:
            end = _one(rng, f"a {c} item on top", f"a {c} one on top", f"the {c} one is on top")
            return f"{items} and {end}", lambda b: len(b) == n and on_top(b) == c
        of = lambda test: lambda b: len(b) == n and test(_colors(b))
        figure = _figure(rng, n)
        return _one(rng, (f"{figure} items of only {c} and {d} color", of(lambda colors: colors == {c, d})),
                    (f"only {figure} items of {c} and {d} color", of(lambda colors: colors == {c, d})),
                    (f"{figure} items of all 3 different colors", of(lambda colors: len(colors) == 3)),
                    (f"{figure} items of 2 different colors", of(lambda colors: len(colors) == 2)),
                    (f"{items} and a {c} one touching the wall",
                     lambda b: len(b) == n and any(o["color"] == c and touches(o) for o in b)))
    place, at = _place(rng)
    words, k, holds = _amount(rng, sum(test(o) and at(o) for o in box))
    return f"{words} {one if k == 1 else many} {place}", lambda b: holds(sum(test(o) and at(o) for o in b))


def _of_items(rng, boxes):
    one, many, test = thing(rng)
    kind = rng.integers(12)
    if kind < 4:
        place, at = _place(rng)
        return _counted(rng, boxes, _among(lambda o: test(o) and at(o)), one, many, " " + place)
    if kind == 4:
        return _counted(rng, boxes, _among(test), one, many)
    if kind < 9:
        words, holds = _inside(rng, boxes[rng.integers(len(boxes))])
        if rng.random() < 0.25:
            start = f"{_one(rng, 'One of the', 'one of the', 'at least one')} grey {_one(rng, 'square', 'box')}"
            return f"{start} {_one(rng, 'has', 'contains')} {words}", lambda b: any(map(holds, b))
        return _counted(rng, [boxes[0]] if holds(boxes[0]) else [], lambda b: sum(map(bool, map(holds, b))), "box", "boxes",
                        f" {_one(rng, 'with', 'with', 'with', 'that has', 'which contains')} {words}")
    if kind == 9:
        start = _one(rng, "Each box has at least one", "Each grey box contains atleast one", "There is at least 1")
        place, at = _place(rng) if rng.random() < 0.3 else ("", lambda o: True)
        return (f"{start} {one} {place}".strip() + (" in each box" if start.startswith("There") else ""),
                lambda b: all(any(test(o) and at(o) for o in x) for x in b))
    edge = _one(rng, "the edge", "the wall", "any edge")
    if kind == 10:
        place, at = _place(rng)
        there, touching = _among(lambda o: test(o) and at(o)), _among(lambda o: test(o) and touches(o))
        if rng.random() < 0.3:
            words, k, holds = _amount(rng, there(boxes))
            return f"{words} {one if k == 1 else many} {'is' if k == 1 else 'are'} {place}", lambda b: holds(there(b))
        if rng.random() < 0.5:
            return f"None of the {_one(rng, many + ' are', one + ' is')} touching {edge}", lambda b: touching(b) == 0
        return f"All {_one(rng, 'the ', '')}{many} are touching {edge}", lambda b: _among(test)(b) == touching(b) > 0
    c, d = _color(rng), _color(rng)
    above = lambda x: any(o["color"] == c and p["color"] == d and o["y_loc"] + o["size"] <= p["y_loc"] + 1 for o in x for p in x)
    return _one(rng, (f"There is {_one(rng, 'a', 'at least one')} {c} {_one(rng, 'object', 'item')} above a {d} "
                      f"{_one(rng, 'object', 'item')}",
                      lambda b: any(map(above, b))),
                (f"There is a {c} item on top", lambda b: any(on_top(x) == c for x in b)),
                (f"All {many} are in the same box", lambda b: sum(any(map(test, x)) for x in b) == 1),
                ("There are two boxes that have the same number of objects", lambda b: len({len(x) for x in b}) < 3),
                ("all 3 different colors are touching the wall",
                 lambda b: len(_colors(o for x in b for o in x if touches(o))) == 3),
                ("There is only one color touching the wall", lambda b: len(_colors(o for x in b for o in x if touches(o))) == 1))


def statement(rng, boxes, stack):
    """(text, holds) whose numbers are near those of `boxes`."""
    text, holds = (_of_towers if stack else _of_items)(rng, boxes)
    if rng.random() < 0.3:
        text = text[0].lower() + text[1:]
    if text.lower().startswith(("all ", "at ")) and rng.random() < 0.2:
        text = text[1:]     # as a part of the corpus has it
    return text + ("." if rng.random() < 0.6 else ""), holds


def between(rng, a, b, stack, count):
    """([(text, holds in a?)], the same of b): `count` statements that are true of one picture and false of the other, by turns.
    Neither the words nor a picture alone says which: only both together do."""
    told = []
    for _ in range(60 * count):
        if len(told) == count:
            break
        text, holds = statement(rng, (a, b)[len(told) % 2], stack)
        first, second = bool(holds(a)), bool(holds(b))
        if first != second and first == (len(told) % 2 == 0):
            told.append((text, first))
    return told, [(text, not truth) for text, truth in told]
