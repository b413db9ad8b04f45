# SPDX-License-Identifier: LGPL-2.1-or-later
"""Prints Tern's JSON lines (stdin) for people: [start-end] caption. Exit status 1 if there was none, or one was an error."""
import json
import sys


def clock(seconds):
    tenths = round(seconds * 10)
    return f"{tenths // 36000:02}:{tenths // 600 % 60:02}:{tenths // 10 % 60:02}.{tenths % 10}"


printed = failed = 0
try:
    for line in sys.stdin:
        result = json.loads(line)
        if result["kind"] == "error":
            print(f"{clock(result['start'])}: {result['result']}", file=sys.stderr)
            failed += 1
            continue
        print(f"[{clock(result['start'])}-{clock(result['end'])}] {result['result']}", flush=True)
        printed += 1
except KeyboardInterrupt:
    pass
except BrokenPipeError:
    sys.stdout = None           # the reader has seen enough
sys.exit(0 if printed and not failed else 1)
