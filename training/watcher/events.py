# SPDX-License-Identifier: LGPL-2.1-or-later
"""What can happen in a clip: each kind draws a scene with a known truth; a scene that does not show it is drawn anew.

A truth is a dict: `event` (one of EVENTS), `camera` (one of CAMERA, None where no one word is right), `movers` (how many
things move), `side` (where it enters, leaves or is), `direction`, `speed`, `large`, `on` (lights).
"""

import numpy as np

import scene
import trouble
from materials import arm

EVENTS = ["nothing", "enters", "leaves", "passes", "moves", "stops", "starts", "camera moves", "shake", "cut", "fade", "lights",
          "blur", "covered", "frozen"]
MOVING = EVENTS[1:7]
CAMERA = ["still", "pan left", "pan right", "tilt up", "tilt down", "zoom in", "zoom out", "cut"]
# How often each is drawn: those that are hard to tell from each other more often.
SHARES = (0.11, 0.1, 0.1, 0.07, 0.09, 0.06, 0.06, 0.16, 0.04, 0.05, 0.04, 0.04, 0.04, 0.04, 0.03)
HARD = (0.07, 0.12, 0.12, 0.08, 0.09, 0.11, 0.1, 0.05, 0.03, 0.04, 0.02, 0.04, 0.05, 0.03, 0.05)
STILL = (1,) + (0,) * 14
BRIEF = (0.5, 0, 0, 0, 0.2, 0, 0, 0.12, 0, 0.08, 0, 0.1, 0, 0, 0)     # where there are two frames
LATE = (0.1, 0.1, 0.1, 0.07, 0.07, 0.06, 0.06, 0.08, 0.03, 0.11, 0.03, 0.06, 0.06, 0.04, 0.03)


class Scene:
    """All that a clip is drawn of."""

    def __init__(self, materials, rng, size, seconds):
        self.materials, self.rng, self.seconds = materials, rng, seconds
        self.width, self.height = size
        self.background = materials.background(rng)
        full = scene.full_view(*size)
        full[2] *= rng.uniform(0.55, 0.95)
        room = (scene.full_view(*size)[2] - full[2]) / 2
        full[:2] += rng.uniform(-room, room), rng.uniform(-room, room) * size[1] / size[0]
        self.rest = full
        self.camera = scene.Camera(scene.Track([0], [full]), 0.0, rng.uniform(0, 6.3, 8))
        self.movers = []            # those of the event, then others
        self.ripple = None
        self.truth = {"event": "nothing", "camera": "still", "movers": 0}

    def in_frame(self, x, y):
        """From shares of the picture (0 to 1) to the canvas."""
        cx, cy, seen, _ = self.rest
        return np.array([cx + (x - 0.5) * seen, cy + (y - 0.5) * seen * self.height / self.width])

    def thing(self, kind):
        """A mover that does what `kind` says (_path)."""
        rng, alive = self.rng, kind != "stands"
        image = self.materials.thing(rng)
        if rng.random() < CLEAR:
            image = (image * rng.uniform(0.6, 0.85)).astype(np.uint8)
        height = rng.uniform(*HEIGHTS[rng.choice(len(HEIGHTS), p=(0.72, 0.18, 0.1))])
        wide = height * image.shape[1] / image.shape[0] * self.height / self.width
        if wide > WIDEST:
            height, wide = height * WIDEST / wide, WIDEST
        points, times = _path(self, kind, (wide / 2, height / 2))
        seen_h = self.rest[2] * self.height / self.width
        sways = alive and rng.random() < 0.6
        sway = (rng.uniform(0, 8), rng.uniform(0.7, 2.5), rng.uniform(0, 0.02) * seen_h) if sways else (0, 1, 0)
        limp = (rng.uniform(0.02, 0.1), rng.uniform(0.3, 1.5), rng.uniform(0.5, 2.5)) if alive and rng.random() < 0.4 else None
        return scene.Mover(image, scene.Track(list(times), [self.in_frame(*p) for p in points]),
                           height * seen_h, rng.uniform(-0.06, 0.1) if alive and rng.random() < 0.3 else 0.0, sway,
                           rng.uniform(0.5, 1.1), bool(rng.random() < 0.5), limp)

    def furnish(self):
        """Things that only stand there, and leaves or water that never stand."""
        self.movers += [self.thing("stands") for _ in range(self.rng.integers(0, 4))]
        if self.rng.random() < LIVING:
            self.ripple = scene.Ripple.drawn(self.rng, self.rest)


