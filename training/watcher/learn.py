# SPDX-License-Identifier: LGPL-2.1-or-later
"""Trains the watcher on clips that are rendered as they are needed, and on pictures of shapes with statements.

    python training/watcher/materials.py --work DIR
    python training/watcher/learn.py --work DIR --phase small [--nlvr ../shared/data/nlvr] [--steps 6000]
    python training/watcher/learn.py --work DIR --phase full [--nlvr ../shared/data/nlvr] [--steps 12000]
    python training/watcher/learn.py --work DIR --phase again --models models [--nlvr ../shared/data/nlvr] [--steps 4000]

Small pictures and few frames first: a step sees three times as many clips, and it is their number that teaches to compare
frames. The full phase begins with the small one's weights, `again` and `both` with the files that ship, `compare` with the weights
of `both`. A stopped run goes on from its checkpoint (every 100 steps), so the same command continues it.
"""

import argparse
import concurrent.futures
import multiprocessing
import os
import sys
import time
from dataclasses import dataclass

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
import common       # noqa: E402
import events       # noqa: E402
import kept         # noqa: E402

VOCABULARY = 640
PICTURES, SENTENCES, TOLD = 32, 6, 2    # of a step about shapes; of each picture
DROP, SMOOTHING = 0.05, 0.05
LED = 0.3               # of the clips go on from a frame before them
NAMES, FACTS = 8.0, 12.0        # what naming the things in every cell weighs, and what its box holds
CELLS, STATES = 3.0, 1.0        # and, of clips, whether what moves is in a cell, and what pictures show of it (events._shown)


@dataclass(frozen=True)
class Phase:
    clips: int              # of a step
    sizes: list             # (width, height)
    shares: list            # how often each
    pictures: list
    often: list
    stills: float           # share of the steps that are about shapes
    taught: float           # share of the steps about clips that teach the tower too
    before: str = ""        # whose weights it begins with
    rate: float = 1.2e-3
    shares_of: tuple = events.SHARES
    kept: int = 0           # steps about clips that are drawn, and seen by a tower that stays as it is, once for all (kept.py)


LARGE = [(256, 128), (224, 160), (192, 192)], [0.5, 0.3, 0.2]

PHASES = {
    "small": Phase(48, [(160, 96), (128, 128), (192, 96)], [0.6, 0.2, 0.2], [4, 3, 2], [0.75, 0.15, 0.1], 0.1, 0.2),
    "full": Phase(24, *LARGE, [4, 8, 6, 2], [0.6, 0.2, 0.1, 0.1], 0.3, 0.2, "small"),
    # What is told by comparing pictures far apart, more often, and with the tower.
    "late": Phase(24, *LARGE, [4, 8, 6, 2], [0.7, 0.15, 0.1, 0.05], 0.25, 0.35, "full", 6e-4, events.LATE),
    "between": Phase(24, *LARGE, [4, 8, 6, 2], [0.75, 0.1, 0.1, 0.05], 0.1, 0.3, "late", 8e-4, events.LATE),
    # Shapes alone, nearly: sentences are learned long after things are named.
    "told": Phase(24, *LARGE, [4, 8, 6, 2], [0.8, 0.1, 0.05, 0.05], 0.85, 0.3, "again", 1e-3, events.LATE),
    # What is still mistaken, and statements that are true of one of two pictures.
    "both": Phase(24, *LARGE, [4, 8, 6, 3, 2, 1], [0.7, 0.1, 0.05, 0.05, 0.05, 0.05], 0.5, 0.3, "", 1e-3, events.HARD),
    # What compares pictures, from many more of them.
    "compare": Phase(24, *LARGE, [4, 8, 6, 3, 2, 1], [0.7, 0.1, 0.05, 0.05, 0.05, 0.05], 0.3, 0, "both", 1e-3, events.HARD, 1000),
    "again": Phase(24, *LARGE, [4, 8, 6, 2], [0.8, 0.1, 0.05, 0.05], 0.15, 0.3, "", 8e-4, events.LATE),
}


def tokenizer_of(work):
    """Byte-level BPE over what answers.py and shapes.py say; trained once."""
    import numpy as np
    import answers
    import prompts
    import shapes
    import words

    path = os.path.join(work, "tokenizer.json")
    if not os.path.exists(path):
        rng = np.random.default_rng(5)
        texts = [q for _ in range(2000) for some in shapes.asked(*shapes.two(rng), rng, 4, 0) for q, _ in some]
        for event in events.EVENTS:
            for _ in range(300):
                truth = dict(event=event, camera=str(rng.choice(events.CAMERA[1:7])) if event == "camera moves" else "still",
                             movers=int(rng.integers(0, 4)), side=str(rng.choice(["left", "right", "top", "bottom"])),
                             direction=str(rng.choice(["left", "right", "up", "down"])), on=bool(rng.integers(2)),
                             speed=str(rng.choice(["slowly", "", "fast"])), large=bool(rng.integers(2)))
                texts += [t for pair in answers.draw(truth, rng) for t in pair]
        words.VOCABULARY = VOCABULARY
        words.train(texts + [i for i in prompts.INSTRUCTIONS if i], path)
    return words.load(path)


