# SPDX-License-Identifier: LGPL-2.1-or-later
"""Counts test cases (TAP points, not programs) in the JUnit files that `meson test` leaves.

usage: count.py TESTLOG.junit.xml... [--skipped NAME]...
prints what was skipped, by program, the names of what failed, and as last line "N passed, N failed, N skipped"; exit
status 1 if any failed or none ran. A log that cannot be read counts as a failure, NAME as a program that was skipped;
programs of a log in build-WHAT/ are called WHAT/PROGRAM.
"""
import re
import sys
import xml.etree.ElementTree as tree

passed, failed, skipped = 0, [], {}
suites = []
arguments = iter(sys.argv[1:])
for path in arguments:
    if path == "--skipped":
        skipped[next(arguments)] = 1
        continue
    try:
        where = re.match(r"build-(\w+)/", path)
        with open(path, encoding="utf8", errors="replace") as file:     # a model's words may hold what XML may not
            text = re.sub("[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", "?", file.read())
        suites += [(suite, where[1] + "/" if where else "") for suite in tree.fromstring(text.encode()).iter("testsuite")]
    except (OSError, tree.ParseError) as error:
        failed.append(f"{path}: {error}")
for suite, where in suites:
    cases = list(suite.iter("testcase"))
    if " / " not in suite.get("name"):  # the programs that printed no point at all
        for case in cases:
            program = where + case.get("name").split(" / ")[-1]
            if case.find("skipped") is not None:
                skipped[program] = 1
            else:
                failed.append(f"{program}: printed no test")
        continue
    program = where + suite.get("name").split(" / ")[-1]
    failed_before = len(failed)
    for case in cases:
        kinds = {child.tag for child in case}
        if kinds & {"failure", "error"}:
            failed.append(f"{program}: {case.get('name')}")
        elif "skipped" in kinds:
            skipped[program] = skipped.get(program, 0) + 1
        else:
            passed += 1
    # What was planned and did not come counts too: a program that died or hung may have printed good points until then.
    output = suite.findtext("system-out") or ""
    plan = re.search(r"^1\.\.(\d+)", output, re.M)
    if plan and plan[1] == "0":
        skipped[program] = 1
    elif (not plan or int(plan[1]) != len(cases) or int(suite.get("errors", 0))) and len(failed) == failed_before:
        failed.append(f"{program}: ended early, {len(cases)} of {plan[1] if plan else 'unknown'} points printed")
for program, n in skipped.items():
    print(f"skipped: {program}: {n}")
for name in failed:
    print("failed:", name)
print(f"{passed} passed, {len(failed)} failed, {sum(skipped.values())} skipped")
sys.exit(1 if failed or not passed else 0)
