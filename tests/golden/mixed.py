# SPDX-License-Identifier: LGPL-2.1-or-later
"""One model in which every weight type occurs: random bits as the blocks of each, with scales that make ordinary
weights of them. The file is made anew by every run and is always the same; what it must give was computed by others.
Prints TAP.

usage: mixed.py TERN DATA_FOLDER [LEVEL...]
       mixed.py --make DATA_FOLDER      writes mixed.npy (numpy, gguf 0.19, torch, transformers)

The expected logits are transformers' LlamaForCausalLM in float64, on weights that gguf.quants dequantised; I2_S, IQ1_BN
and IQ2_BN, which gguf does not know, are unpacked here in numpy.
"""
import array
import os
import pathlib
import random
import struct
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from tap import patience, plan, point  # noqa: E402

WIDTH, HEADS, KV_HEADS, HEAD, FFN, LAYERS, VOCABULARY, THETA, EPSILON = 256, 4, 2, 64, 512, 3, 256, 10000.0, 1e-5
TOKENS = [1, 72, 101, 108, 108, 111, 44, 32, 119, 200, 3, 150]
GAIN = 1.5                      # of a matrix: the standard deviation of its weights is GAIN / sqrt(columns)
MAX_ABS, NMSE, NMSE_INT8 = 2e-3, 1e-8, 1e-2

# name: id, values and bytes of a block, where f16 scales stand in it and their ratio to the first, standard deviation
# of the values for a scale of 1 and random bits
TYPES = {
    "Q4_0": (2, 32, 18, {0: 1}, 4.6), "Q4_1": (3, 32, 20, {0: 1, 2: -7.5}, 4.6), "Q5_0": (6, 32, 22, {0: 1}, 9.2),
    "Q5_1": (7, 32, 24, {0: 1, 2: -15.5}, 9.2), "Q8_0": (8, 32, 34, {0: 1}, 74),
    "Q2_K": (10, 256, 84, {80: 1, 82: 1.5}, 14), "Q3_K": (11, 256, 110, {108: 1}, 43),
    "Q4_K": (12, 256, 144, {0: 1, 2: 7.5}, 258), "Q5_K": (13, 256, 176, {0: 1, 2: 15.5}, 527),
    "Q6_K": (14, 256, 210, {208: 1}, 1370), "IQ4_NL": (20, 32, 18, {0: 1}, 70), "IQ4_XS": (23, 256, 136, {0: 1}, 1300),
    "TQ1_0": (34, 256, 54, {52: 1}, .82), "TQ2_0": (35, 256, 66, {64: 1}, .82), "I2_S": (36, 128, 32, {}, .82),
    "IQ1_BN": (134, 64, 13, {}, .82), "IQ2_BN": (135, 64, 16, {}, .82),
}
PLAIN = {"F32": (0, "f"), "F16": (1, "e"), "BF16": (30, "f")}
MATRICES = ["attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down"]
ORDER = ["Q4_0", "F16", "Q5_1", "Q4_1", "TQ1_0", "Q3_K", "IQ4_XS", "I2_S", "Q2_K", "BF16", "Q5_0", "IQ2_BN", "Q4_K",
         "TQ2_0", "Q6_K", "F32", "IQ4_NL", "IQ1_BN", "Q5_K", "Q8_0", "Q3_K"]


def shapes():
    """name: (rows, columns, type)"""
    rows = {"attn_q": HEADS * HEAD, "attn_k": KV_HEADS * HEAD, "attn_v": KV_HEADS * HEAD, "attn_output": WIDTH,
            "ffn_gate": FFN, "ffn_up": FFN, "ffn_down": WIDTH}
    cols = {"attn_output": HEADS * HEAD, "ffn_down": FFN}
    out = {"token_embd.weight": (VOCABULARY, WIDTH, "Q5_K"), "output.weight": (VOCABULARY, WIDTH, "IQ4_XS")}
    for i, kind in enumerate(ORDER):
        name = MATRICES[i % 7]
        out[f"blk.{i // 7}.{name}.weight"] = (rows[name], cols.get(name, WIDTH), kind)
    return out