def filmed(phase, work, materials, rng):
    """(clips as events.clip gives them, what moves in their pictures, pictures of a clip) of one step."""
    import movement

    size = phase.sizes[rng.choice(len(phase.sizes), p=phase.shares)]
    count = int(rng.choice(phase.pictures, p=phase.often))
    seconds = (4.0 if count >= 4 else 1.0 * count) if rng.random() < 0.7 else float(rng.uniform(2, 8))
    half = rng.random() < (0.4 if count == 1 else 0.1)      # a window that ends with half a picture, or is one
    # The end of a video may be one picture, in which little can be told, and nothing in half of one.
    shares = phase.shares_of if count > 1 else events.STILL if half else events.BRIEF
    made = [events.clip(materials, rng, size, count, seconds, events.drawn(rng, shares), rng.random() < LED)
            for _ in range(phase.clips)]
    moves = movement.followed(work, *([m[i] for m in made] for i in (0, 1, 3)))
    if half:
        moves.reshape(len(made), count, *moves.shape[1:])[:, -1, :, movement.FEATURES:] = 0
    return made, moves, count


def clips(pictures, moves, truths, count, rng, tokenizer):
    """(pictures or what a tower made of them, what moves, what cells and pictures show or None of each clip, pictures of a clip,
    merging, branches) of one step."""
    import answers
    import merging

    merged = merging.drawn(len(truths), count, rng, moves.shape[1])
    branches = [[said_to(tokenizer, q, a) for q, a in answers.draw(t, rng)] for t in truths]
    return pictures, moves, [t["shown"] for t in truths], count, merged, branches


def stills(corpus, rng, tokenizer):
    """Pictures by twos, with statements that are true of one of them: a statement alone teaches nothing but how people speak."""
    import cv2
    import merging
    import numpy as np
    import shapes

    pictures, branches, shown = [], [], []
    while len(pictures) < PICTURES:
        if corpus and rng.random() < 0.25:
            sentence, drawn = corpus.drawn(int(rng.integers(len(corpus.items))), rng)
            both = [boxes for boxes, _ in drawn]
            pairs = [[(sentence, answer)] + more
                     for (_, answer), more in zip(drawn, shapes.asked(both[0], both[-1], rng, SENTENCES - 1, TOLD))]
        else:
            both = shapes.two(rng)
            pairs = shapes.asked(*both, rng, SENTENCES, TOLD)
        how = cv2.INTER_LINEAR if rng.random() < 0.5 else cv2.INTER_CUBIC
        for boxes, some in zip(both, pairs):
            shown.append(shapes.known(boxes))
            pictures.append(cv2.resize(shapes.draw(boxes), (384, 96), interpolation=how))
            branches.append([said_to(tokenizer, q, a) for q, a in some])
    return np.stack(pictures), None, np.stack(shown), 1, merging.Merging((36,)), branches


class Steps:
    """What each step is about, drawn from its number."""

    def __init__(self, options):
        import materials
        import sentences
        import shapes

        self.phase, self.work = PHASES[options.phase], options.work
        self.tokenizer = tokenizer_of(self.work)
        self.stuff = materials.Materials(self.work, "train")
        self.corpus = shapes.Corpus(options.nlvr, "dev") if options.nlvr else None
        if self.corpus:
            other = shapes.Corpus(options.nlvr, "test")
            self.corpus.items += [i for i in other.items if not sentences.is_kept(i["sentence"])]
            self.corpus.images = {}

    def draw(self, step):
        """(about shapes, teaches the tower, (pictures, what moves or None, what is shown, pictures of a clip, merging, branches),
        seconds it took)"""
        import numpy as np

        began, rng = time.time(), np.random.default_rng((11, step))
        still = rng.random() < self.phase.stills
        teach = not self.phase.kept and (still or rng.random() < self.phase.taught)
        if still:
            return still, teach, stills(self.corpus, rng, self.tokenizer), time.time() - began
        if self.phase.kept:
            shown = kept.load(self.work, int(rng.integers(self.phase.kept)))
        else:
            made, moves, count = filmed(self.phase, self.work, self.stuff, rng)
            shown = np.concatenate([m[0] for m in made]), moves, [m[2] for m in made], count
        return still, teach, clips(*shown, rng, self.tokenizer), time.time() - began


def ahead(options, first):
    """Steps from `first` on, drawn by another process while this one learns."""
    with concurrent.futures.ProcessPoolExecutor(1, multiprocessing.get_context("spawn"), begin_drawing, (options,)) as pool:
        waiting = [pool.submit(draw_one, step) for step in range(first, min(first + 2, options.steps))]
        for step in range(first, options.steps):
            yield step, waiting.pop(0).result()
            if step + 2 < options.steps:
                waiting.append(pool.submit(draw_one, step + 2))


def begin_drawing(options):
    global STEPS
    import torch

    torch.set_num_threads(1)
    STEPS = Steps(options)


def draw_one(step):
    return STEPS.draw(step)


def off(logits, truth):
    import torch.nn.functional as F

    return F.binary_cross_entropy_with_logits(logits, truth.float(), reduction="none")


