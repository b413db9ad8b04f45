#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The compression laboratory: every method at the same budgets, on clips with known events; writes docs/compression.md.

usage: run.py [--clips DIR] [--count 100] [--model GGUF --mmproj GGUF] [--methods A,B,...] [--budgets A,B,...|none]
              [--candidates METHOD:RATIO[:KV-PRUNE],...] [--seed N] [--json F]
              [--keep DIR] [--write] [-- OPTIONS OF tern caption]

Without --clips they are made of the photographs in ../shared/data, as `bench/eval/run.py clips` does it (Pillow, ffmpeg),
--count of each kind, in a folder that goes away again; DIR is made where it is not there, and taken as it is where it is;
several, with commas between, are one set of clips. One process of `tern caption` asks about all clips at one setting, with
one thread: some 30 s for 300 clips of the bundled model. --candidates is a table of what might be the default, the first of
which the others are compared with. --write puts the tables and the plot into docs/compression.md and docs/compression.svg.
"""
import argparse
import os
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path[:0] = [os.path.dirname(os.path.abspath(__file__)), os.path.join(ROOT, "bench", "eval")]
import lab  # noqa: E402
import page  # noqa: E402
import program  # noqa: E402


def parse():
    at = sys.argv.index("--") if "--" in sys.argv else len(sys.argv)
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", help="a folder of clips with references.tsv; made where it is not there")
    parser.add_argument("--count", type=int, default=100, help="clips of each kind that are made (100)")
    parser.add_argument("--data", default=os.path.join(ROOT, "..", "shared", "data"), help="(../shared/data)")
    parser.add_argument("--tern", help="the program (build/tools/tern, or the installed one)")
    parser.add_argument("--model", help="GGUF of the language model (what the program finds by itself)")
    parser.add_argument("--mmproj", help="GGUF of the vision encoder")
    parser.add_argument("--methods", default=",".join(lab.METHODS), help="(%(default)s)")
    parser.add_argument("--budgets", default=",".join(lab.BUDGETS), help="(%(default)s)")
    parser.add_argument("--candidates", default=lab.DEFAULTS, help="what might be the default; empty: no such table (%(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="of clips that are made (1)")
    parser.add_argument("--limit", type=int, help="every so many clips only that as many are left")
    parser.add_argument("--json", help="keep the report here")
    parser.add_argument("--keep", help="a folder for what was said: a run that was stopped goes on from there. Nothing but "
                        "methods and budgets may change meanwhile")
    parser.add_argument("--write", action="store_true", help="write docs/compression.md and docs/compression.svg")
    options = parser.parse_args(sys.argv[1:at])
    options.extra = sys.argv[at + 1:]
    options.methods, options.budgets = options.methods.split(","), options.budgets.split(",")
    options.budgets = [] if options.budgets == ["none"] else options.budgets
    for budget in options.budgets:
        if budget not in lab.BUDGETS:
            parser.error(f"--budgets: expected some of {', '.join(lab.BUDGETS)}, found {budget}")
    return options


def main():
    options = parse()
    with tempfile.TemporaryDirectory(prefix="tern-clips-") as folder:
        clips = lab.Lab(options, lab.make_clips(options, folder))
        report = lab.report_of(options, clips)
    report.print()
    if options.json:
        report.write(options.json)
    if options.write:
        page.write(report.data, os.path.join(ROOT, "docs"))
    return 1 if clips.tern.failed else 0


if __name__ == "__main__":
    sys.exit(program.status(main))
