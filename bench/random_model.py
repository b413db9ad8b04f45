# SPDX-License-Identifier: LGPL-2.1-or-later
"""Write a GGUF with the shape of a known model and random weights: for speed, memory and loading, where the values do
not matter. `tern bench --shape NAME --save FILE` does that, faster, for the shapes that it knows; this is for others: mixtures of
experts, fewer layers, other widths. Needs numpy.

python bench/random_model.py lfm2-1.2b model.gguf --type TQ2_0 --embedding-type Q8_0
python bench/random_model.py lfm2-8b-a1b model.gguf --type Q8_0 --layers 6 --width 1024 --experts 64 --experts-used 4

The weights are scaled by their fan-in, so activations stay finite; ternary tensors carry one scale each, as real ones
do. Values repeat every few megabytes. The vocabulary is a byte-level BPE made up of random merges: it encodes any text
and has the real number of tokens. What is written is a function of the options and the seed alone.
"""

import argparse
import math
import random
import struct
import sys

import numpy as np

SHAPES = {
    "lfm2-350m": {"arch": "lfm2", "width": 1024, "heads": 16, "kv_heads": 8, "layers": 16, "ffn": 4608,
                  "attention": (2, 5, 8, 10, 12, 14), "vocab": 65536, "rope": 1e6, "context": 32768},
    "lfm2-1.2b": {"arch": "lfm2", "width": 2048, "heads": 32, "kv_heads": 8, "layers": 16, "ffn": 8192,
                  "attention": (2, 5, 8, 10, 12, 14), "vocab": 65536, "rope": 1e6, "context": 32768},
    "lfm2-8b-a1b": {"arch": "lfm2moe", "width": 2048, "heads": 32, "kv_heads": 8, "layers": 24, "ffn": 7168,
                    "attention": (2, 6, 10, 14, 18, 21), "vocab": 65536, "rope": 1e6, "context": 32768,
                    "experts": 32, "experts_used": 4, "expert_ffn": 1792, "dense_layers": 2},
    "bitnet-2b": {"arch": "bitnet-b1.58", "width": 2560, "heads": 20, "kv_heads": 5, "layers": 30, "ffn": 6912,
                  "vocab": 128256, "rope": 5e5, "context": 4096},
    "smollm2-135m": {"arch": "llama", "width": 576, "heads": 9, "kv_heads": 3, "layers": 30, "ffn": 1536,
                     "vocab": 49152, "rope": 1e5, "context": 8192},
}

# GGUF: type ids, values of a block, bytes of a block.
TYPES = {"F32": (0, 1, 4), "F16": (1, 1, 2), "BF16": (30, 1, 2), "Q4_0": (2, 32, 18), "Q4_1": (3, 32, 20),
         "Q8_0": (8, 32, 34), "Q4_K": (12, 256, 144), "Q6_K": (14, 256, 210), "TQ1_0": (34, 256, 54), "TQ2_0": (35, 256, 66)}
ALIGNMENT = 32
POOL_BYTES = 8 << 20
CHUNK_BYTES = 4 << 20

CHAT_TEMPLATE = ("{{ bos_token }}{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + "
                 "message['content'] + '<|im_end|>\\n' }}{% endfor %}{% if add_generation_prompt %}"
                 "{{ '<|im_start|>assistant\\n' }}{% endif %}")
SPECIAL = {  # pre-tokenizer, special tokens in front of the bytes, then the places of BOS, EOS, padding among them
    "lfm2": ("lfm2", ("<|pad|>", "<|startoftext|>", "<|endoftext|>", "<|im_start|>", "<|im_end|>"), 1, 4, 0),
    "lfm2moe": ("lfm2", ("<|pad|>", "<|startoftext|>", "<|endoftext|>", "<|im_start|>", "<|im_end|>"), 1, 4, 0),
    "bitnet-b1.58": ("llama-bpe", ("<|begin_of_text|>", "<|end_of_text|>", "<|im_start|>", "<|im_end|>"), 0, 1, 1),
    "bitnet": ("llama-bpe", ("<|begin_of_text|>", "<|end_of_text|>", "<|im_start|>", "<|im_end|>"), 0, 1, 1),
    "llama": ("smollm", ("<|endoftext|>", "<|im_start|>", "<|im_end|>"), 0, 2, 2),
}


# ---- Random blocks ---------------------------------------------------------------------------------------------------

def half(value):
    return np.frombuffer(np.array([value], np.float16).tobytes(), np.uint8)


