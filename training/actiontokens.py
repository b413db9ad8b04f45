# SPDX-License-Identifier: LGPL-2.1-or-later
"""Actions as words, to compare with the heads of policy.py: the captioner's language model says the half second as tokens.

    python training/actiontokens.py --work DIR [--episodes ../shared/data/g1] [--steps 2000] [--step 0.04]

The tokens are FAST's (Pertsch et al., arXiv:2501.09747): of each number its discrete cosine transform over the chunk, rounded to
a grid, the lowest frequencies of all numbers first, and byte pairs of what came out. Theirs brings each number to a spread of
its own before; here one grid in radians serves all, as errors are counted in radians. What is said is the way from the newest
state, and what is known are the states that the layers see: one row of the language model for each instant, in the place of a
picture's. The whole language model learns, ternary as it stays, from what ships. Nothing in the engine runs these: its `tokens`
heads say number after number in bins, and know no state (docs/action-model.md).
"""

import argparse
import os
import time

import common
import policy

VOCABULARY = 1024                   # FAST's
DROP, RATE = 0.1, 1e-3


class Scheme:
    """Chunks [n, steps, dims] to lists of tokens and back."""

    def __init__(self, chunks, step):
        import numpy as np
        from tokenizers import Tokenizer, models, trainers

        self.steps, self.dims, self.step = chunks.shape[1], chunks.shape[2], step
        k = np.arange(self.steps)
        self.cosines = np.cos(np.pi * (k + 0.5) * k[:, None] / self.steps) * np.sqrt(2 / self.steps)
        self.cosines[0] /= np.sqrt(2)
        whole = self._whole(chunks)
        self.low, self.high = whole.min(), whole.max()
        self.pairs = Tokenizer(models.BPE())
        alphabet = [self._letter(i) for i in range(self.low, self.high + 1)]
        self.pairs.train_from_iterator(self._text(whole), trainers.BpeTrainer(vocab_size=VOCABULARY, show_progress=False,
                                                                              initial_alphabet=alphabet))

    def _whole(self, chunks):
        import numpy as np

        return np.rint(np.einsum("kt,ntd->nkd", self.cosines, chunks) / self.step).astype(int)

    def _letter(self, number):
        return chr(0x4E00 + number - self.low)

    def _text(self, whole):
        return ["".join(map(self._letter, row)) for row in whole.clip(self.low, self.high).reshape(len(whole), -1).tolist()]

    def say(self, chunks):
        return [said.ids for said in self.pairs.encode_batch(self._text(self._whole(chunks)))]

    def hear(self, said):
        """What is too long is cut off, what lacks is 0."""
        import numpy as np

        out = np.zeros((len(said), self.steps * self.dims))
        for row, ids in zip(out, said):
            text = "".join(self.pairs.id_to_token(i) for i in ids)[: len(row)]
            row[: len(text)] = [ord(letter) - 0x4E00 + self.low for letter in text]
        return np.einsum("kt,nkd->ntd", self.cosines, out.reshape(-1, self.steps, self.dims) * self.step)


class Plan:
    """What stands before the tokens, as rows.py and decode.py want it: a beginning, and a row for each instant's state."""

    def __init__(self, tokenizer, instants):
        import numpy as np
        import prompts
        import words

        begin, newline = words.encode(tokenizer, prompts.BEGIN), words.encode(tokenizer, prompts.ASSISTANT)[-1]
        self.ids, self.newline = np.array(begin + [0] * instants, np.int64), newline
        self.visual = len(begin) + np.arange(instants)


def speaker(models, scheme, dims, instants):
    """(what ships with rows for the new tokens, states to rows [n, instants * dims] -> [n * instants, width], plan)"""
    import export
    import torch
    from torch import nn

    class Felt(nn.Module):
        def __init__(self, width):
            super().__init__()
            self.weight = nn.Parameter(torch.randn(instants, dims, width) * 0.05)
            self.place = nn.Parameter(torch.randn(instants, width) * 0.05)

        def forward(self, x):
            rows = torch.einsum("nid,idw->niw", x.view(len(x), instants, dims), self.weight) + self.place
            return rows.flip(1).flatten(0, 1)       # the oldest first

    _, model = export.read(models)
    export.thaw(model)
    model.train()
    width, new = model.shape.width, scheme.pairs.get_vocab_size()
    first = len(model.embedding)
    model.embedding = nn.Parameter(torch.cat((model.embedding.detach(), torch.randn(new, width) * 0.05)))
    return model, Felt(width), Plan(export.tokenizer_of(models), instants), first


