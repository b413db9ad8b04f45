# SPDX-License-Identifier: LGPL-2.1-or-later
"""Photographs and human captions of one split, out of a plain tar and a tsv."""

import collections
import io
import os
import re
import tarfile

import numpy as np
from PIL import Image

SIZE = 224


def clean(caption):
    """Lower case, no quotes, no final period, no space before punctuation or 's."""
    text = caption.lower().replace('"', "").replace("``", "").replace("''", "")
    text = re.sub(r"\s+('s\b|[,.!?;:])", r"\1", text)
    return re.sub(r"\s+", " ", text).strip().rstrip(".").strip()


class Split:
    """names[i], captions[i] (as people wrote them) and pixels[i] (uint8, 3 x 224 x 224, memory-mapped)."""

    FOLDER, PREFIX = "flickr8k", ""  # of the data; before the names of the caches

    def __init__(self, data, split, work):
        table = collections.defaultdict(list)
        with open(os.path.join(data, self.FOLDER, split + ".tsv"), encoding="utf8") as f:
            for line in f:
                name, caption = line.rstrip("\n").split("\t", 1)
                table[name].append(caption)
        self.names = sorted(table)
        self.captions = [table[n] for n in self.names]
        path = os.path.join(work, f"pixels-{self.PREFIX}{split}.npy")
        if not os.path.exists(path):
            self._decode(os.path.join(data, self.FOLDER, split + ".tar"), path)
        self.pixels = np.load(path, mmap_mode="r")

    def _decode(self, tar, path):
        os.makedirs(os.path.dirname(path), exist_ok=True)
        where = {n: i for i, n in enumerate(self.names)}
        out = np.lib.format.open_memmap(path + ".part", mode="w+", dtype=np.uint8, shape=(len(where), 3, SIZE, SIZE))
        seen = 0
        with tarfile.open(tar) as archive:
            for member in archive:
                name = os.path.basename(member.name)
                if not member.isfile() or name not in where:
                    continue
                image = Image.open(io.BytesIO(archive.extractfile(member).read())).convert("RGB")
                if image.size != (SIZE, SIZE):
                    image = image.resize((SIZE, SIZE), Image.BILINEAR)
                out[where[name]] = np.asarray(image).transpose(2, 0, 1)
                seen += 1
        if seen != len(where):
            raise SystemExit(f"{tar}: {seen} photographs, but captions for {len(where)}")
        out.flush()
        os.replace(path + ".part", path)

    def __len__(self):
        return len(self.names)
