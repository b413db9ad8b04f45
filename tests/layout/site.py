# SPDX-License-Identifier: LGPL-2.1-or-later
"""The pages that docs/site.py makes: everything that elements have is described, and no link leads nowhere. Prints TAP.

usage: site.py SOURCE_ROOT PLUGIN_FOLDER
"""
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from tap import plan, point  # noqa: E402

if not shutil.which("gst-inspect-1.0"):
    print("1..0 # SKIP no gst-inspect-1.0")
    sys.exit(0)
root, plugin = sys.argv[1:3]
with tempfile.TemporaryDirectory(prefix="tern-site-") as out:
    done = subprocess.run([sys.executable, f"{root}/docs/site.py", root, plugin, out], capture_output=True, text=True)
    files = sorted(pathlib.Path(out).glob("*.html"))
    pages = {path.name: path.read_text(encoding="utf8") for path in files}
ids = {name: set(re.findall(r'id="([^"]+)"', page)) for name, page in pages.items()}
nowhere = [f"{name}: {to}#{anchor}" for name, page in pages.items()
           for to, anchor in re.findall(r'href="([^"#:]*)#?([^"]*)"', page)
           if (to or name) not in pages or anchor and anchor not in ids[to or name]]
folder = pathlib.Path(root, "gst-plugin")
text = (folder / "gstternenums.h").read_text(encoding="utf8")
bare = [name for name in re.findall(r"^} (GstTern\w+);", text, re.M) if f" * {name}:" not in text]
point(done.returncode == 0, "elements, properties and signals are described", done.stderr)
point(len(pages) > 12 and not nowhere, f"links of {len(pages)} pages lead somewhere", *nowhere)
point(not bare, "enums are described", *bare)
plan()
