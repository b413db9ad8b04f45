# SPDX-License-Identifier: LGPL-2.1-or-later
"""The program's frame, `tern inspect`, and files broken in a hundred ways, as a user meets them. Prints TAP.

usage: check-inspect.py TERN DATA_FOLDER           (the folder with malformed.tar.gz, lfm2/ and vision-own/)
"""
import json
import os
import pathlib
import re
import subprocess
import sys
import tarfile
import tempfile

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from tap import patience, plan, point  # noqa: E402

TERN, DATA = os.path.abspath(sys.argv[1]), pathlib.Path(sys.argv[2])


def tern(*args, cpu="auto", stdout=subprocess.PIPE):
    run = subprocess.run([TERN, *map(str, args)], stdout=stdout, stderr=subprocess.PIPE, timeout=patience(120),
                         env=dict(os.environ, TERN_CPU=cpu, LC_ALL="C"))
    return run.returncode, (run.stdout or b"").decode(), run.stderr.decode()


def frame():
    code, out, error = tern("--version")
    point(code == 0 and re.fullmatch(r"tern \d+\.\d+\.\d+\n", out) and not error, "tern --version", out, error)
    code, out, error = tern("--help")
    point(code == 0 and "inspect" in out and "TERN_CPU" in out and not error, "tern --help", out, error)
    code, out, error = tern("inspect", "--help")
    point(code == 0 and "tern inspect [OPTION" in out and "--json" in out, "tern inspect --help", out, error)
    for args in [], ["frobnicate"], ["inspect"], ["inspect", "a", "b"], ["inspect", "--frob", "a"], ["inspect", "--json=1"]:
        code, out, error = tern(*args)
        point(code == 2 and not out and error.startswith("tern: ") and error.count("\n") == 1,
              " ".join(["wrong usage: tern", *args]), code, out, error)
    code, out, error = tern("inspect", "/nonexistent/model.gguf")
    point(code == 1 and "/nonexistent/model.gguf" in error, "a file that does not exist", code, error)
    code, out, error = tern("inspect", DATA)
    point(code == 1 and str(DATA) in error and "folder" in error, "a folder", code, error)
    if os.access("/dev/full", os.W_OK):
        with open("/dev/full", "wb") as full:
            code, out, error = tern("inspect", FILE, stdout=full)
        point(code == 1 and "standard output" in error, "a full disk", code, error)


def levels():
    code, out, error = tern("inspect", FILE, cpu="scalar")
    point(code == 0 and re.search(r"^cpu +scalar$", out, re.M), "TERN_CPU=scalar", code, out, error)
    code, out, error = tern("inspect", FILE, cpu="abacus")
    point(code != 0 and not out and "abacus" in error and "scalar" in error, "TERN_CPU=abacus", code, out, error)
    # By what the program runs on: under an emulator this script does not.
    own = re.search(r"^cpu +(\w+)$", tern("inspect", FILE, cpu="auto")[1], re.M)[1]
    other = "avx2" if own in ("neon", "dotprod", "i8mm") else "neon"
    code, out, error = tern("inspect", FILE, cpu=other)
    point(code == 1 and not out and other in error, f"TERN_CPU={other}", code, out, error)


