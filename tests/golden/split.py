# SPDX-License-Identifier: LGPL-2.1-or-later
"""Models in several files, as llama.cpp's gguf-split writes them, beside the same in one: all that `tern` says is the same; and
what is said where a part is missing, is another one, or is not the first. Prints TAP.

usage: split.py TERN DATA_FOLDER              (the folder with lfm2/ and lfm2vl/)
"""
import json
import os
import pathlib
import shutil
import struct
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from tap import patience, plan, point  # noqa: E402

TERN, DATA = os.path.abspath(sys.argv[1]), pathlib.Path(sys.argv[2]).resolve()
WHOLE, MMPROJ = DATA / "lfm2/lfm2-tq2_0.gguf", DATA / "lfm2vl/mmproj-ship-q8_0.gguf"
NUMBERS = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}
U16, I32, STRING, ARRAY, ALIGN = 2, 5, 8, 9, 32


def tern(*args, **variables):
    run = subprocess.run([TERN, *map(str, args)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=patience(240),
                         env=dict(os.environ, LC_ALL="C", **variables))
    return run.returncode, run.stdout.decode(), run.stderr.decode()


class File:
    """The keys of a GGUF file as they stand there, and its tensors: (name, dimensions, type, offset, bytes)."""

    def __init__(self, path):
        self.data, self.at = path.read_bytes(), 8
        n_tensors, n_keys = self.take("<QQ")
        start, self.keys = self.at, n_keys
        for _ in range(n_keys):
            self.text()
            self.skip(*self.take("<I"))
        self.records = self.data[start:self.at]
        infos = []
        for _ in range(n_tensors):
            name = self.text()
            dims = self.take(f"<{self.take('<I')[0]}Q")
            infos.append((name, dims, *self.take("<IQ")))
        begin = -(-self.at // ALIGN) * ALIGN
        ends = sorted(info[3] for info in infos) + [len(self.data) - begin]
        self.tensors = [(name, dims, kind, self.data[begin + at:begin + ends[ends.index(at) + 1]])
                        for name, dims, kind, at in infos]

    def take(self, form):
        values = struct.unpack_from(form, self.data, self.at)
        self.at += struct.calcsize(form)
        return values

    def text(self):
        n, = self.take("<Q")
        self.at += n
        return self.data[self.at - n:self.at]

    def skip(self, kind):
        if kind == STRING:
            self.text()
        elif kind == ARRAY:
            kind, n = self.take("<IQ")
            for _ in range(n):
                self.skip(kind)
        else:
            self.at += NUMBERS[kind]


def key(name, kind, form, value):
    return struct.pack("<Q", len(name)) + name.encode() + struct.pack("<I" + form, kind, value)


def write_part(path, number, of, total, tensors, records=b"", keys=0):
    mine = key("split.no", U16, "H", number) + key("split.count", U16, "H", of) + key("split.tensors.count", I32, "i", total)
    infos, data = b"", b""
    for name, dims, kind, values in tensors:
        infos += struct.pack("<Q", len(name)) + name + struct.pack(f"<I{len(dims)}QIQ", len(dims), *dims, kind, len(data))
        data += values + bytes(-len(values) % ALIGN)
    head = struct.pack("<4sIQQ", b"GGUF", 3, len(tensors), keys + 3) + records + mine + infos
    path.write_bytes(head + bytes(-len(head) % ALIGN) + data)


def split(folder, name, cuts, total=None):
    """Tensors up to each of @cuts, and the rest, in a part each. Returns the first."""
    whole = File(WHOLE)
    ends, n = [0, *cuts, len(whole.tensors)], len(cuts) + 1
    paths = [folder / f"{name}-{i + 1:05}-of-{n:05}.gguf" for i in range(n)]
    for i, path in enumerate(paths):
        write_part(path, i, n, total or len(whole.tensors), whole.tensors[ends[i]:ends[i + 1]], *((whole.records, whole.keys)
                                                                                              if i == 0 else ()))
    return paths[0]


def same(folder, what, first):
    """All that is said of it is what is said of the whole."""
    ids, outs = folder / "ids", []
    ids.write_text("1 5 60 7 8 200 31")
    for path in WHOLE, first:
        out = folder / "logits.npy"
        code, said, error = tern("logits", "--model", path, "--tokens", ids, "--output", out, "--greedy", 8)
        outs.append((code, said, out.read_bytes() if code == 0 else error))
    point(outs[0][0] == 0 and outs[0] == outs[1], f"{what}: the same logits and tokens", outs[1][2][:200])
    code, said, error = tern("inspect", "--json", first)
    one, all = json.loads(tern("inspect", "--json", WHOLE)[1]), json.loads(said or "{}")
    point(code == 0 and [pathlib.Path(p).name for p in all["parts"]] == [p.name
                                                                         for p in sorted(folder.glob(first.name[:-19] + "*"))]
          and all["keys"] == one["keys"] and all["types"] == one["types"]
          and [[t[k] for k in ("name", "type", "shape", "bytes")] for t in all["tensors"]]
          == [[t[k] for k in ("name", "type", "shape", "bytes")] for t in one["tensors"]]
          and all["bytes"] == sum(p.stat().st_size for p in folder.glob(first.name[:-19] + "*")), f"{what}: tern inspect", error)
    code, said, error = tern("inspect", first)
    point(code == 0 and "part 2" in said and " of part 2" in said, f"{what}: tern inspect, as text", said[:300], error)
    for path, name in (WHOLE, "whole.out"), (first, "split.out"):
        code, said, error = tern("quantize", path, folder / name, "--type", "Q8_0")
        point(code == 0, f"{what}: tern quantize {name}", error)
    point((folder / "whole.out").read_bytes() == (folder / "split.out").read_bytes(),
          f"{what}: what is made of it is one file, as of the whole")


def caches(folder, first):
    """What is packed once is found again, of all parts."""
    ids, cache, said = folder / "ids", folder / "cache", []
    for _ in range(2):
        said.append(tern("logits", "--model", first, "--tokens", ids, "--output", folder / "logits.npy", "--greedy", 8,
                         TERN_CACHE_DIR=str(cache)))
    point(said[0][0] == 0 and said[0] == said[1] and len(list(cache.glob("*.tern-pack"))) == 1, "TERN_CACHE_DIR", said)


def folders(folder, first):
    """A folder with a model in parts, and its encoder, is a folder with one model."""
    beside = folder / "models"
    beside.mkdir()
    for path in folder.glob(first.name[:-19] + "*"):
        shutil.copy(path, beside)
    shutil.copy(MMPROJ, beside / "mmproj.gguf")
    picture = DATA / "lfm2vl/ship.png"
    said = [tern("caption", "--max-tokens", 4, picture, TERN_MODEL_PATH=str(beside))]
    said.append(tern("caption", "--max-tokens", 4, "--model", WHOLE, "--mmproj", MMPROJ, picture))
    texts = [json.loads(out)["result"] if code == 0 else error for code, out, error in said]
    point(said[0][0] == 0 and texts[0] == texts[1], "a folder with a model in parts", *texts)


def links(folder, first):
    """As download caches have them: links whose names are those of the parts, to files whose names say nothing."""
    store, names = folder / "store", folder / "names"
    store.mkdir()
    names.mkdir()
    for i, path in enumerate(sorted(folder.glob(first.name[:-19] + "*"))):
        shutil.copy(path, store / f"{i:064x}")
        (names / path.name).symlink_to(f"../store/{i:064x}")
    (folder / "latest.gguf").symlink_to(f"names/{first.name}")
    said = []
    for path in WHOLE, names / first.name, folder / "latest.gguf", folder / "names":
        code, out, error = tern("caption", "--max-tokens", 4, "--model", path, "--mmproj", MMPROJ, DATA / "lfm2vl/ship.png")
        said.append(json.loads(out)["result"] if code == 0 else error)
    point(len(set(said)) == 1, "links to parts, and to such a link", *said)


def kept(folder, first):
    """No part of what is read is written over, whatever it is called."""
    parts = sorted(folder.glob(first.name[:-19] + "*"))
    before = [p.read_bytes() for p in parts]
    (folder / "link.gguf").symlink_to(parts[1])
    for out in parts + [folder / "link.gguf"]:
        for args in (["quantize", first, out, "--type", "Q8_0"], ["tasks", first, out, "--set", "x", "--prompt", "y"]):
            code, said, error = tern(*args)
            point(code == 2 and not said and error.count("\n") == 1 and out.name in error
                  and [p.read_bytes() for p in parts] == before, f"tern {args[0]} over {out.name}", code, error)


def refused(folder, first):
    whole = File(WHOLE)
    n = len(whole.tensors)

    def check(what, path, *words):
        code, out, error = tern("inspect", path)
        point(code == 1 and not out and error.count("\n") == 1 and all(word in error for word in words), f"refused: {what}", code,
              error)

    check("a part that is not the first", str(first).replace("00001-of", "00002-of"), "split.no", "-00001-of-00003.gguf",
          "found part 2")
    other = folder / "another.gguf"
    shutil.copy(first, other)
    check("a first part of another name", other, "split.count", "-00001-of-00003.gguf")
    gone = split(folder, "gone", (3, 9))
    (folder / "gone-00003-of-00003.gguf").unlink()
    check("a part that is missing", gone, "part 3 of 3", "gone-00003-of-00003.gguf", "No such file")
    twice = split(folder, "twice", (3, 9))
    shutil.copy(folder / "twice-00002-of-00003.gguf", folder / "twice-00003-of-00003.gguf")
    check("a part twice", twice, "twice-00003-of-00003.gguf", "split.no", "expected part 3 of 3", "found part 2 of 3")
    check("fewer tensors than are said", split(folder, "fewer", (3,), n + 1), "split.tensors.count", f"expected the {n}",
          f"found {n + 1}")
    again = split(folder, "again", (3,))
    write_part(folder / "again-00002-of-00002.gguf", 1, 2, n, whole.tensors[2:-1])
    check("a tensor in two parts", again, whole.tensors[2][0].decode(), "found twice")
    cut = split(folder, "cut", (3,))
    path = folder / "cut-00002-of-00002.gguf"
    path.write_bytes(path.read_bytes()[:-4096])
    check("a part that is cut off", cut, "part 2 of 2", "truncated")
    loop = split(folder, "loop", (3,))
    (folder / "loop-00002-of-00002.gguf").unlink()
    (folder / "loop-00002-of-00002.gguf").symlink_to(loop)
    check("a part that is the first again", loop, "expected part 2 of 2", "found part 1 of 2")


with tempfile.TemporaryDirectory() as name:
    root = pathlib.Path(name)
    model = split(root, "model", (5, 20))
    same(root, "three parts", model)
    same(root, "keys alone in the first", split(root, "keys", (0,)))
    caches(root, model)
    folders(root, model)
    links(root, model)
    kept(root, model)
    refused(root, model)
plan()
