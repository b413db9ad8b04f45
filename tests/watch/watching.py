# SPDX-License-Identifier: LGPL-2.1-or-later
"""`tern watch` as its tests run it: with a configuration of its own, in a folder of its own, and what it remembers."""
import json
import os
import pathlib
import re
import signal
import sqlite3
import struct
import subprocess
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import ports  # noqa: E402,F401
from tap import patience, plan, point, until  # noqa: E402,F401

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
CLIP = ROOT / "pipelines/data/people.mp4"
DATA = ROOT / "tests/golden/data"
MODEL = f"model={DATA}/lfm2/lfm2-tq2_0.gguf\nmmproj={DATA}/lfm2vl/mmproj-ship-q8_0.gguf\n"
# Of the clip, whose video lasts 24 s.
WINDOWS = 6


def whole_lines(path):
    with open(path) as file:
        return file.read().rpartition("\n")[0].splitlines()


class Watch:
    """One folder with a configuration, and the processes that watch by it."""

    def __init__(self, tern, folder, text, general=""):
        self.tern, self.folder = tern, pathlib.Path(folder)
        self.config, self.memory, self.said = self.folder / "w.conf", self.folder / "m.db", self.folder / "said"
        self.configure(text, general)
        self.process, self.env = None, dict(os.environ, GST_REGISTRY=str(self.folder / "registry.bin"))
        self.env.pop("NOTIFY_SOCKET", None)
        self.env.setdefault("HOME", str(self.folder))   # where none is, the C library asks others for it, by a socket

    def configure(self, text, general=""):
        self.config.write_text(f"[watch]\nmemory=m.db\n{MODEL}{general}\n{text}")

    def start(self, **env):
        with self.said.open("a") as said:
            self.process = subprocess.Popen([self.tern, "watch", "--config", self.config], stderr=said,
                                            env=dict(self.env, **env))
        return self

    def end(self, number=signal.SIGTERM):
        """Its exit status; of what it says nothing is lost."""
        self.process.send_signal(number)
        return self.wait()

    def wait(self, seconds=600):
        try:
            return self.process.wait(patience(seconds))
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            return f"still there after {seconds} s; it said:\n{self.words()}"

    def run(self):
        self.start()
        return self.wait()

    def words(self):
        return self.said.read_text()

    def rows(self, sql="SELECT camera, number, text, run FROM result ORDER BY id"):
        """Of the memory, by SQLite itself; none while there is no memory."""
        if not self.memory.exists():
            return []
        connection = sqlite3.connect(self.memory, timeout=patience(60))
        try:
            return connection.execute(sql).fetchall()
        except sqlite3.OperationalError:
            return []           # no tables yet
        finally:
            connection.close()

    def count(self):
        found = self.rows("SELECT count(*) FROM result")
        return found[0][0] if found else 0

    def lines(self, name="log.jsonl"):
        """Those that are whole: one may just be written."""
        path = self.folder / name
        return [json.loads(line) for line in whole_lines(path)] if path.exists() else []


class Clock:
    """A clock on the wall that is set at any moment (tests/watch/clock.c), of processes with its `env`."""

    def __init__(self, library, path):
        self.path = pathlib.Path(path)
        self.env = {"LD_PRELOAD": str(library), "TERN_TEST_CLOCK": str(self.path)}
        self.path.write_bytes(bytes(8))

    def set(self, seconds):
        """Ahead of what it was at first."""
        with self.path.open("r+b") as file:
            file.write(struct.pack("=q", round(seconds * 1e6)))


def camera(name="porch", more="", source=CLIP):
    return f"[camera {name}]\nsource={source}\npace=false\n{more}\n"


def plain_word(texts):
    """A word of them: the models of these tests say much that is none, on each machine something else."""
    return re.search(r"\b[A-Za-z]{5,}\b", " ".join(texts)).group()


def finish(watch):
    """Whatever happened, nothing goes on."""
    if watch.process and watch.process.poll() is None:
        watch.process.kill()
        watch.process.wait()
