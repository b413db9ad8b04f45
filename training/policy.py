# SPDX-License-Identifier: LGPL-2.1-or-later
"""Action heads on the captioner's trunk, from recorded episodes of any robot that LeRobot's layout keeps: from its state in the
last instants, and if asked for from a picture and the instruction too, to half a second of actions.

    python training/policy.py --episodes ../shared/data/g1 --work DIR [--kind cfc|mlp] [--see]
        [--output models/tern-action-g1-mlp.gguf]

Decisions are drawn at irregular times, as cameras deliver them. States of some tenths of a second before tell how fast a joint
moves and, since it follows with a lag, what it was told. With --see the trunk's hidden state behind the prompt is an
input too; the trunk stays as it is, so that is computed once for every picture. Every eighth episode is kept for evaluation.
training/bridge.py makes such a folder of BridgeData's records.
"""

import argparse
import dataclasses
import fractions
import json
import os
import sys

import common

LENGTH = 0.5                        # seconds of a chunk
LAGS = (1 / 30, 1 / 15, 0.1, 0.2)   # seconds before the newest state, at least a row
OFTEN, SELDOM = 0.1, 0.6            # seconds between two decisions that are learned from
FIRST, LIMIT = 0.5, 5.0             # seconds of a first decision, and between two of one stream
NOISE = 0.2                         # on inputs, of which each has a spread of 1


@dataclasses.dataclass
class Robot:
    """What the file says of actions."""

    name: str
    space: str
    license: str
    names: list
    units: list
    rate: fractions.Fraction        # rows a second

    @property
    def dims(self):
        return len(self.names)

    @property
    def steps(self):
        return max(1, int(LENGTH * self.rate + 0.5))

    @property
    def lags(self):
        """In rows."""
        return tuple(dict.fromkeys(max(1, round(lag * float(self.rate))) for lag in LAGS))

    def rows(self, seconds):
        return max(1, round(seconds * float(self.rate)))


def recorded(folder):
    """(the robot, what was shown to learn from, what is kept to measure on)"""
    sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "bench", "eval"))
    import episodes

    with open(os.path.join(folder, "meta", "info.json"), encoding="utf8") as f:
        info = json.load(f)
    action = info["features"]["action"]
    names = action["names"][0] if isinstance(action["names"][0], list) else action["names"]
    tern = info.get("tern", {})
    robot = Robot(tern.get("name", "Tern Action " + info["robot_type"]), tern.get("space", info["robot_type"].lower()),
                  tern.get("license", ""), list(names), tern.get("units", [""] * len(names)),
                  fractions.Fraction(info["fps"]).limit_denominator(1000))
    found = list(episodes.read(folder, episodes.numbers(folder)))
    return robot, [e for i, e in enumerate(found) if i % 8], [e for i, e in enumerate(found) if i % 8 == 0]


def pixels(episode):
    """(uint8 [frames, 3, 224, 224], frames a second), as `trained` scaling shows them: the middle square."""
    import av
    import numpy as np
    from PIL import Image

    out = []
    with av.open(episode.video) as container:
        rate = float(container.streams.video[0].average_rate)
        for frame in container.decode(video=0):
            image = frame.to_image()
            scale = 224 / min(image.size)
            image = image.resize((round(image.width * scale), round(image.height * scale)), Image.BILINEAR)
            left, top = (image.width - 224) // 2, (image.height - 224) // 2
            out.append(np.asarray(image.crop((left, top, left + 224, top + 224))).transpose(2, 0, 1))
    return np.stack(out), rate


