# SPDX-License-Identifier: LGPL-2.1-or-later
"""Counts test cases (TAP points, not programs) in the JUnit files that `meson test` leaves.

usage: count.py TESTLOG.junit.xml... [--skipped NAME]...
prints what was skipped, by program, the names of what failed, each with what it said, and as last line "N passed, N
failed, N skipped"; exit status 1 if any failed or none ran. A log that cannot be read counts as a failure, NAME as a
program that was skipped; programs of a log in build-WHAT/ are called WHAT/PROGRAM.
"""
import re
import sys
import xml.etree.ElementTree as tree

LINES, COLUMNS = 20, 300        # of what a failure said, at most


def said(lines):
    """What is printed below a failure: the first of it, and the last, which says how it ended."""
    if len(lines) > LINES:
        lines = lines[:LINES // 2] + [f"... {len(lines) - LINES + 1} lines ..."] + lines[-(LINES - LINES // 2 - 1):]
    return ["    " + (line if len(line) <= COLUMNS else line[:COLUMNS - 3] + "...") for line in lines]


def diagnostics(output, name):
    """Of the point @name ("44 - what"): the comments before it, where tests in Python have them, or those behind it."""
    lines = output.split("\n")
    number = re.match(r"\d+", name)
    this = next((i for i, line in enumerate(lines) if number and re.match(rf"\s*not ok {number[0]}\b", line)), None)
    if this is None:
        return []
    first, last = this, this + 1
    while first > 0 and lines[first - 1].lstrip().startswith("#"):
        first -= 1
    while last < len(lines) and lines[last].lstrip().startswith("#"):
        last += 1
    return lines[first:this] or lines[this + 1:last]


def ending(suite):
    """The last that a program said which ended early: after its last point, and on stderr."""
    output = re.split(r"^\s*(?:not )?ok \d.*$", suite.findtext("system-out") or "", flags=re.M)[-1]
    lines = output.split("\n") + (suite.findtext("system-err") or "").split("\n")
    return [line for line in lines if line.strip() and not re.match(r"1\.\.\d", line)][-LINES:]


passed, failed, skipped = 0, [], {}
words = {}                      # index in failed -> lines
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
    output = suite.findtext("system-out") or ""
    for case in cases:
        kinds = {child.tag for child in case}
        if kinds & {"failure", "error"}:
            failed.append(f"{program}: {case.get('name')}")
            words[len(failed) - 1] = diagnostics(output, case.get("name"))
        elif "skipped" in kinds:
            skipped[program] = skipped.get(program, 0) + 1
        else:
            passed += 1
    # What was planned and did not come counts too: a program that died or hung may have printed good points until then.
    plan = re.search(r"^1\.\.(\d+)", output, re.M)
    if plan and plan[1] == "0":
        skipped[program] = 1
    elif (not plan or int(plan[1]) != len(cases) or int(suite.get("errors", 0))) and len(failed) == failed_before:
        failed.append(f"{program}: ended early, {len(cases)} of {plan[1] if plan else 'unknown'} points printed")
        words[len(failed) - 1] = ending(suite)
for program, n in skipped.items():
    print(f"skipped: {program}: {n}")
for i, name in enumerate(failed):
    print("\n".join([f"failed: {name}", *said(words.get(i, []))]))
print(f"{passed} passed, {len(failed)} failed, {sum(skipped.values())} skipped")
sys.exit(1 if failed or not passed else 0)
