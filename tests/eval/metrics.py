# SPDX-License-Identifier: LGPL-2.1-or-later
"""The figures of bench/eval, against numbers worked out by hand, printed by pycocoevalcap, or known by construction.
Prints TAP. Needs the standard library; what numpy or pycocoevalcap would add is skipped where they are not.

usage: metrics.py SOURCE_ROOT
"""
import json
import math
import pathlib
import random
import sys
import tempfile
import types

ROOT = pathlib.Path(sys.argv[1]).resolve()
sys.path[:0] = [str(ROOT / "bench/eval"), str(ROOT / "tests")]
sys.dont_write_bytecode = True
import actions  # noqa: E402
import answers  # noqa: E402
import asking  # noqa: E402
import captions  # noqa: E402
import card  # noqa: E402
import distort  # noqa: E402
import event_clips  # noqa: E402
import events  # noqa: E402
import hallucination  # noqa: E402
import intervals  # noqa: E402
import labels  # noqa: E402
import motion_clips  # noqa: E402
import plot  # noqa: E402
import report  # noqa: E402
import scorers  # noqa: E402
import tables  # noqa: E402
from tap import plan, point  # noqa: E402

REFERENCES = [["A brown dog leaps over a log.", "The dog jumps across a fallen tree", "a dog, brown and wet, leaps a log"],
              ["Two men don't look at the camera.", "Men in \"red\" coats stand near a wall", "two people (both men) wait by a "
               "wall"],
              ["A child's kite flies above the beach", "the girl flies a kite at the sea-side", "kid with a kite on a beach"]]
CAPTIONS = ["a brown dog leaps over a fallen tree", "two men in red coats look at a wall", "a girl plays on a beach"]


def near(found, expected, within=1e-6):
    if isinstance(expected, (list, tuple)):
        return len(found) == len(expected) and all(near(f, e, within) for f, e in zip(found, expected))
    return found is not None and abs(found - expected) <= within


def has(*names):
    import importlib.util

    return all(importlib.util.find_spec(n) for n in names)


# ---- Captions ----

def check_captions():
    own = scorers.Own(REFERENCES)
    found = own.score(CAPTIONS)
    # pycocoevalcap 1.2 with Java 17, of these sentences.
    point(near(found["CIDEr-D"][0][0], 2.438431768849) and near(found["CIDEr-D"][1], [3.656220680, 2.452961135, 1.206113491]),
          "CIDEr-D is pycocoevalcap's, of each and of all", found["CIDEr-D"])
    point(near(found["BLEU-4"][0][0], .557291324486), "so is BLEU-4", found["BLEU-4"])
    point(near(found["ROUGE-L"][0][0], .710049993267) and near(found["ROUGE-L"][1], [.809734513, .713450292, .606965174]),
          "and ROUGE-L", found["ROUGE-L"])
    point([w for w in own.groups[1][0]] == ["two", "men", "do", "n't", "look", "at", "the", "camera"]
          and own.groups[2][1][-1] == "sea-side" and own.groups[1][2][2] == "-lrb-", "and the Penn Treebank's tokens", own.groups)
    same = scorers.Own([["one two three four five"], ["six seven eight nine ten"]])
    point(near(same.cider_each(["one two three four five", "one two three"]), [10, 0]),
          "by hand: a caption as the one reference is worth 10, one without a common word 0", same.cider_each(["a", "b"]))
    short = scorers.Own([["one two three"], ["six seven eight"]]).cider_each(["one two three", "six seven eight"])
    point(near(short, [7.5, 7.5]), "by hand: three words have no four in a row, which is 3 / 4 of it", short)
    counts = scorers.cider.bleu_counts("a b c d e".split(), ["a b c d f".split()])
    point(counts == (4, 3, 2, 1, 5, 4, 3, 2, 5, 5) and near(scorers.cider.bleu_of(counts), .2 ** .25),
          "by hand: BLEU-4 of 4/5, 3/4, 2/3 and 1/2 is their geometric mean", counts)
    brief = scorers.cider.bleu_of(scorers.cider.bleu_counts("a b c d".split(), ["a b c d e f".split()]))
    point(near(brief, math.exp(1 - 6 / 4)), "by hand: four words of six are paid for by exp(1 - 6/4)", brief)
    point(near(scorers.rouge("the cat sat".split(), ["the cat sat on the mat".split()]), 2.44 * .5 / (.5 + 1.44)),
          "by hand: ROUGE-L of precision 1, recall 1/2")
    point(scorers.rouge([], ["a".split()]) == 0 == scorers.rouge("b".split(), ["a".split()]), "nothing in common is 0")
    point(captions.variety([["a", "dog"], ["a", "dog"], ["a", "b", "c"]]) == [2, 4, 7 / 3], "distinct captions, distinct "
          "words, mean length")
    point(captions.best_for_all(own, REFERENCES) == max((g[0] for g in REFERENCES), key=lambda c: sum(own.cider_each([c] * 3))),
          "one caption for all is the one that scores best of all")
    if has("pycocoevalcap") and scorers.why_not_kept() is None:
        kept = scorers.Kept(REFERENCES)
        theirs = kept.score(CAPTIONS)
        point(not kept.disagreed and kept.groups == own.groups and near(theirs["METEOR"][0], .359984, 1e-5),
              "pycocoevalcap agrees, and has METEOR", kept.disagreed, theirs["METEOR"])
    else:
        point(True, "pycocoevalcap agrees, and has METEOR", skip=scorers.why_not_kept())


