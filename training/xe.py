# SPDX-License-Identifier: LGPL-2.1-or-later
"""Stage 3: cross-entropy on the human captions, five captions sharing the prefix of their photograph."""

import os

import numpy as np
import torch
import torch.nn.functional as F

import features
import merging
import model as lm
import prompts
import rows
import words
from common import Log, half, save
from course import Course, compile_layers, decayed

PHOTOS, RATE, SMOOTHING, DROP = 32, 2e-3, 0.1, 0.1
CLIPS = 0.1  # share of the steps that read several frames


def plan(tokenizer, rng, clips=CLIPS):
    """What the prefix of this step looks like: (layout, frames, photographs that fit)."""
    instruction = prompts.INSTRUCTIONS[0] if rng.random() < 0.3 else str(rng.choice(prompts.INSTRUCTIONS))
    frames, ratio = 1, 0.0
    if rng.random() < clips:
        frames = int(rng.choice([2, 4, 8]))
        ratio = float(rng.uniform(0.2, 0.8)) if frames >= 4 and rng.random() < 0.7 else 0.0
    layout = rows.layout(tokenizer, instruction, merging.kept_counts(frames, ratio))
    fit = PHOTOS if frames == 1 else max(8, int(PHOTOS * 128 / (len(layout.ids) + 65)))
    return layout, frames, fit


def visual(model, cached, layout, frames, rng, mask=None):
    """Cached features [N, 196, 192] -> visual tokens [N * kept, 256] of that layout."""
    n = cached.shape[0]
    if frames == 1:
        inputs = lm.Projector.unshuffle(cached)
        return model.projector(inputs, mask(inputs.shape) if mask else None).flatten(0, 1)
    clip = features.moving(cached, frames, rng).flatten(0, 1)
    inputs = lm.Projector.unshuffle(clip)
    tokens = model.projector(inputs, mask(inputs.shape) if mask else None)
    return merging.merge(tokens.view(n, frames, lm.TOKENS, -1), layout.kept).flatten(0, 1)


def schedule(count, total, seed):
    """Photograph numbers of each step: passes over random orders, cut into batches by `take(n)`."""
    position, order, number = 0, None, -1

    def take(n):
        nonlocal position, order, number
        if order is None or position + n > count:
            number, position = number + 1, 0
            order = np.random.default_rng((seed, 7, number)).permutation(count)
        position += n
        return order[position - n : position]

    return take


def tokenised(tokenizer, captions):
    """Token lists with the end token, at most LONGEST long."""
    return [[words.encode(tokenizer, c)[: rows.LONGEST] + [words.EOS] for c in group] for group in captions]


def fetch(views, at, rng):
    """Features of these photographs, each from a random view."""
    pick = rng.integers(0, len(views), len(at))
    return torch.from_numpy(np.stack([views[v][i] for v, i in zip(pick, at)]).astype(np.float32))


def run(name, tokenizer, captions, views, work, passes, plain=False, shape=lm.SHAPES["small"], seed=2, compiled=True):
    """Train; weights to {name}.pt, and after each pass to {name}.pass-K.pt."""
    final, checkpoint = os.path.join(work, name + ".pt"), os.path.join(work, name + ".resume.pt")
    if os.path.exists(final):
        return
    log = Log(os.path.join(work, name + ".jsonl"))
    torch.manual_seed(seed)
    model = lm.Captioner(words.VOCABULARY, plain, shape)
    generator = torch.Generator().manual_seed(seed)
    drop = lm.Dropout(DROP, generator)
    text = tokenised(tokenizer, captions)
    per_pass = len(text) // PHOTOS
    steps = passes * per_pass
    course = Course(checkpoint, {"model": model}, steps, RATE, 100, 0.02, decayed(list(model.parameters()), 0.05))
    if compiled:
        compile_layers(model.layers)
    take = schedule(len(text), steps, seed)
    mean = None
    for step in range(steps):
        rng = np.random.default_rng((seed, step))
        layout, frames, fit = plan(tokenizer, rng)
        at = take(fit)
        if step < course.first:
            continue
        batch = rows.Rows(layout, [text[i] for i in at])
        logits = model(visual(model, fetch(views, at, rng), layout, frames, rng, drop), batch, drop)
        loss = F.cross_entropy(logits, batch.targets, label_smoothing=SMOOTHING)
        course.step(step, loss)
        value = float(loss.detach())
        mean = value if mean is None else 0.98 * mean + 0.02 * value
        if step % 20 == 0:
            log(step=step, of=steps, loss=value, mean=mean, frames=frames, rows=len(batch.ids))
        course.keep(step)
        if (step + 1) % per_pass == 0:
            save(os.path.join(work, f"{name}.pass-{(step + 1) // per_pass}.pt"), half(model.state_dict()))
    save(final, half(model.state_dict()))