HEIGHTS = ((0.14, 0.5), (0.5, 0.8), (0.8, 1.2))     # of things, in shares of the picture's
WIDEST = 1.1                                        # share of the picture's width
LIVING = 0.15                                       # of the backgrounds have something in them that never stands
CLEAR = 0.08                                        # of the things are seen through, as bottles are
LAST = 0.35             # of what leaves is gone in the last frame only, and of what goes on ends near the picture's edge
CARRIED = 0.15          # of what enters and leaves is brought and taken


INWARD = {"left": (1, 0), "right": (-1, 0), "top": (0, 1)}
OPPOSITE = {"left": "right", "right": "left", "top": "bottom", "bottom": "top"}


def _outside(rng, side, half):
    """A place beyond a side of the picture; `half`: half the thing's (width, height)."""
    along, (x, y) = rng.uniform(0.15, 0.85), (1.1 * h + 0.02 for h in half)
    return {"left": (-x, along), "right": (1 + x, along), "top": (along, -y), "bottom": (along, 1 + y)}[side]


def _side(rng):
    return str(rng.choice(["left", "right", "top", "bottom"], p=[0.38, 0.38, 0.12, 0.12]))


def _inside(rng):
    return rng.uniform(0.22, 0.78, 2)


def _path(s, kind, half):
    """(points, times) of one thing; `half`: half its (width, height)."""
    rng, T = s.rng, s.seconds
    if kind == "stands":
        return [rng.uniform(0, 1, 2)], [0]
    if kind == "enters":        # early, and stands for the rest, or so late that hardly all of it is seen
        start = rng.uniform(0.03, 0.8) * T
        way = [_outside(rng, _side(rng), half), _inside(rng)]
        if rng.random() < 0.25:
            way.append(_inside(rng))
        return way, start + np.arange(len(way)) * rng.uniform(0.6, 3.0)
    if kind == "leaves":        # often it stood there before
        begin = rng.uniform(-0.1, 0.7) * T
        way = [_inside(rng), _outside(rng, _side(rng), half)]
        if rng.random() < 0.25:
            way.insert(0, _inside(rng))
        took = rng.uniform(0.6, 2.8)
        if rng.random() < LAST:
            begin = T * rng.uniform(0.9, 1.12) - took
        return way, begin + (np.arange(len(way)) + 2 - len(way)) * took
    if kind == "passes":
        side = str(rng.choice(list(OPPOSITE), p=[0.35, 0.35, 0.15, 0.15]))
        begin = rng.uniform(0, 0.4) * T
        return [_outside(rng, side, half), _outside(rng, OPPOSITE[side], half)], [begin, rng.uniform(max(begin + 0.8, 0.5 * T), T)]
    a = _inside(rng)
    for _ in range(50):
        b = rng.uniform(0.1, 0.9, 2)
        if np.hypot(*(b - a)) > 0.3:
            break
    if rng.random() < LAST:
        axis = int(rng.random() < 0.25)
        b[axis] = rng.choice([rng.uniform(0, 0.12), rng.uniform(0.88, 1)])
    if kind == "moves":
        if rng.random() < 0.3:
            return [a, b, rng.uniform(0.1, 0.9, 2)], [0, rng.uniform(0.4, 0.6) * T, T]
        return [a, b], [-0.1, T]
    stop = rng.uniform(0.2, 0.6) * T
    return ([a, b], [-0.2, stop]) if kind == "stops" else ([a, b], [T - stop, T + 0.2])


def _things(s, kind):
    n = 1 if s.rng.random() < 0.65 else int(s.rng.integers(2, 4))
    s.truth.update(event=kind, movers=n)
    s.movers += [s.thing(kind if i == 0 else str(s.rng.choice([kind, "moves"]))) for i in range(n)]


def _carried(s, event):
    """Somebody's arm comes, and goes with what it has taken, or without what it has brought."""
    rng, T = s.rng, s.seconds
    thing, side = s.thing("stands"), str(rng.choice(["left", "right", "top"]))
    place, way = s.in_frame(*_inside(rng)), np.array(INWARD[side], float)
    edge = s.in_frame(*(0.5 - 0.5 * way))
    room = float(((place - edge) * way).sum())          # from the picture's edge to the thing
    image = arm(rng, side)
    long, wide = max(image.shape[:2]), min(image.shape[:2])
    length = rng.uniform(1, 1.4) * room
    who = scene.Mover(image, None, length if side == "top" else length * wide / long, light=rng.uniform(0.5, 1.1))
    held, away = place - way * length / 2, -way * (room + max(thing.height, thing.width()) / 2) * 1.1
    begin = rng.uniform(-0.2, 0.65) * T
    times = begin + np.cumsum([0, rng.uniform(0.3, 1.2), rng.uniform(0.1, 0.9), rng.uniform(0.3, 1.5)])
    who.place = scene.Track(list(times), [held + away, held, held, held + away])
    thing.place = (scene.Track(list(times[2:]), [place, place + away]) if event == "leaves"
                   else scene.Track(list(times[:2]), [place + away, place]))
    s.truth.update(event=event, movers=2)
    s.movers += [thing, who]


