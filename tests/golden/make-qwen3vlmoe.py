# SPDX-License-Identifier: LGPL-2.1-or-later
"""Add to data/qwen3vl the text models with experts: a random Qwen3-VL, whose encoder is the one that make-qwen3vl.py made, and a
random Qwen3 of the same weights, which has one rotary axis; and what transformers computes from them in float64: of text, of a
picture, and of a video of whose visual tokens some are left out.

usage: make-qwen3vlmoe.py FOLDER [--seed N]

Needs what make-qwen3vl.py does, and its files in FOLDER.
"""
import argparse
import importlib.util
import json
import pathlib
import tempfile

import numpy as np
import torch
from transformers import Qwen3MoeConfig, Qwen3MoeForCausalLM, Qwen3VLMoeConfig, Qwen3VLMoeForConditionalGeneration
from transformers.models.qwen3_moe import modeling_qwen3_moe
from transformers.models.qwen3_vl_moe import modeling_qwen3_vl_moe

spec = importlib.util.spec_from_file_location("dense", pathlib.Path(__file__).resolve().parent / "make-qwen3vl.py")
dense = importlib.util.module_from_spec(spec)
spec.loader.exec_module(dense)
modeling_qwen3_moe.torch = modeling_qwen3_vl_moe.torch = dense.Double()

EXPERTS, USED, INNER = 6, 2, 32
WIDTH, HEADS, KV, HEAD = dense.WIDTH, dense.HEADS, dense.KV, dense.HEAD


def write_text(path, arch, rng, text):
    """The file, and the weights as transformers calls them from model.language_model. on."""
    f = dense.File(path, arch, rng)
    w, vocabulary = f.writer, len(text.tokens)
    w.add_name(f"tern golden {arch}")
    w.add_context_length(dense.CONTEXT)
    w.add_embedding_length(WIDTH)
    w.add_block_count(dense.LAYERS)
    w.add_feed_forward_length(dense.FFN)        # of layers without experts, of which there are none
    w.add_expert_count(EXPERTS)
    w.add_expert_used_count(USED)
    w.add_expert_feed_forward_length(INNER)
    w.add_head_count(HEADS)
    w.add_head_count_kv(KV)
    w.add_key_length(HEAD)
    w.add_value_length(HEAD)
    w.add_layer_norm_rms_eps(1e-6)
    w.add_rope_freq_base(dense.BASE)
    if arch == "qwen3vlmoe":
        w.add_rope_dimension_sections(dense.SECTIONS + [0])
        w.add_num_deepstack_layers(len(dense.MARKED))
    dense.add_vocabulary(w, text)
    hf = "model.language_model."
    f.linear("token_embd", vocabulary, WIDTH, hf + "embed_tokens", "Q8_0", 8)
    f.linear("output", vocabulary, WIDTH, "lm_head", "Q8_0", 4)
    f.vector("output_norm.weight", WIDTH, hf + "norm.weight", 0.6, 1.4)
    for i in range(dense.LAYERS):
        hf, blk = f"model.language_model.layers.{i}.", f"blk.{i}."
        f.vector(blk + "attn_norm.weight", WIDTH, hf + "input_layernorm.weight", 0.6, 1.4)
        f.vector(blk + "ffn_norm.weight", WIDTH, hf + "post_attention_layernorm.weight", 0.6, 1.4)
        for name, rows, gain in (("q", HEADS * HEAD, 2), ("k", KV * HEAD, 2), ("v", KV * HEAD, 1.4)):
            f.linear(blk + f"attn_{name}", rows, WIDTH, hf + f"self_attn.{name}_proj", "Q8_0", gain)
        f.linear(blk + "attn_output", WIDTH, HEADS * HEAD, hf + "self_attn.o_proj", "Q8_0", 1.4)
        for name in "q", "k":
            f.vector(blk + f"attn_{name}_norm.weight", HEAD, hf + f"self_attn.{name}_norm.weight", 0.8, 1.8)
        f.linear(blk + "ffn_gate_inp", EXPERTS, WIDTH, hf + "mlp.gate", "F32", 3)
        parts = {name: f.add(blk + f"ffn_{name}_exps.weight", rng.standard_normal((EXPERTS, rows, cols), np.float32)
                             * np.float32(1.4 / np.sqrt(cols)), "Q8_0")
                 for name, rows, cols in (("gate", INNER, WIDTH), ("up", INNER, WIDTH), ("down", WIDTH, INNER))}
        f.state[hf + "mlp.experts.gate_up_proj"] = torch.cat([parts["gate"], parts["up"]], 1)
        f.state[hf + "mlp.experts.down_proj"] = parts["down"]
    f.close()
    return f.state


def encoder(folder, text):
    """The weights of the encoder that is there."""
    with tempfile.TemporaryDirectory() as other:
        rng = np.random.default_rng(20)
        dense.write_text(pathlib.Path(other) / "text.gguf", rng, text)
        state = dense.write_vision(pathlib.Path(other) / "mmproj.gguf", rng)
        assert (pathlib.Path(other) / "mmproj.gguf").read_bytes() == (folder / "mmproj-f16.gguf").read_bytes()
    return state


