# SPDX-License-Identifier: LGPL-2.1-or-later
"""Train the captioner, all stages in turn: python training/train.py --data ../shared/data --work DIR

Every stage leaves its result in DIR and is skipped when it is there; a stage that was stopped goes on from its
last checkpoint. --stages takes some of them, so that two processes can share one DIR (say, the full-precision
twin beside the rest).
"""

import argparse
import os
import subprocess
import sys

import common

STAGES = ("adapt", "features", "xe", "scst", "tasks", "more", "elsewhere", "moves", "export", "twin")


def arguments():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("--data", default="../shared/data", help="folder with flickr8k, vit-tiny and, if the model shall know it, rsicd")
    a.add_argument("--work", required=True, help="folder for caches, checkpoints, logs and the result")
    a.add_argument("--stages", default=",".join(STAGES[:-1]), help="of " + ", ".join(STAGES))
    a.add_argument("--core", type=int, help="pin to this core")
    a.add_argument("--threads", type=int, default=1)
    a.add_argument("--adapt-steps", type=int, default=411)
    a.add_argument("--shape", default="small", help="of the language model: a name in model.py")
    a.add_argument("--passes", type=int, default=8, help="cross-entropy passes over the photographs")
    a.add_argument("--scst-steps", type=int, default=1150)
    a.add_argument("--task-steps", type=int, default=3000)
    a.add_argument("--more-steps", type=int, default=1300, help="of the tasks once more, most about clips, at a lower rate")
    a.add_argument("--moves-steps", type=int, default=1500, help="of the layers that read what moves, alone")
    a.add_argument("--elsewhere-steps", type=int, default=2000,
                   help="with pictures of what the photographs do not show (elsewhere.py)")
    a.add_argument("--materials", help="folder of watcher/materials.py: clips of these, too, teach how a camera moves")
    a.add_argument("--view", type=int, help=argparse.SUPPRESS)
    return a.parse_args()


def make_features(options, train, val):
    """The views of the training photographs; every second one by a second process, at the lowest priority."""
    import features

    tower = features.adapted(options.work)
    if options.view is None:
        second = None
        if os.cpu_count() > 1 and not os.path.exists(features.path(options.work, "train", features.VIEWS - 1)):
            command = [sys.executable, __file__, "--data", options.data, "--work", options.work, "--stages", "features",
                       "--view", "1"]
            if options.core is not None:
                command += ["--core", str((options.core + 1) % os.cpu_count())]
            second = subprocess.Popen(command, preexec_fn=lambda: os.nice(10))
        features.cache(val, tower, features.path(options.work, "val", 0), 0)
        for view in range(0, features.VIEWS, 2):
            features.cache(train, tower, features.path(options.work, "train", view), view)
        if second and second.wait():
            raise SystemExit("the other views failed")
    for view in range(1, features.VIEWS, 2):
        features.cache(train, tower, features.path(options.work, "train", view), view)


def main():
    options = arguments()
    options.work = os.path.abspath(options.work)
    common.settle(options.core, options.threads)
    import adapt
    import elsewhere
    import features
    import heldout
    import photos
    import taskdata
    import words

    stages = options.stages.split(",")
    train, val = (photos.Split(options.data, s, options.work) for s in ("train", "val"))
    captions = [[photos.clean(c) for c in group] for group in train.captions]
    vocabulary = os.path.join(options.work, "tokenizer.json")
    if not os.path.exists(vocabulary):
        words.train([c for group in captions for c in group], vocabulary)
    tokenizer = words.load(vocabulary)

    if "adapt" in stages:
        npz = os.path.join(options.data, "vit-tiny", "vit_tiny_patch16_224.npz")
        adapt.run(train, val, npz, options.work, options.adapt_steps)
    if "features" in stages:
        make_features(options, train, val)

    for name in ("xe", "twin"):
        if name in stages:
            import model as lm
            import xe

            xe.run(name, tokenizer, captions, taskdata.views_of(options.work), options.work, options.passes, name == "twin",
                   lm.SHAPES[options.shape])
    if "scst" in stages:
        import scst

        scst.run(tokenizer, train.captions, taskdata.views_of(options.work), options.work, options.scst_steps)
    lengths = {"tasks": options.task_steps, "more": options.more_steps, "elsewhere": options.elsewhere_steps,
               "moves": options.moves_steps}
    courses = [(n, total) for n, total in lengths.items() if n in stages]
    if courses:
        import tasks

        taskdata.make(options.data, options.work, train, val, tokenizer, materials=options.materials)
    for name, total in courses:
        if name == "elsewhere":
            elsewhere.cache(options.data, options.work, features.adapted(options.work))
        how = tasks.COURSES[name]
        sources = taskdata.sources(options.data, options.work, train, tokenizer, total, how.seed, how.teacher, how.told)
        tasks.run(tokenizer, sources, options.work, total, name, how)
    if "export" in stages:
        import evaluate
        import export

        last = next(n for n in ("moves", "elsewhere", "more", "tasks", "scst")
                    if os.path.exists(os.path.join(options.work, n + ".pt")))
        model = evaluate.trained(os.path.join(options.work, last + ".pt"))
        known = heldout.tasks(model, tokenizer, options.data, options.work) if last != "scst" else None
        export.write_captioner(features.adapted(options.work), model, tokenizer, os.path.join(options.work, "export"), known)


if __name__ == "__main__":
    main()
