# SPDX-License-Identifier: LGPL-2.1-or-later
"""`run.py motion`: one label a clip, as camera motion is, asked by a task that the model file has.

usage: run.py motion --files FOLDER|TAR --tsv TSV [--task camera-motion | --labels A,B,... --prompt T] ... [-- OPTIONS]

TSV has `file<TAB>label`. Of a clip with several windows their probabilities are averaged. The figures are those of
`run.py answers`: accuracy, balanced accuracy, calibration, confusion, what another clip's answer and a grey picture give.
`tern tasks FILE` lists a model file's tasks.
"""
import tempfile

import answers
import files
import tables
from report import Report


def arguments(parser):
    parser.add_argument("--task", help="task of the model file (camera-motion, unless --labels are given)")
    parser.add_argument("--labels", help="labels to choose from, instead of a task's")
    parser.add_argument("--prompt", help="the question beside --labels")
    parser.add_argument("--plot", help="write the reliability plot here, SVG")


def main(options):
    table = tables.rows(options.tsv, ("file", "label"))
    options.prompts = False
    if not options.labels:
        options.task = options.task or "camera-motion"
    names = sorted({name for name, _ in table})
    if len(names) != len(table):
        raise tables.Wrong(f"{options.tsv}: expected one label a file, found {len(table)} lines for {len(names)} files")
    names = names[: options.limit]
    truth = dict(table)
    tern = options.program()
    report = Report("motion", {"clips": f"{len(names)}", "asked": options.task or options.labels, **options.about()}, tern.origin())
    with files.opened(options.files) as where, tempfile.TemporaryDirectory(prefix="tern-eval-") as folder:
        questions = [(name, options.prompt, truth[name]) for name in names]
        answers.fill(report, options, tern, questions, dict(zip(names, where(names))), folder)
    return report, tern
