# SPDX-License-Identifier: LGPL-2.1-or-later
"""Cameras that speak RTSP: GStreamer's own server, a process each, on loopback."""
import os
import subprocess

PYTHON = "/usr/bin/python3"     # the system's knows GStreamer
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
factory = GstRtspServer.RTSPMediaFactory(shared=True)
factory.set_launch("( audiotestsrc is-live=true ! audio/x-raw,rate=8000,channels=1 ! rtpL16pay name=pay0 )")
server.get_mount_points().add_factory("/sound", factory)
if not server.attach(None):
    sys.exit("the port is taken")
print(server.get_bound_port(), flush=True)
GLib.MainLoop().run()
"""


def serve(port="0", **env):
    process = subprocess.Popen([PYTHON, "-c", SERVER, port], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                               env=dict(os.environ, **env))
    line = process.stdout.readline()
    if not line:
        raise OSError(process.stderr.read())
    return process, line.strip()


def missing():
    run = subprocess.run([PYTHON, "-c", SERVER.split("server =")[0]], capture_output=True, text=True)
    return run.stderr.splitlines()[-1] if run.returncode else None
