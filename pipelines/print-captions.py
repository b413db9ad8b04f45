# SPDX-License-Identifier: LGPL-2.1-or-later
"""Prints Tern's JSON lines (stdin) for people: [start-end] caption. Exit status 1 if there was none, or one was an error.

With --events, answers among the lines are what happens in the same windows: [start-end] caption (event).
"""
import json
import sys


def clock(seconds):
    tenths = round(seconds * 10)
    return f"{tenths // 36000:02}:{tenths // 600 % 60:02}:{tenths // 10 % 60:02}.{tenths % 10}"


def text_of(result):
    """One line of it."""
    if result["kind"] == "action":
        actions, steps = result["actions"], result["action_steps"]
        first = zip(result["action_names"], actions[:len(actions) // steps])
        return f"{steps} steps, {result['action_rate']:g} a second, first: " + ", ".join(f"{name} {v:.3f}" for name, v in first)
    return " ".join(str(result["result"]).split()) + (" (not sure)" if result.get("abstained") else "")


class Lines:
    """Captions in their order, each with its event as soon as both are there."""

    def __init__(self, events):
        self.events, self.captions, self.answers, self.printed = events, [], {}, 0

    def add(self, result):
        if self.events and result["kind"] == "answer":
            if self.answers and result["start"] < max(self.answers):
                self.answers.clear()    # another file's
            self.answers[result["start"]] = None if result.get("abstained") else result["text"]
        else:
            self.captions.append(result)
        # One whose answer was left out waits for that of a later window.
        self.print(lambda caption: not self.events or any(start >= caption["start"] for start in self.answers))

    def print(self, ready):
        while self.captions and ready(self.captions[0]):
            caption = self.captions.pop(0)
            event = self.answers.pop(caption["start"], None)
            beside = f" ({event})" if event else ""
            print(f"{caption['window']} {caption['text']}{beside}", flush=True)
            self.printed += 1


failed = 0
lines = Lines("--events" in sys.argv[1:])
try:
    sys.stdin.reconfigure(encoding="utf-8", errors="replace")       # a line may be cut off within a character
    for line in sys.stdin:
        try:
            result = json.loads(line)
            kind, result["start"], result["end"] = result["kind"], float(result["start"]), float(result["end"])
            result["window"] = f"[{clock(result['start'])}-{clock(result['end'])}]"
            result["text"] = text_of(result)
        except (ValueError, TypeError, KeyError, ZeroDivisionError, OverflowError):
            print(f"print-captions.py: expected a result as JSON, found {line.strip()[:80]}", file=sys.stderr)
            failed += 1
            continue
        if kind == "error":
            print(f"{clock(result['start'])}: {result['result']}", file=sys.stderr)
            failed += 1
        elif kind != "partial":         # its whole comes
            lines.add(result)
    lines.print(lambda caption: True)
except KeyboardInterrupt:
    pass
except BrokenPipeError:
    sys.stdout = None           # the reader has seen enough
sys.exit(0 if lines.printed and not failed else 1)