def contents():
    file = DATA / "lfm2/lfm2-tq2_0.gguf"
    code, out, error = tern("inspect", "--json", file)
    found = json.loads(out) if code == 0 else {}
    point(code == 0 and not error, "inspect --json", code, error)
    if code:
        return
    tensors = {t["name"]: t for t in found["tensors"]}
    size = file.stat().st_size
    point(found["bytes"] == size and found["version"] == 3 and found["file"] == str(file), "json: file", found["file"])
    point(found["keys"]["general.architecture"] == "lfm2" and len(found["keys"]["tokenizer.ggml.tokens"]) == 1024
          and isinstance(found["keys"]["lfm2.attention.head_count_kv"], list)
          and abs(found["keys"]["lfm2.attention.layer_norm_rms_epsilon"] - 1e-5) < 1e-10, "json: keys")
    gate = tensors["blk.0.ffn_gate.weight"]
    point(gate["type"] == "TQ2_0" and gate["shape"] == [256, 512] and gate["bytes"] == 256 * 512 // 256 * 66
          and all(found["data_start"] <= t["offset"] <= size - t["bytes"] for t in tensors.values()),
          "json: tensors", gate)
    every = found["types"][-1]
    point(every["type"] == "all" and every["tensors"] == len(tensors)
          and every["bytes"] == sum(t["bytes"] for t in tensors.values())
          and sum(t["weights"] for t in found["types"][:-1]) == every["weights"]
          and abs(every["bits_per_weight"] - 8 * every["bytes"] / every["weights"]) < 1e-9
          and {t["type"]: t["bits_per_weight"] for t in found["types"]}["TQ2_0"] == 2.0625, "json: totals", every)
    plan = found["memory"]
    parts = "program", "header", "index", "mapped", "owned", "state", "workers", "logits"
    point(0 < plan["mapped"] < every["bytes"] and plan["owned"] > 0 and plan["token"] > 0
          and plan["total"] == sum(plan[part] for part in parts), "json: memory", plan)
    # 2 convolutions that remember 2 rows of 256 floats
    point(plan["recurrent"] == 2 * 2 * 256 * 4, "json: memory of recurrent states", plan)
    point(plan["guesses"] == 7 * plan["recurrent"], "json: memory of seven guesses", plan)
    states = {}
    for kv in "f32", "f16", "int8", "int8-rotated", "int4", "int4-rotated", "int3", "int3-rotated":
        code, out, error = tern("inspect", "--json", "--context", 128, "--kv", kv, "--threads", 3, file)
        short = json.loads(out)["memory"] if code == 0 else {}
        point(code == 0 and (short["context"], short["kv"], short["threads"]) == (128, kv, 3)
              and short["total"] == sum(short[part] for part in parts), f"--context --kv {kv} --threads", short, error)
        states[kv] = short["state"]
    # 2 attention layers, K and V, 2 kv heads of 64 values, 128 positions
    point(states["f32"] - states["f16"] == 2 * 2 * 2 * 64 * 128 * 2
          and states["f16"] - states["int8"] == 2 * 2 * 2 * (64 - 4) * 128
          and states["int8"] - states["int4"] == 2 * 2 * 2 * 32 * 128
          and states["int8"] == states["int8-rotated"]
          and states["int4"] == states["int4-rotated"] == states["int3"] == states["int3-rotated"],
          "bytes of every type of KV", states)
    for args, status in (["--context", 10 ** 6], 2), (["--context", -1], 2), (["--kv", "int2"], 2), (["--threads", -1], 2):
        code, out, error = tern("inspect", *args, file)
        point(code == status and error.startswith("tern: ") and args[0] in error, " ".join(map(str, args)), code, error)
    code, out, error = tern("inspect", "--json", "--context", 700, "--memory", "stream", "--memory-tokens", 100, file)
    stream = json.loads(out)["memory"] if code == 0 else {}
    # 2 attention layers, K and V, 2 kv heads of 64 floats; pages of 64 rows, and one to copy; 100 + 512 tokens of a fork
    pages = stream.get("remembered", 0) / 3, stream.get("answering", 0) / 10
    point(code == 0 and stream["memory_tokens"] == 100 and stream["record"] > 0
          and stream["total"] == sum(stream[part] for part in parts)
          and all(0 <= page - 64 * 2 * 2 * 2 * 64 * 4 <= 128 for page in pages), "--memory stream --memory-tokens", stream, error)
    for args in ["--memory", "river"], ["--memory-tokens", 100], ["--memory", "window", "--memory-tokens", 100], \
            ["--memory", "stream", "--memory-tokens", -1], ["--memory", "stream", "--memory-tokens",
                                                            10 ** 6], ["--reuse", "on"], ["--reuse", "x"]:
        code, out, error = tern("inspect", *args, file)
        point(code == 2 and error.startswith("tern: --") and args[-2] in error, " ".join(map(str, args)), code, error)
    code, out, error = tern("inspect", file)
    point(code == 0 and all(name in out for name in tensors) and all(key in out for key in found["keys"])
          and str(plan["state"]) in out and "total" in out and len(out) < 20000, "inspect as text says the same, arrays shortened")


def policies():
    """How the inputs of a language model's matrices are rounded, as it names it."""
    for name, said in ("families/bitnet-w1a8", "w1a8"), ("families/lfm2-v2", "v2:64"), ("lfm2/lfm2-tq2_0", "int8"):
        code, out, error = tern("inspect", "--json", DATA / f"{name}.gguf")
        point(code == 0 and json.loads(out)["activations"] == said, f"json: activations {said}", code, error)
        code, out, error = tern("inspect", DATA / f"{name}.gguf")
        found = re.search(r"^activations\n  (\S+) ", out, re.M)
        point(code == 0 and (found[1] if found else "int8") == said, f"text: activations {said}", code, out, error)


