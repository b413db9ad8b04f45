# SPDX-License-Identifier: LGPL-2.1-or-later
"""Action heads for the G1 humanoid on the captioner's trunk: from a picture, the instruction and the joints to half a second
of joint targets.

    python training/policy.py --data ../shared/data --models models --work DIR [--kind cfc|mlp]

The trunk stays as it is: its hidden state behind the prompt is computed once for every picture. Decisions are drawn at
irregular times, as cameras deliver them; a cell (CfC) remembers across them, which is how it knows how fast the arms move.
Every eighth episode is kept for evaluation.
"""

import argparse
import glob
import json
import os

import common

STEPS, RATE = 15, 30            # of a chunk; steps a second
FIRST, LIMIT = 0.5, 5.0         # seconds of a first decision, and between two of one stream
LENGTH = 8                      # decisions of a training sequence
NOISE = 0.03                    # of a joint's spread, on states


class Episode:
    def __init__(self, folder, path, instruction):
        import numpy as np
        import pyarrow.parquet as parquet

        table = parquet.read_table(path, columns=["observation.state", "action"])
        self.states, self.actions = (np.array(table[c].to_pylist(), np.float32) for c in ("observation.state", "action"))
        name = os.path.basename(path).replace(".parquet", "")
        self.video = glob.glob(os.path.join(folder, "videos", "**", name + ".mp4"), recursive=True)[0]
        self.instruction = instruction

    def pixels(self):
        """uint8 [frames, 3, 224, 224], as `trained` scaling shows them: the middle square."""
        import av
        import numpy as np
        from PIL import Image

        out = []
        with av.open(self.video) as container:
            for frame in container.decode(video=0):
                image = frame.to_image()
                scale = 224 / min(image.size)
                image = image.resize((round(image.width * scale), round(image.height * scale)), Image.BILINEAR)
                left, top = (image.width - 224) // 2, (image.height - 224) // 2
                out.append(np.asarray(image.crop((left, top, left + 224, top + 224))).transpose(2, 0, 1))
        return np.stack(out)


def episodes(folder):
    tasks = [json.loads(line) for line in open(os.path.join(folder, "meta", "tasks.jsonl"), encoding="utf8")]
    paths = sorted(glob.glob(os.path.join(folder, "data", "**", "*.parquet"), recursive=True))
    found = [Episode(folder, p, tasks[0]["task"]) for p in paths]
    return [e for i, e in enumerate(found) if i % 8], [e for i, e in enumerate(found) if i % 8 == 0]


def see(all_episodes, models, work):
    """The trunk's hidden state for every picture, f32 [frames, width] an episode; computed once."""
    import numpy as np
    import torch
    import export
    import features
    import model as lm
    import rows
    import words

    path = os.path.join(work, "hidden.npz")
    if not os.path.exists(path):
        tower, trunk = export.read(models)
        tokenizer = words.load(os.path.join(work, "tokenizer.json"))
        out = {}
        for number, episode in enumerate(all_episodes):
            seen = torch.from_numpy(features.seen(tower, episode.pixels())).float()
            plan = rows.layout(tokenizer, episode.instruction, (lm.TOKENS,))
            with torch.inference_mode():
                hidden = [trunk.hidden(trunk.projector(lm.Projector.unshuffle(part)).flatten(0, 1),
                                       rows.Rows(plan, [[[words.EOS]]] * len(part))) for part in seen.split(32)]
            out[os.path.basename(episode.video)] = torch.cat(hidden).numpy()
            print(f"pictures of episode {number + 1} of {len(all_episodes)}", flush=True)
        np.savez(path, **out)
    with np.load(path) as z:
        for episode in all_episodes:
            episode.hidden = z[os.path.basename(episode.video)]


class Scaling:
    """Mean and deviation over all rows of the training episodes; a number that hardly moves gets a deviation that says so."""

    def __init__(self, arrays):
        import numpy as np

        rows = np.concatenate(arrays)
        self.mean, self.std = rows.mean(0), np.maximum(rows.std(0), 1e-2)
        self.low, self.high = rows.min(0), rows.max(0)


def heads():
    """The two kinds as torch modules; equations in docs/action-model.md."""
    import torch
    from torch import nn

    def lecun(x):
        return 1.7159 * torch.tanh(0.666 * x)

    class Cell(nn.Module):
        def __init__(self, seen, outputs, units=192, width=256):
            super().__init__()
            self.units, self.width = units, width
            self.backbone = nn.Linear(seen + units, width)
            self.ff1, self.ff2, self.time_a, self.time_b = (nn.Linear(width, units) for _ in range(4))
            self.output = nn.Linear(units, outputs)
            self.drop = nn.Dropout(0.1)

        def start(self, n):
            return torch.zeros(n, self.units)

        def forward(self, x, h, elapsed):
            z = self.drop(lecun(self.backbone(torch.cat((x, h), 1))))
            gate = torch.sigmoid(self.time_a(z) * elapsed[:, None] + self.time_b(z))
            h = torch.tanh(self.ff1(z)) * (1 - gate) + gate * torch.tanh(self.ff2(z))
            return self.output(h), h

    class Layers(nn.Module):
        def __init__(self, seen, outputs, width=384):
            super().__init__()
            self.width = width
            self.inner = nn.ModuleList([nn.Linear(seen + 1, width), nn.Linear(width, width)])
            self.output = nn.Linear(width, outputs)
            self.drop = nn.Dropout(0.1)

        def start(self, n):
            return None

        def forward(self, x, h, elapsed):
            x = torch.cat((x, elapsed[:, None]), 1)
            for layer in self.inner:
                x = self.drop(torch.relu(layer(x)))
            return self.output(x), None

    return {"cfc": Cell, "mlp": Layers}


