#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""`tern watch` for a long time: cameras on a real RTSP server, each cut off three times, the broker away for a sixth of the
time (or --away), the process killed in the middle. What was due is in the memory once, and all that was told at the broker once and in
order, or that is said and the exit status is 1.

usage: watch.py TERN [--cameras N] [--minutes M] [--away M] [--down S] [--model F --mmproj F]
                (8 cameras, 60 minutes, the broker away for 10 of them, a camera for 3 s, the bundled model)
"""
import argparse
import pathlib
import random
import signal
import statistics
import sys
import tempfile
import threading
import time

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "tests/watch"))
import watching  # noqa: E402
from brokers import MISSING, Broker, Proxy, Recorder, without_id  # noqa: E402
from cameras import missing, serve  # noqa: E402

WINDOW, CUTS = 4.0, 3        # s, each


def settings(port):
    return (f"[mqtt]\nhost=127.0.0.1\nport={port}\n[rule words]\nwords=man;dog;woman;girl;boy;people\nwindows=2\n"
            "[lines log]\npath=log.jsonl\n")


def schedule(options):
    """(when, what, which), in order: cuts of cameras, the broker's absence, the kill."""
    random.seed(1)
    seconds = options.minutes * 60
    away = options.away * 60 or seconds / 6
    plan = [(seconds / 3, "broker goes", 0), (seconds / 3 + away, "broker comes", 0), (seconds * .75, "kill", 0)]
    for camera in range(options.cameras):
        for cut in range(CUTS):
            at = seconds * (.1 + .28 * cut + .02 * random.random())
            plan += [(at, "camera goes", camera), (at + options.down, "camera comes", camera)]
    return sorted(plan)


class Sayings(threading.Thread):
    """When the process said what: (time, line), as it comes."""

    def __init__(self, watch):
        super().__init__(daemon=True)
        self.watch, self.found, self.over = watch, [], threading.Event()

    def run(self):
        begin = 0
        while not self.over.wait(.1):
            lines = self.watch.words()[begin:].rpartition("\n")[0]
            self.found += [(time.time(), line) for line in lines.splitlines()]
            begin += len(lines) + 1 if lines else 0

    def after(self, at, line):
        return min((when for when, said in self.found if when > at and line in said), default=float("inf"))


def memory_of(process):
    for line in open(f"/proc/{process.pid}/status"):
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    return 0


def drive(options, watch, servers, ports, proxy):
    """Does what is planned; when cameras came back."""
    came, began = [], time.time()
    for at, what, which in schedule(options):
        time.sleep(max(0, began + at - time.time()))
        if what == "camera goes":
            servers[which].kill()
            servers[which].wait()
        elif what == "camera comes":
            servers[which], _ = serve(ports[which])
            came.append((f"cam{which}", time.time()))
        elif what == "broker goes":
            proxy.cut()
        elif what == "broker comes":
            proxy.mend()
        else:
            watch.end(signal.SIGKILL)
            watch.start()
    time.sleep(max(0, began + options.minutes * 60 - time.time()))
    return came


def report(options, watch, recorder, sayings, came, rss):
    rows = watch.rows("SELECT camera, run, number, start / 1e6, end / 1e6, fresh FROM result ORDER BY camera, id")
    doubled = missing_rows = breaks = 0
    for name in sorted({row[0] for row in rows}):
        mine = [row for row in rows if row[0] == name]
        for run in {row[1] for row in mine}:
            numbers = [row[2] for row in mine if row[1] == run]
            doubled += len(numbers) - len(set(numbers))
            missing_rows += max(numbers) + 1 - len(set(numbers))
        breaks += sum(b[3] - a[3] > 1.5 * WINDOW for a, b in zip(mine, mine[1:]))
    back = [min((row[3] - at for row in rows if row[0] == name and row[3] > at - 1), default=float("inf")) for name, at in came]
    told, lines = recorder.told(), watch.lines()
    same = without_id(told) == without_id(lines)
    expected = options.cameras * (CUTS + 1)
    print(f"cameras, minutes                                  {options.cameras}, {options.minutes:g}")
    print(f"windows in the memory                             {len(rows)}, of which {sum(row[5] for row in rows)} had "
          f"something new")
    shares = [sum(row[0] == f"cam{i}" for row in rows) for i in range(options.cameras)]
    print(f"windows of a camera, fewest and most              {min(shares)}, {max(shares)}")
    print(f"missing, doubled                                  {missing_rows}, {doubled}")
    print(f"breaks between windows (cuts and the kill: {expected})    {breaks}")
    seen = [sayings.after(at, f"camera {name}: watching") - at for name, at in came]
    left_out = sum(line.endswith("than this machine can") for _, line in sayings.found)
    print(f"from a camera's return until it is watched        {statistics.median(seen):.1f} s, {max(seen):.1f} at most, of "
          f"{len(seen)}")
    print(f"from a camera's return to its next window         {statistics.median(back):.1f} s, {max(back):.1f} at most")
    print(f"connections of which windows were left out        {left_out}")
    print(f"told the broker, told by lines                    {len(told)}, {len(lines)}: "
          f"{'the same, in order' if same else 'NOT the same'}")
    print(f"memory of the process, first and last             {rss[0]:.0f}, {rss[1]:.0f} MiB")
    lost = missing_rows or doubled or not same
    late = breaks > expected or max(back) > 10
    print("verdict                                          ", "LOST: something that was answered is not there, or twice" if lost
          else "good" if not late
          else "OVERLOAD: nothing was lost, but this machine did not look at all that was due" if left_out
          else "LATE: windows are missing though nothing was left out")
    return not lost and not late


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tern")
    parser.add_argument("--cameras", type=int, default=8)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--away", type=float, default=0)
    parser.add_argument("--down", type=float, default=3)
    parser.add_argument("--model")
    parser.add_argument("--mmproj")
    options = parser.parse_args()
    why = missing() or (MISSING and f"no {MISSING[0]}")
    if why:
        sys.exit(f"watch.py: {why}")
    watching.MODEL = "".join(f"{key}={value}\n" for key, value in (("model", options.model), ("mmproj", options.mmproj)) if value)
    with tempfile.TemporaryDirectory(prefix="tern-bench-watch-") as folder:
        servers, ports = map(list, zip(*(serve() for _ in range(options.cameras))))
        broker = Broker(folder)
        recorder, proxy = Recorder(broker, "all"), Proxy(broker)
        watch = watching.Watch(options.tern, folder, "".join(
            f"[camera cam{i}]\nsource=rtsp://127.0.0.1:{port}/camera\nwindow={WINDOW:g}s\n" for i, port in enumerate(ports))
            + settings(proxy.port))
        try:
            watch.start()
            sayings = Sayings(watch)
            sayings.start()
            watching.until(lambda: watch.count() >= options.cameras, "windows of all cameras")
            first = memory_of(watch.process)
            came = drive(options, watch, servers, ports, proxy)
            last = memory_of(watch.process)
            for server in servers:
                server.kill()
            watching.until(lambda: len(recorder.told()) >= len(watch.lines()), "the rest of what is told")
            watch.end()
            watching.until(lambda: len(recorder.told()) >= len(watch.lines()), "the last of what is told")
            sayings.over.set()
            sayings.join()
            good = report(options, watch, recorder, sayings, came, (first, last))
        finally:
            watching.finish(watch)
            for process in (*servers, recorder.process, broker.process):
                process.kill()
    sys.exit(not good)


main()
