# SPDX-License-Identifier: LGPL-2.1-or-later
"""What every stage needs: process settings, seeds, logs, checkpoints."""

import json
import os
import sys
import time

# glibc gives large blocks back to the kernel after each use and takes them again, page by page;
# keeping them is worth a tenth of a training step, huge pages rather more in the element-wise parts.
ALLOCATOR = {
    "MALLOC_MMAP_THRESHOLD_": "4294967296",
    "MALLOC_TRIM_THRESHOLD_": "17179869184",
    "THP_MEM_ALLOC_ENABLE": "1",
}


def settle(core=None, threads=1):
    """Restart this process with the allocator settings (they are read at start only), then pin it."""
    if any(os.environ.get(k) != v for k, v in ALLOCATOR.items()):
        os.environ.update(ALLOCATOR)
        os.environ.setdefault("OMP_NUM_THREADS", str(threads))
        os.execv(sys.executable, [sys.executable] + sys.argv)
    if core is not None:
        os.sched_setaffinity(0, {core})
    import torch

    torch.set_num_threads(threads)
    torch.set_num_interop_threads(1)


class Log:
    """Lines to stdout and, as JSON, to a file that outlives a restart."""

    def __init__(self, path):
        self.path = path
        self.start = time.time()
        os.makedirs(os.path.dirname(path), exist_ok=True)

    def __call__(self, **fields):
        fields = {"seconds": round(time.time() - self.start, 1), **fields}
        with open(self.path, "a", encoding="utf8") as f:
            f.write(json.dumps(fields) + "\n")
        print(" ".join(f"{k} {v:.4g}" if isinstance(v, float) else f"{k} {v}" for k, v in fields.items()), flush=True)


def save(path, state):
    """Write beside and rename: a stop in the middle leaves the older checkpoint."""
    import torch

    os.makedirs(os.path.dirname(path), exist_ok=True)
    torch.save(state, path + ".part")
    os.replace(path + ".part", path)


def load(path):
    import torch

    return torch.load(path, map_location="cpu", weights_only=True) if os.path.exists(path) else None


def half(state):
    """Weights alone, as f16: what is kept of a finished stage."""
    import torch

    return {k: v.to(torch.float16) if v.is_floating_point() else v for k, v in state.items()}


def cosine(step, total, warm, floor):
    """Learning-rate factor: linear warm-up, then half a cosine down to `floor`."""
    import math

    if step < warm:
        return (step + 1) / warm
    x = (step - warm) / max(1, total - warm)
    return floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * min(1.0, x)))
