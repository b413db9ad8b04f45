# SPDX-License-Identifier: LGPL-2.1-or-later
"""Makes tiny random text models as GGUF files, and what transformers computes from them in float64. A developer's
tool: the tests only read what it wrote.

usage: python3 make-text.py [--set kept|odd] [--seed N] FOLDER [NAME...]

Needs torch, transformers 4.57 and gguf. kept: the models in tests/golden/data/families; odd: shapes that invite
mistakes (--seed gives other ones of the same kind). Weights are drawn, quantised, read back and dequantised by gguf,
and put into the model of transformers, so that nothing but arithmetic is left to differ. Logits come from one full
pass, greedy tokens from a full pass per step. Files are as tests/golden/data/README.md describes.
"""
import argparse
import json
import math
import pathlib
import struct

import gguf
import numpy as np
import torch
import transformers

F32_TENSORS = ("norm", "bias", "conv.weight", "rope_freqs", "exp_probs")
TYPE_IDS = {"F32": 0, "F16": 1, "Q4_0": 2, "Q4_1": 3, "Q5_0": 6, "Q5_1": 7, "Q8_0": 8, "BF16": 30, "TQ1_0": 34,
            "TQ2_0": 35, "I2_S": 36}
TERNARY = ("TQ1_0", "TQ2_0", "I2_S")

# What is not said is as in BASE. head: length of a head, by default width / heads.
BASE = {"layers": 2, "kv": 1, "vocab": 320, "tied": True, "type": "Q8_0", "embedding": "Q8_0", "theta": 10000.0,
        "eps": 1e-5, "vocabulary": "bpe", "context": 512, "gain": 4}
