# SPDX-License-Identifier: LGPL-2.1-or-later
"""`tern watch` with cameras that speak RTSP and are cut off, by GStreamer's own server on loopback. Prints TAP.

usage: rtsp.py TERN
"""
import re
import sys
import tempfile

from cameras import missing, serve
from watching import Watch, finish, plan, point, until

tern = sys.argv[1]
CUTS = 3
TRIES = ["at once", "in 1 s", "in 2 s", "in 4 s", "in 4 s"]


def tries(watch):
    """After the last picture of the camera that is cut off."""
    return re.findall(r"camera cut: .*; another try (.*)", watch.words().rpartition("camera cut: watching")[2])


def cut(folder, servers):
    ports = []
    for _ in range(2):
        process, port = serve()
        servers.append(process)
        ports.append(port)
    watch = Watch(tern, folder, "".join(f"[camera {name}]\nsource=rtsp://127.0.0.1:{port}/camera\nwindow=1s\nframe-rate=4/1\n"
                                        for name, port in zip(("steady", "cut"), ports)))
    watch.start()
    try:
        def count(name):
            return sum(row[0] == name for row in watch.rows())

        until(lambda: count("steady") > 1 and count("cut") > 1, "windows of both")
        point(True, "two cameras are watched")
        for turn in range(CUTS):
            servers[1].kill()
            servers[1].wait()
            until(lambda: watch.words().count("camera cut: ") - watch.words().count("camera cut: watching") > turn, "the loss")
            if turn == CUTS - 1:
                until(lambda: len(tries(watch)) >= len(TRIES), "further tries")
                point(tries(watch)[:len(TRIES)] == TRIES, "a camera that is away is tried for again, at once and every 4 s at last",
                      tries(watch))
            steady = count("steady")
            until(lambda: count("steady") > steady + 1, "the other one to go on")
            servers[1], _ = serve(ports[1])
            before = count("cut")
            # For longer than what counts as a connection that lasts.
            until(lambda: count("cut") > before + 6, "the one that was cut off")
        point(True, f"one is cut off {CUTS} times, and watched again each time")
        point("camera steady" not in watch.words().replace("camera steady: watching", ""), "the other one does not notice",
              watch.words())
        point(watch.end() == 0, "and it ends", watch.words())
        numbers = {}
        for name, number, *_ in watch.rows():
            numbers.setdefault(name, []).append(number)
        point(all(n == list(range(len(n))) for n in numbers.values()), "every window is in the memory once", numbers)
        starts = watch.rows("SELECT start FROM result WHERE camera = 'steady' ORDER BY number")
        gaps = [b[0] - a[0] for a, b in zip(starts, starts[1:])]
        point(all(gap > 0 for gap in gaps), "and later ones began later", gaps)
    finally:
        finish(watch)


why = missing()
if why:
    point(True, "cameras that speak RTSP", skip=why)
else:
    with tempfile.TemporaryDirectory(prefix="tern-rtsp-") as place:
        running = []
        try:
            cut(place, running)
        except (TimeoutError, OSError) as error:
            said = f"{place}/said"
            point(False, "comes to its end", error, open(said).read())
        finally:
            for process in running:
                process.kill()
plan()
