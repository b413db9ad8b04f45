# SPDX-License-Identifier: LGPL-2.1-or-later
"""Pictures of rendered clips: views of photographs, objects that pass in front, light, noise, H.264."""

import math
import os
import subprocess

import numpy as np
import torch
import torch.nn.functional as F

import features
import model as lm
import motion
import movement
import vit

SIZE = motion.SIZE
TOGETHER = 24  # clips of one trip through the encoder
FORMAT = ["-s", f"{SIZE}x{SIZE}", "-pix_fmt", "rgb24"]
QUIET = ["ffmpeg", "-v", "error", "-threads", "1", "-y"]


def _look(photograph, views):
    """uint8 [3, h, h] (or one for each view) seen through views [n, 4] -> float [n, 3, 224, 224] of 0 to 255.

    Views are in pixels of a photograph of 224, whatever its size is; beyond its edges it is mirrored.
    """
    n = len(views)
    v = torch.from_numpy(views)
    cos, sin, half = v[:, 3].cos(), v[:, 3].sin(), v[:, 2] / SIZE
    matrix = torch.zeros(n, 2, 3)
    matrix[:, 0, 0], matrix[:, 0, 1], matrix[:, 0, 2] = half * cos, -half * sin, v[:, 0] / (SIZE / 2) - 1
    matrix[:, 1, 0], matrix[:, 1, 1], matrix[:, 1, 2] = half * sin, half * cos, v[:, 1] / (SIZE / 2) - 1
    grid = F.affine_grid(matrix, (n, 3, SIZE, SIZE), align_corners=False)
    source = torch.from_numpy(np.array(photograph)).float().expand(n, -1, -1, -1)
    return F.grid_sample(source, grid, mode="bilinear", padding_mode="reflection", align_corners=False)


def seen_through(frames, views):
    """uint8 frames [n, 3, h, h] through one view each: uint8 [n, 3, 224, 224]. Four samples a pixel, or what is fine flickers."""
    total = 0.0
    for way in ((-1, -1), (-1, 1), (1, -1), (1, 1)):
        moved = views.copy()
        moved[:, :2] += views[:, 2:3] * np.float32(0.25 / SIZE) * np.float32(way)
        total = total + _look(frames, moved)
    return (total / 4).round().clamp(0, 255).to(torch.uint8).numpy()


