# SPDX-License-Identifier: LGPL-2.1-or-later
"""Make data/qwen3vl: a random Qwen3-VL (text model and vision encoder with DeepStack) as two GGUF files, and what transformers
computes from them in float64: of text, of a picture, of a video in pairs of frames, and of that video with some of its visual
tokens left out.

usage: make-qwen3vl.py FOLDER [--seed N]

Needs gguf 0.19, torch, tokenizers and transformers 5. Vocabulary and pictures are those of data/qwen35. Weights are quantised,
dequantised by gguf and put into the model; logits come from one full pass, greedy tokens from one pass for each. Prompts are
written as Qwen3VLProcessor of transformers 5.24 does. A visual token's row is what the merger makes of it, and behind that what
the mergers of the marked layers do, in the order of the layers.
"""
import argparse
import json
import pathlib

import gguf
import numpy as np
import torch
from gguf import GGMLQuantizationType as T
from tokenizers import Regex, Tokenizer, models, pre_tokenizers
from transformers import Qwen3VLConfig, Qwen3VLForConditionalGeneration
from transformers.models.qwen3_vl import modeling_qwen3_vl as modeling

WIDTH, HEADS, KV, HEAD, FFN, LAYERS, CONTEXT = 64, 4, 2, 32, 96, 3, 4096
SECTIONS, BASE = [6, 5, 5], 5e6
VISION, VISION_HEADS, VISION_FFN, SIDE, PATCH, MERGE = 32, 2, 64, 6, 16, 2
MARKED = [0, 2]                 # layers of the encoder
VISION_LAYERS = 4
INNER = VISION * MERGE * MERGE
WORDS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
TEMPLATE = (            # ChatML with pictures and videos
    "{%- for message in messages -%}{{- '<|im_start|>' + message.role + '\n' -}}"
    "{%- if message.content is string -%}{{- message.content -}}{%- else -%}{%- for part in message.content -%}"
    "{%- if part.type == 'text' -%}{{- part.text -}}{%- else -%}"
    "{{- '<|vision_start|><|' + part.type + '_pad|><|vision_end|>' -}}{%- endif -%}{%- endfor -%}{%- endif -%}"
    "{{- '<|im_end|>\n' -}}{%- endfor -%}{%- if add_generation_prompt -%}{{- '<|im_start|>assistant\n' -}}{%- endif -%}")
OTHER = pathlib.Path(__file__).resolve().parent / "data/qwen35"


class Double:
    """The module torch to whom float32 is float64: modeling code casts to it."""

    def __getattr__(self, name):
        return torch.float64 if name in ("float", "float32") else getattr(torch, name)


modeling.torch = Double()
torch.Tensor.float = torch.Tensor.double


