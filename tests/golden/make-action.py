# SPDX-License-Identifier: LGPL-2.1-or-later
"""Make a random action model, and with --vectors what numpy computes from it in float64 (action_head.py).

usage: make-action.py OUT.gguf [--kind mlp|cfc] [--mode default|no_gate|pure] [--type F32|F16|Q8_0] [--width N]
                      [--state N] [--dims N] [--steps N] [--rate N/D] [--inner N,N,...] [--units N] [--times N]
                      [--lags S,S,...] [--skip 1] [--activation NAME] [--scaling none|mean_std|min_max] [--frames N] [--seed N]
                      [--vectors]

data/action was made by:
    make-action.py data/action/mlp.gguf --inner 48,32 --times 2 --activation gelu --type F16 --vectors
    make-action.py data/action/mlp-lags.gguf --inner 24 --state 5 --lags 0.04,0.1,0.5 --times 1 --skip 1 --dims 3 --vectors
    make-action.py data/action/cfc.gguf --kind cfc --scaling min_max --type Q8_0 --width 192 --state 32 --units 32
                   --inner 64 --vectors
    make-action.py data/action/cfc-no-gate.gguf --kind cfc --mode no_gate --inner 32,24 --units 20 --activation silu
                   --dims 3 --vectors
    make-action.py data/action/cfc-pure.gguf --kind cfc --mode pure --inner "" --units 16 --scaling none --dims 3 --vectors
"""
import argparse
import json
import pathlib

import numpy as np
from action_head import Head, write

NAMES = ["x", "y", "z", "roll", "pitch", "yaw", "gripper"]
UNITS = ["m", "m", "m", "rad", "rad", "rad", ""]
# ns: irregular, at the same time, beyond the limit, and back
TIMES = [0, 100_000_000, 233_333_333, 1_000_000_000, 1_000_000_000, 4_500_000_000, 20_000_000_000, 3_000_000_000]


class Maker:
    def __init__(self, options):
        self.rng, self.kind, self.tensors = np.random.default_rng(options.seed), options.type, {}

    def layer(self, name, inputs, outputs):
        kind = "F16" if self.kind == "Q8_0" and inputs % 32 else self.kind
        self.tensors[name + ".weight"] = (self.rng.standard_normal((outputs, inputs)) * 1.2 / np.sqrt(inputs), kind)
        self.tensors[name + ".bias"] = (self.rng.standard_normal(outputs) * 0.3, "F32")

    def vector(self, name, n):
        self.tensors[name] = (self.rng.uniform(-1, 1, n), "F32")


def scaling(keys, what, kind, n, rng):
    keys[f"tern-action.{what}.normalization"] = kind
    low, high = rng.uniform(-2, 0, n), rng.uniform(0.5, 3, n)
    if kind == "mean_std":
        keys[f"tern-action.{what}.mean"], keys[f"tern-action.{what}.std"] = list(map(float, low)), list(map(float, high))
    elif kind == "min_max":
        keys[f"tern-action.{what}.low"], keys[f"tern-action.{what}.high"] = list(map(float, low)), list(map(float, high))