def _object(pictures, photograph, rng):
    """A round piece of another photograph passes in front of the scene, at its own speed."""
    n = len(pictures)
    side = int(rng.uniform(0.15, 0.45) * SIZE)
    top, left = rng.integers(40, SIZE - 40 - side + 1, 2)
    piece = torch.from_numpy(np.array(photograph[:, top : top + side, left : left + side])).float()
    y, x = torch.meshgrid(*[torch.linspace(-1, 1, side)] * 2, indexing="ij")
    shape = torch.from_numpy(rng.uniform(0.5, 1.0, 2)).float()
    mask = ((1 - (x / shape[0]) ** 2 - (y / shape[1]) ** 2) * 6).clamp(0, 1)
    ends = rng.uniform(-0.5 * side, SIZE - 0.5 * side, (2, 2))
    if rng.random() < 0.5:
        ends[rng.integers(2), rng.integers(2)] = rng.choice([-side, SIZE])  # enters or leaves
    stop = int(rng.integers(n // 2, n + 1))
    for i in range(n):
        at = ends[0] + (ends[1] - ends[0]) * min(1.0, i / max(1, stop - 1))
        row, column = (int(round(a)) for a in at)
        r0, c0, r1, c1 = max(row, 0), max(column, 0), min(row + side, SIZE), min(column + side, SIZE)
        if r0 < r1 and c0 < c1:
            m = mask[r0 - row : r1 - row, c0 - column : c1 - column]
            part = pictures[i, :, r0:r1, c0:c1]
            part += m * (piece[:, r0 - row : r1 - row, c0 - column : c1 - column] - part)


def _sensor(pictures, rng):
    """Exposure that drifts, a gamma, noise, a lens or a scaler that blurs, perhaps one side more than the other."""
    if rng.random() < 0.4:
        small = rng.uniform(80, 200, 2).astype(int).tolist()
        pictures = F.interpolate(F.interpolate(pictures, small, mode="area"), SIZE, mode="bilinear")
    gain = rng.uniform(0.75, 1.25) + np.linspace(0, rng.uniform(-0.15, 0.15), len(pictures)) * (rng.random() < 0.3)
    pictures = 255 * (pictures / 255).clamp(0, 1) ** rng.uniform(0.8, 1.25)
    pictures *= torch.from_numpy(gain).float()[:, None, None, None]
    noise = rng.uniform(0, 10)
    generator = torch.Generator().manual_seed(int(rng.integers(1 << 31)))
    pictures += noise * torch.randn(pictures.shape, generator=generator)
    return pictures.clamp_(0, 255).to(torch.uint8).numpy()


def render(clip, pixels):
    """uint8 [RENDERED, 3, 224, 224] of one clip, as a camera would hand it to its encoder."""
    rng = clip.rng
    pictures = torch.empty(motion.RENDERED, 3, SIZE, SIZE)
    for scene in (0, 1):
        here = clip.scene == scene
        if here.any():
            pictures[torch.from_numpy(here)] = _look(pixels[clip.photographs[scene]], clip.views[here])
    for photograph in clip.objects:
        _object(pictures, pixels[photograph], rng)
    return _sensor(pictures, rng)


def encoded(pictures, crf, path):
    """[clips, frames, 3, 224, 224] through x264 into a file, every clip from a key frame."""
    gop = str(pictures.shape[1])
    subprocess.run(
        QUIET + ["-f", "rawvideo", *FORMAT, "-r", "4", "-i", "-", "-c:v", "libx264", "-preset", "veryfast", "-threads", "1",
                 "-crf", str(crf), "-g", gop, "-keyint_min", gop, "-sc_threshold", "0", "-pix_fmt", "yuv420p", "-f", "matroska",
                 path],
        check=True, input=np.ascontiguousarray(pictures.transpose(0, 1, 3, 4, 2)).tobytes())


def decoded(path, count, frames=motion.RENDERED):
    """uint8 [count, SAMPLED, 3, 224, 224]: of so many frames of each clip those that the product looks at."""
    out = subprocess.run(QUIET + ["-i", path, "-f", "rawvideo", *FORMAT, "-"], check=True, stdout=subprocess.PIPE).stdout
    if len(out) != count * frames * SIZE * SIZE * 3:
        raise SystemExit(f"{path}: {len(out)} bytes of pixels, expected {count} clips")
    return np.frombuffer(out, np.uint8).reshape(count, frames, SIZE, SIZE, 3).transpose(0, 1, 4, 2, 3)[
        :, :: frames // motion.SAMPLED]


def made(work, split, first, count, pixels, seed):
    """Clips first ... first + count - 1, in a file that is made when it is not there."""
    path = os.path.join(work, f"clips-{split}", f"{first:06}.mkv")
    if not os.path.exists(path):
        os.makedirs(os.path.dirname(path), exist_ok=True)
        photographs = np.arange(len(pixels))
        rendered = np.stack([render(motion.Clip(i, photographs, seed), pixels) for i in range(first, first + count)])
        encoded(rendered, int(np.random.default_rng((seed, 9, first)).integers(18, 35)), path + ".part")
        os.replace(path + ".part", path)
    return path


SEEN, MOVED = (motion.PICTURES, 196, vit.WIDTH), (2, motion.PICTURES, lm.TOKENS, 2 * movement.FEATURES)


class Cached:
    """Of each clip what the tower sees in its pictures, and what is measured between its frames, both ways."""

    def __init__(self, path):
        self.rows = np.load(path, mmap_mode="r")

    def __len__(self):
        return len(self.rows)

    def look(self, i, back=False, lead=True):
        """(f32 [PICTURES, 196, 192], f32 [PICTURES, 49, numbers]) of clip i, perhaps played backwards, or its first frame not
        there."""
        row = np.array(self.rows[i], np.float32)
        seen, moved = row[: math.prod(SEEN)].reshape(SEEN), row[math.prod(SEEN) :].reshape(MOVED)[int(back)]
        if not lead:
            moved[0, :, : movement.FEATURES] = 0
        return seen[::-1].copy() if back else seen, moved


def looked_at(tower, work, pictures):
    """uint8 [n, SAMPLED, 3, 224, 224] -> f16 [n, numbers of a row of Cached]. The first frame of a pair is what the tower sees,
    so backwards it sees the same ones."""
    n = len(pictures)
    seen = features.seen(tower, pictures[:, 1::2].reshape(-1, 3, SIZE, SIZE)).reshape(n, -1)
    flat = pictures.transpose(0, 1, 3, 4, 2)
    ways = [movement.followed(work, way[:, 1::2], way[:, 2::2], way[:, 0]).reshape(n, -1) for way in (flat, flat[:, ::-1])]
    return np.concatenate((seen, *ways), 1).astype(np.float16)


def path(work, split):
    return os.path.join(work, f"clips-{split}.npy")


def fill(file, tower, work, count, step, pictures):
    """`pictures(first, n)` gives the frames of some clips."""
    features.fill(file, count, (math.prod(SEEN) + math.prod(MOVED),), step, lambda i, n: looked_at(tower, work, pictures(i, n)))


def cache(work, split, pixels, tower, count, seed):
    fill(path(work, split), tower, work, count, TOGETHER, lambda i, n: decoded(made(work, split, i, n, pixels, seed), n))
