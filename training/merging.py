# SPDX-License-Identifier: LGPL-2.1-or-later
"""Which visual tokens of a clip are read: DyCoke's, VisionZip's, drawn ones, all. What is learned must not hang on one method's
choice, so that both models learn behind several (`drawn`)."""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F

from model import TOKENS

WAYS, SHARES = ("zipped", "dycoke", "anywhere", "all"), (0.35, 0.35, 0.2, 0.1)


def kept_counts(frames, ratio, tokens=TOKENS):
    """Visual tokens of each frame after temporal merging: the first of four whole, the others 1 - ratio of it."""
    keep = int((1 - ratio) * tokens + 1e-9)
    return tuple(tokens if i % 4 == 0 else keep for i in range(frames))


def choice(tokens, kept):
    """DyCoke's choice. tokens [N, frames, each, width] -> places [N, sum(kept)] in [frames * each], in order.

    In a group a, b, c, d: b is compared with a, c with a, d with c as it was; the least similar tokens stay.
    """
    n, frames, each = tokens.shape[:3]
    unit = F.normalize(tokens.detach(), dim=-1)
    out = []
    for i in range(frames):
        if kept[i] == each:
            chosen = torch.arange(each).expand(n, -1)
        else:
            like = (unit[:, i] * unit[:, {1: i - 1, 2: i - 2, 3: i - 1}[i % 4]]).sum(-1)
            chosen = like.topk(kept[i], largest=False, sorted=False).indices.sort(-1).values
        out.append(i * each + chosen)
    return torch.cat(out, 1)


def any_counts(frames, ratio, rng, tokens=TOKENS):
    """As many in all as kept_counts() has, spread over the frames at random, at least one of each."""
    total, kept = sum(kept_counts(frames, ratio, tokens)), np.ones(frames, int)
    room = rng.permutation(np.repeat(np.arange(frames), tokens - 1))[: total - frames]
    np.add.at(kept, room, 1)
    return tuple(kept.tolist())


def any_choice(count, kept, rng, each=TOKENS):
    """Places [count, sum(kept)] as choice() gives, drawn."""
    return torch.from_numpy(np.stack([
        np.concatenate([i * each + np.sort(rng.permutation(each)[:k]) for i, k in enumerate(kept)]) for _ in range(count)]))


def equal_counts(frames, ratio, tokens=TOKENS):
    """As many in each group of four as kept_counts() has, the same of each frame; what is left over goes to the first ones."""
    out = []
    for first in range(0, frames, 4):
        n = min(4, frames - first)
        whole, rest = divmod(sum(kept_counts(n, ratio, tokens)), n)
        out += [whole + (i < rest) for i in range(n)]
    return tuple(out)


def zipped(tokens, kept):
    """VisionZip, as compress/visionzip.c does it: tokens [N, frames, each, width] -> [N, sum(kept), width].

    Of a frame the tokens that are attended to most by all, and means of the others, by likeness to every so many of them.
    """
    plain = tokens.detach()
    attended = (plain @ plain.transpose(-1, -2) / tokens.shape[-1] ** 0.5).softmax(-1).mean(-2)
    return torch.cat([_zip_frame(tokens[:, i], attended[:, i], k) for i, k in enumerate(kept)], 1)


def _zip_frame(tokens, attended, k):
    targets = 0 if k < 2 else max(k * 10 // 64, 1)
    order = attended.argsort(dim=-1, descending=True, stable=True)
    dominant, others = order[:, : k - targets].sort(-1).values, order[:, k - targets :].sort(-1).values

    def rows_of(places):
        return tokens.gather(1, places[..., None].expand(-1, -1, tokens.shape[-1]))

    if not targets:
        return rows_of(dominant)
    every = torch.arange(targets) * max(others.shape[1] // targets, 1)
    unit = F.normalize(rows_of(others).detach(), dim=-1)
    joined = (unit @ unit[:, every].transpose(1, 2)).argmax(-1)
    joined[:, every] = torch.arange(targets)
    share = F.one_hot(joined, targets).float()
    means = (share / share.sum(1, keepdim=True)).transpose(1, 2) @ rows_of(others)
    order = torch.cat((dominant, others[:, every]), 1).argsort(-1)
    return torch.cat((rows_of(dominant), means), 1).gather(1, order[..., None].expand(-1, -1, tokens.shape[-1]))


def merge(tokens, kept, places=None):
    """Temporal merging: tokens [N, frames, each, width] -> [N, sum(kept), width]. `places`: kept instead of DyCoke's choice."""
    places = choice(tokens, kept) if places is None else places
    return tokens.flatten(1, 2).gather(1, places[..., None].expand(-1, -1, tokens.shape[-1]))


@dataclass(frozen=True)
class Merging:
    """What was drawn for the clips of a step."""

    kept: tuple             # tokens of each frame
    zipped: bool = False
    places: object = None   # [clips, sum(kept)] where they were drawn

    def __call__(self, tokens, of=slice(None)):
        """Tokens [N, frames, each, width] of the clips `of` (all of them) -> [N, sum(kept), width]."""
        if self.zipped:
            return zipped(tokens, self.kept)
        return merge(tokens, self.kept, None if self.places is None else self.places[of])


def drawn(count, frames, rng, tokens=TOKENS, shares=SHARES):
    """A way and a ratio for `count` clips; of ratios the products' defaults most often."""
    way = str(rng.choice(WAYS, p=shares))
    if way == "all":
        return Merging((tokens,) * frames)
    if way == "zipped":
        return Merging(equal_counts(frames, 0.9 if rng.random() < 0.6 else float(rng.uniform(0.4, 1.0)), tokens), True)
    if way == "anywhere":
        kept = any_counts(frames, float(rng.uniform(0.3, 1.0)), rng, tokens)
        return Merging(kept, places=any_choice(count, kept, rng, tokens))
    return Merging(kept_counts(frames, float(rng.choice([0.7, 0.8])) if rng.random() < 0.6 else float(rng.uniform(0.2, 1.0)),
                               tokens))
