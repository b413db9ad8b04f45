# SPDX-License-Identifier: LGPL-2.1-or-later
"""bench/compare gives rivals the same model in another type: what its I2_S says is what the TQ2_0 said. Prints TAP.

usage: compare.py TERN DATA_FOLDER             (the folder with lfm2/)
"""
import pathlib
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
sys.path[:0] = [str(pathlib.Path(__file__).resolve().parents[n] / folder) for n, folder in ((2, "bench/compare"), (1, "."))]
import i2s  # noqa: E402
import rivals  # noqa: E402
from tap import plan, point  # noqa: E402

TERN, SOURCE = sys.argv[1], pathlib.Path(sys.argv[2]) / "lfm2/lfm2-tq2_0.gguf"


def run(*words):
    return subprocess.run([TERN, *map(str, words)], check=True, capture_output=True, text=True).stdout


def logits(model, folder):
    (folder / "ids").write_text("1 5 77 200 3")
    run("logits", "--model", model, "--tokens", folder / "ids", "--output", folder / "out.npy")
    return (folder / "out.npy").read_bytes()


def refusal(function, *arguments):
    try:
        function(*arguments)
    except (ValueError, rivals.Missing) as reason:
        return str(reason)
    return ""


def points(folder):
    i2s.convert(SOURCE, folder / "i2s.gguf")
    listed = run("inspect", folder / "i2s.gguf")
    yield " I2_S " in listed and "TQ2_0" not in listed, "every ternary matrix is I2_S"
    yield logits(SOURCE, folder) == logits(folder / "i2s.gguf", folder), "the same logits, bit for bit"
    block = bytes(64) + b"\x00\x3c"
    yield "scale" in refusal(i2s.turned, block + bytes(64) + b"\x00\x3d"), "two scales in one matrix are refused"
    yield i2s.turned(b"\x24" * 64 + b"\x00\x3c") == b"\x18" * 64 + b"\x00\x00\x80\x3f" + bytes(28), "order of digits, scale last"
    for fork in (rivals.IkLlama(folder), rivals.BitNet(folder)):
        yield f"--{fork.flag}" in refusal(fork.name), f"{fork.title}: its absence says how it is got"
        yield "include/llama.h" in refusal(fork.set_up, folder), f"{fork.title}: a folder that is no source tree is refused"


with tempfile.TemporaryDirectory() as name:
    for good, what in points(pathlib.Path(name)):
        point(good, what)
plan()
