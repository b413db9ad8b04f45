# SPDX-License-Identifier: LGPL-2.1-or-later
"""Add to data/families a random Granite, dense, and one with experts and a shared one beside them, and what transformers computes
from them in float64.

usage: make-granite.py FOLDER [--seed N]

Needs what make-qwen3vl.py does, from which it has the writer and the vocabulary. Q and K are interleaved as converters do for
llama.
"""
import argparse
import importlib.util
import json
import pathlib

import numpy as np
import torch
from transformers import GraniteConfig, GraniteForCausalLM, GraniteMoeSharedConfig, GraniteMoeSharedForCausalLM
from transformers.models.granite import modeling_granite
from transformers.models.granitemoeshared import modeling_granitemoeshared

spec = importlib.util.spec_from_file_location("dense", pathlib.Path(__file__).resolve().parent / "make-qwen3vl.py")
dense = importlib.util.module_from_spec(spec)
spec.loader.exec_module(dense)
modeling_granite.torch = modeling_granitemoeshared.torch = dense.Double()

WIDTH, HEADS, KV, FFN, LAYERS, CONTEXT = 64, 4, 2, 96, 2, 512
HEAD = WIDTH // HEADS
EXPERTS, USED, INNER, SHARED = 6, 3, 32, 64
SCALES = {"attention_multiplier": 0.11, "embedding_multiplier": 6.0, "residual_multiplier": 0.4, "logits_scaling": 3.0}


