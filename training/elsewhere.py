# SPDX-License-Identifier: LGPL-2.1-or-later
"""Pictures of what Flickr8k does not show: places where nobody is, rooms, things, robots at their tables, what cameras on walls
see.

    python training/elsewhere.py --data ../shared/data --work DIR

Their captions stand in elsewhere.tsv, three of each, written for this project. The pictures come from where they are: panoramas
(npm @pmndrs/assets, CC0), wallpapers (watcher/materials.py names the packages), sample pictures (Debian's opencv-doc, PyPI's
scikit-image), frames of the robots' episodes and of the first halves of the real videos of ../shared/data. Some are held out, all
of one place together.
"""

import argparse
import base64
import glob
import json
import os
import re
import subprocess
import sys
import zlib

import cv2
import numpy as np

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), "watcher"))

SIZE = 224
VIEWS = 8                       # as it is, mirrored, both worn, and four looks at a part
TURNS, OPENING, DOWN = range(0, 360, 60), 78, 6     # of the views of a panorama, degrees
VIDEOS = {"bottle": "clips/intel-bottle-detection.mp4", "car": "clips/intel-car-detection.mp4",
          "person": "clips/intel-one-by-one-person-detection.mp4", "drive": "clips/udacity-solidWhiteRight.mp4",
          "asl-book": "clips/asl/book.mkv", "asl-eat": "clips/asl/eat.mkv"}
TABLE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "elsewhere.tsv")


def read(data):
    """{name: captions}, COCO's few photographs with their five among them."""
    with open(TABLE, encoding="utf8") as file:
        out = {name: captions for name, *captions in (line.rstrip("\n").split("\t") for line in file)}
    coco = os.path.join(data, "cocomini")
    if os.path.isdir(coco):
        with open(os.path.join(coco, "captions.json"), encoding="utf8") as file:
            out.update((f"coco-{os.path.splitext(p['file'])[0]}", p["captions"]) for p in json.load(file))
    return out


def place(name):
    """What a name has before its number: pictures of one place, of one episode."""
    return re.sub(r"-[\d.]+$", "", name)


def held_out(name):
    """A seventh, by place; of videos and robots none: they all show the same."""
    return name.split("-")[0] in ("hdri", "paper", "sample", "sk") and zlib.crc32(place(name).encode()) % 7 == 0


