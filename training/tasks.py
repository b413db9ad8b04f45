# SPDX-License-Identifier: LGPL-2.1-or-later
"""Stage 5: one model for several questions. Starts from the finished captioner and must not make its captions worse.

After the self-critical stage, not before: that stage is the long one, samples captions alone, and its result is what
shall be kept; here it is kept by imitating it (replay.py), which costs a few rows of each step. Every step is about
one kind of pictures, whose answers share the prefix of their pictures:

photograph  one of the captioner's own captions (imitated), yes/no questions
aerial      the five captions that people wrote, under an instruction of their own
clip        how the camera moves, whether anything changes
"""

import os

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

import features
import model as lm
import motion
import place
import prompts
import questions
import rows
import words
import xe
from common import Log, half, load, save
from course import Course, compile_layers

RATE, DROP, SMOOTHING = 1e-3, 0.1, 0.1
SHARES = (("photograph", 0.35), ("aerial", 0.1), ("clip", 0.55))
ASKED = 8  # questions about one photograph in one step, at most
CLIPS_AT_ONCE = 16
FLOW = 2.0  # weight of the hint
CARRY = 600  # pictures from which the projector learns to read places


class Answer:
    """`soft`: (ids, shares) of the likeliest tokens at each place, imitated instead of `said`.

    `instruction` is None where the prefix has it.
    """

    def __init__(self, tokenizer, instruction, said, soft=None, smoothing=0.0):
        self.rows = said if instruction is None else rows.asked(tokenizer, instruction, said)
        self.soft, self.smoothing = soft, smoothing


