# SPDX-License-Identifier: LGPL-2.1-or-later
"""`run.py captions`: captions of photographs and clips against human ones, beside what any caption must beat.

usage: run.py captions [--files FOLDER|TAR --tsv TSV] [--twin GGUF] [--paired JSONL] [--captions JSONL] [--keep JSONL]
                       [--png] [--scorer own|kept] ... [-- OPTIONS OF tern caption]

TSV has `file<TAB>caption`, a line for each human caption. Rows beside the model's:
- another file's caption: what is right by chance, of any picture of the kind;
- no picture: the caption of a plain grey one, for every file;
- its most frequent caption, for every file;
- one human caption for all: of the first ones of up to 500 files the one most like all the others, said blindly;
- a human: each file's first caption against the others. The references are one fewer, which costs about .05 of CIDEr-D;
- the twin (`--twin`, a GGUF of the same model in full precision) and `--paired` (JSON lines with source and result, of
  another program or build): with the difference, the same files drawn for both.
Of a clip with several windows the first one's caption is scored; `-- --window 60` makes the window as long as the clip.
"""
import collections
import json
import os
import random
import tempfile

import files
import intervals
import program
import scorers
import tables
from report import Report

NOTHING = "nothing"             # stands for a caption that did not come: it is scored, not left out


def arguments(parser):
    parser.add_argument("--twin", help="GGUF of the full-precision twin, with the same vision encoder")
    parser.add_argument("--captions", help="score these JSON lines (source, result) instead of running anything")
    parser.add_argument("--paired", help="JSON lines of another run, compared file by file")
    parser.add_argument("--keep", help="write the captions as JSON lines")
    parser.add_argument("--png", action="store_true",
                        help="hand over PNG made by Pillow: leaves the JPEG decoder out of a comparison")
    parser.add_argument("--scorer", choices=("own", "kept"), help="own, or pycocoevalcap (default: where it is there)")


def said(path, names):
    """The captions of JSON lines, by their source or, failing that, its last part; the first of each counts."""
    found = {}
    try:
        with open(path, encoding="utf8") as f:
            for line in f:
                if line.strip():
                    record = json.loads(line)
                    for name in (record["source"], os.path.basename(record["source"])):
                        found.setdefault(name, record["result"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise tables.Wrong(f"{path}: expected JSON lines with source and result, found {error!r}") from None
    return [found.get(n, found.get(os.path.basename(n), NOTHING)) for n in names]


def as_png(paths, folder):
    from PIL import Image

    out = []
    for i, path in enumerate(paths):
        out.append(os.path.join(folder, f"{i}.png"))
        Image.open(path).convert("RGB").save(out[-1], compress_level=1)
    return out


def first(results):
    return [r[0]["result"] if r else NOTHING for r in results]


def run(tern, paths, twin=None):
    """(captions, those of the twin or None, that of a grey picture, files with several windows)"""
    with tempfile.TemporaryDirectory(prefix="tern-eval-") as folder:
        results = tern.ask([*paths, program.grey(os.path.join(folder, "grey.png"))])
    other = first(program.Program(tern.tern, twin, tern.mmproj, tern.options).ask(paths)) if twin else None
    *captions, blind = first(results)
    return captions, other, blind, sum(len(r) > 1 for r in results[:-1])


def choose(kind, references):
    """The scorer asked for, and why it is not the kept one."""
    why = "asked for" if kind == "own" else scorers.why_not_kept()
    if kind == "kept" and why:
        raise tables.Wrong(f"--scorer kept: expected pycocoevalcap and Java, found {why}")
    return (scorers.Own if why else scorers.Kept)(references), why


def best_for_all(scorer, groups, most=500):
    """The human caption that fits all files best, of the first ones of `most` files, tried on as many."""
    at = range(len(groups)) if len(groups) <= most else random.Random(1).sample(range(len(groups)), most)
    words = {i: scorer.groups[i][0] for i in at}
    return groups[max(at, key=lambda i: sum(scorer.cider.score(k, words[i]) for k in at))][0]


def variety(words):
    """Distinct captions, distinct words, mean length, of token lists."""
    return [len({tuple(w) for w in words}), len({t for w in words for t in w}), sum(map(len, words)) / len(words)]


def row(label, scorer, captions, groups=None):
    found = scorer.score(captions, groups)
    return [label] + [found[n][0] if n in found else None for n in scorers.NAMES] + variety(found["words"][1]), found


def systems(options, captions, other, blind, names, groups, scorer):
    """[(label, captions, references or None for all, compared file by file)]"""
    frequent = collections.Counter(captions).most_common(1)[0][0]
    out = [("this model", captions, None, False)]
    if other:
        out.append(("its full-precision twin", other, None, True))
    if options.paired:
        out.append((os.path.basename(options.paired), said(options.paired, names), None, True))
    out.append(("another file's caption", captions[1:] + captions[:1], None, False))
    if blind is not None:
        out.append(("no picture", [blind] * len(names), None, False))
    out.append(("its most frequent caption for all", [frequent] * len(names), None, False))
    out.append(("one human caption for all (the best)", [best_for_all(scorer, groups)] * len(names), None, False))
    if min(map(len, groups)) > 1:
        out.append(("a human (first caption, others as references)", [g[0] for g in groups], [g[1:] for g in groups], False))
    return out


def compare(label, ours, theirs, captions, others):
    """Row of a paired comparison by CIDEr-D."""
    a, b = ours["CIDEr-D"][1], theirs["CIDEr-D"][1]
    return [label, intervals.paired(a, b), sum(a) / sum(b) if sum(b) else None, sum(x == y for x, y in zip(captions, others))]


def main(options):
    references = tables.groups(options.tsv)
    names = sorted(references)[: options.limit]
    groups = [references[n] for n in names]
    tern, several, blind, other = None, 0, None, None
    if options.captions:
        captions = said(options.captions, names)
    else:
        tern = options.program()
        with files.opened(options.files) as where, tempfile.TemporaryDirectory(prefix="tern-eval-") as folder:
            paths = where(names)
            captions, other, blind, several = run(tern, as_png(paths, folder) if options.png else paths, options.twin)
    if options.keep:
        with open(options.keep, "w", encoding="utf8") as f:
            for name, caption in zip(names, captions):
                f.write(json.dumps({"source": name, "result": caption}) + "\n")

    scorer, why = choose(options.scorer, groups)
    report = Report("captions", {"files": f"{len(names)}", "references": f"{sum(map(len, groups))}",
                                 "without a caption": f"{captions.count(NOTHING)}", "scorer": scorer.name, **options.about()},
                    tern.origin() if tern else {})
    rows, pairs, ours = [], [], None
    for label, texts, against, compared in systems(options, captions, other, blind, names, groups, scorer):
        line, found = row(label, scorer, texts, against)
        ours = ours or found
        rows.append(line)
        if compared:
            pairs.append(compare(label, ours, found, captions, texts))
    report.table("Captions, with 95 % intervals", ["system", *scorers.NAMES, "distinct captions", "distinct words", "words"], rows)
    if pairs:
        report.table("This model less another, the same files", ["other", "CIDEr-D", "ratio", "equal captions"], pairs)
    if why:
        report.note(f"METEOR and SPICE were not computed: {why}.")
    elif not scorer.has_spice():
        report.note("SPICE was not computed: pycocoevalcap has no stanford-corenlp-3.6.0.jar in its spice/lib.")
    for text in dict.fromkeys(scorer.disagreed):
        report.note(f"The scorers differ. {text}.")
    if several:
        report.note(f"{several} files have several windows: the first one's caption is scored.")
    return report, tern
