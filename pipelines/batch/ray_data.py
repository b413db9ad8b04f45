#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Captions files with Ray Data, results as Parquet: each actor keeps one `tern caption` that reads names and answers them, so
that weights are loaded once an actor. What an actor or its program had at hand when it died is done again; a row is written once.

usage: ray_data.py OUTDIR INPUT... [--actors N] [--batch N] [--tern PROGRAM] [-- OPTION...]
    INPUT is a file, a tar file (a row a result of its members) or a folder (as `tern caption` goes through it); OPTIONs go to
    `tern caption`. Needs the package ray[data].
"""
import argparse
import json
import os
import subprocess
import sys
import tempfile
import urllib.parse

TARS = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz", ".tar.zst", ".tzst", ".tar.lz4")


class Captioner:
    """An actor: {"path": [bytes], "found": [in a folder]} -> a row a result, and a row for each file that failed."""

    def __init__(self, program, options):
        self.command = [program, "caption", "--files-from", "-", "--tell-done", "--progress", "none", *options]
        self.process = self.words = None

    def answers(self, paths):
        """Rows of @paths, {bytes: whether it was found in a folder}; None when the program ended over them."""
        if self.process is None:
            self.words = tempfile.TemporaryFile()
            self.process = subprocess.Popen(self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.words)
        rows, left = [], set(paths)
        try:
            self.process.stdin.write(b"".join(path + b"\0" for path in paths))
            self.process.stdin.flush()
        except BrokenPipeError:
            return None
        while left:
            line = self.process.stdout.readline()
            if not line:
                return None
            said = json.loads(line)
            source = urllib.parse.unquote_to_bytes(said["source_bytes"]) if "source_bytes" in said else said["source"].encode()
            if said["kind"] == "done":
                left.discard(source)
                if "error" in said and not (said.get("other") and paths.get(source)):   # a folder's other files are passed over
                    rows.append((said["source"], -1.0, -1.0, "", said["error"]))
            elif said["kind"] != "error":       # that a window failed is said at the end
                rows.append((said["source"], said["start"], said["end"], said["result"], ""))
        return rows

    def last_words(self):
        self.words.seek(max(0, self.words.seek(0, os.SEEK_END) - 500))
        return self.words.read().decode(errors="replace").strip()

    def __call__(self, batch):
        paths = {bytes(path): bool(found) for path, found in zip(batch["path"], batch["found"])}
        for _ in range(3):      # it may have been killed for want of memory: a batch is whole or not there
            rows = self.answers(paths)
            if rows is not None:
                break
            status = self.process.wait()
            self.process = None
        else:
            raise RuntimeError(f"tern ended with {status} over {min(paths)} to {max(paths)}, three times: {self.last_words()}")
        names = ("source", "start", "end", "text", "error")
        return {name: [row[i] for row in rows] for i, name in enumerate(names)}


def find(inputs):
    """Rows of files, each once, as `tern caption` takes them: of folders neither what is hidden, nor pipes, nor tar files."""
    seen = set()
    for name in inputs:
        if not os.path.isdir(name):
            yield {"path": os.fsencode(os.path.abspath(name)), "found": False}
            seen.add(os.path.abspath(name))
        for at, folders, files in os.walk(os.path.abspath(name)):
            folders[:] = sorted(folder for folder in folders if not folder.startswith("."))
            for file in sorted(files):
                path = os.path.join(at, file)
                if not file.startswith(".") and not file.endswith(TARS) and path not in seen and os.path.isfile(path):
                    yield {"path": os.fsencode(path), "found": True}
                    seen.add(path)


def main():
    arguments = sys.argv[1:]
    options = []
    if "--" in arguments:
        at = arguments.index("--")
        arguments, options = arguments[:at], arguments[at + 1:]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("outdir")
    parser.add_argument("inputs", nargs="+")
    parser.add_argument("--actors", type=int, default=2)
    parser.add_argument("--batch", type=int, default=64, help="files that an actor has at hand, and that are done again when "
                        "it dies")
    parser.add_argument("--tern", default="tern")
    given = parser.parse_args(arguments)

    import ray

    ray.init(include_dashboard=False, log_to_driver=False, logging_level="warning")
    context = ray.data.DataContext.get_current()
    context.max_errored_blocks = 0
    context.enable_progress_bars = False
    # Reading and writing need a CPU too, in Ray's counting: without one left for them everything waits for ever.
    share = max(0.1, (ray.cluster_resources().get("CPU", 1) - 1) / given.actors)
    files = ray.data.from_items(list(find(given.inputs)))
    files = files.repartition(max(1, -(-files.count() // given.batch)))
    results = files.map_batches(Captioner, fn_constructor_args=(given.tern, options), batch_size=given.batch,
                                compute=ray.data.ActorPoolStrategy(size=given.actors), num_cpus=share)
    results.write_parquet(os.path.abspath(given.outdir), mode=ray.data.SaveMode.OVERWRITE)
    ray.shutdown()


if __name__ == "__main__":
    main()