def see(found, models, work):
    """The trunk's hidden state of each row's picture, f32 [rows, width] an episode; of a picture computed once."""
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
        tokenizer, out = export.tokenizer_of(models), {}
        for number, episode in enumerate(found):
            shown, rate = pixels(episode)
            seen = torch.from_numpy(features.seen(tower, shown)).float()
            plan = rows.layout(tokenizer, episode.instruction, (lm.TOKENS,))
            with torch.inference_mode():
                hidden = [trunk.hidden(trunk.projector(lm.Projector.unshuffle(part)).flatten(0, 1),
                                       rows.Rows(plan, [[[words.EOS]]] * len(part))) for part in seen.split(32)]
            newest = np.arange(len(episode.states)) * rate / episode.rate + 1e-6
            out[str(episode.number)] = torch.cat(hidden).numpy()[np.minimum(newest.astype(int), len(shown) - 1)]
            print(f"pictures of episode {number + 1} of {len(found)}", flush=True)
        np.savez(path, **out)
    with np.load(path) as z:
        for episode in found:
            episode.hidden = z[str(episode.number)]


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

    def __init__(self, robot, found, width):
        import numpy as np

        self.state, self.action = Scaling([e.states for e in found]), Scaling([e.actions for e in found])
        self.lags, self.width, self.dims = robot.lags, width, len(self.state.mean)
        # Whether actions say where to be, or how far to move.
        actions, states = (np.concatenate(x) for x in zip(*((e.actions, e.states) for e in found)))
        self.near = self.dims == robot.dims and bool(np.abs(actions - states).mean() < np.abs(actions - self.action.mean).mean())
        self.mean, self.std = 0, 1
        every = np.concatenate([self.of(e, np.arange(len(e.states))) for e in found])
        self.mean, self.std = every.mean(0), np.maximum(every.std(0), 1e-2)

    def of(self, episode, rows, came=None):
        """f32 [rows, numbers]; `came`: which states did, if not all."""
        import numpy as np

        states = (episode.states - self.state.mean) / self.state.std
        newest = states[came.newest(rows) if came else rows]
        parts = [newest] + [states[came.before(rows, lag) if came else np.maximum(rows - lag, 0)] - newest for lag in self.lags]
        if self.width:
            parts.append(episode.hidden[rows])
        return ((np.concatenate(parts, 1) - self.mean) / self.std).astype(np.float32)

    def folded(self, weight, bias, width):
        """Of a layer [out, numbers (+ more)] that reads these: (weight, bias) of one that reads what the file's heads see;
        `width` is that of the trunk."""
        import numpy as np

        own, lags = len(self.mean), len(self.lags)
        scaled = weight[:, :own] / self.std
        bias = bias - scaled @ self.mean
        states, d = scaled[:, : self.dims * (1 + lags)], self.dims
        newest = states[:, :d] - sum(states[:, d * (i + 1) : d * (i + 2)] for i in range(lags))
        hidden = scaled[:, states.shape[1] :] if self.width else np.zeros((len(weight), width))
        return np.concatenate((hidden, newest, states[:, d:], weight[:, own:]), 1), bias


class Came:
    """States of an episode of which some are missing, and whose times are off by as much: what the session finds
    (docs/action-model.md)."""

    def __init__(self, rng, n, missing, off):
        import numpy as np

        self.rows = np.flatnonzero((rng.random(n) >= missing) | (np.arange(n) == 0))
        self.times = np.maximum.accumulate(self.rows + off * rng.standard_normal(len(self.rows)))

    def newest(self, rows):
        import numpy as np

        return self.rows[np.searchsorted(self.rows, rows, side="right") - 1]

    def before(self, rows, lag):
        import numpy as np

        newest = np.searchsorted(self.rows, rows, side="right") - 1
        far = np.abs(self.times[None] - (self.times[newest] - lag)[:, None])
        far[np.arange(len(self.rows))[None] > newest[:, None]] = np.inf
        return self.rows[far.argmin(1)]


