# SPDX-License-Identifier: LGPL-2.1-or-later
"""Make data/lfm2moe: a random LFM2 with experts as GGUF, and what transformers computes from it in float64.

usage: make-moe.py FOLDER [--seed N] [--experts Q8_0|Q4_0|TQ2_0|mixed] [--expert-ffn N]

Needs gguf 0.19, torch and transformers 5 (the first with Lfm2MoeForCausalLM). Weights are quantised, dequantised by gguf
and put into the model; logits come from one full pass, greedy tokens from one pass for each.
"""
import argparse
import json
import pathlib

import gguf
import numpy as np
import torch
from gguf import GGMLQuantizationType as T
from transformers import Lfm2MoeConfig, Lfm2MoeForCausalLM

WIDTH, HEADS, KV, FFN, VOCAB, CONTEXT = 256, 4, 2, 96, 288, 96
EXPERTS, USED, DENSE = 16, 4, 3
LAYERS = ["conv", "full_attention", "conv", "full_attention", "conv"]
# Types of gate and up, of down, by layer; TQ2_0 has blocks of 256, down shorter rows.
EXPERT_TYPES = {"Q8_0": [("Q8_0", "Q8_0")] * 2, "Q4_0": [("Q4_0", "Q4_0")] * 2, "TQ2_0": [("TQ2_0", "Q4_0")] * 2,
                "mixed": [("TQ2_0", "Q4_0"), ("Q4_0", "Q8_0")]}
NAMES = {"attn_norm": "operator_norm", "ffn_norm": "ffn_norm", "attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj",
         "attn_v": "self_attn.v_proj", "attn_output": "self_attn.out_proj", "attn_q_norm": "self_attn.q_layernorm",
         "attn_k_norm": "self_attn.k_layernorm", "shortconv.in_proj": "conv.in_proj", "shortconv.conv": "conv.conv",
         "shortconv.out_proj": "conv.out_proj", "ffn_gate": "feed_forward.w1", "ffn_up": "feed_forward.w3",
         "ffn_down": "feed_forward.w2", "ffn_gate_inp": "feed_forward.gate"}


class Model:
    def __init__(self, path, seed):
        self.rng = np.random.default_rng(seed)
        self.writer = gguf.GGUFWriter(path, "lfm2moe")
        self.state = {}

    def draw(self, shape, kind, gain=1.0):
        if kind == "TQ2_0":     # one scale a matrix, exact in f16; of the experts number 5 has several
            sigma = gain / np.sqrt(shape[-1])
            digits = self.rng.integers(-1, 2, shape).astype(np.float32)
            scale = np.full(shape[:-2] + (1, 1), 1.2 * sigma, np.float32) if len(shape) > 2 else np.float32(1.2 * sigma)
            if len(shape) > 2:
                scale = scale * (1 + 0.05 * np.arange(shape[0], dtype=np.float32)).reshape(-1, 1, 1)
                scale = np.broadcast_to(scale, shape).copy()
                scale[5, ::3] *= 1.5
            return digits * np.float16(scale).astype(np.float32)
        return self.rng.standard_normal(shape, np.float32) * np.float32(gain / np.sqrt(shape[-1]))

    def tensor(self, name, shape, kind, hf, gain=1.0):
        values = self.draw(shape, kind, gain)
        if kind == "F32":
            self.writer.add_tensor(name, values)
        else:
            packed = gguf.quants.quantize(values, T[kind])
            self.writer.add_tensor(name, packed, raw_dtype=T[kind])
            values = gguf.quants.dequantize(packed, T[kind])
        if hf:
            self.state[hf] = torch.from_numpy(values.astype(np.float64))
        return values.astype(np.float64)

    def vector(self, name, shape, hf, low, high):
        values = self.rng.uniform(low, high, shape).astype(np.float32)
        self.writer.add_tensor(name, values)
        self.state[hf] = torch.from_numpy(values.astype(np.float64))


