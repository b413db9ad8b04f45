#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Whether windows of a stream that is remembered are captioned as well as windows that stand alone.

usage: remember.py [--build DIR] [--data DIR] [--count N] [--skip N] [--seconds S] [--window S] [--common SETTINGS] [SETTINGS...]

Photographs of Flickr8k's validation set, one every --skip (6), each standing for --seconds (4) in one stream through
terncaption, which is asked about every --window seconds (as long as a photograph stands): CIDEr-D of what is said of each window,
by the sentences of all photographs in it, with windows by themselves, and with each of SETTINGS (`memory=stream
memory-tokens=400`, `memory=stream gate=off`), and the paired difference with its interval of 95 % (bootstrap over windows), and
how many answers have the same words. What each window would get with the answer of the next one is the score of knowing nothing.
--common (gate=on) is set for all of them. Needs gst-launch-1.0 with a JPEG decoder, and <data>/flickr8k; run by hand.
"""
import argparse
import json
import os
import subprocess
import sys
import tarfile
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "eval"), os.path.join(HERE, "..", "training")]
import intervals  # noqa: E402
import scorers  # noqa: E402


def photographs(options, folder):
    """Their references, in order; they lie in @folder by number."""
    references = {}
    with open(os.path.join(options.data, "flickr8k", "val.tsv")) as lines:
        for line in lines:
            name, caption = line.rstrip("\n").split("\t")
            references.setdefault(name, []).append(caption)
    names = list(references)[::options.skip][:options.count]
    with tarfile.open(os.path.join(options.data, "flickr8k", "val.tar")) as archive:
        members = {os.path.basename(m.name): m for m in archive.getmembers()}
        for i, name in enumerate(names):
            with open(os.path.join(folder, f"{i:05}.jpg"), "wb") as file:
                file.write(archive.extractfile(members[name]).read())
    each = options.window // options.seconds
    # The last photograph does not stand for its time: the windows are those before it.
    return [sum((references[name] for name in names[i:i + each]), []) for i in range(0, len(names) - each, each)]


def captions(options, folder, settings):
    out = os.path.join(folder, "captions.jsonl")
    pipeline = (f"multifilesrc location={folder}/%05d.jpg caps=image/jpeg,framerate=1/{options.seconds} ! jpegdec ! videoconvert ! "
                "videoscale ! video/x-raw,format=RGB,width=224,height=224,pixel-aspect-ratio=1/1 ! videorate ! "
                f"video/x-raw,framerate=2/1 ! terncaption name=c window={options.window}000000000 {options.common} {settings} "
                f"! fakesink sync=false c.json_src ! filesink location={out}")
    environment = dict(os.environ, GST_PLUGIN_PATH=os.path.join(os.path.abspath(options.build), "gst-plugin"),
                       GST_REGISTRY=os.path.join(folder, "registry"))
    done = subprocess.run(["gst-launch-1.0", "-q", *pipeline.split()], env=environment, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{settings}: {done.stderr}")
    with open(out) as lines:
        results = [json.loads(line) for line in lines]
    for i, result in enumerate(results):
        if abs(result["start"] - i * options.window) > .01:
            sys.exit(f"{settings}: expected window {i} at {i * options.window} s, found it at {result['start']:g} s: windows "
                     f"are whole groups of four frames")
    return [result["result"] for result in results]


def main():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("settings", nargs="*", default=["memory=stream memory-tokens=400"])
    a.add_argument("--build", default="build")
    a.add_argument("--data", default="../shared/data")
    a.add_argument("--count", type=int, default=1000)
    a.add_argument("--skip", type=int, default=6)
    a.add_argument("--seconds", type=int, default=4)
    a.add_argument("--window", type=int, help="a multiple of --seconds")
    a.add_argument("--common", default="gate=on")
    options = a.parse_args()
    options.window = options.window or options.seconds
    if options.window % options.seconds:
        a.error(f"--window: expected a multiple of {options.seconds}, found {options.window}")
    with tempfile.TemporaryDirectory() as folder:
        references = photographs(options, folder)
        scorer = scorers.Own(references)
        alone = first = None
        for settings in ["", *options.settings]:
            said = captions(options, folder, settings)[:len(references)]
            each = scorer.cider_each(said)
            others = scorer.cider_each(said[1:] + said[:1])
            alone, first = alone or each, first or said
            low, high = intervals.paired(each, alone)[1:3]
            same = sum(a == b for a, b in zip(said, first))
            print(f"{options.common} {settings}: {len(each)} windows, CIDEr-D {sum(each) / len(each):.3f}, "
                  f"{sum(each) / len(each) - sum(alone) / len(alone):+.3f} [{low:+.3f}, {high:+.3f}]; "
                  f"{sum(others) / len(each):.3f} of other windows' answers; {same} in the same words", flush=True)


main()
