# SPDX-License-Identifier: LGPL-2.1-or-later
"""Towers to which two frames are one picture (qwen3vl_merger, and small ones that are told what moves), through the elements and
through `tern caption`: the same captions of the same clip, in the same windows, to the last bit of their confidence. Of those that
look back to the frame before, ternencoder's tokens are `tern logits`', too. Prints TAP.

usage: pairs.py TERN PLUGIN DATA CLIP

PLUGIN is the folder of the plugin, DATA tests/golden/data.
"""
import json
import os
import pathlib
import random
import shutil
import struct
import subprocess
import sys
import tempfile
import zlib

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import tiny_gguf  # noqa: E402
from tap import patience, plan, point  # noqa: E402

TERN, PLUGIN, DATA, CLIP = os.path.abspath(sys.argv[1]), sys.argv[2], pathlib.Path(sys.argv[3]), sys.argv[4]
QWEN = DATA / "qwen35/qwen35-q8_0.gguf", DATA / "qwen35/mmproj-f32.gguf"
QWEN3VL = DATA / "qwen3vl/qwen3vl-q8_0.gguf", DATA / "qwen3vl/mmproj-f16.gguf"     # rows with features of early layers
LFM2 = DATA / "lfm2/lfm2-tq2_0.gguf"
FIELDS = ("start", "end", "result", "frames", "visual_in", "visual_kept", "prompt_tokens", "confidence", "finish_reason")
# frames a second, seconds, gate, the clip's own rate (None: as it is); an odd number of frames in all of these but the first
CASES = [("2/1", 4, "auto", None), ("3/1", 3, "auto", None), ("5/2", 4, "off", None), ("2/1", 4, "on", "1/1"),
         ("7/3", 6, "on", "3/2")]
# The same of a tower that is told what moves, by version
MOVING = [(1, ("5/2", 4, "off", None)), (2, ("5/2", 4, "off", None)), (2, ("3/1", 3, "on", None)), (2, ("7/3", 6, "on", "3/2"))]
WIDTH, HEIGHT = 96, 64


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


def small_tower(path, version):
    """One block in front of LFM2, with tern.vision.motion = @version."""
    def linear(name, columns, rows):
        scale = 2 / columns**0.5
        return {f"{name}.weight": ([columns, rows], [drawn.uniform(-scale, scale) for _ in range(columns * rows)]),
                f"{name}.bias": ([rows], [drawn.uniform(-0.3, 0.3) for _ in range(rows)])}

    def norm(name, n):
        return {f"{name}.weight": ([n], [1.0] * n), f"{name}.bias": ([n], [0.0] * n)}

    drawn = random.Random(version)
    vision = {"patch_size": 16, "embedding_length": 8, "feed_forward_length": 12, "block_count": 1, "projection_dim": 256,
              "attention.head_count": 2, "projector.scale_factor": 2, "image_min_pixels": WIDTH * HEIGHT // 2,
              "image_max_pixels": 2 * WIDTH * HEIGHT}
    keys = {"general.architecture": (tiny_gguf.STRING, "clip"), "clip.projector_type": (tiny_gguf.STRING, "lfm2"),
            "clip.use_gelu": (tiny_gguf.BOOL, True), "clip.vision.attention.layer_norm_epsilon": (tiny_gguf.F32, 1e-6),
            "clip.vision.image_mean": (tiny_gguf.F32, [0.5] * 3), "clip.vision.image_std": (tiny_gguf.F32, [0.5] * 3),
            "tern.vision.motion": (tiny_gguf.U32, version)}
    keys |= {f"clip.vision.{name}": (tiny_gguf.U32, value) for name, value in vision.items()}
    tensors = {"v.patch_embd.weight": ([16, 16, 3, 8], [drawn.uniform(-0.06, 0.06) for _ in range(16 * 16 * 3 * 8)]),
               "v.position_embd.weight": ([8, 16], [drawn.uniform(-1, 1) for _ in range(8 * 16)])}
    for name, columns, rows in [("attn_q", 8, 8), ("attn_k", 8, 8), ("attn_v", 8, 8), ("attn_out", 8, 8), ("ffn_up", 8, 12),
                                ("ffn_down", 12, 8)]:
        tensors |= linear(f"v.blk.0.{name}", columns, rows)
    tensors |= norm("v.blk.0.ln1", 8) | norm("v.blk.0.ln2", 8) | norm("v.post_ln", 8) | norm("mm.input_norm", 32)
    tensors |= linear("mm.1", 32, 16) | linear("mm.2", 16, 256)
    tensors |= linear("mm.motion.1", 24 * version, 16) | linear("mm.motion.2", 16, 256)
    tiny_gguf.write(path, keys, tensors)
    return path


def compare(folder, model, mmproj, what, rate, window, gate, own):
    clip = slower(folder, own) if own else CLIP
    files = [f"model-path={model}", f"mmproj-path={mmproj}"]
    library = run([TERN, "caption", "--model", model, "--mmproj", mmproj, "--frame-rate", rate, "--window", window, "--gate", gate,
                   "--max-tokens-per-frame", 16, "--max-tokens", 12, "--prompt", "What?", clip])
    out = folder / "elements.json"
    elements = run(["gst-launch-1.0", "-q", "filesrc", f"location={clip}", "!", "decodebin", "!", "ternencoder", *files,
                    f"frame-rate={rate}", f"gate={gate}", "!", "terncompressor", "max-tokens-per-frame=16", "!", "terngenerator",
                    *files, "prompt=What?", "max-tokens=12", f"window={window * 10**9}", "name=g", "g.json_src", "!", "filesink",
                    f"location={out}"])
    expected, found = (lines(text) for text in (library.stdout, out.read_bytes()))
    what += f": {rate} frames a second, windows of {window} s, gate {gate}" + (f", a clip of {own}" if own else "")
    point(len(expected) > 2 and expected == found, what, f"expected {expected}", f"found {found}", library.stderr.decode(),
          elements.stderr.decode())


