# SPDX-License-Identifier: LGPL-2.1-or-later
"""Stage 6: tells a finished captioner what moves. Two frames make a picture, and two small layers, the only thing that learns
here, add to its visual tokens what vision/motion.h measures between them; the files' other tensors stay as they are, so
that of a still every word does.

    python training/moves.py --data ../shared/data --work DIR --models models --output OUT [--steps 400]

Every step has rendered clips of 4 s, whose frames are sampled and paired as the product does it: how the camera moves, whether
anything changes, and a human caption of the first photograph, of which the model is held to think what it thought without.
"""

import argparse
import os

import numpy as np
import torch
import torch.nn.functional as F

import clips
import common
import export
import features
import model as lm
import motion
import movement
import photos
import prompts
import rows
import vit
import words
from course import Course

CLIPS, SEED, RATE = 16, 61, 3e-3
PICTURES = motion.SAMPLED // 2
CAPTIONS = 2.0      # what keeping to what was thought weighs


class Clips:
    """uint8 frames of a step's clips, and their questions."""

    def __init__(self, split, tokenizer):
        self.split, self.tokenizer = split, tokenizer
        self.labels = [words.encode(tokenizer, t) + [words.EOS] for t in motion.LABELS]
        self.changes = [words.encode(tokenizer, t) + [words.EOS] for t in ("no", "yes")]

    def frames(self, step, rng):
        """(clips, [CLIPS, SAMPLED, 3, 224, 224])"""
        made = [motion.Clip(step * CLIPS + i, np.arange(len(self.split)), SEED) for i in range(CLIPS)]
        pictures = np.stack([clips.render(clip, self.split.pixels) for clip in made])
        if rng.random() < 0.8:
            pictures = clips.compressed(pictures, int(rng.integers(18, 35)))
        return made, pictures[:, :: motion.STEP]

    def answers(self, clip, rng):
        """Pairs (question and what is said, as rows; whether it is imitated instead)."""
        out = [(rows.asked(self.tokenizer, prompts.TASKS["camera-motion"][0], self.labels[clip.label]), False)]
        if not clip.changes or rng.random() < 0.15:
            out.append((rows.asked(self.tokenizer, prompts.TASKS["change"][0], self.changes[clip.changes]), False))
        if rng.random() < 0.4:
            caption = photos.clean(str(rng.choice(self.split.captions[clip.photographs[0]])))
            said = words.encode(self.tokenizer, caption)[: rows.LONGEST - 1] + [words.EOS]
            out.append((rows.asked(self.tokenizer, str(rng.choice(prompts.INSTRUCTIONS)), said), True))
        return out


def tokens(tower, model, layers, work, frames):
    """Visual tokens [n, PICTURES, 49, width] without what moves, and what is added."""
    n = len(frames)
    firsts, seconds = (frames[:, i::2].reshape(-1, 3, clips.SIZE, clips.SIZE) for i in (0, 1))
    with torch.no_grad():
        seen = torch.from_numpy(features.seen(tower, firsts).astype(np.float32))
        plain = model.projector(lm.Projector.unshuffle(seen)).view(n, PICTURES, lm.TOKENS, -1)
    measured = movement.measured(work, firsts.transpose(0, 2, 3, 1), seconds.transpose(0, 2, 3, 1))
    return plain, layers(torch.from_numpy(measured)).view_as(plain)


def losses(model, plan, plain, moved, answers):
    """(answers', imitation's or 0)"""
    batch = rows.Rows(plan, [[rows_ for rows_, _ in group] for group in answers])
    places = features.choice(plain + moved, plan.kept)

    def kept(x):
        return x.flatten(1, 2).gather(1, places[..., None].expand(-1, -1, x.shape[-1])).flatten(0, 1)

    log = model(kept(plain + moved), batch).log_softmax(-1)
    said = -log.gather(1, batch.targets[:, None])[:, 0]
    imitated = torch.tensor([free for group in answers for _, free in group])[batch.owner]
    answer = said[~imitated].sum() / len(batch.owner[~imitated].unique())
    if not imitated.any():
        return answer, torch.zeros(())
    with torch.no_grad():
        thought = model(kept(plain), batch)[imitated].log_softmax(-1)
    return answer, F.kl_div(log[imitated], thought, log_target=True, reduction="batchmean")


def learn(options):
    tower, model = export.read(options.models)
    for p in (*tower.parameters(), *model.parameters()):
        p.requires_grad_(False)
    tokenizer = export.tokenizer_of(options.models)
    source = Clips(photos.Split(options.data, "train", options.work), tokenizer)
    torch.manual_seed(7)
    layers = movement.Motion(model.shape.width)
    torch.nn.init.zeros_(layers.down.weight)
    torch.nn.init.zeros_(layers.down.bias)
    course = Course(os.path.join(options.work, "moves.resume.pt"), {"motion": layers}, options.steps, RATE, 20, 0.02)
    log, means = common.Log(os.path.join(options.work, "moves.jsonl")), {}
    for step in range(course.first, options.steps):
        rng = np.random.default_rng((SEED, 1, step))
        made, frames = source.frames(step, rng)
        ratio = 0.7 if rng.random() < 0.6 else float(rng.uniform(0.0, 0.8))
        plan = rows.layout(tokenizer, None, features.kept_counts(PICTURES, ratio))
        plain, moved = tokens(tower, model, layers, options.work, frames)
        answer, imitation = losses(model, plan, plain, moved, [source.answers(clip, rng) for clip in made])
        course.step(step, answer + CAPTIONS * imitation)
        for name, value in (("answer", float(answer.detach())), ("imitation", float(imitation.detach()))):
            means[name] = value if name not in means else 0.9 * means[name] + 0.1 * value
        if step % 10 == 0:
            log(step=step, of=options.steps, **means)
        course.keep(step)
    path = os.path.join(options.output, os.path.basename(export.found_vision(options.models)))
    os.makedirs(options.output, exist_ok=True)
    size = export.millions(model)
    export.write_vision(tower, model.projector, path, export.NAME.format(size), export.LICENSE, (export.PIXELS, export.PIXELS), layers)


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description="Tell a finished captioner what moves.")
    arguments.add_argument("--data", required=True)
    arguments.add_argument("--work", required=True)
    arguments.add_argument("--models", default="models")
    arguments.add_argument("--output", required=True)
    arguments.add_argument("--steps", type=int, default=400)
    arguments.add_argument("--threads", type=int, default=1)
    parsed = arguments.parse_args()
    os.makedirs(parsed.work, exist_ok=True)
    common.settle(None, parsed.threads)
    learn(parsed)
