# SPDX-License-Identifier: LGPL-2.1-or-later
"""Which shape of language model a captioner is worth: many by a score that costs no training, some by a short one.

    python training/search.py --data ../shared/data --work DIR --tern build/tools/tern [--train 8] [--passes 2]
        [--write docs/search.md]

DIR has what the stages before `xe` left: tokenizer.json, tower.pt, features-*. Every shape within the limits below is drawn and
scored by two proxies: its ternary weights (Javaheripi et al. 2022 rank decoders by the parameters outside the embedding), and
SNIP's saliency, the sum of |w dL/dw| over them on one batch (Lee et al. 2019, eq. 4). Of bands of equal ratio in size, those of the
highest and lowest saliency, and the shape that ships, are trained by cross-entropy on the same photographs in the same order,
captioned, exported, and measured by `tern bench`. DIR/search.jsonl has a line for each, and a stopped search goes on behind the
last.
"""

import argparse
import itertools
import json
import os
import subprocess

import numpy as np
import torch
import torch.nn.functional as F

import cider
import common
import evaluate
import export
import features
import model as lm
import photos
import prompts
import quant
import rows as layouts
import taskdata
import words
import xe

LEAST, MOST = 1.0e6, 10.0e6  # ternary weights
# Blocks of TQ2_0 have 256 weights of a row.
WIDTHS, DEPTHS, INNER = (256, 512), (2, 3, 4, 6, 8, 10), (256, 512, 768, 1024, 1536)
PROMPT = 128  # tokens that are read for each caption of SAID: a photograph, question and chat are 80, a merged window 200
SAID = 10


