#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Captions files with Ray Data, results as Parquet: each actor keeps one `tern caption` that reads names and answers them, so
that weights are loaded once an actor. What an actor or its program had at hand when it died is done again; a row is written once.

usage: ray_data.py OUTDIR INPUT... [--actors N] [--batch N] [--tern PROGRAM] [-- OPTION...]
    INPUT is a file or a folder (everything in it); OPTIONs go to `tern caption`. Needs the package ray[data].
"""
import argparse
import json
import os
import subprocess
import sys


class Captioner:
    """An actor: {"path": [...]} -> a row a result, and a row for each file that failed."""

    def __init__(self, program, options):
        self.command = [program, "caption", "--files-from", "-", "--tell-done", "--progress", "none", *options]
        self.process = None

    def answers(self, paths):
        """Rows of @paths; None when the program ended over them."""
        if self.process is None:
            self.process = subprocess.Popen(self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        rows, left = [], len(paths)
        try:
            self.process.stdin.write(b"".join(os.fsencode(path) + b"\n" for path in paths))
            self.process.stdin.flush()
        except BrokenPipeError:
            return None
        while left:
            line = self.process.stdout.readline()
            if not line:
                return None
            said = json.loads(line)
            if said["kind"] != "done":
                rows.append((said["source"], said["start"], said["end"], said["result"], ""))
                continue
            left -= 1
            if said.get("error"):
                rows.append((said["source"], -1.0, -1.0, "", said["error"]))
        return rows

    def __call__(self, batch):
        paths = [str(path) for path in batch["path"]]
        for _ in range(3):      # it may have been killed for want of memory: a batch is whole or not there
            rows = self.answers(paths)
            if rows is not None:
                break
            status = self.process.wait()
            self.process = None
        else:
            raise RuntimeError(f"tern ended with {status} over {paths[0]} to {paths[-1]}, three times")
        names = ("source", "start", "end", "text", "error")
        return {name: [row[i] for row in rows] for i, name in enumerate(names)}


def found(inputs):
    for name in inputs:
        if not os.path.isdir(name):
            yield name
        for at, folders, files in os.walk(name):
            folders.sort()
            yield from (os.path.join(at, file) for file in sorted(files) if not file.startswith("."))


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
    files = ray.data.from_items([{"path": os.path.abspath(path)} for path in found(given.inputs)])
    files = files.repartition(max(1, -(-files.count() // given.batch)))
    results = files.map_batches(Captioner, fn_constructor_args=(given.tern, options), batch_size=given.batch,
                                compute=ray.data.ActorPoolStrategy(size=given.actors), num_cpus=share)
    results.write_parquet(os.path.abspath(given.outdir), mode=ray.data.SaveMode.OVERWRITE)
    ray.shutdown()


if __name__ == "__main__":
    main()
