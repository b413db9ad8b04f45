# SPDX-License-Identifier: LGPL-2.1-or-later
"""Draws tiny state-space models and hybrids of odd shapes as GGUF files, and writes what ssm_reference.py computes from them
in float64: logits at all positions of two prompts, greedy tokens. A developer's tool: the tests only read what it wrote.

usage: python3 make-ssm.py [--set kept|odd|seeds] [--seed N] FOLDER [NAME...]

Needs numpy and gguf. kept: the models in tests/golden/data/ssm; odd: others, to try; seeds: files of a few KB without
expectations, for fuzz-model. Weights are drawn, quantised, and read back by the reference as gguf dequantises them. Files are
as tests/golden/data/README.md describes. ssm_reference.py agrees with transformers on the shared golden files (run it on them).
"""
import argparse
import json
import pathlib
import zlib

import gguf
import numpy as np

from ssm_reference import Model

# What is not said is as in BASE. layers: m Mamba, a attention, f feed-forward, e experts (nemotron: one thing a layer; else the
# mixer, followed by e where experts stand instead of a dense feed-forward).
BASE = {"width": 40, "vocab": 97, "tied": False, "type": "F32", "heads": 4, "kv": 2, "head": None, "ffn": 36, "inner": 56,
        "states": 11, "rank": 4, "groups": 1, "taps": 4, "conv_bias": True, "norm": True, "eps": 1e-5, "experts": 5, "used": 2,
        "expert_ffn": 20, "shared": 0, "latent": 0, "context": 4096, "keys": {}}
KEPT = {
    # Names say the type: a name that ends in f32 has float weights alone.
    "mamba-odd-f32": {"arch": "mamba", "layers": ["m", "m"], "inner": 52, "states": 7, "rank": 3, "taps": 3, "tied": True},
    "mamba-falcon-f32": {"arch": "mamba", "layers": ["m"], "inner": 65, "states": 5, "taps": 2, "conv_bias": False,
                         "keys": {"ssm.dt_b_c_rms": True}},
    "mamba2-odd-f32": {"arch": "mamba2", "layers": ["m", "m"], "inner": 60, "rank": 6, "groups": 3, "states": 10, "taps": 5,
                       "conv_bias": False},
    "jamba-odd-f32": {"arch": "jamba", "layers": ["m", "ae", "me"], "experts": 6, "used": 3, "inner": 47, "states": 9, "rank": 2,
                      "heads": 5, "kv": 1},
    "nemotron_h_moe-groups-f32": {"arch": "nemotron_h_moe", "layers": ["m", "f", "e", "a", "e", "m"], "inner": 36, "rank": 12,
                                  "groups": 2, "states": 17, "heads": 3, "kv": 3, "head": 14, "experts": 12, "used": 3,
                                  "latent": 18, "shared": 26, "taps": 3,
                                  "keys": {"expert_group_count": 4, "expert_group_used_count": 2, "expert_weights_norm": True,
                                           "expert_weights_scale": 1.7}},
    "granitehybrid-odd-f32": {"arch": "granitehybrid", "layers": ["ae", "me", "me"], "shared": 22, "inner": 48, "rank": 4,
                              "groups": 4, "head": None, "keys": {"rope.scaling.finetuned": True, "rope.dimension_count": 6,
                                                                  "rope.freq_base": 5e4, "logit_scale": 0.8,
                                                                  "embedding_scale": 3.0, "residual_scale": 0.6}},
    "falcon-h1-odd-f32": {"arch": "falcon-h1", "layers": ["m", "m"], "norm": False, "inner": 45, "rank": 5, "groups": 5,
                          "head": 18, "keys": {"rope.freq_base": 1e11}},
}
ODD = {
    "mamba-q4_0": {"arch": "mamba", "layers": ["m", "m", "m"], "width": 96, "inner": 160, "states": 16, "rank": 32,
                   "type": "Q4_0"},
    "mamba2-q8_0": {"arch": "mamba2", "layers": ["m", "m"], "width": 96, "inner": 192, "rank": 3, "groups": 3, "states": 32,
                    "type": "Q8_0"},
    "mamba2-wide-f32": {"arch": "mamba2", "layers": ["m"], "width": 32, "inner": 256, "rank": 2, "groups": 2, "states": 130},
    "mamba2-one-head-f32": {"arch": "mamba2", "layers": ["m"], "width": 24, "inner": 24, "rank": 1, "states": 1, "taps": 1},
    "jamba-one-f32": {"arch": "jamba", "layers": ["a", "m"], "heads": 1, "kv": 1, "rank": 1, "taps": 7},
    "jamba-q8_0": {"arch": "jamba", "layers": ["m", "a", "me"], "width": 96, "heads": 3, "kv": 1, "inner": 128, "rank": 32,
                   "ffn": 96, "expert_ffn": 96, "type": "Q8_0"},
    "nemotron_h-f32": {"arch": "nemotron_h", "layers": ["m", "f", "m", "a", "f"], "inner": 44, "rank": 4, "groups": 4,
                       "head": 9},
    "nemotron_h-no-attention-f32": {"arch": "nemotron_h", "layers": ["m", "f", "m"], "inner": 44, "rank": 4, "groups": 2},
    "nemotron_h_moe-q8_0": {"arch": "nemotron_h_moe", "layers": ["m", "e", "a", "e"], "width": 64, "heads": 2, "kv": 1,
                            "head": 48, "inner": 96, "rank": 6, "groups": 2, "states": 32, "experts": 16, "used": 5,
                            "expert_ffn": 32, "shared": 64, "type": "Q8_0",
                            "keys": {"expert_weights_norm": False, "expert_weights_scale": 0.5}},
    "granitehybrid-q8_0": {"arch": "granitehybrid", "layers": ["m", "a", "m"], "width": 64, "heads": 2, "kv": 1, "ffn": 96,
                           "inner": 128, "rank": 8, "groups": 2, "states": 32, "type": "Q8_0",
                           "keys": {"rope.scaling.finetuned": False, "attention.scale": 0.11, "logit_scale": 6.0}},
    "granitehybrid-odd-head-f32": {"arch": "granitehybrid", "layers": ["a", "m"], "head": 15, "heads": 3, "kv": 1, "inner": 44,
                                   "keys": {"rope.scaling.finetuned": False}},
    "falcon-h1-q8_0": {"arch": "falcon-h1", "layers": ["m", "m"], "width": 64, "heads": 6, "kv": 3, "head": 32, "ffn": 96,
                       "inner": 96, "rank": 3, "groups": 1, "states": 64, "type": "Q8_0"},
}
TINY = {"width": 8, "vocab": 12, "tied": True, "heads": 2, "kv": 1, "ffn": 6, "inner": 8, "states": 3, "rank": 2, "taps": 2,
        "experts": 3, "expert_ffn": 4, "context": 1 << 20}