def train(options, robot, found, inputs, scheme):
    import course
    import numpy as np
    import rows
    import torch
    import torch.nn.functional as F
    import model as lm
    import words

    torch.manual_seed(options.seed)
    generator = torch.Generator().manual_seed(options.seed)
    dims, instants = len(inputs.state.mean), 1 + len(robot.lags)
    model, felt, plan, first = speaker(options.models, scheme, dims, instants)
    parameters = [p for n, p in model.named_parameters() if not n.startswith(("projector.", "motion."))] + list(felt.parameters())
    way = course.Course(os.path.join(options.work, "tokens.resume.pt"), {"model": model, "felt": felt}, options.steps, RATE, 50,
                        0.01,
                        course.decayed(parameters, 0.05))
    sequences, drop = policy.Sequences(robot, found, inputs), lm.Dropout(DROP, generator, 1 << 22)
    heard = torch.cat((torch.tensor([words.EOS]), first + torch.arange(scheme.pairs.get_vocab_size())))
    start = time.process_time()
    for step in range(way.first, options.steps):
        seen, _, states, wanted = (x[0] for x in sequences.batch(np.random.default_rng((options.seed, step)), options.batch, 1))
        seen = torch.from_numpy(seen)
        seen = seen + policy.NOISE * torch.randn(seen.shape, generator=generator)
        said = scheme.say(wanted - (states[:, None] if inputs.near else inputs.action.mean))
        batch = rows.Rows(plan, [[[first + i for i in ids] + [words.EOS]] for ids in said])
        hidden = lm.rms(model._through(felt(seen), batch, drop)[batch.said], model.norm)
        loss = F.cross_entropy(hidden @ model.embedding[heard].t(), (batch.targets - first + 1).clamp_min(0))
        way.step(step, loss)
        if step % 20 == 0:
            print(f"step {step} loss {float(loss.detach()):.3f} processor seconds {time.process_time() - start:.0f}", flush=True)
        way.keep(step)
    model.eval().freeze()
    model.lean = torch.full((len(model.embedding),), float("-inf"))
    model.lean[heard] = 0
    return model, felt, plan, first


def errors(speaking, robot, found, inputs, scheme, every, longest):
    """(mean absolute error by step, that of the last action again, of the tokens that would be right, tokens of a chunk)"""
    import decode
    import numpy as np
    import torch

    model, felt, plan, first = speaking
    ours, copied, right, lengths = [], [], [], []
    for e in found:
        at = np.arange(every, len(e.states) - robot.steps, every)
        with torch.inference_mode():
            known = felt(torch.from_numpy(inputs.of(e, at))).view(len(at), len(plan.visual), -1)
            said = decode.greedy(model, known, plan, longest)
        base = e.states[at][:, None] if inputs.near else inputs.action.mean
        truth = e.actions[at[:, None] + np.arange(robot.steps)]
        ours.append(np.abs(scheme.hear([[i - first for i in ids] for ids in said]) + base - truth).mean(2))
        right.append(np.abs(scheme.hear(scheme.say(truth - base)) + base - truth).mean(2))
        copied.append(np.abs(e.actions[at - 1][:, None] - truth).mean(2))
        lengths += map(len, said)
    return *(np.concatenate(x).mean(0) for x in (ours, copied, right)), np.array(lengths)


def main():
    a = argparse.ArgumentParser(description="Train the captioner's language model to say actions, and measure them.")
    a.add_argument("--episodes", default="../shared/data/g1", metavar="FOLDER", help="as LeRobot keeps them")
    a.add_argument("--models", default="models")
    a.add_argument("--work", required=True)
    a.add_argument("--steps", type=int, default=2000)
    a.add_argument("--batch", type=int, default=64)
    a.add_argument("--step", type=float, default=0.04, help="of the grid of coefficients, in the actions' unit")
    a.add_argument("--seed", type=int, default=0)
    options = a.parse_args()
    common.settle()
    import numpy as np

    robot, mine, kept = policy.recorded(options.episodes)
    inputs = policy.Inputs(robot, mine, 0)
    chunks = np.concatenate([e.actions[(r := np.arange(0, len(e.actions) - robot.steps, 3))[:, None] + np.arange(robot.steps)]
                             - (e.states[r][:, None] if inputs.near else inputs.action.mean) for e in mine])
    scheme = Scheme(chunks, options.step)
    speaking = train(options, robot, mine, inputs, scheme)
    every = robot.rows(0.5)
    longest = max(map(len, scheme.say(chunks)))
    ours, copied, right, lengths = errors(speaking, robot, kept, inputs, scheme, every, longest)
    print(f"a decision every {every / float(robot.rate):g} s: error {ours.mean():.4f}, at the end {ours[-1]:.4f}; last action "
          f"again {copied.mean():.4f}, at the end {copied[-1]:.4f}; ratio {ours.mean() / copied.mean():.3f}, "
          f"{ours[-1] / copied[-1]:.3f}; the right tokens {right.mean():.4f}, {right[-1]:.4f}; "
          f"tokens of a chunk {lengths.mean():.1f}, at most {lengths.max()}")


if __name__ == "__main__":
    main()
