#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What `tern caption` costs over many inputs: memory while files go by, its rate beside that of the same engine fed from
memory, and whether its cores are busy. Prints a line a figure. Not a test: it takes minutes, and speeds are only to be
compared within one run.

usage: bench/batch.py memory [--files N] [--tern PROGRAM] [-- OPTION...]      tiny files, RSS from the 1,000th to the last
       bench/batch.py rate FOLDER [--threads N] [--rounds N] [--tern PROGRAM] [-- OPTION...]
           FOLDER: photographs. In turns: one after the other (--jobs 1), as many at once as it takes, and from memory: one tar
           that lies in a tmpfs.
"""
import argparse
import json
import os
import pathlib
import random
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent


def resident(pid):
    for line in open(f"/proc/{pid}/status", encoding="ascii"):
        if line.startswith("VmRSS"):
            return int(line.split()[1])
    return 0


def memory(given, options):
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name) / "tiny"
        folder.mkdir()
        for i in range(given.files):
            value = random.Random(i).randrange(256)
            (folder / f"{i:07}.ppm").write_bytes(b"P6\n16 16\n255\n" + bytes([value, i % 256, i // 256 % 256]) * 256)
        out = pathlib.Path(name) / "lines"
        process = subprocess.Popen([given.tern, "caption", "--resume", "--output", str(out), "--max-tokens", "1", *options, str(folder)])
        marks = [mark for mark in (1000, 10000, 20000, 50000, 100000) if mark < given.files]
        seen, last, lines = [], 0, 0
        with opened(out) as reader:
            while process.poll() is None:
                lines += reader.read().count("\n")
                last = resident(process.pid) or last
                while len(seen) < len(marks) and lines >= marks[len(seen)]:
                    print(f"{marks[len(seen)]} files: {last} KiB resident", flush=True)
                    seen.append(last)
                time.sleep(0.2)
        if process.returncode != 0 or not seen:
            raise SystemExit(f"memory: expected exit status 0 and more than 1000 files, found {process.returncode} and {lines}")
        print(f"{given.files} files: {last} KiB resident at the end: {100 * (last - seen[0]) / seen[0]:+.2f} % since the 1,000th")


def opened(path):
    while not path.exists():
        time.sleep(0.05)
    return open(path, "r", encoding="utf-8", errors="replace")


def run(given, options, *args):
    began = time.monotonic()
    said = subprocess.run([given.tern, "caption", "--progress", "json", "--threads", str(given.threads), "--output", "/dev/null", *options,
                           *args], stderr=subprocess.PIPE, check=True, text=True).stderr
    end = json.loads(said.splitlines()[-1])
    return end["done"] / (time.monotonic() - began), end["cores_busy"]


def rate(given, options):
    folder = given.folder
    with tempfile.TemporaryDirectory(dir="/dev/shm") as name:
        tar = os.path.join(name, "all.tar")
        with tarfile.open(tar, "w") as archive:
            for entry in sorted(os.listdir(folder)):
                archive.add(os.path.join(folder, entry), entry)
        ways = {"--jobs 1": ["--jobs", "1", folder], "at once": [folder], "from memory": [tar]}
        got = {way: [] for way in ways}
        for _ in range(given.rounds):
            for way, args in ways.items():
                got[way].append(run(given, options, *args))
    for way, values in got.items():
        print(f"{way}: {statistics.median(v[0] for v in values):.1f} files a second, {statistics.median(v[1] for v in values):.2f} cores busy")
    print("at once / from memory: %.3f, / --jobs 1: %.3f" % tuple(
        statistics.median(v[0] for v in got["at once"]) / statistics.median(v[0] for v in got[other]) for other in ("from memory", "--jobs 1")))


def main():
    arguments = sys.argv[1:]
    options = []
    if "--" in arguments:
        at = arguments.index("--")
        arguments, options = arguments[:at], arguments[at + 1:]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["memory", "rate"])
    parser.add_argument("folder", nargs="?")
    parser.add_argument("--files", type=int, default=200000)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--tern", default=str(ROOT / "build/tools/tern"))
    given = parser.parse_args(arguments)
    if given.what == "rate" and not given.folder:
        parser.error("rate: expected a folder of photographs, found none")
    (memory if given.what == "memory" else rate)(given, options)


if __name__ == "__main__":
    main()
