# SPDX-License-Identifier: LGPL-2.1-or-later
"""What clips are rendered of, all of it free to redistribute: cut-outs and backgrounds, from Debian's packages.

    python training/watcher/materials.py --work DIR

Cut-outs: Open Clip Art Library, public domain. Backgrounds: photographs among the wallpapers of desktops (CC BY-SA, CC0,
GPL: each package's copyright file stays beside it in DIR/packages) and patterns drawn here. Nothing of it is committed.
"""

import argparse
import os
import subprocess
import zlib

import cv2
import numpy as np

PACKAGES = ["openclipart-png", "mate-backgrounds", "ukui-wallpapers", "lomiri-wallpapers-16.04", "lomiri-wallpapers-20.04",
            "plasma-workspace-wallpapers"]
# Folders of things that could stand or move somewhere; icons, signs and flags are none.
THINGS = ["animals", "people", "transportation", "food", "plants", "recreation", "tools", "buildings", "office",
          "computer/hardware", "household", "electronics", "clothes", "unsorted"]
DRAWN = ["Stripes", "Arc-Colors", "adwaita", "no-logo", "screenshot", "rollpaper", "fluent", "_dark", "1080x1920", "720x1440",
         "Silk", "Waves", "Float-into", "symbolic", "Elephants_"]
SIDE = 128                      # of a cut-out, at most
CANVAS_W, CANVAS_H = 768, 432   # of a background: more than a picture, so that a camera can move over it
CROPS = 10                      # of one photograph


def unpack(work):
    """Folder with the packages' files."""
    folder = os.path.join(work, "packages")
    os.makedirs(folder, exist_ok=True)
    for package in PACKAGES:
        if not os.path.exists(os.path.join(folder, "usr/share/doc", package)):
            subprocess.run(["apt-get", "download", package], cwd=folder, check=True)
    for name in sorted(os.listdir(folder)):
        if name.endswith(".deb"):
            subprocess.run(["dpkg-deb", "-x", name, "."], cwd=folder, check=True)
            os.remove(os.path.join(folder, name))
    return os.path.join(folder, "usr/share")


def pictures(folder, endings):
    for at, folders, names in os.walk(folder):
        folders.sort()
        for name in sorted(names):
            if name.lower().endswith(endings):
                yield os.path.join(at, name)


def held_out(path):
    """A tenth, by name: clips of those alone are looked at in evaluation."""
    return zlib.crc32(os.path.basename(path).encode()) % 10 == 0


