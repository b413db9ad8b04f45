# SPDX-License-Identifier: LGPL-2.1-or-later
"""Stage 4: self-critical training. Sample five captions, reward each by CIDEr-D, push towards the better ones.

An end word closes references and finished samples before the reward; without it captions learn to stop at
"a man in a". What would be as true of other photographs is worth less: of the reward some of what the captions of three others
would give is taken away, or language becomes plainer than the pictures are.
"""

import os

import numpy as np
import torch

import cider
import decode
import model as lm
import rows
import words
import xe
from common import Log, half, load, save
from course import Course, compile_layers, keep_mean

SAMPLES, LONGEST, RATE, DROP, END = 5, 22, 3e-4, 0.05, "</s>"
OTHERS, PLAIN = 3, 1.0  # photographs of which a caption should not be as true; what that weighs


def rewards(scorer, tokenizer, at, samples):
    """CIDEr-D of each sample against its photograph's captions, and less what it is of others, [2, photographs, SAMPLES];
    SAMPLES in a row belong together."""
    texts = tokenizer.decode_batch([[t for t in s if t != words.EOS] for s in samples])
    own, other = np.empty(len(samples), np.float32), np.zeros(len(samples), np.float32)
    for i, (text, sample) in enumerate(zip(texts, samples)):
        said = cider.tokens(text) + [END] * (sample[-1] == words.EOS)
        own[i] = scorer.score(at[i // SAMPLES], said)
        for k in range(1, OTHERS + 1):
            other[i] += scorer.score(at[(i // SAMPLES + k) % len(at)], said) / OTHERS
    return np.stack((own, own - PLAIN * other)).reshape(2, -1, SAMPLES)


class Photographs:
    """Photographs whose captions are sampled and rewarded. `captions` as people wrote them."""

    def __init__(self, tokenizer, captions, views, total, seed, clips=xe.CLIPS):
        self.tokenizer, self.views, self.clips = tokenizer, views, clips
        self.scorer = cider.CiderD([[cider.tokens(c) + [END] for c in group] for group in captions])
        self.take = xe.schedule(len(captions), total, seed)

    def plan(self, rng):
        layout, frames, fit = xe.plan(self.tokenizer, rng, self.clips)
        return layout, frames, self.take(fit)

    def loss(self, model, rng, drop, generator, plan):
        """(loss, what is worth logging)"""
        layout, frames, at = plan
        visual = xe.visual(model, xe.fetch(self.views, at, rng), layout, frames, rng, drop)
        model.freeze()
        seen = visual.detach().view(len(at), -1, model.shape.width)
        samples = decode.sample(model, seen, layout, SAMPLES, LONGEST, generator)
        model.freeze(False)
        score, reward = rewards(self.scorer, self.tokenizer, at, samples)
        others = (reward.sum(1, keepdims=True) - reward) / (SAMPLES - 1)
        advantage = torch.from_numpy((reward - others).ravel())
        batch = rows.Rows(layout, [samples[i : i + SAMPLES] for i in range(0, len(samples), SAMPLES)])
        said = model(visual, batch).log_softmax(-1).gather(1, batch.targets[:, None])[:, 0]
        value = float(score.mean())
        return -(advantage[batch.owner] * said).mean(), {"score": value, "less": value - float(reward.mean()),
                                                         "length": len(batch.targets) / len(samples)}


def run(tokenizer, captions, views, work, steps, source="xe", name="scst", seed=3, clips=xe.CLIPS, compiled=True):
    """From {source}.pt to {name}.pt, the mean of the last four checkpoints."""
    final, checkpoint = os.path.join(work, name + ".pt"), os.path.join(work, name + ".resume.pt")
    if os.path.exists(final):
        return
    log = Log(os.path.join(work, name + ".jsonl"))
    photographs = Photographs(tokenizer, captions, views, steps, seed, clips)
    model = lm.Captioner.loaded(load(os.path.join(work, source + ".pt")))
    course = Course(checkpoint, {"model": model}, steps, RATE, 20, 0.05)
    if compiled:
        compile_layers(model.layers)
    generator = torch.Generator().manual_seed(seed + course.first)
    drop = lm.Dropout(DROP, generator)
    mean = None
    for step in range(steps):
        rng = np.random.default_rng((seed, step))
        plan = photographs.plan(rng)
        if step < course.first:
            continue
        loss, said = photographs.loss(model, rng, drop, generator, plan)
        course.step(step, loss)
        mean = said["score"] if mean is None else 0.95 * mean + 0.05 * said["score"]
        if step % 20 == 0:
            log(step=step, of=steps, mean=mean, frames=plan[1], **said)
        if course.keep(step):
            save(os.path.join(work, f"{name}.step-{step + 1}.pt"), half(model.state_dict()))
    save(os.path.join(work, f"{name}.step-{steps}.pt"), half(model.state_dict()))
    keep_mean(os.path.join(work, name), steps)