# ---- Intervals ----

def check_intervals():
    point(intervals.mean([.25] * 9) == [.25, .25, .25] and intervals.mean([7.]) == [7, 7, 7], "values that are all one have no "
          "interval")
    rng = random.Random(3)
    values = [float(rng.random() < .5) for _ in range(400)]
    middle, low, high = intervals.mean(values)
    point(.85 < (high - low) / (2 * 1.96 * math.sqrt(middle * (1 - middle) / 400)) < 1.15 and low < middle < high,
          "of 400 coins it is as wide as the normal one, within 15 %", middle, low, high)
    point(intervals.mean(values) == intervals.mean(list(values)), "the same values give the same interval")
    other = [v + .03125 for v in values]
    point(intervals.paired(other, values) == [.03125] * 3 and intervals.mean(other)[1] < middle,
          "paired: what is better everywhere by the same is better for certain", intervals.paired(other, values))
    point(intervals.quantile([0, 1, 2, 3], .5) == 1.5 and intervals.quantile([5], .9) == 5
          and intervals.quantile([0, 10], .025) == .25, "quantiles lie between neighbours")
    one = intervals.clustered([[x] for x in values], lambda items: sum(items) / len(items))
    four = intervals.clustered([[x] * 4 for x in values[:100]], lambda items: sum(items) / len(items))
    point((four[1] - four[0]) > 1.6 * (one[1] - one[0]), "400 answers about 100 files are worth 100", one, four)
    try:
        intervals.paired([1], [1, 2])
        point(False, "pairs of unequal length are refused")
    except ValueError as error:
        point("1 and 2" in str(error), "pairs of unequal length are refused")


# ---- Closed answers ----

def answer(truth, yes, file="f", prompt="?"):
    return labels.Answer(file, prompt, truth, ["yes", "no"], [yes, 1 - yes])