SEEDS = {
    "mamba": {"arch": "mamba", "layers": ["m"]},
    "mamba2": {"arch": "mamba2", "layers": ["m"], "groups": 2},
    "jamba": {"arch": "jamba", "layers": ["me", "a"]},
    "nemotron_h_moe": {"arch": "nemotron_h_moe", "layers": ["m", "a", "f", "e"], "latent": 5, "shared": 4, "head": 4,
                       "keys": {"expert_weights_norm": True, "expert_group_count": 1, "expert_group_used_count": 1}},
    "granitehybrid": {"arch": "granitehybrid", "layers": ["me", "ae"], "shared": 4,
                      "keys": {"rope.scaling.finetuned": True, "rope.dimension_count": 2, "logit_scale": 2.0}},
    "falcon-h1": {"arch": "falcon-h1", "layers": ["m"], "head": 4},
}
FLOAT = ("norm", "bias", "conv1d", "ssm_a", "ssm_d", "gate_inp", "exp_probs")


class Writer:
    def __init__(self, path, c, seed):
        self.c, self.rng = c, np.random.default_rng([seed, zlib.crc32(path.name.encode())])
        self.writer = gguf.GGUFWriter(path, c["arch"])

    def add(self, name, values):
        """In the file's type, where its rows fill blocks; in F16 where not; F32 what stays so in every file."""
        values, kind = np.ascontiguousarray(values, np.float32), self.c["type"]
        if kind == "F32" or any(part in name for part in FLOAT) and name != "ssm_dt.weight":
            self.writer.add_tensor(name, values)
        elif values.shape[-1] % 32:
            self.writer.add_tensor(name, values.astype(np.float16))
        else:
            kind = gguf.GGMLQuantizationType[kind]
            self.writer.add_tensor(name, gguf.quants.quantize(values, kind), raw_dtype=kind)

    def linear(self, name, rows, cols, gain=1.6, experts=()):
        self.add(name + ".weight", self.rng.normal(0, gain / np.sqrt(cols), (*experts, rows, cols)))

    def uniform(self, name, shape, low, high):
        self.add(name, self.rng.uniform(low, high, shape))


def add_mamba1(w, c, p):
    inner, states, rank = c["inner"], c["states"], c["rank"]
    w.linear(p + "ssm_in", 2 * inner, c["width"])
    w.linear(p + "ssm_x", rank + 2 * states, inner, 2)
    w.linear(p + "ssm_dt", inner, rank, 0.7)
    w.uniform(p + "ssm_dt.bias", inner, -4, 1.5)
    w.add(p + "ssm_a", -np.exp(w.rng.uniform(-2, 1.5, (inner, states))))
    w.uniform(p + "ssm_d", inner, -1, 1.5)
    if c["arch"] == "jamba":
        for name, size in (("dt", rank), ("b", states), ("c", states)):
            w.uniform(p + f"ssm_{name}_norm.weight", size, 0.6, 1.4)


