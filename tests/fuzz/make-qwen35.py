# SPDX-License-Identifier: LGPL-2.1-or-later
"""Writes the seeds of Qwen3.5 for fuzz-model: one layer of DeltaNet, one of attention, a head that guesses tokens; dense, and with
experts. Drawn weights, nothing but Python.

usage: make-qwen35.py tests/fuzz/seeds
"""
import pathlib
import random
import struct
import sys

U32, I32, F32, BOOL, STRING, ARRAY = 4, 5, 6, 7, 8, 9
WIDTH, INNER, VOCAB, HEAD, STATE, VALUE_HEADS, EXPERTS = 8, 4, 12, 8, 4, 2, 2
VALUES = VALUE_HEADS * STATE
CHANNELS = 2 * STATE + VALUES


def text(value):
    return struct.pack("<Q", len(value)) + value.encode()


def key(name, kind, value):
    data = {U32: lambda: struct.pack("<I", value), F32: lambda: struct.pack("<f", value), STRING: lambda: text(value),
            I32: lambda: struct.pack(f"<IQ{len(value)}i", I32, len(value), *value),
            BOOL: lambda: struct.pack(f"<IQ{len(value)}B", BOOL, len(value), *value)}[kind]()
    return text(name) + struct.pack("<I", ARRAY if kind in (I32, BOOL) else kind) + data


def keys(arch, experts):
    numbers = {"block_count": 3, "nextn_predict_layers": 1, "context_length": 64, "embedding_length": WIDTH,
               "feed_forward_length": INNER, "attention.head_count": 1, "attention.head_count_kv": 1,
               "attention.key_length": HEAD, "attention.value_length": HEAD, "rope.dimension_count": HEAD,
               "ssm.conv_kernel": 4, "ssm.state_size": STATE, "ssm.group_count": 1, "ssm.time_step_rank": VALUE_HEADS,
               "ssm.inner_size": VALUES, "full_attention_interval": 2}
    if experts:
        numbers |= {"expert_count": EXPERTS, "expert_used_count": 1, "expert_feed_forward_length": INNER,
                    "expert_shared_feed_forward_length": INNER}
    out = [key("general.architecture", STRING, arch)]
    out += [key(f"{arch}.{name}", U32, value) for name, value in numbers.items()]
    out += [key(f"{arch}.rope.freq_base", F32, 1e4), key(f"{arch}.attention.layer_norm_rms_epsilon", F32, 1e-6),
            key(f"{arch}.rope.dimension_sections", I32, [2, 1, 1, 0]),
            key(f"{arch}.attention.recurrent_layers", BOOL, [1, 0, 0])]
    return out


def layer(i, experts):
    shapes = {"attn_norm.weight": [WIDTH], "post_attention_norm.weight": [WIDTH]}
    if i == 0:
        shapes |= {"attn_qkv.weight": [WIDTH, CHANNELS], "attn_gate.weight": [WIDTH, VALUES],
                   "ssm_alpha.weight": [WIDTH, VALUE_HEADS], "ssm_beta.weight": [WIDTH, VALUE_HEADS],
                   "ssm_conv1d.weight": [4, CHANNELS], "ssm_dt.bias": [VALUE_HEADS], "ssm_a": [VALUE_HEADS],
                   "ssm_norm.weight": [STATE], "ssm_out.weight": [VALUES, WIDTH]}
    else:
        shapes |= {"attn_q.weight": [WIDTH, 2 * HEAD], "attn_k.weight": [WIDTH, HEAD], "attn_v.weight": [WIDTH, HEAD],
                   "attn_q_norm.weight": [HEAD], "attn_k_norm.weight": [HEAD], "attn_output.weight": [HEAD, WIDTH]}
    ffn = {"gate": [WIDTH, INNER], "up": [WIDTH, INNER], "down": [INNER, WIDTH]}
    if experts:
        shapes |= {f"ffn_{n}_exps.weight": s + [EXPERTS] for n, s in ffn.items()}
        shapes |= {f"ffn_{n}_shexp.weight": s for n, s in ffn.items()}
        shapes |= {"ffn_gate_inp.weight": [WIDTH, EXPERTS], "ffn_gate_inp_shexp.weight": [WIDTH]}
    else:
        shapes |= {f"ffn_{n}.weight": s for n, s in ffn.items()}
    return {f"blk.{i}.{name}": shape for name, shape in shapes.items()}


def write(path, arch, experts):
    drawn = random.Random(5)
    tensors = {"token_embd.weight": [WIDTH, VOCAB], "output_norm.weight": [WIDTH], **layer(0, experts), **layer(1, experts),
               "blk.2.nextn.enorm.weight": [WIDTH]}
    infos, data = [], b""
    for name, shape in tensors.items():
        count = 1
        for n in shape:
            count *= n
        infos.append(text(name) + struct.pack(f"<I{len(shape)}QIQ", len(shape), *shape, 0, len(data)))
        values = [-1 - drawn.random() if name.endswith("ssm_a") else drawn.uniform(-1, 1) + name.endswith("norm.weight")
                  for _ in range(count)]
        data += struct.pack(f"<{count}f", *values)
        data += bytes(-len(data) % 32)
    said = keys(arch, experts)
    head = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(said)) + b"".join(said) + b"".join(infos)
    path.write_bytes(head + bytes(-len(head) % 32) + data)


for name in "qwen35", "qwen35moe":
    write(pathlib.Path(sys.argv[1]) / f"model-{name}.gguf", name, name.endswith("moe"))
