# SPDX-License-Identifier: LGPL-2.1-or-later
"""The bundled vision encoders as they run (packed int8 and bf16) beside themselves on floats, on real pictures. Prints TAP.

usage: tower.py TERN MODELS VIDEO PHOTOGRAPHS

Pictures are frames of VIDEO, by gst-launch-1.0, and the first of PHOTOGRAPHS, a tar file of JPEG files as
../shared/data/flickr8k/val.tar; either is skipped where it cannot be had. The cosine of all visual tokens of a picture to
those in floats has to be LEAST.
"""
import array
import math
import os
import pathlib
import shutil
import subprocess
import sys
import tarfile
import tempfile

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from tap import patience, plan, point  # noqa: E402

TERN, MODELS, VIDEO, PHOTOGRAPHS = os.path.abspath(sys.argv[1]), *map(pathlib.Path, sys.argv[2:5])
LEAST, FRAMES, PHOTOS = .999, 4, 8


def frames(folder):
    """FRAMES pictures, 1 of 20 frames of the video."""
    if not shutil.which("gst-launch-1.0"):
        return "no gst-launch-1.0"
    done = subprocess.run(["gst-launch-1.0", "-q", "filesrc", f"location={VIDEO}", "!", "decodebin", "!", "videoconvert", "!",
                           "pngenc", "snapshot=false", "!", "multifilesink", f"location={folder}/frame-%04d.png"],
                          capture_output=True, text=True, timeout=patience(100), check=False)
    for i, path in enumerate(sorted(folder.glob("frame-*.png"))):
        if i % 20 or i // 20 >= FRAMES:
            path.unlink()
    return None if list(folder.glob("frame-*.png")) else "gst-launch-1.0: " + (done.stderr.strip() or "no frames")


def photographs(folder):
    """The first PHOTOS of the tar file."""
    if not PHOTOGRAPHS.exists():
        return f"{PHOTOGRAPHS} is not there"
    with tarfile.open(PHOTOGRAPHS) as tar:
        for member in [m for m in tar if m.isfile()][:PHOTOS]:
            (folder / pathlib.Path(member.name).name).write_bytes(tar.extractfile(member).read())
    return None


def models():
    """[(language model, its encoder)] of MODELS, by name."""
    encoders = sorted(MODELS.glob("mmproj-*.gguf"))
    return [(next(MODELS.glob(e.name.removeprefix("mmproj-").rpartition("-")[0] + "-*.gguf")), e) for e in encoders]


def tokens(folder, text, encoder, picture, activations):
    (folder / "tokens").write_text("1 -1")
    done = subprocess.run([TERN, "logits", "--model", text, "--mmproj", encoder, "--image", picture, "--tokens",
                           folder / "tokens", "--visual", folder / "visual.npy", "--greedy", "1", "--activations", activations],
                          capture_output=True, text=True, timeout=patience(100), check=False)
    if done.returncode:
        raise RuntimeError(done.stderr.strip())
    data = (folder / "visual.npy").read_bytes()
    return array.array("f", data[10 + int.from_bytes(data[8:10], "little"):])


def cosine(a, b):
    return sum(x * y for x, y in zip(a, b)) / math.sqrt(sum(x * x for x in a) * sum(y * y for y in b))


def main():
    with tempfile.TemporaryDirectory() as name:
        for what, make in ("frames of the video", frames), ("photographs", photographs):
            folder = pathlib.Path(name) / make.__name__
            folder.mkdir()
            lack = make(folder)
            for text, encoder in models():
                if lack:
                    point(False, f"{encoder.stem}: {what}", skip=lack)
                    continue
                found = {p.name: cosine(tokens(folder, text, encoder, p, "int8"), tokens(folder, text, encoder, p, "f32"))
                         for p in sorted(folder.iterdir()) if p.suffix in (".png", ".jpg")}
                worst = min(found.values())
                for picture, value in found.items():
                    print(f"# {picture}: {value:.6f}")
                point(worst >= LEAST, f"{encoder.stem}: {what}: cosine of {len(found)} pictures at least {worst:.5f}")
    plan()
    return 0


sys.exit(main())
