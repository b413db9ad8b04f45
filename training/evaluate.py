# SPDX-License-Identifier: LGPL-2.1-or-later
"""Captions and scores on the validation photographs, from checkpoints or from exported files.

python training/evaluate.py --data ../shared/data --work DIR --weights scst.pt [--beam 3] [--input shuffled|none]
python training/evaluate.py --data ../shared/data --work DIR --export models [--output captions.jsonl]
python training/evaluate.py --data ../shared/data --work DIR --weights tasks.pt --tasks
"""

import argparse
import json
import os

import common


def trained(path, plain=False):
    import model as lm

    model = lm.Captioner.loaded(common.load(path), plain)
    model.freeze()
    return model.eval()


def visual_tokens(model, features, batch=50):
    import torch

    with torch.inference_mode():
        return torch.cat([
            model.projector(model.projector.unshuffle(features[i : i + batch].float()))
            for i in range(0, len(features), batch)
        ])


def word_loss(model, visual, text, plan, batch=50):
    """Of the captions `text` (xe.tokenised) behind visual tokens [N, kept, width]: the mean of the batches' means."""
    import torch
    import torch.nn.functional as F

    import rows

    losses = []
    with torch.inference_mode():
        for i in range(0, len(visual), batch):
            said = rows.Rows(plan, text[i : i + batch])
            losses.append(float(F.cross_entropy(model(visual[i : i + batch].flatten(0, 1), said), said.targets)))
    return sum(losses) / len(losses)


def leaning(model, plan, tokenizer, data, work, lean):
    """What replay.py would add to the model's logits, by what it says of the training photographs."""
    import numpy as np
    import features
    import photos
    import replay

    train, seen = photos.Split(data, "train", work), np.load(features.path(work, "train", 0), mmap_mode="r")
    captions = [[photos.clean(c) for c in group] for group in train.captions]
    return replay.leaning_of(model, tokenizer, seen, plan, captions, replay.Lean(*lean))


def caption(model, visual, plan, tokenizer, beam=1):
    import decode

    ids = []
    for i in range(0, len(visual), 100):
        part = visual[i : i + 100]
        ids += decode.greedy(model, part, plan) if beam == 1 else decode.beam(model, part, plan, beam)
    return [tokenizer.decode(s).strip() for s in ids]


def main():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("--data", default="../shared/data")
    a.add_argument("--work", required=True)
    a.add_argument("--weights", action="append", help="checkpoint, relative to --work; several are allowed")
    a.add_argument("--export", help="folder with the two GGUF files; the tower then runs on the pixels")
    a.add_argument("--tasks", action="store_true", help="every task on what was held out, from cached features")
    a.add_argument("--plain", action="store_true", help="the full-precision twin")
    a.add_argument("--beam", type=int, default=1)
    a.add_argument("--lean", type=float, nargs=3, metavar=("SHARE", "MOST", "LONGER"), help="to people's words (replay.Lean)")
    a.add_argument("--input", choices=("photo", "shuffled", "none", "clip"), default="photo")
    a.add_argument("--merge-ratio", type=float, default=0.7, help="with --input clip: 8 frames, a pan over the features")
    a.add_argument("--instruction")
    a.add_argument("--output", help="JSON lines with source and result")
    a.add_argument("--core", type=int)
    options = a.parse_args()
    common.settle(options.core)
    import numpy as np
    import torch

    import cider
    import export
    import features
    import heldout
    import merging
    import photos
    import prompts
    import rows
    import vit
    import words
    import xe

    val = photos.Split(options.data, "val", options.work)
    tokenizer = words.load(os.path.join(options.work, "tokenizer.json"))
    instruction = prompts.INSTRUCTIONS[0] if options.instruction is None else options.instruction
    plan = rows.layout(tokenizer, instruction, (49,))
    for source in options.weights or [options.export]:
        if options.export:
            tower, model = export.read(options.export)
            model.lean = export.bias_in(options.export) if options.beam == 1 else None
            with torch.inference_mode():
                seen = torch.cat([tower(vit.pixels(val.pixels[i : i + 50])) for i in range(0, len(val), 50)])
        else:
            model = trained(os.path.join(options.work, source), options.plain)
            if options.tasks:
                heldout.tasks(model, tokenizer, options.data, options.work)
            seen = torch.from_numpy(np.load(features.path(options.work, "val", 0)))
        visual = visual_tokens(model, seen)
        if options.input == "shuffled":
            visual = visual[torch.from_numpy(np.roll(np.arange(len(visual)), 1))]
        elif options.input == "none":
            # The mean visual tokens of every sixth training photograph: what is known without looking.
            train = torch.from_numpy(np.load(features.path(options.work, "train", 0), mmap_mode="r")[::6].copy())
            visual = visual_tokens(model, train).mean(0, keepdim=True).expand_as(visual).contiguous()
        elif options.input == "clip":
            plan = rows.layout(tokenizer, instruction, merging.kept_counts(8, options.merge_ratio))
            rng, parts = np.random.default_rng(5), []
            with torch.inference_mode():
                for i in range(0, len(seen), 50):
                    part = seen[i : i + 50].float()
                    parts.append(xe.visual(model, part, plan, 8, rng).view(len(part), -1, visual.shape[-1]))
            visual = torch.cat(parts)
        if options.lean:
            model.lean = leaning(model, plan, tokenizer, options.data, options.work, options.lean)
        results = caption(model, visual, plan, tokenizer, options.beam)
        score, bleu, _ = cider.corpus(results, val.captions)
        vocabulary = len({w for r in results for w in cider.tokens(r)})
        print(f"{source} {options.input} beam {options.beam} CIDEr-D {score:.4f} BLEU-4 {bleu:.4f} "
              f"different {len(set(results))} distinct words {vocabulary} words {np.mean([len(r.split()) for r in results]):.2f}",
              flush=True)
        if options.output:
            with open(options.output, "w", encoding="utf8") as f:
                for name, result in zip(val.names, results):
                    f.write(json.dumps({"source": name, "result": result}) + "\n")


if __name__ == "__main__":
    main()
