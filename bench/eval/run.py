#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Evaluates a model by the built program, on a folder of your own. docs/evaluation.md says what each figure means.

usage: run.py COMMAND [--files FOLDER|TAR --tsv TSV] [--model GGUF] [--mmproj GGUF] [--json REPORT] ... [-- OPTIONS]

  captions       CIDEr-D, BLEU, ROUGE-L, METEOR against human captions, beside what is said blindly   file<TAB>caption
  hallucination  nouns in captions that no human names                                               file<TAB>caption
  answers        labels asked for by a prompt: accuracy, calibration                    file<TAB>prompt<TAB>answer
  motion         one label a clip, of a task in the model file (camera-motion)                       file<TAB>label
  events         what happens when: recall, precision, false alarms an hour      file<TAB>start<TAB>end<TAB>label
  robustness     captions and answers at night, in rain, blurred, ...          as captions, or with --answers TSV
  compression    captions of clips with visual tokens dropped                            file<TAB>shot<TAB>caption
  clips          makes clips for `compression` out of photographs                                    file<TAB>caption
  motion-clips   makes clips for `motion` out of photographs                                         file<TAB>caption
  event-clips    makes clips for `motion --task event` out of photographs                            file<TAB>caption
  actions        an action model on a robot's recorded episodes                                a folder of episodes
  card           writes the scores of REPORTs into a model card

`run.py COMMAND --help` has each one's options. What stands behind `--` goes to `tern caption`. Without --files and --tsv
the commands take what lies in ../shared/data, where that is there, and say that they skip where it is not. Exit status: 0
done or skipped, 1 some file could not be read, 2 wrong usage.
"""
import argparse
import importlib
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import program  # noqa: E402

# command: (module, the table and files in ../shared/data that it takes by itself)
COMMANDS = {"captions": ("captions", ("flickr8k/val.tsv", "flickr8k/val.tar")),
            "hallucination": ("hallucination", ("flickr8k/val.tsv", "flickr8k/val.tar")),
            "answers": ("answers", None),
            "motion": ("motion", None),
            "events": ("events", None),
            "robustness": ("robustness", ("flickr8k/val.tsv", "flickr8k/val.tar")),
            "compression": ("compression", None),
            "clips": ("clips", ("flickr8k/val.tsv", "flickr8k/val.tar")),
            "motion-clips": ("motion_clips", ("flickr8k/val.tsv", "flickr8k/val.tar")),
            "event-clips": ("event_clips", ("flickr8k/val.tsv", "flickr8k/val.tar")),
            "actions": ("actions", ("g1/meta/info.json", "g1")),
            "card": ("card", None)}


def common(parser):
    parser.add_argument("--files", help="folder, or plain tar, of the files that the table names")
    parser.add_argument("--tsv", help="the table")
    parser.add_argument("--data", default=os.path.join(program.ROOT, "..", "shared", "data"), help="(../shared/data)")
    parser.add_argument("--tern", help="the program (build/tools/tern, or the installed one)")
    parser.add_argument("--model", help="GGUF of the language model (what the program finds by itself)")
    parser.add_argument("--mmproj", help="GGUF of the vision encoder")
    parser.add_argument("--limit", type=int, help="the first N files of the sorted table only")
    parser.add_argument("--json", help="keep the report here")


def parse(arguments):
    at = arguments.index("--") if "--" in arguments else len(arguments)
    if not arguments or arguments[0] not in COMMANDS:
        print(__doc__.strip(), file=sys.stderr if arguments[:1] != ["--help"] else sys.stdout)
        sys.exit(0 if arguments[:1] == ["--help"] else 2)
    name, defaults = COMMANDS[arguments[0]]
    module = importlib.import_module(name)
    parser = argparse.ArgumentParser(prog=f"run.py {arguments[0]}", description=module.__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    if name != "card":
        common(parser)
    module.arguments(parser)
    options = parser.parse_args(arguments[1:at])
    options.extra = arguments[at + 1:]
    if name != "card":
        options.program = lambda: program.Program(options.tern, options.model, options.mmproj, options.extra)
        options.about = lambda: {"options": " ".join(options.extra)} if options.extra else {}
        if options.limit is not None and options.limit < 1:
            parser.error(f"--limit: expected 1 or more, found {options.limit}")
        beside(options, parser, defaults, ["files"] if name == "actions" else ["tsv"] if getattr(options, "captions", None)
               else ["files", "tsv"])
    return module, options


def beside(options, parser, defaults, needed):
    """What of --files and --tsv is `needed` is there, or both are those of ../shared/data."""
    given = [n for n in ("files", "tsv") if getattr(options, n)]
    missing = [f"--{n}" for n in needed if n not in given]
    if not missing:
        return
    if given or not defaults:
        parser.error(f"expected {' and '.join('--' + n for n in needed)}, found no {' and no '.join(missing)}")
    options.tsv, options.files = (os.path.join(options.data, d) for d in defaults)
    if not os.path.exists(options.tsv):
        print(f"skipped: {options.tsv} is not there; give {' and '.join('--' + n for n in needed)} of your own")
        sys.exit(0)


def main():
    module, options = parse(sys.argv[1:])
    report, tern = module.main(options)
    if report:
        report.print()
        if options.json:
            report.write(options.json)
    return 1 if tern and tern.failed else 0


if __name__ == "__main__":
    sys.exit(program.status(main))
