# SPDX-License-Identifier: LGPL-2.1-or-later
"""Counts test cases (TAP points, not programs) in the JUnit file that `meson test` leaves.

usage: count.py TESTLOG.junit.xml
prints the names of what failed and, as last line, "N passed, N failed, N skipped"; exit status 1 if any failed or none ran
"""
import sys
import xml.etree.ElementTree as tree

passed, failed, skipped = 0, [], 0
try:
    suites = tree.parse(sys.argv[1]).getroot().iter("testsuite")
except (OSError, tree.ParseError) as error:
    sys.exit(f"count.py: {sys.argv[1]}: {error}")
for suite in suites:
    cases = list(suite.iter("testcase"))
    for case in cases:
        kinds = {child.tag for child in case}
        if kinds & {"failure", "error"}:
            failed.append(f"{suite.get('name')}: {case.get('name')}")
        elif "skipped" in kinds:
            skipped += 1
        else:
            passed += 1
    # A program that died counts as a failure of its own: the points it had printed until then may all be good.
    if int(suite.get("errors", 0)) and not any(name.startswith(suite.get("name") + ":") for name in failed):
        failed.append(f"{suite.get('name')}: ended early")
for name in failed:
    print("failed:", name)
print(f"{passed} passed, {len(failed)} failed, {skipped} skipped")
sys.exit(1 if failed or not passed else 0)