def add_mamba2(w, c, p):
    inner, states, heads, groups = c["inner"], c["states"], c["rank"], c["groups"]
    w.linear(p + "ssm_in", 2 * inner + 2 * groups * states + heads, c["width"])
    w.uniform(p + "ssm_dt.bias", heads, -4, 1.5)
    w.add(p + "ssm_a", -np.exp(w.rng.uniform(-2, 2, (heads, 1))))
    w.uniform(p + "ssm_d", (heads, 1), -1, 1.5)
    if c["norm"]:
        w.uniform(p + "ssm_norm.weight", (groups, inner // groups), 0.6, 1.4)


def add_mamba(w, c, p):
    one = c["arch"] in ("mamba", "jamba")
    channels = c["inner"] if one else c["inner"] + 2 * c["groups"] * c["states"]
    (add_mamba1 if one else add_mamba2)(w, c, p)
    w.uniform(p + "ssm_conv1d.weight", (channels, c["taps"]), -0.9, 0.9)
    if c["conv_bias"]:
        w.uniform(p + "ssm_conv1d.bias", channels, -0.4, 0.4)
    w.linear(p + "ssm_out", c["width"], c["inner"], 2)


def add_attention(w, c, p):
    head = c["head"] or c["width"] // c["heads"]
    w.linear(p + "attn_q", c["heads"] * head, c["width"], 2)
    w.linear(p + "attn_k", c["kv"] * head, c["width"], 2)
    w.linear(p + "attn_v", c["kv"] * head, c["width"])
    w.linear(p + "attn_output", c["width"], c["heads"] * head, 2)


def add_ffn(w, c, p, suffix="", inner=None):
    inner = inner or c["ffn"]
    if not c["arch"].startswith("nemotron"):
        w.linear(p + "ffn_gate" + suffix, inner, c["width"])
    w.linear(p + "ffn_up" + suffix, inner, c["width"])
    w.linear(p + "ffn_down" + suffix, c["width"], inner)


def add_experts(w, c, p):
    seen, inner, experts = c["latent"] or c["width"], c["expert_ffn"], (c["experts"],)
    w.linear(p + "ffn_gate_inp", c["experts"], c["width"], 2)
    if c["arch"].startswith("nemotron"):
        w.uniform(p + "exp_probs_b.bias", c["experts"], -0.3, 0.3)
    else:
        w.linear(p + "ffn_gate_exps", inner, seen, 2, experts)
    w.linear(p + "ffn_up_exps", inner, seen, 2, experts)
    w.linear(p + "ffn_down_exps", seen, inner, 2, experts)
    if c["latent"]:
        w.linear(p + "ffn_latent_down", seen, c["width"])
        w.linear(p + "ffn_latent_up", c["width"], seen)
    if c["shared"]:
        add_ffn(w, c, p, "_shexp", c["shared"])


def add_layer(w, c, i, kinds):
    p = f"blk.{i}."
    w.uniform(p + "attn_norm.weight", c["width"], 0.6, 1.4)
    if c["arch"].startswith("nemotron"):
        {"m": add_mamba, "a": add_attention, "f": add_ffn, "e": add_experts}[kinds](w, c, p)
        return
    if "a" in kinds or c["arch"] == "falcon-h1":
        add_attention(w, c, p)
    if "m" in kinds:
        add_mamba(w, c, p)
    if c["arch"] in ("mamba", "mamba2"):
        return
    w.uniform(p + ("ffn_norm" if c["arch"] == "falcon-h1" else "ffn_norm.weight"), c["width"], 0.6, 1.4)
    (add_experts if "e" in kinds else add_ffn)(w, c, p)


def keys(c):
    layers, arch, nemotron = c["layers"], c["arch"], c["arch"].startswith("nemotron")
    found = {"block_count": len(layers), "context_length": c["context"], "embedding_length": c["width"],
             "attention.layer_norm_rms_epsilon": c["eps"], "ssm.conv_kernel": c["taps"], "ssm.inner_size": c["inner"],
             "ssm.state_size": c["states"], "ssm.time_step_rank": c["rank"]}
    if arch not in ("mamba", "jamba"):
        found["ssm.group_count"] = c["groups"]
    if arch in ("mamba", "mamba2"):
        found |= {"attention.head_count": 0, "feed_forward_length": 0}
    else:
        found |= {"attention.head_count": c["heads"], "feed_forward_length": c["ffn"],
                  "attention.head_count_kv": c["kv"] if arch == "falcon-h1" else [c["kv"] * ("a" in kind) for kind in layers]}
    if c["head"]:
        found |= {"attention.key_length": c["head"], "attention.value_length": c["head"]}
    if nemotron:
        found["feed_forward_length"] = [{"f": c["ffn"], "e": c["expert_ffn"]}.get(kind, 0) for kind in layers]
    if any("e" in kind for kind in layers):
        found |= {"expert_count": c["experts"], "expert_used_count": c["used"]}
        if nemotron:
            found["expert_feed_forward_length"] = c["expert_ffn"]
        else:
            found["feed_forward_length"] = c["ffn"] = c["expert_ffn"]
    if c["shared"]:
        found["expert_shared_feed_forward_length"] = c["shared"]
    if c["latent"]:
        found["moe_latent_size"] = c["latent"]
    return found | c["keys"]


def add_keys(w, c):
    for name, value in keys(c).items():
        full = f"{c['arch']}.{name}"
        if isinstance(value, list):
            w.writer.add_array(full, value)
        elif isinstance(value, bool):
            w.writer.add_bool(full, value)
        elif isinstance(value, float):
            w.writer.add_float32(full, value)
        else:
            w.writer.add_uint32(full, value)
    w.writer.add_tokenizer_model("gpt2")
    w.writer.add_tokenizer_pre("llama-bpe")
    w.writer.add_token_list([f"<{i}>" for i in range(c["vocab"])])
    w.writer.add_token_types([1] * c["vocab"])
    w.writer.add_token_merges([])
    w.writer.add_bos_token_id(0)
    w.writer.add_eos_token_id(1)


def write(path, c, seed):
    w = Writer(path, c, seed)
    add_keys(w, c)
    gain = 5 * c["keys"].get("logit_scale", 1)
    w.linear("token_embd", c["vocab"], c["width"], gain if c["tied"] else 0.6 * np.sqrt(c["width"]))
    if not c["tied"]:
        w.linear("output", c["vocab"], c["width"], gain)
    w.uniform("output_norm.weight", c["width"], 0.6, 1.4)
    for i, kinds in enumerate(c["layers"]):
        add_layer(w, c, i, kinds)
    w.writer.write_header_to_file()
    w.writer.write_kv_data_to_file()
    w.writer.write_tensors_to_file()
    w.writer.close()


def case(model, path, name, tokens, steps):
    logits = model.logits(tokens)
    margins = [model.margin]
    np.save(path.with_suffix(f".{name}.logits.npy"), logits.astype("<f4"))
    line, greedy, lead = list(tokens), [], []
    for _ in range(steps):
        row = model.logits(line)[-1]
        margins.append(model.margin)
        order = np.argsort(-row, kind="stable")
        greedy.append(int(order[0]))
        lead.append(round(float(row[order[0]] - row[order[1]]), 6))
        line.append(greedy[-1])
    return {"name": name, "tokens": tokens, "logits": path.with_suffix(f".{name}.logits.npy").name,
            "argmax": logits.argmax(1).tolist(), "greedy": {"tokens": greedy, "margin": lead}}, min(margins), logits.std()


def expect(path, c, seed):
    rng, model = np.random.default_rng(seed), Model(path)
    cases, margin = [], np.inf
    for name, n, steps in (("p70", 70, 24), ("p5", 5, 12)):
        found, gap, deviation = case(model, path, name, [0] + rng.integers(2, c["vocab"], n - 1).tolist(), steps)
        cases.append(found)
        margin = min(margin, gap)
        print(f"{path.stem} {name}: {len(set(found['greedy']['tokens']))} distinct greedy tokens, least margin "
              f"{min(found['greedy']['margin']):.3g}, of experts {gap:.3g}, deviation of the logits {deviation:.3g}")
    text = {"gguf": path.name, "arch": c["arch"], "reference": "numpy in float64: tests/golden/ssm_reference.py",
            "tolerance": {"f32": {"max_abs": 2e-3, "nmse": 1e-8}, "int8": {"nmse": 0.1 if margin < np.inf else 0.03}},
            "cases": cases}
    if margin < np.inf:
        text["routing_margin"] = round(float(margin), 6)
    path.with_suffix(".json").write_text(json.dumps(text, separators=(", ", ": ")) + "\n")


def main():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("--set", choices=("kept", "odd", "seeds"), default="kept")
    a.add_argument("--seed", type=int, default=1)
    a.add_argument("folder", type=pathlib.Path)
    a.add_argument("name", nargs="*")
    options = a.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    for name, changes in {"kept": KEPT, "odd": ODD, "seeds": SEEDS}[options.set].items():
        if options.name and name not in options.name:
            continue
        c = {**BASE, **(TINY if options.set == "seeds" else {}), **changes}
        path = options.folder / f"{name}.gguf"
        write(path, c, options.seed)
        if options.set != "seeds":
            expect(path, c, options.seed)


if __name__ == "__main__":
    main()
