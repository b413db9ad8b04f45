# SPDX-License-Identifier: LGPL-2.1-or-later
"""`tern bench` with tiny counts: what it reports, the random models that it writes, and what it says of bad use. No figure
is compared with another but a median with its own spread: times say nothing here. Prints TAP.

usage: bench.py TERN MODELS DATA_FOLDER
MODELS: folder with the bundled model; DATA_FOLDER: of the golden models.
"""
import errno
import json
import math
import os
import pathlib
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from tap import plan, point  # noqa: E402

TERN, MODELS, DATA = os.path.abspath(sys.argv[1]), pathlib.Path(sys.argv[2]), pathlib.Path(sys.argv[3])
TINY = ("--prefill", 8, "--decode", 2, "--depth", 16, "--threads", 1, "--repeat", 2)
TYPES = ("F32", "F16", "BF16", "Q8_0", "Q4_0", "Q4_K", "Q6_K", "TQ1_0", "TQ2_0")


def run(*args):
    env = os.environ | {"TERN_MODEL_PATH": str(MODELS)}
    return subprocess.run([TERN, *map(str, args)], capture_output=True, text=True, check=False, env=env)


def bench(*args):
    done = run("bench", "--json", *TINY, *args)
    if done.returncode:
        raise SystemExit(f"# {args}: {done.stderr}")
    return json.loads(done.stdout)


def is_sane(figure, floor=True):
    good = 0 < figure["min"] <= figure["value"] <= figure["max"] and figure["unit"].endswith("/s") and figure["cores_busy"] > 0
    if not floor:
        return good
    return good and figure["floor"] > 0 and abs(figure["share"] - figure["value"] / figure["floor"]) < 1e-4 * figure["share"]