def cutout(path):
    """RGBA, cropped to what is opaque, SIDE at most; None for what fills its frame or hardly anything."""
    image = cv2.imread(path, cv2.IMREAD_UNCHANGED)
    if image is None or image.ndim != 3 or image.shape[2] != 4:
        return None
    rows, columns = np.nonzero(image[..., 3] > 128)
    if len(rows) < 400:
        return None
    image = image[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
    share = (image[..., 3] > 128).mean()
    aspect = image.shape[1] / image.shape[0]
    if not 0.15 < share < 0.97 or not 0.25 < aspect < 4:
        return None
    scale = SIDE / max(image.shape[:2])
    if scale > 1.5:
        return None
    image = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    # Colours premultiplied: what was under transparent pixels never shows.
    out = image.astype(np.float32)
    out[..., :3] *= out[..., 3:] / 255
    return np.ascontiguousarray(out[..., [2, 1, 0, 3]].round().astype(np.uint8))


def crops(path, rng):
    image = cv2.imread(path)
    if image is None or min(image.shape[:2]) < CANVAS_H:
        return
    h, w = image.shape[:2]
    for i in range(CROPS):
        most = min(h / CANVAS_H, w / CANVAS_W)
        scale = most if i == 0 else rng.uniform(0.35 * most, most)
        side_w, side_h = int(CANVAS_W * scale), int(CANVAS_H * scale)
        x, y = rng.integers(0, w - side_w + 1), rng.integers(0, h - side_h + 1)
        part = image[y : y + side_h, x : x + side_w]
        part = cv2.resize(part, (CANVAS_W, CANVAS_H), interpolation=cv2.INTER_AREA if scale > 1 else cv2.INTER_CUBIC)
        if part.std() > 8:
            yield np.ascontiguousarray(part[..., ::-1])


def build(work):
    share = unpack(work)
    rng = np.random.default_rng(1)
    for split, wanted in (("train", False), ("val", True)):
        things = [cutout(p) for folder in THINGS for p in pictures(os.path.join(share, "openclipart/png", folder), (".png",))
                  if held_out(p) == wanted]
        things = [t for t in things if t is not None]
        np.savez_compressed(os.path.join(work, f"cutouts-{split}.npz"), *things)
        photographs = [c for folder in ("backgrounds", "wallpapers")
                       for p in pictures(os.path.join(share, folder), (".jpg", ".png"))
                       if held_out(p) == wanted and not any(d in p for d in DRAWN) for c in crops(p, rng)]
        np.save(os.path.join(work, f"backgrounds-{split}.npy"), np.stack(photographs))
        print(f"{split}: {len(things)} cut-outs, {len(photographs)} backgrounds")


class Materials:
    """`bare`: how often a background is drawn."""

    def __init__(self, work, split, bare=0.2):
        self.bare = bare
        with np.load(os.path.join(work, f"cutouts-{split}.npz")) as z:
            self.cutouts = [z[k] for k in z.files]
        self.backgrounds = np.load(os.path.join(work, f"backgrounds-{split}.npy"), mmap_mode="r")

    def background(self, rng):
        """[432, 768, 3] uint8: a photograph, now and then a drawn room or pattern."""
        if rng.random() < self.bare:
            return drawn(rng) if rng.random() < 0.7 else plain(rng)
        image = np.array(self.backgrounds[rng.integers(len(self.backgrounds))])
        if rng.random() < 0.5:
            image = image[:, ::-1]
        if rng.random() < 0.15:     # a street from above, a wall: hardly anything to hold on to
            mean = image.mean((0, 1))
            image = (mean + (image - mean) * rng.uniform(0.08, 0.4)).astype(np.uint8)
        if rng.random() < 0.2:
            image = cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)  # a camera at night
        return np.ascontiguousarray(image)

    def thing(self, rng):
        """RGBA premultiplied: a cut-out, or a piece of a photograph in a smooth shape."""
        if rng.random() < 0.6:
            image = self.cutouts[rng.integers(len(self.cutouts))]
            if rng.random() < 0.3:      # a drawing's outline, a photograph's surface
                image = clad(image, self.backgrounds[rng.integers(len(self.backgrounds))], rng)
            if rng.random() < 0.3:      # as dark as people are under most lamps
                image = (image * np.array([*(rng.uniform(0.25, 1.0, 3)), 1])).astype(np.uint8)
            return image[:, ::-1] if rng.random() < 0.5 else image
        return blob(self.backgrounds[rng.integers(len(self.backgrounds))], rng)


def arm(rng, side):
    """An arm that reaches in from `side`: a sleeve, a forearm, a hand; drawn as if from above, then turned."""
    long, wide = int(rng.integers(120, 320)), int(rng.integers(24, 60))
    y, x = np.mgrid[0:long, 0:wide].astype(np.float32)
    down, across = y / long, np.abs(x - wide / 2 - rng.uniform(-0.1, 0.1) * wide * np.sin(3 * y / long)) / (wide / 2)
    hand = 1 - ((down - 0.88) / 0.12) ** 2
    edge = np.where(down < 0.8, rng.uniform(0.75, 0.95) - rng.uniform(0.2, 0.5) * down, 0)
    edge = np.maximum(edge, rng.uniform(0.6, 0.9) * np.sqrt(np.maximum(hand, 0)))
    alpha = np.clip((edge - across) * wide / 4, 0, 1)[..., None]
    skin = np.array([225, 175, 140]) * rng.uniform(0.3, 1.1)
    sleeve = rng.uniform(0, 255, 3) if rng.random() < 0.8 else skin
    colour = np.where((down < rng.uniform(0.3, 0.75))[..., None], sleeve, skin) * (1.1 - 0.5 * across[..., None] ** 2)
    colour += cv2.GaussianBlur(rng.normal(0, 25, colour.shape).astype(np.float32), (0, 0), 2)
    image = np.concatenate((np.clip(colour, 0, 255) * alpha, alpha * 255), 2).round().astype(np.uint8)
    return np.ascontiguousarray(image if side == "top" else np.rot90(image, 1 if side == "left" else 3))


