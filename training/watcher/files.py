# SPDX-License-Identifier: LGPL-2.1-or-later
"""The watcher's two GGUF files.

    python training/watcher/files.py --work DIR [--weights watcher.full.pt] [--output models] [--temperature 1.0]
"""

import argparse
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
import common       # noqa: E402

TEXT, VISION = "tern-watcher-4m-tq2_0.gguf", "mmproj-tern-watcher-4m-f16.gguf"
TITLE = "Tern Watcher 4M"
LICENSE = "LGPL-2.1-or-later"
PIXELS = (24576, 40960)     # 192 x 128 to 256 x 160: about what it was trained on


def trained(work, weights):
    """In evaluation mode, its matrices rounded once."""
    import learn
    import net

    watcher = net.Watcher(learn.VOCABULARY).eval()
    state = common.load(os.path.join(work, weights))
    if state is None:
        raise SystemExit(f"{os.path.join(work, weights)}: expected a checkpoint, found none")
    watcher.load_state_dict(net.widened(state.get("model", state)))
    for layer in watcher.layers:
        for module in layer.modules():
            if hasattr(module, "freeze"):
                module.freeze(True)
    return watcher


def read(watcher, folder):
    """The files of a finished watcher into one that goes on learning."""
    import export
    import net

    export.pour(*(os.path.join(folder, name) for name in (TEXT, VISION)), watcher.tower, watcher)
    export.thaw(watcher)
    watcher.motion = watcher.motion.widened(net.MOVES)


def tokenizer(folder):
    import export

    return export.tokenizer_in(os.path.join(folder, TEXT))


def main():
    a = argparse.ArgumentParser(description="Export one checkpoint of the watcher.")
    a.add_argument("--work", required=True)
    a.add_argument("--weights", default="watcher.full.pt", help="relative to --work")
    a.add_argument("--output", default="models")
    a.add_argument("--temperature", type=float, default=1.0, help="tern.label_temperature")
    options = a.parse_args()
    common.settle()
    import answers
    import export
    import learn

    watcher = trained(options.work, options.weights)
    text, vision = (os.path.join(options.output, name) for name in (TEXT, VISION))
    export.write(watcher.tower, watcher, learn.tokenizer_of(options.work), text, vision, TITLE, LICENSE, PIXELS,
                 (answers.TASKS, options.temperature), watcher.motion)


if __name__ == "__main__":
    main()
