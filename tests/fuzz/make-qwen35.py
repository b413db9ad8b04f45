# SPDX-License-Identifier: LGPL-2.1-or-later
"""Writes the seeds of Qwen3.5 and Qwen3-VL for fuzz-model: one layer of DeltaNet, one of attention, a head that guesses tokens;
dense, with experts, and dense with rotated matrices; and Qwen3-VL: two layers of attention, whose first is added features of the
encoder. Drawn weights, nothing but Python.

usage: make-qwen35.py tests/fuzz/seeds
"""
import pathlib
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from tiny_gguf import BOOL, F32, I32, STRING, U32, write  # noqa: E402

WIDTH, INNER, VOCAB, HEAD, STATE, VALUE_HEADS, EXPERTS = 8, 4, 12, 8, 4, 2, 2
VALUES = VALUE_HEADS * STATE
CHANNELS = 2 * STATE + VALUES


def keys(arch, experts):
    numbers = {"block_count": 3, "nextn_predict_layers": 1, "context_length": 64, "embedding_length": WIDTH,
               "feed_forward_length": INNER, "attention.head_count": 1, "attention.head_count_kv": 1,
               "attention.key_length": HEAD, "attention.value_length": HEAD, "rope.dimension_count": HEAD,
               "ssm.conv_kernel": 4, "ssm.state_size": STATE, "ssm.group_count": 1, "ssm.time_step_rank": VALUE_HEADS,
               "ssm.inner_size": VALUES, "full_attention_interval": 2}
    if experts:
        numbers |= {"expert_count": EXPERTS, "expert_used_count": 1, "expert_feed_forward_length": INNER,
                    "expert_shared_feed_forward_length": INNER}
    out = {"general.architecture": (STRING, arch)}
    out |= {f"{arch}.{name}": (U32, value) for name, value in numbers.items()}
    return out | {f"{arch}.rope.freq_base": (F32, 1e4), f"{arch}.attention.layer_norm_rms_epsilon": (F32, 1e-6),
                  f"{arch}.rope.dimension_sections": (I32, [2, 1, 1, 0]),
                  f"{arch}.attention.recurrent_layers": (BOOL, [1, 0, 0])}


def contract(tensors):
    """Rotated matrices, signs, a rotated embedding that is the head too."""
    prefix = "prism.hadamard."
    named = [name for name in tensors if name.split(".")[-2] in ("attn_qkv", "attn_gate", "attn_q", "ssm_out", "ffn_down")]
    return {prefix + "version": (U32, 2), prefix + "tied_output": (BOOL, 1), prefix + "block_size": (U32, 4),
            prefix + "transform": (STRING, "normalized-sylvester-walsh-hadamard"),
            prefix + "axis": (STRING, "input-last-dimension"), prefix + "sign_mode": (STRING, "explicit"),
            prefix + "sign_widths": (I32, [WIDTH, INNER]),
            prefix + "sign_values": (I32, [1 if i % 3 else -1 for i in range(WIDTH + INNER)]),
            prefix + "weight_names": (STRING, named), prefix + "inverse_weight_names": (STRING, ["token_embd.weight"]),
            prefix + "gdn_v_grouped": (BOOL, 1)}


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


def write_vl(path):
    numbers = {"block_count": 2, "context_length": 64, "embedding_length": WIDTH, "feed_forward_length": INNER,
               "attention.head_count": 1, "attention.key_length": HEAD, "n_deepstack_layers": 1}
    said = {"general.architecture": (STRING, "qwen3vl"), "qwen3vl.rope.freq_base": (F32, 1e4),
            "qwen3vl.attention.layer_norm_rms_epsilon": (F32, 1e-6), "qwen3vl.rope.dimension_sections": (I32, [2, 1, 1, 0])}
    said |= {f"qwen3vl.{name}": (U32, value) for name, value in numbers.items()}
    tensors = {"token_embd.weight": [WIDTH, VOCAB], "output_norm.weight": [WIDTH]}
    for i in range(2):
        shapes = {"attn_norm": [WIDTH], "ffn_norm": [WIDTH], "attn_q": [WIDTH, HEAD], "attn_k": [WIDTH, HEAD],
                  "attn_v": [WIDTH, HEAD],
                  "attn_q_norm": [HEAD], "attn_k_norm": [HEAD], "attn_output": [HEAD, WIDTH], "ffn_gate": [WIDTH, INNER],
                  "ffn_up": [WIDTH, INNER], "ffn_down": [INNER, WIDTH]}
        tensors |= {f"blk.{i}.{name}.weight": shape for name, shape in shapes.items()}
    write(path, said, tensors)


write_vl(pathlib.Path(sys.argv[1]) / "model-qwen3vl.gguf")
for name in "qwen35", "qwen35moe", "rotated":
    experts, arch = name.endswith("moe"), name if name != "rotated" else "qwen35"
    tensors = {"token_embd.weight": [WIDTH, VOCAB], "output_norm.weight": [WIDTH], **layer(0, experts), **layer(1, experts),
               "blk.2.nextn.enorm.weight": [WIDTH]}
    said = keys(arch, experts) | (contract(tensors) if name == "rotated" else {})
    write(pathlib.Path(sys.argv[1]) / f"model-{name}.gguf", said, tensors)
