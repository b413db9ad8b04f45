# SPDX-License-Identifier: LGPL-2.1-or-later
"""Stage 5: one model for several questions. Starts from the finished captioner and must not make its captions worse.

After the self-critical stage, not before: that stage is the long one, samples captions alone, and its result is what
shall be kept; here it is kept by imitating it (replay.py), which costs a few rows of each step. Every step is about
one kind of pictures, whose answers share the prefix of their pictures:

photograph  one of the captioner's own captions (imitated), yes/no questions
aerial      the five captions that people wrote, under an instruction of their own
clip        how the camera moves, whether anything changes; a caption, imitated too
scene       the same questions about clips in which things happen before the camera (scenes.py), where they were made
elsewhere   captions of people about what none of the photographs show (elsewhere.py)
rewarded    captions of photographs, sampled and rewarded as in the stage before (scst.py): what others teach costs them
            nothing then

A picture of a clip is two frames: the tower sees the first one, and two small layers that begin here add what is measured
between frames (movement.py) to its visual tokens.
"""

import os

import numpy as np
import torch

import merging
import model as lm
import motion
import movement
import prompts
import questions
import replay
import rows
import words
import xe
from common import Log, half, load, save
from course import Course, compile_layers, keep_mean

DROP, SMOOTHING = 0.1, 0.1


class Recipe:
    """Where a course begins (a stage's name), its rate, its seed, and how many of its steps are about what. `moves`: only the two
    layers that read what moves learn, so many numbers wide between them: what is said of photographs stays as it is. `told`: share
    of the clips that are captioned, too, in imitation of the stage `teacher`; `imitates`: what that weighs."""

    def __init__(self, source, rate, seed, moves=0, drop=DROP, teacher="scst", told=0.4, imitates=1.0, **shares):
        self.source, self.rate, self.seed, self.moves, self.drop, self.shares = source, rate, seed, moves, drop, shares
        self.teacher, self.told, self.imitates = teacher, told, imitates


COURSES = {
    "tasks": Recipe("scst", 1e-3, 4, photograph=0.45, aerial=0.12, clip=0.28, scene=0.15),
    "more": Recipe("tasks", 6e-4, 14, photograph=0.45, aerial=0.08, clip=0.37, scene=0.10),
    "elsewhere": Recipe("more", 4e-4, 34, teacher="more", rewarded=0.42, photograph=0.1, elsewhere=0.24, aerial=0.06, clip=0.08,
                        scene=0.1),
    "moves": Recipe("elsewhere", 2e-3, 24, moves=256, drop=0.05, teacher="elsewhere", told=1.0, imitates=4.0, clip=0.5, scene=0.5),
}
ASKED = 8  # questions about one photograph in one step, at most
CLIPS_AT_ONCE = 20  # of a step
PAIRS = 2  # of frames that are measured for a picture: before its first one, and within it


class Answer:
    """`soft`: (ids, shares) of the likeliest tokens at each place, imitated instead of `said`.

    `instruction` is None where the prefix has it.
    """

    def __init__(self, tokenizer, instruction, said, soft=None, smoothing=0.0):
        self.rows = said if instruction is None else rows.asked(tokenizer, instruction, said)
        self.soft, self.smoothing = soft, smoothing


class Photographs:
    """Replayed captions and yes/no questions."""

    def __init__(self, tokenizer, views, captions, said, total, seed):
        self.tokenizer, self.views, self.replay, self.seed = tokenizer, views, said, seed
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
        return layout, visual, answers


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
        return layout, visual, [[Answer(self.tokenizer, None, t, smoothing=SMOOTHING) for t in self.text[i]] for i in at]


