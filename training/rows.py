# SPDX-License-Identifier: LGPL-2.1-or-later
"""Where every row of a batch is: the flat matrix that the language model reads in training."""

import functools

import numpy as np
import torch

import model as lm
import prompts
import words

LONGEST = 28  # tokens of a caption; the 99th percentile is 25


class Layout:
    """A prefix: tokens before the caption (the last newline belongs to the caption's rows) and kept visual tokens.

    Without an instruction (None) it ends with the pictures: every answer then brings its own question (`asked`).
    """

    def __init__(self, tokenizer, instruction, kept):
        self.kept = tuple(kept)
        frames = "".join(prompts.FRAME_BEGIN + "<image>" * k + prompts.FRAME_END for k in kept if k)
        ids = words.encode(tokenizer, prompts.BEGIN + prompts.USER + frames)
        if instruction is not None:
            ids += words.encode(tokenizer, instruction + prompts.ASSISTANT)
            self.newline = ids.pop()
        self.ids = np.array(ids, np.int64)
        self.visual = np.flatnonzero(self.ids == tokenizer.token_to_id("<image>"))


@functools.lru_cache(maxsize=256)
def layout(tokenizer, instruction, kept):
    return Layout(tokenizer, instruction, kept)


def asked(tokenizer, instruction, answer):
    """One of a photograph's answers, behind a prefix without instruction: (tokens that are read, tokens that are said)."""
    return words.encode(tokenizer, instruction + prompts.ASSISTANT), answer


class Rows:
    """Photographs in turn; of each, the prefix and then its captions, one after the other."""

    def __init__(self, plan, captions):
        """`captions[b]`: of photograph b, token lists without the newline before and with the end token behind; or `asked`."""
        prefix, ids, position, targets, said, owner = len(plan.ids), [], [], [], [], []
        starts, visual, heads, extents = [], [], [], []
        at = 0
        for group in captions:
            starts.append(at)
            visual.append(at + plan.visual)
            ids.append(plan.ids)
            position.append(np.arange(prefix))
            at += prefix
            extent = []
            for caption in group:
                read, answer = caption if isinstance(caption, tuple) else ([plan.newline], caption)
                n = len(read) + len(answer) - 1
                heads.append((at, starts[-1] + prefix - 1))
                ids.append(np.array(read + answer[:-1], np.int64))
                position.append(prefix + np.arange(n))
                targets.append(np.array(answer, np.int64))
                owner.append(np.full(len(answer), len(heads) - 1))
                said.append(np.arange(at + len(read) - 1, at + n))
                extent.append(n)
                at += n
            extents.append(extent)
        self.ids = torch.from_numpy(np.concatenate(ids))
        self.visual = torch.from_numpy(np.concatenate(visual))
        self.said = torch.from_numpy(np.concatenate(said)) if said else None
        self.targets = torch.from_numpy(np.concatenate(targets)) if said else None
        self.owner = torch.from_numpy(np.concatenate(owner)) if said else None
        self.cos, self.sin = lm.angles(torch.from_numpy(np.concatenate(position)))
        self._history(starts, heads, prefix)
        self._places(starts, extents, prefix, at)

    def _history(self, starts, heads, prefix):
        """What the short convolution sees one and two rows back, where that is not simply the row above."""
        one, two = [], []
        for start in starts:
            one.append((start, 0, 0.0))
            two += [(start, 0, 0.0), (start + 1, 0, 0.0)]
        for head, last in heads:
            one.append((head, last, 1.0))
            two.append((head, last - 1, 1.0))
        # A caption of one row has no second row; its place belongs to the next caption or photograph.
        firsts = {h for h, _ in heads} | set(starts)
        for head, last in heads:
            if head + 1 < len(self.ids) and head + 1 not in firsts:
                two.append((head + 1, last, 1.0))
        self._fixes = []
        for table in (one, two):
            to, source, keep = zip(*table)
            self._fixes.append((torch.tensor(to), torch.tensor(source), torch.tensor(keep)[:, None]))

    def before(self, z, back):
        """z of the row before (back 0) or of the one before that (back 1), zero before the beginning."""
        to, source, keep = self._fixes[back]
        moved = torch.nn.functional.pad(z[: -1 - back], (0, 0, 1 + back, 0))
        return moved.index_copy(0, to, z[source] * keep)

    def _places(self, starts, extents, prefix, total):
        lengths = [prefix + sum(e) for e in extents]
        b, n = len(starts), max(lengths)
        pad = np.full((b, n), total, np.int64)
        flat = np.empty(total, np.int64)
        # Segment 0 is the prefix; a caption sees the prefix and itself.
        segment = np.zeros((b, n), np.int16)
        for i, (start, length) in enumerate(zip(starts, lengths)):
            pad[i, :length] = np.arange(start, start + length)
            flat[start : start + length] = i * n + np.arange(length)
            segment[i, prefix:length] = 1 + np.repeat(np.arange(len(extents[i])), extents[i])
        self.pad, self._flat = torch.from_numpy(pad), torch.from_numpy(flat)
        s = torch.from_numpy(segment)
        seen = (s[:, None, :] == 0) | (s[:, None, :] == s[:, :, None])
        seen &= torch.ones(n, n, dtype=torch.bool).tril()
        self.mask = torch.zeros(b, 1, n, n).masked_fill_(~seen[:, None], float("-inf"))

    def spread(self, flat):
        """Flat rows to [photographs * places]; places beyond a photograph's rows read zeros."""
        return torch.cat((flat, flat.new_zeros(1, flat.shape[1]))).index_select(0, self.pad.view(-1))

    def gather(self, padded):
        return padded.index_select(0, self._flat)
