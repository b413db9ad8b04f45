# SPDX-License-Identifier: LGPL-2.1-or-later
"""Clips that are drawn once, and seen once by a tower that stays as it is, for courses that go through them again and again: what
compares pictures then learns from several times as many in an hour. Of each so much as one step has, in a file."""

import concurrent.futures
import multiprocessing
import os

SEED = 13


def path(work, number):
    return os.path.join(work, "kept", f"{number:05}.pt")


def load(work, number):
    """(what the tower sees f16 [pictures, tokens, its width], what moves f16 [pictures, tokens, numbers], truths, pictures of a
    clip)"""
    import torch

    kept = torch.load(path(work, number), weights_only=False)
    return kept["seen"], kept["moves"], kept["truths"], kept["count"]


def _begin(options, state):
    global STEPS, TOWER
    import torch
    import learn
    import net

    torch.set_num_threads(1)
    STEPS, TOWER = learn.Steps(options), net.Tower().eval()
    TOWER.load_state_dict(state)


def _make(number):
    import numpy as np
    import torch
    import learn
    import quant

    made, moves, count = learn.filmed(STEPS.phase, STEPS.work, STEPS.stuff, np.random.default_rng((SEED, number)))
    pictures = torch.from_numpy(np.concatenate([m[0] for m in made]))
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=quant.fast_type() == torch.bfloat16):
        seen = TOWER(pictures).to(torch.float16)
    part = path(STEPS.work, number) + ".part"
    torch.save({"seen": seen.numpy(), "moves": moves.astype(np.float16), "truths": [m[2] for m in made], "count": count}, part)
    os.replace(part, path(STEPS.work, number))


def make(options, tower, count):
    """Clips of `count` steps, by as many processes as there are threads; those that are there stay."""
    os.makedirs(os.path.join(options.work, "kept"), exist_ok=True)
    missing = [i for i in range(count) if not os.path.exists(path(options.work, i))]
    if missing:
        with concurrent.futures.ProcessPoolExecutor(options.threads, multiprocessing.get_context("spawn"), _begin,
                                                    (options, tower.state_dict())) as pool:
            for done, _ in enumerate(pool.map(_make, missing)):
                if done % 100 == 0:
                    print(f"clips of step {done + 1} of {len(missing)}", flush=True)
