# SPDX-License-Identifier: LGPL-2.1-or-later
"""`tern watch` with cameras that speak RTSP and are cut off, by GStreamer's own server on loopback. Prints TAP.

usage: rtsp.py TERN CLOCK
"""
import re
import socket
import sys
import tempfile
import threading
import time

from cameras import missing, serve
from watching import Clock, Watch, finish, plan, point, ports, until

tern, clock_library = sys.argv[1:]
CUTS = 3
WINDOW = 10 ** 6


def microseconds():
    return time.time_ns() // 1000


def losses(watch):
    """What is said of the camera that is cut off since it was last said to be watched."""
    return re.findall(r"camera cut: (.*); (?:.*, )?another try", watch.words().rpartition("camera cut: watching")[2])


class Refusal:
    """Who answers at a port and hangs up, again and again."""

    def __init__(self, port):
        self.times, self.socket = [], socket.create_server(("127.0.0.1", port))
        threading.Thread(target=self.refuse, daemon=True).start()

    def refuse(self):
        while True:
            try:
                connection = self.socket.accept()[0]
            except OSError:
                return
            self.times.append(time.monotonic())
            connection.close()

    def tries(self):
        """When they began: one may connect again at once."""
        times = list(self.times)
        return [at for at, before in zip(times, [0, *times]) if at - before > .5]

    def end(self):
        self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()


def cut(folder, servers):
    # The second one is away again and again, and must come back where it was.
    where = [ports.port(), ports.port()]
    servers += [serve(str(port))[0] for port in where]
    watch = Watch(tern, folder, "".join(f"[camera {name}]\nsource=rtsp://127.0.0.1:{port}/camera\nwindow=1s\nframe-rate=4/1\n"
                                        for name, port in zip(("steady", "cut"), where)))
    watch.start()
    try:
        def count(name):
            return sum(row[0] == name for row in watch.rows())

        until(lambda: count("steady") > 1 and count("cut") > 1, "windows of both")
        point(True, "two cameras are watched")
        for turn in range(CUTS):
            servers[1].kill()
            servers[1].wait()
            until(lambda: losses(watch), "the loss")
            if turn == CUTS - 1:
                refusal = Refusal(where[1])
                # At once, after 1 s, 2 s, and 4 s from then on.
                until(lambda: len(refusal.tries()) > 4, "further tries")
                refusal.end()
                apart = [b - a for a, b in zip(refusal.tries(), refusal.tries()[1:])]
                point(apart[-1] > 2, "a camera that is away is tried for again, every 4 s at last", apart)
                point(len(losses(watch)) == len(set(losses(watch))), "and each reason is said once", losses(watch))
            steady = count("steady")
            until(lambda: count("steady") > steady + 1, "the other one to go on")
            servers[1] = serve(str(where[1]))[0]
            before = count("cut")
            # For longer than what counts as a connection that lasts.
            until(lambda: count("cut") > before + 6, "the one that was cut off")
        again = watch.words().count("camera cut: watching again after ")
        point(again == CUTS, f"one is cut off {CUTS} times, and watched again each time", watch.words())
        # A machine that is busy otherwise may have too much to look at.
        said = [line for line in watch.words().splitlines() if "camera steady: " in line
                and not line.endswith((": watching", "machine can"))]
        point(not said, "the other one does not notice",
              watch.words())
        point(watch.end() == 0, "and it ends", watch.words())
        numbers = {}
        for name, number, *_ in watch.rows():
            numbers.setdefault(name, []).append(number)
        point(all(n == list(range(len(n))) for n in numbers.values()), "every window is in the memory once", numbers)
        starts = watch.rows("SELECT start FROM result WHERE camera = 'steady' ORDER BY number")
        gaps = [b[0] - a[0] for a, b in zip(starts, starts[1:])]
        point(all(gap > 0 for gap in gaps), "and later ones began later", gaps)
        unseen(watch)
    finally:
        finish(watch)


