# SPDX-License-Identifier: LGPL-2.1-or-later
"""The two kinds of action heads as torch modules (equations in docs/action-model.md), and the file that they become."""

import gguf
import numpy as np
import torch
from torch import nn


def lecun(x):
    return 1.7159 * torch.tanh(0.666 * x)


class Cell(nn.Module):
    """Remembers (CfC). What comes out is added to the mean of the actions."""

    length, batch = 8, 64   # decisions of a training sequence, sequences of a step

    def __init__(self, seen, outputs, from_state, units=192, width=256):
        super().__init__()
        self.units, self.from_state = units, False
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
    """What comes out is added to the state where actions say where to be: what a joint is told is near to where it is."""

    length, batch = 1, 512

    def __init__(self, seen, outputs, from_state, width=512):
        super().__init__()
        self.from_state = from_state
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


KINDS = {"cfc": Cell, "mlp": Layers}


def write(path, kind, head, inputs, robot, first, limit, width):
    """A head that sees no picture goes with every trunk of that width. `robot`: policy.Robot."""
    action, state, dims = inputs.action, inputs.state, robot.dims
    w = gguf.GGUFWriter(path, "tern-action")
    w.add_name(robot.name)
    w.add_license(robot.license)
    for key, value in {"kind": kind, "space": robot.space, "names": robot.names, "units": robot.units, "embedding_length": width,
                       "dims": dims, "steps": robot.steps, "rate.numerator": robot.rate.numerator,
                       "rate.denominator": robot.rate.denominator,
                       "minimum": action.low.tolist(), "maximum": action.high.tolist(), "action.normalization": "mean_std",
                       "action.mean": action.mean.tolist(), "action.std": action.std.tolist(),
                       "state.dims": len(state.mean), "state.normalization": "mean_std", "state.mean": state.mean.tolist(),
                       "state.std": state.std.tolist(), "state.lags": [lag / float(robot.rate) for lag in robot.lags],
                       "time.first": first, "time.limit": limit, **head.keys()}.items():
        add = {str: w.add_string, int: w.add_uint32, float: w.add_float32, list: w.add_array}[type(value)]
        add("tern-action." + key, value)

    layers, reading = head.layers()
    for name, layer in layers.items():
        weight, bias = layer.weight.detach().numpy(), layer.bias.detach().numpy()
        if name in reading:
            weight, bias = inputs.folded(weight, bias, width)
        if name == "mlp.skip" and head.from_state:
            weight[:, width : width + dims] += np.tile(np.diag(state.std / action.std), (robot.steps, 1))
            bias = bias + np.tile((state.mean - action.mean) / action.std, robot.steps)
        # Small differences of states: these weights are large and cancel each other.
        w.add_tensor(name + ".weight", weight.astype(np.float32 if name in reading else np.float16))
        w.add_tensor(name + ".bias", bias.astype(np.float32))
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()
