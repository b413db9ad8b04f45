# SPDX-License-Identifier: LGPL-2.1-or-later
"""Prints Tern's JSON lines (stdin) for people: [start-end] caption. Exit status 1 if there was none, or one was an error.

With --events, answers among the lines are what happens in the same windows: [start-end] caption (event).
"""
import json
import sys


def clock(seconds):
    tenths = round(seconds * 10)
    return f"{tenths // 36000:02}:{tenths // 600 % 60:02}:{tenths // 10 % 60:02}.{tenths % 10}"


class Lines:
    """Captions in their order, each with its event as soon as both are there."""

    def __init__(self, events):
        self.events, self.captions, self.answers, self.printed = events, [], {}, 0

    def add(self, result):
        if self.events and result["kind"] == "answer":
            if self.answers and result["start"] < max(self.answers):
                self.answers.clear()    # another file's
            self.answers[result["start"]] = None if result.get("abstained") else result["result"]
        else:
            self.captions.append(result)
        # One whose answer was left out waits for that of a later window.
        self.print(lambda caption: not self.events or any(start >= caption["start"] for start in self.answers))

    def print(self, ready):
        while self.captions and ready(self.captions[0]):
            caption = self.captions.pop(0)
            event = self.answers.pop(caption["start"], None)
            beside = f" ({event})" if event else ""
            unsure = " (not sure)" if caption.get("abstained") else ""
            print(f"[{clock(caption['start'])}-{clock(caption['end'])}] {caption['result']}{unsure}{beside}", flush=True)
            self.printed += 1


failed = 0
lines = Lines("--events" in sys.argv[1:])
try:
    for line in sys.stdin:
        try:
            result = json.loads(line)
            kind, _, _ = result["kind"], result["start"], result["result"]
        except (ValueError, TypeError, KeyError):
            print(f"print-captions.py: expected a result as JSON, found {line.strip()[:80]}", file=sys.stderr)
            failed += 1
            continue
        if kind == "error":
            print(f"{clock(result['start'])}: {result['result']}", file=sys.stderr)
            failed += 1
        else:
            lines.add(result)
    lines.print(lambda caption: True)
except KeyboardInterrupt:
    pass
except BrokenPipeError:
    sys.stdout = None           # the reader has seen enough
sys.exit(0 if lines.printed and not failed else 1)
