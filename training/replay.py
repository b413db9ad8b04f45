# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the finished captioner says about its photographs, so that it goes on saying it while it learns other tasks.

Human captions would pull it back from what the self-critical stage taught. These are its own: of each photograph the
likeliest caption and one that is drawn, with the sixteen likeliest tokens at every place.

They lean towards people's words. The self-critical stage leaves a captioner with few words, which it says too often, and
with short sentences: both are safe. So a token is less likely here by (its share of the model's tokens / its share of people's)
^ Lean.share, as logit adjustment does for rare classes (Menon et al. 2021, eq. 9), and an end by e^-Lean.longer; whoever imitates
this needs no adjustment any more.
"""

import collections
import os

import numpy as np
import torch

import decode
import prompts
import rows
import words
from common import load

SAID, TOP, LONGEST = 2, 16, 22
LEAST = -3.0  # of what is added to a logit
Lean = collections.namedtuple("Lean", "share most longer")  # most: of what is added
SAID_LEAN = Lean(0.4, 1.0, 0.6)


def path(work):
    return os.path.join(work, "replay.pt")


def leaning(own, people, vocabulary, how):
    """What is to be added to the logits of a model that says `own` where people say `people`: lists of tokens, EOS apart."""
    counts = [np.bincount(np.concatenate(said), minlength=vocabulary) for said in (own, people)]
    # A token that is never said counts as half of one of people's.
    own, people = ((c + 0.5 * c.sum() / counts[1].sum()) / c.sum() for c in counts)
    lean = np.clip(-how.share * np.log(own / people), LEAST, how.most)
    lean[words.EOS] = -how.longer
    return torch.from_numpy(lean).float()


def pictures(model, view, first, batch):
    seen = torch.from_numpy(np.array(view[first : first + batch])).float()
    return model.projector(model.projector.unshuffle(seen))


@torch.inference_mode()
def leaning_of(model, tokenizer, view, plan, captions, how, batch=64):
    """The same of what a frozen model says of photographs and people's `captions` of each."""
    own = [c for first in range(0, len(view), batch)
           for c in decode.greedy(model, pictures(model, view, first, batch), plan, LONGEST)]
    people = [words.encode(tokenizer, c) for group in captions for c in group]
    return leaning(own, people, model.embedding.shape[0], how)


@torch.inference_mode()
def build(model, tokenizer, views, captions, work, seed=8, batch=64):
    """tokens [N, SAID, LONGEST + 1] (zero where there is none), ids and probabilities of the TOP likeliest at each; what was added
    to the logits. `captions`: people's, of each photograph."""
    if os.path.exists(path(work)):
        return
    n, long = len(views[0]), LONGEST + 1
    tokens = torch.zeros(n, SAID, long, dtype=torch.int16)
    ids = torch.zeros(n, SAID, long, TOP, dtype=torch.int16)
    shares = torch.zeros(n, SAID, long, TOP, dtype=torch.float16)
    plan = rows.layout(tokenizer, prompts.INSTRUCTIONS[0], (49,))
    generator = torch.Generator().manual_seed(seed)
    model.freeze()
    model.lean = leaning_of(model, tokenizer, views[0], plan, captions, SAID_LEAN, batch)
    for first in range(0, n, batch):
        visual = pictures(model, views[first // batch % len(views)], first, batch)
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
    torch.save({"tokens": tokens, "ids": ids, "shares": shares, "lean": model.lean}, part)
    os.replace(part, path(work))


class Replay:
    def __init__(self, work):
        state = load(path(work))
        self.tokens, self.ids, self.shares = state["tokens"], state["ids"].long(), state["shares"]
        self.lean = state["lean"]  # of the captioner that said all this

    def text(self, photograph, which):
        tokens = self.tokens[photograph, which]
        return tokens[tokens != 0].tolist()

    def likely(self, photograph, which):
        """(ids [n, TOP], shares [n, TOP] that sum to one) of each token of that text."""
        n = int((self.tokens[photograph, which] != 0).sum())
        shares = self.shares[photograph, which, :n].float()
        return self.ids[photograph, which, :n], shares / shares.sum(-1, keepdim=True)