def ternary_bytes(level):
    """Of the bundled model's matrices, (rows, columns): two bits a weight, or five for three rows in whole panels of 48."""
    attention = [(256, 256), (128, 256), (128, 256), (256, 256)]
    matrices = 3 * attention + 3 * [(768, 256), (256, 256)] + 6 * [(512, 256), (512, 256), (256, 512)]
    if level in ("avx512vbmi", "avx512bf16", "amx"):
        return sum(-(-rows // 48) * (cols // 128) * 1280 for rows, cols in matrices)
    return sum(rows * cols // 4 for rows, cols in matrices)


def check_report():
    report = bench("--shape", "shipped", "--sessions", 3)
    machine = report["machine"]
    point(machine["threads"] == 1 and machine["cores"] >= 1 and machine["activations"] == "int8" and machine["version"]
          and isinstance(machine["cpu"], str) and isinstance(machine["caches"], list)
          and machine["instruction_set"] in ("scalar", "avx2", "avxvnni", "avx512vnni", "avx512vbmi", "avx512bf16", "amx",
                                             "neon", "dotprod", "i8mm"), "the machine", machine)
    names = ("prefill", "decode", "decode_at_depth", "decode_sessions", "vision", "compression", "end_to_end")
    for name in names:
        point(name in report and is_sane(report[name]), f"{name} has a value, its spread, a floor and the share of it",
              report.get(name))
    for name in ("bandwidth", "bandwidth_model", "peak_int8", "peak_float"):
        point(name in report and is_sane(report[name], floor=False), f"{name}, measured in the same run", report.get(name))
    point((report["prefill"]["tokens"], report["decode"]["depth"], report["decode_at_depth"]["depth"],
           report["decode_sessions"]["sessions"], report["decode_sessions"]["depth"]) == (8, 8, 16, 3, 16),
          "the counts are those that were asked for", report)
    # Ternary weights as they are packed, the Q8_0 output, and keys and values of three layers with two heads of 64; in the
    # middle of two tokens that follow 17.
    weights, tokens = ternary_bytes(machine["instruction_set"]) + 835584, 2 * (17 + 1.5)
    one, three = report["decode_at_depth"], report["decode_sessions"]
    keys = tokens * 3 * 2 * 2 * 64 * 4
    point(one["bytes"] == 2 * weights + keys, "a token reads every weight once, and the keys and values before it", one,
          2 * weights + keys)
    point(three["bytes"] == 2 * weights + 3 * keys and three["int8_multiply_adds"] == 3 * one["int8_multiply_adds"],
          "three sessions read the weights once", three)
    point(one["int8_multiply_adds"] == 2 * (3735552 + 786432), "a token is multiplied with every weight", one)
    # 196 patches of 768 through twelve blocks of 192 and 768, attention among them, and 49 tokens through the projector.
    vision = 196 * (768 * 192 + 12 * (4 * 192 * 192 + 2 * 192 * 768)) + 12 * 2 * 196 * 196 * 192 + 49 * (768 * 512 + 512 * 256)
    found = [report["vision"][f"{kind}_multiply_adds"] for kind in ("int8", "bf16", "float")]
    # What of it is int8 and what bf16 depends on what the file's own weights bear.
    fast = sum(found[:2]) if machine["instruction_set"] != "scalar" else vision
    point(sum(found) == vision and fast > vision / 5, "a picture's multiply-adds", report["vision"], vision)
    # However short a run is: what its threads used is never more than it lasted for each.
    two = bench("--shape", "shipped", "--threads", 2, "--repeat", 20)
    busy = {name: two[name]["cores_busy"] for name in ("prefill", "decode", "vision", "compression")}
    point(max(busy.values()) <= 2.2, "two threads have two cores at most", busy)
    table = run("bench", "--shape", "shipped", *TINY)
    point(table.returncode == 0 and all(f"\n{name} " in table.stdout for name in names if name != "decode_sessions")
          and not table.stderr, "as a table", table.stdout, table.stderr)


def multiply_adds(path):
    """Of one token: with every matrix of the layers (of experts, with those in use) and the output, by `tern inspect`."""
    seen = json.loads(run("inspect", "--json", path).stdout)
    prefix = seen["keys"]["general.architecture"]
    used, experts = (seen["keys"].get(f"{prefix}.{name}", 1) for name in ("expert_used_count", "expert_count"))
    names = {t["name"] for t in seen["tensors"]}
    total = 0
    for t in seen["tensors"]:
        if len(t["shape"]) < 2 or ".conv." in t["name"] or t["name"] == "token_embd.weight" and "output.weight" in names:
            continue
        total += math.prod(t["shape"]) * (used / experts if "_exps." in t["name"] else 1)
    return total


def check_files():
    text, mmproj = DATA / "lfm2" / "lfm2-tq2_0.gguf", DATA / "lfm2vl" / "mmproj-ship-q8_0.gguf"
    report = bench("--model", text, "--kv", "int8")
    point({"prefill", "decode", "decode_at_depth"} <= set(report) and not {"vision", "end_to_end"} & set(report)
          and report["model"]["kv"] == "int8", "a text file alone", report)
    report = bench("--model", text, "--prefill", 0, "--depth", 0)
    point("decode" in report and not {"prefill", "decode_at_depth", "decode_sessions"} & set(report),
          "what is not wanted is left out", report)
    report = bench("--model", mmproj)
    point(is_sane(report["vision"]) and "decode" not in report, "a vision encoder alone", report)
    report = bench("--model", text, "--mmproj", mmproj)
    point(is_sane(report["end_to_end"]), "both", report)
    draft = ("--model", text, "--depth", 0, "--draft-model", DATA / "lfm2s" / "lfm2s-bf16.gguf", "--draft-vocabulary", "same")
    report = bench(*draft, "--decode", 1)
    with_draft = report["decode_draft"]
    point(is_sane(with_draft) and with_draft["guesses"] == 0 and not {"ratio", "cpu_ratio"} & set(with_draft),
          "a draft that guesses nothing is no comparison", report)
    said = run("bench", *TINY, *draft, "--decode", 1).stdout
    point("the draft guessed nothing" in said and "times decode_plain" not in said, "and that is said", said)
    report = bench(*draft, "--decode", 16)
    with_draft, plain = report["decode_draft"], report["decode_plain"]
    point(is_sane(with_draft) and is_sane(plain) and with_draft["cpu_ratio"] > 0 and with_draft["guesses"] > 0
          and abs(with_draft["ratio"] - with_draft["value"] / plain["value"]) < 1e-4 * with_draft["ratio"], "a draft", report)
    moe = DATA / "lfm2moe" / "lfm2moe-mixed.gguf"
    report = bench("--model", moe, "--sessions", 2, "--depth", 16)
    point(is_sane(report["decode"]) and is_sane(report["decode_sessions"]), "a mixture of experts", report)
    # Two layers of attention, four heads of 64; each token looks at those before it and at itself.
    for name, timelines in (("decode_at_depth", 1), ("decode_sessions", 2)):
        found, attention = report[name], 2 * (17 + 1.5) * 2 * 2 * 256
        point(found["int8_multiply_adds"] + found["float_multiply_adds"] == timelines * (2 * multiply_adds(moe) + attention),
              f"{name}: multiply-adds of the experts in use", found, timelines * (2 * multiply_adds(moe) + attention))
    # Two layers of convolutions and feed-forward, then of 32 tokens keys and values of an attention layer; all else of that
    # one and the convolution behind it for three rows (its taps), and of the feed-forward and the output for one. The three
    # look at 30 to 32 keys.
    small = bench("--model", DATA / "lfm2s" / "lfm2s-bf16.gguf", "--prefill", 32, "--depth", 0)["prefill"]
    convolution, forward = 4 * 128 * 128, 3 * 128 * 384
    count = (32 * (2 * (convolution + forward) + 2 * 128 * 64) + 3 * (2 * 128 * 128 + forward + convolution) + forward + 128 * 1024
             + (30 + 31 + 32) * 2 * 128)
    point(small["float_multiply_adds"] + small["bf16_multiply_adds"] + small["int8_multiply_adds"] == count,
          "of a prompt the last layers are counted for the rows that matter", small, count)
    report = bench("--model", moe, "--depth", 0)
    point("decode_at_depth" not in report, "depth 0 leaves it out", report)
    done = run("bench", "--json", "--model", moe, "--prefill", 4, "--decode", 2, "--repeat", 1)
    point(done.returncode == 0 and json.loads(done.stdout)["decode_at_depth"]["depth"] == 93,
          "without --depth a context of 96 is used to its end", done)


def check_saved(folder, large):
    path = folder / "random.gguf"
    for kind in TYPES:
        done = run("bench", "--shape", "shipped", "--type", kind, "--save", path, "--repeat", 0)
        seen = json.loads(run("inspect", "--json", path).stdout or "{}")
        said = run("generate", "--model", path, "--raw", "--prompt", "a dog", "--max-tokens", 4, "--threads", 1)
        types = {t["type"] for t in seen.get("tensors", ())}
        point(done.returncode == 0 and not done.stdout and kind in types and said.returncode == 0
              and seen["keys"]["general.name"] == "random shipped",
              f"--save writes a random model of {kind} that loads and says something", done, types, said)
    first = path.read_bytes()
    run("bench", "--shape", "shipped", "--type", "TQ2_0", "--save", path, "--repeat", 0)
    point(path.read_bytes() == first, "the same file every time")
    report = bench("--shape", "shipped", "--type", "Q4_K", "--save", path)
    point(is_sane(report["end_to_end"]) and report["model"]["type"] == "Q4_K", "and measures what it saved", report)
    report = bench("--shape", "shipped", "--type", "Q8_0")
    point(is_sane(report["decode"]) and is_sane(report["vision"]) and report["model"]["name"] == "random shipped",
          "a random model without --save", report)
    for shape, kind, words in (("bonsai-2b", "PTQ1_0", ("qwen35", "prism.hadamard.weight_names")),
                               ("nemotron-h-4b", "TQ1_0", ("nemotron_h",)),
                               ("qwen3.5-2b-vision", "Q8_0", ("qwen3vl_merger", "v.patch_embd.weight.1", "attn_qkv")),
                               ("qwen3-vl-2b", "TQ1_0", ("qwen3vl", "n_deepstack_layers")),
                               ("qwen3-vl-2b-vision", "Q8_0", ("is_deepstack_layers", "v.deepstack.17.fc2.weight"))):
        path = large / f"{shape}.gguf"
        done = run("bench", "--shape", shape, "--type", kind, "--save", path, "--repeat", 0)
        seen = run("inspect", path)
        point(done.returncode == 0 and seen.returncode == 0 and all(word in seen.stdout for word in words),
              f"the shape of {shape} in {kind}", done, seen.stderr,
              skip=f"no room in {large}" if os.strerror(errno.ENOSPC) in done.stderr else None)
        path.unlink(missing_ok=True)
    done = run("bench", "--shape", "shipped", "--save", folder / "none" / "x.gguf", "--repeat", 0)
    point(done.returncode == 1 and str(folder / "none") in done.stderr, "a folder that is not there", done)


def check_usage(folder):
    golden, broken = DATA / "lfm2" / "lfm2-tq2_0.gguf", folder / "broken.gguf"
    broken.write_bytes(golden.read_bytes()[:5000])
    for args, status, words in (
            ((), 2, ("--model", "--shape", "none")),
            (("--model", golden, "--shape", "shipped"), 2, ("both",)),
            (("--shape", "gpt-9"), 2, ("bitnet-2b", "lfm2-1.2b", "lfm2-350m", "qwen3.5-2b", "qwen3-vl-2b", "bonsai-2b",
                                       "granite-4-h-micro", "nemotron-h-4b",
                                              "siglip-b-512", "qwen3.5-2b-vision", "qwen3-vl-2b-vision", "shipped", "gpt-9")),
            (("--shape", "shipped", "--type", "Q3_X"), 2, ("--type", "TQ2_0", "Q3_X")),
            (("--model", golden, "--type", "Q8_0"), 2, ("--type", "--shape")),
            (("--model", golden, "--save", folder / "x"), 2, ("--save", "--shape")),
            (("--shape", "shipped", "--mmproj", golden), 2, ("--mmproj", "--model")),
            (("--model", golden, "--kv", "f8"), 2, ("--kv", "f8")),
            (("--model", golden, "--repeat", 0), 2, ("--repeat", "1 to")),
            (("--model", golden, "--decode", -1), 2, ("--decode", "-1")),
            (("--model", golden, "--sessions", 0), 2, ("--sessions", "found 0")),
            (("--model", golden, "--threads", 100000), 2, ("--threads", "100000")),
            (("--model", golden, "--prefill", 1000000), 2, ("--prefill", "--depth", golden.name)),
            (("--model", golden, "--draft-shape", "lfm2-350m"), 2, ("--draft-shape", "--shape")),
            (("--shape", "lfm2-350m", "--draft-shape", "qwen3.5-2b"), 2, ("--draft-shape", "lfm2-1.2b", "qwen3.5-2b")),
            (("--shape", "lfm2-350m", "--draft-shape", "lfm2-350m", "--agree", 2), 2, ("--agree", "2")),
            (("--model", golden, "--draft-model", golden, "--draft-vocabulary", "x"), 2, ("--draft-vocabulary", "slem", "x")),
            (("--model", golden, "--draft-model", folder / "none.gguf"), 1, ("none.gguf",)),
            (("--model", golden, "extra"), 2, ("extra",)),
            (("--model", folder / "none.gguf"), 1, ("none.gguf",)),
            (("--model", broken), 1, ("broken.gguf",))):
        done = run("bench", *args)
        point(done.returncode == status and not done.stdout and all(word in done.stderr for word in words),
              f"bench {' '.join(pathlib.Path(str(a)).name for a in args)}: status {status} and why", done)


# Up to 1.6 GB are saved where the build lies: what is temporary may be memory, and little of it.
with tempfile.TemporaryDirectory() as name, tempfile.TemporaryDirectory(dir=os.environ.get("MESON_BUILD_ROOT")) as large:
    check_report()
    check_files()
    check_saved(pathlib.Path(name), pathlib.Path(large))
    check_usage(pathlib.Path(name))
plan()