def known(asides, every, shown):
    """Of shapes, from visual tokens [n, tokens, width]: {part: (weight, loss)}."""
    import torch
    import shapes

    each = off(asides["names"](every), torch.from_numpy(shown)).mean((0, 1))
    return {"names": (NAMES, each[: shapes.SEEN].mean()), "facts": (FACTS, each[shapes.SEEN :].mean())}


def happening(asides, every, read, shown, counts):
    """Of clips: from visual tokens [N * count, tokens, width] what cells show, from what is made of the kept ones [N * sum(counts),
    width] what their pictures do."""
    import numpy as np
    import torch

    told = [i for i, s in enumerate(shown) if s is not None]
    if not told:
        return {}
    cells, states = (torch.from_numpy(np.stack([shown[i][k] for i in told])) for k in (0, 1))
    every, read = every.unflatten(0, (len(shown), -1))[told], read.unflatten(0, (len(shown), -1))[told]
    states = states.repeat_interleave(torch.tensor(counts), 1)
    return {"cells": (CELLS, off(asides["cells"](every), cells).mean()),
            "states": (STATES, off(asides["states"](read), states).mean())}


def train(options):
    import torch
    import torch.nn.functional as F
    import course
    import files
    import model as lm
    import net
    import rows
    import shapes

    work, phase = options.work, PHASES[options.phase]
    tokenizer = tokenizer_of(work)
    log = common.Log(os.path.join(work, "watcher.jsonl"))
    torch.manual_seed(3)
    watcher = net.Watcher(VOCABULARY)
    # Thrown away afterwards; of a visual token, and of what the language model makes of one.
    width = watcher.shape.width
    asides = torch.nn.ModuleDict({"names": torch.nn.Linear(width, shapes.SEEN + shapes.FACTS),
                                  "cells": torch.nn.Linear(width, events.CELLS),
                                  "states": torch.nn.Linear(width, events.STATES)})
    if options.models:
        files.read(watcher, options.models)
    elif phase.before:
        watcher.load_state_dict(net.widened(common.load(os.path.join(work, f"watcher.{phase.before}.pt"))))
    if phase.kept:
        watcher.tower.requires_grad_(False)
        kept.make(options, watcher.tower, phase.kept)
    generator = torch.Generator().manual_seed(3)
    drop = lm.Dropout(DROP, generator)
    way = course.Course(os.path.join(work, f"watcher.{options.phase}.resume.pt"),
                        {"model": watcher, "asides": asides}, options.steps, phase.rate, 200, 0.02,
                        course.decayed([*watcher.parameters(), *asides.parameters()], 0.03))
    if not options.eager:
        course.compile_layers((*watcher.layers, *watcher.tower.blocks))
    means = {}
    for step, (still, teach, (pictures, moves, shown, count, merged, branches), drawn) in ahead(options, way.first):
        began = time.time()
        batch = rows.Rows(rows.layout(tokenizer, None, merged.kept), branches)
        every = watcher.look(torch.from_numpy(pictures), None if moves is None else torch.from_numpy(moves).float(), teach)
        read = watcher.read(merged(every.unflatten(0, (-1, count))).flatten(0, 1), batch, drop)
        loss = F.cross_entropy(watcher.say(read, batch), batch.targets, label_smoothing=SMOOTHING)
        parts = {"shapes" if still else "clips": float(loss.detach())}
        weighed = known(asides, every, shown) if still else happening(asides, every, lm.rms(read[batch.visual], watcher.norm),
                                                                      shown, merged.kept)
        for name, (weight, part) in weighed.items():
            loss = loss + weight * part
            parts[name] = float(part.detach())
        way.step(step, loss)
        for name, value in parts.items():
            means[name] = value if name not in means else 0.97 * means[name] + 0.03 * value
        if step % 20 == 0:
            log(step=step, of=options.steps, **means, drawn=drawn, took=time.time() - began, rows=len(batch.ids))
        way.keep(step)
        if (step + 1) % 1000 == 0:
            common.save(os.path.join(work, f"watcher.{options.phase}.step-{step + 1}.pt"), common.half(watcher.state_dict()))
    common.save(os.path.join(work, f"watcher.{options.phase}.pt"), common.half(watcher.state_dict()))


def said_to(tokenizer, question, answer):
    import rows
    import words

    return rows.asked(tokenizer, question, words.encode(tokenizer, answer) + [words.EOS])


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description="Train the watcher.")
    arguments.add_argument("--work", required=True)
    arguments.add_argument("--nlvr")
    arguments.add_argument("--phase", choices=PHASES, required=True)
    arguments.add_argument("--models", help="begin with the files of a finished watcher in this folder")
    arguments.add_argument("--steps", type=int, default=6000)
    arguments.add_argument("--threads", type=int, default=1)
    arguments.add_argument("--eager", action="store_true", help="do not compile the layers")
    parsed = arguments.parse_args()
    common.settle(None, parsed.threads)
    if parsed.models:
        import files

        files.tokenizer(parsed.models).save(os.path.join(parsed.work, "tokenizer.json"))
    train(parsed)