def check_labels():
    honest = [answer("yes", .9, str(i)) for i in range(9)] + [answer("no", .9, "9")]
    point(near(labels.ece(honest), 0) and labels.accuracy(honest) == .9, "right nine times of ten and .9 sure: calibrated")
    point(near(labels.ece([answer("yes", .8)] * 5), .2) and near(labels.ece([answer("no", .8)] * 5), .8),
          "by hand: too modest by .2, too sure by .8")
    mixed = [answer("yes", .95)] * 3 + [answer("no", .65)]
    point(near(labels.ece(mixed), (3 * .05 + .65) / 4), "bins count by their answers", labels.ece(mixed))
    point(near(labels.brier([answer("yes", .8)]), .08) and near(labels.brier([answer("no", .8)]), 1.28),
          "by hand: Brier .2^2 + .2^2, .8^2 + .8^2")
    most = [answer("yes", .9)] * 8 + [answer("no", .9)] * 2
    point(labels.accuracy(most) == .8 and labels.balanced(most) == .5, "who always says yes is right in half of the labels")
    three = [labels.Answer("f", "?", t, ["a", "b", "c"], s) for t, s in
             (("a", [.6, .3, .1]), ("a", [.2, .7, .1]), ("b", [.2, .7, .1]), ("c", [.1, .8, .1]), ("c", [0, .1, .9]))]
    columns, rows = labels.confusion(three)
    point(columns[1:4] == ["a", "b", "c"] and [r[1:4] for r in rows] == [[1, 1, 0], [0, 1, 0], [0, 1, 1]]
          and [r[5] for r in rows] == [.5, 1, .5] and near([r[6] for r in rows], [1, 1 / 3, 1]), "confusion, recall and "
          "precision by hand", rows)
    sure = [answer("yes", .9, str(i)) for i in range(3)] + [answer("no", .9, "3")]
    temperature = labels.fit(sure)
    point(near(temperature, 2, 1e-4), "by hand: .9 sure and right in 3 of 4 asks for T = ln 9 / ln 3 = 2", temperature)
    point(near([a.scores[0] for a in labels.tempered(sure, 2)], [.75] * 4), "and T = 2 makes .75 of .9")
    point(labels.tempered(sure, 1)[0].scores == [.9, 1 - .9] or near(labels.tempered(sure, 1)[0].scores, [.9, .1]),
          "T = 1 changes nothing")
    hopeless = labels.fit([answer("no", .999)] * 4)
    point(19 < hopeless <= 20.001, "probabilities that are always wrong are flattened as far as it goes", hopeless)
    certain = labels.tempered([labels.Answer("f", "?", "a", ["a", "b"], [1., 0.])], .05)[0].scores
    point(near(sum(certain), 1) and certain[0] > .99, "probabilities of 0 and 1 stay numbers", certain)
    first, second = labels.halves([answer("yes", .9, n) for n in "cabca"])
    point({a.file for a in first} == {"a", "c"} and {a.file for a in second} == {"b"}, "halves share no file")
    lost = labels.Answer("f", "?", "yes", [], [])
    point(not lost.right and labels.accuracy([lost]) == 0 and labels.brier([lost]) == 1
          and labels.ece([lost, answer("yes", 1.)]) == 0, "an answer that did not come is wrong")
    many = [answer("yes" if i % 2 else "no", .1 + .8 * (i % 2), str(i), "p" + str(i % 3)) for i in range(30)]
    moved = answers.shuffled(many)
    point(sorted((a.file, a.prompt, a.truth) for a in moved) == sorted((a.file, a.prompt, a.truth) for a in many)
          and sum(a.right for a in many) == 30 and 5 <= sum(a.right for a in moved) <= 25, "other files' answers: the same "
          "questions, other answers")
    point(all(a.right == (a.truth == "no") for a in answers.commonest([answer("no", 1.)] * 3 + [answer("yes", 1.)])),
          "the commonest answer for all")
    windows = [{"kind": "answer", "labels": ["a", "b"], "scores": s, "abstained": False} for s in ([.9, .1], [.2, .8], [.3, .7])]
    point(near(asking.joined(windows)[1], [1.4 / 3, 1.6 / 3]) and asking.joined([]) == ([], [], False),
          "windows of a clip are averaged")
    try:
        asking.check_truths([answer("perhaps", .5)], "t.tsv")
        point(False, "a truth that is no label is refused")
    except tables.Wrong as error:
        point("t.tsv" in str(error) and "perhaps" in str(error) and "no, yes" in str(error), "a truth that is no label is "
              "refused", error)
    svg = plot.reliability(labels.bins(mixed), "a < b & c")
    point(svg.count("<rect") == 3 and "a &lt; b &amp; c" in svg and svg.rstrip().endswith("</svg>"), "a plot has a bar for "
          "each bin that has answers")


# ---- Events ----

