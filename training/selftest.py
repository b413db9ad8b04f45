# SPDX-License-Identifier: LGPL-2.1-or-later
"""Checks of the training code that need no data, in seconds: python training/selftest.py

With --data they also hold our tokens and scores against figures that pycocoevalcap gave on the same captions.
"""

import argparse
import os
import tempfile


def flat_rows_equal_decoding(tokenizer):
    """The batch without padding gives what word-by-word decoding gives, with one frame and with merged ones."""
    import torch

    import decode
    import merging
    import model as lm
    import rows
    import words

    torch.manual_seed(1)
    model = lm.Captioner(len(tokenizer.get_vocab()), plain=True).eval()
    for kept in ((49,), merging.kept_counts(8, 0.7), merging.kept_counts(3, 1.0)):
        plan = rows.Layout(tokenizer, "what is it?", kept)
        visual = torch.randn(3, sum(kept), model.shape.width)
        texts = ("a dog runs", "two", "")
        captions = [[words.encode(tokenizer, t) + [words.EOS] for t in texts] for _ in range(3)]
        with torch.no_grad():
            flat = model(visual.flatten(0, 1), rows.Rows(plan, captions))
            at = 0
            for i, group in enumerate(captions):
                for caption in group:
                    logits, state = decode.prefill(model, visual[i : i + 1], plan)
                    for token in caption:
                        assert (logits[0] - flat[at]).abs().max() < 1e-4, (kept, i, at)
                        logits, state = decode.step(model, torch.tensor([token]), state)
                        at += 1


def merging_keeps_what_differs():
    import torch

    import merging

    tokens = torch.randn(1, 1, 49, 8).repeat(1, 4, 1, 1)
    tokens[0, 1, 5], tokens[0, 2, 40], tokens[0, 3, 0] = -tokens[0, 0, 5], -tokens[0, 0, 40], -tokens[0, 0, 0]
    tokens[0, 3, 40] = tokens[0, 2, 40]
    kept = merging.kept_counts(4, 0.97)
    assert kept == (49, 1, 1, 1)
    out = merging.merge(tokens, kept)[0]
    for place, frame, position in ((49, 1, 5), (50, 2, 40), (51, 3, 0)):
        assert torch.equal(out[place], tokens[0, frame, position]), frame


def export_is_exact(tokenizer):
    """What is written is read back: trits times one f16 scale, f16 tower."""
    import gguf
    import torch

    import export
    import model as lm
    import movement
    import prompts
    import quant
    import vit

    torch.manual_seed(2)
    model, tower = lm.Captioner(len(tokenizer.get_vocab()), shape=lm.SHAPES["wide"]), vit.Tower(False, "tanh")
    model.motion = movement.Motion(model.shape.width, 2)
    with tempfile.TemporaryDirectory() as folder:
        export.write_captioner(tower, model, tokenizer, folder, (prompts.TASKS, 1.5))
        tower2, model2 = export.read(folder)
        fields = gguf.GGUFReader(export._found(folder, export.TEXT)).fields
    assert model2.shape == lm.SHAPES["wide"]
    assert fields["tern.task.camera-motion.labels"].contents() == list(prompts.TASKS["camera-motion"][1])
    assert fields["tern.task.aerial.prompt"].contents() == prompts.TASKS["aerial"][0]
    assert fields["tern.prompt"].contents() == "ignored"
    assert fields["tern.label_temperature"].contents() == 1.5 and "tern.task.aerial.labels" not in fields
    linear = model.layers[1].mix.qkv
    t = [quant.trits(p) for p in linear.weight.split(linear.rows)]
    want = torch.cat([a * b.detach().half().float() for a, b in t])
    t, scales = model2.layers[1].mix.qkv.frozen
    assert torch.equal(t * scales[:, None], want.detach())
    x, moved = torch.randn(1, 3, 224, 224), torch.rand(3, 2 * movement.FEATURES)
    with torch.no_grad():
        assert (tower(x) - tower2(x)).abs().max() < 1e-2
        assert (model.motion(moved) - model2.motion(moved)).abs().max() < 1e-2
    export.thaw(model2)
    again = quant.ternary(model2.layers[1].mix.qkv.weight.detach(), linear.rows)
    assert torch.equal(again[0], t) and torch.allclose(again[1], scales)


def gradients_are_those_of_the_rounded_operands():
    import torch

    import quant

    torch.manual_seed(3)
    x, grad = torch.randn(40, 64, requires_grad=True), torch.randn(40, 96)
    linear = quant.BitLinear(64, (32, 64))
    y = linear(x)
    (y * grad).sum().backward()
    t, scales = quant.ternary(linear.weight.detach(), linear.rows)
    q, step = quant.int8(x.detach())
    weight, rounded = t * scales[:, None], q * step
    assert (y - rounded @ weight.t()).abs().max() < 1e-4 and (rounded - x).abs().max() <= step.max() / 2
    for found, want in ((x.grad, grad @ weight), (linear.weight.grad, grad.t() @ rounded)):
        assert (found - want).norm() < 0.01 * want.norm()
    linear.freeze(True)
    assert torch.equal(linear(x.detach()), y.detach())


def scores(data):
    """Human caption 1 against the other four of the validation split: pycocoevalcap says 0.7696284671, 0.2001145775."""
    import cider
    import photos

    table = {}
    with open(os.path.join(data, "flickr8k", "val.tsv"), encoding="utf8") as f:
        for line in f:
            name, caption = line.rstrip("\n").split("\t", 1)
            table.setdefault(name, []).append(caption)
    score, bleu, _ = cider.corpus([v[0] for v in table.values()], [v[1:] for v in table.values()])
    assert abs(score - 0.7696284671) < 1e-9 and abs(bleu - 0.2001145775) < 1e-9, (score, bleu)
    assert photos.clean('A "big" dog \'s ball , red .') == "a big dog's ball, red"


def main():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("--data", help="folder with flickr8k")
    options = a.parse_args()

    import prompts
    import selftest_tasks
    import words

    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "tokenizer.json")
        # A small vocabulary out of our own instructions is enough here.
        full, words.VOCABULARY = words.VOCABULARY, 320
        words.train([i.lower() for i in prompts.INSTRUCTIONS], path)
        words.VOCABULARY = full
        tokenizer = words.load(path)
    flat_rows_equal_decoding(tokenizer)
    gradients_are_those_of_the_rounded_operands()
    merging_keeps_what_differs()
    export_is_exact(tokenizer)
    selftest_tasks.run(tokenizer)
    if options.data:
        scores(options.data)
    print("all good")


if __name__ == "__main__":
    main()