def compare_jobs(folder, model, mmproj):
    """Three copies of a clip at once, whose streams do not know of each other: thrice what one alone says."""
    clips = [folder / f"copy-{n}.mp4" for n in range(3)]
    for clip in clips:
        shutil.copyfile(CLIP, clip)
    given = [TERN, "caption", "--model", model, "--mmproj", mmproj, "--gate", "off", "--max-tokens", 12, "--prompt", "What?"]
    together = run([*given, "--jobs", 3, *clips])
    alone = run([*given, "--threads", 1, clips[0]])
    expected = lines(alone.stdout)
    found = {str(clip): [] for clip in clips}
    for line, source in zip(lines(together.stdout), map(json.loads, together.stdout.splitlines())):
        found[source["source"]].append(line)
    point(len(expected) > 2 and list(found.values()) == [expected] * 3, "three clips at once", f"expected {expected}",
          f"found {found}", together.stderr.decode())


def frame(f):
    """Stripes that move, in another light from frame 2 on."""
    return bytes((5 * x * y // 3 + 11 * (x - 4 * f) + 40 * c + (90 if f >= 2 else 0)) % 256 for y in range(HEIGHT)
                 for x in range(WIDTH)
                 for c in range(3))


def write_png(path, pixels):
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = b"".join(b"\0" + pixels[y * 3 * WIDTH:(y + 1) * 3 * WIDTH] for y in range(HEIGHT))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", WIDTH, HEIGHT, 8, 2, 0, 0, 0))
                     + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))
    return path


def tokens_of_elements(folder, mmproj, frames):
    raw, out = folder / "frames.rgb", folder / "tokens.f32"
    raw.write_bytes(b"".join(frames))
    done = run(["gst-launch-1.0", "-q", "filesrc", f"location={raw}", "!", "rawvideoparse", "format=rgb", f"width={WIDTH}",
                f"height={HEIGHT}", "framerate=2/1", "!", "ternencoder", f"model-path={LFM2}", f"mmproj-path={mmproj}", "gate=off",
                "frame-rate=2/1", "!", "filesink", f"location={out}"])
    return out.read_bytes() if out.exists() else b"", done.stderr.decode()


def tokens_of_logits(folder, mmproj, paths):
    out, ids = folder / "visual.npy", folder / "ids.txt"
    ids.write_text("1 " + "-1 " * ((len(paths) + 1) // 2))
    done = run([TERN, "logits", "--model", LFM2, "--mmproj", mmproj, *(f"--image={path}" for path in paths), f"--tokens={ids}",
                f"--output={folder / 'logits.npy'}", f"--visual={out}"])
    data = out.read_bytes() if out.exists() else bytes(10)
    return data[10 + struct.unpack_from("<H", data, 8)[0]:], done.stderr.decode()


def compare_tokens(folder, mmproj, n):
    """@n frames: as many bytes from both; those of every picture but the first are not what the picture has by itself."""
    frames = [frame(f) for f in range(n)]
    paths = [write_png(folder / f"{f}.png", pixels) for f, pixels in enumerate(frames)]
    elements, errors = tokens_of_elements(folder, mmproj, frames)
    logits, more = tokens_of_logits(folder, mmproj, paths)
    size = WIDTH * HEIGHT // 32**2 * 256 * 4
    alone = b"".join(tokens_of_elements(folder, mmproj, frames[f:f + 2])[0] for f in range(0, n, 2))
    same = [elements[at:at + size] == alone[at:at + size] for at in range(0, len(elements), size)]
    point(len(elements) == (n + 1) // 2 * size and elements == logits and same == [True] + [False] * ((n - 1) // 2),
          f"the tokens of {n} frames, by ternencoder and tern logits", f"{len(elements)}, {len(logits)} bytes, as without "
          f"those before: {same}", errors, more)


with tempfile.TemporaryDirectory() as name:
    missing = None if shutil.which("gst-launch-1.0") else "no gst-launch-1.0"
    os.environ |= {"GST_PLUGIN_PATH": PLUGIN, "GST_REGISTRY": f"{name}/registry"}
    towers = {version: small_tower(pathlib.Path(name) / f"mmproj-{version}.gguf", version) for version in (1, 2)}
    for case in CASES:
        if missing:
            point(False, str(case), skip=missing)
        else:
            compare(pathlib.Path(name), *QWEN, "qwen3vl", *case)
    if missing:
        point(False, "rows with features of early layers", skip=missing)
    else:
        compare(pathlib.Path(name), *QWEN3VL, "rows with features of early layers", *CASES[0])
    for version, case in MOVING:
        if missing:
            point(False, f"motion {version} {case}", skip=missing)
        else:
            compare(pathlib.Path(name), LFM2, towers[version], f"motion {version}", *case)
    if missing:
        point(False, "three clips at once", skip=missing)
    else:
        compare_jobs(pathlib.Path(name), LFM2, towers[2])
    for n in (5, 8):
        if missing:
            point(False, f"the tokens of {n} frames", skip=missing)
        else:
            compare_tokens(pathlib.Path(name), towers[2], n)
plan()