class Elsewhere:
    """Pictures of what the photographs do not show (elsewhere.py), alone or as a window of a camera that stands, with captions of
    people."""

    FRAMES = 4

    def __init__(self, tokenizer, views, captions, total, seed):
        self.tokenizer, self.views = tokenizer, views
        self.text = xe.tokenised(tokenizer, captions)
        self.take = xe.schedule(len(captions), total, seed)

    def plan(self, rng):
        frames = 1 if rng.random() < 0.5 else self.FRAMES
        return frames, self.take(xe.PHOTOS // (1 if frames == 1 else 2))

    def step(self, model, rng, drop, plan):
        """Of the first four views two show the same, one of them worn: frames differ as a camera's do."""
        frames, at = plan
        merged = merging.drawn(len(at), frames, rng) if frames > 1 else merging.Merging((lm.TOKENS,))
        layout = rows.layout(self.tokenizer, None, merged.kept)
        view = np.repeat(rng.integers(0, len(self.views), len(at))[:, None], frames, 1)
        view ^= 2 * ((view < 4) & (rng.random(view.shape) < 0.3))
        seen = np.stack([[self.views[v][i] for v in row] for row, i in zip(view, at)]).astype(np.float32)
        inputs = lm.Projector.unshuffle(torch.from_numpy(seen).flatten(0, 1))
        tokens = model.projector(inputs, drop(inputs.shape)).view(len(at), frames, lm.TOKENS, -1)
        wording = prompts.INSTRUCTIONS[0] if rng.random() < 0.4 else str(rng.choice(prompts.INSTRUCTIONS))
        answers = [[Answer(self.tokenizer, wording, t, smoothing=SMOOTHING) for t in self.text[i]] for i in at]
        return layout, merged(tokens).flatten(0, 1), answers


class Clips:
    """`teacher`: the captioner before the first step, which knows nothing of what moves. `texts`: what it says of each clip, where
    that is not what is said of a photograph that it is made of; `told`: how many are captioned."""

    def __init__(self, tokenizer, cached, made, said, teacher, total, seed, told, texts=None):
        self.tokenizer, self.cached, self.made, self.replay, self.teacher = tokenizer, cached, made, said, teacher
        self.texts, self.told = texts, told
        self.take = xe.schedule(len(cached), total, seed)
        self.labels = [words.encode(tokenizer, t) + [words.EOS] for t in motion.LABELS]
        self.changes = [words.encode(tokenizer, t) + [words.EOS] for t in ("no", "yes")]

    def plan(self, rng):
        return self.take(CLIPS_AT_ONCE)

    def closed(self, clip, back, rng):
        """As many clips that change are asked about as such that do not."""
        label = motion.REVERSED[clip.label] if back else clip.label
        group = [Answer(self.tokenizer, prompts.TASKS["camera-motion"][0], self.labels[label])]
        if not clip.changes or rng.random() < 0.06:
            group.append(Answer(self.tokenizer, prompts.TASKS["change"][0], self.changes[clip.changes]))
        return group

    @torch.no_grad()
    def captions(self, layout, inputs, told, texts, instruction, merged):
        """What the teacher says of these clips, with its likeliest tokens at each place."""
        tokens = self.teacher.projector(inputs[told])
        batch = rows.Rows(layout, [[rows.asked(self.tokenizer, instruction, text)] for text in texts])
        top = self.teacher(merged(tokens, told).flatten(0, 1), batch).softmax(-1).topk(replay.TOP)
        ids, shares = (t.split([len(text) for text in texts]) for t in (top.indices, top.values))
        return [Answer(self.tokenizer, instruction, text, (i, v / v.sum(-1, keepdim=True)))
                for text, i, v in zip(texts, ids, shares)]

    def step(self, model, rng, drop, at):
        """Half of the clips run backwards, and half of them lack the frame before."""
        merged = merging.drawn(len(at), motion.PICTURES, rng)
        layout = rows.layout(self.tokenizer, None, merged.kept)
        looks, answers = [], []
        for i in at:
            back = bool(rng.random() < 0.5)
            lead = self.made[i].needs_lead(back) or bool(rng.random() < 0.5)
            looks.append(self.cached.look(i, back, lead))
            answers.append(self.closed(self.made[i], back, rng))
        seen, moved = (torch.from_numpy(np.stack(x)) for x in zip(*looks))
        inputs = lm.Projector.unshuffle(seen.flatten(0, 1)).view(len(at), motion.PICTURES, lm.TOKENS, -1)
        told = np.flatnonzero([(self.texts or len(self.made[i].photographs) > 0) and rng.random() < self.told for i in at])
        if len(told):
            texts = [self.texts[at[i]] if self.texts else self.replay.text(self.made[at[i]].photographs[0], int(rng.integers(2)))
                     for i in told]
            instruction = str(rng.choice(prompts.INSTRUCTIONS))
            for i, answer in zip(told, self.captions(layout, inputs, told, texts, instruction, merged)):
                answers[i].append(answer)
        return layout, merged(model.projector(inputs) + model.motion(moved)).flatten(0, 1), answers


def loss_of(logits, batch, answers, imitates=1.0):
    """Imitated captions (which weigh `imitates`), captions of people, closed answers: each kind's mean, summed. Returns (loss, its
    parts)."""
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
    return (sum(v * (imitates if k == "replay" else 1) for k, v in parts.items()),
            {k: float(v.detach()) for k, v in parts.items()})


def run(tokenizer, sources, work, steps, name="tasks", how=COURSES["tasks"], compiled=True):
    """From the stage before to {name}.pt, the mean of the last four checkpoints. `sources`: what it is about -> Photographs,
    Aerial, Clips, Elsewhere or scst.Photographs."""
    final, checkpoint = os.path.join(work, name + ".pt"), os.path.join(work, name + ".resume.pt")
    if os.path.exists(final):
        return
    log = Log(os.path.join(work, name + ".jsonl"))
    torch.manual_seed(how.seed)
    model = lm.Captioner.loaded(load(os.path.join(work, how.source + ".pt")))
    if "clip" in sources and model.motion is None:
        model.motion = movement.Motion(model.shape.width, PAIRS)
        torch.nn.init.zeros_(model.motion.down.weight)
        torch.nn.init.zeros_(model.motion.down.bias)
    if how.moves:
        model.requires_grad_(False)
        model.motion = model.motion.widened(how.moves)
    course = Course(checkpoint, {"model": model}, steps, how.rate, 50, 0.02, decay=0.01)
    if compiled:
        compile_layers(model.layers)
    drop = lm.Dropout(how.drop, torch.Generator().manual_seed(how.seed + course.first))
    generator = torch.Generator().manual_seed(how.seed + course.first)
    # Rewards are another kind of loss than what is to be said: steps along it have a length of their own.
    rewarded = None
    if "rewarded" in how.shares:
        rewarded = Course(os.path.join(work, name + ".rewarded.pt"), {"model": model}, steps, how.rate, 50, 0.02)
    kinds, shares = zip(*[(k, s) for k, s in how.shares.items() if k in sources])
    shares, means = np.array(shares) / sum(shares), {}
    for step in range(steps):
        rng = np.random.default_rng((how.seed, step))
        kind = str(rng.choice(kinds, p=shares))
        plan = sources[kind].plan(rng)
        if step < course.first:
            continue
        if kind == "rewarded":
            loss, parts = sources[kind].loss(model, rng, drop, generator, plan)
            rewarded.step(step, loss)
        else:
            layout, visual, answers = sources[kind].step(model, rng, drop, plan)
            batch = rows.Rows(layout, [[a.rows for a in group] for group in answers])
            loss, parts = loss_of(model(visual, batch, drop), batch, answers, how.imitates)
            course.step(step, loss)
        for part, value in parts.items():
            key = f"{kind}.{part}"
            means[key] = value if key not in means else 0.9 * means[key] + 0.1 * value
        if step % 20 == 0:
            log(step=step, of=steps, kind=kind, **means)
        if course.keep(step):
            if rewarded:
                rewarded.keep(step)
            save(os.path.join(work, f"{name}.step-{step + 1}.pt"), half(model.state_dict()))
    save(os.path.join(work, f"{name}.step-{steps}.pt"), half(model.state_dict()))
    keep_mean(os.path.join(work, name), steps)