def check_events():
    def event(start, end, label="enters"):
        return events.Event(start, end, label)

    clip = events.Clip(100, [event(10, 14), event(50, 52, "leaves")], [event(12, 16), event(30, 34), event(49, 53, "stops")], 2)
    point(len(clip.found) == 1 and clip.right == 1 and [a.start for a in clip.alarms] == [30] and clip.quiet() == 100 - 8 - 6,
          "one found, one false alarm, one called by another name, which is no alarm", clip.found, clip.alarms, clip.quiet())
    point(events.recall([clip]) == .5 and near(events.precision([clip]), 1 / 3) and near(events.alarms([clip]), 3600 / 86),
          "recall, precision, false alarms an hour")
    far, close = (events.Clip(60, [event(10, 12)], [event(14 + d, 18)], 2) for d in (.0, -.01))
    point(not far.found and len(close.found) == 1, "the tolerance ends where it says")
    twice = events.Clip(60, [event(10, 12), event(13, 15)], [event(10, 16)], 2)
    point(len(twice.found) == 1 and twice.right == 1 and not twice.alarms, "one that was said serves one true one")
    over = events.Clip(20, [event(2, 8), event(5, 9), event(19, 30)], [], 2)
    point(over.quiet() == 20 - 11 - 3, "quiet time counts overlaps once and ends with the clip", over.quiet())
    idle = events.Clip(7200, [], [event(5, 9), event(15, 19), event(25, 29)], 2)
    point(events.alarms([idle]) == 1.5 and events.recall([idle]) is None, "three in two quiet hours; no recall where nothing "
          "happens")
    lines = [{"start": 4. * i, "end": 4. * i + 4, "result": r, "abstained": r == "?"} for i, r in
             enumerate(["nothing", "enters", "enters", "nothing", "enters", "stops", "?", "stops"])]
    found = events.Clip(40, [], events.windows(lines, {"nothing"}), 2).said
    point([(e.start, e.end, e.label) for e in found] == [(4, 12, "enters"), (16, 20, "enters"), (20, 24, "stops"),
                                                         (28, 32, "stops")],
          "windows with one label in a row are one event", found)
    always = events.Clip(400, [event(10, 14)], [event(4. * i, 4. * i + 4) for i in range(100)], 2)
    point(len(always.found) == 1 and [(a.start, a.end) for a in always.alarms] == [(0, 8), (16, 400)]
          and near(events.precision([always]), 1 / 3)
          and near(events.in_alarm([always]), 392 / 392), "one label for ever finds the event and is in alarm at all other "
          "times", always.alarms)


# ---- Things that are not there ----

def check_things(folder):
    things = hallucination.Things()
    point(things.named("Two Dogs, a puppy and a lady's hot dog by the swimming pool") == ["dog", "woman", "hot dog", "pool"],
          "things by words, plurals and longest names", things.named("Two Dogs, a puppy and a lady's hot dog by the swimming pool"))
    for caption, references, wrong in (
            ("a man walks a dog", ["a person with a puppy"], []), ("a person walks", ["a man walks"], []),
            ("a man walks", ["a woman walks"], ["man"]), ("a boy plays", ["children play"], []),
            ("a player runs", ["a girl in a red jersey"], []), ("a woman runs", ["a soccer player runs"], []),
            ("a dog swims in the water", ["a dog in a lake"], []), ("a dog in a pool", ["a dog in a lake"], ["pool"]),
            ("a bike", ["a motorcycle"], []), ("a bicycle", ["a motorcycle"], ["bicycle"]), ("nothing at all", ["a dog"], [])):
        found = things.unsupported(caption, references)[1]
        point(found == wrong, f"\"{caption}\" beside \"{references[0]}\": {wrong or 'supported'}", found)
    point(hallucination.chair([(["a", "b"], ["b"]), (["a"], []), ([], [])]) == (1 / 3, 1 / 3), "CHAIRi of things, CHAIRs of "
          "captions")
    for lines, word in (("dog\t-\tpuppy\ncat\t-\tpuppy\n", "puppy"), ("dog\tanimal\t-\n", "animal")):
        (folder / "n.tsv").write_text(lines)
        try:
            hallucination.Things(folder / "n.tsv")
            point(False, f"a list with {word} wrong is refused")
        except tables.Wrong as error:
            point(word in str(error) and "n.tsv" in str(error), f"a list with {word} wrong is refused", error)


# ---- Pictures and robots ----

def check_views():
    for label, axis, sign in (("pan right", 0, 1), ("pan left", 0, -1), ("tilt down", 1, 1), ("tilt up", 1, -1)):
        good = True
        for seed in range(50):
            found = motion_clips.views(label, random.Random(seed))
            moved = [b - a for a, b in zip(found[0], found[-1])]
            good = good and sign * moved[axis] > .2 * found[0][2] and abs(moved[1 - axis]) <= 2 and moved[2] == 0
            good = good and all(0 <= x and 0 <= y and x + s <= 224.001 and y + s <= 224.001 for x, y, s in found)
        point(good, f"a view that is called {label}, within the photograph", found[0], found[-1])
    for label, low, high in (("zoom in", 1.29, 1.81), ("zoom out", 1 / 1.81, 1 / 1.29), ("still", 1, 1)):
        shares = [(v[0][2] / v[-1][2]) for v in (motion_clips.views(label, random.Random(s)) for s in range(50))]
        point(all(low <= s <= high for s in shares), f"a view that is called {label}", shares)