def unseen(watch):
    """What nobody looked at while the camera was away, and while nobody watched, is in the memory."""
    def spans(name):
        return watch.rows(f"SELECT reason, start, end, windows FROM unseen WHERE camera = '{name}' ORDER BY start")

    away = [row for row in spans("cut") if row[0] == "away"]
    # Before the last return there were five tries, four of them apart by 1, 2, 4 and 4 s.
    point(any(row[2] - row[1] > 7e6 and row[3] >= 7 for row in away), "how long the camera was away is in the memory", spans("cut"))
    last = watch.rows("SELECT max(end) FROM result WHERE camera = 'steady'")[0][0]
    before = watch.rows("SELECT count(*) FROM result WHERE camera = 'steady'")[0][0]
    # It has ended already, and begins long enough after that to be told from one window that is late.
    ended = microseconds()
    time.sleep(2)
    begun = microseconds()
    watch.start()
    until(lambda: watch.rows("SELECT count(*) FROM result WHERE camera = 'steady'")[0][0] > before + 1, "more windows of this one")
    point(watch.end() == 0, "it is begun again", watch.words())
    off = [row for row in spans("steady") if row[0] == "off"]
    # A machine that is busy may have answered the last window long before the end; from there on it is overloaded, not off.
    point(len(off) == 1 and last <= off[0][1] <= ended + WINDOW and off[0][2] >= begun, "and so is the time in which it did "
          "not run", off, last, ended, begun)


def odd_clock(folder, servers):
    """Cameras with clocks of their own, which begin to be known in the middle of a connection: times are this machine's."""
    text, apart = "[lines log]\npath=log.jsonl\n", {"behind": -40 * 86400, "ahead": 3 * 3600, "right": 0}
    for name, seconds in apart.items():
        clock = Clock(clock_library, f"{folder}/{name}")
        clock.set(seconds)
        process, port = serve(**clock.env)
        servers.append(process)
        text += f"[camera {name}]\nsource=rtsp://127.0.0.1:{port}/camera\nwindow=1s\nframe-rate=4/1\n"
    watch = Watch(tern, folder, text)
    begun = microseconds()
    watch.start()
    try:
        # Until they are known, and then some windows.
        until(lambda: watch.words().count("the camera's clock is") == 2, "clocks that are told of")
        told = watch.count()
        until(lambda: watch.count() >= told + 9, "windows after that")
        point(watch.end() == 0, "cameras with odd clocks are watched", watch.words())
        ended = microseconds()
        rows = watch.rows("SELECT camera, start, end FROM result ORDER BY id")
        point(all(begun - WINDOW < start < end < ended + WINDOW for _, start, end in rows), "and times are this machine's", begun,
              ended, rows)
        point(all(a[1] < b[1] for name in apart for part in [[r for r in rows if r[0] == name]] for a, b in zip(part, part[1:])),
              "which go on as they do", rows)
        said = [line for line in watch.words().splitlines() if "the camera's clock is" in line]
        point(len(said) == 2 and any("behind: the camera's clock is 40 d behind this machine's" in line for line in said)
              and any("ahead: the camera's clock is 3 h ahead of this machine's" in line for line in said),
              "each is told of once, and not the one that is right", said)
    finally:
        finish(watch)


def sound_only(folder, servers):
    """A stream without video is told of as one, once, and asked for again: it may get some."""
    process, port = serve()
    servers.append(process)
    watch = Watch(tern, folder, f"[camera sound]\nsource=rtsp://127.0.0.1:{port}/sound\n[camera there]\n"
                  f"source=rtsp://127.0.0.1:{port}/camera\nwindow=1s\nframe-rate=4/1\n")
    watch.start()
    try:
        until(lambda: "camera sound: " in watch.words(), "what is wrong")
        until(lambda: watch.count() > 8, "time for other tries")
        point(watch.end() == 0, "it is no matter of another camera", watch.words())
        said = [line for line in watch.words().splitlines() if "camera sound: " in line]
        point(said == ["tern: camera sound: the stream has no video; another try at once"], "a stream that has no video is told of",
              watch.words())
    finally:
        finish(watch)


why = missing()
if why:
    point(True, "cameras that speak RTSP", skip=why)
else:
    for test in cut, odd_clock, sound_only:
        with tempfile.TemporaryDirectory(prefix="tern-rtsp-") as place:
            running = []
            try:
                test(place, running)
            except (TimeoutError, OSError) as error:
                said = f"{place}/said"
                point(False, f"{test.__name__} comes to its end", error, open(said).read())
            finally:
                for process in running:
                    process.kill()
plan()
