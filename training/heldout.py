# SPDX-License-Identifier: LGPL-2.1-or-later
"""Every task on what was held out: validation photographs, clips made of them, real clips, aerial captions by people."""

import os

import numpy as np
import torch

import aerial
import cider
import clips
import closed
import evaluate
import features
import lexicon
import merging
import model as lm
import motion
import photos
import prompts
import questions
import realclips
import rows
import scenes

RATIO = 0.7  # of merging, the product's default
CLIPS, SEED = 408, 21  # held-out clips
LEAST = 0.7  # a task that is right less often is not in the exported file


def frames_plan(tokenizer, instruction=None):
    return rows.layout(tokenizer, instruction, merging.kept_counts(motion.PICTURES, RATIO))


@torch.inference_mode()
def clip_tokens(model, cached, kept, batch=16):
    """clips.Cached -> merged visual tokens [N, sum(kept), width]."""
    out = []
    for first in range(0, len(cached), batch):
        looks = [cached.look(i) for i in range(first, min(first + batch, len(cached)))]
        seen, moved = (torch.from_numpy(np.stack(x)) for x in zip(*looks))
        tokens = model.projector(lm.Projector.unshuffle(seen.flatten(0, 1))).view(*moved.shape[:3], -1) + model.motion(moved)
        out.append(merging.merge(tokens, kept))
    return torch.cat(out)


def photographs(model, tokenizer, data, work):
    """Yes/no on validation photographs: as many yes as no for each noun, the negatives hard ones as far as there are."""
    val = photos.Split(data, "val", work)
    asked = questions.Questions(val.captions).draw(np.random.default_rng(5), hard=1.0)
    asked = asked[np.argsort(asked[:, 0], kind="stable")]
    texts = [[] for _ in range(len(val))]
    for at, noun, _ in asked:
        texts[at].append(questions.asked(noun))
    seen = torch.from_numpy(np.load(features.path(work, "val", 0)))
    visual = evaluate.visual_tokens(model, seen)
    plan = rows.layout(tokenizer, None, (lm.TOKENS,))
    scores = closed.logprobs(model, tokenizer, visual, plan, texts, questions.LABELS)
    return closed.report("yes/no", scores, 1 - asked[:, 2], questions.LABELS, [lexicon.NOUNS[k].asked for k in asked[:, 1]])


def moving(model, tokenizer, data, work):
    """Camera motion on rendered clips, and whether anything changes (as many that change as not): accuracy by task."""
    cached = clips.Cached(clips.path(work, "val"))
    from_ = np.arange(len(photos.Split(data, "val", work)))
    made = [motion.Clip(i, from_, SEED) for i in range(len(cached))]
    plan = frames_plan(tokenizer)
    visual = clip_tokens(model, cached, plan.kept)
    prompt, labels = prompts.TASKS["camera-motion"]
    scores = closed.logprobs(model, tokenizer, visual, plan, [[prompt]] * len(made), labels)
    out = {"camera-motion": closed.report("camera-motion", scores, [c.label for c in made], labels)[0]}
    prompt, labels = prompts.TASKS["change"]
    rest = [i for i, c in enumerate(made) if not c.changes]
    both = rest + [i for i, c in enumerate(made) if c.changes][:: max(1, (len(made) - len(rest)) // max(1, len(rest)))][: len(rest)]
    scores = closed.logprobs(model, tokenizer, visual[both], plan, [[prompt]] * len(both), labels)
    out["change"] = closed.report("change", scores, [int(i in rest) for i in both], labels)[0]
    return out


def real(model, tokenizer, work):
    """Camera motion on real videos (realclips.py)."""
    cached, labels, kinds = realclips.cached(work)
    plan = frames_plan(tokenizer)
    prompt, names = prompts.TASKS["camera-motion"]
    scores = closed.logprobs(model, tokenizer, clip_tokens(model, cached, plan.kept), plan, [[prompt]] * len(cached), names)
    for kind in dict.fromkeys(kinds):
        here = [i for i, k in enumerate(kinds) if k == kind]
        closed.report(f"camera-motion, real, {kind}", scores[here], labels[here], names)


def before(model, tokenizer, work):
    """Camera motion where things happen before the camera (scenes.py)."""
    made, plan = scenes.read(work, "val"), frames_plan(tokenizer)
    prompt, names = prompts.TASKS["camera-motion"]
    visual = clip_tokens(model, clips.Cached(scenes.path(work, "val")), plan.kept)
    scores = closed.logprobs(model, tokenizer, visual, plan, [[prompt]] * len(made), names)
    closed.report("camera-motion, scenes", scores, [s.label for s in made], names)


def above(model, tokenizer, data, work):
    """Aerial captions against those of people."""
    val = aerial.Split(data, "val", work)
    visual = evaluate.visual_tokens(model, torch.from_numpy(np.load(aerial.path(work, "val", 0))))
    plan = rows.layout(tokenizer, prompts.TASKS["aerial"][0], (lm.TOKENS,))
    results = evaluate.caption(model, visual, plan, tokenizer)
    score, bleu, _ = cider.corpus(results, val.captions)
    human, _, _ = cider.corpus([c[0] for c in val.captions], [c[1:] for c in val.captions])
    print(f"aerial: CIDEr-D {score:.4f} BLEU-4 {bleu:.4f} different {len(set(results))} of {len(results)}; one human against "
          f"four {human:.4f}", flush=True)
    return score


def tasks(model, tokenizer, data, work):
    """Prints all of it. Returns what an exported file says: the tasks that it does, and the temperature that makes yes and
    no honest."""
    known = dict(prompts.TASKS)
    temperature = photographs(model, tokenizer, data, work)[2]
    for name, accuracy in moving(model, tokenizer, data, work).items():
        if accuracy < LEAST:
            print(f"{name}: expected {LEAST} or more, found {accuracy:.4f}: not exported", flush=True)
            del known[name]
    if os.path.exists(realclips.path(work)):
        real(model, tokenizer, work)
    if os.path.exists(scenes.path(work, "val")):
        before(model, tokenizer, work)
    if os.path.exists(aerial.path(work, "val", 0)):
        above(model, tokenizer, data, work)
    else:
        del known["aerial"]
    return known, temperature
