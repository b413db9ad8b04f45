# SPDX-License-Identifier: LGPL-2.1-or-later
"""Options of the build: what is insisted on and cannot be is refused, what is left out is said, everything that is installed
has a tag, and folders outside of the prefix, or deep below it, work. Prints TAP.

usage: options.py SOURCE_ROOT BUILD CC MESON
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

source, build, cc, meson = sys.argv[1:]
source = pathlib.Path(source).resolve()
here = pathlib.Path(__file__).resolve().parent
env = {key: value for key, value in os.environ.items()
       if not re.match(r"TERN_|GST_|PKG_CONFIG|LD_|MESON|G_DEBUG|DESTDIR|CFLAGS|LDFLAGS", key)}
env["CC"] = cc
# What is quickest, and needs the least; nothing here is about speed.
QUICK = ["-Dsimd=disabled", "-Dtests=disabled", "--buildtype=plain"]
# Option that is insisted on, what is taken from it, and what is named then.
REFUSED = [("watch", "tools=disabled", "tools"), ("watch", "gst-plugin=disabled", "gst-plugin"),
           ("serve", "tools=disabled", "tools"), ("libarchive", "tools=disabled", "tools"), ("mqtt", "watch=disabled", "watch"),
           ("webhooks", "watch=disabled", "watch"), ("analytics", "gst-plugin=disabled", "gst-plugin")]


def run(*command, **more):
    done = subprocess.run([str(word) for word in command], env=dict(env, **more), text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)
    return done.returncode, done.stdout


def setup(folder, *options, root=source):
    return run(meson, "setup", folder, root, *QUICK, *options)


def left_out(text):
    return dict(re.findall(r"^ +(\S.*?) *: no: (.*)$", text, re.M))


def plan_of(folder):
    """Destination -> tag."""
    done = subprocess.run([meson, "introspect", str(folder), "--install-plan"], env=env, text=True, capture_output=True)
    return {item["destination"]: item["tag"] for kind in json.loads(done.stdout).values() for item in kind.values()}


def refused(work):
    for i, (wanted, without, named) in enumerate(REFUSED):
        status, text = setup(work / f"refused-{i}", f"-D{wanted}=enabled", f"-D{without}")
        error = re.search(r"ERROR: .*", text)
        point(status != 0 and error and wanted in error[0] and f"({named})" in error[0],
              f"{wanted}=enabled and {without}: refused, both are named", text[-1500:])
    # The sources without the large files, as an archive of them may be.
    bare = work / "source"
    (bare / "models").mkdir(parents=True)
    for path in source.iterdir():
        if path.name != "models" and not path.name.startswith((".", "build")):
            (bare / path.name).symlink_to(path)
    (bare / "models/meson.build").symlink_to(source / "models/meson.build")
    status, text = setup(work / "no-models", "-Dbundled-model=enabled", root=bare)
    point(status != 0 and re.search(r"ERROR: .*bundled-model=enabled.*models/", text),
          "bundled-model=enabled without the files: refused", text[-1500:])
    status, text = setup(work / "no-tools", "-Dtools=disabled", root=bare)
    lacks, tags = left_out(text), plan_of(work / "no-tools") if status == 0 else {}
    point(status == 0 and "Bundled models" in lacks and lacks.get("tern") == "tools=disabled"
          and {"tern serve", "tern watch, search, ask", "tern caption of tar files"} <= set(lacks),
          "what is left out stands in the summary, with what it needs", lacks, text[-1500:])
    point(tags and not [name for name in tags if "systemd" in name or "sysusers" in name or "bindir" in name],
          "no program, and no unit that would start it", tags)


def tags():
    tags = plan_of(build)
    point(tags and None not in tags.values(), "everything that is installed has a tag",
          [name for name, tag in tags.items() if tag is None])
    devel = [name for name, tag in tags.items() if tag == "devel"]
    point(devel and all(name.endswith((".h", ".pc")) or name.startswith("{libdir") for name in devel)
          and all(tag == "runtime" for name, tag in tags.items() if name.endswith((".gguf", ".service", "sysusers.d/tern.conf"))
                  or "{bindir}" in name), "models, programs and the unit are runtime, what builders need is devel", tags)


def folders(work, name, *options):
    """Built and installed there, used from there, with nothing that leads the way but GStreamer's and pkg-config's folders."""
    prefix, tree = work / name / "usr", work / name
    target = work / "build"
    status, text = run(meson, "configure", target, f"--prefix={prefix}", *options) if target.exists() else \
        setup(target, f"--prefix={prefix}", *options)
    if status == 0:
        status, text = run(meson, "compile", "-C", target)
    if status == 0:
        status, text = run(meson, "install", "-C", target, "--no-rebuild", "--tags", "runtime,devel")
    point(status == 0, f"{name}: the build installs", text[-3000:])
    if status:
        return

    def only(pattern):
        return next(path for path in tree.rglob(pattern) if not path.is_symlink())

    libdir = only("libtern-1.0.so.*").parent
    more = {"GST_REGISTRY": str(tree / "registry"), "HOME": str(tree)}
    if shutil.which("pkg-config"):
        more["PKG_CONFIG_PATH"] = str(libdir / "pkgconfig")
        status, flags = run("pkg-config", "--cflags", "--libs", "tern-1.0", **more)
        if status == 0:
            status, flags = run(*shlex.split(cc), here / "client.c", "-o", tree / "client", *shlex.split(flags))
        if status == 0:
            status, flags = run(tree / "client", **more, LD_LIBRARY_PATH=str(libdir))
        point(status == 0 and str(prefix) in flags.split("\n")[0], f"{name}: a C program is built, and finds library and model",
              flags)
    else:
        point(False, f"{name}: a C program is built, and finds library and model", skip="no pkg-config")
    programs = [path for path in tree.rglob("tern-watch") if path.is_file()]
    if not programs:
        point(False, f"{name}: tern watch finds library and elements", skip="no tern watch")
        return
    config = tree / "watch.conf"
    config.write_text(f"[watch]\nmemory=m.db\n[camera porch]\nsource={source / 'pipelines/data/people.mp4'}\n")
    status, text = run(programs[0].parent / "tern", "watch", "--check", "--config", config, **more)
    point(status == 0 and "nothing wrong" in text, f"{name}: tern watch finds library and elements", text)
    unit = only("tern-watch.service").read_text()
    point(f"ExecStart={programs[0].parent}/tern watch " in unit, f"{name}: the unit starts that program", unit)


def lacking(work):
    """The build of before, without what is optional: who asks for that is told what it needs."""
    target = work / "build"
    status, text = run(meson, "configure", target, "-Dserve=disabled", "-Dwatch=disabled")
    if status == 0:
        status, text = run(meson, "compile", "-C", target, "tools/tern")
    point(status == 0, "the program is built without tern serve and tern watch", text[-3000:])
    if status:
        return
    for name, option, library in (("serve", "serve", "libsoup"), ("watch", "watch", "SQLite"), ("search", "watch", "SQLite"),
                                  ("ask", "watch", "SQLite")):
        runs = [run(target / "tools/tern", *words) for words in ([name, "--help"], ["help", name])]
        point(all(status == 2 and "not in this build" in text and f"-D{option}=enabled" in text and library in text
                  for status, text in runs), f"tern {name}: which option and library it needs", runs)
    status, text = run(target / "tools/tern", "--help")
    point(status == 0 and text.count("(not in this build)") == 4, "tern --help says what is not there", text)


def main():
    with tempfile.TemporaryDirectory(prefix="tern-options-") as folder:
        work = pathlib.Path(folder).resolve()
        refused(work)
        tags()
        folders(work, "outside", f"-Dlibdir={work}/outside/lib", f"-Dbindir={work}/outside/programs/of/all")
        folders(work, "deep", "-Dlibdir=lib/of/all", "-Dbindir=programs/of/all")
        lacking(work)
    plan()


main()