def make(o):
    make_ = Maker(o)
    inner = [int(n) for n in o.inner.split(",") if n]
    rate = [int(n) for n in (o.rate + "/1").split("/")]
    keys = {
        "general.architecture": "tern-action", "general.name": f"random {o.kind}", "tern-action.kind": o.kind,
        "tern-action.space": "test arm", "tern-action.dims": o.dims, "tern-action.steps": o.steps,
        "tern-action.rate.numerator": rate[0], "tern-action.rate.denominator": rate[1],
        "tern-action.names": [NAMES[i] if i < len(NAMES) else f"joint{i}" for i in range(o.dims)],
        "tern-action.units": [UNITS[i] if i < len(UNITS) else "rad" for i in range(o.dims)],
        "tern-action.minimum": [-6.0] * o.dims, "tern-action.maximum": [6.0 + 0.5 * i for i in range(o.dims)],
        "tern-action.embedding_length": o.width, "tern-action.frames": o.frames, "tern-action.state.dims": o.state,
    }
    scaling(keys, "state", o.scaling, o.state, make_.rng)
    scaling(keys, "action", o.scaling, o.dims, make_.rng)
    lags = [float(s) for s in o.lags.split(",") if s]
    if lags:
        keys["tern-action.state.lags"] = lags
    seen, outputs = o.width + o.state * (1 + len(lags)), o.steps * o.dims
    if o.kind == "mlp":
        keys["tern-action.mlp.activation"] = o.activation or "relu"
        keys["tern-action.mlp.time_features"] = o.times
        if inner:
            keys["tern-action.mlp.widths"] = inner
        for i, (a, b) in enumerate(zip([seen + o.times] + inner, inner + [outputs])):
            make_.layer(f"mlp.{i}", a, b)
        if o.skip:
            keys["tern-action.mlp.skip"] = 1
            make_.layer("mlp.skip", seen + o.times, outputs)
    else:
        keys["tern-action.cfc.mode"], keys["tern-action.cfc.units"] = o.mode, o.units
        keys["tern-action.cfc.backbone_layers"] = len(inner)
        keys["tern-action.cfc.backbone_activation"] = o.activation or "lecun_tanh"
        width = seen + o.units
        if inner:
            keys["tern-action.cfc.backbone_units"] = inner[0]
        for i in range(len(inner)):
            make_.layer(f"cfc.backbone.{i}", width, inner[0])
            width = inner[0]
        make_.layer("cfc.ff1", width, o.units)
        if o.mode == "pure":
            make_.vector("cfc.a", o.units)
            make_.vector("cfc.w_tau", o.units)
        else:
            for name in "ff2", "time_a", "time_b":
                make_.layer("cfc." + name, width, o.units)
        make_.layer("output", o.units, outputs)
    write(o.out, keys, make_.tensors)


def vectors(o):
    rng, head = np.random.default_rng(o.seed + 1), Head(o.out)
    hidden = rng.standard_normal((len(TIMES), o.width)).astype("<f4")
    states = o.state * (1 + len([s for s in o.lags.split(",") if s]))
    state = rng.uniform(-2, 2, (len(TIMES), states)).astype("<f4")
    actions = [head.decide(h, s, t).ravel() for h, s, t in zip(hidden, state, TIMES)]
    for name, values in ("hidden", hidden), ("state", state), ("actions", np.array(actions).astype("<f4")):
        np.save(o.out.with_suffix(f".{name}.npy"), values)
    o.out.with_suffix(".json").write_text(json.dumps({"gguf": o.out.name, "nanoseconds": TIMES, "tolerance": 1e-4}) + "\n")
    low, high = head.key("tern-action.minimum"), head.key("tern-action.maximum")
    print(o.out, f"{np.mean([(a.reshape(-1, o.dims) == low) | (a.reshape(-1, o.dims) == high) for a in actions]):.2f} "
          "of the numbers at a limit, spread", np.std(actions))


def main():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("out", type=pathlib.Path)
    a.add_argument("--kind", choices=["mlp", "cfc"], default="mlp")
    a.add_argument("--mode", choices=["default", "no_gate", "pure"], default="default")
    a.add_argument("--type", choices=["F32", "F16", "Q8_0"], default="F32")
    a.add_argument("--activation")
    a.add_argument("--scaling", choices=["none", "mean_std", "min_max"], default="mean_std")
    a.add_argument("--rate", default="30/1")
    a.add_argument("--inner", default="32")
    a.add_argument("--lags", default="", help="seconds, with commas")
    for name, value in {"width": 256, "state": 7, "dims": 7, "steps": 8, "units": 24, "times": 0, "frames": 1, "seed": 3,
                        "skip": 0}.items():
        a.add_argument("--" + name, type=int, default=value)
    a.add_argument("--vectors", action="store_true")
    options = a.parse_args()
    make(options)
    if options.vectors:
        vectors(options)


main()
