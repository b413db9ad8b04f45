# SPDX-License-Identifier: LGPL-2.1-or-later
"""What all stages do with a loss: AdamW along a cosine, and a checkpoint from which a stopped run goes on."""

import math

import torch

from common import cosine, half, load, save

EVERY = 100  # steps between two checkpoints


def decayed(parameters, decay):
    """Matrices lose weight, norms and biases do not."""
    return [
        {"params": [p for p in parameters if p.dim() > 1], "weight_decay": decay},
        {"params": [p for p in parameters if p.dim() == 1], "weight_decay": 0.0},
    ]


def compile_layers(layers):
    torch._dynamo.config.recompile_limit = 64  # a few kinds of layer, a few kinds of shape
    for layer in layers:
        layer.compile(dynamic=True)


def keep_mean(name, steps):
    """{name}.pt of the last four of {name}.step-N.pt: steps are noisy and the rate is small by then, so that the mean of a few
    points of the way is better than its end."""
    kept = sorted({steps} | set(range(EVERY, steps, EVERY)))[-4:]
    states = [load(f"{name}.step-{s}.pt") for s in kept]
    save(name + ".pt", half({k: sum(s[k].float() for s in states) / len(states) for k in states[0]}))


class Course:
    """`modules`: name in the checkpoint -> module. `groups`: what AdamW takes, all their parameters by default; a group may have
    a rate of its own, `own`.

    `first` is the step to begin with. The rate rises over `warm` steps and falls to `floor` of itself.
    """

    def __init__(self, checkpoint, modules, steps, rate, warm, floor, groups=None, decay=0.0, clip=1.0):
        self.checkpoint, self.modules, self.first = checkpoint, modules, 0
        self.steps, self.rate, self.warm, self.floor, self.clip = steps, rate, warm, floor, clip
        self.parameters = [p for module in modules.values() for p in module.parameters() if p.requires_grad]
        self.optimizer = torch.optim.AdamW(groups or self.parameters, lr=rate, betas=(0.9, 0.98), weight_decay=decay, fused=True)
        state = load(checkpoint)
        if state:
            for name, module in modules.items():
                module.load_state_dict(state[name])
            self.optimizer.load_state_dict(state["optimizer"])
            self.first = state["step"]

    def step(self, number, loss):
        for group in self.optimizer.param_groups:
            group["lr"] = group.get("own", self.rate) * cosine(number, self.steps, self.warm, self.floor)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.parameters, self.clip)
        self.optimizer.step()
        value = float(loss.detach())
        if not math.isfinite(value):
            raise SystemExit(f"{self.checkpoint}: the loss is {value} at step {number}")

    def keep(self, number):
        """Writes the checkpoint when it is time, which it is at the end, and says so."""
        if (number + 1) % EVERY and number + 1 < self.steps:
            return False
        save(self.checkpoint, {**{name: m.state_dict() for name, m in self.modules.items()},
                               "optimizer": self.optimizer.state_dict(), "step": number + 1})
        return True
