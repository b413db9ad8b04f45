# SPDX-License-Identifier: LGPL-2.1-or-later
"""Model files whose keys or tensors cannot be, through `tern logits`: each is refused in one line that names the file and the key
or tensor, none is run or crashes. Prints TAP.

usage: broken.py TERN [SHARED]

Tiny files are written here: rotated matrices (prism.hadamard.*), Qwen3.5, Mamba and Mamba-2, each right and then broken in one
place. SHARED: a folder with a manifest of such files (the golden folder's qwen35/malformed), which are tried where it is there.
"""
import json
import math
import os
import pathlib
import struct
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from tap import patience, plan, point  # noqa: E402
from tiny_gguf import BOOL, F32, I32, STRING, U32, draw, write  # noqa: E402

TERN = os.path.abspath(sys.argv[1])
P = "prism.hadamard."
D, FF, VOCAB, HEAD, STATE, KEY_HEADS, VALUE_HEADS, TAPS = 16, 24, 12, 8, 4, 2, 4, 4
VALUES = VALUE_HEADS * STATE
CHANNELS = 2 * KEY_HEADS * STATE + VALUES
INNER, STATES, RANK, SSM_HEADS, GROUPS = 12, 5, 3, 4, 2
MIXED = INNER + 2 * GROUPS * STATES
GONE = object()


# Twelve characters.
VOCABULARY = {"tokenizer.ggml.model": (STRING, "gpt2"), "tokenizer.ggml.pre": (STRING, "qwen35"),
              "tokenizer.ggml.tokens": (STRING, list("abcdefghijkl")), "tokenizer.ggml.token_type": (I32, [1] * VOCAB),
              "tokenizer.ggml.merges": (STRING, [])}


def numbers(arch, values):
    return {f"{arch}.{name}": (F32 if isinstance(v, float) else U32, v) for name, v in values.items()}


def qwen35():
    """A layer of Gated DeltaNet and one of attention."""
    keys = VOCABULARY | {"general.architecture": (STRING, "qwen35")} | numbers("qwen35", {
        "block_count": 2, "context_length": 64, "embedding_length": D, "feed_forward_length": FF, "attention.head_count": 2,
        "attention.head_count_kv": 1, "attention.key_length": HEAD, "attention.value_length": HEAD,
        "attention.layer_norm_rms_epsilon": 1e-6, "rope.freq_base": 1e4, "rope.dimension_count": HEAD, "ssm.conv_kernel": TAPS,
        "ssm.state_size": STATE, "ssm.group_count": KEY_HEADS, "ssm.time_step_rank": VALUE_HEADS, "ssm.inner_size": VALUES,
        "full_attention_interval": 2})
    keys["qwen35.rope.dimension_sections"] = (I32, [2, 1, 1, 0])
    layers = [{"attn_qkv.weight": [D, CHANNELS], "attn_gate.weight": [D, VALUES], "ssm_alpha.weight": [D, VALUE_HEADS],
               "ssm_beta.weight": [D, VALUE_HEADS], "ssm_conv1d.weight": [TAPS, CHANNELS], "ssm_dt.bias": [VALUE_HEADS],
               "ssm_a": [VALUE_HEADS], "ssm_norm.weight": [STATE], "ssm_out.weight": [VALUES, D]},
              {"attn_q.weight": [D, 4 * HEAD], "attn_k.weight": [D, HEAD], "attn_v.weight": [D, HEAD],
               "attn_q_norm.weight": [HEAD], "attn_k_norm.weight": [HEAD], "attn_output.weight": [2 * HEAD, D]}]
    tensors = {"token_embd.weight": [D, VOCAB], "output_norm.weight": [D], "output.weight": [D, VOCAB]}
    for i, layer in enumerate(layers):
        layer |= {"attn_norm.weight": [D], "post_attention_norm.weight": [D], "ffn_gate.weight": [D, FF], "ffn_up.weight": [D, FF],
                  "ffn_down.weight": [FF, D]}
        tensors |= {f"blk.{i}.{name}": shape for name, shape in layer.items()}
    return keys, tensors


