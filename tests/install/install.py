# SPDX-License-Identifier: LGPL-2.1-or-later
"""Installs the build into a temporary folder and uses it from there as somebody does who has only that: pkg-config finds
the library, a C program is built and runs, GStreamer finds the elements, `tern` and all of these find the installed model.
Prints TAP. Nothing outside of the temporary folder is touched; tests/install/bare.sh tries README's lines in a bare system.

usage: install.py BUILD CC PREFIX LIBDIR DATADIR MESON
"""
import json
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from tap import plan, point  # noqa: E402

here = pathlib.Path(__file__).resolve().parent
build, cc, prefix, libdir, datadir, meson = sys.argv[1:]


def run(command, env):
    done = subprocess.run([str(word) for word in command], env=env, text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)
    return done.returncode, done.stdout


def environment(work):
    """Nothing of the build folder, of `meson devenv` or of the machine's own installation leads the way."""
    env = {key: value for key, value in os.environ.items()
           if not re.match(r"TERN_|GST_|PKG_CONFIG|LD_|MESON|G_DEBUG|DESTDIR", key)}
    return dict(env, GST_REGISTRY=str(work / "registry"), HOME=str(work), XDG_CACHE_HOME=str(work))


def library(work, place, env):
    name = f"pkg-config finds tern-1.0 in {libdir}/pkgconfig"
    if not shutil.which("pkg-config"):
        for name in (name, "programs in C and C++ are built from what is installed, and run"):
            point(False, name, skip="no pkg-config")
        return
    env = dict(env, PKG_CONFIG_PATH=str(place / libdir / "pkgconfig"))
    status, flags = run(["pkg-config", "--cflags", "--libs", "tern-1.0"], env)
    point(status == 0 and any(str(place) in flag for flag in shlex.split(flags)), name, flags)
    client = work / "client"
    strict = ["-Wall", "-Wextra", "-Wpedantic", "-Werror", here / "client.c", "-o", client, *shlex.split(flags)]
    for compiler in ("g++", "clang++"):
        name = f"{compiler} builds the same program as C++11"
        if not shutil.which(compiler):
            point(False, name, skip="no such compiler")
            continue
        status, text = run([compiler, "-xc++", "-std=c++11", *strict], env)
        point(status == 0, name, text)
    status, text = run([*shlex.split(cc), "-std=c11", *strict], env)
    if status == 0:
        # The folder that ldconfig knows once this is /usr/local.
        status, text = run([client], dict(env, LD_LIBRARY_PATH=str(place / libdir)))
    lines = text.splitlines()
    found = status == 0 and lines[0].startswith(f"model {place / datadir}/tern/models/") and json.loads(lines[1])["result"]
    point(found, "a C program is built from what is installed, finds the installed model, and runs", text)


def program(place, env):
    name = "tern finds the installed model by whatever name it is called"
    if not (place / "bin/tern").exists():
        point(False, name, skip="built without tools")
        return
    clip = here.parents[1] / "pipelines/data/people.mp4"
    status, text = run(["tern", "caption", "--threads", "1", "--window", "8", "--frame-rate", "1/2", clip],
                       dict(env, PATH=f"{place}/bin:{env['PATH']}"))
    point(status == 0 and '"result"' in text, name, text)


FOUND = f"the elements are found in {libdir}/gstreamer-1.0"


def elements(place, env):
    names = ["ternencoder", "terncompressor", "terngenerator", "ternattach", "terncaption", "ternjsonenc"]
    plugins = place / libdir / "gstreamer-1.0"
    if not (plugins / "libgsttern.so").exists() or not shutil.which("gst-inspect-1.0"):
        for name in (FOUND, "a pipeline captions with the installed model"):
            point(False, name, skip="built without elements, or no gst-inspect-1.0")
        return
    env = dict(env, GST_PLUGIN_PATH=str(plugins))
    status, text = run(["gst-inspect-1.0", "tern"], env)
    missing = [name for name in names if not re.search(rf"^\s+{name}:", text, re.M)]
    point(status == 0 and not missing, FOUND, f"missing: {missing}\n{text}")
    point(".invalid" not in text, "the plugin names no origin that does not exist", text)
    status, text = run(["gst-launch-1.0", "-m", "videotestsrc", "num-buffers=2", "!",
                        "video/x-raw,width=64,height=64,framerate=2/1", "!", "terncaption", "!", "fakesink"], env)
    point(status == 0 and "tern-result" in text, "a pipeline captions with the installed model", text)


def main():
    with tempfile.TemporaryDirectory(prefix="tern-install-") as folder:
        work = pathlib.Path(folder).resolve()
        env = environment(work)
        status, text = run([meson, "install", "-C", build, "--no-rebuild", "--destdir", work / "root"], env)
        place = work / "root" / prefix.lstrip("/")
        point(status == 0 and (place / "include/tern-1.0/tern/tern.h").exists(), "the build installs", text)
        if status == 0:
            library(work, place, env)
            program(place, env)
            elements(place, env)
    plan()


main()
