# SPDX-License-Identifier: LGPL-2.1-or-later
"""Prints the sentences of the NLVR corpus that the watcher never saw, as questions for bench/eval.

    python training/watcher/sentences.py ../shared/data/nlvr > sentences.tsv
    python3 bench/eval/run.py answers --files ../shared/data/nlvr/test.tar --tsv sentences.tsv --labels yes,no --model ...
"""

import json
import os
import sys
import zlib

KEPT = 5        # one of so many sentences, by its words


def is_kept(sentence):
    """Whether it was kept out of training: all of its pictures were."""
    return zlib.crc32(sentence.strip().lower().encode()) % KEPT == 0


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    with open(os.path.join(sys.argv[1], "test.jsonl"), encoding="utf8") as lines:
        for item in map(json.loads, lines):
            if is_kept(item["sentence"]):
                print(item["image"], " ".join(item["sentence"].split()), "yes" if item["label"] == "true" else "no", sep="\t")


if __name__ == "__main__":
    main()