def blocks(kind, cols, rng):
    """About POOL_BYTES of valid blocks whose values have variance 1 / cols."""
    sigma = 1 / math.sqrt(cols)
    size, bytes_ = TYPES[kind][1:]
    n = POOL_BYTES // bytes_
    if kind in ("F32", "F16", "BF16"):
        values = rng.standard_normal(n, np.float32) * np.float32(sigma)
        if kind == "BF16":
            return (values.view(np.uint32) >> 16).astype(np.uint16).view(np.uint8)
        return values.astype(np.float32 if kind == "F32" else np.float16).view(np.uint8)
    out = rng.integers(0, 256, (n, bytes_), np.uint8)
    if kind == "Q8_0":          # d, 32 int8: -128 to 127 have a deviation of 73.9
        out[:, 0:2] = half(sigma / 73.9)
    elif kind == "Q4_0":        # d, 16 pairs of nibbles: -8 to 7 have a deviation of 4.6
        out[:, 0:2] = half(sigma / 4.61)
    elif kind == "Q4_1":        # d, least value, 16 pairs of nibbles: 0 to 15 around 7.5
        out[:, 0:2] = half(sigma / 4.61)
        out[:, 2:4] = half(sigma / 4.61 * -7.5)
    elif kind == "Q4_K":        # d, dmin, 8 scales and minima of 6 bits (here all 33 and 31), nibbles
        out[:, 0:2] = half(sigma / 4.61 / 33)
        out[:, 2:4] = half(sigma / 4.61 * 7.5 / 31)
        out[:, 4:16] = np.array([0xa1] * 4 + [0x5f] * 4 + [0xf1] * 4, np.uint8)
    elif kind == "Q6_K":        # low bits, high bits, 16 scales, d: -32 to 31 have a deviation of 18.5
        out[:, 192:208] = rng.integers(32, 64, (n, 16), np.uint8)
        out[:, 208:210] = half(sigma / 18.5 / 48)
    elif kind == "TQ2_0":       # 64 bytes of four digits 0, 1, 2; d
        digits = np.array([a | b << 2 | c << 4 | d << 6 for a in range(3) for b in range(3) for c in range(3)
                           for d in range(3)], np.uint8)
        out[:, :64] = digits[rng.integers(0, 81, (n, 64), np.uint8)]
        out[:, 64:66] = half(sigma * math.sqrt(1.5))
    elif kind == "TQ1_0":       # 48 bytes of five digits, 4 bytes of four, d; a byte is ceil(256 v / 243)
        five = np.array([(256 * v + 242) // 243 for v in range(243)], np.uint8)
        out[:, :48] = five[rng.integers(0, 243, (n, 48), np.uint8)]
        out[:, 48:52] = five[3 * rng.integers(0, 81, (n, 4), np.uint8)]
        out[:, 52:54] = half(sigma * math.sqrt(1.5))
    return out.reshape(-1)


class Source:
    """Bytes of tensors: pools of blocks read round and round, from another place for every tensor."""

    def __init__(self, seed):
        self.rng = np.random.default_rng(seed)
        self.pools = {}

    def write(self, file, kind, dims, name):
        bytes_ = tensor_bytes(kind, dims)
        if kind == "F32" and len(dims) == 1:    # norms and biases
            low, high = (-0.25, 0.25) if name.endswith("bias") else (0.6, 1.4)
            file.write(self.rng.uniform(low, high, dims[0]).astype(np.float32).tobytes())
            return
        if (kind, dims[0]) not in self.pools:
            self.pools[kind, dims[0]] = blocks(kind, dims[0], self.rng)
        pool = self.pools[kind, dims[0]]
        at = int(self.rng.integers(0, len(pool) // TYPES[kind][2])) * TYPES[kind][2]
        while bytes_:
            n = min(bytes_, len(pool) - at, CHUNK_BYTES)
            file.write(memoryview(pool)[at:at + n])
            bytes_ -= n
            at = (at + n) % len(pool)


# ---- Vocabulary ------------------------------------------------------------------------------------------------------

def byte_letters():
    """The letter that byte-level BPE writes for each byte."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = iter(range(256, 512))
    return [chr(b) if b in plain else chr(next(others)) for b in range(256)]


def vocabulary(arch, size, seed):
    pre, special, bos, eos, pad = SPECIAL[arch]
    letters = byte_letters()
    if size < len(special) + len(letters):
        raise SystemExit(f"--vocab: expected at least {len(special) + len(letters)}, found {size}")
    tokens = [*special, *letters]
    known, merges, rng = set(tokens), [], random.Random(seed)
    # Mostly letters and a leading space, as in texts; pieces of at most 12 bytes.
    parts = [letters[32], *map(chr, range(97, 123)), *map(chr, range(97, 123)), *letters]
    while len(tokens) < size:
        left, right = rng.choice(parts), rng.choice(parts)
        if len(left) + len(right) <= 12 and left + right not in known:
            known.add(left + right)
            tokens.append(left + right)
            parts.append(left + right)
            merges.append(f"{left} {right}")
    return {"tokenizer.ggml.model": "gpt2", "tokenizer.ggml.pre": pre, "tokenizer.ggml.tokens": tokens,
            "tokenizer.ggml.token_type": [3] * len(special) + [1] * (size - len(special)),
            "tokenizer.ggml.merges": merges, "tokenizer.ggml.bos_token_id": bos, "tokenizer.ggml.eos_token_id": eos,
            "tokenizer.ggml.padding_token_id": pad, "tokenizer.ggml.add_bos_token": arch != "llama",
            "tokenizer.ggml.add_eos_token": False, "tokenizer.chat_template": CHAT_TEMPLATE}


# ---- Families --------------------------------------------------------------------------------------------------------

def attention_layers(shape):
    if "attention" not in shape:
        return set(range(shape["layers"]))
    default = SHAPES[shape["name"]]
    if shape["layers"] == default["layers"]:
        return set(shape["attention"])
    return {i for i in range(shape["layers"]) if i % 3 == 2}


def keys(shape):
    arch, attention = shape["arch"], attention_layers(shape)
    out = {"general.architecture": arch, "general.name": f"random {shape['name']}", "general.alignment": ALIGNMENT,
           "block_count": shape["layers"], "context_length": shape["context"], "embedding_length": shape["width"],
           "feed_forward_length": shape["ffn"], "attention.head_count": shape["heads"],
           "attention.layer_norm_rms_epsilon": 1e-5, "rope.freq_base": shape["rope"], "vocab_size": shape["vocab"]}
    if arch in ("lfm2", "lfm2moe"):
        out["attention.head_count_kv"] = [shape["kv_heads"] if i in attention else 0 for i in range(shape["layers"])]
        out["shortconv.l_cache"] = 3
    else:
        out["attention.head_count_kv"] = shape["kv_heads"]
        out["rope.dimension_count"] = shape["width"] // shape["heads"]
    if arch == "lfm2moe":
        out |= {"expert_count": shape["experts"], "expert_used_count": shape["experts_used"],
                "expert_feed_forward_length": shape["expert_ffn"],
                "leading_dense_block_count": shape["dense_layers"], "expert_gating_func": 2}
    return {k if "." in k and k.split(".")[0] == "general" else f"{arch}.{k}": v for k, v in out.items()}


def layer_tensors(shape, i):
    arch, d, f = shape["arch"], shape["width"], shape["ffn"]
    head = d // shape["heads"]
    kv = head * shape["kv_heads"]
    yield "attn_norm.weight", (d,)
    if i in attention_layers(shape):
        yield from (("attn_q.weight", (d, d)), ("attn_k.weight", (d, kv)), ("attn_v.weight", (d, kv)),
                    ("attn_output.weight", (d, d)))
        if arch in ("lfm2", "lfm2moe"):
            yield from (("attn_q_norm.weight", (head,)), ("attn_k_norm.weight", (head,)))
    else:
        yield from (("shortconv.in_proj.weight", (d, 3 * d)), ("shortconv.conv.weight", (3, d)),
                    ("shortconv.out_proj.weight", (d, d)))
    if arch.startswith("bitnet"):
        yield from (("attn_sub_norm.weight", (d,)), ("ffn_sub_norm.weight", (f,)))
    yield "ffn_norm.weight", (d,)
    if arch == "lfm2moe" and i >= shape["dense_layers"]:
        n, e = shape["experts"], shape["expert_ffn"]
        yield from (("ffn_gate_inp.weight", (d, n)), ("exp_probs_b.bias", (n,)), ("ffn_gate_exps.weight", (d, e, n)),
                    ("ffn_up_exps.weight", (d, e, n)), ("ffn_down_exps.weight", (e, d, n)))
    else:
        yield from (("ffn_gate.weight", (d, f)), ("ffn_up.weight", (d, f)), ("ffn_down.weight", (f, d)))


def tensors(shape):
    d, v = shape["width"], shape["vocab"]
    yield "token_embd.weight", (d, v), shape["embedding_type"]
    yield "token_embd_norm.weight" if shape["arch"].startswith("lfm2") else "output_norm.weight", (d,), "F32"
    if shape["untied"]:
        yield "output.weight", (d, v), shape["embedding_type"]
    for i in range(shape["layers"]):
        for name, dims in layer_tensors(shape, i):
            plain = len(dims) == 1 or name.startswith(("shortconv.conv", "ffn_gate_inp"))
            yield f"blk.{i}.{name}", dims, "F32" if plain else shape["type"]


# ---- File ------------------------------------------------------------------------------------------------------------

def tensor_bytes(kind, dims):
    return math.prod(dims) // TYPES[kind][1] * TYPES[kind][2]


def string(s):
    data = s.encode()
    return struct.pack("<Q", len(data)) + data


def value(v):
    if isinstance(v, bool):
        return struct.pack("<IB", 7, v)
    if isinstance(v, int):
        return struct.pack("<II", 4, v)
    if isinstance(v, float):
        return struct.pack("<If", 6, v)
    if isinstance(v, str):
        return struct.pack("<I", 8) + string(v)
    if v and isinstance(v[0], int):
        return struct.pack(f"<IIQ{len(v)}i", 9, 5, len(v), *v)
    return struct.pack("<IIQ", 9, 8, len(v)) + b"".join(map(string, v))


def pad(n):
    return -n % ALIGNMENT


def write(path, shape, seed):
    listed = list(tensors(shape))
    values = keys(shape) | vocabulary(shape["arch"], shape["vocab"], seed)
    source, offset = Source(seed), 0
    header = [struct.pack("<4sIQQ", b"GGUF", 3, len(listed), len(values))]
    header += [string(k) + value(v) for k, v in values.items()]
    for name, dims, kind in listed:
        if dims[0] % TYPES[kind][1]:
            raise SystemExit(f"{name}: {kind} has blocks of {TYPES[kind][1]}, a row has {dims[0]} values")
        header.append(string(name) + struct.pack(f"<I{len(dims)}QIQ", len(dims), *dims, TYPES[kind][0], offset))
        offset += tensor_bytes(kind, dims)
        offset += pad(offset)
    with open(path, "wb", buffering=0) as file:
        head = b"".join(header)
        file.write(head + bytes(pad(len(head))))
        for name, dims, kind in listed:
            source.write(file, kind, dims, name)
            file.write(bytes(pad(tensor_bytes(kind, dims))))
        size = file.tell()
    n = sum(math.prod(dims) for _, dims, _ in listed)
    print(f"{path}: {n / 1e6:.0f} M weights, {size / 1e6:.0f} MB")


def main():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("shape", choices=SHAPES)
    a.add_argument("output")
    a.add_argument("--type", default="Q8_0", choices=TYPES, help="of the matrices inside the layers")
    a.add_argument("--embedding-type", choices=TYPES, help="of the embedding and the head; default: Q8_0 where --type "
                   "is ternary, else --type")
    a.add_argument("--untied", action="store_true", help="a head of its own")
    a.add_argument("--arch", choices=SPECIAL, help="name of the architecture (bitnet for llama.cpp: the SiLU variant)")
    a.add_argument("--seed", type=int, default=1)
    for name in ("width", "layers", "heads", "kv-heads", "ffn", "vocab", "context", "experts", "experts-used",
                 "expert-ffn", "dense-layers"):
        a.add_argument(f"--{name}", type=int, help="instead of the shape's")
    options = a.parse_args()

    base = SHAPES[options.shape]
    shape = base | {"name": options.shape}
    shape |= {k: v for k, v in vars(options).items() if v is not None and k not in ("shape", "output", "seed")}
    if options.width and not options.heads:     # heads of the same size, as many to a key head
        shape["heads"] = max(options.width // (base["width"] // base["heads"]), 1)
        if not options.kv_heads:
            shape["kv_heads"] = max(shape["heads"] * base["kv_heads"] // base["heads"], 1)
    if shape["width"] % shape["heads"] or shape["heads"] % shape["kv_heads"]:
        raise SystemExit(f"--width, --heads, --kv-heads: each must divide the one before it; found {shape['width']}, "
                         f"{shape['heads']}, {shape['kv_heads']}")
    shape.setdefault("embedding_type", "Q8_0" if shape["type"].startswith("TQ") else shape["type"])
    write(options.output, shape, options.seed)


if __name__ == "__main__":
    sys.exit(main())
