# SPDX-License-Identifier: LGPL-2.1-or-later
"""Points of a test in the Test Anything Protocol, on standard output; the plan comes last."""

import os

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


def plan():
    print(f"1..{number}")