KEPT = {
    "llama-smol": {"arch": "llama", "width": 96, "heads": 3, "ffn": 160, "vocab": 301, "type": "Q4_1", "theta": 1e5,
                   "layers": 1},
    "llama-3": {"arch": "llama", "width": 64, "heads": 2, "ffn": 96, "tied": False, "theta": 5e5,
                "scaling": {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
                            "original_max_position_embeddings": 64}},
    "llama-linear": {"arch": "llama", "width": 64, "heads": 2, "kv": 2, "ffn": 96, "vocabulary": "spm", "layers": 1,
                     "gain": 6,
                     "scaling": {"rope_type": "linear", "factor": 2.5}},
    "qwen2": {"arch": "qwen2", "width": 64, "heads": 4, "kv": 2, "ffn": 160, "theta": 1e6, "eps": 1e-6, "gain": 6},
    "qwen2-yarn": {"arch": "qwen2", "width": 64, "heads": 1, "ffn": 96, "tied": False, "layers": 1, "theta": 1e6,
                   "scaling": {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 128}},
    "qwen3": {"arch": "qwen3", "width": 96, "heads": 3, "head": 64, "ffn": 160, "theta": 1e6, "eps": 1e-6, "layers": 1},
    "bitnet-i2_s": {"arch": "bitnet-b1.58", "width": 384, "heads": 3, "ffn": 128, "vocab": 270, "type": "I2_S",
                    "embedding": "Q4_0", "theta": 5e5, "layers": 1, "gain": 10},
    "bitnet-tq1_0": {"arch": "bitnet-25", "width": 256, "heads": 8, "kv": 8, "ffn": 256, "vocab": 301, "type": "TQ1_0",
                     "embedding": "Q4_0", "tied": False, "layers": 1},
}
ODD = {
    "llama-head32": {"arch": "llama", "width": 96, "heads": 3, "kv": 3, "ffn": 224, "vocab": 333, "type": "F32",
                     "embedding": "F16"},
    "llama-head80": {"arch": "llama", "width": 160, "heads": 2, "kv": 1, "ffn": 416, "vocab": 259, "type": "Q4_0",
                     "tied": False, "layers": 1},
    "llama-head128": {"arch": "llama", "width": 384, "heads": 3, "kv": 1, "ffn": 352, "vocab": 999, "type": "Q5_1",
                      "layers": 1},
    "llama-smol2": {"arch": "llama", "width": 576, "heads": 9, "kv": 3, "ffn": 1536, "vocab": 1111, "type": "Q4_1"},
    "llama-bf16": {"arch": "llama", "width": 36, "heads": 2, "head": 18, "ffn": 50, "vocab": 261, "type": "BF16",
                   "embedding": "BF16", "layers": 3},
    "llama-3b": {"arch": "llama", "width": 160, "heads": 5, "ffn": 224, "theta": 5e5, "type": "F16",
                 "scaling": {"rope_type": "llama3", "factor": 32.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
                             "original_max_position_embeddings": 96}},
    "llama-yarn": {"arch": "llama", "width": 128, "heads": 2, "ffn": 96, "type": "F32",
                   "scaling": {"rope_type": "yarn", "factor": 8.0, "original_max_position_embeddings": 256,
                               "beta_fast": 16.0, "beta_slow": 2.0}},
    "qwen2-head128": {"arch": "qwen2", "width": 384, "heads": 3, "kv": 3, "ffn": 480, "vocab": 401, "tied": False,
                      "type": "Q5_0", "theta": 1e6, "eps": 1e-6, "layers": 1},
    "qwen2-f16": {"arch": "qwen2", "width": 112, "heads": 7, "kv": 1, "ffn": 304, "type": "F16", "embedding": "F16",
                  "theta": 1e6, "eps": 1e-6},
    "qwen3-f32": {"arch": "qwen3", "width": 80, "heads": 6, "kv": 2, "head": 40, "ffn": 144, "vocab": 270,
                  "type": "F32", "embedding": "F32",
                  "theta": 1e6, "eps": 1e-6, "tied": False},
    "qwen3-head128": {"arch": "qwen3", "width": 128, "heads": 4, "kv": 2, "head": 128, "ffn": 384, "theta": 1e6,
                      "eps": 1e-6, "type": "Q4_0"},
    "bitnet-tq2_0": {"arch": "bitnet-b1.58", "width": 512, "heads": 4, "ffn": 1280, "vocab": 517, "type": "TQ2_0",
                     "theta": 5e5, "layers": 1},
    "bitnet-i2_s-2": {"arch": "bitnet-25", "width": 640, "heads": 20, "kv": 5, "ffn": 1152, "vocab": 262,
                      "type": "I2_S",
                      "embedding": "F16"},
    "bitnet-silu": {"arch": "bitnet", "width": 256, "heads": 2, "kv": 2, "ffn": 512, "vocab": 299, "type": "TQ1_0"},
    "bitnet-relu2": {"arch": "bitnet", "width": 256, "heads": 4, "kv": 1, "ffn": 256, "type": "TQ2_0", "act": "relu2"},
    "bitnet-f32": {"arch": "bitnet-b1.58", "width": 96, "heads": 3, "kv": 3, "ffn": 160, "type": "F32"},
    "lfm2-l4": {"arch": "lfm2", "width": 160, "heads": 2, "kv": 1, "ffn": 416, "vocab": 333, "theta": 1e6, "taps": 4,
                "attention": [1], "layers": 3},
    "lfm2-conv1": {"arch": "lfm2", "width": 96, "heads": 3, "kv": 3, "ffn": 224, "theta": 1e6, "taps": 2,
                   "attention": [0, 1],
                   "type": "F32", "tied": False},
    "lfm2-tq1_0": {"arch": "lfm2", "width": 256, "heads": 2, "kv": 1, "ffn": 768, "vocab": 301, "theta": 1e6, "taps": 3,
                   "attention": [1], "type": "TQ1_0"},
}


# ---- GGUF ------------------------------------------------------------------------------------------------------------

def text(value):
    data = value.encode()
    return struct.pack("<Q", len(data)) + data