def build(path, seed, experts, inner):
    m = Model(path, seed)
    head = WIDTH // HEADS
    w = m.writer
    w.add_context_length(CONTEXT)
    w.add_embedding_length(WIDTH)
    w.add_block_count(len(LAYERS))
    w.add_feed_forward_length(FFN)
    w.add_head_count(HEADS)
    w.add_head_count_kv([KV if kind != "conv" else 0 for kind in LAYERS])
    w.add_layer_norm_rms_eps(1e-5)
    w.add_rope_freq_base(1e6)
    w.add_vocab_size(VOCAB)
    w.add_shortconv_l_cache(3)
    w.add_expert_count(EXPERTS)
    w.add_expert_used_count(USED)
    w.add_expert_feed_forward_length(inner)
    w.add_leading_dense_block_count(DENSE)
    w.add_expert_gating_func(gguf.ExpertGatingFuncType.SIGMOID)
    w.add_tokenizer_model("gpt2")
    w.add_tokenizer_pre("lfm2")
    w.add_token_list([f"<{i}>" for i in range(VOCAB)])
    w.add_token_types([1] * VOCAB)
    w.add_token_merges([])
    w.add_bos_token_id(1)
    w.add_eos_token_id(2)
    m.tensor("token_embd.weight", (VOCAB, WIDTH), "Q8_0", "model.embed_tokens.weight", 16)
    m.tensor("output.weight", (VOCAB, WIDTH), "Q8_0", "lm_head.weight", 4)
    m.vector("token_embd_norm.weight", WIDTH, "model.embedding_norm.weight", 0.6, 1.4)
    for i, kind in enumerate(LAYERS):
        def linear(name, rows, cols, type_="TQ2_0", gain=1.4):
            m.tensor(f"blk.{i}.{name}.weight", (rows, cols), type_, f"model.layers.{i}.{NAMES[name]}.weight", gain)

        for name in ("attn_norm", "ffn_norm"):
            m.vector(f"blk.{i}.{name}.weight", WIDTH, f"model.layers.{i}.{NAMES[name]}.weight", 0.6, 1.4)
        if kind == "conv":
            linear("shortconv.in_proj", 3 * WIDTH, WIDTH)
            linear("shortconv.conv", WIDTH, 3, "F32")
            m.state[f"model.layers.{i}.conv.conv.weight"].unsqueeze_(1)
            linear("shortconv.out_proj", WIDTH, WIDTH)
        else:
            linear("attn_q", WIDTH, WIDTH, gain=2)
            linear("attn_k", KV * head, WIDTH, gain=2)
            linear("attn_v", KV * head, WIDTH)
            linear("attn_output", WIDTH, WIDTH)
            for name in ("attn_q_norm", "attn_k_norm"):
                m.vector(f"blk.{i}.{name}.weight", head, f"model.layers.{i}.{NAMES[name]}.weight", 0.8, 1.8)
        if i < DENSE:
            linear("ffn_gate", FFN, WIDTH, "Q4_0")
            linear("ffn_up", FFN, WIDTH, "Q4_0")
            linear("ffn_down", WIDTH, FFN, "Q8_0")
            continue
        wide, down = EXPERT_TYPES[experts][i - DENSE]
        hf = f"model.layers.{i}.feed_forward"
        linear("ffn_gate_inp", EXPERTS, WIDTH, "F32", 1.5)
        m.vector(f"blk.{i}.exp_probs_b.bias", EXPERTS, f"{hf}.expert_bias", -0.3, 0.3)
        gate = m.tensor(f"blk.{i}.ffn_gate_exps.weight", (EXPERTS, inner, WIDTH), wide, None, 2)
        up = m.tensor(f"blk.{i}.ffn_up_exps.weight", (EXPERTS, inner, WIDTH), wide, None, 2)
        m.state[f"{hf}.experts.gate_up_proj"] = torch.from_numpy(np.concatenate([gate, up], 1))
        m.tensor(f"blk.{i}.ffn_down_exps.weight", (EXPERTS, WIDTH, inner), down, f"{hf}.experts.down_proj", 2)
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()

    config = Lfm2MoeConfig(
        vocab_size=VOCAB, hidden_size=WIDTH, intermediate_size=FFN, moe_intermediate_size=inner,
        num_hidden_layers=len(LAYERS), num_attention_heads=HEADS, num_key_value_heads=KV, layer_types=LAYERS,
        max_position_embeddings=CONTEXT, num_dense_layers=DENSE, num_experts=EXPERTS, num_experts_per_tok=USED,
        use_expert_bias=True, norm_topk_prob=True, routed_scaling_factor=1.0, conv_L_cache=3, norm_eps=1e-5,
        rope_parameters={"rope_type": "default", "rope_theta": 1e6}, tie_word_embeddings=False,
        attn_implementation="eager", experts_implementation="eager")
    model = Lfm2MoeForCausalLM(config).double().eval()
    print(model.load_state_dict(m.state, strict=False))
    return model


@torch.no_grad()
def logits(model, tokens):
    return model(torch.tensor([tokens]), use_cache=False).logits[0].double().numpy()


def case(model, folder, stem, name, tokens):
    out = logits(model, tokens)
    np.save(folder / f"{stem}.{name}.logits.npy", out.astype("<f4"))
    line, greedy, margin = list(tokens), [], []
    for _ in range(24):
        row = logits(model, line)[-1]
        order = np.argsort(-row, kind="stable")
        greedy.append(int(order[0]))
        margin.append(round(float(row[order[0]] - row[order[1]]), 6))
        line.append(greedy[-1])
    return {"name": name, "tokens": tokens, "logits": f"{stem}.{name}.logits.npy", "argmax": out.argmax(1).tolist(),
            "greedy": {"tokens": greedy, "margin": margin}}


def main():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("folder", type=pathlib.Path)
    a.add_argument("--seed", type=int, default=12)
    a.add_argument("--experts", choices=EXPERT_TYPES, default="mixed")
    a.add_argument("--expert-ffn", type=int, default=32)
    options = a.parse_args()
    stem = f"lfm2moe-{options.experts.lower()}"
    model = build(options.folder / f"{stem}.gguf", options.seed, options.experts, options.expert_ffn)

    margins = []                # of the choice between the last expert that is used and the first that is not

    def watch(gate, inputs, output):
        p = output[0].sigmoid() + inputs[1]
        top = torch.sort(p, descending=True).values
        margins.append(float((top[:, USED - 1] - top[:, USED]).min()))

    for layer in model.model.layers[DENSE:]:
        layer.feed_forward.gate.register_forward_hook(watch)
    rng = np.random.default_rng(options.seed + 1)
    cases = [case(model, options.folder, stem, f"p{n}", [1] + rng.integers(3, VOCAB, n - 1).tolist()) for n in (40, 6)]
    print("smallest routing margin", min(margins), "distinct greedy tokens",
          [len(set(c["greedy"]["tokens"])) for c in cases], "deviation of the logits", logits(model, cases[0]["tokens"]).std())
    text = {"gguf": f"{stem}.gguf", "arch": "lfm2moe", "reference": "transformers Lfm2MoeForCausalLM, float64",
            "smallest_routing_margin": min(margins),
            "tolerance": {"f32": {"max_abs": 2e-3, "nmse": 1e-8}, "int8": {"nmse": 0.1}}, "cases": cases}
    (options.folder / f"{stem}.json").write_text(json.dumps(text, separators=(", ", ": ")) + "\n")


if __name__ == "__main__":
    main()
