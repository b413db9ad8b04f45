# SPDX-License-Identifier: LGPL-2.1-or-later
"""axe-core, which finds what keeps people from using a page, run in the browser of webdriver.py. It is npm's, and not kept here:
TERN_AXE names its axe.min.js, or else npm is asked for it."""
import json
import os
import pathlib
import shutil
import subprocess
import tarfile
import tempfile

VERSION = "4.14.1"
SEVERE = ("serious", "critical")
RUN = """axe.run(document).then((found) => JSON.stringify([found.passes.length, found.violations.map(
    (v) => ({id: v.id, impact: v.impact, where: v.nodes.map((n) => n.target.join(" ")).slice(0, 3)}))]))"""


def source():
    """(its text, None), or (None, why there is none)."""
    if "TERN_AXE" in os.environ:
        return pathlib.Path(os.environ["TERN_AXE"]).read_text(), None
    if not shutil.which("npm"):
        return None, "no npm, nor TERN_AXE"
    with tempfile.TemporaryDirectory(prefix="tern-axe-") as folder:
        try:
            run = subprocess.run(["npm", "pack", f"axe-core@{VERSION}"], cwd=folder, capture_output=True, text=True, timeout=120)
        except subprocess.TimeoutExpired:
            return None, "npm does not answer"
        if run.returncode != 0:
            return None, f"npm has no axe-core: {run.stderr.strip().splitlines()[-1:]}"
        with tarfile.open(f"{folder}/axe-core-{VERSION}.tgz") as tar:
            return tar.extractfile("package/axe.min.js").read().decode(), None


def findings(browser, text):
    """Of the page that is open: how many rules it keeps, and those that it breaks, each with id, impact, where."""
    browser.cdp("Runtime.evaluate", expression=text)
    answer = browser.cdp("Runtime.evaluate", expression=RUN, awaitPromise=True, returnByValue=True)
    return json.loads(answer["result"]["value"])
