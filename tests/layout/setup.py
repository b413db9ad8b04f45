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
    return run.returncode, run.stdout.splitlines()[-1] if run.stdout else run.stderr


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
plan()