def square(image):
    """The middle of a BGR picture: uint8 [SIZE, SIZE, 3], RGB."""
    side = min(image.shape[:2])
    y, x = ((n - side) // 2 for n in image.shape[:2])
    way = cv2.INTER_AREA if side > SIZE else cv2.INTER_CUBIC
    return cv2.resize(image[y : y + side, x : x + side], (SIZE, SIZE), interpolation=way)[..., ::-1]


def looking(panorama, turn):
    """What a camera sees of an equirectangular panorama (float32, linear): BGR of 0 to 255, by Reinhard's curve."""
    h, w = panorama.shape[:2]
    across, down = np.meshgrid(*[np.linspace(-1, 1, 2 * SIZE) * np.tan(np.radians(OPENING) / 2)] * 2)
    tilt = np.radians(DOWN)
    y, z = down * np.cos(tilt) + np.sin(tilt), np.cos(tilt) - down * np.sin(tilt)
    longitude, latitude = np.arctan2(across, z) + np.radians(turn), np.arctan2(y, np.hypot(across, z))
    where = ((longitude / (2 * np.pi) + 0.5) % 1 * w), (latitude / np.pi + 0.5) * h
    light = cv2.remap(panorama, *(a.astype(np.float32) for a in where), cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP)
    light = np.clip(light * 0.6 / np.percentile(light, 75), 0, None)
    return np.clip(1.25 * light * (1 + light / 6) / (1 + light), 0, 1) ** (1 / 2.2) * 255


def panoramas(folder):
    if not os.path.isdir(os.path.join(folder, "package")):
        subprocess.run("npm pack @pmndrs/assets@1.7.0 && tar xzf pmndrs-assets-*.tgz", shell=True, check=True, cwd=folder)
    for path in sorted(glob.glob(os.path.join(folder, "package/hdri/*.exr.js"))):
        with open(path) as file:
            coded = base64.b64decode(re.search(r"base64,([^']+)", file.read())[1])
        # Of a pipe ffmpeg takes the first piece for the whole picture.
        with open(os.path.join(folder, "one.exr"), "wb") as file:
            file.write(coded)
        raw = subprocess.run("ffmpeg -v error -i one.exr -pix_fmt gbrpf32le -f rawvideo -", shell=True, check=True, cwd=folder,
                             stdout=subprocess.PIPE)
        half = int((len(raw.stdout) / 24) ** 0.5)       # three numbers of four bytes, twice as wide as high
        green, blue, red = np.frombuffer(raw.stdout, np.float32).reshape(3, half, 2 * half)
        for turn in TURNS:
            yield f"hdri-{os.path.basename(path)[:-7]}-{turn:03}", looking(np.stack((blue, green, red), -1), turn)


def wallpapers(work, wanted):
    """As the watcher's backgrounds: of several of one name the last."""
    import materials

    share = materials.unpack(work)
    for path in sorted(glob.glob(share + "/backgrounds/**/*.*", recursive=True)
                       + glob.glob(share + "/wallpapers/*/contents/images/*")):
        stem = path.split("/contents")[0] if "/contents" in path else os.path.splitext(path)[0]
        name = "paper-" + re.sub(r"\W", "_", os.path.basename(stem))
        if name in wanted and path.endswith((".jpg", ".png")) and not any(d in path for d in materials.DRAWN):
            yield name, cv2.imread(path)


def samples(folder, wanted):
    """Pictures of opencv-doc (those of hfs with an h behind their name) and of scikit-image."""
    if not os.path.isdir(os.path.join(folder, "skimage")):
        subprocess.run("apt-get download opencv-doc && dpkg-deb -x opencv-doc*.deb . "
                       "&& pip download --no-deps scikit-image==0.26.0 "
                       "&& unzip -oq scikit_image*.whl 'skimage/data/*'", shell=True, check=True, cwd=folder)
    found = {}
    for path in (glob.glob(folder + "/usr/share/doc/opencv-doc/examples/**/*.*", recursive=True)
                 + glob.glob(folder + "/skimage/data/*.*")):
        name = os.path.splitext(os.path.basename(path))[0] + ("h" if "/hfs/" in path else "")
        found[("sk-" if "/skimage/" in path else "sample-") + name] = path
    for name in wanted:
        if name in found:
            yield name, cv2.imread(found[name])


def frame(video, at):
    """One frame, BGR; `at`: a share below 1 of its frames, or seconds as text."""
    film = cv2.VideoCapture(video)
    if isinstance(at, str):
        film.set(cv2.CAP_PROP_POS_MSEC, float(at) * 1000)
    else:
        film.set(cv2.CAP_PROP_POS_FRAMES, int(film.get(cv2.CAP_PROP_FRAME_COUNT) * at))
    return film.read()[1]


def filmed(data, folder, wanted):
    """Frames of videos and of robots' episodes, by their names."""
    bridge = os.path.join(folder, "bridge")
    if not os.path.isdir(bridge) and os.path.isdir(os.path.join(data, "bridge")):
        subprocess.run([sys.executable, os.path.join(os.path.dirname(TABLE), "bridge.py"),
                        data + "/bridge/bridge_dataset-train.tfrecord", bridge],
                       check=True)
    episodes = {kind: {os.path.basename(p)[:-4]: p for p in glob.glob(f"{at}/videos/**/*.mp4", recursive=True)
                       if "image_" not in p or "image_0" in p}
                for kind, at in (("g1", data + "/g1"), ("gr00t", data + "/gr00t"), ("bridge", bridge))}
    for name in wanted:
        which, number = name.rsplit("-", 1)
        kind, _, episode = which.partition("-")
        if which in VIDEOS:
            yield name, frame(os.path.join(data, VIDEOS[which]), number)
        elif kind in episodes:
            at = {"g1": (0.1, 0.5, 0.9), "gr00t": (0.125, 0.375, 0.625, 0.875),
                  "bridge": np.arange(10) / 10 + 0.01}[kind][int(number)]
            yield name, frame(episodes[kind].get("episode_" + episode.removeprefix("episode_"), ""), at)


def gather(data, work):
    """{name: uint8 [SIZE, SIZE, 3]} of all that elsewhere.tsv names."""
    folder, wanted = os.path.join(work, "elsewhere"), read(data)
    os.makedirs(folder, exist_ok=True)
    out = {}
    for source in (panoramas(folder), wallpapers(work, wanted), samples(folder, wanted), filmed(data, folder, wanted)):
        out.update((name, square(image).astype(np.uint8)) for name, image in source if name in wanted and image is not None)
    out.update((n, square(cv2.imread(f"{data}/cocomini/{n[5:]}.jpg"))) for n in wanted if n.startswith("coco-"))
    return out


def path(work, split, view):
    return os.path.join(work, f"features-elsewhere-{split}-{view}.npy")


def seen(picture, view, number):
    """uint8 [3, SIZE, SIZE] of one of the VIEWS."""
    import worn

    rng = np.random.default_rng((view, number))
    if view >= 4:
        side = int(rng.uniform(0.72, 0.95) * SIZE)
        y, x = rng.integers(0, SIZE - side + 1, 2)
        picture = cv2.resize(picture[y : y + side, x : x + side], (SIZE, SIZE), interpolation=cv2.INTER_CUBIC)
    picture = picture[:, :: -1 if view % 2 else 1].transpose(2, 0, 1)
    return worn.worn(picture, rng) if view >= 2 else picture


def listed(work, split):
    return os.path.join(work, f"elsewhere-{split}.txt")


def names(work, split):
    """Of the pictures that were found, in the order of their features."""
    with open(listed(work, split), encoding="utf8") as file:
        return file.read().split()


def cache(data, work, tower):
    """The tower's outputs on every view, as features.py keeps them, of both splits. A source that is not there is left out, and
    that is said."""
    import features

    if os.path.exists(listed(work, "val")):
        return
    pictures, wanted = gather(data, work), read(data)
    if len(pictures) < len(wanted):
        missing = sorted(wanted.keys() - pictures.keys())
        print(f"elsewhere: {len(missing)} of {len(wanted)} pictures are not there, {missing[0]} among them")
    for split in ("train", "val"):
        found = sorted(n for n in pictures if held_out(n) == (split == "val"))
        for view in range(VIEWS if split == "train" else 1):
            looks = np.stack([seen(pictures[name], view, i) for i, name in enumerate(found)])
            np.save(path(work, split, view), features.seen(tower, looks))
        with open(listed(work, split), "w", encoding="utf8") as file:
            file.write("\n".join(found))


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description="Fetch these pictures, and have the tower see them.")
    arguments.add_argument("--data", default="../shared/data")
    arguments.add_argument("--work", required=True)
    options = arguments.parse_args()
    import common

    common.settle()
    import features

    cache(options.data, options.work, features.adapted(options.work))
