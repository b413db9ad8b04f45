# SPDX-License-Identifier: LGPL-2.1-or-later
"""From a clip's truth to questions and answers: one label, one sentence, one object, statements that hold or do not."""

import json

from events import CAMERA, EVENTS

CAPTION = ["Describe what happens.", "Describe the video.", "What happens?", "What is happening?", "Describe the scene.", ""]
EVENT = "Which event is it?"
MOTION = "How does the camera move?"
COUNT = "How many things move?"
REPORT = "Report as JSON."
COUNTS = ["none", "one", "two", "three"]
FROM = {"left": "from the left", "right": "from the right", "top": "from above", "bottom": "from below"}
TO = {"left": "to the left", "right": "to the right", "top": "at the top", "bottom": "at the bottom"}
SIMPLE = {"nothing": "nothing happens", "shake": "the camera shakes", "cut": "the picture changes to another scene",
          "blur": "the picture becomes blurred", "covered": "the lens is covered", "frozen": "the picture is frozen"}
PAST = {"right": "to the right", "left": "to the left", "up": "upwards", "down": "downwards"}
GOES = {"right": "moves right", "left": "moves left", "up": "moves up", "down": "moves down"}


def caption(truth):
    event = truth["event"]
    if event in SIMPLE:
        return SIMPLE[event]
    if event == "camera moves":
        word, where = truth["camera"].split()
        return f"the camera {word}s {where}"
    if event == "lights":
        return "the lights go on" if truth["on"] else "the lights go out"
    if event == "fade":
        return "the picture fades in" if truth["on"] else "the picture fades out"
    what = "something large" if truth.get("large") else "something"
    how = " " + truth["speed"] if truth.get("speed") else ""
    if event == "enters":
        return f"{what} enters {FROM[truth['side']]}{how}"
    if event == "leaves":
        return f"{what} leaves {TO[truth['side']]}{how}"
    if event == "passes":
        return f"{what} passes {PAST[truth['direction']]}{how}"
    if event == "stops":
        return f"{what} {GOES[truth['direction']]}{how} and stops"
    if event == "starts":
        return f"{what} starts and {GOES[truth['direction']]}{how}"
    if truth["movers"] > 1:
        return f"{COUNTS[truth['movers']]} things move"
    return f"{what} {GOES[truth['direction']]}{how}"


def report(truth):
    out = {"event": truth["event"], "movers": truth["movers"]}
    for key in ("side", "direction"):
        if truth.get(key):
            out[key] = truth[key]
    if truth["camera"]:
        out["camera"] = truth["camera"]
    return json.dumps(out)


def _statements(truth):
    """(sentence, whether it holds) of everything that the truth decides."""
    event, camera = truth["event"], truth["camera"]
    yield "Something moves.", truth["movers"] > 0
    yield "Nothing happens.", event == "nothing"
    if camera:
        yield "The camera is still.", camera in ("still", "cut")
        yield "The camera moves.", camera not in ("still", "cut")
        for word in ("pan left", "pan right", "tilt up", "tilt down", "zoom in", "zoom out"):
            yield f"The camera {word.split()[0]}s {word.split()[1]}.", camera == word
    yield "Something enters.", event in ("enters", "passes")
    yield "Something leaves.", event in ("leaves", "passes")
    yield "Something stops.", event == "stops"
    for event_name, sentence in (("lights", "The light changes."), ("cut", "There is a cut."), ("shake", "The camera shakes."),
                                 ("blur", "The picture is blurred."), ("covered", "The lens is covered."),
                                 ("frozen", "The picture is frozen.")):
        yield sentence, event == event_name
    if truth.get("direction") and truth["movers"] == 1:
        for where in ("left", "right", "up", "down"):
            yield f"Something moves {where}.", truth["direction"] == where


def draw(truth, rng):
    """[(question, answer)] of one clip: the event, and some of the rest (what is said costs more than what is seen)."""
    out = [(EVENT, truth["event"])]
    if rng.random() < 0.6:
        out.append((str(rng.choice(CAPTION)), caption(truth)))
    if rng.random() < 0.5:
        out.append((COUNT, COUNTS[truth["movers"]]))
    if truth["camera"] and rng.random() < (0.4 if truth["camera"] == "still" else 0.8):
        out.append((MOTION, truth["camera"]))
    if rng.random() < 0.12:
        out.append((REPORT, report(truth)))
    value = rng.random() < 0.5
    some = [s for s, holds in _statements(truth) if holds == value]
    if some:
        out.append((str(rng.choice(some)), "yes" if value else "no"))
    return out


TASKS = {"event": (EVENT, EVENTS), "camera-motion": (MOTION, CAMERA), "movers": (COUNT, COUNTS)}
