# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the stage of tasks reads: caches of the tower's outputs, made once, and the kinds of pictures on top of them."""

import os

import numpy as np
import torch

import aerial
import clips
import common
import decode
import elsewhere
import evaluate
import features
import heldout
import merging
import model as lm
import motion
import photos
import prompts
import realclips
import replay
import rows
import scenes
import scst
import tasks
import words

CLIPS, CLIPS_SEED = 6000, 20
SCENES, SCENES_VAL = 3000, 240


def views_of(work, count=features.VIEWS):
    """Caches of before have the clean views alone."""
    paths = [features.path(work, "train", v) for v in range(count)]
    return [np.load(p, mmap_mode="r") for v, p in enumerate(paths) if v < features.CLEAN or os.path.exists(p)]


def has_aerial(data):
    return os.path.isdir(os.path.join(data, aerial.Split.FOLDER))


def make(data, work, train, val, tokenizer, source="scst", materials=None):
    """An hour on one core, most of it the clips; what is there already stays. `materials`: the folder of the watcher's, for
    scenes."""
    tower = features.adapted(work)
    captions = [[photos.clean(c) for c in group] for group in train.captions]
    replay.build(evaluate.trained(os.path.join(work, source + ".pt")), tokenizer, views_of(work, features.CLEAN), captions, work)
    if has_aerial(data):
        for split, views in (("val", 1), ("train", aerial.VIEWS)):
            for view in range(views):
                aerial.cache(aerial.Split(data, split, work), tower, aerial.path(work, split, view), view)
    if os.path.isdir(os.path.join(data, "clips")):
        realclips.cache(data, work, tower)
    clips.cache(work, "val", val.pixels, tower, heldout.CLIPS, heldout.SEED)
    clips.cache(work, "train", train.pixels, tower, CLIPS, CLIPS_SEED)
    if materials:
        scenes.cache(work, materials, "val", tower, SCENES_VAL)
        scenes.cache(work, materials, "train", tower, SCENES)


@torch.inference_mode()
def said_of(cached, teacher, tokenizer, work, batch=50):
    """What the captioner says of scenes, without knowing what moves: a list of tokens of each."""
    file, ratio = os.path.join(work, "scenes-said.pt"), 0.8
    if not os.path.exists(file):
        plan = rows.layout(tokenizer, prompts.INSTRUCTIONS[0], merging.kept_counts(motion.PICTURES, ratio))
        said = []
        for first in range(0, len(cached), batch):
            seen = torch.from_numpy(np.stack([cached.look(i)[0] for i in range(first, min(first + batch, len(cached)))]))
            tokens = teacher.projector(lm.Projector.unshuffle(seen.flatten(0, 1))).view(len(seen), motion.PICTURES, lm.TOKENS, -1)
            said += [c + [words.EOS] for c in decode.greedy(teacher, merging.merge(tokens, plan.kept), plan, replay.LONGEST)]
        common.save(file, said)
    return common.load(file)


def sources(data, work, train, tokenizer, total, seed, source, told):
    said, teacher = replay.Replay(work), evaluate.trained(os.path.join(work, source + ".pt"))
    # What comes behind the stages that imitate this leaning leans already.
    teacher.lean = said.lean if source == "scst" else None
    out = {
        "photograph": tasks.Photographs(tokenizer, views_of(work), train.captions, said, total, seed),
        "rewarded": scst.Photographs(tokenizer, train.captions, views_of(work), total, seed),
        "clip": tasks.Clips(tokenizer, clips.Cached(clips.path(work, "train")),
                            [motion.Clip(i, np.arange(len(train)), CLIPS_SEED) for i in range(CLIPS)], said, teacher, total, seed,
                            told),
    }
    if os.path.exists(scenes.path(work, "train")):
        cached = clips.Cached(scenes.path(work, "train"))
        out["scene"] = tasks.Clips(tokenizer, cached, scenes.read(work, "train"), said, teacher, total, seed + 1, told,
                                   said_of(cached, teacher, tokenizer, work))
    if os.path.exists(elsewhere.listed(work, "train")):
        known = elsewhere.read(data)
        views = [np.load(elsewhere.path(work, "train", v), mmap_mode="r") for v in range(elsewhere.VIEWS)]
        captions = [[photos.clean(c) for c in known[n]] for n in elsewhere.names(work, "train")]
        out["elsewhere"] = tasks.Elsewhere(tokenizer, views, captions, total, seed)
    if has_aerial(data):
        above = aerial.Split(data, "train", work)
        captions = [[photos.clean(c) for c in group] for group in above.captions]
        views = [np.load(aerial.path(work, "train", v), mmap_mode="r") for v in range(aerial.VIEWS)]
        out["aerial"] = tasks.Aerial(tokenizer, views, captions, total, seed)
    return out
