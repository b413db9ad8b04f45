# SPDX-License-Identifier: LGPL-2.1-or-later
"""Stage 4: self-critical training. Sample five captions, reward each by CIDEr-D, push towards the better ones.

An end word closes references and finished samples before the reward; without it captions learn to stop at
"a man in a".
"""

import math
import os

import numpy as np
import torch
from torch import nn

import cider
import decode
import model as lm
import rows
import words
import xe
from common import Log, cosine, half, load, save

SAMPLES, LONGEST, RATE, DROP, END = 5, 22, 3e-4, 0.05, "</s>"


def rewards(scorer, tokenizer, at, samples):
    """CIDEr-D of each sample against its photograph's captions; SAMPLES in a row belong together."""
    texts = tokenizer.decode_batch([[t for t in s if t != words.EOS] for s in samples])
    out = np.empty(len(samples), np.float32)
    for i, (text, sample) in enumerate(zip(texts, samples)):
        out[i] = scorer.score(at[i // SAMPLES], cider.tokens(text) + [END] * (sample[-1] == words.EOS))
    return out.reshape(-1, SAMPLES)


def run(tokenizer, captions, views, work, steps, source="xe", name="scst", seed=3, clips=xe.CLIPS, compiled=True):
    """`captions` as people wrote them. From {source}.pt to {name}.pt, the mean of the last four checkpoints."""
    final, checkpoint = os.path.join(work, name + ".pt"), os.path.join(work, name + ".resume.pt")
    if os.path.exists(final):
        return
    log = Log(os.path.join(work, name + ".jsonl"))
    scorer = cider.CiderD([[cider.tokens(c) + [END] for c in group] for group in captions])
    model = lm.Captioner.loaded(load(os.path.join(work, source + ".pt")))
    parameters = list(model.parameters())
    optimizer = torch.optim.AdamW(parameters, lr=RATE, betas=(0.9, 0.98), weight_decay=0.0, fused=True)
    first = 0
    state = load(checkpoint)
    if state:
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        first = state["step"]
    if compiled:
        torch._dynamo.config.recompile_limit = 64
        for layer in model.layers:
            layer.compile(dynamic=True)
    generator = torch.Generator().manual_seed(seed + first)
    drop = lm.Dropout(DROP, generator)
    take = xe.schedule(len(captions), steps, seed)
    mean = None
    for step in range(steps):
        rng = np.random.default_rng((seed, step))
        layout, frames, fit = xe.plan(tokenizer, rng, clips)
        at = take(fit)
        if step < first:
            continue
        visual = xe.visual(model, xe.fetch(views, at, rng), layout, frames, rng, drop)
        model.freeze()
        seen = visual.detach().view(len(at), -1, model.shape.width)
        samples = decode.sample(model, seen, layout, SAMPLES, LONGEST, generator)
        model.freeze(False)
        reward = rewards(scorer, tokenizer, at, samples)
        others = (reward.sum(1, keepdims=True) - reward) / (SAMPLES - 1)
        advantage = torch.from_numpy((reward - others).ravel())
        batch = rows.Rows(layout, [samples[i : i + SAMPLES] for i in range(0, len(samples), SAMPLES)])
        said = model(visual, batch).log_softmax(-1).gather(1, batch.targets[:, None])[:, 0]
        loss = -(advantage[batch.owner] * said).mean()
        factor = cosine(step, steps, 20, 0.05)
        for group in optimizer.param_groups:
            group["lr"] = RATE * factor
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        if not math.isfinite(float(loss.detach())):
            raise SystemExit(f"{name}: the loss is not finite at step {step}")
        value = float(reward.mean())
        mean = value if mean is None else 0.95 * mean + 0.05 * value
        if step % 20 == 0:
            log(step=step, of=steps, reward=value, mean=mean, length=len(batch.targets) / len(samples), frames=frames)
        if (step + 1) % 100 == 0:
            save(checkpoint, {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "step": step + 1})
            save(os.path.join(work, f"{name}.step-{step + 1}.pt"), half(model.state_dict()))
    save(os.path.join(work, f"{name}.step-{steps}.pt"), half(model.state_dict()))
    # The steps are noisy and the rate is small by now: the mean of a few points of the way is better than its end.
    kept = sorted({steps} | {s for s in range(100, steps, 100)})[-4:]
    states = [load(os.path.join(work, f"{name}.step-{s}.pt")) for s in kept]
    save(final, half({k: sum(s[k].float() for s in states) / len(states) for k in states[0]}))