def _camera(s, motion):
    """One movement, eased or even, from rest to rest or all the while."""
    rng, T = s.rng, s.seconds
    full = scene.full_view(s.width, s.height)
    amount = rng.uniform(0.12, 0.95)
    a, b = s.rest.copy(), s.rest.copy()
    ratio = s.height / s.width
    if motion.startswith("zoom"):
        wide, near = full[2] * rng.uniform(0.75, 1.0), 0
        near = wide / rng.uniform(1.2, 2.4)
        a[2], b[2] = (wide, near) if motion == "zoom in" else (near, wide)
        room = (full[2] - wide) / 2
        a[:2] = b[:2] = full[:2] + rng.uniform(-1, 1, 2) * (room, room * ratio)
    else:
        a[2] = b[2] = full[2] * rng.uniform(0.35, 0.62)
        axis, sign = {"pan left": (0, -1), "pan right": (0, 1), "tilt up": (1, -1), "tilt down": (1, 1)}[motion]
        room = (full[2] - a[2]) / 2 * (1 if axis == 0 else ratio)
        reach = min(room, amount * a[2] * (1 if axis == 0 else ratio))
        middle = rng.uniform(-(room - reach), room - reach)
        a[:2] = b[:2] = full[:2]
        other = (full[2] - a[2]) / 2 * (ratio if axis == 0 else 1)
        across = rng.uniform(-other, other)
        a[1 - axis] += across
        b[1 - axis] += across + rng.uniform(-0.15, 0.15) * reach
        a[axis] += middle - sign * reach
        b[axis] += middle + sign * reach
    begin, end = (0, T) if rng.random() < 0.6 else (rng.uniform(0, 0.35) * T, rng.uniform(0.65, 1) * T)
    s.rest = a
    s.camera.view = scene.Track([begin, end], [a, b])
    s.camera.jitter = rng.choice([0, 0, rng.uniform(0, 2.5)])
    s.truth.update(event="camera moves", camera=motion)


def drawn(rng, shares=SHARES):
    return str(rng.choice(EVENTS, p=np.array(shares) / sum(shares)))


def compose(materials, rng, size, seconds, event=None):
    """A scene of `event`, and how its frames are to be spoilt."""
    event = event or drawn(rng)
    s = Scene(materials, rng, size, seconds)
    after = []
    if event in MOVING:
        (_carried if event in ("enters", "leaves") and rng.random() < CARRIED else _things)(s, event)
    elif event == "camera moves":
        _camera(s, str(rng.choice(CAMERA[1:7])))
        if rng.random() < 0.25:
            s.movers.append(s.thing("moves"))
    elif event == "shake":
        s.camera.jitter = rng.uniform(6, 16)
        s.truth.update(event=event, camera=None)
    elif event != "nothing":
        s.truth["event"] = event
        if event in ("lights", "blur", "covered", "fade", "frozen") and rng.random() < 0.3 or event == "frozen":
            s.movers.append(s.thing("moves"))
            s.truth["movers"] = 1
        after.append(trouble.GLOBAL[event](s))
    s.furnish()
    if s.truth["camera"] == "still" and rng.random() < 0.25:
        s.camera.jitter = rng.uniform(0, 1.2)       # a mast in the wind, a tripod on a bridge
    return s, after


def _check(s, covers):
    """Whether the frames show what the truth says, by what of each thing is seen."""
    event = s.truth["event"]
    if event not in MOVING:
        return True
    seen = np.array([(c == 1).mean() for c in covers])
    if seen.max() < 0.008:
        return False
    there = seen > 0.25 * seen.max()
    gone = seen < 0.02 * seen.max()
    whole = s.movers[0].extent() / (s.rest[2] ** 2 * s.height / s.width)
    if event == "enters":       # at least in part
        return gone[0] and there[-1] and (seen > 0.15 * whole).sum() >= 2
    if event == "leaves":       # at least in part
        return seen[0] > 0.3 * min(whole, 1) and seen[-1] < 0.4 * seen[0]
    if event == "passes":
        return gone[0] and gone[-1] and there.sum() >= 2
    return bool((seen > 0.45 * seen.max()).all())


