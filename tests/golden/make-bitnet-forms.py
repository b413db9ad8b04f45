# SPDX-License-Identifier: LGPL-2.1-or-later
"""Draws tiny models of BitNet's forms as GGUF files that name them, and writes what bitnet_forms.py computes from them. A
developer's tool: the tests only read what it wrote.

usage: python3 make-bitnet-forms.py [--seed N] FOLDER [NAME...]

Needs numpy alone. Files are as tests/golden/data/README.md describes; `cases` are without rounding (masks and transforms stay),
`cases_a8` with it.
"""
import argparse
import json
import pathlib
import struct
import zlib

import numpy as np

from bitnet_forms import Model, binary, check, ternary

BASE = {"width": 256, "heads": 4, "kv": 2, "ffn": 256, "layers": 1, "vocab": 270, "eps": 1e-5, "theta": 10000.0, "block": 0,
        "context": 512, "type": "TQ2_0", "attention": []}
MODELS = {
    "bitnet-w1a8": {"arch": "bitnet-b1.58", "policy": "w1a8", "type": "Q1_0", "ffn": 384},
    "bitnet-a4.8": {"arch": "bitnet-b1.58", "policy": "a4.8"},
    "bitnet-v2": {"arch": "bitnet", "policy": "v2", "ffn": 512},
    # Weights that are not ternary run on the floats that rounded rows stand for.
    "bitnet-a4.8-f32": {"arch": "bitnet-b1.58", "policy": "a4.8", "type": "F32", "width": 96, "heads": 3, "kv": 3, "ffn": 160},
    "lfm2-v2": {"arch": "lfm2", "policy": "v2", "ffn": 768, "block": 64, "layers": 2, "attention": [1]},
    "lfm2-v2-a8-q8_0": {"arch": "lfm2", "policy": "v2-a8", "type": "Q8_0", "width": 96, "heads": 3, "kv": 1, "ffn": 96,
                        "block": 32, "layers": 2, "attention": [1]},
}
TYPES = {"F32": 0, "F16": 1, "Q8_0": 8, "TQ2_0": 35, "Q1_0": 41}


# ---- GGUF ------------------------------------------------------------------------------------------------------------

def text(value):
    return struct.pack("<Q", len(value.encode())) + value.encode()


def key(name, value):
    kinds = {int: (4, lambda v: struct.pack("<I", v)), float: (6, lambda v: struct.pack("<f", v)), str: (8, text)}
    if isinstance(value, list):
        kind, pack = (5, lambda v: struct.pack("<i", v)) if isinstance(value[0], int) else kinds[type(value[0])]
        return text(name) + struct.pack("<IIQ", 9, kind, len(value)) + b"".join(map(pack, value))
    kind, pack = kinds[type(value)]
    return text(name) + struct.pack("<I", kind) + pack(value)


def write(path, keys, tensors):
    """tensors: name -> (type, shape, bytes)"""
    head = [struct.pack("<IIQQ", 0x46554747, 3, len(tensors), len(keys)), *(key(*k) for k in keys.items())]
    blobs, offset = [], 0
    for name, (kind, shape, data) in tensors.items():
        head.append(text(name) + struct.pack(f"<I{len(shape)}QIQ", len(shape), *reversed(shape), TYPES[kind], offset))
        blobs.append(data + bytes(-len(data) % 32))
        offset += len(blobs[-1])
    head = b"".join(head)
    path.write_bytes(head + bytes(-len(head) % 32) + b"".join(blobs))


def encode(w, kind):
    """Bytes, and the values that they stand for."""
    if kind == "F32":
        return w.astype("<f4").tobytes(), w.astype(np.float32)
    if kind == "Q8_0":
        blocks = w.reshape(-1, 32)
        d = (np.abs(blocks).max(1, keepdims=True) / 127).astype(np.float16)
        q = np.rint(blocks / d.astype(np.float64)).clip(-127, 127).astype(np.int8)
        data = b"".join(a.tobytes() + b.tobytes() for a, b in zip(d, q))
        return data, (q * d.astype(np.float64)).reshape(w.shape)
    scale = np.float16(np.abs(w).max())                 # of all blocks
    if kind == "Q1_0":
        bits = np.packbits(w.reshape(-1, 128) > 0, axis=1, bitorder="little")
        return b"".join(scale.tobytes() + row.tobytes() for row in bits), np.sign(w) * np.float64(scale)
    digits = (np.sign(w) + 1).astype(np.uint8).reshape(-1, 2, 4, 32)
    packed = digits[:, :, 0] | digits[:, :, 1] << 2 | digits[:, :, 2] << 4 | digits[:, :, 3] << 6
    return b"".join(row.tobytes() + scale.tobytes() for row in packed), np.sign(w) * np.float64(scale)


def vocabulary(n):
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    rest = [b for b in range(256) if b not in printable]
    byte = {b: chr(b) for b in printable} | {b: chr(256 + i) for i, b in enumerate(rest)}
    tokens = [byte[b] for b in range(256)] + ["<|begin|>", "<|end|>", "ab"]
    tokens += [f"<|extra_{i}|>" for i in range(n - len(tokens))]
    return {"tokenizer.ggml.model": "gpt2", "tokenizer.ggml.pre": "llama-bpe", "tokenizer.ggml.tokens": tokens,
            "tokenizer.ggml.token_type": [1] * 256 + [3, 3, 1] + [3] * (n - 259), "tokenizer.ggml.merges": ["a b"],
            "tokenizer.ggml.bos_token_id": 256, "tokenizer.ggml.eos_token_id": 257}


