# SPDX-License-Identifier: LGPL-2.1-or-later
"""Runs the program `tern` on a folder of golden models, as a user would, and compares what it writes. Prints TAP.

usage: blackbox.py TERN GOLDEN_FOLDER [LEVEL...]

LEVEL: values of TERN_CPU (default: scalar avx2 avx512vnni amx neon dotprod i8mm; those that this CPU lacks are skipped).
The folder holds the models and expectations described in its README; without it everything is skipped. The bounds are the
files' own.
"""
import array
import json
import math
import os
import pathlib
import re
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from tap import patience, plan, point  # noqa: E402

TERN, FOLDER = os.path.abspath(sys.argv[1]), pathlib.Path(sys.argv[2])
LEVELS = sys.argv[3:] or ["scalar", "avx2", "avx512vnni", "amx", "neon", "dotprod", "i8mm"]


def npy(path):
    data = pathlib.Path(path).read_bytes()
    head = data[10:10 + int.from_bytes(data[8:10], "little")].decode()
    shape = tuple(int(n) for n in re.findall(r"\d+", re.search(r"'shape': \(([^)]*)\)", head)[1]))
    kind = re.search(r"'descr': '([^']*)'", head)[1]
    values = array.array("f" if kind == "<f4" else "B")
    values.frombytes(data[10 + len(head):])
    return shape, values


def distance(found, expected):
    """Largest absolute difference, and NMSE."""
    top = error = norm = 0.0
    for a, b in zip(found, expected):
        d = a - b
        top = max(top, abs(d)) if d == d else math.inf
        error += d * d
        norm += b * b
    return (top, error / norm) if error == error else (math.inf, math.inf)


def tern(level, *args, stdin=b""):
    return subprocess.run([TERN, *map(str, args)], input=stdin, capture_output=True, timeout=patience(300),
                          env=dict(os.environ, TERN_CPU=level))


def check(what, found, shape, expected, expected_shape, bound):
    if shape != expected_shape:
        return point(False, what, f"shape {shape}, expected {expected_shape}")
    top, nmse = distance(found, expected)
    good = top <= bound.get("max_abs", math.inf) and nmse <= bound.get("nmse", math.inf)
    point(good, what, f"largest difference {top:.3g}, NMSE {nmse:.3g}, allowed {bound}")


def equal_steps(expected, found):
    """Whether greedy ids are equal up to the first step whose margin is below 0.004."""
    for i, (a, b) in enumerate(zip(expected["tokens"], found)):
        if expected["margin"][i] < 0.004:
            return True
        if a != b:
            return False
    return len(found) >= len(expected["tokens"])


def logits_case(level, folder, about, case, mode, bound, images):
    name = f"{level} {folder.name}/{case.get('logits')} {mode}"
    with tempfile.TemporaryDirectory() as temporary:
        ids, out, visual = (os.path.join(temporary, f) for f in ("ids", "out.npy", "visual.npy"))
        pathlib.Path(ids).write_text(" ".join(map(str, case["tokens_compact" if images else "tokens"])))
        args = ["logits", "--model", folder / about["gguf"], "--tokens", ids, "--output", out, "--activations", mode,
                "--greedy", len(case["greedy"]["tokens"])]
        if images:
            args += ["--mmproj", folder / about["mmproj"], "--image", folder / case["image"], "--visual", visual]
            if "image_tokens" in case:
                args += ["--image-tokens", case["image_tokens"]]
        run = tern(level, *args)
        if run.returncode:
            return point(False, name, run.stderr.decode(errors="replace").strip())
        shape, found = npy(out)
        expected_shape, expected = npy(folder / case["logits"])
        if images:
            vocabulary = shape[1]
            rows = case["logits_positions"]
            found = array.array("f", (v for r in rows for v in found[r * vocabulary:(r + 1) * vocabulary]))
            shape = (len(rows), vocabulary)
            # Resampling is allowed a step of 255, so what follows from the file is held to its wider bound.
            if "visual" in case:
                s, v = npy(visual)
                es, ev = npy(folder / case["visual"])
                check(name + " visual tokens", v, s, ev, es, {"nmse": max(2e-4 if mode == "f32" else 1e-2, 0)})
            # One changed rounding of an activation changes most of the later ones: whatever its size, what differs in
            # the visual tokens (resampling 1e-5, int8 in the tower 1e-4) comes out as 8e-4 to 1e-3 with int8.
            bound = {"nmse": max(bound["nmse"], 1e-3 if mode == "f32" else 2e-3)}
        check(name, found, shape, expected, expected_shape, bound)
        if mode == "f32" and not images:
            greedy = [int(i) for i in run.stdout.decode().strip().splitlines()[-1].split()]
            point(equal_steps(case["greedy"], greedy), name + " greedy", f"expected {case['greedy']['tokens']}",
                  f"found    {greedy}")