def key(name, value):
    """A key with the type that converters give it."""
    kinds = {bool: (7, lambda v: struct.pack("<?", v)), int: (4, lambda v: struct.pack("<I", v)),
             float: (6, lambda v: struct.pack("<f", v)), str: (8, text)}
    if not isinstance(value, list):
        kind, pack = kinds[type(value)]
        return text(name) + struct.pack("<I", kind) + pack(value)
    kind, pack = kinds[type(value[0])] if value else kinds[str]
    if kind == 4:
        kind, pack = 5, lambda v: struct.pack("<i", v)
    return text(name) + struct.pack("<IIQ", 9, kind, len(value)) + b"".join(map(pack, value))


def write_gguf(path, keys, tensors):
    """tensors: name -> (type, dims contiguous first, bytes)."""
    head = [struct.pack("<IIQQ", 0x46554747, 3, len(tensors), len(keys)), *(key(k, v) for k, v in keys.items())]
    offset, blobs = 0, []
    for name, (kind, dims, data) in tensors.items():
        head.append(text(name) + struct.pack(f"<I{len(dims)}QIQ", len(dims), *dims, TYPE_IDS[kind], offset))
        data += bytes(-len(data) % 32)
        blobs.append(data)
        offset += len(data)
    head = b"".join(head)
    path.write_bytes(head + bytes(-len(head) % 32) + b"".join(blobs))


def pack_i2_s(w):
    """128 values in 32 bytes, value p + 32 k in bits 7-2k, 6-2k of byte p; after them the scale and 28 bytes."""
    scale = np.float32(np.abs(w).max())
    codes = (np.rint(w / scale) + 1).astype(np.uint8).reshape(-1, 4, 32)
    packed = codes[:, 0] << 6 | codes[:, 1] << 4 | codes[:, 2] << 2 | codes[:, 3]
    return packed.tobytes() + scale.tobytes() + bytes(28), ((codes.astype(np.float32) - 1) * scale).reshape(w.shape)


def encode(w, kind):
    """Bytes of w [rows, cols] in a type, and the values that they stand for."""
    w = np.ascontiguousarray(w, dtype=np.float32)
    if kind == "I2_S":
        return pack_i2_s(w)
    if kind == "F32":
        return w.tobytes(), w
    if kind == "F16":
        return w.astype(np.float16).tobytes(), w.astype(np.float16).astype(np.float32)
    q = gguf.quants.quantize(w, gguf.GGMLQuantizationType[kind])
    return q.tobytes(), gguf.quants.dequantize(q, gguf.GGMLQuantizationType[kind]).reshape(w.shape)


def interleave(w, heads):
    """Rows of a head from halves to pairs, as converters do for llama."""
    return w.reshape(heads, 2, -1, *w.shape[1:]).swapaxes(1, 2).reshape(w.shape)


# ---- The model -------------------------------------------------------------------------------------------------------

def hf_config(c):
    common = dict(vocab_size=c["vocab"], hidden_size=c["width"], intermediate_size=c["ffn"],
                  num_hidden_layers=c["layers"], num_attention_heads=c["heads"], num_key_value_heads=c["kv"],
                  rms_norm_eps=c["eps"], rope_theta=c["theta"], max_position_embeddings=c["context"],
                  tie_word_embeddings=c["tied"], attn_implementation="eager", rope_scaling=c.get("scaling"))
    family = c["arch"].partition("-")[0]
    if family == "llama":
        return transformers.LlamaConfig(**common, head_dim=c["head"]), transformers.LlamaForCausalLM
    if family == "qwen2":
        return transformers.Qwen2Config(**common), transformers.Qwen2ForCausalLM
    if family == "qwen3":
        return transformers.Qwen3Config(**common, head_dim=c["head"]), transformers.Qwen3ForCausalLM
    if family == "lfm2":
        kinds = ["full_attention" if i in c["attention"] else "conv" for i in range(c["layers"])]
        return (transformers.Lfm2Config(**common, norm_eps=c["eps"], conv_L_cache=c["taps"], layer_types=kinds,
                                        block_auto_adjust_ff_dim=False, tie_embedding=c["tied"]),
                transformers.Lfm2ForCausalLM)
    return transformers.BitNetConfig(**common, hidden_act=c["act"]), transformers.BitNetForCausalLM


