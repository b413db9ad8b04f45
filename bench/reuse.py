#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a cache in the vision tower saves, and what it costs in tokens: clips of known seeds through build/bench/reuse.

  run MMPROJ --side S [--clips still,hand,street] [--photographs TAR] [-- OPTIONS OF reuse]
        still   a photograph that stands still; a piece of another one moves over it, so that about a fifth of the patches of 16
                pixels are others than in the frame before; noise of the camera
        hand    the same from a camera in a hand: all of it shifts by some pixels from frame to frame, and turns a little
        pan     a camera that turns
        noise   nothing moves; noise of --noise levels
  codec CLIP.mp4...
        which patches of 16 pixels a frame's motion vectors would take for changed, against which did by their pixels: needs
        PyAV

Photographs are those of a tar file of JPEG files, as ../shared/data/flickr8k/val.tar. Needs numpy and ffmpeg. --build DIR (build).
"""
import argparse
import json
import math
import subprocess
import sys
import tarfile

import numpy as np

PATCH = 16


def photographs(path, n, side):
    """The first @n, their middle square at 1.5 times @side."""
    found, large = [], side * 3 // 2
    with tarfile.open(path) as tar:
        for member in tar:
            if member.isfile() and len(found) < n:
                crop = f"crop='min(iw,ih)':'min(iw,ih)',scale={large}:{large}:flags=bicubic"
                raw = subprocess.run(["ffmpeg", "-v", "error", "-i", "-", "-vf", crop, "-pix_fmt", "rgb24", "-f", "rawvideo", "-"],
                                     input=tar.extractfile(member).read(), capture_output=True, check=True).stdout
                found.append(np.frombuffer(raw, np.uint8).reshape(large, large, 3).astype(np.float32))
    return found


def window(picture, y, x, angle, side):
    """@side pixels of it around its middle, shifted and turned, bilinear."""
    v, u = np.mgrid[:side, :side] - (side - 1) / 2
    c, s, middle = math.cos(angle), math.sin(angle), (len(picture) - 1) / 2
    py, px = middle + y + c * v - s * u, middle + x + s * v + c * u
    py, px = np.clip(py, 0, len(picture) - 1.001), np.clip(px, 0, len(picture) - 1.001)
    iy, ix = py.astype(int), px.astype(int)
    fy, fx = (py - iy)[..., None], (px - ix)[..., None]
    above = picture[iy, ix] * (1 - fx) + picture[iy, ix + 1] * fx
    return above * (1 - fy) + (picture[iy + 1, ix] * (1 - fx) + picture[iy + 1, ix + 1] * fx) * fy


class Object:
    """A square that bounces; what it uncovers and covers in a frame is about a fifth of the patches."""

    def __init__(self, rng, picture, side):
        self.size, self.side = round(side * .36), side
        self.piece = picture[:self.size, :self.size]
        self.at = rng.uniform(0, side - self.size, 2)
        angle = rng.uniform(0, 2 * math.pi)
        self.step = np.array([math.sin(angle), math.cos(angle)]) * side * .06

    def draw(self, frame):
        y, x = self.at.astype(int)
        frame[y:y + self.size, x:x + self.size] = self.piece
        self.at += self.step
        for i in range(2):
            if not 0 <= self.at[i] <= self.side - self.size:
                self.step[i] *= -1
                self.at[i] = min(max(self.at[i], 0), self.side - self.size)


def make_clip(kind, index, pictures, o):
    rng = np.random.default_rng([o.seed, index])
    scene, thing = pictures[index], Object(rng, pictures[index - 1], o.side)
    shake, still = np.zeros(3), window(scene, 0, 0, 0, o.side)
    for t in range(o.frames):
        if kind == "hand":
            shake = .7 * shake + rng.normal(0, 1, 3) * [2, 2, .004]
        elif kind == "pan":
            shake = np.array([0, t * o.side * .01, 0])
        frame = still.copy() if kind in ("still", "noise") else window(scene, *shake[:2], shake[2], o.side)
        if kind != "noise":
            thing.draw(frame)
        yield np.clip(frame + rng.normal(0, o.noise, frame.shape) + .5, 0, 255).astype(np.uint8)


def changed(a, b):
    """Share of the patches that are others by more than 4 levels in some part of 4 x 4 pixels."""
    n = len(a) // PATCH
    d = (a.astype(np.float32) - b)[:n * PATCH, :n * PATCH].reshape(n, 4, PATCH // 4, n, 4, PATCH // 4, 3).mean((2, 5))
    return ((np.abs(d) @ [.25, .5, .25]).max((1, 3)) > 4).mean()


def run(o):
    pictures = photographs(o.photographs, o.pictures, o.side)
    for kind in o.clips.split(","):
        reports, shares = [], []
        for index in range(o.pictures):
            clip = list(make_clip(kind, index, pictures, o))
            shares += [changed(a, b) for a, b in zip(clip, clip[1:])]
            done = subprocess.run([f"{o.build}/bench/reuse", o.mmproj, f"{o.side}x{o.side}", *o.options],
                                  input=b"".join(f.tobytes() for f in clip), capture_output=True, check=False)
            if done.returncode:
                sys.exit(done.stderr.decode())
            if o.verbose:
                print(done.stdout.decode(), file=sys.stderr)
            reports.append(json.loads(done.stdout.splitlines()[-1]))
        mean = lambda key: float(np.mean([r[key] for r in reports]))       # noqa: E731
        print(json.dumps({"clip": kind, "pictures": o.pictures, "frames": sum(r["frames"] for r in reports),
                          "changed": round(float(np.mean(shares)), 3), "whole": sum(r["whole"] for r in reports),
                          "drifted": sum(r["drifted"] for r in reports), "times_fewer": round(1 / mean("operations"), 2),
                          "cosine": round(mean("cosine"), 4), "least": round(min(r["least"] for r in reports), 4),
                          "worst_token": round(min(r["worst_token"] for r in reports), 3)}), flush=True)


def codec(o):
    """Frames half a second apart, as a tower sees them; a patch is taken for changed when a motion vector other than zero
    touches it in any frame between, which is what side data can tell."""
    import av
    for path in o.files:
        with av.open(path) as container:
            stream = container.streams.video[0]
            stream.codec_context.flags2 |= 1 << 28      # AV_CODEC_FLAG2_EXPORT_MVS
            step, moved, last, rows, had, frames = max(round(stream.average_rate / 2), 1), None, None, [], 0, 0
            for i, frame in enumerate(container.decode(stream)):
                h, w = frame.height // PATCH, frame.width // PATCH
                moved = np.zeros((h, w), bool) if moved is None else moved
                vectors = next((s for s in frame.side_data if s.type.name == "MOTION_VECTORS"), None)
                frames += 1
                if vectors is not None:
                    had += 1
                    v = vectors.to_ndarray()
                    v = v[(v["motion_x"] != 0) | (v["motion_y"] != 0)]
                    for y in (v["dst_y"] - v["h"] // 2, v["dst_y"] + v["h"] // 2 - 1):  # no block is larger than a patch
                        for x in (v["dst_x"] - v["w"] // 2, v["dst_x"] + v["w"] // 2 - 1):
                            moved[np.clip(y // PATCH, 0, h - 1), np.clip(x // PATCH, 0, w - 1)] = True
                if i % step:
                    continue
                now = frame.to_ndarray(format="rgb24").astype(np.float32)[:h * PATCH, :w * PATCH]
                if last is not None:
                    d = (now - last).reshape(h, 4, PATCH // 4, w, 4, PATCH // 4, 3).mean((2, 5))
                    truth = (np.abs(d) @ [.25, .5, .25]).max((1, 3)) > 4
                    rows.append((truth.mean(), moved.mean(), (truth & moved).sum(), truth.sum(), moved.sum()))
                last, moved = now, None
            rows = np.array(rows)
            print(json.dumps({"clip": path.split("/")[-1], "codec": stream.codec_context.name, "frames": frames,
                              "with_vectors": round(had / frames, 3), "changed": round(rows[:, 0].mean(), 3),
                              "moved": round(rows[:, 1].mean(), 3),
                              "found": round(float(rows[:, 2].sum() / max(rows[:, 3].sum(), 1)), 3),
                              "right": round(float(rows[:, 2].sum() / max(rows[:, 4].sum(), 1)), 3)}), flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    p = commands.add_parser("run")
    p.set_defaults(func=run)
    p.add_argument("mmproj")
    p.add_argument("--side", type=int, default=224)
    p.add_argument("--clips", default="still,hand,pan,noise")
    p.add_argument("--frames", type=int, default=32)
    p.add_argument("--pictures", type=int, default=4)
    p.add_argument("--noise", type=float, default=2)
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--photographs", default="../shared/data/flickr8k/val.tar")
    p.add_argument("--build", default="build")
    p.add_argument("--verbose", action="store_true")
    p = commands.add_parser("codec")
    p.set_defaults(func=codec)
    p.add_argument("files", nargs="+")
    cut = sys.argv.index("--") if "--" in sys.argv else len(sys.argv)
    o = parser.parse_args(sys.argv[1:cut])
    o.options = sys.argv[cut + 1:]
    o.func(o)


main()
