# SPDX-License-Identifier: LGPL-2.1-or-later
"""The check's own parts: tools/setup.sh configures a build folder again when packages came or went, and tests/count.py
counts what was skipped, hung or died. Prints TAP. Packages, Meson and ninja are played by scripts.

usage: setup.py SOURCE_ROOT
"""
import os
import pathlib
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from tap import plan, point  # noqa: E402

root = pathlib.Path(sys.argv[1]).resolve()
PLAYED = {
    "dpkg-query": 'cat "$HOME/packages"',
    "meson": 'echo "$1 $2" >>"$HOME/calls"; case "$1$2" in setup--*) ;; setup*) mkdir -p "$2"; touch "$2/build.ninja";; esac',
    "ninja": "echo no work to do",
}
SUITE = '<testsuite name="tern.tern:unit / {}" tests="{}" errors="0"{}<system-out>{}</system-out></testsuite>'


def configured(home, packages):
    """What Meson was told by one build with these packages."""
    (home / "packages").write_text(packages)
    (home / "calls").write_text("")
    env = dict(os.environ, HOME=str(home), PATH=f"{home}/bin:{os.environ['PATH']}")
    run = subprocess.run(["bash", "-c", f'. "{root}/tools/setup.sh"; tern_build "$HOME/build"'], env=env, text=True,
                         capture_output=True)
    point(run.returncode == 0, "the build succeeds", run.stderr)
    return [line.split(" ", 1) for line in (home / "calls").read_text().splitlines()]


def setup():
    with tempfile.TemporaryDirectory() as folder:
        home = pathlib.Path(folder)
        (home / "bin").mkdir()
        for name, text in PLAYED.items():
            (home / "bin" / name).write_text(f"#!/bin/sh\n{text}\n")
            (home / "bin" / name).chmod(0o755)
        calls = configured(home, "gcc 12 installed\n")
        point(calls == [["setup", f"{home}/build"]], "the first time it is configured", calls)
        calls = configured(home, "gcc 12 installed\n")
        point(calls == [], "the second time it is not", calls)
        calls = configured(home, "gcc 12 installed\ng++ 12 installed\n")
        point(calls == [["configure", "--clearcache"], ["setup", "--reconfigure"]], "after a new package it is, from scratch",
              calls)
        (home / "build/configured-with").unlink()
        calls = configured(home, "gcc 12 installed\ng++ 12 installed\n")
        point(len(calls) == 2, "a folder that somebody configured by hand is looked at once more", calls)


def counted(*suites, more=()):
    with tempfile.NamedTemporaryFile("w", suffix=".xml") as file:
        file.write("<testsuites>" + "".join(suites) + "</testsuites>")
        file.flush()
        run = subprocess.run([sys.executable, root / "tests/count.py", file.name, *more], text=True, capture_output=True)
    counted.said = run.stdout.splitlines()
    return run.returncode, run.stdout.splitlines()[-1] if run.stdout else run.stderr


def told():
    """What failed is told with what it said, be that before the point or behind it, and not more than can be read."""
    names = "1 - short", "2 - behind", "3 - none", "11 - long"
    fails = "".join(f'<testcase name="{name}"><failure /></testcase>' for name in names)
    output = "\n".join(["# of one", "not ok 1 - short", "not ok 2 - behind", "# behind two", "ok 4", "not ok 3 - none", "ok 5"]
                       + [f"# line {i} {'x' * 400}" for i in range(50)] + ["not ok 11 - long", "1..4"])
    died = SUITE.format("died", 1, '><testcase name="1" />', "# kept for itself\nok 1\n# before the end\n1..2") \
        .replace("</testsuite>", "<system-err>Traceback</system-err></testsuite>")
    result = counted(SUITE.format("bad", 4, f">{fails}", output), died)
    lines = counted.said
    expected = ["failed: bad: 1 - short", "    # of one", "failed: bad: 2 - behind", "    # behind two", "failed: bad: 3 - none",
                "failed: bad: 11 - long"]
    point(result == (1, "1 passed, 5 failed, 0 skipped") and lines[:6] == expected, "what failed is told with what it said", *lines)
    end = lines.index("failed: died: ended early, 1 of 2 points printed")
    point(len(lines[6:end]) == 20 and max(map(len, lines)) == 304 and "line 0 " in lines[6] and "line 49 " in lines[end - 1],
          "of much the first and the last", *lines)
    point(lines[end + 1:-1] == ["    # before the end", "    Traceback"], "a program that ended early with its last words", *lines)


def count():
    case = '<testcase name="1" />'
    good = SUITE.format("good", 2, f">{case * 2}", "1..2")
    cases = {
        "what passed": ([good], (0, "2 passed, 0 failed, 0 skipped")),
        "what was skipped": ([good, SUITE.format("some", 1, '><testcase name="1"><skipped /></testcase>', "1..1")],
                             (0, "2 passed, 0 failed, 1 skipped")),
        "a whole program that was skipped": ([good, '<testsuite name="tern"><testcase name="x"><skipped /></testcase></testsuite>'],
                                             (0, "2 passed, 0 failed, 1 skipped")),
        "a program that ended early": ([SUITE.format("died", 1, f">{case}", "1..3")], (1, "1 passed, 1 failed, 0 skipped")),
        "a program that said nothing": ([good, '<testsuite name="tern"><testcase name="x" /></testsuite>'],
                                        (1, "2 passed, 1 failed, 0 skipped")),
        "a failure": ([good, SUITE.format("bad", 1, '><testcase name="1"><failure /></testcase>', "1..1")],
                      (1, "2 passed, 1 failed, 0 skipped")),
        "nothing": ([], (1, "0 passed, 0 failed, 0 skipped")),
    }
    for name, (suites, expected) in cases.items():
        found = counted(*suites)
        point(found == expected, f"counts {name}", f"expected {expected}, found {found}")
    found = counted(good, more=["build-other/none.xml"])
    point(found == (1, "2 passed, 1 failed, 0 skipped"), "counts a log that is not there", found)
    found = counted(good, more=["--skipped", "other"])
    point(found == (0, "2 passed, 0 failed, 1 skipped"), "counts what could not be tested here", found)


setup()
count()
told()
plan()