def blocks(rng, rows, cols, kind):
    """The bytes of a matrix."""
    scale = GAIN / cols ** .5
    if kind in PLAIN:
        number = PLAIN[kind][1]
        values = [struct.pack("<" + number, rng.uniform(-1.7, 1.7) * scale) for _ in range(rows * cols)]
        return b"".join(v[2:] if kind == "BF16" else v for v in values)
    _, block, size, scales, deviation = TYPES[kind]
    scale /= deviation
    out = bytearray()
    for row in range(rows):
        out += struct.pack("<e", scale * (1 + row % 3)) if kind == "IQ1_BN" else b""
        out += struct.pack("<f", scale) if kind == "IQ2_BN" else b""
        for _ in range(cols // block):
            data = bytearray(rng.randbytes(size))
            if kind in ("TQ2_0", "I2_S", "IQ2_BN"):     # two-bit codes: 3 is none
                data = bytearray(b & ~(b >> 1 & 0x55) for b in data)
            for at, ratio in scales.items():
                data[at:at + 2] = struct.pack("<e", scale * ratio)
            out += data
    return bytes(out) + (struct.pack("<f", scale) + bytes(28) if kind == "I2_S" else b"")


def norm(rng):
    return struct.pack(f"<{WIDTH}f", *(rng.uniform(.6, 1.4) for _ in range(WIDTH)))


def tensors():
    """(name, dims, type id, bytes)"""
    rng = random.Random(20253)
    for name, (rows, cols, kind) in shapes().items():
        yield name, (cols, rows), (PLAIN.get(kind) or TYPES[kind])[0], blocks(rng, rows, cols, kind)
    for name in ["output_norm"] + [f"blk.{i}.{n}" for i in range(LAYERS) for n in ("attn_norm", "ffn_norm")]:
        yield name + ".weight", (WIDTH,), 0, norm(rng)


def text(value):
    return struct.pack("<Q", len(value.encode())) + value.encode()


def keys():
    def number(name, value):
        kind = ("<If", 6) if isinstance(value, float) else ("<II", 4)
        return text(name) + struct.pack(kind[0], kind[1], value)

    def words(name, values):
        return text(name) + struct.pack("<IIQ", 9, 8, len(values)) + b"".join(map(text, values))
    tokens = [f"<{i}>" for i in range(VOCABULARY)]
    return [text("general.architecture") + struct.pack("<I", 8) + text("llama"),
            number("llama.block_count", LAYERS), number("llama.context_length", 512),
            number("llama.embedding_length", WIDTH), number("llama.feed_forward_length", FFN),
            number("llama.attention.head_count", HEADS), number("llama.attention.head_count_kv", KV_HEADS),
            number("llama.attention.layer_norm_rms_epsilon", EPSILON), number("llama.rope.freq_base", THETA),
            number("llama.rope.dimension_count", HEAD), number("llama.vocab_size", VOCABULARY),
            text("tokenizer.ggml.model") + struct.pack("<I", 8) + text("gpt2"),
            text("tokenizer.ggml.pre") + struct.pack("<I", 8) + text("smollm"),
            words("tokenizer.ggml.tokens", tokens), words("tokenizer.ggml.merges", []),
            text("tokenizer.ggml.token_type") + struct.pack(f"<IIQ{VOCABULARY}i", 9, 5, VOCABULARY, *[1] * VOCABULARY),
            number("tokenizer.ggml.bos_token_id", 1), number("tokenizer.ggml.eos_token_id", 2)]


def padding(length):
    return bytes(-length % 32)


def model():
    """The file."""
    directory, data, everything = bytearray(), bytearray(), list(tensors())
    for name, dims, kind, content in everything:
        directory += text(name) + struct.pack(f"<I{len(dims)}QIQ", len(dims), *dims, kind, len(data))
        data += content + padding(len(content))
    entries = keys()
    head = b"GGUF" + struct.pack("<IQQ", 3, len(everything), len(entries)) + b"".join(entries) + directory
    return head + padding(len(head)) + data


# ---- What it must give ----------------------------------------------------------------------------------------------

def unpacked(rows, cols, kind, data):
    """A matrix as float64; for the three types that gguf does not know by the words that describe them."""
    import gguf
    import numpy as np
    from gguf import quants
    raw = np.frombuffer(data, np.uint8)
    if kind not in ("I2_S", "IQ1_BN", "IQ2_BN"):
        number = gguf.GGMLQuantizationType[kind]
        return quants.dequantize(raw.reshape(rows, -1), number).reshape(rows, cols).astype("f8")
    if kind == "I2_S":          # 32 bytes for 128 values, the first 32 of them in the two highest bits
        codes = raw[:rows * cols // 4].reshape(-1, 1, 32) >> np.array([6, 4, 2, 0], np.uint8).reshape(1, 4, 1) & 3
        return (codes.reshape(rows, cols).astype("f8") - 1) * float(raw[rows * cols // 4:][:4].copy().view("<f4")[0])
    raw = raw.reshape(rows, -1)
    if kind == "IQ2_BN":        # an f32 scale, then 16 bytes for 64 values, the first 16 in the two lowest bits
        scales = raw[:, :4].copy().view("<f4").astype("f8")
        codes = raw[:, 4:].reshape(rows, -1, 1, 16) >> np.array([0, 2, 4, 6], np.uint8).reshape(1, 1, 4, 1) & 3
        return (codes.reshape(rows, cols).astype("f8") - 1) * scales
    # An f16 scale, then 13 bytes for 64 values. A byte is ceil(256 n / 243), digits of n upwards from the lowest.
    scales = raw[:, :2].copy().view("<f2").astype("f8")
    number = raw[:, 2:].reshape(rows, -1, 13).astype(int)
    digit = [(number * 3 ** (4 - j) % 256) * 3 // 256 for j in range(5)]
    out = np.empty((rows, cols // 64, 4, 16))
    for group in range(4):
        for i in range(15):
            out[:, :, group, i] = digit[i % 5][:, :, 3 * group + i // 5]
        out[:, :, group, 15] = digit[group][:, :, 12]
    return (out.reshape(rows, cols) - 1) * scales


def make(folder):
    import numpy as np
    import torch
    import transformers
    config = transformers.LlamaConfig(
        vocab_size=VOCABULARY, hidden_size=WIDTH, intermediate_size=FFN, num_hidden_layers=LAYERS,
        num_attention_heads=HEADS, num_key_value_heads=KV_HEADS, head_dim=HEAD, rms_norm_eps=EPSILON,
        rope_theta=THETA, max_position_embeddings=512, tie_word_embeddings=False, attn_implementation="eager")
    network = transformers.LlamaForCausalLM(config).double().eval()
    names = {"attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj", "attn_v": "self_attn.v_proj",
             "attn_output": "self_attn.o_proj", "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj",
             "ffn_down": "mlp.down_proj", "attn_norm": "input_layernorm", "ffn_norm": "post_attention_layernorm"}
    state = {}
    for name, dims, kind, data in tensors():
        if len(dims) == 1:
            values = np.frombuffer(data, "<f4").astype("f8")
        else:
            values = unpacked(*shapes()[name], data)
        parts = name.split(".")
        if parts[0] == "blk":
            if parts[2] in ("attn_q", "attn_k"):        # GGUF has the two halves of a rotation side by side
                values = values.reshape(-1, HEAD // 2, 2, WIDTH).swapaxes(1, 2).reshape(-1, WIDTH)
            name = f"model.layers.{parts[1]}.{names[parts[2]]}.weight"
        else:
            name = {"token_embd": "model.embed_tokens", "output": "lm_head", "output_norm": "model.norm"}[parts[0]]
            name += ".weight"
        state[name] = torch.from_numpy(values.copy())
    network.load_state_dict(state)
    with torch.no_grad():
        logits = network(torch.tensor([TOKENS])).logits[0].numpy()
    print("standard deviation of the logits", logits.std())
    folder.mkdir(exist_ok=True)
    np.save(folder / "mixed.npy", logits.astype("<f4"))


# ---- Test -----------------------------------------------------------------------------------------------------------

def npy(path):
    data = pathlib.Path(path).read_bytes()
    values = array.array("f")
    values.frombytes(data[10 + int.from_bytes(data[8:10], "little"):])
    return values


def test(tern, folder, levels):
    expected = npy(folder / "mixed.npy")
    with tempfile.TemporaryDirectory() as name:
        path = pathlib.Path(name)
        (path / "mixed.gguf").write_bytes(model())
        (path / "tokens").write_text(" ".join(map(str, TOKENS)))
        for level in levels:
            for mode, largest, nmse in ("f32", MAX_ABS, NMSE), ("int8", float("inf"), NMSE_INT8):
                run = subprocess.run([tern, "logits", "--model", path / "mixed.gguf", "--tokens", path / "tokens",
                                      "--output", path / "out.npy", "--activations", mode], capture_output=True,
                                     text=True, env=dict(os.environ, TERN_CPU=level), timeout=patience(120))
                if run.returncode and "TERN_CPU" in run.stderr:
                    point(False, f"{level} {mode}", skip=run.stderr.strip())
                    continue
                found = npy(path / "out.npy") if run.returncode == 0 else []
                top = max((abs(a - b) for a, b in zip(found, expected)), default=float("inf"))
                error = sum((a - b) ** 2 for a, b in zip(found, expected)) / sum(b * b for b in expected)
                good = len(found) == len(expected) and top <= largest and error <= nmse
                print("#", f"largest difference {top:.3g}, NMSE {error:.3g}", run.stderr.strip())
                point(good, f"{level} {mode}")
    plan()


if sys.argv[1] == "--make":
    make(pathlib.Path(sys.argv[2]))
else:
    test(os.path.abspath(sys.argv[1]), pathlib.Path(sys.argv[2]),
         sys.argv[3:] or ["scalar", "avx2", "avx512vnni", "amx", "neon", "dotprod", "i8mm"])
