# SPDX-License-Identifier: LGPL-2.1-or-later
"""What reusing or dropping visual tokens costs an action head that sees: the same head, with the hidden state that each way
makes of the pictures of kept episodes, a decision a picture.

    python training/actionreuse.py --work DIR --tern build/tools/tern [--episodes ../shared/data/g1] [--some 1]

- `none`, and the tower's cache (vision/reuse.h) as `tern act --reuse auto` and `on` run it: hidden states are the program's own.
- VLA-Cache (Xu et al., arXiv:2502.02175) within the language model, which Tern does not do: of visual tokens whose pixels' cosine
  to those of the picture before is above .996, at most 150 of 256, but not of the 100 of 256 that the last row attended to
  most, every layer keeps the row that it had (all layers alike: the paper's schedule over layers is left out). Computed
  here with the rows of before in their place, short convolutions included.
- TEAM-VLA (arXiv:2512.09927), its first stage, which compress/team-vla.c has as a function that nothing calls: tokens that are like
  a word of the instruction (a cosine above mean and deviation), those around them, and a tenth of the others stay. Its
  second stage merges into 80 anchors; a picture here has 49 tokens.
"""

import argparse
import json
import os
import subprocess

import common
import policy

STATIC, MOST, NEEDED = 0.996, 150 / 256, 100 / 256
CONTEXT = 0.1
LOOKS = 3                           # the attention layer that says what is needed: the middle one of three


def shows_hidden(path, width):
    """A head that does nothing: its actions are the hidden state."""
    import gguf
    import numpy as np

    w = gguf.GGUFWriter(path, "tern-action")
    for key, value in {"kind": "mlp", "space": "hidden", "names": [f"h{i}" for i in range(width)], "embedding_length": width,
                       "dims": width, "steps": 1, "rate.numerator": 1, "rate.denominator": 1, "minimum": [-1e6] * width,
                       "maximum": [1e6] * width}.items():
        {str: w.add_string, int: w.add_uint32, list: w.add_array}[type(value)]("tern-action." + key, value)
    w.add_tensor("mlp.0.weight", np.eye(width, dtype=np.float32))
    w.add_tensor("mlp.0.bias", np.zeros(width, np.float32))
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()


def hidden(options, episode, every, *more):
    """f32 [decisions, width], one every so many seconds, and the decisions' times."""
    import numpy as np

    command = [options.tern, "act", "--action-model", os.path.join(options.work, "hidden.gguf"),
               "--instruction", episode.instruction, "--every", str(every), "--threads", "1", *more, episode.video]
    lines = [json.loads(line) for line in subprocess.run(command, check=True, capture_output=True).stdout.splitlines()]
    return np.array([line["actions"] for line in lines], np.float32), np.array([line["timestamp_seconds"] for line in lines])


def by_row(episode, found, times):
    """Of each row of an episode the newest."""
    import numpy as np

    at = np.searchsorted(times, np.arange(len(episode.states)) / episode.rate + 1e-6, side="right") - 1
    return found[at.clip(0)]


def seen(options, found, every, name):
    """Hidden states of these episodes by the program as it is; kept in --work."""
    import numpy as np

    path = os.path.join(options.work, name)
    if not os.path.exists(path):
        np.savez(path, **{str(e.number): by_row(e, *hidden(options, e, every)) for e in found})
    with np.load(path) as z:
        for e in found:
            e.hidden = z[str(e.number)]


