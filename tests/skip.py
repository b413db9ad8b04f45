# SPDX-License-Identifier: LGPL-2.1-or-later
"""Stands for a test that this build folder cannot have, so that it is counted: prints TAP with one skipped point.

usage: skip.py NAME WHY
"""
import sys

print(f"1..1\nok 1 - {sys.argv[1]} # SKIP {sys.argv[2]}")