NAMES = {  # parts of transformers' names, longest first
    "model.embed_tokens": "token_embd", "model.embedding_norm": "token_embd_norm", "model.norm": "output_norm",
    "lm_head": "output", "model.layers.": "blk.", "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v", "self_attn.o_proj": "attn_output", "self_attn.out_proj": "attn_output",
    "self_attn.q_norm": "attn_q_norm", "self_attn.k_norm": "attn_k_norm", "self_attn.q_layernorm": "attn_q_norm",
    "self_attn.k_layernorm": "attn_k_norm", "self_attn.attn_sub_norm": "attn_sub_norm", "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down", "mlp.ffn_sub_norm": "ffn_sub_norm",
    "feed_forward.w1": "ffn_gate", "feed_forward.w3": "ffn_up", "feed_forward.w2": "ffn_down",
    "input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm", "operator_norm": "attn_norm",
    "conv.in_proj": "shortconv.in_proj", "conv.out_proj": "shortconv.out_proj", "conv.conv": "shortconv.conv",
}


def gguf_name(name):
    for part in sorted(NAMES, key=len, reverse=True):
        if part in name:
            name = name.replace(part, NAMES[part])
    return name


def draw(name, shape, kind, out_gain, rng):
    if name.endswith("norm.weight"):
        return rng.uniform(0.6, 1.4, shape)
    if name.endswith("bias"):
        return rng.normal(0, 0.5, shape)
    if name == "token_embd.weight":
        return rng.normal(0, 0.6, shape)
    # What layers add outweighs the embedding: otherwise a tied head repeats the last token for ever.
    gain = out_gain if "attn_output" in name or "ffn_down" in name or "out_proj" in name else 1.3
    w = rng.normal(0, gain / math.sqrt(shape[-1]), shape)
    if kind not in TERNARY:
        return w
    scale = float(np.float16(np.abs(w).mean()))     # absmean, arXiv:2402.17764 eq. 1 to 3
    return np.clip(np.rint(w / scale), -1, 1) * scale


def make_weights(c, model, rng):
    tensors, state = {}, {}
    for name, old in model.state_dict().items():
        if name == "lm_head.weight" and c["tied"]:
            continue
        out = gguf_name(name)
        kind = ("F32" if any(part in out for part in F32_TENSORS) else
                c["embedding"] if out in ("token_embd.weight", "output.weight") else c["type"])
        w = draw(out, tuple(old.shape), kind, c["gain"], rng)
        rows = w.reshape(-1, w.shape[-1])
        turned = c["arch"] == "llama" and ("attn_q." in out or "attn_k." in out)
        if turned:
            heads = c["heads"] if "attn_q." in out else c["kv"]
            rows = interleave(w, heads).reshape(rows.shape)
        data, values = encode(rows, kind)
        if turned:                                      # back, for transformers
            values = values.reshape(w.shape)
            values = values.reshape(heads, -1, 2, *w.shape[1:]).swapaxes(1, 2)
        dims = [d for d in reversed(w.shape) if d != 1 or w.ndim < 3]
        tensors[out] = (kind, dims, data)
        state[name] = torch.from_numpy(np.ascontiguousarray(values.reshape(w.shape)).astype(np.float64))
    if c["tied"]:
        state["lm_head.weight"] = state["model.embed_tokens.weight"]
    model.load_state_dict(state)
    return tensors


