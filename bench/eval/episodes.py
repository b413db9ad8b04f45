# SPDX-License-Identifier: LGPL-2.1-or-later
"""Episodes of a robot, as LeRobot keeps them: meta/info.json (fps), meta/episodes.jsonl (what was asked), and of each
episode a Parquet file with `observation.state` and `action` at fps rows a second and a video of the same name, wherever
below data/ and videos/ they lie. Needs pyarrow and numpy."""
import dataclasses
import json
import os
import re

import tables


@dataclasses.dataclass
class Episode:
    number: int
    instruction: str
    rate: float                 # rows a second
    states: object              # numpy [n, dims], float32
    actions: object
    video: str


def _below(folder, suffix):
    out = {}
    for root, _, names in os.walk(folder):
        for name in names:
            match = re.fullmatch(rf"episode_0*(\d+){re.escape(suffix)}", name)
            if match:
                out[int(match[1])] = os.path.join(root, name)
    return out


def _json(path, lines=False):
    try:
        with open(path, encoding="utf8") as f:
            return [json.loads(line) for line in f if line.strip()] if lines else json.load(f)
    except (OSError, ValueError) as error:
        raise tables.Wrong(f"{path}: expected JSON of a LeRobot folder, found {error}") from None


def numbers(folder):
    """Of the episodes that have rows and a video."""
    found = sorted(_below(os.path.join(folder, "data"), ".parquet").keys() & _below(os.path.join(folder, "videos"), ".mp4").keys())
    if not found:
        raise tables.Wrong(f"{folder}: expected data/**/episode_N.parquet and videos/**/episode_N.mp4, found no pair")
    return found


def read(folder, wanted):
    import numpy as np
    import pyarrow.parquet as parquet

    rate = _json(os.path.join(folder, "meta", "info.json")).get("fps")
    if not isinstance(rate, (int, float)) or not 0 < rate < 10000:
        raise tables.Wrong(f"{folder}/meta/info.json: expected fps, rows a second, found {rate!r}")
    asked = {e["episode_index"]: e["tasks"][0] for e in _json(os.path.join(folder, "meta", "episodes.jsonl"), True)}
    rows, videos = _below(os.path.join(folder, "data"), ".parquet"), _below(os.path.join(folder, "videos"), ".mp4")
    for number in wanted:
        if number not in rows or number not in videos:
            raise tables.Wrong(f"{folder}: expected a Parquet file and a video of episode {number}, found none")
        table = parquet.read_table(rows[number], columns=["observation.state", "action"])
        states, actions = (np.stack(table[c].to_numpy()).astype("<f4") for c in ("observation.state", "action"))
        yield Episode(number, asked.get(number, ""), rate, states, actions, videos[number])
