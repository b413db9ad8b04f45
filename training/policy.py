# SPDX-License-Identifier: LGPL-2.1-or-later
"""Action heads for the G1 humanoid on the captioner's trunk: from the joints of the last instants, and if asked for from a
picture and the instruction too, to half a second of joint targets.

    python training/policy.py --data ../shared/data --work DIR [--kind cfc|mlp] [--see] [--output models/tern-action-g1.gguf]

Decisions are drawn at irregular times, as cameras deliver them. The joints of some tenths of a second before tell how fast
they move and, since they follow with a lag, what they were told. With --see the trunk's hidden state behind the prompt is an
input too; the trunk stays as it is, so that is computed once for every picture. Every eighth episode is kept for evaluation.
"""

import argparse
import glob
import json
import os

import common

STEPS, RATE = 15, 30            # of a chunk; steps a second
LAGS = (1, 2, 3, 6)             # rows before the newest state
FIRST, LIMIT = 0.5, 5.0         # seconds of a first decision, and between two of one stream
NOISE = 0.2                     # on inputs, of which each has a spread of 1


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


class Inputs:
    """What a head of the file sees, [hidden; newest state; state of each lag], and what is easier to learn from: the newest
    state, how far each earlier one lies from it, and the hidden state; every number with mean 0 and spread 1."""

    def __init__(self, found, width):
        import numpy as np

        self.state, self.action = Scaling([e.states for e in found]), Scaling([e.actions for e in found])
        self.width, self.dims = width, len(self.state.mean)
        self.mean, self.std = 0, 1
        every = np.concatenate([self.of(e, np.arange(0, len(e.states), 3)) for e in found])
        self.mean, self.std = every.mean(0), np.maximum(every.std(0), 1e-2)

    def of(self, episode, rows):
        """f32 [rows, numbers]"""
        import numpy as np

        states = (episode.states - self.state.mean) / self.state.std
        newest = states[rows]
        parts = [newest] + [states[np.maximum(rows - lag, 0)] - newest for lag in LAGS]
        if self.width:
            parts.append(episode.hidden[np.minimum(rows // 3, len(episode.hidden) - 1)])
        return ((np.concatenate(parts, 1) - self.mean) / self.std).astype(np.float32)

    def folded(self, weight, bias, width):
        """Of a layer [out, numbers (+ more)] that reads these: (weight, bias) of one that reads what the file's heads see;
        `width` is that of the trunk."""
        import numpy as np

        own = len(self.mean)
        scaled = weight[:, :own] / self.std
        bias = bias - scaled @ self.mean
        states, d = scaled[:, : self.dims * (1 + len(LAGS))], self.dims
        newest = states[:, :d] - sum(states[:, d * (i + 1) : d * (i + 2)] for i in range(len(LAGS)))
        hidden = scaled[:, states.shape[1] :] if self.width else np.zeros((len(weight), width))
        return np.concatenate((hidden, newest, states[:, d:], weight[:, own:]), 1), bias


def heads():
    """The two kinds as torch modules; equations in docs/action-model.md."""
    import torch
    from torch import nn

    def lecun(x):
        return 1.7159 * torch.tanh(0.666 * x)

    class Cell(nn.Module):
        length, batch = 8, 64   # decisions of a training sequence, sequences of a step
        from_state = False      # what comes out is added to the mean of the actions

        def __init__(self, seen, outputs, units=192, width=256):
            super().__init__()
            self.units = units
            self.backbone = nn.Linear(seen + units, width)
            self.ff1, self.ff2, self.time_a, self.time_b = (nn.Linear(width, units) for _ in range(4))
            self.output = nn.Linear(units, outputs)
            self.drop = nn.Dropout(0.2)

        def start(self, n):
            return torch.zeros(n, self.units)

        def forward(self, x, h, elapsed):
            z = self.drop(lecun(self.backbone(torch.cat((x, h), 1))))
            gate = torch.sigmoid(self.time_a(z) * elapsed[:, None] + self.time_b(z))
            h = torch.tanh(self.ff1(z)) * (1 - gate) + gate * torch.tanh(self.ff2(z))
            return self.output(h), h

        def layers(self):
            """Name in the file -> layer; those that read the inputs."""
            inner = {"cfc." + name: getattr(self, name) for name in ("ff1", "ff2", "time_a", "time_b")}
            return {"cfc.backbone.0": self.backbone, **inner, "output": self.output}, ("cfc.backbone.0",)

        def keys(self):
            return {"cfc.units": self.units, "cfc.backbone_units": self.backbone.out_features}

    class Layers(nn.Module):
        length, batch = 1, 512
        from_state = True       # or to the state: what a joint is told is near to where it is

        def __init__(self, seen, outputs, width=512):
            super().__init__()
            self.inner = nn.ModuleList([nn.Linear(seen, width), nn.Linear(width, width)])
            self.output, self.skip = nn.Linear(width, outputs), nn.Linear(seen, outputs)
            self.drop = nn.Dropout(0.5)
            for parameter in (self.output.weight, self.skip.weight):
                nn.init.zeros_(parameter)

        def start(self, n):
            return None

        def forward(self, x, h, elapsed):
            y = self.skip(x)
            for layer in self.inner:
                x = self.drop(torch.relu(layer(x)))
            return y + self.output(x), None

        def layers(self):
            layers = {"mlp.0": self.inner[0], "mlp.1": self.inner[1], "mlp.2": self.output, "mlp.skip": self.skip}
            return layers, ("mlp.0", "mlp.skip")

        def keys(self):
            return {"mlp.widths": [layer.out_features for layer in self.inner], "mlp.skip": 1}

    return {"cfc": Cell, "mlp": Layers}


class Sequences:
    """Decisions of an episode one after the other, some tenths of a second apart."""

    def __init__(self, found, inputs):
        import numpy as np

        self.found = [e for e in found if len(e.states) > STEPS + 1]
        self.inputs, self.seen = inputs, [inputs.of(e, np.arange(len(e.states))) for e in self.found]

    def batch(self, rng, n, length):
        """seen [length, n, numbers], elapsed [length, n], what to add to an output [.., dims], wanted [.., steps, dims]."""
        import numpy as np

        out = [[], [], [], []]
        for _ in range(n):
            i = rng.integers(len(self.found))
            e, most = self.found[i], len(self.found[i].states) - STEPS
            every = int(rng.integers(3, 19))
            gaps = np.maximum(1, every + rng.integers(-3, 4, length - 1) * (rng.random() < 0.5))
            while gaps.sum() >= most:
                gaps = np.maximum(1, gaps // 2)
            at = int(rng.integers(0, most - gaps.sum())) + np.concatenate(([0], np.cumsum(gaps))).astype(int)
            out[0].append(self.seen[i][at])
            out[1].append(np.concatenate(([FIRST], gaps / RATE)))
            out[2].append(e.states[at])
            out[3].append(np.stack([e.actions[k : k + STEPS] for k in at]))
        return [np.stack(x, 1).astype(np.float32) for x in out]


def train(kind, found, inputs, steps, seed=0):
    import numpy as np
    import torch

    torch.manual_seed(seed)
    sequences = Sequences(found, inputs)
    head = heads()[kind](sequences.seen[0].shape[1], STEPS * inputs.dims)
    optimizer = torch.optim.AdamW(head.parameters(), lr=1e-3, weight_decay=0.05)
    scale, mean = torch.from_numpy(inputs.action.std), torch.from_numpy(inputs.action.mean)
    for step in range(steps):
        batch = sequences.batch(np.random.default_rng((seed, step)), head.batch, head.length)
        seen, elapsed, states, wanted = map(torch.from_numpy, batch)
        seen = seen + NOISE * torch.randn_like(seen)
        h, loss = head.start(head.batch), 0
        for i in range(head.length):
            y, h = head(seen[i], h, elapsed[i])
            chunk = y.view(head.batch, STEPS, -1) * scale + (states[i][:, None] if head.from_state else mean)
            loss = loss + (chunk - wanted[i]).abs().mean() / head.length
        for group in optimizer.param_groups:
            group["lr"] = 1e-3 * common.cosine(step, steps, 100, 0.001)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(head.parameters(), 1.0)
        optimizer.step()
        if step % 500 == 0:
            print(f"step {step} error {float(loss.detach()):.4f}", flush=True)
    return head.eval()


def errors(head, found, inputs, every):
    """Mean absolute error by step of the head, and of the last action again; a decision every so many rows."""
    import numpy as np
    import torch

    ours, copied = [], []
    for e in found:
        rows = np.arange(0, len(e.states) - STEPS, every)
        h, seen = head.start(1), torch.from_numpy(inputs.of(e, rows))
        for i, row in enumerate(rows):
            with torch.inference_mode():
                y, h = head(seen[i : i + 1], h, torch.tensor([every / RATE if i else FIRST]))
            chunk = y.numpy().reshape(STEPS, -1) * inputs.action.std + (e.states[row] if head.from_state else inputs.action.mean)
            truth = e.actions[row : row + STEPS]
            if row > 0:
                ours.append(np.abs(chunk - truth).mean(1))
                copied.append(np.abs(e.actions[row - 1] - truth).mean(1))
    return np.mean(ours, 0), np.mean(copied, 0)


def write(path, kind, head, inputs, names, width):
    """docs/action-model.md. A head that sees no picture goes with every trunk of that width."""
    import gguf
    import numpy as np

    action, state, dims = inputs.action, inputs.state, inputs.dims
    w = gguf.GGUFWriter(path, "tern-action")
    w.add_name(f"Tern Action G1 {kind.upper()}")
    w.add_license("MIT")
    for key, value in {"kind": kind, "space": "g1-upper-body", "names": names, "units": ["rad"] * dims, "embedding_length": width,
                       "dims": dims, "steps": STEPS, "rate.numerator": RATE, "rate.denominator": 1,
                       "minimum": action.low.tolist(), "maximum": action.high.tolist(), "action.normalization": "mean_std",
                       "action.mean": action.mean.tolist(), "action.std": action.std.tolist(), "state.dims": dims,
                       "state.normalization": "mean_std", "state.mean": state.mean.tolist(), "state.std": state.std.tolist(),
                       "state.lags": [lag / RATE for lag in LAGS], "time.first": FIRST, "time.limit": LIMIT, **head.keys()}.items():
        add = {str: w.add_string, int: w.add_uint32, float: w.add_float32, list: w.add_array}[type(value)]
        add("tern-action." + key, value)

    layers, reading = head.layers()
    for name, layer in layers.items():
        weight, bias = layer.weight.detach().numpy(), layer.bias.detach().numpy()
        if name in reading:
            weight, bias = inputs.folded(weight, bias, width)
        if name == "mlp.skip":
            weight[:, width : width + dims] += np.tile(np.diag(state.std / action.std), (STEPS, 1))
            bias = bias + np.tile((state.mean - action.mean) / action.std, STEPS)
        # Small differences of states: these weights are large and cancel each other.
        w.add_tensor(name + ".weight", weight.astype(np.float32 if name in reading else np.float16))
        w.add_tensor(name + ".bias", bias.astype(np.float32))
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()


def main():
    a = argparse.ArgumentParser(description="Train an action head on recorded episodes.")
    a.add_argument("--data", default="../shared/data")
    a.add_argument("--models", default="models")
    a.add_argument("--work", required=True)
    a.add_argument("--kind", default="mlp", choices=["cfc", "mlp"])
    a.add_argument("--steps", type=int, default=3000)
    a.add_argument("--see", action="store_true", help="with the trunk's hidden state: what pictures are worth")
    a.add_argument("--all", action="store_true", help="keep no episode for evaluation")
    a.add_argument("--output", help="GGUF of the head")
    options = a.parse_args()
    common.settle()
    mine, kept = episodes(os.path.join(options.data, "g1"))
    width = 0
    if options.see:
        see(mine + kept, options.models, options.work)
        width = mine[0].hidden.shape[1]
    if options.all:
        mine, kept = mine + kept, []
    inputs = Inputs(mine, width)
    head = train(options.kind, mine, inputs, options.steps)
    for every in (3, 9, 15) if kept else ():
        ours, copied = errors(head, kept, inputs, every)
        print(f"a decision every {every / RATE:g} s: error {ours.mean():.4f}, at the end {ours[-1]:.4f}; last action again "
              f"{copied.mean():.4f}, at the end {copied[-1]:.4f}; ratio {ours.mean() / copied.mean():.3f}, {ours[-1] / copied[-1]:.3f}")
    if options.output:
        with open(os.path.join(options.data, "g1", "meta", "info.json"), encoding="utf8") as f:
            names = json.load(f)["features"]["action"]["names"][0]
        write(options.output, options.kind, head, inputs, names, width or 256)


if __name__ == "__main__":
    main()