def orders(depth):
    """name -> the layers that attend."""
    return {
        "every second": tuple(range(1, depth, 2)),
        "every third": tuple(range(2, depth, 3)),
        "second half": tuple(range(depth // 2, depth)),
        "the last": (depth - 1,),
    }


def shape_of(row):
    width, layers, attention, kv_heads, ffn = row["shape"]
    return lm.Shape(width, layers, tuple(attention), kv_heads, ffn)


def ternary(shape):
    attention, side = len(shape.attention), shape.kv_heads * lm.HEAD
    mixers = attention * (2 * shape.width + 2 * side) + (shape.layers - attention) * 4 * shape.width
    return shape.width * (mixers + shape.layers * 3 * shape.ffn)


def candidates():
    """[(name of the order, Shape)]"""
    out = []
    for width, depth, inner in itertools.product(WIDTHS, DEPTHS, INNER):
        for order, attention in orders(depth).items():
            shape = lm.Shape(width, depth, attention, width // lm.HEAD // 2, inner)
            if attention and LEAST <= ternary(shape) <= MOST and shape not in [s for _, s in out]:
                out.append((order, shape))
    return out


def saliency(shape, batch, cached):
    torch.manual_seed(2)
    model = lm.Captioner(words.VOCABULARY, False, shape)
    visual = model.projector(lm.Projector.unshuffle(cached)).flatten(0, 1)
    F.cross_entropy(model(visual, batch), batch.targets).backward()
    layers = [m for m in model.modules() if isinstance(m, quant.BitLinear)]
    return float(sum((m.weight.detach() * m.weight.grad).abs().sum() for m in layers))


def chosen(rows, count):
    """Of each band of sizes the most and the least salient; and what ships."""
    sizes = np.log([r["weights"] for r in rows])
    edges = np.linspace(sizes.min(), sizes.max() + 1e-9, count // 2 + 1)
    out = []
    for low, high in zip(edges, edges[1:]):
        band = [r for r, s in zip(rows, sizes) if low <= s < high]
        if band:
            out += [max(band, key=lambda r: r["saliency"]), min(band, key=lambda r: r["saliency"])]
    out += [r for r in rows if shape_of(r) == lm.SHAPES["small"]]
    return list({r["name"]: r for r in out}.values())


def measured(tern, files):
    """Tokens a second that are read and said, one thread, and bytes of the file."""
    command = [tern, "bench", "--model", files[0], "--threads", "1", "--prefill", str(PROMPT), "--decode", "64", "--depth", "0",
               "--json"]
    said = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)
    read, said = said["prefill"]["value"], said["decode"]["value"]
    plan = json.loads(subprocess.run([tern, "inspect", "--json", files[0]], check=True, stdout=subprocess.PIPE, text=True).stdout)
    return {"prefill": read, "decode": said, "ms": 1e3 * (PROMPT / read + SAID / said), "bytes": plan["bytes"],
            "memory": plan["memory"]["total"] - plan["memory"]["program"]}


def scored(model, val, text, tokenizer, seen):
    """Loss of a token and CIDEr-D of greedy captions on the validation photographs."""
    plan = layouts.layout(tokenizer, prompts.INSTRUCTIONS[0], (lm.TOKENS,))
    visual = evaluate.visual_tokens(model, seen)
    found = evaluate.caption(model, visual, plan, tokenizer)
    return {"loss": evaluate.word_loss(model, visual, text, plan), "cider": cider.corpus(found, val.captions)[0]}


def trained(options, row, parts):
    """One line of the table: a shape that was trained for a while."""
    train, val, tokenizer, views, text, seen = parts
    shape = shape_of(row)
    name = "search-" + row["name"].replace(" ", "-")
    xe.run(name, tokenizer, train, views, options.work, options.passes, shape=shape)
    model = evaluate.trained(os.path.join(options.work, name + ".pt"))
    folder = os.path.join(options.work, name)
    os.makedirs(folder, exist_ok=True)
    files = [os.path.join(folder, f) for f in ("text.gguf", "vision.gguf")]
    export.write(features.adapted(options.work), model, tokenizer, *files, name, export.LICENSE, (export.PIXELS, export.PIXELS),
                 None, None)
    return {**row, **scored(model, val, text, tokenizer, seen), **measured(options.tern, files)}


def best(rows):
    """Those that no other beats in both time and CIDEr-D."""
    return [r for r in rows if not any(o["ms"] <= r["ms"] and o["cider"] >= r["cider"] and o is not r for o in rows)]


def ranks(rows, one, other):
    """Spearman's correlation of two columns."""
    order = [np.argsort(np.argsort([r[k] for r in rows])) for k in (one, other)]
    return float(np.corrcoef(*order)[0, 1])


def page(options, drawn, rows):
    front = {r["name"] for r in best(rows)}
    lines = ["# Shapes of the captioner's language model", "",
             "Made by `" + "training/search.py --data DATA --work DIR --tern build/tools/tern --train "
             f"{options.train} --passes {options.passes} --write docs/search.md`, whose head says how shapes are drawn and chosen.",
             "", f"{len(drawn)} shapes of {LEAST / 1e6:.0f} to {MOST / 1e6:.0f} M ternary weights were scored without training, "
             f"{len(rows)} trained for {options.passes} pass{'' if options.passes == 1 else 'es'} over the training photographs "
             "(cross-entropy alone, one seed), so that CIDEr-D, on 500 validation photographs, greedy, is far below what all stages "
             "reach: it is for comparing. Time is what a caption costs the language model with one thread "
             f"({PROMPT} tokens read, {SAID} said), memory what it takes beside the program (`tern inspect`).", "",
             "| shape (width, layers, ffn) | attention | M weights | saliency | loss | CIDEr-D | ms | file, KB | memory, MB | |",
             "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |"]
    for r in sorted(rows, key=lambda r: r["ms"]):
        width, layers, _, _, ffn = r["shape"]
        lines.append(f"| {width}, {layers}, {ffn} | {r['order']} | {r['weights'] / 1e6:.2f} | {r['saliency']:.1f} | "
                     f"{r['loss']:.3f} | {r['cider']:.3f} | {r['ms']:.1f} | {r['bytes'] / 1e3:.0f} | {r['memory'] / 1e6:.1f} | "
                     f"{'not beaten' if r['name'] in front else ''} |")
    lines += ["", "Rank correlation (Spearman) with CIDEr-D and with the loss after training: weights "
              f"{ranks(rows, 'weights', 'cider'):.2f} and {ranks(rows, 'weights', 'loss'):.2f}, saliency "
              f"{ranks(rows, 'saliency', 'cider'):.2f} and {ranks(rows, 'saliency', 'loss'):.2f}.", ""]
    return "\n".join(lines)


def main():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("--data", default="../shared/data")
    a.add_argument("--work", required=True)
    a.add_argument("--tern", required=True)
    a.add_argument("--train", type=int, default=8, help="shapes that are trained")
    a.add_argument("--passes", type=int, default=2)
    a.add_argument("--write", metavar="PAGE")
    options = a.parse_args()
    common.settle()
    train, val = (photos.Split(options.data, s, options.work) for s in ("train", "val"))
    captions = [[photos.clean(c) for c in group] for group in train.captions]
    tokenizer, views = words.load(os.path.join(options.work, "tokenizer.json")), taskdata.views_of(options.work, features.CLEAN)
    drawn_file, found_file = (os.path.join(options.work, f) for f in ("search-drawn.json", "search.jsonl"))
    if not os.path.exists(drawn_file):
        at = np.arange(xe.PHOTOS)
        text = xe.tokenised(tokenizer, [captions[i] for i in at])
        batch = layouts.Rows(layouts.layout(tokenizer, prompts.INSTRUCTIONS[0], (lm.TOKENS,)), text)
        cached = xe.fetch(views[:1], at, np.random.default_rng(1))
        rows = [{"name": f"{s.width}-{s.layers}-{s.ffn} {order}", "order": order, "shape": s, "weights": ternary(s),
                 "saliency": saliency(s, batch, cached)} for order, s in candidates()]
        with open(drawn_file + ".part", "w") as f:
            json.dump(rows, f)
        os.replace(drawn_file + ".part", drawn_file)
    drawn = json.load(open(drawn_file))
    done = [json.loads(line) for line in open(found_file)] if os.path.exists(found_file) else []
    seen = torch.from_numpy(np.load(features.path(options.work, "val", 0)))
    text = xe.tokenised(tokenizer, [[photos.clean(c) for c in g] for g in val.captions])
    for row in chosen(drawn, options.train):
        if row["name"] not in {r["name"] for r in done}:
            done.append(trained(options, row, (captions, val, tokenizer, views, text, seen)))
            with open(found_file, "a") as f:
                f.write(json.dumps(done[-1]) + "\n")
    text = page(options, drawn, done)
    print(text)
    if options.write:
        with open(options.write, "w", encoding="utf8") as f:
            f.write(text)


if __name__ == "__main__":
    main()
