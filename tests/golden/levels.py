# SPDX-License-Identifier: LGPL-2.1-or-later
"""What is said under every instruction set beside what the scalar path says. Prints TAP.

usage: levels.py TERN MODELS [LEVEL...]

LEVEL: values of TERN_CPU (default: all); those that this CPU lacks are skipped. The bundled model describes pictures that
are made here, greedily, and the tiny models in data continue their own prompts. Tokens have to be the scalar path's up to
the first place where its two likeliest tokens stand closer than NEAR: there either may be said, and what follows differs.
(A tower in bf16 instead of floats moves logits of the bundled model by some hundredths on such pictures.)
"""
import array
import os
import pathlib
import re
import struct
import subprocess
import sys
import tempfile
import zlib

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from tap import patience, plan, point  # noqa: E402

TERN, MODELS = os.path.abspath(sys.argv[1]), pathlib.Path(sys.argv[2])
DATA = pathlib.Path(__file__).resolve().parent / "data"
LEVELS = sys.argv[3:] or ["avx2", "avxvnni", "avx512vnni", "avx512vbmi", "avx512bf16", "amx", "neon", "dotprod", "i8mm"]
NEAR, SAID, SIDE = .1, 16, 224
TINY = ("lfm2/*.gguf", "families/*.gguf", "lfm2s/*.gguf")
PROMPT = [1, 6, 977, 230, 15, -1, 16, 459, 629, 639, 45, 7, 230, 6, 976, 230]   # Describe what happens.


def picture(path, kind):
    """Gradients, discs and noise: not what the model was trained on, but not flat either."""
    rows = bytearray()
    for y in range(SIDE):
        rows.append(0)
        for x in range(SIDE):
            if kind == 0:
                rows += bytes((x, y, (x + y) // 2))
            elif kind == 1:
                inside = (x - 112) ** 2 + (y - 90) ** 2 < 60 ** 2
                rows += bytes((200, 60, 30) if inside else (90, 140 + y // 4, 220 - y // 2))
            else:
                noise = (x * 2654435761 + y * 40503) >> 9 & 63
                rows += bytes((40 + noise, 90 + noise // 2, 30 + y // 3))

    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", SIDE, SIDE, 8, 2, 0, 0, 0))
                     + chunk(b"IDAT", zlib.compress(bytes(rows))) + chunk(b"IEND", b""))


def run(level, *args):
    return subprocess.run([TERN, *map(str, args)], capture_output=True, text=True, timeout=patience(200), check=False,
                          env=dict(os.environ, TERN_CPU=level))


def logits(level, folder, case, ids, said):
    """(what is said after @ids, the last row of logits)."""
    tokens, out = folder / "tokens", folder / "out.npy"
    tokens.write_text(" ".join(map(str, ids)))
    done = run(level, "logits", *case, "--tokens", tokens, "--output", out, "--greedy", said)
    if done.returncode:
        raise RuntimeError(done.stderr.strip())
    data = out.read_bytes()
    header = data[10:10 + int.from_bytes(data[8:10], "little")].decode()
    columns = int(re.search(r"'shape': \(\d+, (\d+)", header)[1])
    row = array.array("f", data[-4 * columns:])
    words = done.stdout.strip().splitlines()[-1].split() if said else []
    return [int(w) for w in words], row


def compare(level, folder, name, case, ids, scalar):
    found, _ = logits(level, folder, case, ids, SAID)
    same = next((i for i, (a, b) in enumerate(zip(scalar, found)) if a != b), None)
    if same is None:
        point(found == scalar, f"{level}: {name}: {len(found)} tokens as by the scalar path",
              f"expected {scalar}", f"found {found}")
        return
    _, row = logits("scalar", folder, case, ids + scalar[:same], 1)
    gap = row[scalar[same]] - row[found[same]]
    point(gap < NEAR, f"{level}: {name}: {same} tokens as by the scalar path, then a near tie (logits {gap:.4f} apart)",
          f"expected {scalar[same]}, found {found[same]}: their logits are {gap:.4f} apart, more than {NEAR}")


def cases(folder):
    """(name, arguments of `tern logits`, tokens)."""
    text, encoder = next(MODELS.glob("tern-captioner-*.gguf")), next(MODELS.glob("mmproj-tern-captioner-*.gguf"))
    for kind in range(3):
        image = folder / f"{kind}.png"
        picture(image, kind)
        yield (f"the bundled model on picture {kind}", ["--model", text, "--mmproj", encoder, "--image", image],
               PROMPT)
    for pattern in TINY:
        for file in sorted(DATA.glob(pattern)):
            yield file.stem, ["--model", file], [1, 17, 42, 5, 99, 23]


def main():
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        known = [(*case, logits("scalar", folder, case[1], case[2], SAID)[0]) for case in cases(folder)]
        for level in LEVELS:
            tried = run(level, "inspect", known[-1][1][1])
            if tried.returncode:
                point(True, level, skip="this CPU or build lacks it")
                continue
            for case, arguments, ids, scalar in known:
                compare(level, folder, case, arguments, ids, scalar)
    plan()
    return 0


sys.exit(main())
