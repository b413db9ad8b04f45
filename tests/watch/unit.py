# SPDX-License-Identifier: LGPL-2.1-or-later
"""The unit for systemd, as systemd reads it. Prints TAP.

usage: unit.py TERN UNIT
"""
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

from watching import plan, point

tern, unit = pathlib.Path(sys.argv[1]).resolve(), pathlib.Path(sys.argv[2])
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
plan()
