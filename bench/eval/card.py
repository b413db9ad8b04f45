# SPDX-License-Identifier: LGPL-2.1-or-later
"""`run.py card`: writes measured scores into a model card, in Markdown, and nothing else of it.

usage: run.py card [CARD] [--check]                    (models/MODELS.md)

A card has a place for each report, between two lines; what stands between them is replaced, what is outside stays:

    <!-- scores: scores/captions.json -->
    <!-- end of scores -->

Paths are relative to the card; reports are what the other commands keep by --json. The same reports give the same bytes.
Where a report names files that lie beside the card and that are others now, the place says that its scores are of an earlier
file. --check writes nothing: status 1 where the card is not what its reports say, with the first line that differs.
"""
import os
import re
import sys

import program
import report
import tables

_PLACE = re.compile(r"(<!-- scores: (\S+) -->\n)(.*?)(<!-- end of scores -->)", re.DOTALL)


def arguments(parser):
    parser.add_argument("card", nargs="?", default=os.path.join(program.ROOT, "models", "MODELS.md"), metavar="CARD")
    parser.add_argument("--check", action="store_true", help="say whether the card is as its reports have it")


def section(path, folder):
    data = report.read(path)
    lines = [report.markdown(data)]
    for name, digest in sorted(data["origin"].items()):
        beside = os.path.join(folder, name)
        if not os.path.isfile(beside):
            lines.append(f"\nMeasured of `{name}`, sha256 `{digest[:16]}...`, which is not here.")
        elif program.digest(beside) != digest:
            lines.append(f"\n**These scores are of an earlier `{name}`** (sha256 `{digest[:16]}...`): it was not measured anew.")
    return "\n".join(lines) + "\n"


def filled(text, folder, name):
    places = list(_PLACE.finditer(text))
    if not places or len(places) != text.count("<!-- scores:"):
        raise tables.Wrong(f"{name}: expected places between `<!-- scores: FILE -->` and `<!-- end of scores -->`, found "
                           f"{text.count('<!-- scores:')} beginnings and {len(places)} places")
    return _PLACE.sub(lambda m: m[1] + "\n" + section(os.path.join(folder, m[2]), folder) + "\n" + m[4], text)


def main(options):
    try:
        with open(options.card, encoding="utf8") as f:
            before = f.read()
    except (OSError, ValueError) as error:
        raise tables.Wrong(f"{options.card}: expected a model card in Markdown, found {error}") from None
    after = filled(before, os.path.dirname(os.path.abspath(options.card)), options.card)
    if options.check and after != before:
        pairs = zip(before.splitlines() + [""], after.splitlines() + [""])
        number, (old, new) = next((i, p) for i, p in enumerate(pairs, 1) if p[0] != p[1])
        program.say(f"{options.card}, line {number}: expected \"{new}\", found \"{old}\"; "
                    "`python3 bench/eval/run.py card` writes it")
        sys.exit(1)
    if not options.check and after != before:
        with open(options.card, "w", encoding="utf8") as f:
            f.write(after)
    return None, None