def cannot_run(folder):
    """A type that nothing multiplies yet, whose blocks are as long as TQ2_0's: all is shown but the plan."""
    name = b"blk.0.ffn_gate.weight"
    data = bytearray((DATA / "lfm2/lfm2-tq2_0.gguf").read_bytes())
    at = data.find(name) + len(name)
    at += 4 + 8 * int.from_bytes(data[at:at + 4], "little")
    data[at:at + 4] = (16).to_bytes(4, "little")
    file = folder / "iq2_xxs.gguf"
    file.write_bytes(data)
    code, out, error = tern("inspect", file)
    point(code == 1 and name.decode() in error and "IQ2_XXS" in error and "TQ2_0" in error and "IQ2_XXS" in out
          and "token_embd.weight" in out and "\nmemory" not in out, "a type that cannot run", code, error)
    code, out, error = tern("inspect", "--json", file)
    point(code == 1 and "memory" not in json.loads(out), "the same as JSON", code, error)


def malformed(folder):
    """What breaks a file is one line and status 1, whichever library found it; the odd but valid files pass."""
    for entry in json.loads((folder / "manifest.json").read_text())["files"]:
        code, out, error = tern("inspect", folder / entry["file"])
        if entry["expect"] == "error":
            good = code == 1 and error.startswith("tern: ") and entry["file"] in error and error.count("\n") == 1
        else:
            good = code == 0 and not error
        point(good, f"{entry['file']}: {entry['what']}", f"status {code}", error)


def vision():
    expected = {"idefics3": {"projector": "idefics3", "min_tokens": 4, "max_tokens": 4, "max_pieces": 10},
                "lfm2": {"projector": "lfm2", "min_tokens": 2, "max_tokens": 20, "max_pieces": 11},
                "qwen3vl_merger": {"projector": "qwen3vl_merger", "min_tokens": 8, "max_tokens": 48, "max_pieces": 1,
                                   "deepstack": 2}}
    for name, kind in ("vision-own/mmproj-smolvlm-odd", "idefics3"), ("vision-own/mmproj-lfm2vl-odd", "lfm2"), (
            "qwen3vl/mmproj-f16", "qwen3vl_merger"):
        file = DATA / f"{name}.gguf"
        code, out, error = tern("inspect", "--json", file)
        found = json.loads(out) if code == 0 else {}
        identity = found.get("vision", {}).pop("encoder_id", "")
        point(re.fullmatch("[0-9a-f]{32}", identity), f"json: id of {kind}", identity)
        point(found.get("vision") == expected[kind] and found["memory"]["state"] > 0, f"json: {kind}", found.get("vision"), error)
        code, out, error = tern("inspect", file)
        point(code == 0 and re.search(rf"^  projector +{kind}$", out, re.M) and identity in out, f"text: {kind}", out, error)


def reuse():
    file = DATA / "lfm2vl/mmproj-ship-q8_0.gguf"
    plans = {mode: json.loads(tern("inspect", "--json", "--reuse", mode, file)[1])["memory"] for mode in ("off", "auto", "on")}
    parts = "program", "header", "index", "mapped", "owned", "state", "reuse"
    point("reuse" not in plans["off"] and plans["auto"]["reuse"] == plans["on"]["reuse"] > 10 ** 6
          and all(plan["total"] == sum(plan.get(part, 0) for part in parts) for plan in plans.values()), "json: --reuse", plans)


def action():
    file = DATA / "action/cfc.gguf"
    code, out, error = tern("inspect", "--json", file)
    found = json.loads(out) if code == 0 else {}
    point(code == 0 and not error and found["keys"]["tern-action.kind"] == "cfc" and found["memory"]["owned"] > 100000
          and found["memory"]["state"] > 0, "json: an action model", code, error)
    code, out, error = tern("inspect", file)
    point(code == 0 and "\nmemory" in out and "work space of a session" in out, "text: an action model", code, error)
    code, out, error = tern("inspect", "--context", 8, file)
    point(code == 2 and "action model" in error, "an action model has no context", code, error)


with tempfile.TemporaryDirectory() as temporary:
    with tarfile.open(DATA / "malformed.tar.gz") as archive:
        archive.extractall(temporary)
    FILE = pathlib.Path(temporary, "ok-base.gguf")
    frame()
    levels()
    contents()
    policies()
    cannot_run(pathlib.Path(temporary))
    vision()
    reuse()
    action()
    malformed(pathlib.Path(temporary))
plan()
