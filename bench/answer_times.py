# SPDX-License-Identifier: LGPL-2.1-or-later
"""How long a window's answer by labels takes, beside its free caption: reading the end of the prompt and saying the answer,
once the frames have been seen (prefill and decode of `tern caption --metrics`). Both forms run by turns in one go, on the
same video.

python bench/answer_times.py [--tern build/tools/tern] [--runs N] [--model F --mmproj F] [VIDEO]
"""
import argparse
import json
import pathlib
import statistics
import subprocess

ROOT = pathlib.Path(__file__).resolve().parent.parent
WORDS = ("dog", "car", "man", "woman", "child", "horse", "tree", "boat", "ball", "bicycle", "street", "beach", "snow", "grass",
         "house", "water", "bird", "cat", "bus", "nobody")
PHRASES = ("a dog is running", "a man rides a bicycle", "two children play football on the grass", "somebody has fallen down",
           "a car stands in the street", "people walk on a beach", "a boat on the water", "nobody is there",
           "a woman holds a red umbrella", "a horse jumps over a fence", "a crowd is watching", "snow falls on the trees",
           "a bird in a tree", "a child on a swing", "a man climbs a rock", "a bus has stopped", "smoke rises from a house",
           "a cat sleeps", "a group of people sits at a table", "a player kicks the ball")


def run(options, *more):
    """Prefill and decode of each window, ms, and the lines."""
    model = [f"--{n}={v}" for n, v in (("model", options.model), ("mmproj", options.mmproj)) if v]
    done = subprocess.run([options.tern, "caption", "--metrics", f"--threads={options.threads}", *model, *more, options.video],
                          stdout=subprocess.PIPE, check=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


def times(lines):
    return [(line["metrics"]["prefill_duration"], line["metrics"]["decode_duration"]) for line in lines]


def median(pairs):
    """Of prefill, decode and their sum over all windows of all runs."""
    return tuple(statistics.median(column) for column in (*zip(*pairs), [a + b for a, b in pairs]))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tern", default=ROOT / "build/tools/tern")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--model")
    parser.add_argument("--mmproj")
    parser.add_argument("video", nargs="?", default=str(ROOT / "pipelines/data/people.mp4"))
    options = parser.parse_args()

    forms = {f"{n} {kind}": ["--labels", ",".join(labels[:n])] for kind, labels in (("words", WORDS), ("phrases", PHRASES))
             for n in (2, 5, 20)}
    found = {name: [] for name in ("free caption", *forms)}
    said = []
    for i in range(options.runs):
        order = list(found)
        for name in order if i % 2 == 0 else reversed(order):
            lines = run(options, *forms.get(name, []))
            found[name] += times(lines)
            if name == "free caption":
                said += [line["generated_tokens"] for line in lines]
            for line in lines if name in forms else ():
                if line["kind"] != "answer" or abs(sum(line["scores"]) - 1) > 1e-6:
                    raise SystemExit(f"{name}: expected an answer with scores that sum to 1, found {line}")
    free = median(found["free caption"])
    print(f"{options.video}: {len(found['free caption'])} windows a form, captions of {statistics.median(said):g} tokens")
    print("| form | prefill ms | decode ms | both ms | free caption is x times as long | decode alone |")
    print("| --- | --- | --- | --- | --- | --- |")
    for name, pairs in found.items():
        prefill, decode, both = median(pairs)
        print(f"| {name} | {prefill:.2f} | {decode:.2f} | {both:.2f} | {free[2] / both:.1f} | {free[1] / max(decode, 1e-3):.1f} |")


if __name__ == "__main__":
    main()