def llama3_factors(c):
    """What a frequency is divided by, as converters write it."""
    s, head = c["scaling"], c["head"]
    low, high = (s["original_max_position_embeddings"] / s[k] for k in ("low_freq_factor", "high_freq_factor"))
    factors = []
    for i in range(head // 2):
        length = 2 * math.pi * c["theta"] ** (2 * i / head)
        if length < high:
            factors.append(1.0)
        elif length > low:
            factors.append(s["factor"])
        else:
            smooth = ((s["original_max_position_embeddings"] / length - s["low_freq_factor"])
                      / (s["high_freq_factor"] - s["low_freq_factor"]))
            factors.append(1 / ((1 - smooth) / s["factor"] + smooth))
    return np.array(factors, np.float32)


def vocabulary(c):
    n = c["vocab"]
    if c["vocabulary"] == "spm":
        tokens = ["<unk>", "<s>", "</s>"] + [f"<0x{i:02X}>" for i in range(256)]
        types = [2, 3, 3] + [6] * 256
        tokens += [chr(0x2581)] + [chr(ord("a") + i) for i in range(26)]
        types += [1] * 27
        bos, eos, extra = 1, 2, {"tokenizer.ggml.unknown_token_id": 0}
    else:
        printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
        rest = [b for b in range(256) if b not in printable]
        byte = {b: chr(b) for b in printable} | {b: chr(256 + i) for i, b in enumerate(rest)}
        tokens, types = [byte[b] for b in range(256)] + ["<|begin|>", "<|end|>"], [1] * 256 + [3, 3]
        bos, eos, extra = 256, 257, {}
    tokens += [f"<|extra_{i}|>" for i in range(n - len(tokens))]
    types += [3] * (n - len(types))
    keys = {"tokenizer.ggml.model": "llama" if c["vocabulary"] == "spm" else "gpt2",
            "tokenizer.ggml.tokens": tokens[:n],
            "tokenizer.ggml.token_type": types[:n], "tokenizer.ggml.bos_token_id": bos,
            "tokenizer.ggml.eos_token_id": eos, **extra}
    if c["vocabulary"] == "spm":
        keys["tokenizer.ggml.scores"] = [-float(i) for i in range(n)]
    else:
        keys |= {"tokenizer.ggml.pre": "llama-bpe", "tokenizer.ggml.merges": ["a b"]}
        tokens[255 + 3] = "ab"
        types[255 + 3] = 1
    return keys


def hyper(c):
    a, s = c["arch"], c.get("scaling", {})
    kv = [c["kv"] if i in c["attention"] else 0 for i in range(c["layers"])] if a == "lfm2" else c["kv"]
    keys = {"block_count": c["layers"], "context_length": c["context"], "embedding_length": c["width"],
            "feed_forward_length": c["ffn"], "attention.head_count": c["heads"], "attention.head_count_kv": kv,
            "attention.layer_norm_rms_epsilon": c["eps"], "rope.freq_base": c["theta"], "vocab_size": c["vocab"]}
    if a == "lfm2":
        keys["shortconv.l_cache"] = c["taps"]
    else:
        keys["rope.dimension_count"] = c["head"]
    if a in ("llama", "qwen3"):
        keys |= {"attention.key_length": c["head"], "attention.value_length": c["head"]}
    if a == "bitnet" and c["act"] == "relu2":
        keys["hidden_activation"] = "relu2"
    if s.get("rope_type") in ("linear", "yarn"):
        keys |= {"rope.scaling.type": s["rope_type"], "rope.scaling.factor": s["factor"]}
    if s.get("rope_type") == "yarn":
        keys["rope.scaling.original_context_length"] = s["original_max_position_embeddings"]
        for ours, theirs in (("yarn_beta_fast", "beta_fast"), ("yarn_beta_slow", "beta_slow")):
            if theirs in s:
                keys["rope.scaling." + ours] = s[theirs]
    return {f"{a}.{k}": v for k, v in keys.items()}


# ---- What it computes ------------------------------------------------------------------------------------------------

def quantise_input(module, args):
    """BitNet: 8 bits for each token (arXiv:2402.17764 eq. 4; ties to even, the range is not below 1e-5)."""
    x = args[0].float()
    scale = 127 / x.abs().amax(-1, keepdim=True).clamp(min=1e-5)
    return ((x * scale).round().clamp(-128, 127) / scale).double()


def run(model, tokens):
    with torch.no_grad():
        return model(torch.tensor([tokens]), use_cache=False).logits[0].numpy().astype(np.float64)


def expectation(folder, stem, name, model, tokens):
    logits = run(model, tokens)
    file = f"{stem}.{name}.logits.npy"
    np.save(folder / file, logits.astype(np.float32))
    ids, top5, margins, row = list(tokens), [], [], logits[-1]
    for _ in range(32):
        order = np.argsort(-row, kind="stable")
        top5.append([[int(i), round(float(row[i]), 5)] for i in order[:5]])
        margins.append(round(float(row[order[0]] - row[order[1]]), 5))
        ids.append(int(order[0]))
        row = run(model, ids)[-1]
    return {"name": name, "tokens": list(tokens), "logits": file, "logits_shape": list(logits.shape),
            "argmax": [int(i) for i in logits.argmax(-1)],
            "greedy": {"tokens": ids[len(tokens):], "top5": top5, "margin": margins,
                       "near_ties": [i for i, m in enumerate(margins) if m < 0.05]}}


TOLERANCE = {
    "f32": {"what": "f32 activations, exact weights", "max_abs": 2e-3, "nmse": 1e-8},
    "int8": {"what": "activations quantised to int8 in blocks inside the matrix products", "nmse": 1e-2},
    "a8": {"what": "int8 activations per token; single roundings at .5 may fall the other way", "nmse": 5e-4},
}


def make(folder, stem, c, seed):
    c = {**BASE, **c}
    c.setdefault("head", c["width"] // c["heads"])
    c.setdefault("act", "silu" if c["arch"] == "bitnet" else "relu2")
    rng = np.random.default_rng([seed, *stem.encode()])
    config, kind = hf_config(c)
    model = kind(config).double().eval()
    tensors = make_weights(c, model, rng)
    if c.get("scaling", {}).get("rope_type") == "llama3":
        tensors["rope_freqs.weight"] = ("F32", [c["head"] // 2], llama3_factors(c).tobytes())
    keys = {"general.architecture": c["arch"], "general.name": f"tern golden {stem}", "general.quantization_version": 2,
            **hyper(c), **vocabulary(c)}
    write_gguf(folder / f"{stem}.gguf", keys, tensors)

    prompts = {"p24": rng.integers(0, c["vocab"], 24).tolist(), "p7": rng.integers(0, c["vocab"], 7).tolist()}
    about = {"gguf": f"{stem}.gguf", "arch": c["arch"], "shape": c, "tolerance": TOLERANCE,
             "reference": f"transformers {transformers.__version__} {kind.__name__}, float64, weights dequantised",
             "cases": [expectation(folder, stem, name, model, ids) for name, ids in prompts.items()]}
    if c["type"] in TERNARY or "bitnet" in c["arch"]:
        for name, module in model.model.named_modules():
            if isinstance(module, torch.nn.Linear):
                module.register_forward_pre_hook(quantise_input)
        about["cases_a8"] = [expectation(folder, f"{stem}.a8", name, model, ids) for name, ids in prompts.items()]
    (folder / f"{stem}.json").write_text(json.dumps(about, separators=(",", ":")) + "\n")
    repeats = [len(set(case["greedy"]["tokens"])) for case in about["cases"]]
    print(f"{stem}: {(folder / f'{stem}.gguf').stat().st_size} bytes, distinct greedy tokens {repeats}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--set", choices=("kept", "odd"), default="kept")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("names", nargs="*")
    args = parser.parse_args()
    torch.set_num_threads(1)
    args.folder.mkdir(parents=True, exist_ok=True)
    for name, case in (KEPT if args.set == "kept" else ODD).items():
        if not args.names or name in args.names:
            make(args.folder, name, case, args.seed)


if __name__ == "__main__":
    main()