def check_ways():
    """Where what moves is in the first, in the last, and in the frame 3.5 s behind the first."""
    size, half, late = (320, 240), 40, 7 * event_clips.RATE // 2
    for label, first, last in (("enters", False, True), ("leaves", True, False), ("passes", False, False), ("moves", True, True),
                               ("stops", True, True), ("starts", True, True)):
        good, found = True, []
        for seed in range(100):
            found = event_clips.way(label, size, half, random.Random(seed))
            seen = [-half < x < size[0] + half for x, _ in found]
            moved = [a != b for a, b in zip(found, found[1:])]
            good = good and len(found) == event_clips.FRAMES and (seen[0], seen[late]) == (first, last) and any(moved[:late])
            good = good and (label != "passes" or any(seen)) and (label != "stops" or moved[0] and not any(moved[late - 12:]))
            good = good and (label not in ("starts", "enters", "leaves") or not moved[0]) and (label != "moves" or all(moved))
        point(good, f"a way that is called {label}", found[0], found[late])


def check_arrays():
    wide, high = distort.filled(200, 100, 90)
    point(near([*distort.filled(224, 224, 0)], [224, 224]) and near(wide, 100) and near(high, 50), "what stays filled of a "
          "turned picture", wide, high)
    if has("numpy", "PIL"):
        from PIL import Image

        image = Image.new("RGB", (64, 48))
        image.putdata([(x * 37 % 256, y * 91 % 256, (x * y) % 256) for y in range(48) for x in range(64)])
        once, again = ([distort.distorted(image, k, s, 7).tobytes() for k in distort.KINDS for s in (0, 1)] for _ in (0, 1))
        point(once == again and len(set(once)) == 12 and all(len(b) == len(image.tobytes()) for b in once),
              "twelve pictures, the same each time")
    else:
        point(True, "twelve pictures, the same each time", skip="no numpy or Pillow")
    if not has("numpy"):
        return point(True, "baselines, errors and jerk by hand", skip="no numpy")
    import numpy as np

    path = np.arange(10.)[:, None] ** 3 * [1, 2]
    found = actions.baselines(path, path, 3, 2)
    point(found["the last action again"].tolist() == [[8, 16], [8, 16]]
          and found["a line through the last two"].tolist() == [[15, 30], [22, 44]],
          "the last action, and the line through the last two", found)
    point(actions.errors(path, 8, np.zeros((4, 2))).tolist() == [512 * 1.5, 729 * 1.5], "errors end with the episode")
    point(actions.jerk(path, 2) == 6 * 1.5 * 8, "the third difference of i^3 is 6")
    joined, seams = actions.played([(0, np.ones((4, 1))), (3, np.full((2, 1), 5.)), (7, np.zeros((4, 1)))], 9)
    point(joined[:, 0].tolist() == [1, 1, 1, 5, 5, 5, 5, 0, 0] and seams == [3, 7], "chunks one after the other, the last step "
          "held", joined, seams)


# ---- Reports and cards ----

def check_cards(folder):
    made = report.Report("captions", {"files": "2"}, {"m.gguf": "0" * 64})
    made.table("Some", ["system", "score", "n"], [["a | b", [.123456789, .1, .2], 1234], ["none", None, 1.5]])
    made.note("A note.")
    made.write(folder / "r.json")
    shown = report.markdown(report.read(folder / "r.json"))
    point("| a \\| b | 0.123 [0.100, 0.200] | 1,234 |" in shown and "| none | - | 1.500 |" in shown and shown.endswith("- A note."),
          "a report as Markdown", shown)
    point("a | b" in report.text(made.data), "and as text")
    before = "# Card\n\n<!-- scores: r.json -->\nold\n<!-- end of scores -->\n\nOwn words.\n"
    once = card.filled(before, folder, "c.md")
    point(once.startswith("# Card\n\n<!-- scores: r.json -->\n") and once.endswith("<!-- end of scores -->\n\nOwn words.\n")
          and "old" not in once and "which is not here" in once and card.filled(once, folder, "c.md") == once,
          "a card keeps its own words, and is the same the second time", once)
    (folder / "m.gguf").write_bytes(b"another")
    point("scores are of an earlier `m.gguf`" in card.filled(once, folder, "c.md"), "scores of another file are called so")
    for text in ("# none\n", "<!-- scores: r.json -->\nopen\n"):
        try:
            card.filled(text, folder, "c.md")
            point(False, "a card without whole places is refused")
        except tables.Wrong as error:
            point("c.md" in str(error), "a card without whole places is refused", error)
    (folder / "bad.json").write_text(json.dumps({"tern_eval": 2}))
    for name in ("bad.json", "none.json"):
        try:
            report.read(folder / name)
            point(False, f"{name} is refused")
        except tables.Wrong as error:
            point(name in str(error), f"{name} is refused", error)
    text = (ROOT / "models/MODELS.md").read_text(encoding="utf8")
    if "<!-- scores:" in text:
        point(card.filled(text, ROOT / "models", "MODELS.md") == text,
              "models/MODELS.md is what its reports say (python3 bench/eval/run.py card)")
    else:
        point(True, "models/MODELS.md is what its reports say", skip="no scores in it")


