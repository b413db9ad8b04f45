# SPDX-License-Identifier: LGPL-2.1-or-later
"""Chromium without a window, by its WebDriver: what the page's tests need of it."""
import base64
import json
import re
import shutil
import subprocess
import tempfile
import urllib.error
import urllib.request

from watching import patience, until

MISSING = [name for name in ("chromium", "chromedriver") if not shutil.which(name)]


class Browser:
    def __init__(self):
        self.said = tempfile.NamedTemporaryFile("w+")
        self.process = subprocess.Popen(["chromedriver", "--port=0"], stdout=self.said, stderr=subprocess.DEVNULL)
        self.base = f"http://127.0.0.1:{until(self.port, 'chromedriver')}"
        until(self.ready, "chromedriver")
        options = {"args": ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
                            "--disable-background-networking", "--no-first-run"], "binary": shutil.which("chromium")}
        self.session = ""
        answer = self.call("POST", "/session", {"capabilities": {"alwaysMatch": {
            "goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL"}}}})
        self.session = f"/session/{answer['sessionId']}"

    def port(self):
        """What it says on standard output, of its own choice."""
        found = re.search(r"started successfully on port (\d+)", open(self.said.name).read())
        return found and found[1]

    def ready(self):
        try:
            return self.call("GET", "/status")["ready"]
        except OSError:
            return False

    def call(self, method, path, body=None):
        data = None if method == "GET" else json.dumps(body or {}).encode()
        request = urllib.request.Request(self.base + path, data, {"Content-Type": "application/json"}, method=method)
        try:
            return json.load(urllib.request.urlopen(request, timeout=patience(300)))["value"]
        except urllib.error.HTTPError as error:
            raise OSError(f"{path}: {error.read().decode()[:500]}") from None

    def do(self, path, body=None):
        return self.call("POST", self.session + path, body)

    def open(self, url):
        self.do("/url", {"url": url})

    def run(self, script, *args):
        return self.do("/execute/sync", {"script": script, "args": args})

    def cdp(self, command, **params):
        return self.do("/goog/cdp/execute", {"cmd": command, "params": params})

    def text(self, selector):
        return self.run("return document.querySelector(arguments[0])?.textContent", selector)

    def complaints(self):
        return [entry["message"] for entry in self.do("/se/log", {"type": "browser"}) if entry["level"] == "SEVERE"]

    def picture(self, path):
        with open(path, "wb") as file:
            file.write(base64.b64decode(self.call("GET", self.session + "/screenshot")))

    def close(self):
        try:
            self.call("DELETE", self.session)
        except OSError:
            pass
        self.process.kill()
        self.process.wait()
