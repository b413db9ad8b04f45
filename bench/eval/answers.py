# SPDX-License-Identifier: LGPL-2.1-or-later
"""`run.py answers`: closed answers to questions, and how far their probabilities can be trusted.

usage: run.py answers --files FOLDER|TAR --tsv TSV [--labels yes,no | --task NAME] [--plot SVG] ... [-- OPTIONS]

TSV has `file<TAB>prompt<TAB>answer`. Each prompt is asked once for all its files; labels are --labels (yes,no), or those of
a task in the model file. Beside the model's answers:
- another file's answer to the same question (drawn, never its own where there are others): what the question alone gives;
- no picture: the answer about a plain grey one;
- always the commonest answer of each prompt.
Then recall, precision and confusion by label, a line for each prompt (`--prompts`), and what a temperature gives back:
fitted on every second file, measured on the others, by the program itself where `--model` is given (a copy of the file with
that temperature). --plot writes the reliability plot. labels.py says how each figure is computed.
"""
import collections
import glob
import json
import os
import random
import subprocess
import tempfile

import asking
import files
import labels
import plot
import program
import tables
from labels import Answer
from report import Report


def arguments(parser):
    parser.add_argument("--labels", default="yes,no", help="(yes,no)")
    parser.add_argument("--task", help="take the labels of this task in the model file")
    parser.add_argument("--plot", help="write the reliability plot here, SVG")
    parser.add_argument("--prompts", action="store_true", help="a line for each prompt, too")


def shuffled(answers):
    """Each prompt's answers given to other files."""
    rng, out = random.Random(1), []
    groups = collections.defaultdict(list)
    for a in answers:
        groups[a.prompt].append(a)
    for mine in groups.values():
        order = list(range(len(mine)))
        rng.shuffle(order)
        taken = {order[i]: order[(i + 1) % len(order)] for i in range(len(order))}     # a cycle: none keeps its own
        out += [Answer(a.file, a.prompt, a.truth, mine[taken[i]].labels, mine[taken[i]].scores) for i, a in enumerate(mine)]
    return out


def commonest(answers):
    counts = collections.defaultdict(collections.Counter)
    for a in answers:
        counts[a.prompt][a.truth] += 1
    return [Answer(a.file, a.prompt, a.truth, [counts[a.prompt].most_common(1)[0][0]], [1.]) for a in answers]


def blind(tern, questions, options, folder):
    """Answers about a grey picture, one a prompt, given to all its files."""
    path = program.grey(os.path.join(folder, "grey.png"))
    prompts = dict.fromkeys(p for _, p, _ in questions)
    told = {a.prompt: a for a in asking.by_prompt(tern, [("grey", p, "") for p in prompts], {"grey": path}, options.task,
                                                  options.labels)}
    return [Answer(name, p or "", truth, told[p or ""].labels, told[p or ""].scores) for name, p, truth in questions]


def recalibrated(answers, again=None):
    """(temperature, rows): fitted on one half, measured on the other, before and after. `again(temperature, files)` asks the
    program itself, with a model file that has that temperature."""
    fitted, held = labels.halves(answers)
    if not fitted or not held:
        return None, []
    temperature = labels.fit(fitted)
    after = again(temperature, {a.file for a in held}) if again else labels.tempered(held, temperature)
    return temperature, [[name, len(part), labels.measured(part, labels.ece), labels.measured(part, labels.brier),
                          labels.surprise(part)] for name, part in (("as it is", held), ("with temperature", after))]


def with_temperature(tern, temperature, folder):
    """A program whose model file has this temperature times the one that it had."""
    listed = subprocess.run([tern.tern, "tasks", "--json", tern.model], stdout=subprocess.PIPE, check=True)
    had = json.loads(listed.stdout)["label_temperature"]
    path = os.path.join(folder, os.path.basename(tern.model))   # of several mmproj files that one is taken that is called so
    subprocess.run([tern.tern, "tasks", tern.model, path, "--label-temperature", repr(had * temperature)], check=True)
    home = os.path.dirname(os.path.abspath(tern.model))
    for beside in [] if tern.mmproj else glob.glob(os.path.join(glob.escape(home), "mmproj*")):
        os.symlink(beside, os.path.join(folder, os.path.basename(beside)))
    return program.Program(tern.tern, path, tern.mmproj, tern.options)


def fill(report, options, tern, questions, path_of, folder):
    """Everything about the answers to these questions."""
    found = asking.by_prompt(tern, questions, path_of, options.task, options.labels)
    asking.check_truths(found, options.tsv)
    rows = [["this model", *labels.summary(found)],
            ["another file's answer", *labels.summary(shuffled(found))],
            ["no picture", *labels.summary(blind(tern, questions, options, folder))],
            ["always the commonest", *labels.summary(commonest(found))[:3], None, None]]
    report.table("Answers, with 95 % intervals over files", ["system", *labels.COLUMNS], rows)
    report.table("By label", *labels.confusion(found))
    if options.prompts:
        prompts = sorted({a.prompt for a in found})
        parts = {p: [a for a in found if a.prompt == p] for p in prompts}
        report.table("By prompt", ["prompt", *labels.COLUMNS], [[p, len(parts[p]), labels.accuracy(parts[p]),
                     labels.balanced(parts[p]), labels.ece(parts[p]), labels.brier(parts[p])] for p in prompts])

    def again(temperature, names):
        other = with_temperature(tern, temperature, folder)
        return asking.by_prompt(other, [q for q in questions if q[0] in names], path_of, options.task, options.labels)

    temperature, rows = recalibrated(found, again if tern.model and os.path.isfile(tern.model) else None)
    if rows:
        report.table(f"Recalibrated: temperature {temperature:.3f}, fitted on every second file, measured on the others",
                     ["scores", "answers", "ECE", "Brier", "-ln p(truth)"], rows)
    if temperature is not None and not .06 < temperature < 19:
        report.note("The temperature is at the end of its range: these probabilities say nothing that a temperature could mend.")
    lost = sum(not a.labels for a in found)
    report.note(f"{sum(a.abstained for a in found)} abstained, {lost} did not come (counted as wrong).")
    if options.plot:
        with open(options.plot, "w", encoding="utf8") as f:
            f.write(plot.reliability(labels.bins(found), f"{len(found)} answers, ECE {labels.ece(found):.3f}"))
    return found


def main(options):
    table = tables.rows(options.tsv, ("file", "prompt", "answer"))
    names = sorted({name for name, _, _ in table})[: options.limit]
    keep = set(names)
    questions = [row for row in table if row[0] in keep]
    tern = options.program()
    report = Report("answers", {"files": f"{len(names)}", "questions": f"{len(questions)}",
                                "labels": options.task or options.labels, **options.about()}, tern.origin())
    with files.opened(options.files) as where, tempfile.TemporaryDirectory(prefix="tern-eval-") as folder:
        fill(report, options, tern, questions, dict(zip(names, where(names))), folder)
    return report, tern