class Photographs:
    """Replayed captions and yes/no questions."""

    def __init__(self, tokenizer, views, captions, replay, total, seed):
        self.tokenizer, self.views, self.replay, self.seed = tokenizer, views, replay, seed
        self.questions = questions.Questions(captions)
        self.take, self.taken, self.drawn = xe.schedule(len(captions), total, seed), 0, None
        self.labels = [words.encode(tokenizer, t) + [words.EOS] for t in ("no", "yes")]

    def _drawn(self, number):
        if self.drawn is None or self.drawn[0] != number:
            by = {}
            for at, noun, truth in self.questions.draw(np.random.default_rng((self.seed, 11, number))):
                by.setdefault(int(at), []).append((int(noun), int(truth)))
            self.drawn = number, by
        return self.drawn[1]

    def plan(self, rng):
        told, frames, _ = xe.plan(self.tokenizer, rng)
        layout = rows.layout(self.tokenizer, None, told.kept)
        fit = xe.PHOTOS if frames == 1 else max(8, int(xe.PHOTOS * 128 / (len(layout.ids) + 100)))
        self.taken += fit
        return layout, frames, self.take(fit), self._drawn(self.taken // len(self.views[0]))

    def step(self, model, rng, drop, plan):
        layout, frames, at, drawn = plan
        visual = xe.visual(model, xe.fetch(self.views, at, rng), layout, frames, rng, drop)
        answers = []
        for i in at:
            which = int(rng.integers(2))
            wording = prompts.INSTRUCTIONS[0] if rng.random() < 0.4 else str(rng.choice(prompts.INSTRUCTIONS))
            group = [Answer(self.tokenizer, wording, self.replay.text(i, which), self.replay.likely(i, which))]
            for noun, truth in drawn.get(int(i), [])[:ASKED]:
                group.append(Answer(self.tokenizer, questions.asked(noun, rng), self.labels[truth]))
            answers.append(group)
        return layout, visual, answers, None


class Aerial:
    def __init__(self, tokenizer, views, captions, total, seed):
        self.tokenizer, self.views = tokenizer, views
        self.text = xe.tokenised(tokenizer, captions)
        self.take = xe.schedule(len(captions), total, seed)

    def plan(self, rng):
        return self.take(xe.PHOTOS)

    def step(self, model, rng, drop, at):
        layout = rows.layout(self.tokenizer, prompts.TASKS["aerial"][0], (lm.TOKENS,))
        visual = xe.visual(model, xe.fetch(self.views, at, rng), layout, 1, rng, drop)
        return layout, visual, [[Answer(self.tokenizer, None, t, smoothing=SMOOTHING) for t in self.text[i]] for i in at], None


class Clips:
    def __init__(self, tokenizer, cached, photographs, clips_seed, total, seed):
        self.tokenizer, self.cached = tokenizer, cached
        self.made = [motion.Clip(i, photographs, clips_seed) for i in range(len(cached))]
        self.take = xe.schedule(len(cached), total, seed)
        self.labels = [words.encode(tokenizer, t) + [words.EOS] for t in motion.LABELS]
        self.changes = [words.encode(tokenizer, t) + [words.EOS] for t in ("no", "yes")]

    def plan(self, rng):
        return self.take(CLIPS_AT_ONCE)

    def step(self, model, rng, drop, at):
        """Half of the clips run backwards. The product's ratio of merging most of the time."""
        draw = rng.random()
        ratio = 0.7 if draw < 0.6 else float(rng.uniform(0.2, 0.8)) if draw < 0.9 else 0.0
        kept = features.kept_counts(motion.SAMPLED, ratio)
        layout = rows.layout(self.tokenizer, None, kept)
        seen, answers, views, scenes = [], [], [], []
        for i in at:
            clip = self.made[i]
            view, scene = clip.sampled()
            back = rng.random() < 0.5
            way = slice(None, None, -1) if back else slice(None)
            seen.append(self.cached[i][way])
            views.append(view[way].copy())
            scenes.append(scene[way].copy())
            label = motion.REVERSED[clip.label] if back else clip.label
            group = [Answer(self.tokenizer, prompts.TASKS["camera-motion"][0], self.labels[label])]
            if not clip.changes or rng.random() < 0.06:  # as many that change as not
                group.append(Answer(self.tokenizer, prompts.TASKS["change"][0], self.changes[clip.changes]))
            answers.append(group)
        inputs = lm.Projector.unshuffle(torch.from_numpy(np.stack(seen).astype(np.float32)).flatten(0, 1))
        with torch.no_grad():
            tokens = model.projector(inputs).view(len(at), motion.SAMPLED, lm.TOKENS, -1)
            places = features.choice(tokens, kept)
        inputs = inputs.view(len(at), -1, lm.VISION).gather(1, places[..., None].expand(-1, -1, lm.VISION))
        visual = model.projector(inputs)   # what tells the place is spread over all inputs: none may be missing
        flow = motion.flow(np.stack(views), np.stack(scenes), places.numpy())
        return layout, visual.flatten(0, 1), answers, flow


class Hint(nn.Module):
    """What the answer to a clip, one word about two hundred rows, does not say: what every row should find out.

    A head of an attention layer is told where to look: at the cells of the last whole frame where what the row shows was.
    And a linear layer behind (thrown away afterwards) must read from the row how far that is, and where the row is itself.
    """

    def __init__(self, width):
        super().__init__()
        self.read = nn.Linear(width, 6)

    def forward(self, tapped, flow, kept):
        (rows_, query, key), (target, known) = tapped, flow
        found = self.read(rows_ * torch.rsqrt(rows_.square().mean(-1, keepdim=True) + lm.EPS))
        moved = F.smooth_l1_loss(found[:, :3], target[:, :3], reduction="none").mean(-1)
        cut = F.binary_cross_entropy_with_logits(found[:, 3], target[:, 3], reduction="none")
        usable = known * (1 - target[:, 3])
        moved = (moved * usable).sum() / usable.sum().clamp_min(1)
        # Where one row looks is uncertain; what all of them say together is not, and is what the answer is about.
        weight = (usable / 100).view(-1, sum(kept), 1)
        told, true = ((x[:, :3].view(len(weight), -1, 3) * weight).sum(1) / weight.sum(1).clamp_min(1e-3) for x in (found, target))
        moved = moved + 2 * F.smooth_l1_loss(told, true)
        cut = (cut * known).sum() / known.sum().clamp_min(1)
        return moved + 0.3 * (cut + F.mse_loss(found[:, 4:], target[:, 4:]) + self.look(query, key, target, usable, kept))

    @staticmethod
    def look(query, key, target, usable, kept):
        """Cross-entropy of the head's attention to the four cells around the place where the content was."""
        total = sum(kept)
        query, key, target = (t.view(-1, total, t.shape[-1]) for t in (query, key, target))
        past = torch.ones(total, total, dtype=torch.bool).tril()
        log = (query @ key.transpose(1, 2) * lm.HEAD**-0.5).masked_fill(~past, -1e9).log_softmax(-1)
        start = np.cumsum((0,) + kept[:-1])
        whole = np.maximum(np.arange(len(kept)) - 1, 0) // 4 * 4
        first = torch.from_numpy(np.repeat(start[whole], kept))
        was = 2 * target[..., 4:] + 3 - target[..., :2] / 2
        inside = usable.view(-1, total) * ((was > -0.4) & (was < 6.4)).all(-1)
        was = was.clamp(0, 6)
        corner = was.floor().clamp(max=5)
        part, corner, loss = was - corner, corner.long(), 0.0
        for x in (0, 1):
            for y in (0, 1):
                weight = (part[..., 0] if x else 1 - part[..., 0]) * (part[..., 1] if y else 1 - part[..., 1])
                cell = first + 7 * (corner[..., 1] + y) + corner[..., 0] + x
                loss = loss - weight * log.gather(2, cell[..., None])[..., 0]
        return (loss * inside).sum() / inside.sum().clamp_min(1)


def loss_of(logits, batch, answers):
    """Imitated captions, captions of people, closed answers: each kind's mean, summed. Returns (loss, its parts)."""
    flat = [a for group in answers for a in group]
    log = logits.log_softmax(-1)
    said = -log.gather(1, batch.targets[:, None])[:, 0]
    soft = torch.tensor([a.soft is not None for a in flat])[batch.owner]
    free = torch.tensor([a.smoothing > 0 for a in flat])[batch.owner]
    parts = {}
    if soft.any():
        ids = torch.cat([a.soft[0] for a in flat if a.soft])
        shares = torch.cat([a.soft[1] for a in flat if a.soft])
        parts["replay"] = (shares * (shares.clamp_min(1e-6).log() - log[soft].gather(1, ids))).sum(-1).mean()
    if free.any():
        parts["caption"] = ((1 - SMOOTHING) * said[free] - SMOOTHING * log[free].mean(-1)).mean()
    closed = ~(soft | free)
    if closed.any():
        # The sum over an answer's tokens is what the product compares.
        parts["answer"] = said[closed].sum() / len(batch.owner[closed].unique())
    return sum(parts.values()), {k: float(v.detach()) for k, v in parts.items()}


def run(tokenizer, sources, work, steps, source="scst", name="tasks", seed=4, rate=RATE, compiled=True):
    """From {source}.pt to {name}.pt. `sources`: name -> Photographs, Aerial or Clips, as in SHARES."""
    final, checkpoint = os.path.join(work, name + ".pt"), os.path.join(work, name + ".resume.pt")
    if os.path.exists(final):
        return
    log = Log(os.path.join(work, name + ".jsonl"))
    torch.manual_seed(seed)
    model = lm.Captioner.loaded(load(os.path.join(work, source + ".pt")))
    if "clip" in sources:
        place.carry(model, torch.from_numpy(np.array(sources["clip"].cached[:CARRY, 0], np.float32)))
    hint, tap = Hint(model.shape.width), model.shape.layers - 3
    course = Course(checkpoint, {"model": model, "hint": hint}, steps, rate, 50, 0.02, decay=0.01)
    if compiled:
        compile_layers(model.layers)
    drop = lm.Dropout(DROP, torch.Generator().manual_seed(seed + course.first))
    kinds, shares = zip(*[(k, s) for k, s in SHARES if k in sources])
    shares, means = np.array(shares) / sum(shares), {}
    for step in range(steps):
        rng = np.random.default_rng((seed, step))
        kind = str(rng.choice(kinds, p=shares))
        plan = sources[kind].plan(rng)
        if step < course.first:
            continue
        layout, visual, answers, flow = sources[kind].step(model, rng, drop, plan)
        batch = rows.Rows(layout, [[a.rows for a in group] for group in answers])
        if flow is None:
            loss, parts = loss_of(model(visual, batch, drop), batch, answers)
        else:
            logits, tapped = model(visual, batch, drop, tap)
            loss, parts = loss_of(logits, batch, answers)
            hinted = hint(tapped, flow, layout.kept)
            loss, parts["flow"] = loss + FLOW * hinted, float(hinted.detach())
        course.step(step, loss)
        for part, value in parts.items():
            key = f"{kind}.{part}"
            means[key] = value if key not in means else 0.9 * means[key] + 0.1 * value
        if step % 20 == 0:
            log(step=step, of=steps, kind=kind, **means)
        if course.keep(step):
            save(os.path.join(work, f"{name}.step-{step + 1}.pt"), half(model.state_dict()))
    save(final, half(model.state_dict()))
