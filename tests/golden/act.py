# SPDX-License-Identifier: LGPL-2.1-or-later
"""`tern act` as a user meets it: what it decides, from hidden states that `tern logits` agrees with, and what it refuses.
Prints TAP. (Heads are compared with numpy in test-action.c.)

usage: act.py TERN MODELS_FOLDER           (the folder with the bundled model)
"""
import array
import json
import math
import os
import pathlib
import shutil
import struct
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from tap import patience, plan, point  # noqa: E402

TERN, MODELS = os.path.abspath(sys.argv[1]), pathlib.Path(sys.argv[2]).resolve()
MODEL = MODELS / "tern-captioner-4m-tq2_0.gguf"
MMPROJ = MODELS / "mmproj-tern-captioner-4m-f16.gguf"
ASK = "Pick up the yellow bottle."
SIDE, FPS, FRAMES, WIDTH = 224, 10, 12, 256


def tern(*args, data=None):
    run = subprocess.run([TERN, *map(str, args)], input=data, capture_output=True, timeout=patience(240),
                         env=dict(os.environ, LC_ALL="C"))
    return run.returncode, run.stdout.decode(), run.stderr.decode()


# ---- Files ----

def text_of(s):
    return struct.pack("<Q", len(s.encode())) + s.encode()


def value_of(v):
    if isinstance(v, str):
        return struct.pack("<I", 8) + text_of(v)
    if isinstance(v, int):
        return struct.pack("<II", 4, v)
    if isinstance(v, float):
        return struct.pack("<If", 6, v)
    if isinstance(v[0], str):
        return struct.pack("<IIQ", 9, 8, len(v)) + b"".join(map(text_of, v))
    return struct.pack("<IIQ", 9, 6 if isinstance(v[0], float) else 5, len(v)) + b"".join(
        struct.pack("<f" if isinstance(v[0], float) else "<i", x) for x in v)


def head(path, steps, dims, state, layers, kind="mlp", **more):
    """An MLP with these layers: [(weight rows, bias)]."""
    keys = {"general.architecture": "tern-action", "tern-action.kind": kind, "tern-action.space": "arm",
            "tern-action.dims": dims, "tern-action.steps": steps, "tern-action.rate.numerator": 30,
            "tern-action.rate.denominator": 2, "tern-action.names": [f"j{i}" for i in range(dims)],
            "tern-action.minimum": [-1e6] * dims, "tern-action.maximum": [1e6] * dims,
            "tern-action.embedding_length": WIDTH, "tern-action.state.dims": state,
            **{"tern-action." + k.replace("__", "."): v for k, v in more.items()}}
    if len(layers) > 1:
        keys["tern-action.mlp.widths"] = [len(bias) for _, bias in layers[:-1]]
    infos, data = b"", b""
    for i, (weight, bias) in enumerate(layers):
        for name, shape, values in ((f"mlp.{i}.weight", (len(weight[0]), len(weight)), sum(weight, [])),
                                    (f"mlp.{i}.bias", (len(bias),), bias)):
            data += b"\0" * (-len(data) % 32)
            infos += text_of(name) + struct.pack("<I", len(shape)) + b"".join(struct.pack("<Q", n) for n in shape)
            infos += struct.pack("<IQ", 0, len(data))
            data += array.array("f", values).tobytes()
    raw = b"GGUF" + struct.pack("<IQQ", 3, 2 * len(layers), len(keys))
    raw += b"".join(text_of(k) + value_of(v) for k, v in keys.items()) + infos
    path.write_bytes(raw + b"\0" * (-len(raw) % 32) + data)
    return path


def npy(path, rows, kind="<f4", shape=None, fortran=False):
    text = f"{{'descr': '{kind}', 'fortran_order': {fortran}, 'shape': {shape or (len(rows), len(rows[0]))}, }}"
    text += " " * (63 - (10 + len(text)) % 64) + "\n"
    values = array.array("d" if kind == "<f8" else "f", sum(map(list, rows), []))
    path.write_bytes(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text.encode() + values.tobytes())
    return path


