# SPDX-License-Identifier: LGPL-2.1-or-later
"""A tower to which two frames are one picture (qwen3vl_merger), through the elements and through `tern caption`: the same
captions of the same clip, in the same windows, to the last bit of their confidence. Prints TAP.

usage: pairs.py TERN PLUGIN DATA CLIP

PLUGIN is the folder of the plugin, DATA tests/golden/data.
"""
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from tap import patience, plan, point  # noqa: E402

TERN, PLUGIN, DATA, CLIP = os.path.abspath(sys.argv[1]), sys.argv[2], pathlib.Path(sys.argv[3]), sys.argv[4]
MODEL, MMPROJ = DATA / "qwen35/qwen35-q8_0.gguf", DATA / "qwen35/mmproj-f32.gguf"
FIELDS = ("start", "end", "result", "frames", "visual_in", "visual_kept", "prompt_tokens", "confidence", "finish_reason")
# frames a second, seconds, gate, the clip's own rate (None: as it is); an odd number of frames in all of these but the first
CASES = [("2/1", 4, "auto", None), ("3/1", 3, "auto", None), ("5/2", 4, "off", None), ("2/1", 4, "on", "1/1"),
         ("7/3", 6, "on", "3/2")]


def run(arguments, **kwargs):
    return subprocess.run([str(a) for a in arguments], capture_output=True, timeout=patience(200), check=False, **kwargs)


def slower(folder, rate):
    """The clip at another rate, in a file that both read by libav: the same times and pixels."""
    path = folder / f"clip-{rate.replace(chr(47), chr(45))}.mkv"
    if not path.exists():
        run(["gst-launch-1.0", "-q", "filesrc", f"location={CLIP}", "!", "decodebin", "!", "videorate", "!",
             f"video/x-raw,framerate={rate}", "!", "videoconvert", "!", "avenc_ffv1", "!", "matroskamux", "!", "filesink",
             f"location={path}"])
    return path


def lines(text):
    """Times of a file to a hundredth: who reads it may or may not round the last frame's."""
    found = [{field: line.get(field) for field in FIELDS} for line in map(json.loads, text.splitlines())]
    return [line | {"end": round(line["end"], 2)} for line in found]


def compare(folder, rate, window, gate, own):
    clip = slower(folder, own) if own else CLIP
    files = [f"model-path={MODEL}", f"mmproj-path={MMPROJ}"]
    library = run([TERN, "caption", "--model", MODEL, "--mmproj", MMPROJ, "--frame-rate", rate, "--window", window, "--gate", gate,
                   "--max-tokens-per-frame", 16, "--max-tokens", 12, "--prompt", "What?", clip])
    out = folder / "elements.json"
    elements = run(["gst-launch-1.0", "-q", "filesrc", f"location={clip}", "!", "decodebin", "!", "ternencoder", *files,
                    f"frame-rate={rate}", f"gate={gate}", "!", "terncompressor", "max-tokens-per-frame=16", "!", "terngenerator",
                    *files, "prompt=What?", "max-tokens=12", f"window={window * 10**9}", "name=g", "g.json_src", "!", "filesink",
                    f"location={out}"])
    expected, found = (lines(text) for text in (library.stdout, out.read_bytes()))
    what = f"{rate} frames a second, windows of {window} s, gate {gate}" + (f", a clip of {own}" if own else "")
    point(len(expected) > 2 and expected == found, what, f"expected {expected}", f"found {found}", library.stderr.decode(),
          elements.stderr.decode())


with tempfile.TemporaryDirectory() as name:
    missing = None if shutil.which("gst-launch-1.0") else "no gst-launch-1.0"
    os.environ |= {"GST_PLUGIN_PATH": PLUGIN, "GST_REGISTRY": f"{name}/registry"}
    for case in CASES:
        if missing:
            point(False, str(case), skip=missing)
        else:
            compare(pathlib.Path(name), *case)
plan()