def sizes(text, **more):
    return dict(vocab_size=len(text.tokens), hidden_size=WIDTH, intermediate_size=dense.FFN, num_hidden_layers=dense.LAYERS,
                num_attention_heads=HEADS, num_key_value_heads=KV, head_dim=HEAD, max_position_embeddings=dense.CONTEXT,
                rms_norm_eps=1e-6, num_experts=EXPERTS, num_experts_per_tok=USED, moe_intermediate_size=INNER,
                tie_word_embeddings=False, **more)


def load(config, kind, state):
    config._attn_implementation = "eager"
    config._experts_implementation = "eager"
    model = kind(config).double().eval()
    missing = model.load_state_dict(state, strict=False)
    assert not missing.unexpected_keys and not [k for k in missing.missing_keys if "inv_freq" not in k], missing
    return model


def load_pictures(state, text):
    config = Qwen3VLMoeConfig(
        text_config=sizes(text, rope_parameters={"rope_type": "default", "rope_theta": dense.BASE,
                                                 "mrope_section": dense.SECTIONS, "mrope_interleaved": True}),
        vision_config=dict(depth=dense.VISION_LAYERS, hidden_size=dense.VISION, intermediate_size=dense.VISION_FFN,
                           num_heads=dense.VISION_HEADS, patch_size=dense.PATCH, spatial_merge_size=dense.MERGE,
                           temporal_patch_size=2, out_hidden_size=WIDTH, num_position_embeddings=dense.SIDE ** 2,
                           deepstack_visual_indexes=dense.MARKED),
        image_token_id=text.image, video_token_id=text.video, tie_word_embeddings=False)
    return load(config, Qwen3VLMoeForConditionalGeneration, state)


def load_text(state, text):
    config = Qwen3MoeConfig(**sizes(text, norm_topk_prob=True, decoder_sparse_step=1,
                                    rope_parameters={"rope_type": "default", "rope_theta": dense.BASE}))
    return load(config, Qwen3MoeForCausalLM, {k.replace("model.language_model.", "model."): v for k, v in state.items()})


def save_text(model, text, folder, arch, rng):
    prompts = {"p40": rng.integers(0, 380, 40).tolist(), "p5": text.ids("<|im_start|>user\nWhat")}
    said = {"gguf": f"{arch}-q8_0.gguf", "arch": arch, "reference": f"transformers 5.24 {type(model).__name__}, "
            "float64, weights dequantised from the file", "tolerance": {"f32": {"max_abs": 2e-3, "nmse": 1e-8},
                                                                        "int8": {"nmse": 0.1}},
            "cases": [dense.text_case(model, folder, f"{arch}-q8_0", name, ids) for name, ids in prompts.items()]}
    (folder / f"{arch}-q8_0.json").write_text(json.dumps(said, separators=(", ", ": ")) + "\n")


@torch.no_grad()
def main():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("folder", type=pathlib.Path)
    a.add_argument("--seed", type=int, default=21)
    options = a.parse_args()
    folder, text = options.folder, dense.Text()
    vision = encoder(folder, text)
    state = write_text(folder / "qwen3vlmoe-q8_0.gguf", "qwen3vlmoe", np.random.default_rng(options.seed), text)
    same = write_text(folder / "qwen3moe-q8_0.gguf", "qwen3moe", np.random.default_rng(options.seed), text)
    assert all(torch.equal(state[name], same[name]) for name in state)
    model = load_pictures(state | vision, text)
    save_text(model, text, folder, "qwen3vlmoe", np.random.default_rng(options.seed + 1))
    save_text(load_text(same, text), text, folder, "qwen3moe", np.random.default_rng(options.seed + 2))

    def pixels(*names):
        return np.stack([np.load(dense.OTHER / name) for name in names])

    video = [f"video.resized{i}.npy" for i in range(4)]
    clip = {"frames": [f"../qwen35/video{i}.png" for i in range(4)], "frame_indices": [0, 1, 2, 3], "fps": 2.0,
            "timestamps": ["0.2", "1.2"], "resized": [f"../qwen35/{name}" for name in video], "visual_of": None}
    cases = [
        dense.picture_case(model, text, folder, "qwen3vlmoe", "wide", pixels("wide.resized0.npy").repeat(2, 0), "What is this?",
                           {"image": "../qwen35/wide.png", "resized": ["../qwen35/wide.resized0.npy"], "visual_of": None}),
        dense.picture_case(model, text, folder, "qwen3vlmoe", "kept", pixels(*video), "What happens?", clip,
                           [[0, 1, 3, 6, 7], [2, 5]]),
    ]
    for case, of in zip(cases, ("wide", "video")):      # the same encoder's rows are there already
        case["visual"] = [f"mmproj-f16.{of}.visual{i}.npy" for i in range(len(case["visual"]))]
    said = {"mmproj": "mmproj-f16.gguf", "gguf": "qwen3vlmoe-q8_0.gguf", "reference": "transformers 5.24 "
            "Qwen3VLMoeForConditionalGeneration, float64, weights dequantised from the file", "tolerance": {
                "f32": {"what": "f32 activations, from resized", "max_abs": 0.005, "nmse": 1e-7},
                "from_image_file": {"nmse": 2e-4}}, "cases": cases}
    (folder / "mmproj-qwen3vlmoe.json").write_text(json.dumps(said, separators=(", ", ": ")) + "\n")
    for case in cases:
        print(case["name"], "deviation of logits", np.load(folder / case["logits"]).std(), "margins", case["greedy"]["margin"])


if __name__ == "__main__":
    main()