class Trunk:
    """The tower's tokens and the language model, row by row."""

    def __init__(self, options, found):
        import export
        import features
        import model as lm
        import torch

        tower, self.model = export.read(options.models)
        self.tokenizer, self.lm = export.tokenizer_of(options.models), lm
        self.pixels = [policy.pixels(e)[0] for e in found]
        self.tokens = []
        with torch.inference_mode():
            for pixels in self.pixels:
                parts = torch.from_numpy(features.seen(tower, pixels)).float()
                self.tokens.append(self.model.projector(lm.Projector.unshuffle(parts)))

    def through(self, tokens, instruction, kept=None, before=None):
        """(hidden state, the rows that every layer made, what the last row attends to at LOOKS). `kept`: rows that are those
        of `before`."""
        import rows
        import torch
        import torch.nn.functional as F
        import words

        lm, model = self.lm, self.model
        plan = rows.layout(self.tokenizer, instruction, (len(tokens),))
        batch = rows.Rows(plan, [[[words.EOS]]])
        x = F.embedding(batch.ids, model.embedding).index_copy(0, batch.visual, tokens)
        made = []
        for i, layer in enumerate(model.layers):
            if i == LOOKS:
                q, k, _ = layer.mix.look(lm.rms(x, layer.norm1), batch.cos, batch.sin)
                k = k.repeat_interleave(q.shape[1] // k.shape[1], 1)
                weights = (torch.einsum("hd,nhd->hn", q[-1], k) * lm.HEAD**-0.5).softmax(1).mean(0)[batch.visual]
            x = layer(x, batch)
            if kept is not None:
                x = torch.where(kept[:, None], before[i], x)
            made.append(x)
        return lm.rms(x[-1], model.norm), made, weights, batch.visual, len(batch.ids)


def patches(pixels):
    """[49, pixels of a token], of one picture."""
    import numpy as np

    side = pixels.shape[1] // 7
    return pixels.astype(np.float32).reshape(3, 7, side, 7, side).transpose(1, 3, 0, 2, 4).reshape(49, -1)


def vla_cache(trunk, i, instruction):
    """(hidden states, share of the language model's rows that is computed) of one episode."""
    import numpy as np
    import torch

    out, shares, before, pixels, weights = [], [], None, None, None
    for shown, tokens in zip(trunk.pixels[i], trunk.tokens[i]):
        now, kept = patches(shown), None
        if before is not None:
            like = (now * pixels).sum(1) / np.maximum(np.linalg.norm(now, axis=1) * np.linalg.norm(pixels, axis=1), 1e-9)
            still = np.zeros(len(like), bool)
            still[np.argsort(-like)[: int(MOST * len(like))]] = True
            still &= like > STATIC
            still[weights.argsort(descending=True)[: int(NEEDED * len(like))].numpy()] = False
            kept = torch.zeros(length, dtype=torch.bool)
            kept[visual] = torch.from_numpy(still)
            shares.append(1 - float(kept.float().mean()))
        state, before, weights, visual, length = trunk.through(tokens, instruction, kept, before)
        pixels = now
        out.append(state)
    return torch.stack(out).numpy(), np.mean(shares)


def team_vla(trunk, i, instruction):
    import numpy as np
    import torch
    import torch.nn.functional as F
    import words

    rng, out, shares = np.random.default_rng(i), [], []
    ids = torch.tensor(words.encode(trunk.tokenizer, instruction))
    asked = F.normalize(trunk.model.embedding[ids], dim=1)
    whole = trunk.through(trunk.tokens[i][0], instruction)[4]
    for tokens in trunk.tokens[i]:
        score = (F.normalize(tokens, dim=1) @ asked.t()).amax(1)
        seed = (score > score.mean() + score.std(unbiased=False)).float().view(1, 1, 7, 7)
        keep = F.max_pool2d(seed, 3, 1, 1).flatten().bool() | torch.from_numpy(rng.random(49) < CONTEXT)
        state, _, _, _, length = trunk.through(tokens[keep], instruction)
        shares.append(length / whole)
        out.append(state)
    return torch.stack(out).numpy(), np.mean(shares)


def measured(head, robot, inputs, episode, rows_of, at):
    """Mean absolute error by step of the head with these hidden states, a decision at each of these rows."""
    import numpy as np
    import torch

    episode.hidden = rows_of
    with torch.inference_mode():
        y, _ = head(torch.from_numpy(inputs.of(episode, at)), head.start(len(at)), torch.full((len(at),), 0.1))
        out = policy.chunks(head, y, torch.from_numpy(episode.states[at]), inputs, robot).numpy()
    return np.abs(out - episode.actions[at[:, None] + np.arange(robot.steps)]).mean(2)


def main():
    a = argparse.ArgumentParser(description="Measure what reusing visual tokens costs an action head that sees.")
    a.add_argument("--episodes", default="../shared/data/g1", metavar="FOLDER", help="as LeRobot keeps them")
    a.add_argument("--models", default="models")
    a.add_argument("--work", required=True)
    a.add_argument("--tern", default="build/tools/tern", metavar="PROGRAM")
    a.add_argument("--steps", type=int, default=400, help="of training the head")
    a.add_argument("--some", type=int, default=1, help="kept episodes for the two methods that are computed here")
    options = a.parse_args()
    common.settle()
    import numpy as np
    import torch

    robot, mine, kept = policy.recorded(options.episodes)
    shows_hidden(os.path.join(options.work, "hidden.gguf"), 256)
    seen(options, mine, 0.3, "hidden-learned.npz")
    seen(options, kept, 0.1, "hidden-kept.npz")
    inputs = policy.Inputs(robot, mine, mine[0].hidden.shape[1])
    head = policy.train("mlp", robot, mine, inputs, options.steps)

    at = {e.number: np.arange(3, len(e.states) - robot.steps, 3) for e in kept}
    plain = {e.number: e.hidden for e in kept}
    ways = {"none": plain}
    for mode in ("auto", "on"):
        ways[f"tower's cache, {mode}"] = {e.number: by_row(e, *hidden(options, e, 0.1, "--reuse", mode)) for e in kept}
    some, shares = kept[: options.some], {}
    trunk = Trunk(options, some)
    ways["none, computed here"], ways["VLA-Cache"], ways["TEAM-VLA"] = {}, {}, {}
    with torch.inference_mode():
        for i, e in enumerate(some):
            times = np.arange(len(trunk.tokens[i])) / 10
            ways["none, computed here"][e.number] = by_row(
                e, np.stack([trunk.through(t, e.instruction)[0].numpy() for t in trunk.tokens[i]]), times)
            for name, way in (("VLA-Cache", vla_cache), ("TEAM-VLA", team_vla)):
                found, share = way(trunk, i, e.instruction)
                ways[name][e.number] = by_row(e, found, times)
                shares.setdefault(name, []).append(share)
    shuffled = np.random.default_rng(0)
    ways["another moment's picture"] = {n: h[shuffled.permutation(len(h))] for n, h in plain.items()}
    for group in (kept, some):
        for name, way in ways.items():
            if not all(e.number in way for e in group) or (group is some and name == "none"):
                continue
            each = np.concatenate([measured(head, robot, inputs, e, way[e.number], at[e.number]) for e in group])
            base = ways["none, computed here"] if group is some else plain
            a_, b_ = (np.concatenate([w[e.number][at[e.number]] for e in group]) for w in (way, base))
            cosine = (a_ * b_).sum(1) / np.linalg.norm(a_, axis=1) / np.linalg.norm(b_, axis=1)
            print(f"{len(group)} episodes, {len(each)} decisions, {name}: error {each.mean():.4f}, at the end "
                  f"{each[:, -1].mean():.4f}; cosine of hidden states {cosine.mean():.4f}, least {cosine.min():.3f}"
                  + (f"; {np.mean(shares[name]):.3f} of the language model's rows computed" if name in shares else ""), flush=True)


if __name__ == "__main__":
    main()
