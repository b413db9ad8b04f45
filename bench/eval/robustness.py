# SPDX-License-Identifier: LGPL-2.1-or-later
"""`run.py robustness`: what a model loses at night, in rain, blurred, compressed, turned, with another camera.

usage: run.py robustness [--files FOLDER|TAR --tsv TSV] [--answers TSV [--labels yes,no]] [--only KIND,...] ... [-- OPTIONS]

Photographs only: --tsv has `file<TAB>caption`, --answers `file<TAB>prompt<TAB>answer` about the same files. distort.py says
what is done to them. Captions: CIDEr-D of each kind and strength, and its difference to the clean pictures, photograph by
photograph. Answers: accuracy, ECE; and what recalibration without training gives back: a temperature fitted on every second
photograph of that kind, measured on the others.
"""
import os
import tempfile

import answers as closed
import asking
import captions
import distort
import files
import hallucination
import intervals
import labels
import tables
from report import Report


def arguments(parser):
    parser.add_argument("--answers", help="questions about the same files: file<TAB>prompt<TAB>answer")
    parser.add_argument("--labels", default="yes,no", help="(yes,no)")
    parser.add_argument("--task", help="take the labels of this task in the model file")
    parser.add_argument("--only", help=f"some of {','.join(distort.KINDS)}")
    parser.add_argument("--scorer", choices=("own", "kept"), default="own", help="(own; METEOR is not computed here)")
    parser.add_argument("--show", help="keep the first picture of each kind in this folder")


def settings(only):
    kinds = only.split(",") if only else distort.KINDS
    for kind in kinds:
        if kind not in distort.KINDS:
            raise tables.Wrong(f"--only: expected some of {', '.join(distort.KINDS)}, found \"{tables.shown(kind)}\"")
    return [("clean", None, False)] + [(f"{kind}, {('mild', 'strong')[s]}", kind, bool(s)) for kind in kinds for s in (0, 1)]


def pictures(paths, kind, strong, folder):
    """Paths of the distorted copies, PNG; the clean ones are copies too, so that the JPEG decoder is left out."""
    from PIL import Image

    out = []
    for i, path in enumerate(paths):
        image = Image.open(path).convert("RGB")
        out.append(os.path.join(folder, f"{i}.png"))
        (distort.distorted(image, kind, strong, i) if kind else image).save(out[-1], compress_level=1)
    return out


def main(options):
    references = tables.groups(options.tsv)
    names = sorted(references)[: options.limit]
    groups = [references[n] for n in names]
    keep = set(names)
    asked = tables.rows(options.answers, ("file", "prompt", "answer")) if options.answers else []
    questions = [q for q in asked if q[0] in keep]
    if options.answers and not questions:
        raise tables.Wrong(f"{options.answers}: expected questions about the files of {options.tsv}, found none")
    tern = options.program()
    scorer, _ = captions.choose(options.scorer, groups)
    things = hallucination.Things()
    report = Report("robustness", {"photographs": f"{len(names)}", "questions": f"{len(questions)}", **options.about()},
                    tern.origin())
    said_rows, answer_rows, clean = [], [], None
    with files.opened(options.files) as where, tempfile.TemporaryDirectory(prefix="tern-eval-") as folder:
        paths = where(names)
        for label, kind, strong in settings(options.only):
            shown = pictures(paths, kind, strong, folder)
            if options.show:
                os.makedirs(options.show, exist_ok=True)
                with open(shown[0], "rb") as a, open(os.path.join(options.show, label.replace(", ", "-") + ".png"), "wb") as b:
                    b.write(a.read())
            texts = captions.first(tern.ask(shown))
            each = scorer.cider_each(texts)
            clean = clean or each
            said_rows.append([label, intervals.mean(each), intervals.paired(each, clean) if kind else None,
                              sum(each) / max(1e-9, sum(clean)),
                              hallucination.chair([things.unsupported(t, g) for t, g in zip(texts, groups)])[0], len(set(texts))])
            if questions:
                found = asking.by_prompt(tern, questions, dict(zip(names, shown)), options.task, options.labels)
                asking.check_truths(found, options.answers)
                temperature, after = closed.recalibrated(found)
                answer_rows.append([label, labels.measured(found, labels.accuracy), labels.measured(found, labels.ece), temperature]
                                   + [row[i] for i in (2, 4) for row in after])
    report.table("Captions, with 95 % intervals", ["pictures", "CIDEr-D", "less clean", "share of clean", "CHAIRi",
                                                   "distinct captions"], said_rows)
    if questions:
        report.table("Answers, with 95 % intervals; recalibrated: a temperature fitted on every second photograph, both "
                     "measured on the others", ["pictures", "accuracy", "ECE", "temperature", "ECE, half", "ECE, recalibrated",
                                                "-ln p(truth), half", "recalibrated"], answer_rows)
    return report, tern
