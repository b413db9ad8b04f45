# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the finished captioner says about its photographs, so that it goes on saying it while it learns other tasks.

Human captions would pull it back from what the self-critical stage taught. These are its own: of each photograph the
likeliest caption and one that is drawn, with the sixteen likeliest tokens at every place.
"""

import os

import numpy as np
import torch

import decode
import prompts
import rows
import words
from common import load

SAID, TOP, LONGEST = 2, 16, 22


def path(work):
    return os.path.join(work, "replay.pt")


@torch.inference_mode()
def build(model, tokenizer, views, work, seed=8, batch=64):
    """tokens [N, SAID, LONGEST + 1] (zero where there is none), ids and probabilities of the TOP likeliest at each."""
    if os.path.exists(path(work)):
        return
    n, long = len(views[0]), LONGEST + 1
    tokens = torch.zeros(n, SAID, long, dtype=torch.int16)
    ids = torch.zeros(n, SAID, long, TOP, dtype=torch.int16)
    shares = torch.zeros(n, SAID, long, TOP, dtype=torch.float16)
    plan = rows.layout(tokenizer, prompts.INSTRUCTIONS[0], (49,))
    generator = torch.Generator().manual_seed(seed)
    model.freeze()
    for first in range(0, n, batch):
        seen = torch.from_numpy(np.array(views[first // batch % len(views)][first : first + batch])).float()
        visual = model.projector(model.projector.unshuffle(seen))
        best = [c + [words.EOS] for c in decode.greedy(model, visual, plan, LONGEST)]
        drawn = decode.sample(model, visual, plan, SAID - 1, LONGEST, generator)
        texts = [[best[i]] + drawn[i * (SAID - 1) : (i + 1) * (SAID - 1)] for i in range(len(visual))]
        said = rows.Rows(plan, texts)
        top = model(visual.flatten(0, 1), said).softmax(-1).topk(TOP)
        at = 0
        for i, group in enumerate(texts):
            for k, text in enumerate(group):
                m = len(text)
                tokens[first + i, k, :m] = torch.tensor(text)
                ids[first + i, k, :m], shares[first + i, k, :m] = top.indices[at : at + m], top.values[at : at + m]
                at += m
    model.freeze(False)
    part = path(work) + ".part"
    torch.save({"tokens": tokens, "ids": ids, "shares": shares}, part)
    os.replace(part, path(work))


class Replay:
    def __init__(self, work):
        state = load(path(work))
        self.tokens, self.ids, self.shares = state["tokens"], state["ids"].long(), state["shares"]

    def text(self, photograph, which):
        tokens = self.tokens[photograph, which]
        return tokens[tokens != 0].tolist()

    def likely(self, photograph, which):
        """(ids [n, TOP], shares [n, TOP] that sum to one) of each token of that text."""
        n = int((self.tokens[photograph, which] != 0).sum())
        shares = self.shares[photograph, which, :n].float()
        return self.ids[photograph, which, :n], shares / shares.sum(-1, keepdim=True)