class Sequences:
    """Decisions of an episode one after the other, some tenths of a second apart."""

    def __init__(self, found, state, action, blind):
        self.found, self.state, self.action, self.blind = found, state, action, blind

    def batch(self, rng, n):
        """hidden [L, n, w], state [L, n, d], elapsed [L, n], wanted [L, n, steps * dims]."""
        import numpy as np

        out = [[], [], [], []]
        for _ in range(n):
            e = self.found[rng.integers(len(self.found))]
            most = (len(e.states) - STEPS) // 3
            every = int(rng.choice([1, 2, 3, 5, 5, 6]))
            gaps = np.maximum(1, every + rng.integers(-1, 2, LENGTH - 1) * (rng.random() < 0.5))
            while gaps.sum() >= most - 1:
                gaps = np.maximum(1, gaps // 2)
            at = int(rng.integers(0, most - gaps.sum())) + np.concatenate(([0], np.cumsum(gaps)))
            out[0].append(e.hidden[np.minimum(at, len(e.hidden) - 1)] * (not self.blind))
            out[1].append((e.states[3 * at] - self.state.mean) / self.state.std)
            out[2].append(np.concatenate(([FIRST], gaps / 10)))
            wanted = np.stack([e.actions[3 * i : 3 * i + STEPS] for i in at])
            out[3].append(((wanted - self.action.mean) / self.action.std).reshape(LENGTH, -1))
        return [np.stack(x, 1).astype(np.float32) for x in out]


def train(kind, found, state, action, steps, blind, seed=4):
    import numpy as np
    import torch

    torch.manual_seed(seed)
    dims, width = len(action.mean), found[0].hidden.shape[1]
    head = heads()[kind](width + len(state.mean), STEPS * dims)
    optimizer = torch.optim.AdamW(head.parameters(), lr=1e-3, weight_decay=0.05)
    sequences, weight = Sequences(found, state, action, blind), torch.from_numpy(action.std).repeat(STEPS)
    drawn = torch.Generator().manual_seed(seed)
    for step in range(steps):
        hidden, states, elapsed, wanted = map(torch.from_numpy, sequences.batch(np.random.default_rng((seed, step)), 64))
        states = states + NOISE * torch.randn(states.shape, generator=drawn)
        hidden = hidden + 0.1 * hidden.std() * torch.randn(hidden.shape, generator=drawn)
        h, loss = head.start(64), 0
        for i in range(LENGTH):
            y, h = head(torch.cat((hidden[i], states[i]), 1), h, elapsed[i])
            loss = loss + ((y - wanted[i]).abs() * weight).mean() / LENGTH
        for group in optimizer.param_groups:
            group["lr"] = 1e-3 * common.cosine(step, steps, 50, 0.01)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(head.parameters(), 1.0)
        optimizer.step()
        if step % 500 == 0:
            print(f"step {step} error {float(loss):.4f}", flush=True)
    return head.eval()


def errors(head, found, state, action, every, blind=False):
    """Mean absolute error by step [16] of the head, and of the last action again; `every` in tenths of a second."""
    import numpy as np
    import torch

    ours, copied = [], []
    for e in found:
        h = head.start(1)
        for at in range(0, (len(e.states) - STEPS - 1) // 3, every):
            hidden = torch.from_numpy(e.hidden[min(at, len(e.hidden) - 1)] * (not blind))[None]
            s = torch.from_numpy((e.states[3 * at] - state.mean) / state.std)[None]
            with torch.inference_mode():
                y, h = head(torch.cat((hidden, s), 1), h, torch.tensor([FIRST if at == 0 else every / 10]))
            chunk = y.numpy().reshape(STEPS, -1) * action.std + action.mean
            truth = e.actions[3 * at : 3 * at + STEPS]
            if at > 0:
                ours.append(np.abs(chunk - truth).mean(1))
                copied.append(np.abs(e.actions[3 * at - 1] - truth).mean(1))
    return np.mean(ours, 0), np.mean(copied, 0)


def main():
    a = argparse.ArgumentParser(description="Train an action head on recorded episodes.")
    a.add_argument("--data", default="../shared/data")
    a.add_argument("--models", default="models")
    a.add_argument("--work", required=True)
    a.add_argument("--kind", default="cfc", choices=["cfc", "mlp"])
    a.add_argument("--steps", type=int, default=6000)
    a.add_argument("--blind", action="store_true", help="without the trunk's hidden state: what pictures are worth")
    options = a.parse_args()
    common.settle()
    mine, kept = episodes(os.path.join(options.data, "g1"))
    see(mine + kept, options.models, options.work)
    state, action = Scaling([e.states for e in mine]), Scaling([e.actions for e in mine])
    head = train(options.kind, mine, state, action, options.steps, options.blind)
    for every in (1, 3, 5):
        ours, copied = errors(head, kept, state, action, every, options.blind)
        print(f"a decision every {every / 10} s: error {ours.mean():.4f}, at the end {ours[-1]:.4f}; last action again "
              f"{copied.mean():.4f}, at the end {copied[-1]:.4f}; ratio {ours.mean() / copied.mean():.3f}, {ours[-1] / copied[-1]:.3f}")
    common.save(os.path.join(options.work, f"{options.kind}.pt"), head.state_dict())


if __name__ == "__main__":
    main()