def rotated():
    """The same with a contract."""
    keys, tensors = qwen35()
    names = [name for name in tensors if name.split(".")[-2] in ("attn_qkv", "attn_q", "ssm_out", "ffn_gate", "ffn_down", "output")]
    keys |= {P + "version": (U32, 1), P + "block_size": (U32, 8), P + "axis": (STRING, "input-last-dimension"),
             P + "transform": (STRING, "normalized-sylvester-walsh-hadamard"), P + "sign_mode": (STRING, "explicit"),
             P + "sign_widths": (I32, [D, FF]), P + "sign_values": (I32, [1 if i % 3 else -1 for i in range(D + FF)]),
             P + "weight_names": (STRING, names), P + "inverse_weight_names": (STRING, ["token_embd.weight"]),
             P + "gdn_v_grouped": (BOOL, 1)}
    return keys, tensors


def rotated_experts():
    """Nothing says how a contract is meant for experts, which are matrices in one tensor: none may be named."""
    keys, tensors = rotated()
    keys = {name.replace("qwen35.", "qwen35moe."): entry for name, entry in keys.items()}
    keys["general.architecture"] = (STRING, "qwen35moe")
    keys |= numbers("qwen35moe", {"expert_count": 2, "expert_used_count": 1, "expert_feed_forward_length": FF,
                                  "expert_shared_feed_forward_length": FF})
    tensors = {name: shape for name, shape in tensors.items() if ".ffn_" not in name}
    for i in range(2):
        tensors |= {f"blk.{i}.ffn_gate_inp.weight": [D, 2], f"blk.{i}.ffn_gate_inp_shexp.weight": [D]}
        for kind, shape in {"gate": [D, FF], "up": [D, FF], "down": [FF, D]}.items():
            tensors |= {f"blk.{i}.ffn_{kind}_exps.weight": [*shape, 2], f"blk.{i}.ffn_{kind}_shexp.weight": shape}
    keys[P + "weight_names"] = (STRING, [name for name in keys[P + "weight_names"][1] if ".ffn_" not in name])
    return keys, tensors


def mamba():
    keys = VOCABULARY | {"general.architecture": (STRING, "mamba")} | numbers("mamba", {
        "block_count": 1, "context_length": 1 << 20, "embedding_length": D, "feed_forward_length": 0, "attention.head_count": 0,
        "attention.layer_norm_rms_epsilon": 1e-5, "ssm.conv_kernel": TAPS, "ssm.inner_size": INNER, "ssm.state_size": STATES,
        "ssm.time_step_rank": RANK})
    tensors = {"token_embd.weight": [D, VOCAB], "output_norm.weight": [D], "blk.0.attn_norm.weight": [D],
               "blk.0.ssm_in.weight": [D, 2 * INNER], "blk.0.ssm_conv1d.weight": [TAPS, INNER], "blk.0.ssm_conv1d.bias": [INNER],
               "blk.0.ssm_x.weight": [INNER, RANK + 2 * STATES], "blk.0.ssm_dt.weight": [RANK, INNER],
               "blk.0.ssm_dt.bias": [INNER], "blk.0.ssm_a": [STATES, INNER], "blk.0.ssm_d": [INNER],
               "blk.0.ssm_out.weight": [INNER, D]}
    return keys, tensors


