# SPDX-License-Identifier: LGPL-2.1-or-later
"""BridgeData V2's records (TFRecord files of tf.Example, one an episode) as a folder in LeRobot's layout, which policy.py and
bench/eval read: five rows a second, seven numbers of state and action, the first camera as H.264.

    python training/bridge.py ../shared/data/bridge/bridge_dataset-train.tfrecord FOLDER

An action says how far the gripper moves, in metres and radians, and how open it is; the state where it is. A record is 8 bytes of
length, 4 of check, the message, 4 of check; a tf.Example a map of names to lists, in protocol buffers' wire format, of
which the few lines needed here are read by hand.
"""

import argparse
import json
import os
import struct
import subprocess

import numpy as np

RATE, NAMES, UNITS = 5, ["x", "y", "z", "roll", "pitch", "yaw", "gripper"], ["m", "m", "m", "rad", "rad", "rad", ""]


def _number(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        value, shift, at = value | (byte & 127) << shift, shift + 7, at + 1
        if byte < 128:
            return value, at


def _fields(data):
    """(number of the field, its bytes) of those with a length; a tf.Example's own have no others that matter here."""
    at = 0
    while at < len(data):
        key, at = _number(data, at)
        if key & 7 != 2:
            raise SystemExit(f"expected a field with a length at byte {at}, found kind {key & 7}")
        size, at = _number(data, at)
        yield key >> 3, data[at : at + size]
        at += size


def records(path):
    with open(path, "rb") as f:
        while head := f.read(12):
            size = struct.unpack_from("<Q", head)[0]
            record = f.read(size)
            if len(record) != size or len(f.read(4)) != 4:
                raise SystemExit(f"{path}: a record of {size} bytes is cut off")
            yield record


def example(record):
    """name -> list of bytes, or f32 array; lists of whole numbers are left out."""
    out = {}
    for _, entry in (field for _, features in _fields(record) for field in _fields(features)):
        parts = dict(_fields(entry))
        for kind, value in _fields(parts[2]):
            if kind == 1:
                out[parts[1].decode()] = [v for _, v in _fields(value)]
            elif kind == 2:
                out[parts[1].decode()] = np.frombuffer(b"".join(v for _, v in _fields(value)), "<f4")
    return out


def video(pictures, path):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    subprocess.run(["ffmpeg", "-v", "error", "-y", "-f", "image2pipe", "-r", str(RATE), "-i", "-", "-c:v", "libx264", "-crf", "12",
                    "-pix_fmt", "yuv420p", path], input=b"".join(pictures), check=True)


def main():
    import pyarrow
    import pyarrow.parquet

    a = argparse.ArgumentParser(description="BridgeData's records as a LeRobot folder.")
    a.add_argument("records")
    a.add_argument("folder")
    options = a.parse_args()
    asked = []
    for number, record in enumerate(records(options.records)):
        found, name = example(record), f"episode_{number:06}"
        columns = {column: found[key].reshape(-1, len(NAMES)) for column, key in
                   (("observation.state", "steps/observation/state"), ("action", "steps/action"))}
        path = os.path.join(options.folder, "data", "chunk-000", name + ".parquet")
        os.makedirs(os.path.dirname(path), exist_ok=True)
        pyarrow.parquet.write_table(pyarrow.table({c: pyarrow.array(v.tolist(), pyarrow.list_(pyarrow.float32()))
                                                   for c, v in columns.items()}), path)
        video(found["steps/observation/image_0"], os.path.join(options.folder, "videos", "chunk-000", "image_0", name + ".mp4"))
        said = found["steps/language_instruction"][0].decode()
        asked.append({"episode_index": number, "tasks": [said], "length": len(columns["action"])})
    os.makedirs(os.path.join(options.folder, "meta"), exist_ok=True)
    numbers = {"dtype": "float32", "shape": [len(NAMES)], "names": NAMES}
    with open(os.path.join(options.folder, "meta", "info.json"), "w", encoding="utf8") as f:
        json.dump({"robot_type": "WidowX", "fps": RATE, "total_episodes": len(asked),
                   "features": {"observation.state": numbers, "action": numbers},
                   "tern": {"name": "Tern Action WidowX", "space": "widowx-delta", "license": "CC-BY-4.0", "units": UNITS}},
                  f, indent=1)
    with open(os.path.join(options.folder, "meta", "episodes.jsonl"), "w", encoding="utf8") as f:
        f.writelines(json.dumps(line) + "\n" for line in asked)
    print(f"{options.folder}: {len(asked)} episodes")


if __name__ == "__main__":
    main()