class Text:
    """The vocabulary of data/qwen35, and its ids of a text."""

    def __init__(self):
        fields = gguf.GGUFReader(OTHER / "qwen35-q8_0.gguf").fields
        self.tokens, self.types, self.merges = (fields[f"tokenizer.ggml.{name}"].contents()
                                                for name in ("tokens", "token_type", "merges"))
        vocabulary = {token: i for i, token in enumerate(self.tokens)}
        self.tokenizer = Tokenizer(models.BPE(vocabulary, [tuple(m.split(" ")) for m in self.merges]))
        self.tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
            [pre_tokenizers.Split(Regex(WORDS), "isolated"), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
        self.tokenizer.add_special_tokens([t for t, kind in zip(self.tokens, self.types) if kind == 3])
        self.eos, self.image, self.video = (vocabulary[f"<|{name}|>"] for name in ("im_end", "image_pad", "video_pad"))

    def ids(self, text):
        return self.tokenizer.encode(text, add_special_tokens=False).ids


class File:
    def __init__(self, path, arch, rng):
        self.rng = rng
        self.writer = gguf.GGUFWriter(path, arch)
        self.state = {}

    def add(self, name, values, kind):
        packed = gguf.quants.quantize(values, T[kind]) if kind != "F32" else values
        self.writer.add_tensor(name, packed, raw_dtype=T[kind])
        return torch.from_numpy((gguf.quants.dequantize(packed, T[kind]) if kind != "F32" else values).astype(np.float64))

    def linear(self, name, rows, cols, hf, kind, gain=1.0):
        values = self.rng.standard_normal((rows, cols), np.float32) * np.float32(gain / np.sqrt(cols))
        self.state[hf + ".weight"] = self.add(name + ".weight", values, kind)

    def vector(self, name, n, hf, low, high):
        self.state[hf] = self.add(name, self.rng.uniform(low, high, n).astype(np.float32), "F32")

    def biased(self, name, rows, cols, hf, kind, gain=1.0):
        self.linear(name, rows, cols, hf, kind, gain)
        self.vector(name + ".bias", rows, hf + ".bias", -0.2, 0.2)

    def norm(self, name, n, hf):
        self.vector(name + ".weight", n, hf + ".weight", 0.6, 1.4)
        self.vector(name + ".bias", n, hf + ".bias", -0.2, 0.2)

    def close(self):
        self.writer.write_header_to_file()
        self.writer.write_kv_data_to_file()
        self.writer.write_tensors_to_file()
        self.writer.close()


def add_vocabulary(w, text):
    w.add_tokenizer_model("gpt2")
    w.add_tokenizer_pre("qwen2")
    w.add_token_list(text.tokens)
    w.add_token_types(text.types)
    w.add_token_merges(text.merges)
    w.add_eos_token_id(text.eos)
    w.add_add_bos_token(False)
    w.add_chat_template(TEMPLATE)


def write_text(path, rng, text):
    f = File(path, "qwen3vl", rng)
    w, vocabulary = f.writer, len(text.tokens)
    w.add_name("tern golden qwen3vl")
    w.add_context_length(CONTEXT)
    w.add_embedding_length(WIDTH)
    w.add_block_count(LAYERS)
    w.add_feed_forward_length(FFN)
    w.add_head_count(HEADS)
    w.add_head_count_kv(KV)
    w.add_key_length(HEAD)
    w.add_value_length(HEAD)
    w.add_layer_norm_rms_eps(1e-6)
    w.add_rope_freq_base(BASE)
    w.add_rope_dimension_sections(SECTIONS + [0])
    w.add_num_deepstack_layers(len(MARKED))
    add_vocabulary(w, text)
    f.linear("token_embd", vocabulary, WIDTH, "model.language_model.embed_tokens", "Q8_0", 8)
    f.linear("output", vocabulary, WIDTH, "lm_head", "Q8_0", 4)
    f.vector("output_norm.weight", WIDTH, "model.language_model.norm.weight", 0.6, 1.4)
    for i in range(LAYERS):
        hf = f"model.language_model.layers.{i}."
        f.vector(f"blk.{i}.attn_norm.weight", WIDTH, hf + "input_layernorm.weight", 0.6, 1.4)
        f.vector(f"blk.{i}.ffn_norm.weight", WIDTH, hf + "post_attention_layernorm.weight", 0.6, 1.4)
        for name, rows, gain in (("q", HEADS * HEAD, 2), ("k", KV * HEAD, 2), ("v", KV * HEAD, 1.4)):
            f.linear(f"blk.{i}.attn_{name}", rows, WIDTH, hf + f"self_attn.{name}_proj", "Q8_0", gain)
        f.linear(f"blk.{i}.attn_output", WIDTH, HEADS * HEAD, hf + "self_attn.o_proj", "Q8_0", 1.4)
        for name in "q", "k":
            f.vector(f"blk.{i}.attn_{name}_norm.weight", HEAD, hf + f"self_attn.{name}_norm.weight", 0.8, 1.8)
        for name, rows, cols in (("gate", FFN, WIDTH), ("up", FFN, WIDTH), ("down", WIDTH, FFN)):
            f.linear(f"blk.{i}.ffn_{name}", rows, cols, hf + f"mlp.{name}_proj", "Q8_0", 1.4)
    f.close()
    return f.state


def write_vision(path, rng):
    f = File(path, "clip", rng)
    w = f.writer
    w.add_name("tern golden qwen3vl tower")
    w.add_bool("clip.has_vision_encoder", True)
    for name, value in (("projection_dim", WIDTH), ("image_size", SIDE * PATCH), ("patch_size", PATCH),
                        ("embedding_length", VISION), ("feed_forward_length", VISION_FFN), ("block_count", VISION_LAYERS),
                        ("attention.head_count", VISION_HEADS), ("spatial_merge_size", MERGE), ("image_min_pixels", 8192),
                        ("image_max_pixels", 49152)):
        w.add_uint32(f"clip.vision.{name}", value)
    w.add_array("clip.vision.image_mean", [0.5] * 3)
    w.add_array("clip.vision.image_std", [0.5] * 3)
    w.add_string("clip.projector_type", "qwen3vl_merger")
    w.add_bool("clip.use_gelu", True)
    w.add_float32("clip.vision.attention.layer_norm_epsilon", 1e-6)
    w.add_array("clip.vision.is_deepstack_layers", [i in MARKED for i in range(VISION_LAYERS)])
    hf = "model.visual."
    shape, gain = (VISION, 3, PATCH, PATCH), 1 / np.sqrt(3 * PATCH * PATCH)
    kernels = [f.add(name, rng.standard_normal(shape, np.float32) * np.float32(gain), "F16")
               for name in ("v.patch_embd.weight", "v.patch_embd.weight.1")]
    f.state[hf + "patch_embed.proj.weight"] = torch.stack(kernels, 2)
    f.vector("v.patch_embd.bias", VISION, hf + "patch_embed.proj.bias", -0.2, 0.2)
    f.linear("v.position_embd", SIDE * SIDE, VISION, hf + "pos_embed", "F32", 4)
    for i in range(VISION_LAYERS):
        block = hf + f"blocks.{i}."
        f.norm(f"v.blk.{i}.ln1", VISION, block + "norm1")
        f.norm(f"v.blk.{i}.ln2", VISION, block + "norm2")
        f.biased(f"v.blk.{i}.attn_qkv", 3 * VISION, VISION, block + "attn.qkv", "F16", 1.6)
        f.biased(f"v.blk.{i}.attn_out", VISION, VISION, block + "attn.proj", "F16", 1.2)
        f.biased(f"v.blk.{i}.ffn_up", VISION_FFN, VISION, block + "mlp.linear_fc1", "F16", 1.4)
        f.biased(f"v.blk.{i}.ffn_down", VISION, VISION_FFN, block + "mlp.linear_fc2", "F16", 1.4)
    mergers = [("v.post_ln", "mm.0", "mm.2", "merger", VISION)]
    mergers += [(f"v.deepstack.{layer}.norm", f"v.deepstack.{layer}.fc1", f"v.deepstack.{layer}.fc2",
                 f"deepstack_merger_list.{i}", INNER) for i, layer in enumerate(MARKED)]
    for norm, first, second, name, width in mergers:
        f.norm(norm, width, f"{hf}{name}.norm")
        f.biased(first, INNER, INNER, f"{hf}{name}.linear_fc1", "F16", 1.6)
        f.biased(second, WIDTH, INNER, f"{hf}{name}.linear_fc2", "F16", 6)
    f.close()
    return f.state


def load(state, text):
    config = Qwen3VLConfig(
        text_config=dict(vocab_size=len(text.tokens), hidden_size=WIDTH, intermediate_size=FFN, num_hidden_layers=LAYERS,
                         num_attention_heads=HEADS, num_key_value_heads=KV, head_dim=HEAD, max_position_embeddings=CONTEXT,
                         rms_norm_eps=1e-6, rope_parameters={"rope_type": "default", "rope_theta": BASE,
                                                             "mrope_section": SECTIONS, "mrope_interleaved": True}),
        vision_config=dict(depth=VISION_LAYERS, hidden_size=VISION, intermediate_size=VISION_FFN, num_heads=VISION_HEADS,
                           patch_size=PATCH, spatial_merge_size=MERGE, temporal_patch_size=2, out_hidden_size=WIDTH,
                           num_position_embeddings=SIDE * SIDE, deepstack_visual_indexes=MARKED),
        image_token_id=text.image, video_token_id=text.video, tie_word_embeddings=False)
    config._attn_implementation = "eager"
    model = Qwen3VLForConditionalGeneration(config).double().eval()
    missing = model.load_state_dict(state, strict=False)
    assert not missing.unexpected_keys and not [k for k in missing.missing_keys if "inv_freq" not in k], missing
    return model


def patches(frames):
    """Frames [2 t, H, W, 3] of bytes as the patches that the encoder takes: blocks of 2 x 2 in raster order."""
    x = frames.astype(np.float64) / 127.5 - 1
    t, h, w = len(x) // 2, x.shape[1] // PATCH, x.shape[2] // PATCH
    x = x.reshape(t, 2, h // MERGE, MERGE, PATCH, w // MERGE, MERGE, PATCH, 3).transpose(0, 2, 5, 3, 6, 8, 1, 4, 7)
    return torch.from_numpy(x.reshape(t * h * w, -1).copy()), [t, h, w]


class Case:
    """A prompt with pictures: ids, rows of all pictures, and where in them the prompt's visual tokens are."""

    def __init__(self, model, text, frames, words, video, keep=None):
        pixels, self.grid = patches(frames)
        out = model.model.get_image_features(pixels, torch.tensor([self.grid]), return_dict=True)
        rows = [torch.cat(list(part)) for part in [out.pooler_output] + list(out.deepstack_features)]
        self.rows = torch.cat(rows, 1)
        self.n, self.pad = self.grid[1] * self.grid[2] // MERGE ** 2, text.video if video else text.image
        pad = "<|video_pad|>" if video else "<|image_pad|>"
        runs = [f"<|vision_start|>{pad}<|vision_end|>"] * self.grid[0]
        if video:               # two frames a second
            runs = ["<%.1f seconds>" % (t + 0.25) + run for t, run in enumerate(runs)]
            runs = ["<|vision_start|>"] + runs + ["<|vision_end|>"]
        self.prompt = f"<|im_start|>user\n{''.join(runs)}{words}<|im_end|>\n<|im_start|>assistant\n"
        self.whole = [i for id in text.ids(self.prompt) for i in ([id] * self.n if id == self.pad else [id])]
        visual = np.array(self.whole) == self.pad
        types = torch.from_numpy(visual.astype(np.int64) * (2 if video else 1))[None]
        grid = {"video_grid_thw" if video else "image_grid_thw": torch.tensor([self.grid])}
        self.places, delta = model.model.get_rope_index(torch.tensor([self.whole]), types, **grid)
        self.delta, self.keep = int(delta), keep
        if keep:
            kept = [f * self.n + i for f, those in enumerate(keep) for i in those]
            at = np.flatnonzero(visual)
            stays = ~visual
            stays[at[kept]] = True
            self.rows_read, self.ids = self.rows[kept], np.array(self.whole)[stays].tolist()
            self.places = self.places[:, :, torch.from_numpy(stays)]
        else:
            self.rows_read, self.ids = self.rows, self.whole
            logits = model(torch.tensor([self.whole]), mm_token_type_ids=types, **{
                "pixel_values_videos" if video else "pixel_values": pixels}, **grid, use_cache=False).logits[0]
            assert torch.allclose(logits, self.run(model, []), atol=1e-9, rtol=0)   # the way through the parts is the model's own

    def run(self, model, more):
        ids = torch.tensor([self.ids + more])
        last = len(self.whole) + self.delta
        after = torch.arange(last, last + len(more))[None, None].expand(3, 1, -1)
        embedded = model.get_input_embeddings()(ids)
        visual = ids == self.pad
        embedded[visual] = self.rows_read[:, :WIDTH]
        slices = [self.rows_read[:, WIDTH * i:WIDTH * (i + 1)] for i in range(1, 1 + len(MARKED))]
        out = model.model.language_model(inputs_embeds=embedded, position_ids=torch.cat([self.places, after], 2),
                                         visual_pos_masks=visual, deepstack_visual_embeds=slices, use_cache=False)
        return model.lm_head(out.last_hidden_state)[0]


def greedy(step, n=16):
    more, margin, logprob = [], [], []
    for _ in range(n):
        row = step(more)[-1].numpy()
        order = np.argsort(-row, kind="stable")
        more.append(int(order[0]))
        margin.append(round(float(row[order[0]] - row[order[1]]), 6))
        logprob.append(round(float(-np.log(np.exp(row - row[order[0]]).sum())), 9))
    return {"tokens": more, "margin": margin, "logprob": logprob}


def dycoke(case, ratio):
    """What DyCoke's first stage keeps of a group of two pictures: the first, and of the second the tokens least like those at
    their places in the first. Tokens alone are compared, not what stands behind them, which would choose others here."""
    def least(width):
        a, b = case.rows[:case.n, :width].numpy(), case.rows[case.n:, :width].numpy()
        cosine = (a * b).sum(1) / np.sqrt((a * a).sum(1) * (b * b).sum(1))
        return sorted(np.argsort(cosine, kind="stable")[:int(case.n * (1 - ratio) + 1e-9)].tolist())

    assert case.grid[0] == 2 and least(WIDTH) != least(case.rows.shape[1])
    return [list(range(case.n)), least(WIDTH)]


def text_case(model, folder, stem, name, ids):
    def step(more):
        return model(torch.tensor([ids + more]), use_cache=False).logits[0]

    out = step([]).numpy()
    np.save(folder / f"{stem}.{name}.logits.npy", out.astype("<f4"))
    return {"name": name, "tokens": ids, "logits": f"{stem}.{name}.logits.npy", "argmax": out.argmax(1).tolist(),
            "greedy": greedy(step)}


def picture_case(model, text, folder, stem, name, frames, words, more, keep=None):
    if keep == "dycoke":
        keep = dycoke(Case(model, text, frames, words, True), 0.8)
    case = Case(model, text, frames, words, "frames" in more, keep)
    logits = case.run(model, []).numpy()
    at = [i for i, id in enumerate(case.ids) if id != case.pad][-16 if keep else 0:]
    source = more.pop("visual_of", name)
    visual = [f"{stem}.{source}.visual{i}.npy" for i in range(case.grid[0])]
    for i, file in enumerate(visual):
        if source == name:
            np.save(folder / file, case.rows[i * case.n:(i + 1) * case.n].numpy().astype("<f4"))
    np.save(folder / f"{stem}.{name}.positions.npy", case.places[:, 0].numpy().astype("<i4"))
    np.save(folder / f"{stem}.{name}.logits.npy", logits[at].astype("<f4"))
    said = greedy(lambda more: case.run(model, more))
    assert text.eos not in said["tokens"]
    return {"name": name, "prompt": case.prompt, **more, **({"keep": keep} if keep else {}), "grid_thw": case.grid,
            "visual_tokens": [case.n] * case.grid[0], "tokens": case.ids, "image_token": case.pad,
            "positions": f"{stem}.{name}.positions.npy", "rope_delta": case.delta + len(case.whole) - len(case.ids),
            "visual": visual, "logits": f"{stem}.{name}.logits.npy", "logits_positions": at,
            "greedy": said}


@torch.no_grad()
def main():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("folder", type=pathlib.Path)
    a.add_argument("--seed", type=int, default=20)
    options = a.parse_args()
    folder, text, rng = options.folder, Text(), np.random.default_rng(options.seed)
    state = write_text(folder / "qwen3vl-q8_0.gguf", rng, text) | write_vision(folder / "mmproj-f16.gguf", rng)
    model = load(state, text)

    def pixels(*names):
        return np.stack([np.load(OTHER / name) for name in names])

    prompts = {"p40": rng.integers(0, 380, 40).tolist(), "p5": text.ids("<|im_start|>user\nWhat")}
    said = {"gguf": "qwen3vl-q8_0.gguf", "arch": "qwen3vl", "reference": "transformers 5.24 Qwen3VLForConditionalGeneration, "
            "float64, weights dequantised from the file", "tolerance": {"f32": {"max_abs": 2e-3, "nmse": 1e-8},
                                                                        "int8": {"nmse": 0.05}},
            "cases": [text_case(model, folder, "qwen3vl-q8_0", name, ids) for name, ids in prompts.items()]}
    (folder / "qwen3vl-q8_0.json").write_text(json.dumps(said, separators=(", ", ": ")) + "\n")

    video = [f"video.resized{i}.npy" for i in range(4)]
    clip = {"frames": [f"../qwen35/video{i}.png" for i in range(4)], "frame_indices": [0, 1, 2, 3], "fps": 2.0,
            "video_pixels": {"shortest_edge": 16384, "longest_edge": 49152}, "timestamps": ["0.2", "1.2"],
            "resized": [f"../qwen35/{name}" for name in video]}
    cases = [
        picture_case(model, text, folder, "mmproj-f16", "wide", pixels("wide.resized0.npy").repeat(2, 0), "What is this?",
                     {"image": "../qwen35/wide.png", "image_tokens": [8, 48], "resized": ["../qwen35/wide.resized0.npy"]}),
        picture_case(model, text, folder, "mmproj-f16", "video", pixels(*video), "What happens?", dict(clip)),
        picture_case(model, text, folder, "mmproj-f16", "kept", pixels(*video), "What happens?",
                     {**clip, "visual_of": "video"}, [[0, 1, 3, 6, 7], [2, 5]]),
        picture_case(model, text, folder, "mmproj-f16", "dycoke", pixels(*video), "What happens?",
                     {**clip, "visual_of": "video"}, "dycoke"),
    ]
    said = {"mmproj": "mmproj-f16.gguf", "gguf": "qwen3vl-q8_0.gguf", "reference": "transformers 5.24 "
            "Qwen3VLForConditionalGeneration, float64, weights dequantised from the file", "tolerance": {
                "f32": {"what": "f32 activations, from resized", "max_abs": 0.005, "nmse": 1e-7},
                "from_image_file": {"nmse": 2e-4}}, "cases": cases}
    (folder / "mmproj-f16.json").write_text(json.dumps(said, separators=(", ", ": ")) + "\n")
    for case in cases:
        visual = np.concatenate([np.load(folder / name) for name in case["visual"]])
        print(case["name"], "deviations of rows", [round(float(part.std()), 2) for part in np.split(visual, 1 + len(MARKED), 1)],
              "of logits", np.load(folder / case["logits"]).std(), "margins", case["greedy"]["margin"], case.get("keep"))


if __name__ == "__main__":
    main()
