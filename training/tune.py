# SPDX-License-Identifier: LGPL-2.1-or-later
"""Between adapting and everything else: the tower learns what people say about photographs, every parameter of it.

    python training/tune.py --data ../shared/data --work DIR --models models [--steps 2000]

The tower comes from ImageNet's classes; captions name other things. It goes on from the files of a finished captioner, whose
language model learns along: DIR/tower.pt and DIR/xe.pt, and the stages features, scst and so on go on from them. Two losses: the
captions of people, and which of the commonest words any of them uses, read from the mean and the maximum of the patches. Pictures
are cropped, mirrored and lit anew each time; a step in six is aerial.

Where the data have sentences about photographs that are not there (`text/`), the language model reads some of them in each step,
behind the same questions without a picture: five captions of six thousand photographs are few to learn a language from.
"""

import argparse
import collections
import glob
import gzip
import os

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

import aerial
import common
import evaluate
import export
import features
import model as lm
import photos
import place
import prompts
import rows
import vit
import words
import xe
from course import Course, compile_layers, decayed

BATCH, SEED = 32, 9
TOWER, LANGUAGE, READER = 1.5e-4, 5e-4, 2e-3   # rates
KEEP = 0.85             # of the rate, for each block further from the end
FIXED = 4               # blocks at the beginning that stay as they are: edges are edges
NAMED, WORDS = 600, 4.0  # how many words are read from the patches; what that weighs
AERIAL = 1 / 6
ALONE, GROUPS, WITHOUT = 128, 8, 0.3  # sentences without a picture in a step, questions that they share, what they weigh
EVERY = 250
STOP = set("a an the in on of and is are with to at by its his her their it while as from for two into up down out "
           "over off through near has that be next one this there another other some three he she they".split())


def shown(pixels, rng, turn=False):
    """uint8 [n, 3, 224, 224] -> f32 in [-1, 1]: each cropped to .55 to 1 of itself, perhaps mirrored, lit otherwise."""
    x = vit.pixels(pixels)
    n = len(x)
    area = rng.uniform(0.55, 1.0, n) ** 0.5
    wide = np.exp(rng.uniform(-0.15, 0.15, n))
    sx, sy = np.minimum(area * wide, 1.0), np.minimum(area / wide, 1.0)
    mirror = np.where(rng.random(n) < 0.5, -1.0, 1.0)
    theta = np.zeros((n, 2, 3), np.float32)
    theta[:, 0, 0], theta[:, 1, 1] = sx * mirror, sy
    theta[:, 0, 2] = rng.uniform(-1, 1, n) * (1 - sx)
    theta[:, 1, 2] = rng.uniform(-1, 1, n) * (1 - sy)
    if turn:
        over = rng.random(n) < 0.5
        theta[over, 1] *= -1
        lying = rng.random(n) < 0.5
        theta[lying] = theta[lying][:, ::-1]
    x = F.grid_sample(x, F.affine_grid(torch.from_numpy(theta), x.shape, align_corners=False), align_corners=False,
                      padding_mode="reflection")

    def drawn(low, high):
        return torch.from_numpy(rng.uniform(low, high, (n, 1, 1, 1)).astype(np.float32))

    grey = x.mean(1, keepdim=True)
    x = grey + (x - grey) * drawn(0.6, 1.4)
    mean = x.mean((1, 2, 3), keepdim=True)
    return ((x - mean) * drawn(0.7, 1.3) + mean + drawn(-0.2, 0.2)).clamp_(-1, 1)


class Words(nn.Module):
    """Which of the commonest words any of a picture's captions uses."""

    def __init__(self, captions):
        super().__init__()
        count = collections.Counter(w for group in captions for w in set(" ".join(group).split()) - STOP)
        self.at = {w: i for i, (w, _) in enumerate(count.most_common(NAMED))}
        self.norm, self.read = nn.LayerNorm(2 * vit.WIDTH), nn.Linear(2 * vit.WIDTH, NAMED)
        with torch.no_grad():
            share = torch.tensor([count[w] for w in self.at]) / len(captions)
            self.read.weight.mul_(0.1)
            self.read.bias.copy_(share.logit())

    def truth(self, captions):
        out = torch.zeros(len(captions), NAMED)
        for i, group in enumerate(captions):
            for w in set(" ".join(group).split()):
                if w in self.at:
                    out[i, self.at[w]] = 1
        return out

    def forward(self, seen):
        return self.read(self.norm(torch.cat((seen.mean(1), seen.amax(1)), 1)))


def precision(scores, truth):
    """Mean average precision over the words that occur."""
    out = []
    for s, t in zip(scores.t(), truth.t()):
        if t.any():
            hit = t[s.argsort(descending=True)]
            out.append(float((hit.cumsum(0) / torch.arange(1, len(hit) + 1) * hit).sum() / hit.sum()))
    return float(np.mean(out))


@torch.inference_mode()
def measured(tower, model, reader, val, said, text, tokenizer):
    """On the validation photographs: loss of a word, precision of the words, how well places can be read."""
    seen = torch.from_numpy(features.seen(tower, val.pixels)).float()
    plan = rows.layout(tokenizer, prompts.INSTRUCTIONS[0], (lm.TOKENS,))
    model.freeze()
    loss = evaluate.word_loss(model, evaluate.visual_tokens(model, seen, BATCH), text, plan, BATCH)
    model.freeze(False)
    x = seen[:100].flatten(0, 1)
    x = torch.cat((x, torch.ones(len(x), 1)), 1)
    where = place.grid().repeat(100, 1)
    left = where - x @ torch.linalg.lstsq(x, where).solution
    return {"val": loss, "precision": precision(reader(seen)[:, :150], reader.truth(said)[:, :150]),
            "places": float(1 - left.var() / where.var())}