def blob(photograph, rng):
    """A closed curve around a centre, its radius a few random waves, filled with texture or one colour."""
    w, h = rng.integers(40, SIDE), rng.integers(40, SIDE)
    y, x = np.mgrid[0:h, 0:w]
    u, v = (x - w / 2) / (w / 2), (y - h / 2) / (h / 2)
    angle, radius = np.arctan2(v, u), np.hypot(u, v)
    if rng.random() < 0.3:      # a box, a bar, or a corner of one
        radius = np.maximum(np.abs(u), np.abs(v + (u if rng.random() < 0.3 else 0)))
    edge = 0.8 + sum(rng.normal(0, 0.08) * np.cos(k * angle + rng.uniform(0, 6.3)) for k in range(2, 6))
    alpha = np.clip((edge - radius) * min(w, h) / 4, 0, 1)[..., None]
    top, left = rng.integers(0, CANVAS_H - h), rng.integers(0, CANVAS_W - w)
    colour = np.array(photograph[top : top + h, left : left + w], np.float32)
    if rng.random() < 0.4:
        share = rng.choice([0.7, 1])
        colour = colour * (1 - share) + share * rng.uniform(0, 255, 3)
    return np.concatenate((colour * alpha, alpha * 255), 2).round().astype(np.uint8)


def clad(image, photograph, rng):
    """A cut-out of a piece of a photograph, with some of its own light and shade."""
    h, w = image.shape[:2]
    top, left = rng.integers(0, CANVAS_H - h), rng.integers(0, CANVAS_W - w)
    surface = np.array(photograph[top : top + h, left : left + w], np.float32)
    alpha = image[..., 3:].astype(np.float32) / 255
    grey = image[..., :3].mean(-1, keepdims=True) / np.maximum(alpha, 1 / 255)
    own = rng.uniform(0, 0.7)
    colour = surface * (1 - own + own * np.minimum(grey, 255) / 128)
    return np.concatenate((np.minimum(colour, 255) * alpha, alpha * 255), 2).round().astype(np.uint8)


def plain(rng):
    """One colour that becomes another, with or without clouds: a wall, the sky."""
    a, b = rng.uniform(0, 255, (2, 3))
    way = np.linspace(0, rng.uniform(0, 1), CANVAS_H)[:, None, None]
    image = np.broadcast_to(a * (1 - way) + b * way, (CANVAS_H, CANVAS_W, 3)).astype(np.float32)
    if rng.random() < 0.5:
        clouds = cv2.GaussianBlur(rng.normal(0, 1, (CANVAS_H, CANVAS_W)).astype(np.float32), (0, 0), rng.uniform(2, 30))
        image = image + (clouds / clouds.std() * rng.uniform(3, 40))[..., None]
    return np.clip(image, 0, 255).astype(np.uint8)


def drawn(rng):
    """Walls, floor, boards and windows in plain colours: what cameras in rooms and streets look at."""
    image = np.empty((CANVAS_H, CANVAS_W, 3), np.float32)
    image[:] = rng.uniform(40, 230, 3)
    floor = int(rng.uniform(0.4, 0.8) * CANVAS_H)
    image[floor:] = rng.uniform(30, 200, 3)
    for _ in range(rng.integers(3, 14)):
        w, h = rng.integers(20, 240), rng.integers(20, 200)
        x, y = rng.integers(-40, CANVAS_W), rng.integers(-40, CANVAS_H)
        cv2.rectangle(image, (int(x), int(y)), (int(x + w), int(y + h)), rng.uniform(0, 255, 3).tolist(),
                      -1 if rng.random() < 0.7 else 3)
    for _ in range(rng.integers(0, 8)):
        points = rng.integers(0, (CANVAS_W, CANVAS_H), (2, 2))
        cv2.line(image, tuple(map(int, points[0])), tuple(map(int, points[1])), rng.uniform(0, 255, 3).tolist(),
                 int(rng.integers(1, 6)))
    ramp = np.linspace(rng.uniform(0.6, 1), rng.uniform(0.6, 1), CANVAS_W)[None, :, None]
    grain = cv2.GaussianBlur(rng.normal(0, 30, image.shape).astype(np.float32), (0, 0), rng.uniform(0.6, 4))
    return np.clip(image * ramp + grain, 0, 255).astype(np.uint8)


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description="Fetch and prepare what clips are rendered of.")
    arguments.add_argument("--work", required=True)
    build(arguments.parse_args().work)
