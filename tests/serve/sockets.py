# SPDX-License-Identifier: LGPL-2.1-or-later
"""Which sockets programs open, by strace: `tern caption` none, `tern serve` the one that it was told to listen at, also while
it answers. Prints TAP; skipped where strace is not installed or may not trace.

usage: sockets.py TERN MODELS_FOLDER
"""
import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
from server import HERE, Server, picture  # noqa: E402
from tap import plan, point  # noqa: E402

TERN, MODELS = os.path.abspath(sys.argv[1]), pathlib.Path(sys.argv[2]).resolve()
MODEL = ["--model", MODELS / "tern-captioner-4m-tq2_0.gguf"]
# By seccomp: only these calls are stopped, the others cost nothing.
TRACE = ["strace", "-f", "--seccomp-bpf", "-qq", "-e", "trace=socket,connect,bind,sendto"]


def sockets(log):
    """Those that reach beyond this process, by family."""
    return [line for line in pathlib.Path(log).read_text().splitlines()
            if re.search(r"\b(socket|connect|bind)\(", line) and "AF_UNIX" not in line and "AF_NETLINK" not in line]


def may_trace():
    try:
        return subprocess.run([*TRACE, "true"], capture_output=True).returncode == 0
    except FileNotFoundError:
        return False


def check(folder):
    log = folder / "caption"
    run = subprocess.run([*TRACE, "-o", log, TERN, "caption", *map(str, MODEL), str(HERE / "street.jpg")], capture_output=True,
                         text=True)
    point(run.returncode == 0 and run.stdout and sockets(log) == [], "tern caption opens none", run.stderr, sockets(log))
    log = folder / "serve"
    s = Server(TERN, *MODEL, "--prompt", "ignored", "--threads", 1, before=[*TRACE, "-o", log])
    try:
        s.ready()
        s.chat(picture())
        # Asked for by name: a picture from elsewhere is not fetched.
        s.chat({"type": "image_url", "image_url": {"url": "http://127.0.0.2/x.jpg"}})
        found = sockets(log)
        bound = [line for line in found if "bind(" in line]
        point(len(bound) == 1 and 'inet_addr("127.0.0.1")' in bound[0], "tern serve binds what it was told to", *found)
        point(not [line for line in found if "connect(" in line], "and connects to nothing", *found)
    finally:
        os.killpg(s.process.pid, signal.SIGKILL)         # strace by itself would leave the server behind
        s.process.wait()


if may_trace():
    with tempfile.TemporaryDirectory() as name:
        check(pathlib.Path(name))
else:
    point(True, "sockets that are opened", skip="strace is not installed, or may not trace")
plan()
