# SPDX-License-Identifier: LGPL-2.1-or-later
"""How often a checkpoint's answers are right, on clips of cut-outs and backgrounds that training never saw, and on the
sentences of the NLVR corpus that were kept out of it.

    python training/watcher/score.py --work DIR [--weights watcher.full.pt] [--nlvr ../shared/data/nlvr] [--clips 300]
"""

import argparse
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
import common       # noqa: E402


def choose(watcher, tokenizer, pictures, moves, count, merged, questions):
    """The likeliest of each question's answers: [(question, answers)] -> [pictures][questions] index."""
    import torch
    import rows
    import learn

    n = len(pictures) // count
    group = [learn.said_to(tokenizer, q, a) for q, answers in questions for a in answers]
    with torch.inference_mode():
        batch = rows.Rows(rows.layout(tokenizer, None, merged.kept), [group] * n)
        visual = watcher.see(torch.from_numpy(pictures), None if moves is None else torch.from_numpy(moves), count, merged)
        logits = watcher(visual, batch)
        told = logits.log_softmax(-1).gather(1, batch.targets[:, None])[:, 0]
        scores = torch.zeros(n * len(group)).index_add_(0, batch.owner, told).view(n, -1)
    return [[int(x.argmax()) for x in row.split([len(a) for _, a in questions])] for row in scores]


def clips(watcher, tokenizer, work, count, ratio=0.8, zipped=False, size=(256, 128), pictures=4):
    import numpy as np
    import answers
    import events
    import materials
    import merging
    import movement

    stuff = materials.Materials(work, "val")
    questions = list(answers.TASKS.values())
    right = {name: [0, 0] for name in answers.TASKS}
    table = np.zeros((len(events.EVENTS),) * 2, int)
    tokens = size[0] * size[1] // 1024
    merged = (merging.Merging(merging.equal_counts(pictures, ratio, tokens), True) if zipped
              else merging.Merging(merging.kept_counts(pictures, ratio, tokens)))
    for at in range(0, count, 10):
        made = [events.clip(stuff, np.random.default_rng((77, i)), size, pictures, 4.0, events.EVENTS[i % len(events.EVENTS)])
                for i in range(at, at + 10)]
        moves = movement.followed(work, *([m[i] for m in made] for i in (0, 1, 3)))
        found = choose(watcher, tokenizer, np.concatenate([m[0] for m in made]), moves, pictures, merged, questions)
        for (_, _, truth, _), got in zip(made, found):
            table[events.EVENTS.index(truth["event"]), got[0]] += 1
            for (name, (_, words)), key, index in zip(answers.TASKS.items(), ("event", "camera", "movers"), got):
                want = truth[key] if key != "movers" else answers.COUNTS[truth[key]]
                if want is not None:
                    right[name][0] += words[index] == want
                    right[name][1] += 1
    for name, (good, of) in right.items():
        print(f"{name}: {good / of:.3f} of {of}")
    print("event".ljust(14), " ".join(e[:6].rjust(6) for e in events.EVENTS))
    for name, row in zip(events.EVENTS, table):
        print(name.ljust(14), " ".join(str(x or ".").rjust(6) for x in row))


def sentences(watcher, tokenizer, folder):
    import cv2
    import numpy as np
    import shapes
    from merging import Merging
    from sentences import is_kept

    corpus = shapes.Corpus(folder, "test")
    mine = [i for i, item in enumerate(corpus.items) if is_kept(item["sentence"])]
    good = 0
    for i in mine:
        image, sentence, answer = corpus.real(i)
        image = cv2.resize(np.ascontiguousarray(image), (384, 96), interpolation=cv2.INTER_LINEAR)[None]
        chosen = choose(watcher, tokenizer, image, None, 1, Merging((36,)), [(sentence, ("yes", "no"))])[0][0]
        good += ("yes", "no")[chosen] == answer
    print(f"NLVR: {good / len(mine):.3f} of {len(mine)}")


def statements(watcher, tokenizer, count=40):
    """On pictures drawn by twos, statements true of one of them: chance is .5, and so is what words alone tell."""
    import cv2
    import numpy as np
    import shapes
    from merging import Merging

    right = {"towers": [0, 0], "items": [0, 0]}
    for i in range(count):
        both = shapes.two(np.random.default_rng((79, i)))
        kind = right["towers" if shapes.are_towers(both[0]) else "items"]
        for boxes, pairs in zip(both, shapes.asked(*both, np.random.default_rng((80, i)), 6, 0)):
            image = cv2.resize(shapes.draw(boxes), (384, 96), interpolation=cv2.INTER_LINEAR)[None]
            found = choose(watcher, tokenizer, image, None, 1, Merging((36,)),
                           [(text, ("yes", "no")) for text, _ in pairs]) if pairs else [[]]
            for (_, answer), got in zip(pairs, found[0]):
                kind[0] += ("yes", "no")[got] == answer
                kind[1] += 1
    for name, (good, of) in right.items():
        print(f"statements about {name}: {good / max(of, 1):.3f} of {of}")


def main():
    arguments = argparse.ArgumentParser(description="Evaluate a checkpoint of the watcher.")
    arguments.add_argument("--work", required=True)
    arguments.add_argument("--weights", default="watcher.full.pt")
    arguments.add_argument("--nlvr")
    arguments.add_argument("--clips", type=int, default=300)
    arguments.add_argument("--ratio", type=float, default=0.8)
    arguments.add_argument("--zipped", action="store_true", help="VisionZip's tokens instead of DyCoke's")
    arguments.add_argument("--size", type=int, nargs=2, default=(256, 128), metavar=("WIDTH", "HEIGHT"))
    arguments.add_argument("--pictures", type=int, default=4, help="of a clip, two frames each")
    options = arguments.parse_args()
    common.settle()
    import files
    import learn

    tokenizer = learn.tokenizer_of(options.work)
    watcher = files.trained(options.work, options.weights)
    clips(watcher, tokenizer, options.work, options.clips, options.ratio, options.zipped, options.size, options.pictures)
    statements(watcher, tokenizer)
    if options.nlvr:
        sentences(watcher, tokenizer, options.nlvr)


if __name__ == "__main__":
    main()
