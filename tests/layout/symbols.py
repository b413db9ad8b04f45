# SPDX-License-Identifier: LGPL-2.1-or-later
"""Exported symbols: libtern exports exactly what its installed headers mark TERN_API, the plugin exactly what GStreamer
looks up. Prints TAP.

usage: symbols.py NM LIBTERN SOURCE_ROOT [PLUGIN]
"""
import pathlib
import re
import subprocess
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from tap import plan, point  # noqa: E402

nm, libtern, root = sys.argv[1], sys.argv[2], pathlib.Path(sys.argv[3])
plugin = sys.argv[4] if len(sys.argv) > 4 else None


def exported(library):
    out = subprocess.run([nm, "-D", "--defined-only", library], check=True, capture_output=True, text=True).stdout
    # Linker-made names, and what the sanitizers add, are nobody's interface.
    return {line.split()[-1] for line in out.splitlines()
            if not re.match(r"(_init|_fini|_edata|_end|__bss_start|_?_?(a|ub|l)san|__odr_asan)", line.split()[-1])}


headers = sorted((root / "include/tern").glob("*.h"))
declared = set()
for header in headers:
    declared |= set(re.findall(r"TERN_API\s[^;{]*?\b(tern_\w+)\s*\(", header.read_text(encoding="utf8")))
found = exported(libtern)

results = [(declared == found, "libtern exports its installed headers' functions and nothing else",
            [f"declared, not exported: {s}" for s in sorted(declared - found)]
            + [f"exported, not declared: {s}" for s in sorted(found - declared)])]
if plugin:
    names = exported(plugin)
    want = {"gst_plugin_tern_get_desc", "gst_plugin_tern_register"}
    results.append((names == want, "the plugin exports its two entry points and nothing else",
                    [f"unexpected or missing: {s}" for s in sorted(names ^ want)]))
for good, what, notes in results:
    point(good, what, *notes)
plan()