class File(dense.File):
    def heads(self, name, n, hf):
        """Rows of heads, neighbours of which turn together in the file and halves in transformers."""
        pairs = self.add(name + ".weight", self.rng.standard_normal((n * HEAD, WIDTH), np.float32)
                         * np.float32(2 / np.sqrt(WIDTH)), "Q8_0")
        self.state[hf + ".weight"] = pairs.reshape(n, HEAD // 2, 2, WIDTH).transpose(1, 2).reshape(n * HEAD, WIDTH)

    def stack(self, name, shape, gain=1.4):
        return self.add(name + ".weight", self.rng.standard_normal(shape, np.float32) * np.float32(gain / np.sqrt(shape[-1])),
                        "Q8_0")


def write(path, arch, rng, text):
    f, moe = File(path, arch, rng), arch == "granitemoe"
    w = f.writer
    w.add_name(f"tern golden {arch}")
    w.add_context_length(CONTEXT)
    w.add_embedding_length(WIDTH)
    w.add_block_count(LAYERS)
    w.add_feed_forward_length(INNER if moe else FFN)
    w.add_head_count(HEADS)
    w.add_head_count_kv(KV)
    w.add_layer_norm_rms_eps(1e-5)
    w.add_rope_freq_base(1e4)
    w.add_attention_scale(SCALES["attention_multiplier"])
    w.add_embedding_scale(SCALES["embedding_multiplier"])
    w.add_residual_scale(SCALES["residual_multiplier"])
    w.add_logit_scale(SCALES["logits_scaling"])
    if moe:
        w.add_expert_count(EXPERTS)
        w.add_expert_used_count(USED)
        w.add_expert_shared_feed_forward_length(SHARED)
    dense.add_vocabulary(w, text)
    f.linear("token_embd", len(text.tokens), WIDTH, "model.embed_tokens", "Q8_0", 3)
    f.linear("output", len(text.tokens), WIDTH, "lm_head", "Q8_0", 8)
    f.vector("output_norm.weight", WIDTH, "model.norm.weight", 0.6, 1.4)
    for i in range(LAYERS):
        hf, blk = f"model.layers.{i}.", f"blk.{i}."
        f.vector(blk + "attn_norm.weight", WIDTH, hf + "input_layernorm.weight", 0.6, 1.4)
        f.vector(blk + "ffn_norm.weight", WIDTH, hf + "post_attention_layernorm.weight", 0.6, 1.4)
        f.heads(blk + "attn_q", HEADS, hf + "self_attn.q_proj")
        f.heads(blk + "attn_k", KV, hf + "self_attn.k_proj")
        f.linear(blk + "attn_v", KV * HEAD, WIDTH, hf + "self_attn.v_proj", "Q8_0", 3)
        f.linear(blk + "attn_output", WIDTH, HEADS * HEAD, hf + "self_attn.o_proj", "Q8_0", 3)
        if not moe:
            for name, rows, cols in (("gate", FFN, WIDTH), ("up", FFN, WIDTH), ("down", WIDTH, FFN)):
                f.linear(blk + f"ffn_{name}", rows, cols, hf + f"mlp.{name}_proj", "Q8_0", 3)
            continue
        f.linear(blk + "ffn_gate_inp", EXPERTS, WIDTH, hf + "block_sparse_moe.router", "F32", 2)
        gate, up, down = (f.stack(blk + f"ffn_{name}_exps", (EXPERTS, *shape), 3) for name, shape in (
            ("gate", (INNER, WIDTH)), ("up", (INNER, WIDTH)), ("down", (WIDTH, INNER))))
        f.state[hf + "block_sparse_moe.experts.gate_up_proj"] = torch.cat([gate, up], 1)
        f.state[hf + "block_sparse_moe.experts.down_proj"] = down
        gate, up, down = (f.stack(blk + f"ffn_{name}_shexp", shape, 2) for name, shape in (
            ("gate", (SHARED, WIDTH)), ("up", (SHARED, WIDTH)), ("down", (WIDTH, SHARED))))
        f.state[hf + "shared_mlp.input_linear.weight"] = torch.cat([gate, up])
        f.state[hf + "shared_mlp.output_linear.weight"] = down
    f.close()
    return f.state


def load(state, moe, text):
    sizes = dict(vocab_size=len(text.tokens), hidden_size=WIDTH, intermediate_size=INNER if moe else FFN,
                 num_hidden_layers=LAYERS, num_attention_heads=HEADS, num_key_value_heads=KV, max_position_embeddings=CONTEXT,
                 rms_norm_eps=1e-5, tie_word_embeddings=False,
                 rope_parameters={"rope_type": "default", "rope_theta": 1e4}, **SCALES)
    if moe:
        config = GraniteMoeSharedConfig(**sizes, num_local_experts=EXPERTS, num_experts_per_tok=USED,
                                        shared_intermediate_size=SHARED)
    else:
        config = GraniteConfig(**sizes)
    config._attn_implementation = config._experts_implementation = "eager"
    model = (GraniteMoeSharedForCausalLM if moe else GraniteForCausalLM)(config).double().eval()
    missing = model.load_state_dict(state, strict=False)
    assert not missing.unexpected_keys and not [k for k in missing.missing_keys if "inv_freq" not in k], missing
    return model


@torch.no_grad()
def main():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("folder", type=pathlib.Path)
    a.add_argument("--seed", type=int, default=22)
    options = a.parse_args()
    folder, text = options.folder, dense.Text()
    for i, arch in enumerate(("granite", "granitemoe")):
        rng = np.random.default_rng(options.seed + i)
        model = load(write(folder / f"{arch}.gguf", arch, rng, text), arch == "granitemoe", text)
        said = {"gguf": f"{arch}.gguf", "arch": arch, "reference": f"transformers 5.24 {type(model).__name__}, float64, weights "
                "dequantised from the file", "tolerance": {"f32": {"max_abs": 2e-3, "nmse": 1e-8}, "int8": {"nmse": 0.1}},
                "cases": [dense.text_case(model, folder, arch, "p24", rng.integers(0, 380, 24).tolist())]}
        (folder / f"{arch}.json").write_text(json.dumps(said, separators=(", ", ": ")) + "\n")
        print(arch, "deviation of logits", np.load(folder / f"{arch}.p24.logits.npy").std(), "margins",
              said["cases"][0]["greedy"]["margin"])


if __name__ == "__main__":
    main()