def model_file(level, path):
    about = json.loads(path.read_text())
    images = "mmproj" in about
    for case in about["cases"]:
        logits_case(level, path.parent, about, case, "f32", about["tolerance"]["f32"], images)
        if not about.get("cases_a8") and "int8" in about["tolerance"]:
            logits_case(level, path.parent, about, case, "int8", about["tolerance"]["int8"], images)
    for case in about.get("cases_a8", []):
        logits_case(level, path.parent, about, case, "int8", about["tolerance"]["a8"], images)


def tokenizer_file(path):
    about = json.loads(path.read_text())
    for key, flags in (("ids", ["--special"]), ("ids_plain", [])):
        wrong = []
        for case in about["cases"]:
            run = tern("auto", "tokenize", "--model", path.parent / about["gguf"], "--no-bos", *flags,
                       stdin=case["text"].encode())
            found = [int(i) for i in run.stdout.split()]
            if run.returncode or found != case[key]:
                wrong.append(f"{case['text']!r}: expected {case[key]}, found {found} {run.stderr.decode()}")
        point(not wrong, f"tokenize {path.stem} {key}: {len(about['cases'])} strings", *wrong[:5])


def templates(path, folder):
    about = json.loads(path.read_text())
    for case in about["cases"]:
        name = f"prompt {case['name']}"
        source = about["own_templates"].get(case["template"])
        if source is None:
            file = folder / case["template"]
            if not file.is_file():
                point(True, name, skip=f"no template {file}")
                continue
            source = file.read_text()
        with tempfile.TemporaryDirectory() as temporary:
            template, messages = (pathlib.Path(temporary, f) for f in ("template", "messages.json"))
            template.write_text(source)
            messages.write_text(json.dumps({k: v for k, v in case.items() if k not in ("name", "template", "prompt")}))
            run = tern("auto", "prompt", "--template", template, "--messages", messages)
            point(run.returncode == 0 and run.stdout.decode() == case["prompt"], name, run.stderr.decode().strip(),
                  f"expected {case['prompt']!r}", f"found    {run.stdout.decode()!r}")


def malformed(folder):
    manifest = json.loads((folder / "manifest.json").read_text())
    with tempfile.TemporaryDirectory() as temporary:
        ids, out = os.path.join(temporary, "ids"), os.path.join(temporary, "out.npy")
        pathlib.Path(ids).write_text(" ".join(map(str, manifest["tokens"])))
        picture = folder.parent / "lfm2vl/square.png"
        for entry in manifest["files"]:
            file = folder / entry["file"]
            args = ["logits", "--model", file, "--tokens", ids, "--output", out, "--activations", "f32"]
            if entry["file"].startswith("mmproj") or "mmproj" in entry["what"][:12]:
                pathlib.Path(temporary, "image").write_text("1 6 -1 7")
                args = ["logits", "--model", folder / "ok-base.gguf", "--mmproj", file, "--image", picture,
                        "--tokens", os.path.join(temporary, "image"), "--output", out]
            run = tern("auto", *args)
            error = run.stderr.decode(errors="replace").strip()
            if entry["expect"] == "error":
                good = run.returncode == 1 and entry["file"] in error and "\n" not in error
                point(good, f"malformed {entry['file']}", entry["what"], f"status {run.returncode}: {error}")
            elif run.returncode:
                point(False, f"valid {entry['file']}", entry["what"], error)
            elif args[-2] == "--activations":
                shape, found = npy(out)
                es, expected = npy(folder / manifest["logits"])
                check(f"valid {entry['file']}", found, shape, expected, es, manifest["tolerance"])
            else:
                point(True, f"valid {entry['file']}")


if not FOLDER.is_dir():
    print("1..0 # SKIP no golden folder at", FOLDER)
    sys.exit(0)
models = sorted(f for f in FOLDER.iterdir() if f.name.startswith(("lfm2", "bitnet", "llama", "families", "smolvlm", "qwen3vl",
                                                                  "qwen35",
                                                                           "ssm", "jamba", "nemotron_h", "granitehybrid",
                                                                           "falcon-h1", "mamba")))
for level in LEVELS:
    probe = tern(level, "inspect", next(file for folder in models for file in folder.glob("*.gguf")))
    if probe.returncode:
        point(True, f"instruction set {level}", skip="this CPU lacks it")
        continue
    for folder in models:
        for path in sorted(folder.glob(f"{folder.name}*.json" if folder.name.startswith("qwen3") else "*.json")):
            model_file(level, path)
for path in sorted((FOLDER / "tokenizers").glob("vocab-*.json")):
    tokenizer_file(path)
if (FOLDER / "tokenizers").is_dir():
    templates(FOLDER / "tokenizers/chat-templates.json", FOLDER.parent / "data/tokenizers/templates")
if (FOLDER / "malformed").is_dir():
    malformed(FOLDER / "malformed")
plan()
