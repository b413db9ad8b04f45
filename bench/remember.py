#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Whether windows of a stream that is remembered are captioned as well as windows that stand alone.

usage: remember.py [--build DIR] [--data DIR] [--count N] [--skip N] [SETTINGS...]

Photographs of Flickr8k's validation set, one every --skip (6), each standing for four seconds (a window) in one stream through
terncaption: CIDEr-D of what is said of each by default, and with each of SETTINGS (`memory=stream memory-tokens=400`,
`memory=stream gate=off`), and the paired difference with its interval of 95 %. Needs gst-launch-1.0 with a JPEG decoder, and
<data>/flickr8k; run by hand.
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

SECONDS = 4


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
    return [references[name] for name in names]


def captions(options, folder, settings):
    out = os.path.join(folder, "captions.jsonl")
    pipeline = (f"multifilesrc location={folder}/%05d.jpg caps=image/jpeg,framerate=1/{SECONDS} ! jpegdec ! videoconvert ! "
                "videoscale ! video/x-raw,format=RGB,width=224,height=224,pixel-aspect-ratio=1/1 ! videorate ! "
                f"video/x-raw,framerate=2/1 ! terncaption name=c {settings} ! fakesink sync=false c.json_src ! filesink location={out}")
    environment = dict(os.environ, GST_PLUGIN_PATH=os.path.join(os.path.abspath(options.build), "gst-plugin"),
                       GST_REGISTRY=os.path.join(folder, "registry"))
    done = subprocess.run(["gst-launch-1.0", "-q", *pipeline.split()], env=environment, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{settings}: {done.stderr}")
    with open(out) as lines:
        return [json.loads(line)["result"] for line in lines]


def main():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("settings", nargs="*", default=["memory=stream memory-tokens=400"])
    a.add_argument("--build", default="build")
    a.add_argument("--data", default="../shared/data")
    a.add_argument("--count", type=int, default=1000)
    a.add_argument("--skip", type=int, default=6)
    options = a.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        references = photographs(options, folder)[:-1]  # the last one does not stand for a whole window
        scorer = scorers.Own(references)
        alone = None
        for settings in ["gate=on", *options.settings]:
            each = scorer.cider_each(captions(options, folder, settings)[:len(references)])
            alone = alone or each
            low, high = intervals.paired(each, alone)[1:3]
            print(f"{settings}: {len(each)} windows, CIDEr-D {sum(each) / len(each):.3f}, "
                  f"{sum(each) / len(each) - sum(alone) / len(alone):+.3f} [{low:+.3f}, {high:+.3f}]", flush=True)


main()