# ---- The compression laboratory ----

def check_candidates(laboratory):
    """Two sets of two clips; what was said is known."""
    found = {("none", "0"): ([1., 2., 3., 4.], [0., 0.]), ("dycoke", "0"): ([1., 2., 1.5, 2.], [1., 0.]),
             ("random-any", "0"): ([.5, 1.5, 1., 1.5], [1., 1.])}
    lab = types.SimpleNamespace(names=["a/cut-0.mkv", "a/pan-0.mkv", "b/cut-0.mkv", "b/pan-0.mkv"], folders=["a", "b/"],
                                kinds=["cut", "pan"])
    lab.run = lambda method, prune, ratio: types.SimpleNamespace(each=found[method, prune][0], missed=found[method, prune][1],
                                                                 kept=[4, 8], kinds=[0., 0.])
    _, columns, rows = laboratory.candidates_of(lab, "dycoke:0.7")
    point([r[0] for r in rows] == ["none, 0, 0", "dycoke, 0.7, 0"] and all(len(r) == len(columns) for r in rows),
          "candidates stand below all tokens", rows)
    point(near([rows[1][3][0], rows[1][4][0], rows[1][5][0], rows[1][7][0]], [1., .5, .5, .5]) and rows[1][6] is None
          and near(rows[0][6][0], .875), "a candidate's share of each set, and what it is more than others", rows[1])


def check_laboratory(folder):
    sys.path.append(str(ROOT / "bench/compression"))
    import page
    import lab as laboratory

    point(near(laboratory.share([1., 2., 3.], [2., 4., 6.]), [.5, .5, .5]), "a share of equal parts has no interval")
    point([laboratory.verdict(d) for d in ([.2, .1, .3], [-.2, -.3, -.1], [.1, -.1, .3])] == ["better", "worse", "not told apart"],
          "what an interval says of a difference")
    lab = laboratory.Lab.__new__(laboratory.Lab)
    names = [f"cut-{i}.mkv" for i in range(len(REFERENCES))]
    lab.table = {name: [["a wall"], REFERENCES[i]] for i, name in enumerate(names)}
    lab.scorer, lab.events, lab.bars = laboratory.compression.Scorer(lab.table, names), [0, 1, 2], None
    point(lab.missed(CAPTIONS) == [0, 0, 0] and lab.missed(CAPTIONS[1:] + CAPTIONS[:1]) == [1, 1, 1],
          "an event is told by what scores above the captions of other clips, and missed by those")
    check_candidates(laboratory)
    rows = [["none", "392.0", 392, [.4, .3, .5], [1., 1., 1.], None], ["mean", "98.0", 98, [.3, .2, .4], [.75, .7, .8],
                                                                       [.1, .0, .2]]]
    data = {"about": {"clips": "3"}, "notes": [], "tables": [{"title": "25 %; all keys attended to", "rows": rows,
            "columns": ["method", "tokens", "most", "CIDEr-D", "share", "less"]}]}
    page.write(data, folder)
    text, drawn = (folder / "compression.md").read_text(encoding="utf8"), (folder / "compression.svg").read_text(encoding="utf8")
    point("| mean | 98.0 | 98 |" in text and page.PLACE not in text and "## Methods" in text, "the page has its tables",
          text[-300:])
    point(drawn.startswith("<svg") and drawn.count("<circle") == 1 and "mean" in drawn, "the plot has a point a method", drawn)
    kept = (ROOT / "docs/compression.md").read_text(encoding="utf8")
    words = (ROOT / "bench/compression/page.md").read_text(encoding="utf8").split(page.PLACE)[0]
    point(kept.startswith(words), "docs/compression.md has the words of page.md (run.py --write)")


with tempfile.TemporaryDirectory() as temporary:
    check_laboratory(pathlib.Path(temporary))
    check_captions()
    check_intervals()
    check_labels()
    check_events()
    check_things(pathlib.Path(temporary))
    check_views()
    check_ways()
    check_arrays()
    check_cards(pathlib.Path(temporary))
plan()
