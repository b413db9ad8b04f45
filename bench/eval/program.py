# SPDX-License-Identifier: LGPL-2.1-or-later
"""The built program, asked about many files by one process.

Files go in under numbers (links in a folder of their own): so names that are no UTF-8, that are long or that two folders
share can be no trouble, and thousands fit into a command line. What comes out is JSON lines (docs/metadata.md).
"""
import hashlib
import json
import os
import shutil
import struct
import subprocess
import sys
import tempfile
import zlib

import tables

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
AT_ONCE = 20000


def find(path):
    """The program at `path`, or that of this checkout's build, or the installed one."""
    for candidate in [path] if path else [os.path.join(ROOT, "build", "tools", "tern"), shutil.which("tern")]:
        if candidate and os.access(candidate, os.X_OK):
            return os.path.abspath(candidate)
    raise tables.Wrong(f"--tern: expected the program, found none at {path or 'build/tools/tern nor in PATH'}; "
                       "`ninja -C build tools/tern` builds it")


def digest(path):
    with open(path, "rb") as f:
        return hashlib.sha256(f.read()).hexdigest()


class Program:
    def __init__(self, tern=None, model=None, mmproj=None, options=()):
        """`options`: more of `tern caption`'s. Without a model the program takes the one that it finds by itself."""
        self.tern, self.model, self.mmproj, self.options = find(tern), model, mmproj, list(options)
        self.failed = 0         # files about which nothing came out

    def arguments(self):
        pairs = [(name, path) for name, path in (("--model", self.model), ("--mmproj", self.mmproj)) if path]
        return [part for name, path in pairs for part in (name, os.path.abspath(path))]

    def origin(self):
        """What ran, for a report."""
        return {os.path.basename(p): digest(p) for p in (self.model, self.mmproj) if p}

    def ask(self, paths, *more):
        """For each path the list of its results, in the order of time; empty where none came."""
        out = [[] for _ in paths]
        for first in range(0, len(paths), AT_ONCE):
            part = paths[first:first + AT_ONCE]
            with tempfile.TemporaryDirectory(prefix="tern-eval-") as folder:
                for i, path in enumerate(part):
                    os.symlink(os.path.abspath(path), os.path.join(folder, str(i)))
                for record in self.run(folder, ["caption", "--format", "jsonl", *self.arguments(), *self.options, *more,
                                                *map(str, range(len(part)))]):
                    if record.get("kind") != "error":
                        out[first + int(record["source"])].append(record)
        self.failed += sum(not records for records in out)
        return out

    def run(self, folder, arguments):
        """The JSON lines of one process. Its messages pass through; status 1 says that some input failed."""
        done = subprocess.run([self.tern, *arguments], stdout=subprocess.PIPE, cwd=folder)
        if done.returncode not in (0, 1):
            raise tables.Wrong(f"{self.tern} {arguments[0]}: expected status 0 or 1, found {done.returncode}")
        try:
            return [json.loads(line) for line in done.stdout.splitlines() if line.strip()]
        except ValueError as error:
            raise tables.Wrong(f"{self.tern} {arguments[0]}: expected JSON lines, found {error}") from None


def grey(path, side=224, level=127):
    """A PNG of one grey: what the program is shown where it is to see nothing."""
    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    rows = (b"\0" + bytes([level]) * side) * side
    with open(path, "wb") as f:
        f.write(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0))
                + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))
    return path


def say(text):
    print(text, file=sys.stderr, flush=True)


def status(main):
    """What `main` returns, for sys.exit(); what the user has to put right, a package among it, is said, and is 2."""
    name = os.path.basename(sys.argv[0])
    try:
        return main()
    except tables.Wrong as wrong:
        say(f"{name}: {wrong}")
    except ImportError as error:
        say(f"{name}: {error}: `pip install -r bench/eval/requirements.txt` brings it")
    return 2
