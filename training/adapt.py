# SPDX-License-Identifier: LGPL-2.1-or-later
"""Stage 1: teach the tower to do without the class token, by imitating itself with it.

Dropping the token from the shipped weights ruins the patch features (cosine 0.5); after two passes of this they
agree to 0.96, and describe the photograph better than the teacher's own patches, because a part of the loss
asks that the class token's content can be read from the mean of the patches. At the end it is taught to keep places
(place.py).
"""

import os

import numpy as np
import torch
import torch.nn.functional as F
from torch import multiprocessing as mp
from torch import nn

import place
import vit
from common import Log, half, save
from course import Course, decayed

BATCH, VARIANCE = 32, 14.0


def batch(photos, step, seed):
    """Photographs of one step: the order, flips and crop depend on the step's number alone."""
    n = len(photos)
    per_pass = n // BATCH
    order = np.random.default_rng((seed, step // per_pass)).permutation(n)
    rng = np.random.default_rng((seed, 1, step))
    at = np.sort(order[step % per_pass * BATCH : (step % per_pass + 1) * BATCH])
    x = vit.pixels(photos.pixels[at])
    flip = torch.from_numpy(rng.random(BATCH) < 0.5)
    x[flip] = x[flip].flip(-1)
    if rng.random() < 0.7:
        side = int(round(224 * rng.uniform(0.5, 1.0) ** 0.5))
        top, left = rng.integers(0, 224 - side + 1, 2)
        x = F.interpolate(x[:, :, top : top + side, left : left + side], size=224, mode="bilinear", antialias=True)
    return x


def _helper(pipe, at, photos, npz, steps, seed):
    """Another process runs the teacher some steps ahead, on time that nobody else wants."""
    os.nice(19)
    os.sched_setaffinity(0, os.sched_getaffinity(os.getppid()) if os.cpu_count() == 1 else range(os.cpu_count()))
    torch.set_num_threads(1)
    teacher = vit.shipped(npz, True).eval()
    done = 0
    with torch.inference_mode():
        while True:
            step = max(done, at.value + 2)
            if step >= steps:
                return
            pipe.send((step, teacher(batch(photos, step, seed)).numpy()))
            done = step + 1


def measure(student, teacher_out, reader, photos, cached):
    """Relative error and cosine of the patch features, relative error of the predicted class token, on `photos`."""
    with torch.inference_mode():
        out = torch.cat([student(vit.pixels(photos.pixels[i : i + 32])) for i in range(0, cached, 32)])
        want, token = teacher_out[:, 1:], teacher_out[:, 0]
        error = ((out - want) ** 2).mean() / want.var()
        alike = F.cosine_similarity(out, want, dim=-1).mean()
        read = ((reader(out.mean(1)) - token) ** 2).mean() / token.var()
    return float(error), float(alike), float(read)


def run(train, val, npz, work, steps, seed=1, helper=True):
    final, checkpoint = os.path.join(work, "tower.pt"), os.path.join(work, "tower.resume.pt")
    if os.path.exists(final):
        return
    log = Log(os.path.join(work, "adapt.jsonl"))
    torch.manual_seed(seed)
    teacher, student, reader = vit.shipped(npz, True).eval(), vit.shipped(npz, False), nn.Linear(192, 192)
    course = Course(checkpoint, {"student": student, "reader": reader}, steps, 5e-4, 50, 0.0,
                    decayed([*student.parameters(), *reader.parameters()], 0.05), clip=5.0)
    first = course.first
    cached = min(128, len(val))
    with torch.inference_mode():
        val_out = torch.cat([teacher(vit.pixels(val.pixels[i : i + 32])) for i in range(0, cached, 32)])

    at, ready, pipe = mp.Value("i", first), {}, None
    if helper and os.cpu_count() > 1:
        pipe, far = mp.get_context("spawn").Pipe(duplex=False)
        at = mp.get_context("spawn").Value("i", first)
        mp.get_context("spawn").Process(target=_helper, args=(far, at, train, npz, steps, seed), daemon=True).start()
    for step in range(first, steps):
        if step % 100 == 0 or step == first:
            error, alike, read = measure(student, val_out, reader, val, cached)
            log(step=step, relative_mse=error, cosine=alike, class_token_mse=read)
        at.value = step
        while pipe and pipe.poll():
            number, out = pipe.recv()
            ready[number] = torch.from_numpy(out)
        ready = {k: v for k, v in ready.items() if k >= step}
        x = batch(train, step, seed)
        helped = step in ready
        if helped:
            want = ready.pop(step)
        else:
            with torch.inference_mode():
                want = teacher(x)
            want = want.clone()
        out = student(x)
        loss = F.mse_loss(out, want[:, 1:]) / VARIANCE
        loss = loss + 0.5 * F.mse_loss(reader(out.mean(1)), want[:, 0]) / VARIANCE
        course.step(step, loss)
        if step % 10 == 0:
            log(step=step, loss=float(loss), helped=int(helped))
        course.keep(step)
    error, alike, read = measure(student, val_out, reader, val, cached)
    log(step=steps, relative_mse=error, cosine=alike, class_token_mse=read)
    save(final, half(place.mark(student, vit.pixels(train.pixels[:48])).state_dict()))
