# SPDX-License-Identifier: LGPL-2.1-or-later
"""Points of a test in the Test Anything Protocol, on standard output; the plan comes last."""

number = 0


def point(good, what, *notes, skip=None):
    """One more point; @notes say more where it is not good. @skip: why it could not be tried."""
    global number
    number += 1
    for note in notes if not good else ():
        for line in str(note).splitlines():
            print("#", line)
    print("ok" if good or skip else "not ok", number, "-", what + (f" # SKIP {skip}" if skip else ""), flush=True)


def plan():
    print(f"1..{number}")
