# SPDX-License-Identifier: LGPL-2.1-or-later
"""Who may include whom (docs/design.md, "The house"), as a test: prints TAP.

usage: includes.py SOURCE_ROOT
"""
import pathlib
import re
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from tap import plan, point  # noqa: E402

# A file under the first folder that matches may include only headers under the folders named.
# What is in include/ is everybody's.
RULES = [
    ("include", ["include"]),
    ("engine/base", ["engine/base"]),
    ("engine/kernels", ["engine/base", "engine/kernels"]),
    ("engine/weights", ["engine/base", "engine/kernels", "engine/weights"]),
    ("engine/llm", ["engine/base", "engine/kernels", "engine/weights", "engine/llm"]),
    ("engine/text", ["engine/base", "engine/weights", "engine/text"]),
    ("engine/chat", ["engine/base", "engine/weights", "engine/chat"]),
    ("engine/grammar", ["engine/base", "engine/text", "engine/grammar"]),
    ("engine/decode", ["engine/base", "engine/llm", "engine/text", "engine/grammar", "engine/decode"]),
    ("engine/action", ["engine/base", "engine/kernels", "engine/weights", "engine/action"]),
    ("vision", ["engine/base", "engine/kernels", "engine/weights", "vision"]),
    ("compress", ["engine/base", "engine/kernels", "compress"]),
    ("tern", ["engine", "vision", "compress", "tern"]),
    ("gst-plugin", ["gst-plugin"]),
    ("tools", ["engine", "vision", "compress", "tern", "tools"]),
    ("watch", ["engine/base", "engine/grammar", "tools", "watch"]),
    ("bench", ["engine", "vision", "compress", "tern", "tools", "bench"]),
]
GST_ALLOWED = ("gst-plugin", "pipelines", "tests/elements", "watch")
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^">]+)[">]', re.M)

root = pathlib.Path(sys.argv[1])
files = [f for f in sorted(root.rglob("*.[ch]")) if not f.relative_to(root).parts[0].startswith(("build", "."))]
bad = {"layers": [], "gst": []}
checked = 0
for file in files:
    name = file.relative_to(root).as_posix()
    allowed = next((a for folder, a in RULES if name.startswith(folder + "/")), None)
    for quote, header in INCLUDE.findall(file.read_text(encoding="utf8")):
        checked += 1
        if re.match(r"gst/", header) and not name.startswith(GST_ALLOWED):
            bad["gst"].append(f"{name} includes <{header}>")
        if quote != '"' or allowed is None:
            continue
        if not (root / header).exists() and (file.parent / header).exists():
            header = (file.parent / header).resolve().relative_to(root.resolve()).as_posix()
        if (root / "include" / header).exists():
            header = "include/" + header
        if not (root / header).exists():
            continue            # generated, e.g. by orcc
        if not header.startswith(tuple(a + "/" for a in (*allowed, "include"))):
            bad["layers"].append(f"{name} includes {header}")

point(checked > 30, "found includes to check", f"only {checked} includes found under {root}")
point(not bad["layers"], "includes point downwards", *bad["layers"])
point(not bad["gst"], "GStreamer is seen by the elements alone", *bad["gst"])
plan()