def sentences(data, tokenizer):
    """Of all files of `text/`, tokens with the end token; [] where there are none."""
    found = []
    for path in sorted(glob.glob(os.path.join(data, "text", "*.txt.gz"))):
        with gzip.open(path, "rt", encoding="utf8") as f:
            found += [photos.clean(line) for line in f]
    return xe.tokenised(tokenizer, [found])[0]


def unseen(tokenizer, alone, rng):
    """Rows of sentences that were drawn, behind a question and no picture."""
    drawn = [alone[i] for i in rng.integers(0, len(alone), ALONE)]
    each = ALONE // GROUPS
    layout = rows.layout(tokenizer, str(rng.choice(prompts.INSTRUCTIONS)), ())
    return rows.Rows(layout, [drawn[i : i + each] for i in range(0, ALONE, each)])


def groups(tower, model, reader):
    """AdamW's, each with a rate of its own."""
    out = []

    def add(parameters, rate):
        out.extend({**group, "own": rate} for group in decayed(parameters, 0.05) if group["params"])

    add([*tower.norm.parameters()], TOWER)
    for i, block in enumerate(tower.blocks[FIXED:], FIXED):
        add([*block.parameters()], TOWER * KEEP ** (vit.DEPTH - 1 - i))
    add([*model.parameters()], LANGUAGE)
    add([*reader.parameters()], READER)
    return out


def learn(options):
    log = common.Log(os.path.join(options.work, "tune.jsonl"))
    train, val = (photos.Split(options.data, s, options.work) for s in ("train", "val"))
    above = aerial.Split(options.data, "train", options.work)
    tokenizer = export.tokenizer_of(options.models)
    said = {k: [[photos.clean(c) for c in g] for g in s.captions] for k, s in (("photo", train), ("val", val), ("aerial", above))}
    text = {k: xe.tokenised(tokenizer, s) for k, s in said.items()}
    alone = sentences(options.data, tokenizer)
    torch.manual_seed(SEED)
    tower, model = export.read(options.models)
    export.thaw(model)
    tower.train(), model.train()
    for module in (tower.patch, *tower.blocks[:FIXED]):
        module.requires_grad_(False)
    tower.position.requires_grad_(False)
    reader = Words(said["photo"])
    truth = reader.truth(said["photo"])
    course = Course(os.path.join(options.work, "tune.resume.pt"), {"tower": tower, "model": model, "reader": reader},
                    options.steps, TOWER, 100, 0.02, groups(tower, model, reader), clip=2.0)
    compile_layers(model.layers)
    compile_layers(tower.blocks)
    drop = lm.Dropout(xe.DROP, torch.Generator().manual_seed(SEED + course.first))
    take, far, means = xe.schedule(len(train), options.steps, SEED), xe.schedule(len(above), options.steps, SEED + 1), {}
    for step in range(options.steps):
        rng = np.random.default_rng((SEED, step))
        up = rng.random() < AERIAL
        at = np.sort((far if up else take)(BATCH))
        instruction = prompts.TASKS["aerial"][0] if up else str(rng.choice(prompts.INSTRUCTIONS))
        if step < course.first:
            continue
        if step % EVERY == 0:
            log(step=step, **measured(tower, model, reader, val, said["val"], text["val"], tokenizer))
        with torch.autocast("cpu", torch.bfloat16):
            seen = tower(shown((above if up else train).pixels[at], rng, up)).float()
        inputs = lm.Projector.unshuffle(seen)
        visual = model.projector(inputs, drop(inputs.shape)).flatten(0, 1)
        batch = rows.Rows(rows.layout(tokenizer, instruction, (lm.TOKENS,)), [text["aerial" if up else "photo"][i] for i in at])
        loss = F.cross_entropy(model(visual, batch, drop), batch.targets, label_smoothing=xe.SMOOTHING)
        parts = {"aerial" if up else "photo": float(loss.detach())}
        if not up:
            named = F.binary_cross_entropy_with_logits(reader(seen), truth[torch.from_numpy(at)])
            parts["words"] = float(named.detach())
            loss = loss + WORDS * named
        if alone:
            batch = unseen(tokenizer, alone, np.random.default_rng((SEED, step, 1)))
            told = F.cross_entropy(model(visual[:0], batch, drop), batch.targets, label_smoothing=xe.SMOOTHING)
            parts["sentences"] = float(told.detach())
            loss = loss + WITHOUT * told
        course.step(step, loss)
        for name, value in parts.items():
            means[name] = value if name not in means else 0.96 * means[name] + 0.04 * value
        if step % 20 == 0:
            log(step=step, of=options.steps, **means)
        course.keep(step)
    log(step=options.steps, **measured(tower, model, reader, val, said["val"], text["val"], tokenizer))
    common.save(os.path.join(options.work, "tower.pt"), common.half(tower.state_dict()))
    common.save(os.path.join(options.work, "xe.pt"), common.half(model.state_dict()))
    tokenizer.save(os.path.join(options.work, "tokenizer.json"))


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description="Tune the vision tower on captions.")
    arguments.add_argument("--data", required=True)
    arguments.add_argument("--work", required=True)
    arguments.add_argument("--models", default="models")
    arguments.add_argument("--steps", type=int, default=2000)
    arguments.add_argument("--threads", type=int, default=1)
    parsed = arguments.parse_args()
    parsed.work = os.path.abspath(parsed.work)
    os.makedirs(parsed.work, exist_ok=True)
    common.settle(None, parsed.threads)
    learn(parsed)