def mamba2():
    keys, tensors = mamba()
    keys = {name.replace("mamba.", "mamba2."): entry for name, entry in keys.items()}
    keys |= {"general.architecture": (STRING, "mamba2"), "mamba2.ssm.time_step_rank": (U32, SSM_HEADS),
             "mamba2.ssm.group_count": (U32, GROUPS)}
    for name in ("ssm_x.weight", "ssm_dt.weight"):
        del tensors[f"blk.0.{name}"]
    tensors |= {"blk.0.ssm_in.weight": [D, INNER + MIXED + SSM_HEADS], "blk.0.ssm_conv1d.weight": [TAPS, MIXED],
                "blk.0.ssm_conv1d.bias": [MIXED], "blk.0.ssm_dt.bias": [SSM_HEADS], "blk.0.ssm_a": [1, SSM_HEADS],
                "blk.0.ssm_d": [1, SSM_HEADS], "blk.0.ssm_norm.weight": [INNER // GROUPS, GROUPS]}
    return keys, tensors


def with_value(name, value):
    """A tensor whose second value is @value."""
    def change(keys, tensors):
        import random
        values = draw(name, tensors[name], random.Random(3))
        values[1] = value
        tensors[name] = (tensors[name], values)
    return change


def zeros(*names):
    """Tensors of nothing else, as where a download that had reserved its space was cut short."""
    return lambda keys, tensors: tensors.update({name: (tensors[name], None) for name in names})


def without(name):
    return lambda keys, tensors: tensors.pop(name)


def said(**entries):
    """Keys that say something else; __ stands for a dot, GONE for nothing."""
    def change(keys, tensors):
        for name, value in entries.items():
            name = next(key for key in [*keys, P + name] if key.endswith("." + name.replace("__", ".")))
            if value is GONE:
                del keys[name]
            else:
                kind = STRING if isinstance(value, str) else keys.get(name, (U32,))[0]
                keys[name] = value if isinstance(value, tuple) else (kind, value)
    return change


def named(*names):
    """More names in the contract."""
    def change(keys, tensors):
        keys[P + "weight_names"] = (STRING, [*keys[P + "weight_names"][1], *names])
    return change


def both(*changes):
    def change(keys, tensors):
        for one in changes:
            one(keys, tensors)
    return change


def states_of_gigabytes(keys, tensors):
    """8 GiB of state, of a file whose tensors are all of the right shape."""
    size, heads = 4096, 128
    inner, channels = size * heads, 2 * size + size * heads
    said(ssm__state_size=size, ssm__group_count=1, ssm__time_step_rank=heads, ssm__inner_size=inner)(keys, tensors)
    tensors |= {"blk.0." + name: (shape, None) for name, shape in {
        "attn_qkv.weight": [D, channels], "attn_gate.weight": [D, inner], "ssm_alpha.weight": [D, heads],
        "ssm_beta.weight": [D, heads], "ssm_conv1d.weight": [TAPS, channels], "ssm_dt.bias": [heads], "ssm_a": [heads],
        "ssm_out.weight": [inner, D]}.items()}
    tensors["blk.0.ssm_norm.weight"] = [size]


def wide_states(keys, tensors):
    """The same, of Mamba-2."""
    inner = states = 1 << 16
    mixed = inner + 2 * states
    said(ssm__inner_size=inner, ssm__state_size=states, ssm__group_count=1)(keys, tensors)
    tensors |= {"blk.0." + name: (shape, None) for name, shape in {
        "ssm_in.weight": [D, inner + mixed + SSM_HEADS], "ssm_conv1d.weight": [TAPS, mixed], "ssm_conv1d.bias": [mixed],
        "ssm_out.weight": [inner, D]}.items()}
    tensors["blk.0.ssm_norm.weight"] = [inner, 1]


HUGE = 1 << 31
CASES = {rotated: [
    ("version", said(version=3)), ("version", said(version=0)), ("version", said(version=GONE)), ("version", said(version="1")),
    ("version", said(version=2)), ("version", both(said(tied_output=(BOOL, 1)), said(version=2))),
    ("version", both(without("output.weight"), said(weight_names=["blk.0.ssm_out.weight"]))),
    ("tied_output", said(tied_output=(BOOL, 1))),
    ("block_size", said(block_size=0)), ("block_size", said(block_size=12)), ("block_size", said(block_size=16)),
    ("block_size", said(block_size=HUGE)), ("block_size", said(block_size=GONE)), ("block_size", said(block_size="8")),
    ("transform", said(transform="dct")), ("transform", said(transform=GONE)), ("axis", said(axis="output-first-dimension")),
    ("axis", said(axis=GONE)), ("sign_mode", said(sign_mode="seeded")), ("sign_mode", said(sign_mode=GONE)),
    ("sign_widths", said(sign_widths=GONE)), ("sign_widths", said(sign_widths=[FF], sign_values=[1] * FF)),
    ("sign_widths", said(sign_widths=[D, D])),
    ("sign_widths", said(sign_widths=[0, D])), ("sign_values", said(sign_values=GONE)), ("sign_values", said(sign_values=[1] * D)),
    ("sign_values", said(sign_values=[1] * (D + FF + 1))), ("sign_values", said(sign_values=[0] + [1] * (D + FF - 1))),
    ("sign_values", said(sign_values=[2] + [1] * (D + FF - 1))), ("sign_values", said(sign_values=(F32, [1.0] * (D + FF)))),
    ("weight_names", said(weight_names=[])), ("weight_names", said(weight_names=GONE)), ("weight_names", said(weight_names="all")),
    ("weight_names", named("blk.0.ssm_out.weight")), ("weight_names", named("blk.7.attn_q.weight")),
    ("weight_names", named("blk.0.attn_norm.weight")), ("weight_names", named("blk.0.ssm_conv1d.weight")),
    ("weight_names", named("token_embd.weight")), ("inverse_weight_names", said(inverse_weight_names=["output.weight"])),
    ("inverse_weight_names", said(inverse_weight_names=["token_embd.weight"] * 2)), ("gdn_v_grouped", said(gdn_v_grouped="yes")),
], rotated_experts: [
    ("weight_names", named("blk.0.ffn_gate_exps.weight")), ("weight_names", named("blk.0.ffn_down_exps.weight")),
    ("weight_names", named("blk.0.ffn_gate_inp.weight")),
], qwen35: [
    ("dimension_sections", said(rope__dimension_sections=GONE)), ("dimension_sections", said(rope__dimension_sections=[2, 1, 1])),
    ("dimension_sections", said(rope__dimension_sections=[9, 9, 9, 9])),
    ("dimension_sections", said(rope__dimension_sections=[-4, 4, 4, 0])),
    *[("attention.recurrent_layers", lambda keys, tensors, n=n: keys.update({"qwen35.attention.recurrent_layers": (BOOL, [1] * n)}))
      for n in (0, 1, 3)], ("dimension_count", said(rope__dimension_count=7)),
    ("full_attention_interval", said(full_attention_interval=0)),
    ("ssm.state_size", said(ssm__state_size=GONE)), ("ssm.state_size", said(ssm__state_size=0)),
    ("ssm.state_size", said(ssm__state_size=HUGE)), ("ssm.", said(ssm__state_size=8)),
    ("blk.0.attn_qkv.weight", said(ssm__state_size=4096, ssm__time_step_rank=4096, ssm__inner_size=4096 * 4096)),
    ("ssm.state_size", states_of_gigabytes),
    ("ssm.group_count", said(ssm__group_count=0)), ("ssm.group_count", said(ssm__group_count=3)),
    ("ssm.group_count", said(ssm__group_count=GONE)), ("ssm.time_step_rank", said(ssm__time_step_rank=0)),
    ("ssm.time_step_rank", said(ssm__time_step_rank=GONE)), ("ssm.inner_size", said(ssm__inner_size=VALUES + 1)),
    ("ssm.inner_size", said(ssm__inner_size=GONE)), ("ssm_conv1d.weight", said(ssm__conv_kernel=5)),
    ("ssm.conv_kernel", said(ssm__conv_kernel=0)), ("ssm.conv_kernel", said(ssm__conv_kernel=GONE)),
    ("blk.0.ssm_a", with_value("blk.0.ssm_a", math.nan)), ("blk.0.ssm_a", with_value("blk.0.ssm_a", .5)),
    ("blk.0.ssm_dt.bias", with_value("blk.0.ssm_dt.bias", math.nan)),
    ("blk.0.ssm_dt.bias", with_value("blk.0.ssm_dt.bias", math.inf)),
    *[(name, with_value(name, value)) for name in ("blk.0.attn_norm.weight", "output_norm.weight", "blk.0.ssm_norm.weight",
      "blk.1.attn_q_norm.weight", "blk.0.ssm_conv1d.weight") for value in (math.nan, math.inf)],
    ("blk.0.ssm_a", without("blk.0.ssm_a")), ("blk.1.attn_q_norm.weight", without("blk.1.attn_q_norm.weight")),
    *[(f"{name}: expected weights, found zeros only; is the download complete?", zeros(name)) for name in (
        "blk.0.attn_norm.weight", "output_norm.weight", "blk.0.ssm_norm.weight", "blk.1.attn_q_norm.weight",
        "blk.1.ffn_down.weight")],
], mamba: [
    ("ssm.state_size", said(ssm__state_size=GONE)), ("ssm.state_size", said(ssm__state_size=0)),
    ("ssm.state_size", said(ssm__state_size=HUGE)), ("blk.0.ssm_in.weight", said(ssm__inner_size=1 << 24, ssm__state_size=1 << 16)),
    ("ssm.time_step_rank", said(ssm__time_step_rank=0)), ("ssm.time_step_rank", said(ssm__time_step_rank=INNER + 1)),
    ("ssm.time_step_rank", said(ssm__time_step_rank="4")), ("ssm.conv_kernel", said(ssm__conv_kernel=GONE)),
    ("ssm.inner_size", said(ssm__inner_size=HUGE)), ("blk.0.ssm_a", with_value("blk.0.ssm_a", math.nan)),
    ("blk.0.ssm_a", with_value("blk.0.ssm_a", 1.0)), ("blk.0.ssm_dt.bias", with_value("blk.0.ssm_dt.bias", -math.inf)),
    ("blk.0.ssm_x.weight", without("blk.0.ssm_x.weight")), ("attention.head_count", said(attention__head_count=2)),
], mamba2: [
    ("ssm.state_size", said(ssm__state_size=GONE)), ("ssm.state_size", said(ssm__state_size=(1 << 16) + 1)),
    ("blk.0.ssm_in.weight", said(ssm__inner_size=1 << 24, ssm__time_step_rank=1 << 20, ssm__state_size=1 << 16)),
    ("ssm.state_size", wide_states),
    ("ssm.group_count", said(ssm__group_count=GONE)), ("ssm.group_count", said(ssm__group_count=0)),
    ("ssm.group_count", said(ssm__group_count=3)), ("ssm.time_step_rank", said(ssm__time_step_rank=5)),
    ("ssm.time_step_rank", said(ssm__time_step_rank=GONE)), ("blk.0.ssm_a", with_value("blk.0.ssm_a", math.nan)),
    ("blk.0.ssm_d", with_value("blk.0.ssm_d", math.inf)), ("blk.0.ssm_dt.bias", with_value("blk.0.ssm_dt.bias", math.nan)),
    ("blk.0.ssm_norm.weight", without("blk.0.ssm_norm.weight")), ("blk.0.ssm_dt.bias", without("blk.0.ssm_dt.bias")),
]}


def logits(model, folder, tokens):
    (folder / "tokens").write_text(" ".join(map(str, tokens)))
    done = subprocess.run([TERN, "logits", "--model", model, "--tokens", folder / "tokens", "--output", folder / "out.npy",
                           "--activations", "f32", "--threads", "1"], capture_output=True, timeout=patience(100), check=False)
    return done.returncode, done.stderr.decode(errors="replace").strip()


def refused(file, key, status, error, what):
    good = status == 1 and file in error and (key or "") in error and "\n" not in error
    point(good, what, f"expected a line that names {file} and {key}", f"status {status}: {error}")


def own(folder):
    for make, cases in CASES.items():
        path = folder / f"{make.__name__}.gguf"
        write(path, *make())
        status, error = logits(path, folder, [1, 2, 3])
        point(status == 0, f"{make.__name__}: valid", f"status {status}: {error}")
        for i, (key, change) in enumerate(cases):
            keys, tensors = make()
            change(keys, tensors)
            path = folder / f"{make.__name__}-{i}.gguf"
            write(path, keys, tensors)
            refused(path.name, P + key if make in (rotated, rotated_experts) else key, *logits(path, folder, [1, 2, 3]),
                    f"{make.__name__}: {i}, {key}")


def at_zero(folder):
    """Biases that are 0 say nothing about the file, nor does a matrix before others, nor the greater part of the last."""
    path = folder / "zeros.gguf"
    keys, tensors = qwen35()
    zeros("blk.0.ssm_dt.bias", "blk.0.ffn_up.weight")(keys, tensors)
    tensors["blk.1.ffn_down.weight"] = (tensors["blk.1.ffn_down.weight"], [0.0] * (D * FF - 1) + [.5])
    write(path, keys, tensors)
    status, error = logits(path, folder, [1, 2, 3])
    point(status == 0, "biases and a matrix of zeros: valid", f"status {status}: {error}")


def damaged(folder):
    """What no look at a file of gigabytes finds is told by what comes of it."""
    path = folder / "damaged.gguf"
    keys, tensors = qwen35()
    keys["tokenizer.ggml.eos_token_id"] = (U32, 11)
    with_value("blk.0.ffn_down.weight", math.nan)(keys, tensors)
    write(path, keys, tensors)
    for args in ([], ["--temperature", "1"], ["--beam", "2"]):
        done = subprocess.run([TERN, "generate", "--raw", "--model", path, "--prompt", "abc", "--threads", "1", "--max-tokens", "4",
                               *args],
                              capture_output=True, timeout=patience(100), check=False)
        refused(path.name, "finite logits", done.returncode, done.stderr.decode(errors="replace").strip(),
                f"a NaN among weights {args}")
    keys["tokenizer.chat_template"] = (STRING, "{{ 'x' * 1000000000 }}")
    write(path, keys, tensors)
    done = subprocess.run([TERN, "generate", "--model", path, "--prompt", "abc"], capture_output=True, timeout=patience(100),
                          check=False)
    refused(path.name, "chat template, line 1", done.returncode, done.stderr.decode(errors="replace").strip(),
            "a template that fails")
    (folder / "text").write_text("abcdefghijkl" * 8)
    done = subprocess.run([TERN, "perplexity", "--model", path, "--context", "16", folder / "text"], capture_output=True,
                          timeout=patience(100), check=False)
    refused(path.name, "finite logits", done.returncode, done.stderr.decode(errors="replace").strip(), "the same, perplexity")


def values(path):
    data = path.read_bytes()
    start = 10 + int.from_bytes(data[8:10], "little")
    return struct.unpack(f"<{(len(data) - start) // 4}f", data[start:])


def shared(source, folder):
    manifest = json.loads((source / "manifest.json").read_text())
    for entry in manifest["files"]:
        status, error = logits(source / entry["file"], folder, manifest["tokens"])
        what = f"{entry['file']}: {entry['what']}"
        if entry["expect"] == "error":
            refused(entry["file"], entry.get("key"), status, error, what)
        elif entry["expect"] == "ok" and status == 0:
            name = manifest["logits"].replace(".npy", "-two.npy") if entry["file"] == "ok-two.gguf" else manifest["logits"]
            found, expected = values(folder / "out.npy"), values(source / name)
            off = max(abs(a - b) for a, b in zip(found, expected))
            point(len(found) == len(expected) and off <= manifest["tolerance"]["max_abs"], what, f"off by {off}")
        else:
            point(entry["expect"] == "any" and status in (0, 1), what, f"status {status}: {error}")


with tempfile.TemporaryDirectory() as temporary:
    own(pathlib.Path(temporary))
    at_zero(pathlib.Path(temporary))
    damaged(pathlib.Path(temporary))
    if len(sys.argv) > 2 and pathlib.Path(sys.argv[2]).is_dir():
        shared(pathlib.Path(sys.argv[2]), pathlib.Path(temporary))
    else:
        point(True, "the shared manifest", skip="it is not there")
plan()