class Sequences:
    """Decisions of an episode one after the other, some tenths of a second apart."""

    def __init__(self, robot, found, inputs):
        import numpy as np

        self.robot, self.found = robot, [e for e in found if len(e.states) > robot.steps + 1]
        self.seen = [inputs.of(e, np.arange(len(e.states))) for e in self.found]

    def batch(self, rng, n, length):
        """seen [length, n, numbers], elapsed [length, n], states [length, n, dims], wanted [.., steps, dims]."""
        import numpy as np

        out, robot, far = [[], [], [], []], self.robot, self.robot.rows(OFTEN)
        for _ in range(n):
            i = rng.integers(len(self.found))
            e, most = self.found[i], len(self.found[i].states) - robot.steps
            every = int(rng.integers(far, robot.rows(SELDOM) + 1))
            gaps = np.maximum(1, every + rng.integers(-far, far + 1, length - 1) * (rng.random() < 0.5))
            while gaps.sum() >= most and gaps.max(initial=0) > 1:
                gaps = np.maximum(1, gaps // 2)
            gaps = gaps[: most - 1] if gaps.sum() >= most else gaps
            at = int(rng.integers(0, most - gaps.sum())) + np.concatenate(([0], np.cumsum(gaps))).astype(int)
            at = np.pad(at, (length - len(at), 0), mode="edge")     # a short episode's first decision, again
            out[0].append(self.seen[i][at])
            out[1].append(np.concatenate(([FIRST], np.diff(at) / float(robot.rate))))
            out[2].append(e.states[at])
            out[3].append(np.stack([e.actions[k : k + robot.steps] for k in at]))
        return [np.stack(x, 1).astype(np.float32) for x in out]


def chunks(head, y, states, inputs, robot):
    """What comes out, as actions [n, steps, dims]."""
    import torch

    scale, mean = torch.from_numpy(inputs.action.std), torch.from_numpy(inputs.action.mean)
    return y.view(len(y), robot.steps, -1) * scale + (states[:, None, : robot.dims] if head.from_state else mean)


def train(kind, robot, found, inputs, steps, seed=0):
    import actionheads
    import numpy as np
    import torch

    torch.manual_seed(seed)
    sequences = Sequences(robot, found, inputs)
    head = actionheads.KINDS[kind](sequences.seen[0].shape[1], robot.steps * robot.dims, inputs.near)
    optimizer = torch.optim.AdamW(head.parameters(), lr=1e-3, weight_decay=0.05)
    # Metres beside radians beside an open gripper: each by its own spread.
    weight = 1 / torch.from_numpy(inputs.action.std) if len(set(robot.units)) > 1 else torch.ones(robot.dims)
    for step in range(steps):
        batch = sequences.batch(np.random.default_rng((seed, step)), head.batch, head.length)
        seen, elapsed, states, wanted = map(torch.from_numpy, batch)
        seen = seen + NOISE * torch.randn_like(seen)
        h, loss = head.start(head.batch), 0
        for i in range(head.length):
            y, h = head(seen[i], h, elapsed[i])
            off = (chunks(head, y, states[i], inputs, robot) - wanted[i]).abs() * weight
            loss = loss + off.mean() / head.length
        for group in optimizer.param_groups:
            group["lr"] = 1e-3 * common.cosine(step, steps, 100, 0.001)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(head.parameters(), 1.0)
        optimizer.step()
        if step % 500 == 0:
            print(f"step {step} error {float(loss.detach()):.4f}", flush=True)
    return head.eval()


def errors(head, robot, found, inputs, every, missing=0, off=0, told=True):
    """Mean absolute error by step of the head, and of the last action again; a decision every so many rows, or at random
    within the two of `every`. `missing`: share of states that do not come, `off`: rows that their times are off by, `told`: the
    head knows how long it was since the decision before, and not only how long it is on average."""
    import numpy as np
    import torch

    ours, copied, rng = [], [], np.random.default_rng(0)
    for e in found:
        n, near, far = len(e.states), *(every if isinstance(every, tuple) else (every, every))
        at = np.concatenate(([0], np.cumsum(rng.integers(near, far + 1, n))))
        at = at[at < n - robot.steps]
        came = Came(rng, n, missing, off) if missing or off else None
        h, seen, newest = head.start(1), torch.from_numpy(inputs.of(e, at, came)), came.newest(at) if came else at
        for i, row in enumerate(at):
            elapsed = (row - at[i - 1] if told else (near + far) / 2) / float(robot.rate) if i else FIRST
            with torch.inference_mode():
                y, h = head(seen[i : i + 1], h, torch.tensor([elapsed], dtype=torch.float32))
                chunk = chunks(head, y, torch.from_numpy(e.states[newest[i]][None]), inputs, robot)[0].numpy()
            truth = e.actions[row : row + robot.steps]
            if row > 0:
                ours.append(np.abs(chunk - truth).mean(1))
                copied.append(np.abs(e.actions[row - 1] - truth).mean(1))
    return np.mean(ours, 0), np.mean(copied, 0)


def conditions(robot):
    """What is measured: (name, rows from a decision to the next, states missing, rows that their times are off by, time told)"""
    for every in dict.fromkeys(robot.rows(s) for s in (0.1, 0.3, 0.5)):
        yield f"a decision every {every / float(robot.rate):g} s", every
    irregular, off = (robot.rows(OFTEN), robot.rows(SELDOM)), 0.01 * float(robot.rate)
    yield f"at random {OFTEN} to {SELDOM} s apart", irregular
    yield "... and all told to be as far apart", irregular, 0, 0, False
    yield "... a third of the states missing", irregular, 1 / 3
    yield "... two thirds", irregular, 2 / 3
    yield "... times of states off by 10 ms", irregular, 0, off
    yield "... a third missing, times off by 10 ms", irregular, 1 / 3, off


def main():
    a = argparse.ArgumentParser(description="Train an action head on recorded episodes.")
    a.add_argument("--episodes", default="../shared/data/g1", metavar="FOLDER", help="as LeRobot keeps them")
    a.add_argument("--models", default="models")
    a.add_argument("--work", required=True)
    a.add_argument("--kind", default="mlp", choices=["cfc", "mlp"])
    a.add_argument("--steps", type=int, default=3000)
    a.add_argument("--seed", type=int, default=0)
    a.add_argument("--see", action="store_true", help="with the trunk's hidden state: what pictures are worth")
    a.add_argument("--all", action="store_true", help="keep no episode for evaluation")
    a.add_argument("--name", help="of the model (Tern Action and the robot's type)")
    a.add_argument("--space", help="name of the action space")
    a.add_argument("--license")
    a.add_argument("--unit", help="of every number, where the folder names none")
    a.add_argument("--output", help="GGUF of the head")
    options = a.parse_args()
    common.settle()
    robot, mine, kept = recorded(options.episodes)
    robot = dataclasses.replace(robot, **{k: getattr(options, k) for k in ("name", "space", "license") if getattr(options, k)})
    if options.unit:
        robot.units = [options.unit] * robot.dims
    width = 0
    if options.see:
        see(mine + kept, options.models, options.work)
        width = mine[0].hidden.shape[1]
    if options.all:
        mine, kept = mine + kept, []
    inputs = Inputs(robot, mine, width)
    head = train(options.kind, robot, mine, inputs, options.steps, options.seed)
    for name, every, *worn in conditions(robot) if kept else ():
        ours, copied = errors(head, robot, kept, inputs, every, *worn)
        print(f"{name}: error {ours.mean():.4f}, at the end {ours[-1]:.4f}; last action again {copied.mean():.4f}, at the end "
              f"{copied[-1]:.4f}; ratio {ours.mean() / copied.mean():.3f}, {ours[-1] / copied[-1]:.3f}", flush=True)
    if options.output:
        import actionheads

        actionheads.write(options.output, options.kind, head, inputs, robot, FIRST, LIMIT, width or 256)


if __name__ == "__main__":
    main()