# ---- The model -------------------------------------------------------------------------------------------------------

def shapes(c):
    """Matrices and vectors of a file, by name."""
    d, f, kv, lfm2 = c["width"], c["ffn"], c["width"] // c["heads"] * c["kv"], c["arch"] == "lfm2"
    out = {"token_embd": (c["vocab"], d), "token_embd_norm" if lfm2 else "output_norm": (d,)}
    for i in range(c["layers"]):
        own = {"attn_norm": (d,), "ffn_norm": (d,), "ffn_gate": (f, d), "ffn_up": (f, d), "ffn_down": (d, f)}
        if lfm2 and i not in c["attention"]:
            own |= {"shortconv.in_proj": (3 * d, d), "shortconv.conv": (d, 3), "shortconv.out_proj": (d, d)}
        else:
            own |= {"attn_q": (d, d), "attn_k": (kv, d), "attn_v": (kv, d), "attn_output": (d, d)}
            own |= {n: (d // c["heads"],) for n in ("attn_q_norm", "attn_k_norm") if lfm2}
        if not lfm2:
            own |= {"attn_sub_norm": (d,), "ffn_sub_norm": (f,)}
        out |= {f"blk.{i}.{n}": s for n, s in own.items()}
    return out


def draw(c, name, shape, rng):
    if len(shape) == 1:
        return rng.uniform(0.6, 1.4, shape), "F32"
    if name.endswith("conv"):
        return rng.normal(0, 0.6, shape), "F32"
    if name == "token_embd":
        return rng.normal(0, 0.6, shape), "Q8_0" if shape[1] % 32 == 0 else "F32"
    last = name.rpartition(".")[2] in ("attn_output", "out_proj", "ffn_down")
    # A few large features, as trained models have: what four bits and the transform are about.
    w = rng.normal(0, (8 if last else 1.5) / np.sqrt(shape[1]), shape) * np.exp(rng.normal(0, 0.5, (shape[0], 1)))
    if c["policy"] == "w1a8":
        return binary(w), c["type"]
    return (ternary(w) if c["type"] == "TQ2_0" else w), c["type"]


def hyper(c):
    a = c["arch"]
    kv = [c["kv"] if i in c["attention"] else 0 for i in range(c["layers"])] if a == "lfm2" else c["kv"]
    keys = {"block_count": c["layers"], "context_length": c["context"], "embedding_length": c["width"],
            "feed_forward_length": c["ffn"], "attention.head_count": c["heads"], "attention.head_count_kv": kv,
            "attention.layer_norm_rms_epsilon": c["eps"], "rope.freq_base": c["theta"], "vocab_size": c["vocab"]}
    if a == "lfm2":
        keys["shortconv.l_cache"] = 3
    out = {f"{a}.{k}": v for k, v in keys.items()} | {"tern.activations": c["policy"]}
    return out | ({"tern.activations.block": c["block"]} if c["block"] else {})


def case(folder, stem, name, model, tokens, rounds):
    logits = model.logits(tokens, rounds)
    file = f"{stem}.{name}.logits.npy"
    if name == "p24":
        np.save(folder / file, logits.astype(np.float32))
    ids, margins, row = list(tokens), [], logits[-1]
    for _ in range(32):
        order = np.argsort(-row, kind="stable")
        margins.append(round(float(row[order[0]] - row[order[1]]), 5))
        ids.append(int(order[0]))
        row = model.logits(ids, rounds)[-1]
    return {"name": name, "tokens": list(tokens), "logits": file, "argmax": [int(i) for i in logits.argmax(-1)],
            "greedy": {"tokens": ids[len(tokens):], "margin": margins}}


def make(folder, stem, c, seed):
    c = {**BASE, **c}
    rng = np.random.default_rng([seed, zlib.crc32(stem.encode())])
    files, values = {}, {}
    for name, shape in shapes(c).items():
        w, kind = draw(c, name, shape, rng)
        data, known = encode(w, kind)
        files[name + ".weight"] = (kind, shape, data)
        values[name + ".weight"] = known.astype(np.float64)
    write(folder / f"{stem}.gguf", {"general.architecture": c["arch"], "general.name": f"tern golden {stem}", **hyper(c),
                                    **vocabulary(c["vocab"])}, files)
    model = Model(c, values)
    prompts = {"p24": rng.integers(0, c["vocab"], 24).tolist(), "p7": rng.integers(0, c["vocab"], 7).tolist()}
    about = {"gguf": f"{stem}.gguf", "arch": c["arch"], "shape": c, "reference": "bitnet_forms.py, numpy, float64",
             "tolerance": {"f32": {"max_abs": 2e-3, "nmse": 1e-8}, "a8": {"nmse": 5e-4}},
             "cases": [case(folder, stem, n, model, ids, False) for n, ids in prompts.items()],
             "cases_a8": [case(folder, stem + ".a8", n, model, ids, True) for n, ids in prompts.items()]}
    (folder / f"{stem}.json").write_text(json.dumps(about, separators=(",", ":")) + "\n")
    for rounds in "cases", "cases_a8":
        print(stem, rounds, "distinct greedy", [len(set(k["greedy"]["tokens"])) for k in about[rounds]],
              "logits", round(float(model.logits(prompts["p24"], rounds == "cases_a8").std()), 2))


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("names", nargs="*")
    args = parser.parse_args()
    check()
    args.folder.mkdir(parents=True, exist_ok=True)
    for name, model in MODELS.items():
        if not args.names or name in args.names:
            make(args.folder, name, model, args.seed)


if __name__ == "__main__":
    main()
