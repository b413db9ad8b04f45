# SPDX-License-Identifier: LGPL-2.1-or-later
"""The program `tern serve` for tests, and what they say to it: by urllib, and by sockets where clients misbehave."""
import base64
import contextlib
import json
import os
import pathlib
import re
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from tap import patience, until  # noqa: E402

HERE = pathlib.Path(__file__).resolve().parent / "data"


class Server:
    """Running, at .address; .port, .host for sockets."""

    def __init__(self, tern, *args, env=None, before=()):
        self.log = tempfile.NamedTemporaryFile("w+")    # read by its name: to seek in it would move where the program writes
        self.process = subprocess.Popen([*before, tern, "serve", "--listen", "127.0.0.1:0", *map(str, args)],
                                        stdout=subprocess.DEVNULL, stderr=self.log, start_new_session=True,
                                        env=dict(os.environ, LC_ALL="C", **(env or {})))
        self.address = self.wait_for(r"listening at (\S+)")
        self.host, self.port = "127.0.0.1", int(self.address.rsplit(":", 1)[1])

    def said(self):
        return pathlib.Path(self.log.name).read_text()

    def wait_for(self, pattern):
        """What the program says on stderr; fails when it ends or says it not at all."""
        found = until(lambda: re.search(pattern, self.said()), f"{pattern} on stderr", 60, self.process)
        if not found:
            raise AssertionError(f"expected {pattern} on stderr, found {self.said()!r}")
        return found[1]

    def ready(self):
        self.wait_for(r"(\S+) is ready")
        return self

    def stop(self):
        """The exit status."""
        self.process.terminate()
        return self.process.wait(patience(60))

    def call(self, path, body=None, headers=None, method=None, timeout=120):
        """(status, headers, JSON or text)"""
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        request = urllib.request.Request(self.address + path, data, {"Content-Type": "application/json", **(headers or {})},
                                         method=method)
        try:
            with urllib.request.urlopen(request, timeout=patience(timeout)) as answer:
                return answer.status, dict(answer.headers), decode(answer)
        except urllib.error.HTTPError as error:
            return error.code, dict(error.headers), decode(error)

    def chat(self, *parts, **more):
        """The answer to one user turn; a part is a text or a dictionary."""
        content = [{"type": "text", "text": p} if isinstance(p, str) else p for p in parts]
        return self.call("/v1/chat/completions", {"messages": [{"role": "user", "content": content}], **more})

    def connect(self):
        return socket.create_connection((self.host, self.port), patience(60))

    def metric(self, name):
        text = self.call("/metrics")[2]
        return float(re.search(rf"^{name}(?:{{[^}}]*}})? (\S+)$", text, re.M)[1])

    def until(self, name, value, seconds=60):
        """How long it took until the metric had the value; None: it never did."""
        begin = time.monotonic()
        while time.monotonic() - begin < patience(seconds):
            if self.metric(name) == value:
                return time.monotonic() - begin
            time.sleep(.01)
        return None


@contextlib.contextmanager
def server(tern, *args, env=None):
    running = Server(tern, *args, env=env)
    try:
        yield running.ready()
    finally:
        running.process.kill()
        running.process.wait()


def decode(answer):
    body = answer.read().decode()
    return json.loads(body) if answer.headers.get_content_type() == "application/json" and body else body


def data_url(path, kind="image/jpeg"):
    data = path if isinstance(path, bytes) else pathlib.Path(path).read_bytes()
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"


def picture(path=HERE / "street.jpg", kind="image/jpeg"):
    return {"type": "image_url", "image_url": {"url": data_url(path, kind)}}


def text_of(answer):
    return answer[2]["choices"][0]["message"]["content"]


def events(text):
    """The JSON of a stream's events, [DONE] as it is."""
    lines = [line for line in text.split("\n") if line]
    assert all(line.startswith("data: ") for line in lines), lines
    return [line[6:] if line == "data: [DONE]" else json.loads(line[6:]) for line in lines]