def _describe(s, covers):
    """Where and how the first thing goes, from its places in the picture."""
    truth = s.truth
    if not s.movers or truth["movers"] == 0 or truth["camera"] != "still":
        return
    times = s.times
    places = np.array([s.movers[0].place.at(t) for t in times])
    inside = (places - s.in_frame(0, 0)) / (s.in_frame(1, 1) - s.in_frame(0, 0))
    move = inside[-1] - inside[0]
    aspect = s.height / s.width
    truth["direction"] = (("right" if move[0] > 0 else "left") if abs(move[0]) > abs(move[1]) * aspect
                          else ("down" if move[1] > 0 else "up"))
    def side(p):
        d = {"left": p[0], "right": 1 - p[0], "top": p[1], "bottom": 1 - p[1]}
        return min(d, key=d.get)
    if truth["event"] in ("enters", "passes"):
        truth["side"] = side(inside[0])
    if truth["event"] == "leaves":
        truth["side"] = side((s.movers[0].place.values[-1] - s.in_frame(0, 0)) / (s.in_frame(1, 1) - s.in_frame(0, 0)))
    step = np.hypot(*(np.diff(inside, axis=0) * (1, aspect)).T) / np.diff(times)
    speed = step[step > 0.02].mean() if (step > 0.02).any() else 0.0
    truth["speed"] = "slowly" if speed < 0.12 else "fast" if speed > 0.35 else ""
    truth["large"] = bool((covers == 1).mean((1, 2)).max() > 0.08)


CELL, COVERED, SEEN, STEP = 32, 0.2, 0.004, 0.015   # pixels of a visual token; shares of it, of the picture, of its width
CELLS, STATES = 2, 5


def _shown(s, covers, lead):
    """What pictures show of that which happens: (bool [T, tokens, CELLS]: whether a cell is covered by something that moves, in the
    first and in the second frame; bool [T, STATES]: whether anything of it is in the first frame, in the second, has moved between
    the frame before and the first, between the two, and was there at the beginning). None where it is something else that
    happens."""
    if s.truth["event"] not in ["nothing"] + MOVING:
        return None
    n, (frames, h, w) = s.truth["movers"], covers.shape
    mine = (covers > 0) & (covers <= n)
    cells = mine.reshape(frames, h // CELL, CELL, w // CELL, CELL).mean((2, 4)).reshape(frames, -1) > COVERED
    there = mine.mean((1, 2)) > SEEN
    places = np.array([[m.place.at(t) for t in s.times] for m in s.movers[:n]]).reshape(n, frames, 2)
    visible = np.array([(covers == i + 1).mean((1, 2)) > SEEN for i in range(n)], bool).reshape(n, frames)
    far = np.linalg.norm(np.diff(places, axis=1), axis=-1) > STEP * s.rest[2]
    moved = np.concatenate(([False], (far & (visible[:, 1:] | visible[:, :-1])).any(0)))
    first = slice(lead, None, 2), slice(lead + 1, None, 2)
    pictures = (there[first[0]], there[first[1]], moved[first[0]], moved[first[1]])
    return (np.stack([cells[f] for f in first], -1), np.stack(pictures + (np.full(len(pictures[0]), there[0]),), -1))


def clip(materials, rng, size=(288, 160), pictures=4, seconds=4.0, event=None, lead=False):
    """(uint8 [T, H, W, 3], the same, truth): the first and the second frames of T pictures. With `lead` behind them the frame
    before the first one, None without; what happens from that to the first one counts as what happens in the clip. The truth has
    `shown`, too."""
    lead = int(lead)
    frames = 2 * pictures + lead
    for attempt in range(30):
        s, after = compose(materials, rng, size, seconds, event)
        s.times = (np.arange(frames) - lead + rng.uniform(0, 0.5)) * seconds / (2 * pictures)
        pixels, covers = scene.draw(s, s.times)
        if _check(s, covers[:: max(frames // 8, 1)]):
            break
        event = s.truth["event"]
    else:
        return clip(materials, rng, size, pictures, seconds, None, lead)
    _describe(s, covers)
    s.truth["shown"] = _shown(s, covers, lead)
    still = False
    for step in after:
        pixels, still = step(pixels)
    pixels = trouble.spoil(pixels, rng, s.times, still)
    return pixels[lead::2], pixels[lead + 1::2], s.truth, pixels[0] if lead else None
