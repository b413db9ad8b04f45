# SPDX-License-Identifier: LGPL-2.1-or-later
"""Asks the program for closed answers and pairs them with what is true."""
import tables
from labels import Answer


def form(task, labels, prompt):
    """The program's options for one question."""
    options = ["--task", task] if task else ["--labels", labels]
    return options + (["--prompt", prompt] if prompt is not None else [])


def joined(results):
    """(labels, mean scores, abstained) of a file's windows: of a clip longer than a window they are averaged."""
    answers = [r for r in results if r.get("kind") == "answer" and r.get("scores")]
    if not answers:
        return [], [], False
    labels = answers[0]["labels"]
    return (labels, [sum(r["scores"][i] for r in answers) / len(answers) for i in range(len(labels))],
            all(r.get("abstained", False) for r in answers))


def by_prompt(tern, questions, path_of, task=None, labels=None):
    """[Answer] of [(file, prompt or None, truth)]: one process a prompt, for all its files."""
    out = []
    for prompt in dict.fromkeys(p for _, p, _ in questions):
        mine = [(name, truth) for name, p, truth in questions if p == prompt]
        results = tern.ask([path_of[name] for name, _ in mine], *form(task, labels, prompt))
        for (name, truth), found in zip(mine, results):
            out.append(Answer(name, prompt or "", truth, *joined(found)))
    return out


def check_truths(answers, tsv):
    """A truth that the program can never say is the table's mistake, or that of --labels."""
    possible = {label for a in answers for label in a.labels}
    strange = sorted({a.truth for a in answers} - possible)
    if possible and strange:
        raise tables.Wrong(f"{tsv}: expected answers among {', '.join(sorted(possible))}; "
                           f"found {', '.join(map(tables.shown, strange[:5]))}")
