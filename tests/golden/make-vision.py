#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Makes the models and expectations in data/vision-own/: vision encoders of odd sizes, and prompts with pictures and videos.

usage: make-vision.py [OUTPUT_FOLDER]           (default: data/vision-own beside this file)

A developer's tool: needs torch 2.8, torchvision 0.23, transformers 4.57 (SmolVLM, LFM2-VL), tokenizers, num2words,
Pillow before 13 (which resizes some pictures down first, then across: other roundings), gguf 0.19, jinja2. Everything is computed
in float64 from the weights as they stand in the file (F16 ones are what F16 keeps). One departure from transformers 4.57: it shifts
SmolVLM's position ids by one in float64; here position i is i, as in later releases.
"""
import json
import pathlib
import sys
from types import SimpleNamespace

import gguf
import jinja2
import numpy as np
import torch
from PIL import Image, ImageDraw
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from torchvision.transforms import InterpolationMode
from transformers import Lfm2VlConfig, SmolVLMConfig
from transformers.image_utils import SizeDict
from transformers.models.lfm2_vl.modeling_lfm2_vl import Lfm2VlModel
from transformers.models.smolvlm import processing_smolvlm as processing
from transformers.models.smolvlm.image_processing_smolvlm import SmolVLMImageProcessor
from transformers.models.smolvlm.modeling_smolvlm import SmolVLMConnector, SmolVLMVisionTransformer
from transformers.models.smolvlm.video_processing_smolvlm import SmolVLMVideoProcessor

HERE = pathlib.Path(__file__).resolve().parent
OUT = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else HERE / "data/vision-own"
MEAN, STD = [0.45, 0.5, 0.55], [0.5, 0.45, 0.4]
TOLERANCE = {"resized": {"max_abs": 1, "what": "u8 steps"}, "f32": {"max_abs": 0.005, "nmse": 1e-7},
             "int8": {"nmse": 1e-2}}
torch.set_default_dtype(torch.float64)


def save(name, array):
    np.save(OUT / name, np.ascontiguousarray(array))
    return name


def picture(name, width, height):
    """Colours that change along both axes, with edges and thin lines."""
    y, x = np.mgrid[0:height, 0:width]
    rgb = np.stack([255 * x / width, 255 * y / height, 127 + 120 * np.sin((x + y // 8 * 8) / 9)], -1)
    image = Image.fromarray(rgb.astype(np.uint8))
    draw = ImageDraw.Draw(image)
    draw.ellipse([width // 5, height // 4, width // 2, height * 3 // 4], fill=(240, 30, 60))
    for i in range(0, width, 31):
        draw.line([i, 0, width - i, height], fill=(i % 256, 255 - i % 256, 20))
    image.save(OUT / name, optimize=True)
    return image


class File:
    """An mmproj file; every tensor goes back into the module as the file keeps it."""

    def __init__(self, name, projector):
        self.writer = gguf.GGUFWriter(OUT / name, "clip")
        self.writer.add_type("mmproj")
        self.writer.add_name("tern own " + name)
        self.writer.add_bool("clip.has_vision_encoder", True)
        self.writer.add_string("clip.projector_type", projector)
        self.writer.add_bool("clip.use_gelu", True)
        self.writer.add_array("clip.vision.image_mean", MEAN)
        self.writer.add_array("clip.vision.image_std", STD)
        self.rng = np.random.default_rng(20)

    def keys(self, **values):
        for key, value in values.items():
            put = self.writer.add_float32 if isinstance(value, float) else self.writer.add_uint32
            put("clip.vision." + key.replace("__", "."), value)

    def put(self, name, parameter, half=False, view=None):
        """Random values for @parameter; @view: torch's layout to the file's."""
        shape = tuple(parameter.shape)
        if len(shape) == 1:
            values = self.rng.uniform(0.6, 1.4, shape) if name.endswith("weight") else self.rng.normal(0, 0.2, shape)
        else:
            fan_in = 1 if "position" in name else int(np.prod(shape[1:]))
            values = self.rng.normal(0, 1.3 / fan_in ** 0.5, shape)
        values = values.astype(np.float16 if half else np.float32)
        with torch.no_grad():
            parameter.copy_(torch.from_numpy(values.astype(np.float64)))
        self.writer.add_tensor(name, np.ascontiguousarray(view(values) if view else values))

    def linear(self, name, module, half=True):
        self.put(name + ".weight", module.weight, half)
        if module.bias is not None:
            self.put(name + ".bias", module.bias)

    def norm(self, name, module):
        self.put(name + ".weight", module.weight)
        self.put(name + ".bias", module.bias)

    def blocks(self, layers):
        for i, layer in enumerate(layers):
            prefix = f"v.blk.{i}."
            self.norm(prefix + "ln1", layer.layer_norm1)
            self.norm(prefix + "ln2", layer.layer_norm2)
            for theirs, ours in (("q_proj", "attn_q"), ("k_proj", "attn_k"), ("v_proj", "attn_v"), ("out_proj", "attn_out")):
                self.linear(prefix + ours, getattr(layer.self_attn, theirs))
            self.linear(prefix + "ffn_up", layer.mlp.fc1)
            self.linear(prefix + "ffn_down", layer.mlp.fc2)

    def close(self):
        self.writer.write_header_to_file()
        self.writer.write_kv_data_to_file()
        self.writer.write_tensors_to_file()
        self.writer.close()


def normalise(pixels):
    """u8 [n, H, W, 3] -> [n, 3, H, W]"""
    values = (pixels.astype(np.float64) / 255 - MEAN) / STD
    return torch.from_numpy(values).permute(0, 3, 1, 2)


def taps(stem, embd, vision, given):
    """Values inside, of the last sub-image, for those whose pixels are kept too."""
    if not given:
        return {}
    return {"patch_embd": save(f"{stem}.patch_embd.npy", embd.detach().numpy().astype(np.float32)),
            "vision": save(f"{stem}.vision.npy", vision.detach().numpy().astype(np.float32))}


# ---- SmolVLM ----------------------------------------------------------------------------------------------------------

SIDE, PATCH, FACTOR, EDGE = 88, 14, 3, 201      # 6 x 6 patches of 84 pixels, 2 x 2 tokens; an odd longest edge
WIDTH = 32                                      # of the language model


def straight_positions(embeddings):
    def forward(pixel_values, patch_attention_mask):
        x = embeddings.patch_embedding(pixel_values).flatten(2).transpose(1, 2)
        return x + embeddings.position_embedding(torch.arange(x.shape[1]))[None]
    embeddings.forward = forward


def smolvlm_model():
    config = SmolVLMConfig(
        vision_config=dict(hidden_size=30, intermediate_size=44, num_hidden_layers=1, num_attention_heads=5, image_size=SIDE,
                           patch_size=PATCH, layer_norm_eps=2e-5, attn_implementation="eager"),
        text_config=dict(model_type="llama", hidden_size=WIDTH, num_attention_heads=2, num_hidden_layers=1, vocab_size=8,
                         pad_token_id=0),
        scale_factor=FACTOR)
    tower = SmolVLMVisionTransformer._from_config(config.vision_config, attn_implementation="eager").eval()
    connector = SmolVLMConnector(config).eval()
    straight_positions(tower.embeddings)
    file = File("mmproj-smolvlm-odd.gguf", "idefics3")
    file.keys(projection_dim=WIDTH, image_size=SIDE, patch_size=PATCH, embedding_length=30, feed_forward_length=44,
              block_count=1, attention__head_count=5, attention__layer_norm_epsilon=2e-5, projector__scale_factor=FACTOR,
              preproc_image_size=EDGE)
    file.linear("v.patch_embd", tower.embeddings.patch_embedding)
    file.put("v.position_embd.weight", tower.embeddings.position_embedding.weight)
    file.blocks(tower.encoder.layers)
    file.norm("v.post_ln", tower.post_layernorm)
    file.linear("mm.model.fc", connector.modality_projection.proj)
    file.close()
    return tower, connector


def smolvlm_case(model, name, image, pixels, keep, **about):
    tower, connector = model
    x = normalise(pixels)
    embd = tower.embeddings(x, None)
    hidden = embd
    for layer in tower.encoder.layers:
        hidden = layer(hidden, None)
        hidden = hidden[0] if isinstance(hidden, tuple) else hidden
    vision = tower.post_layernorm(hidden)
    visual = connector(vision)
    n = (SIDE // PATCH // FACTOR) ** 2
    stem = f"smolvlm-odd.{name}"
    resized = [save(f"{stem}.resized{i}.npy", pixels[i]) if i in keep else None for i in range(len(pixels))]
    return {"name": name, "image": image.name, "image_size": list(image.size), "resized": resized, **about,
            "sizes_hw": [[SIDE, SIDE]] * len(pixels), "visual_tokens": [n] * len(pixels), "n_visual": n * len(pixels),
            **taps(stem, embd[-1], vision[-1], resized[-1]),
            "visual": save(f"{stem}.visual.npy", visual.flatten(0, 1).detach().numpy().astype(np.float32))}


def smolvlm():
    model = smolvlm_model()
    cases = []
    for name, width, height, keep in (("wide", 150, 97, (6,)), ("tall", 61, 190, ())):
        image = picture(f"{name}.png", width, height)
        image.name = f"{name}.png"
        processor = SmolVLMImageProcessor(size={"longest_edge": EDGE}, max_image_size={"longest_edge": SIDE},
                                          do_rescale=False, do_normalize=False)
        split = processor.preprocess(image, return_row_col_info=True)
        pixels = np.stack([p.transpose(1, 2, 0) for p in split["pixel_values"][0]]).astype(np.uint8)
        grid = [split["cols"][0][0], split["rows"][0][0]]
        cases.append(smolvlm_case(model, name, image, pixels, keep, splitting=True, grid=grid))
    # One piece: do_image_splitting=False with the square's side as the longest edge.
    processor = SmolVLMImageProcessor(size={"longest_edge": SIDE}, max_image_size={"longest_edge": SIDE}, do_rescale=False,
                                      do_normalize=False, do_image_splitting=False)
    pixels = processor.preprocess(image)["pixel_values"][0][0].transpose(1, 2, 0)[None].astype(np.uint8)
    cases.append(smolvlm_case(model, "whole", image, pixels, (0,), splitting=False, grid=None))
    # A frame of a video: torchvision, which has no Lanczos.
    processor = SmolVLMVideoProcessor(size={"longest_edge": SIDE}, max_image_size={"longest_edge": SIDE})
    frame = processor.resize(torch.from_numpy(np.array(image)).permute(2, 0, 1)[None], SizeDict(longest_edge=SIDE),
                             interpolation=InterpolationMode.LANCZOS)
    cases.append(smolvlm_case(model, "frame", image, frame.permute(0, 2, 3, 1).numpy(), (0,), frame=True, grid=None))
    (OUT / "mmproj-smolvlm-odd.json").write_text(json.dumps(
        {"mmproj": "mmproj-smolvlm-odd.gguf", "tolerance": TOLERANCE, "cases": cases}, indent=1) + "\n")


# ---- LFM2-VL ----------------------------------------------------------------------------------------------------------

def lfm2vl():
    patch, factor, hidden, side = 12, 3, 33, 5
    config = Lfm2VlConfig(
        vision_config=dict(model_type="siglip2_vision_model", hidden_size=hidden, intermediate_size=50, num_hidden_layers=1,
                           num_attention_heads=3, patch_size=patch, num_patches=side * side, layer_norm_eps=1e-6,
                           vision_use_head=False),
        text_config=dict(model_type="lfm2", hidden_size=20, num_attention_heads=2, num_key_value_heads=1,
                         num_hidden_layers=1, vocab_size=8, layer_types=["conv"]),
        projector_hidden_size=37, downsample_factor=factor)
    config._attn_implementation = "eager"
    model = Lfm2VlModel._from_config(config, attn_implementation="eager").eval()
    tower, projector = model.vision_tower.vision_model, model.multi_modal_projector
    file = File("mmproj-lfm2vl-odd.gguf", "lfm2")
    file.keys(projection_dim=20, image_size=side * patch, patch_size=patch, embedding_length=hidden, feed_forward_length=50,
              block_count=1, attention__head_count=3, attention__layer_norm_epsilon=1e-6, projector__scale_factor=factor,
              image_min_pixels=2 * (patch * factor) ** 2, image_max_pixels=20 * (patch * factor) ** 2)
    # torch: [out, y, x, channel]; the file: [out, channel, y, x]
    file.put("v.patch_embd.weight", tower.embeddings.patch_embedding.weight, True,
             lambda v: v.reshape(-1, patch, patch, 3).transpose(0, 3, 1, 2))
    file.put("v.patch_embd.bias", tower.embeddings.patch_embedding.bias)
    file.put("v.position_embd.weight", tower.embeddings.position_embedding.weight)
    file.blocks(tower.encoder.layers)
    file.norm("v.post_ln", tower.post_layernorm)
    file.norm("mm.input_norm", projector.layer_norm)
    file.linear("mm.1", projector.linear_1)
    file.linear("mm.2", projector.linear_2)
    file.close()
    cases = []
    # Sizes that the rules leave alone: resampling is another test's matter.
    for name, width, height in (("low", 144, 72), ("high", 108, 144)):
        image = picture(f"{name}.png", width, height)
        rows, columns = height // patch, width // patch
        x = normalise(np.asarray(image)[None])[0].permute(1, 2, 0)
        x = x.reshape(rows, patch, columns, patch, 3).permute(0, 2, 1, 3, 4).reshape(1, rows * columns, -1)
        shapes, mask = torch.tensor([[rows, columns]]), torch.ones(1, rows * columns, dtype=torch.int64)
        embd = tower.embeddings(x, shapes)
        vision = tower(pixel_values=x, spatial_shapes=shapes, attention_mask=mask).last_hidden_state
        visual = model.get_image_features(x, shapes, mask)[0]
        n = rows // factor * (columns // factor)
        stem = f"lfm2vl-odd.{name}"
        given = save(f"{stem}.resized0.npy", np.asarray(image)) if name == "low" else None
        cases.append({"name": name, "image": f"{name}.png", "image_size": [width, height], "grid": None,
                      "resized": [given], "sizes_hw": [[height, width]], "visual_tokens": [n], "n_visual": n,
                      **taps(stem, embd[0], vision[0], given),
                      "visual": save(f"{stem}.visual.npy", visual.detach().numpy().astype(np.float32))})
    (OUT / "mmproj-lfm2vl-odd.json").write_text(json.dumps(
        {"mmproj": "mmproj-lfm2vl-odd.gguf", "tolerance": TOLERANCE, "cases": cases}, indent=1) + "\n")


# ---- Prompts ----------------------------------------------------------------------------------------------------------

# As SmolVLM's first checkpoints have it: no word of videos.
TEMPLATE = ("<|im_start|>{% for m in messages %}{{ m.role | capitalize }}{{ ':' if m.content[0].type == 'image' else ': ' }}"
            "{% for p in m.content %}{{ p.text if p.type == 'text' else '<image>' if p.type == 'image' else '' }}{% endfor %}"
            "<end_of_utterance>\n{% endfor %}{{ 'Assistant:' if add_generation_prompt else '' }}")
SPECIAL = ["<|im_start|>", "<|endoftext|>", "<|im_end|>", "<fake_token_around_image>", "<global-img>", "<image>",
           "<end_of_utterance>"] + [f"<row_{r}_col_{c}>" for r in range(1, 5) for c in range(1, 5)]


def text_weights(writer, n_vocab):
    """A language model of one layer, to run the prompts with; nothing is expected of what it says."""
    rng = np.random.default_rng(21)
    ffn, head = 48, WIDTH // 2
    writer.add_context_length(2048)
    writer.add_block_count(1)
    writer.add_embedding_length(WIDTH)
    writer.add_feed_forward_length(ffn)
    writer.add_head_count(2)
    writer.add_head_count_kv(1)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(head)
    writer.add_vocab_size(n_vocab)
    shapes = {"token_embd": (n_vocab, WIDTH), "blk.0.attn_q": (WIDTH, WIDTH), "blk.0.attn_k": (head, WIDTH),
              "blk.0.attn_v": (head, WIDTH), "blk.0.attn_output": (WIDTH, WIDTH), "blk.0.ffn_gate": (ffn, WIDTH),
              "blk.0.ffn_up": (ffn, WIDTH), "blk.0.ffn_down": (WIDTH, ffn)}
    for name, shape in shapes.items():
        writer.add_tensor(name + ".weight", rng.normal(0, shape[1] ** -0.5, shape).astype(np.float16))
    for name in ("output_norm", "blk.0.attn_norm", "blk.0.ffn_norm"):
        writer.add_tensor(name + ".weight", rng.uniform(0.6, 1.4, WIDTH).astype(np.float32))


def vocabulary():
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)])
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(vocab_size=480, special_tokens=SPECIAL, show_progress=False,
                                  initial_alphabet=pre_tokenizers.ByteLevel.alphabet())
    text = (HERE / "../../COPYING").read_text().splitlines()
    video = [processing.DEFAULT_VIDEO_INTRO, processing.FRAME_TIMESTAMP_MESSAGE, "\n\n\n\n", "User: Assistant: System:"] * 40
    tokenizer.train_from_iterator(text + video, trainer)
    about = json.loads(tokenizer.to_str())
    tokens = [t for t, _ in sorted(tokenizer.get_vocab().items(), key=lambda item: item[1])]
    merges = [" ".join(m) if isinstance(m, list) else m for m in about["model"]["merges"]]
    writer = gguf.GGUFWriter(OUT / "smolvlm-text.gguf", "llama")
    text_weights(writer, len(tokens))
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("smollm")
    writer.add_token_list(tokens)
    writer.add_token_types([3 if t in SPECIAL else 1 for t in tokens])
    writer.add_token_merges(merges)
    writer.add_bos_token_id(0)
    writer.add_eos_token_id(SPECIAL.index("<end_of_utterance>"))
    writer.add_add_bos_token(False)
    writer.add_chat_template(TEMPLATE)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return tokenizer


def prompts():
    tokenizer = vocabulary()
    processor = SimpleNamespace(fake_image_token="<fake_token_around_image>", image_token="<image>", image_seq_len=1,
                                global_image_token="<global-img>", video_token="<video>")
    environment = jinja2.Environment()
    cases = []

    def add(name, words, system=None, grid=None, times=None, duration=None):
        visual = "video" if times else "image"
        messages = [{"role": "system", "content": [{"type": "text", "text": system}]}] if system else []
        parts = [{"type": visual}] + ([{"type": "text", "text": words}] if words else [])
        messages.append({"role": "user", "content": parts})
        template = processing.DEFAULT_CHAT_TEMPLATE if times else TEMPLATE
        text = environment.from_string(template).render(messages=messages, add_generation_prompt=True)
        if times:
            metadata = SimpleNamespace(fps=2, timestamps=times, duration=duration)
            text = processing.SmolVLMProcessor.expand_text_with_video_tokens(
                processor, [text], {"pixel_values": torch.zeros(1, len(times)), "video_metadata": [metadata]})[0]
        else:
            columns, rows = grid or (0, 0)
            text = processing.SmolVLMProcessor.expand_text_with_image_tokens(processor, [text], [[rows]], [[columns]])[0]
        ids = tokenizer.encode(text, add_special_tokens=False).ids
        image = tokenizer.token_to_id("<image>")
        cases.append({"name": name, "text": words, "system": system, "grid": grid, "times": times, "duration": duration,
                      "tokens": [-1 if i == image else i for i in ids]})

    add("whole", "What is in this picture?")
    add("no words", "")
    add("tiles", "Describe the picture.", grid=[3, 2])
    add("system", "  What?", system="Answer in one word.", grid=[1, 4])
    add("frames", "What happens?", times=[i / 2 for i in range(8)], duration=4.02)
    add("frames, no words", "", times=[0.0, 0.99, 59.5, 61.25], duration=75.9)
    add("frames, lines", "\nWhat?\n\n", times=[0.0], duration=0.4)
    add("frames, system", "Describe.", system="Be short. ", times=[3599.0, 3600.0, 7261.5], duration=7300.0)
    for n in (12, 21, 101):
        add(f"{n} frames", "Well?", times=[float(i) for i in range(n)], duration=float(n))
    add("a day", "Well?", times=[0.0, 90000.0], duration=86400.0 * 2 + 3723)
    (OUT / "prompts.json").write_text(json.dumps({"gguf": "smolvlm-text.gguf", "prompts": cases}) + "\n")


OUT.mkdir(parents=True, exist_ok=True)
smolvlm()
lfm2vl()
prompts()