def luma(frame):
    """Blocks of four greys that are whole numbers in RGB too."""
    return [(x // 16 + (y // 16) * 3 + frame * (1 + x // 64)) % 4 for y in range(SIDE) for x in range(SIDE)]


def video(path, frames=FRAMES, fps=FPS):
    plain = b"\x80" * (2 * (SIDE // 2) ** 2)
    with open(path, "wb") as file:
        file.write(f"YUV4MPEG2 W{SIDE} H{SIDE} F{fps}:1 Ip A1:1 C420jpeg XCOLORRANGE=LIMITED\n".encode())
        for i in range(frames):
            file.write(b"FRAME\n" + bytes(16 + 73 * v for v in luma(i)) + plain)
    return path


def picture(path, frame):
    path.write_bytes(f"P6\n{SIDE} {SIDE}\n255\n".encode() + b"".join(bytes([85 * v] * 3) for v in luma(frame)))
    return path


# ---- What is decided ----

def act(folder, model, states, *more, clip=None):
    args = ["--states", states, "--state-rate", "30/1"] if states else []
    code, out, error = tern("act", "--action-model", model, "--model", MODEL, "--mmproj", MMPROJ, "--instruction", ASK, *args,
                            *more, clip or folder / "clip.y4m")
    return code, [json.loads(line) for line in out.splitlines()], error


def identity(folder):
    """A head that shows the hidden state."""
    rows = [[float(i == j) for j in range(WIDTH)] for i in range(WIDTH)]
    return head(folder / "identity.gguf", 1, WIDTH, 0, [(rows, [0.0] * WIDTH)])


def embeddings():
    """The matrix that makes logits: Q8_0."""
    about = json.loads(tern("inspect", "--json", MODEL)[1])
    tensor, = (t for t in about["tensors"] if t["name"] == "token_embd.weight")
    raw, rows = MODEL.read_bytes(), tensor["shape"][1]
    blocks, at = WIDTH // 32, tensor["offset"]
    for _ in range(rows):
        row = []
        for _ in range(blocks):
            d, *q = struct.unpack_from("<e32b", raw, at)
            row += [d * v for v in q]
            at += 34
        yield row


def logits_of(folder, frames, said=()):
    """Of the prompt that docs/action-model.md states, about these pictures, with these tokens behind it."""
    before = "<|startoftext|><|im_start|>user\n"
    after = f"{ASK}<|im_end|>\n<|im_start|>assistant\n"
    pieces = [before] + ["<|image_start|>", None, "<|image_end|>"] * len(frames) + [after]
    ids = []
    for piece in pieces:
        ids += ["-1"] if piece is None else tern("tokenize", "--model", MODEL, "--special", "--no-bos",
                                                 data=piece.encode())[1].split()
    (folder / "ids").write_text(" ".join([*ids, *map(str, said)]))
    images = sum((["--image", picture(folder / f"{f}.ppm", f)] for f in frames), [])
    code, _, error = tern("logits", "--model", MODEL, "--mmproj", MMPROJ, *images, "--tokens", folder / "ids", "--output",
                          folder / "logits.npy", "--activations", "f32")
    if code:
        raise SystemExit(error)
    raw = (folder / "logits.npy").read_bytes()
    values = array.array("f", raw[10 + int.from_bytes(raw[8:10], "little"):])
    rows = json.loads(raw[10:].split(b"'shape': (")[1].split(b")")[0].join([b"[", b"]"]))
    return [values[(rows[0] - n) * rows[1]:][:rows[1]] for n in range(len(said) + 1, 0, -1)]


def hidden_states(folder):
    """The decisions of a head that does nothing are what logits are made of."""
    model = identity(folder)
    code, lines, error = act(folder, model, None, "--every", 0.25, "--float-activations")
    times = [l["timestamp_seconds"] for l in lines]
    point(code == 0 and not error and times == [0, .25, .5, .75, 1], "a decision at each time while the video lasts", code,
          error, times)
    matrix = list(embeddings())
    for i, frame in ((0, 0), (1, 2), (4, 10)):
        found = [sum(a * b for a, b in zip(row, lines[i]["actions"])) for row in matrix]
        worst = max(abs(a - b) for a, b in zip(found, logits_of(folder, [frame])[0]))
        point(worst < 1e-3, f"at {times[i]} s the hidden state of frame {frame} gives the logits of the prompt", worst)
    two = head(folder / "two.gguf", 1, WIDTH, 0, [([[float(i == j) for j in range(WIDTH)] for i in range(WIDTH)],
                                                   [0.0] * WIDTH)], frames=2)
    code, lines, error = act(folder, two, None, "--every", 0.25, "--float-activations")
    point(code == 0 and [l["frames"] for l in lines] == [1, 2, 2, 2, 2], "two pictures a decision", code, error)
    found = [sum(a * b for a, b in zip(row, lines[3]["actions"])) for row in matrix]
    worst = max(abs(a - b) for a, b in zip(found, logits_of(folder, [5, 7])[0]))
    point(worst < 1e-3, "... those of this decision and the one before, in that order", worst)
    code, quantised, error = act(folder, model, None, "--every", 0.25)
    point(code == 0 and quantised[1]["actions"] != act(folder, model, None, "--every", 0.25, "--float-activations")[1][1][
        "actions"], "without --float-activations activations are quantised", code, error)


def kept_patches(folder):
    """Pictures of which a corner changes: the first is computed whole, of the others what stands still keeps its features."""
    clip, plain = folder / "corner.y4m", b"\x80" * (2 * (SIDE // 2) ** 2)
    with open(clip, "wb") as file:
        file.write(f"YUV4MPEG2 W{SIDE} H{SIDE} F{FPS}:1 Ip A1:1 C420jpeg XCOLORRANGE=LIMITED\n".encode())
        for i in range(FRAMES):
            moved = luma(i)
            picture_ = [moved[j] if j % SIDE < 32 and j < 32 * SIDE else v for j, v in enumerate(luma(0))]
            file.write(b"FRAME\n" + bytes(16 + 73 * v for v in picture_) + plain)
    found = {}
    for mode in ("off", "on"):
        code, lines, error = act(folder, folder / "identity.gguf", None, "--every", .1, "--reuse", mode, clip=clip)
        point(code == 0 and len(lines) == FRAMES, f"--reuse {mode}: a decision about each picture", code, error, len(lines))
        found[mode] = [line["actions"] for line in lines]
    near = [sum(a * b for a, b in zip(x, y)) / math.sqrt(sum(a * a for a in x) * sum(b * b for b in y))
            for x, y in zip(found["off"], found["on"])]
    point(found["off"][0] == found["on"][0] and any(x != y for x, y in zip(found["off"], found["on"])) and min(near) > .9,
          "what is kept is another hidden state, but a near one; the first picture's is the same", near)


def draw(n, seed):
    """Numbers between -1 and 1."""
    for _ in range(n):
        seed = (seed * 6364136223846793005 + 1442695040888963407) % 2 ** 64
        yield (seed >> 33) / 2 ** 30 - 1


def numbers(folder):
    """A head with everything: state, time, scaling, ranges."""
    steps, dims, state, inner = 4, 3, 2, 10
    values = draw(10 ** 6, 5)
    layers = []
    for a, b in ((WIDTH + state + 2, inner), (inner, steps * dims)):
        layers.append(([[next(values) * 1.5 / math.sqrt(a) for _ in range(a)] for _ in range(b)],
                       [next(values) * .2 for _ in range(b)]))
    model = head(folder / "head.gguf", steps, dims, state, layers, mlp__activation="tanh", mlp__time_features=2,
                 time__first=.5, state__normalization="mean_std", state__mean=[.5, -1.0], state__std=[2.0, .5],
                 action__normalization="min_max", action__low=[-1.0, 0.0, 2.0], action__high=[1.0, 4.0, 5.0],
                 minimum=[-.5, -1e6, -1e6], maximum=[.5, 1e6, 1e6], units=["m", "rad", ""])
    states = npy(folder / "s.npy", [[.1 * i, -1 + .05 * i] for i in range(40)])
    every = .2
    code, lines, error = act(folder, model, states, "--every", every, "--float-activations")
    hidden = act(folder, folder / "identity.gguf", None, "--every", every, "--float-activations")[1]
    low, high, worst = (-1, 0, 2), (1, 4, 5), 0
    for k, (line, seen) in enumerate(zip(lines, hidden)):
        row = math.floor(k * every * 30 + 1e-6)
        seconds = every if k else .5
        x = seen["actions"] + [(.1 * row - .5) / 2, (-1 + .05 * row + 1) / .5, seconds, math.log1p(seconds)]
        for i, (weight, bias) in enumerate(layers):
            x = [sum(w * v for w, v in zip(r, x)) + c for r, c in zip(weight, bias)]
            x = x if i else [math.tanh(v) for v in x]
        for i, y in enumerate(x):
            d = i % dims
            expected = low[d] + (y + 1) / 2 * (high[d] - low[d])
            worst = max(worst, abs((max(-.5, min(.5, expected)) if d == 0 else expected) - line["actions"][i]))
    point(code == 0 and len(lines) == 6 and worst < 1e-4, "actions equal those worked out by hand", code, error, len(lines),
          worst)
    first = lines[0]
    point(all(l["kind"] == "action" and l["action_steps"] == steps and l["action_rate"] == 15 and l["action_space"] == "arm"
              and l["action_names"] == ["j0", "j1", "j2"] and l["prompt"] == ASK and l["version"] == 2
              and l["finish_reason"] == "stop" and l["confidence"] == -1 and l["result"] == "" and l["generated_tokens"] == 0
              and len(l["actions"]) == steps * dims for l in lines), "what a line says", first)
    point(abs(act(folder, model, states)[1][1]["timestamp_seconds"] - steps / 15) < 1e-9, "by default chunk follows chunk")
    timed = act(folder, model, states, "--every", every, "--metrics")[1]
    point(all("metrics" not in l for l in lines) and len(timed) == len(lines)
          and all(0 <= l["metrics"]["decode_duration"] <= l["metrics"]["total_duration"] for l in timed),
          "--metrics adds the times: the head's within the whole", timed[:1])
    long = act(folder, model, npy(folder / "short.npy", [[0, 0], [1, 1]]), "--every", "0.5")
    point(long[0] == 0 and len(long[1]) == 3 and "2 rows end at 0.067 s" in long[2] and "short.npy" in long[2],
          "states that end before the video are told", *long)
    return model, states


def earlier(folder):
    """A head that says the states it sees: row i of the states is i."""
    rows = [[0.0] * WIDTH + [float(i == j) for j in range(4)] for i in range(4)]
    model = head(folder / "earlier.gguf", 1, 4, 1, [(rows, [0.0] * 4)], state__lags=[1 / 30, .1, .5])
    code, lines, error = act(folder, model, npy(folder / "rows.npy", [[float(i)] for i in range(40)]), "--every", ".2")
    expected = [[max(6 * k - lag, 0) for lag in (0, 1, 3, 15)] for k in range(6)]
    point(code == 0 and [line["actions"] for line in lines] == expected, "states of before are the rows of before", code,
          error, lines, expected)


def rates(folder):
    """The same rows whichever way their rate is written."""
    model = folder / "earlier.gguf"
    states = npy(folder / "rows.npy", [[float(i)] for i in range(40)])

    def rows(rate):
        code, out, error = tern("act", "--action-model", model, "--model", MODEL, "--mmproj", MMPROJ, "--instruction", ASK,
                                "--states", states, "--state-rate", rate, "--every", ".2", folder / "clip.y4m")
        return code, [json.loads(line)["actions"][0] for line in out.splitlines()], error

    for rate, value in (("30", 30), ("29.97", 29.97), ("30000/1001", 30000 / 1001), ("14.5", 14.5), ("0.5", .5), (".5", .5),
                        ("29.", 29), ("030", 30)):
        code, found, error = rows(rate)
        expected = [math.floor(.2 * k * value + 1e-6) for k in range(6)]
        point(code == 0 and found == expected, f"--state-rate {rate}", code, error, found, expected)


def late(folder):
    """Pictures that begin later than the file: states of before have none."""
    file = folder / "late.mkv"
    if not shutil.which("ffmpeg"):
        point(False, "pictures that begin late", skip="no ffmpeg")
        return
    for start in (3, .1):
        subprocess.run(["ffmpeg", "-v", "error", "-y", "-f", "lavfi", "-i", "sine=duration=4", "-itsoffset", str(start), "-i",
                        folder / "clip.y4m", "-map", "0:a", "-map", "1:v", "-c:a", "pcm_s16le", "-c:v", "ffv1", file], check=True)
        states = npy(folder / "long.npy", [[float(i)] for i in range(130)])
        code, lines, error = act(folder, folder / "earlier.gguf", states, "--every", "1", clip=file)
        seen = act(folder, folder / "identity.gguf", None, "--every", "1", clip=file)[1]
        early = act(folder, folder / "identity.gguf", None, "--every", "1")[1]
        times = [line["timestamp_seconds"] for line in lines]
        if start == 3:
            point(code == 0 and times == [3, 4] and [line["actions"][0] for line in lines] == [90, 120]
                  and "late.mkv: its first picture is at 3.000 s: 3 decisions before it left out" in error,
                  "pictures from 3 s on: decisions from then on, with states of then", code, error, times)
            point([line["actions"] for line in seen] == [line["actions"] for line in early], "... about the pictures of then",
                  len(seen), len(early))
        else:
            point(code == 0 and times == [0, 1] and "left out" not in error
                  and "long.npy: its 130 rows go on until 4.333 s, the video ends at 1.300 s" in error,
                  "pictures that are late by a decoder's delay: none is left out; states behind the video are told",
                  code, error, times)
    code, lines, error = act(folder, folder / "identity.gguf", None, "--every", "50", clip=file)
    point(code == 0 and len(lines) == 1, "a decision at 0 s alone", code, error)
    subprocess.run(["ffmpeg", "-v", "error", "-y", "-f", "lavfi", "-i", "sine=duration=4", "-itsoffset", "3", "-i",
                    folder / "clip.y4m", "-map", "0:a", "-map", "1:v", "-c:a", "pcm_s16le", "-c:v", "ffv1", file], check=True)
    code, lines, error = act(folder, folder / "identity.gguf", None, "--every", "50", clip=file)
    first = act(folder, folder / "identity.gguf", None, "--every", "1", clip=file)[1][0]
    point(code == 0 and [(line["timestamp_seconds"], line["actions"]) for line in lines] == [(3, first["actions"])]
          and "1 decision before it left out" in error and "no decision is due while there are pictures, 3.000 to 4.200 s" in error,
          "where none is due while there are pictures, one is made about the first", code, error, lines)


def words(folder):
    """Numbers that the language model says: always the likeliest token of the number's own set."""
    steps, dims, bins = 3, 2, 16
    sets = [list(range(100, 100 + bins)), list(range(900, 900 - 3 * bins, -3))]
    model = head(folder / "words.gguf", steps, dims, 0, [], kind="tokens", tokens__bins=bins, tokens__ids=sum(sets, []),
                 action__normalization="min_max", action__low=[0.0, -2.0], action__high=[8.0, 2.0])
    code, lines, error = act(folder, model, None, "--every", "0.5", "--float-activations")
    point(code == 0 and len(lines) == 3 and all(l["generated_tokens"] == steps * dims and l["kind"] == "action" for l in lines),
          "actions are said as tokens", code, error, lines)
    for line, frame in zip(lines, (0, 5, 10)):
        bins_said = [round(((v - (0, -2)[i % 2]) / (8, 4)[i % 2]) * bins - .5) for i, v in enumerate(line["actions"])]
        said = [sets[i % 2][b] for i, b in enumerate(bins_said)]
        rows = logits_of(folder, [frame], said[:-1])
        best = [max(sets[i % 2], key=lambda t: row[t]) for i, row in enumerate(rows)]
        exact = max(abs((0, -2)[i % 2] + (b + .5) / bins * (8, 4)[i % 2] - v) for i, (b, v) in enumerate(
            zip(bins_said, line["actions"])))
        point(said == best and exact < 1e-6, f"at {line['timestamp_seconds']} s the likeliest ones of each set", said, best, exact)


# ---- What is refused ----

def refused(folder, model, states):
    clip = folder / "clip.y4m"
    needed = {"--action-model": model, "--model": MODEL, "--mmproj": MMPROJ, "--instruction": ASK, "--states": states,
              "--state-rate": "30/1"}

    def run(change, *operands):
        options = {**needed, **change}
        return tern("act", *sum(([k, v] for k, v in options.items() if v is not None), []), *(operands or [clip]))

    for what, change, words in (
            ("no action model", {"--action-model": None}, ["--action-model"]),
            ("no instruction", {"--instruction": None}, ["--instruction"]),
            ("no states", {"--states": None}, ["--states"]),
            ("no rate", {"--state-rate": None}, ["--state-rate"]),
            ("a rate of 0", {"--state-rate": "0/1"}, ["--state-rate", "0/1"]),
            *((f"a rate that is none: {rate}", {"--state-rate": rate}, ["--state-rate", rate]) for rate in (
                "fast", "0.0", "29.97/1", "1e3", "-29.97", ".", "1..2", "0/2", "29.97000001", "nan", "1/0", "9999999")),
            ("an interval of 0", {"--every": "0"}, ["--every", "0.001", "found 0"]),
            ("an interval that is none", {"--every": "nan"}, ["--every"]),
            ("no picture", {"--frames": "0"}, ["--frames"]),
            ("a way of reusing that is none", {"--reuse": "often"}, ["--reuse", "often"]),
            ("a track before the first", {"--track": "-1"}, ["--track"])):
        code, out, error = run(change)
        point(code == 2 and not out and error.count("\n") == 1 and all(w in error for w in words), "usage: " + what, code, error)
    code, out, error = tern("act", "--action-model", model)
    point(code == 2 and "VIDEO" in error, "usage: no video", code, error)
    code, out, error = run({"--action-model": folder / "identity.gguf"})
    point(code == 2 and "takes no states" in error, "usage: states for a model that takes none", code, error)

    wide = head(folder / "wide.gguf", 1, 1, 0, [([[0.0] * 128], [0.0])], embedding_length=128)
    other = head(folder / "other.gguf", 1, 1, 0, [([[0.0] * WIDTH], [0.0])], language_model="Another")
    words_ = head(folder / "much.gguf", 1, 1, 0, [], kind="tokens", tokens__bins=2, tokens__ids=[1, 99999])
    encoder = head(folder / "encoder.gguf", 1, 1, 0, [([[0.0] * WIDTH], [0.0])], encoder_id="0" * 32)
    none = {"--states": None, "--state-rate": None}
    (folder / "text.npy").write_text("1 2 3\n")
    for what, change, words in (
            ("an action model that is not there", {"--action-model": folder / "x.gguf"}, ["x.gguf"]),
            ("another kind of file", {"--action-model": MODEL}, ["general.architecture", "tern-action", "lfm2"]),
            ("another width", {"--action-model": wide, **none}, ["wide.gguf", "128 wide", "256 wide"]),
            ("another language model", {"--action-model": other, **none}, ["other.gguf", "Another", "Tern Captioner 4M"]),
            ("tokens that the model has not", {"--action-model": words_, **none}, ["much.gguf", "100000", "3072"]),
            ("another encoder", {"--action-model": encoder, **none}, ["encoder.gguf", "0" * 32]),
            ("states that are not there", {"--states": folder / "x.npy"}, ["x.npy"]),
            ("states that are text", {"--states": folder / "text.npy"}, ["text.npy"]),
            ("states of another width", {"--states": npy(folder / "w.npy", [[1, 2, 3]])}, ["w.npy", "[n, 2]", "[1, 3]"]),
            ("states in a line", {"--states": npy(folder / "l.npy", [[1, 2]], shape=(2,))}, ["l.npy", "[n, 2]", "[2]"]),
            ("no row", {"--states": npy(folder / "n.npy", [[]], shape=(0, 2))}, ["n.npy", "[0, 2]"]),
            ("states in double precision", {"--states": npy(folder / "d.npy", [[1, 2]], "<f8")}, ["d.npy", "'<f4'", "'<f8'"]),
            ("states as bytes", {"--states": npy(folder / "b.npy", [[1, 2]], "|u1", (4, 2))}, ["b.npy", "'<f4'", "'|u1'"]),
            ("states in columns", {"--states": npy(folder / "f.npy", [[1, 2]], fortran=True)},
             ["f.npy", "C order", "fortran_order: True"]),
            ("states turned", {"--states": npy(folder / "t.npy", [[1, 2, 3], [1, 2, 3]])}, ["t.npy", "[n, 2]", "[2, 3]"]),
            ("states that are cut off", {"--states": npy(folder / "c.npy", [[1, 2]], shape=(2, 2))}, ["c.npy", "8 bytes for 16"]),
            ("a state that is no number", {"--states": npy(folder / "nan.npy", [[1, 2], [3, math.nan]])},
             ["nan.npy", "nan in row 1, number 1"])):
        code, out, error = run(change)
        point(code == 1 and not out and error.count("\n") == 1 and all(w in error for w in words), "refused: " + what, code, error)
    code, out, error = run({}, folder / "nothing.mp4")
    point(code == 1 and "nothing.mp4" in error, "refused: a video that is not there", code, error)
    code, out, error = run({}, "http://127.0.0.1:9/x.mp4")
    point(code == 2 and "--allow-network" in error, "refused: an address", code, error)
    code, out, error = run({"--track": "0"}, "--allow-network", "http://127.0.0.1:9/x.mp4")
    point(code == 1 and "127.0.0.1:9" in error and "--allow-network" not in error, "... which is tried where it may be", code,
          error)
    code, out, error = run({}, folder / "0.ppm")
    point(code == 2 and "0.ppm" in error and "still" in error, "refused: a still", code, error)
    long = npy(folder / "longer.npy", [[0.0, 0.0]] * 300)
    process = subprocess.Popen([TERN, "act", *map(str, sum(([k, v] for k, v in {**needed, "--states": long}.items()), [])),
                                "--every", "0.1", str(clip)], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    process.stdout.readline(), process.stdout.close()
    error = process.stderr.read().decode()
    process.stderr.close()
    point(process.wait() == 1 and "Broken pipe" in error and "go on until" not in error,
          "a reader who goes: no word of where the video ends", error)
    cut = folder / "cut.y4m"
    cut.write_bytes(clip.read_bytes()[:7 * SIDE * SIDE])
    code, out, error = run({"--every": "0.1"}, cut)
    point(code == 1 and len(out.splitlines()) >= 3 and "cut.y4m" in error, "a video that is cut off: decisions until there", code,
          len(out.splitlines()), error)


with tempfile.TemporaryDirectory() as temporary:
    if not MODEL.exists():
        print("1..0 # SKIP the bundled model is not here")
        sys.exit(0)
    place = pathlib.Path(temporary)
    video(place / "clip.y4m")
    hidden_states(place)
    kept_patches(place)
    made = numbers(place)
    earlier(place)
    rates(place)
    late(place)
    words(place)
    refused(place, *made)
plan()
