# SPDX-License-Identifier: LGPL-2.1-or-later
"""The two GGUF files of the product, and the way back: a model read from them decodes as the engine does."""

import glob
import hashlib
import json
import os

import gguf
import numpy as np
import torch

import model as lm
import movement
import prompts
import quant
import vit
import words

TEXT, VISION = "tern-captioner-{}m-tq2_0.gguf", "mmproj-tern-captioner-{}m-f16.gguf"
NAME = "Tern Captioner {}M"
LICENSE = "non-commercial research (trained on Flickr8k); see LICENSE.weights"
PIXELS = 224 * 224
TYPE = gguf.GGMLQuantizationType


def millions(model):
    """What the language model's size is called."""
    return sum(p.numel() for n, p in model.named_parameters() if not n.startswith("projector.")) // 10**6


def _language(model):
    """GGUF name -> (f32 array, type)."""
    out = {"token_embd.weight": (model.embedding, TYPE.Q8_0), "token_embd_norm.weight": (model.norm, TYPE.F32)}

    def matrix(layer, names, linear):
        for name, part in zip(names, linear.weight.split(linear.rows)):
            t, scale = quant.trits(part)
            out[f"blk.{layer}.{name}.weight"] = (t * scale, TYPE.TQ2_0)

    for i, layer in enumerate(model.layers):
        out[f"blk.{i}.attn_norm.weight"] = (layer.norm1, TYPE.F32)
        out[f"blk.{i}.ffn_norm.weight"] = (layer.norm2, TYPE.F32)
        if layer.attends:
            matrix(i, ("attn_q", "attn_k", "attn_v"), layer.mix.qkv)
            matrix(i, ("attn_output",), layer.mix.out)
            out[f"blk.{i}.attn_q_norm.weight"] = (layer.mix.q_norm, TYPE.F32)
            out[f"blk.{i}.attn_k_norm.weight"] = (layer.mix.k_norm, TYPE.F32)
        else:
            matrix(i, ("shortconv.in_proj",), layer.mix.inward)
            matrix(i, ("shortconv.out_proj",), layer.mix.out)
            out[f"blk.{i}.shortconv.conv.weight"] = (layer.mix.taps.t(), TYPE.F32)
        matrix(i, ("ffn_gate", "ffn_up"), layer.gate_up)
        matrix(i, ("ffn_down",), layer.down)
    return out


def _put(writer, name, value, kind):
    array = np.ascontiguousarray(value.detach().float().numpy())
    if kind == TYPE.F32:
        writer.add_tensor(name, array)
    elif kind == TYPE.F16:
        writer.add_tensor(name, array.astype(np.float16))
    else:
        writer.add_tensor(name, gguf.quants.quantize(array, kind), raw_dtype=kind)


def _finish(writer):
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def write_text(model, tokenizer, path, title, licence, known=None):
    """`known`: (the tasks that the model was taught, temperature of labels)."""
    w, shape = gguf.GGUFWriter(path, "lfm2"), model.shape
    w.add_type("model")
    w.add_name(title)
    w.add_license(licence)
    w.add_file_type(gguf.LlamaFileType.MOSTLY_TQ2_0)
    w.add_quantization_version(2)
    for key, value in {
        "block_count": shape.layers, "context_length": 4096, "embedding_length": shape.width,
        "feed_forward_length": shape.ffn, "attention.head_count": shape.heads, "shortconv.l_cache": lm.TAPS,
        "rope.dimension_count": lm.HEAD, "vocab_size": model.embedding.shape[0],
    }.items():
        w.add_uint32("lfm2." + key, value)
    w.add_array("lfm2.attention.head_count_kv",
                [shape.kv_heads if i in shape.attention else 0 for i in range(shape.layers)])
    w.add_float32("lfm2.attention.layer_norm_rms_epsilon", lm.EPS)
    w.add_float32("lfm2.rope.freq_base", lm.THETA)

    bpe = json.loads(tokenizer.to_str())["model"]
    tokens = sorted(bpe["vocab"], key=bpe["vocab"].get)
    special = set(words.SPECIALS)
    w.add_tokenizer_model("gpt2")
    w.add_tokenizer_pre("lfm2")
    w.add_token_list(tokens)
    w.add_token_types([gguf.TokenType.CONTROL if t in special else gguf.TokenType.NORMAL for t in tokens])
    w.add_token_merges([m if isinstance(m, str) else " ".join(m) for m in bpe["merges"]])
    w.add_bos_token_id(words.BOS)
    w.add_eos_token_id(words.EOS)
    w.add_pad_token_id(words.PAD)
    w.add_add_bos_token(True)
    w.add_add_eos_token(False)
    w.add_chat_template(prompts.CHAT_TEMPLATE)
    if known:
        for name, (prompt, labels) in sorted(known[0].items()):
            w.add_string(f"tern.task.{name}.prompt", prompt)
            if labels:
                w.add_array(f"tern.task.{name}.labels", list(labels))
        w.add_float32("tern.label_temperature", known[1])
    # What is trained here describes what it is shown; other instructions than those above mean nothing to it.
    w.add_string("tern.prompt", "ignored")
    for name, (value, kind) in _language(model).items():
        _put(w, name, value, kind)
    _finish(w)


