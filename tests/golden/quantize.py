# SPDX-License-Identifier: LGPL-2.1-or-later
"""`tern quantize` as a user meets it: what it writes runs and says what it is, what it refuses leaves nothing behind.
Prints TAP. (Blocks are compared bit by bit in tests/unit/test-quantize.c.)

usage: quantize.py TERN DATA_FOLDER           (the folder with lfm2/, lfm2s/ and lfm2vl/)
"""
import array
import json
import os
import pathlib
import resource
import signal
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from tap import patience, plan, point  # noqa: E402

TERN, DATA = os.path.abspath(sys.argv[1]), pathlib.Path(sys.argv[2]).resolve()
PLAIN, TERNARY = DATA / "lfm2s/lfm2s-bf16.gguf", DATA / "lfm2/lfm2-tq2_0.gguf"
MODELS = DATA.parent.parent.parent / "models"
CHANGED = {"general.file_type", "general.quantization_version"}


def tern(*args, **more):
    run = subprocess.run([TERN, *map(str, args)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=patience(240),
                         env=dict(os.environ, LC_ALL="C"), **more)
    return run.returncode, run.stdout.decode(), run.stderr.decode()


def inspect(path):
    return json.loads(tern("inspect", "--json", path)[1])


def npy(path):
    data = pathlib.Path(path).read_bytes()
    values = array.array("f")
    values.frombytes(data[10 + int.from_bytes(data[8:10], "little"):])
    return values


def nmse(found, expected):
    return sum((a - b) ** 2 for a, b in zip(found, expected)) / sum(b * b for b in expected)


def usage(folder):
    (folder / "link.gguf").symlink_to(PLAIN)
    for args in ([PLAIN, "out"], [PLAIN, "--type", "Q8_0"], [PLAIN, "out", "more", "--type", "Q8_0"],
                 [PLAIN, "out", "--type", "Q3_K"], [PLAIN, "out", "--type", "Q8_0", "--threads", "-1"],
                 [PLAIN, PLAIN, "--type", "Q8_0"], [PLAIN, "link.gguf", "--type", "Q8_0"]):
        code, out, error = tern("quantize", *args, cwd=folder)
        point(code == 2 and not out and error.startswith("tern: ") and error.count("\n") == 1
              and not (folder / "out").exists(), "wrong usage: " + " ".join(pathlib.Path(str(a)).name for a in args),
              code, out, error)


def makes(folder):
    """Every type from a file of bfloat16: keys stay, matrices change, what does not fit falls back and is said."""
    before, expected = inspect(PLAIN), npy(DATA / "lfm2s/lfm2s-bf16.p7.logits.npy")
    case = json.loads((DATA / "lfm2s/lfm2s-bf16.json").read_text())["cases"]
    tokens = folder / "tokens"
    tokens.write_text(" ".join(map(str, next(c for c in case if c["logits"].endswith("p7.logits.npy"))["tokens"])))
    # type: (general.file_type, matrices, embedding, bound on the error of the logits, which random weights amplify)
    for kind, (number_, matrices, embedding, bound) in {
            "Q8_0": (7, "Q8_0", "Q8_0", 3e-3), "q4_0": (2, "Q4_0", "Q8_0", .4), "Q4_K": (14, "Q5_0", "Q8_0", .1),
            "Q6_K": (18, "Q8_0", "Q8_0", 3e-3)}.items():
        out = folder / f"{kind}.gguf"
        code, text, error = tern("quantize", PLAIN, out, "--type", kind)
        after = inspect(out)
        types = {t["name"]: t["type"] for t in after["tensors"]}
        keys = {k: v for k, v in after["keys"].items() if k not in CHANGED}
        point(code == 0 and not text and keys == {k: v for k, v in before["keys"].items() if k not in CHANGED}
              and list(after["keys"])[:len(keys)] == list(before["keys"])[:len(keys)]
              and after["keys"]["general.file_type"] == number_, f"{kind}: keys", code, text, error)
        wrong = [t["name"] for t in before["tensors"] if types[t["name"]] !=
                 (embedding if t["name"] == "token_embd.weight" else
                  matrices if len(t["shape"]) == 2 and ".conv." not in t["name"] else t["type"])]
        point(not wrong, f"{kind}: types", *wrong)
        if matrices.upper() != kind.upper():
            point("blk.0.ffn_down.weight" in error and matrices in error, f"{kind}: the fallback is said", error)
        code, text, error = tern("logits", "--model", out, "--tokens", tokens, "--output", folder / "l.npy",
                                 "--activations", "f32")
        error = nmse(npy(folder / "l.npy"), expected) if code == 0 else error
        point(code == 0 and error < bound, f"{kind}: runs, the error of its logits below {bound}", error)
    threads = [folder / f"threads{n}.gguf" for n in (1, 3)]
    for n, path in zip((1, 3), threads):
        tern("quantize", PLAIN, path, "--type", "Q8_0", "--threads", n)
    point(threads[0].read_bytes() == threads[1].read_bytes() == (folder / "Q8_0.gguf").read_bytes(),
          "the same bytes from any number of threads")


def encoders(folder):
    """Matrices of a vision encoder that rounding ruins stay in 16 bits, and only those: its tokens stay what they are."""
    text, wide = (MODELS / f for f in ("tern-captioner-4m-tq2_0.gguf", "mmproj-tern-captioner-4m-f16.gguf"))
    ids, before = folder / "ids.txt", {t["name"]: t["type"] for t in inspect(wide)["tensors"]}
    ids.write_text("-1 5")

    def tokens(mmproj):
        code, _, error = tern("logits", "--model", text, "--mmproj", mmproj, "--image", DATA / "lfm2vl/ship.png", "--tokens", ids,
                              "--output", folder / "l.npy", "--visual", folder / "v.npy", "--activations", "f32")
        return npy(folder / "v.npy") if code == 0 else error

    expected = tokens(wide)
    for kind, bound in ("Q8_0", .03 ** 2), ("Q4_0", .35 ** 2):
        out = folder / f"mmproj-{kind}.gguf"
        code, _, said = tern("quantize", wide, out, "--type", kind)
        types = {t["name"]: t["type"] for t in inspect(out)["tensors"]} if code == 0 else {}
        kept = {line.split(": ")[1] for line in said.splitlines() if "would change" in line}
        point(1 <= len(kept) <= 12 and all(types[name] == before[name] == "F16" for name in kept)
              and sum(t == kind for t in types.values()) >= 60 and types["v.blk.3.ffn_up.weight"] == kind,
              f"{kind}: {len(kept)} matrices of an encoder stay F16", said)
        error = nmse(tokens(out), expected)
        point(error < bound, f"{kind}: its visual tokens are off by less than {bound ** .5:.0%}", error ** .5)
    code, _, said = tern("quantize", MODELS / "mmproj-tern-watcher-4m-f16.gguf", folder / "watcher.gguf", "--type", "Q8_0")
    point(code == 0 and "would change" not in said, "none of an encoder without such", said)


def copies(folder):
    """Files that are quantised already: what is not F32, F16 or BF16 stays as it is, and so does the file."""
    for path in TERNARY, DATA / "lfm2vl/mmproj-ship-q8_0.gguf":
        out = folder / "copy.gguf"
        code, text, error = tern("quantize", path, out, "--type", "Q8_0")
        same = {t["name"]: (t["type"], t["shape"]) for t in inspect(out)["tensors"]} == {
            t["name"]: (t["type"], t["shape"]) for t in inspect(path)["tensors"]} if code == 0 else False
        point(code == 0 and "already" in error and same, f"{path.name}: copied", code, text, error)
        if path == TERNARY:
            point(out.read_bytes() == path.read_bytes(), f"{path.name}: byte for byte")


def refuses(folder):
    """Nothing but a message is left of a run that fails or is ended."""
    empty = folder / "empty"
    empty.mkdir()
    out = empty / "out.gguf"
    code, text, error = tern("quantize", PLAIN, out, "--type", "TQ2_0")
    # No matrix of this file has rows of 256: all fall back, nothing is ternary.
    point(code == 0 and "Q8_0" in error, "TQ2_0 where no row fits: Q8_0", code, error)
    out.unlink()

    wide = folder / "wide.gguf"
    wide.write_bytes(widened(PLAIN.read_bytes()))
    code, text, error = tern("quantize", wide, out, "--type", "TQ2_0")
    point(code == 1 and "blk.0.ffn_down.weight" in error and "--force-ternary" in error and error.count("\n") <= 4
          and not list(empty.iterdir()), "values that are not ternary", code, error)
    code, text, error = tern("quantize", wide, out, "--type", "TQ2_0", "--force-ternary")
    types = {t["name"]: t["type"] for t in inspect(out)["tensors"]} if code == 0 else {}
    point(types.get("blk.0.ffn_down.weight") == "TQ2_0", "--force-ternary", code, error)
    out.unlink()
    # Blocks with a scale each take any values.
    for kind, bits in ("Q1_0", 1.125), ("Q2_0", 2.25), ("PQ2_0", 2.125), ("PTQ1_0", 1.75):
        code, text, error = tern("quantize", wide, out, "--type", kind)
        found = {t["name"]: t for t in inspect(out)["tensors"]} if code == 0 else {}
        down = found.get("blk.0.ffn_down.weight", {"type": None, "bytes": 0, "shape": [1, 1]})
        point(down["type"] == kind and down["bytes"] * 8 == bits * down["shape"][0] * down["shape"][1]
              and found["token_embd.weight"]["type"] in ("Q8_0", "F16"), kind, code, error)
        out.unlink()

    # Binary weights and policies of activations: what the file says afterwards.
    code, text, error = tern("quantize", wide, out, "--type", "Q1_0", "--force-binary")
    keys = inspect(out)["keys"] if code == 0 else {}
    point(keys.get("tern.activations") == "w1a8" and keys["general.file_type"] == 40, "--force-binary: the file says so", code,
          error)
    again = empty / "again.gguf"
    code, text, error = tern("quantize", out, again, "--type", "Q8_0", "--activations", "v2-a8:32")
    keys = inspect(again)["keys"] if code == 0 else {}
    point((keys.get("tern.activations"), keys.get("tern.activations.block")) == ("v2-a8", 32), "--activations replaces it", code,
          error)
    again.unlink(missing_ok=True)
    out.unlink()
    for options, said in ((("--type", "TQ2_0", "--force-binary"), "Q1_0"), (("--type", "Q8_0", "--activations", "a4"), "\"a4\""),
                          (("--type", "Q8_0", "--activations", "v2:48"), "v2:48"),
                          (("--type", "Q1_0", "--force-binary", "--activations", "v2"), "v2")):
        code, text, error = tern("quantize", PLAIN, out, *options)
        point(code == 2 and said in error and not out.exists(), " ".join(options), code, error)

    data = bytearray(PLAIN.read_bytes())
    tensor = next(t for t in inspect(PLAIN)["tensors"] if t["name"] == "blk.1.ffn_up.weight")
    at = tensor["offset"] + 2 * tensor["shape"][0] * 5
    data[at:at + 2] = b"\xc0\x7f"
    (folder / "nan.gguf").write_bytes(data)
    code, text, error = tern("quantize", folder / "nan.gguf", out, "--type", "Q4_0")
    point(code == 1 and "blk.1.ffn_up.weight" in error and "nan" in error and "row 5" in error
          and not list(empty.iterdir()), "a NaN among the weights", code, error)

    def small_files():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100000, 100000))
    code, text, error = tern("quantize", PLAIN, out, "--type", "Q8_0", preexec_fn=small_files)
    point(code == 1 and str(out) in error and not list(empty.iterdir()), "a disk that is full", code, error)
    for name in "no/such/folder/out.gguf", ".":
        code, text, error = tern("quantize", PLAIN, empty / name, "--type", "Q8_0")
        point(code == 1 and str(empty / name) in error and not list(empty.iterdir()), f"written to {name}", code, error)
    for end in signal.SIGTERM, signal.SIGKILL:
        run = subprocess.Popen([TERN, "quantize", PLAIN, out, "--type", "Q6_K"], stderr=subprocess.DEVNULL)
        run.send_signal(end)
        run.wait()
        point(not out.exists() or inspect(out), f"ended by {end.name}: no file, or a whole one")


def widened(data):
    """The file with the matrix blk.0.ffn_down [384, 128] as [256, 192]: the same bytes, rows that blocks of 256 fit."""
    name = b"blk.0.ffn_down.weight"
    at = data.index(name) + len(name) + 4
    assert data[at:at + 16] == (384).to_bytes(8, "little") + (128).to_bytes(8, "little")
    return data[:at] + (256).to_bytes(8, "little") + (192).to_bytes(8, "little") + data[at + 16:]


with tempfile.TemporaryDirectory() as name:
    for test in (usage, makes, copies, refuses) + ((encoders,) if MODELS.is_dir() else ()):
        test(pathlib.Path(name))
plan()
