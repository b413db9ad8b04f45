# SPDX-License-Identifier: LGPL-2.1-or-later
"""The unit for systemd, as systemd reads it. Prints TAP.

usage: unit.py TERN UNIT SYSUSERS
"""
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

from watching import CLIP, MODEL, plan, point

tern, unit, users = pathlib.Path(sys.argv[1]).resolve(), pathlib.Path(sys.argv[2]), pathlib.Path(sys.argv[3])
EXPOSURE = 30                   # of 100, at most

# The program is not installed yet: the one of the build folder stands for it.
text = re.sub(r"(?<==)\S+/tern watch", f"{tern} watch", unit.read_text())
missing = None if shutil.which("systemd-analyze") else "no systemd-analyze"
with tempfile.TemporaryDirectory() as folder:
    path = pathlib.Path(folder) / "tern-watch.service"
    path.write_text(text)
    run = [] if missing else subprocess.run(["systemd-analyze", "verify", path], capture_output=True, text=True)
    said = [] if missing else [line for line in run.stderr.splitlines() if "tern-watch" in line]
    point(missing or (run.returncode == 0 and not said), "systemd finds nothing wrong with the unit", said, skip=missing)
    run = [] if missing else subprocess.run(["systemd-analyze", "security", "--offline=true", f"--threshold={EXPOSURE}", path],
                                            capture_output=True, text=True)
    point(missing or run.returncode == 0, f"and its exposure is {EXPOSURE} of 100 at most",
          "" if missing else run.stdout[-600:] + run.stderr, skip=missing)

    # Its user, made as systemd makes it, in a root folder of its own.
    settings = dict(re.findall(r"^(\w+)=(.*)$", text, re.M))
    root = pathlib.Path(folder) / "root"
    (root / "etc").mkdir(parents=True)
    missing = None if shutil.which("systemd-sysusers") else "no systemd-sysusers"
    run = [] if missing else subprocess.run(["systemd-sysusers", f"--root={root}", users.resolve()], capture_output=True,
                                            text=True)
    files = {"User": root / "etc/passwd", "Group": root / "etc/group"}
    made = {key: path.read_text() if path.exists() else "" for key, path in files.items()}
    point(missing or all(re.search(rf"^{settings[key]}:", made[key], re.M) for key in made),
          "its user and group are those that systemd-sysusers makes", settings, made, run and run.stderr, skip=missing)

    # What a restart would find again ends with the status after which there is none; the main command finds it, for that
    # status says nothing of others.
    point("ExecStartPre" not in settings and settings["Restart"] == "on-failure",
          "nothing but the program decides about a restart", text)
    camera = f"[camera porch]\nsource={CLIP}\n"
    (pathlib.Path(folder) / "text.gguf").write_text("no model")
    wrong = {"a configuration that is not there": None, "one that is a folder": "", "one that cannot be read": b"\xff\xfe[watch]\n",
             "a key that does not exist": f"[watch]\nmemory=m.db\nmemroy=m.db\n{MODEL}{camera}",
             "a secret that is not there":
                 f"[watch]\nmemory=m.db\n{MODEL}{camera}[webhook w]\nurl=http://127.0.0.1:1/\nsecret-file=no\n",
             "a model that is not there": f"[watch]\nmemory=m.db\nmodel=no.gguf\n{camera}",
             "a model that is none": f"[watch]\nmemory=m.db\nmodel=text.gguf\n{camera}"}
    env = {key: value for key, value in os.environ.items() if key != "NOTIFY_SOCKET"}
    for name, words in wrong.items():
        config = pathlib.Path(folder) / (name.replace(" ", "-") + ".conf")
        if words == "":
            config.mkdir()
        elif words is not None:
            config.write_bytes(words if isinstance(words, bytes) else words.encode())
        run = subprocess.run([tern, "watch", "--config", config], capture_output=True, text=True, errors="replace",
                             env=dict(env, GST_REGISTRY=f"{folder}/registry"), timeout=300)
        point(str(run.returncode) == settings["RestartPreventExitStatus"] and "tern: " in run.stderr,
              f"{name} is no matter for a restart", f"exit status {run.returncode}", run.stderr)
plan()