def write_vision(tower, projector, path, title, licence, pixels, motion=None):
    """`pixels`: the least and the most of a picture; the table of positions is one of a square. `motion`: the two layers that
    read what is measured between two frames (vision/motion-tokens.c)."""
    w = gguf.GGUFWriter(path, "clip")
    width, inputs = tower.patch.weight.shape
    patch, side = round((inputs // 3) ** 0.5), round(len(tower.position) ** 0.5)
    w.add_type("mmproj")
    w.add_name(title + " vision")
    w.add_license(licence)
    w.add_file_type(gguf.LlamaFileType.MOSTLY_F16)
    w.add_quantization_version(2)
    w.add_bool("clip.has_vision_encoder", True)
    w.add_string("clip.projector_type", "lfm2")
    w.add_bool("clip.use_gelu", True)
    for key, value in {
        "image_size": side * patch, "image_min_pixels": pixels[0], "image_max_pixels": pixels[1], "patch_size": patch,
        "embedding_length": width, "feed_forward_length": tower.blocks[0].fc1.out_features, "block_count": len(tower.blocks),
        "attention.head_count": tower.heads, "projection_dim": projector.down.out_features, "projector.scale_factor": 2,
    }.items():
        w.add_uint32("clip.vision." + key, value)
    w.add_float32("clip.vision.attention.layer_norm_epsilon", tower.norm.eps)
    w.add_array("clip.vision.image_mean", [0.5] * 3)
    w.add_array("clip.vision.image_std", [0.5] * 3)

    def linear(name, weight, bias):
        _put(w, name + ".weight", weight, TYPE.F16)
        _put(w, name + ".bias", bias, TYPE.F32)

    def norm(name, layer):
        _put(w, name + ".weight", layer.weight, TYPE.F32)
        _put(w, name + ".bias", layer.bias, TYPE.F32)

    linear("v.patch_embd", tower.patch.weight.view(width, 3, patch, patch), tower.patch.bias)
    _put(w, "v.position_embd.weight", tower.position, TYPE.F32)
    for i, block in enumerate(tower.blocks):
        at = f"v.blk.{i}."
        norm(at + "ln1", block.ln1)
        for name, weight, bias in zip("qkv", block.qkv.weight.chunk(3), block.qkv.bias.chunk(3)):
            linear(at + "attn_" + name, weight, bias)
        linear(at + "attn_out", block.proj.weight, block.proj.bias)
        norm(at + "ln2", block.ln2)
        linear(at + "ffn_up", block.fc1.weight, block.fc1.bias)
        linear(at + "ffn_down", block.fc2.weight, block.fc2.bias)
    norm("v.post_ln", tower.norm)
    norm("mm.input_norm", projector.norm)
    linear("mm.1", projector.up.weight, projector.up.bias)
    linear("mm.2", projector.down.weight, projector.down.bias)
    if motion is not None:
        w.add_uint32("tern.vision.motion", motion.pairs)
        linear("mm.motion.1", motion.up.weight, motion.up.bias)
        linear("mm.motion.2", motion.down.weight, motion.down.bias)
    _finish(w)


def _tensors(path):
    """Every tensor of a file, dequantised to f32."""
    out = {}
    for t in gguf.GGUFReader(path).tensors:
        out[t.name] = torch.from_numpy(gguf.quants.dequantize(t.data, t.tensor_type).astype(np.float32).copy())
    return out


def _found(folder, name):
    """The one file of that kind in the folder."""
    paths = glob.glob(os.path.join(folder, name.format("*")))
    if len(paths) != 1:
        raise SystemExit(f"{folder}: expected one {name.format('*')}, found {len(paths)}")
    return paths[0]


def found_text(folder):
    return _found(folder, TEXT)


def found_vision(folder):
    return _found(folder, VISION)


def tokenizer_of(folder):
    """The captioner's, from its language model's file."""
    return tokenizer_in(found_text(folder))


BIAS = "tern.token_bias"


def bias_in(folder):
    """What its captions lean by (lean.py), or None: no part of the model that learns."""
    field = gguf.GGUFReader(found_text(folder)).fields.get(BIAS)
    return None if field is None else torch.tensor(field.contents())


def tokenizer_in(path):
    fields = gguf.GGUFReader(path).fields
    merges = [tuple(m.split(" ")) for m in fields["tokenizer.ggml.merges"].contents()]
    return words.of(fields["tokenizer.ggml.tokens"].contents(), merges)


def _shape(path):
    """The language model's shape, as the file's header has it."""
    fields = gguf.GGUFReader(path).fields
    width, layers, ffn = (int(fields["lfm2." + k].contents()) for k in ("embedding_length", "block_count", "feed_forward_length"))
    kv = fields["lfm2.attention.head_count_kv"].contents()
    return lm.Shape(width, layers, tuple(i for i, n in enumerate(kv) if n), int(max(kv)), ffn)


def read(folder):
    """(tower, model) of a captioner from its two files. The matrices are used as they stand there, not made ternary again."""
    text, vision = _found(folder, TEXT), _found(folder, VISION)
    tower = vit.Tower(False, "tanh")
    model = lm.Captioner(_tensors(text)["token_embd.weight"].shape[0], shape=_shape(text))
    pour(text, vision, tower, model)
    return tower, model


def pour(text, vision, tower, model):
    """What the two files hold, into modules of their shape."""
    v, t = _tensors(vision), _tensors(text)
    state = {"patch.weight": v["v.patch_embd.weight"].flatten(1), "patch.bias": v["v.patch_embd.bias"],
             "position": v["v.position_embd.weight"]}
    for part in ("weight", "bias"):
        state["norm." + part] = v["v.post_ln." + part]
        for i in range(len(tower.blocks)):
            a, b = f"blocks.{i}.", f"v.blk.{i}."
            state[a + "qkv." + part] = torch.cat([v[f"{b}attn_{x}.{part}"] for x in "qkv"])
            for ours, theirs in (("ln1", "ln1"), ("proj", "attn_out"), ("ln2", "ln2"), ("fc1", "ffn_up"), ("fc2", "ffn_down")):
                state[f"{a}{ours}.{part}"] = v[f"{b}{theirs}.{part}"]
    tower.load_state_dict(state)
    if "mm.motion.1.weight" in v:
        hidden, measured = v["mm.motion.1.weight"].shape
        model.motion = movement.Motion(model.shape.width, measured // movement.FEATURES, hidden)
        model.motion.load_state_dict({f"{ours}.{part}": v[f"mm.motion.{theirs}.{part}"]
                                      for ours, theirs in (("up", 1), ("down", 2)) for part in ("weight", "bias")})
    with torch.no_grad():
        model.embedding.copy_(t["token_embd.weight"])
        model.norm.copy_(t["token_embd_norm.weight"])
        for part in ("weight", "bias"):
            for ours, theirs in (("norm", "mm.input_norm"), ("up", "mm.1"), ("down", "mm.2")):
                getattr(getattr(model.projector, ours), part).copy_(v[f"{theirs}.{part}"])
        for i, layer in enumerate(model.layers):
            def get(*names):
                return torch.cat([t[f"blk.{i}.{n}.weight"] for n in names])

            layer.norm1.copy_(get("attn_norm"))
            layer.norm2.copy_(get("ffn_norm"))
            layer.gate_up.set_frozen(get("ffn_gate", "ffn_up"))
            layer.down.set_frozen(get("ffn_down"))
            if layer.attends:
                layer.mix.qkv.set_frozen(get("attn_q", "attn_k", "attn_v"))
                layer.mix.out.set_frozen(get("attn_output"))
                layer.mix.q_norm.copy_(get("attn_q_norm"))
                layer.mix.k_norm.copy_(get("attn_k_norm"))
            else:
                layer.mix.inward.set_frozen(get("shortconv.in_proj"))
                layer.mix.out.set_frozen(get("shortconv.out_proj"))
                layer.mix.taps.copy_(get("shortconv.conv").t())
    return tower.eval(), model.eval()


def thaw(model):
    """The matrices of a file as weights that round to just these trits and scales."""
    for module in model.modules():
        if isinstance(module, quant.BitLinear):
            t, scales = module.frozen
            parts = []
            for part, scale in zip(t.float().split(module.rows), scales.split(module.rows)):
                parts.append(part * scale[:, None] / part.abs().mean())
            module.weight.data.copy_(torch.cat(parts))
            module.frozen = None


def check(model, path):
    """The file's matrices are the trained trits times one f16 scale per tensor, exactly."""
    found = _tensors(path)
    for name, (value, kind) in _language(model).items():
        if kind == TYPE.TQ2_0:
            t = value.detach().sign()
            scale = value.detach().abs().max().to(torch.float16).float()
            if not torch.equal(found[name], t * scale):
                raise SystemExit(f"{name}: the exported tensor is not trits times one f16 scale")


def write(tower, model, tokenizer, text, vision, title, licence, pixels, known=None, motion=None):
    """The two files, at these paths."""
    os.makedirs(os.path.dirname(text) or ".", exist_ok=True)
    write_text(model, tokenizer, text + ".part", title, licence, known)
    write_vision(tower, model.projector, vision + ".part", title, licence, pixels, motion)
    os.replace(text + ".part", text)
    os.replace(vision + ".part", vision)
    check(model, text)
    for path in (text, vision):
        with open(path, "rb") as f:
            print(hashlib.sha256(f.read()).hexdigest(), os.path.getsize(path), os.path.basename(path))


def write_captioner(tower, model, tokenizer, folder, known=None):
    size = millions(model)
    text, vision = (os.path.join(folder, name.format(size)) for name in (TEXT, VISION))
    write(tower, model, tokenizer, text, vision, NAME.format(size), LICENSE, (PIXELS, PIXELS), known, model.motion)


def main():
    import argparse

    import common
    import evaluate
    import features
    import heldout

    a = argparse.ArgumentParser(description="Export one checkpoint of a training folder, or the way back.")
    a.add_argument("--work", required=True)
    a.add_argument("--read", metavar="FOLDER", help="make --weights, tower.pt and tokenizer.json in --work of the two files here")
    a.add_argument("--weights", default="scst.pt", help="relative to --work")
    a.add_argument("--tasks", metavar="DATA", help="it was taught the tasks; measure them on this folder and write their keys")
    a.add_argument("--output")
    options = a.parse_args()
    if not options.output and not options.read:
        a.error("expected --output or --read")
    common.settle()
    if options.read:
        tower, model = read(options.read)
        thaw(model)
        common.save(os.path.join(options.work, "tower.pt"), common.half(tower.state_dict()))
        common.save(os.path.join(options.work, options.weights), common.half(model.state_dict()))
        tokenizer_of(options.read).save(os.path.join(options.work, "tokenizer.json"))
        return
    model = evaluate.trained(os.path.join(options.work, options.weights))
    tokenizer = words.load(os.path.join(options.work, "tokenizer.json"))
    known = heldout.tasks(model, tokenizer, options.tasks, options.work) if options.tasks else None
    write_captioner(features.adapted(options.work), model, tokenizer, options.output, known)


if __name__ == "__main__":
    main()
