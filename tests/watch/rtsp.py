# SPDX-License-Identifier: LGPL-2.1-or-later
"""`tern watch` with cameras that speak RTSP and are cut off, by GStreamer's own server on loopback. Prints TAP.

usage: rtsp.py TERN
"""
import subprocess
import sys
import tempfile

from watching import Watch, finish, plan, point, until

tern = sys.argv[1]
PYTHON = "/usr/bin/python3"     # the system's knows GStreamer
CUTS = 3
SERVER = """
import sys
import gi
gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer
Gst.init(None)
server = GstRtspServer.RTSPServer(address="127.0.0.1", service=sys.argv[1])
factory = GstRtspServer.RTSPMediaFactory(shared=True)
factory.set_launch("( videotestsrc is-live=true pattern=ball ! video/x-raw,format=I420,width=320,height=240,framerate=10/1"
                   " ! jpegenc ! rtpjpegpay name=pay0 )")
server.get_mount_points().add_factory("/camera", factory)
if not server.attach(None):
    sys.exit("the port is taken")
print(server.get_bound_port(), flush=True)
GLib.MainLoop().run()
"""


def serve(port="0"):
    process = subprocess.Popen([PYTHON, "-c", SERVER, port], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    line = process.stdout.readline()
    if not line:
        raise OSError(process.stderr.read())
    return process, line.strip()


def missing():
    run = subprocess.run([PYTHON, "-c", SERVER.split("server =")[0]], capture_output=True, text=True)
    return run.stderr.splitlines()[-1] if run.returncode else None


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
            steady = count("steady")
            until(lambda: count("steady") > steady + 1, "the other one to go on")
            servers[1], _ = serve(ports[1])
            before = count("cut")
            until(lambda: count("cut") > before + 1, "the one that was cut off")
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
