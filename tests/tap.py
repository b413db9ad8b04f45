# SPDX-License-Identifier: LGPL-2.1-or-later
"""Points of a test in the Test Anything Protocol, on standard output; the plan comes last."""

import os
import time

number = 0


def point(good, what, *notes, skip=None):
    """One more point; @notes say more where it is not good. @skip: why it could not be tried."""
    global number
    number += 1
    for note in notes if not good else ():
        for line in str(note).splitlines():
            print("#", line)
    print("ok" if good or skip else "not ok", number, "-", what + (f" # SKIP {skip}" if skip else ""), flush=True)


def patience(seconds):
    """How long a program may take that should have ended long before; more where all is slower (TERN_TEST_PATIENCE)."""
    return seconds * float(os.environ.get("TERN_TEST_PATIENCE", 1))


def until(true, what="", seconds=600, process=None):
    """Waits until @true() is: what must come comes, however long this machine takes. What it was, also where @process has
    ended before; or an error."""
    end = time.monotonic() + patience(seconds)
    while time.monotonic() < end:
        ended = process and process.poll() is not None
        found = true()
        if found or ended:
            return found
        time.sleep(0.02)
    raise TimeoutError(f"waited in vain for {what}")


def plan():
    print(f"1..{number}")
