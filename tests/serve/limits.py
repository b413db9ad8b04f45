# SPDX-License-Identifier: LGPL-2.1-or-later
"""`tern serve` and clients that misbehave, are too many, have no key or go away: what is refused is refused early and in good
form, and who has gone costs nothing more. Prints TAP.

usage: limits.py TERN MODELS_FOLDER
"""
import json
import os
import pathlib
import socket
import shutil
import ssl
import subprocess
import sys
import tempfile
import threading
import time

sys.dont_write_bytecode = True
from server import picture, server  # noqa: E402
from tap import patience, plan, point  # noqa: E402

TERN, MODELS = os.path.abspath(sys.argv[1]), pathlib.Path(sys.argv[2]).resolve()
CAPTIONER = MODELS / "tern-captioner-4m-tq2_0.gguf"
MODEL = ["--model", CAPTIONER, "--prompt", "ignored", "--threads", 1]
SLOW = {"TERN_CPU": "scalar"}
# Thousands of tokens to say; thousands to read.
LONG_ANSWER = {"messages": [{"role": "user", "content": [picture()]}], "max_tokens": 3900, "response_format": {
    "type": "json_schema", "json_schema": {"schema": {"type": "string", "minLength": 9000}}}}
LONG_PROMPT = {"messages": [{"role": "user", "content": [picture()] * 60}], "max_tokens": 1}


def raw(s, data, finish=False):
    """All that comes back for these bytes."""
    with s.connect() as connection:
        try:
            connection.sendall(data)
            if finish:
                connection.shutdown(socket.SHUT_WR)
        except OSError:
            pass
        got = b""
        try:
            while block := connection.recv(65536):
                got += block
        except OSError:
            pass
        return got


def request(body, path="/v1/chat/completions", headers=""):
    data = json.dumps(body).encode()
    return (f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {len(data)}\r\n{headers}\r\n").encode() + data


def files(s):
    """Open files of the server; 0 where /proc is not there."""
    folder = pathlib.Path(f"/proc/{s.process.pid}/fd")
    return len(list(folder.iterdir())) if folder.exists() else 0


def status(answer):
    return int(answer.split(b" ", 2)[1]) if answer.startswith(b"HTTP/1.") else 0


# ---- Who may ask ----

def check_keys(folder):
    keys = folder / "keys"
    (empty := folder / "empty").write_text("# nobody\n")
    keys.write_text("# people\nfirst-key\n\nsecond-key\n")
    with server(TERN, *MODEL, "--api-key-file", keys) as s:
        for headers, wanted in (({}, 401), ({"Authorization": "Bearer nonsense"}, 401), ({"Authorization": "Bearer "}, 401),
                                ({"Authorization": "Basic first-key"}, 401), ({"Authorization": "Bearer first-key2"}, 401),
                                ({"Authorization": "Bearer first-key"}, 200), ({"Authorization": "bearer second-key"}, 200)):
            got, answered, body = s.call("/v1/models", headers=headers)
            point(got == wanted and (got == 200 or body["error"]["type"] == "authentication_error"
                                     and answered["WWW-Authenticate"] == "Bearer"), f"{headers} is {wanted}", got, body)
        point(s.call("/health")[0] == s.call("/readyz")[0] == 200 and s.call("/metrics")[0] == 401
              and s.call("/nothing")[0] == 401, "health is everybody's, nothing else is")
    for args, words in ((["--listen", "0.0.0.0:0"], "--api-key-file"), (["--listen", "[::]:0"], "--api-key-file"),
                        (["--listen", "8080"], "--listen"), (["--listen", "127.0.0.1:70000"], "--listen"),
                        (["--listen", "example.org:80"], "--listen"), (["--api-key-file", empty], "keys"),
                        (["--tls-key", keys], "--tls-certificate"), (["--prompt", "x"], "--prompt"),
                        (["--parallel", "0"], "--parallel")):
        run = subprocess.run([TERN, "serve", "--listen", "127.0.0.1:0", *map(str, args)], text=True, capture_output=True,
                             timeout=patience(60))
        point(run.returncode == 2 and words in run.stderr, f"{args[:2]} does not start", run.returncode, run.stderr)
    run = subprocess.run([TERN, "serve", "--listen", "127.0.0.1:0", "--model", folder / "none.gguf"], text=True,
                         capture_output=True, timeout=patience(60))
    point(run.returncode == 1 and "none.gguf" in run.stderr, "a model that is not there ends it", run.stderr)


def check_browsers(s):
    for headers, wanted in (({"Host": "evil.example"}, 403), ({"Host": "127.0.0.1:80"}, 200), ({"Host": "[::1]:80"}, 200),
                            ({"Host": "localhost"}, 200), ({"Origin": "https://evil.example"}, 403), ({"Origin": "null"}, 403),
                            ({"Origin": s.address}, 200)):
        point(s.call("/v1/models", headers=headers)[0] == wanted, f"{headers} is {wanted}")


def check_tls(folder):
    if not shutil.which("openssl"):
        point(True, "HTTPS", skip="openssl is not here")
        return
    made = subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", folder / "key.pem", "-out",
                           folder / "cert.pem", "-subj", "/CN=localhost", "-days", "2"], capture_output=True)
    if made.returncode != 0:
        point(True, "HTTPS", skip="openssl makes no certificate")
        return
    with server(TERN, *MODEL, "--tls-certificate", folder / "cert.pem", "--tls-key", folder / "key.pem") as s:
        context = ssl.create_default_context(cafile=folder / "cert.pem")
        context.check_hostname = False
        with s.connect() as plain, context.wrap_socket(plain) as secure:
            secure.sendall(b"GET /v1/models HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            got = b""
            while block := secure.recv(65536):
                got += block
        point(s.address.startswith("https://") and status(got) == 200 and b"tern-captioner-4m" in got, "HTTPS", got)


# ---- Bytes ----

def check_bodies(s):
    head = b"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\n"
    got = raw(s, head + b"Content-Length: 3000000\r\nExpect: 100-continue\r\n\r\n")
    point(status(got) == 413 and b"1048576" in got and b"100 Continue" not in got, "a body that is too large, before it is "
          "sent", got)
    chunk = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
    got = raw(s, head + b"Transfer-Encoding: chunked\r\n\r\n" + chunk * 40 + b"0\r\n\r\n")
    point(status(got) == 413 and b'"error"' in got, "one that comes in pieces", got)
    point(s.metric("tern_body_bytes") == 0, "nothing of it is kept")
    good = json.dumps({"messages": [{"role": "user", "content": "x"}]}).encode()
    pieces = b"".join(b"%x\r\n%s\r\n" % (len(good[i:i + 7]), good[i:i + 7]) for i in range(0, len(good), 7)) + b"0\r\n\r\n"
    got = raw(s, head + b"Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n" + pieces)
    point(status(got) == 200, "pieces that fit are a body", got)
    hidden = b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
    smuggling = {
        "two kinds of length": b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + hidden,
        "two lengths": b"Content-Length: 0\r\nContent-Length: %d\r\n\r\n" % len(hidden) + hidden,
        "a negative length": b"Content-Length: -1\r\n\r\n" + hidden,
        "a length with a sign": b"Content-Length: +5\r\n\r\n" + hidden,
        "a coding that is not known": b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n" + hidden,
        "a coding in disguise": b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n" + hidden,
    }
    for what, rest in smuggling.items():
        got = raw(s, head + rest, finish=True)
        point(got.count(b"HTTP/1.1 ") <= 1 and status(got) in (0, 400, 501), f"{what} hides no request", got)
    got = raw(s, b"POST /nothing HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: %d\r\n\r\n" % len(hidden) + hidden)
    point(got.count(b"HTTP/1.1 ") == 1 and status(got) == 404, "nor does the body of a request that was refused", got)
    got = raw(s, hidden + hidden)
    point(got.count(b"HTTP/1.1 200") == 1 and b"Connection: close" in got, "a connection is for one request", got)
    before = files(s)
    for _ in range(20):
        raw(s, hidden)
    point(files(s) <= before, "and is closed after it", before, files(s))
    got = raw(s, b"HEAD /health HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
    point(status(got) == 200 and got.endswith(b"\r\n\r\n"), "HEAD", got)
    got = raw(s, b"POST /v1/chat/completions HTTP/1.0\r\nHost: 127.0.0.1\r\nContent-Length: %d\r\n\r\n" % len(
        streaming := json.dumps({"messages": [{"role": "user", "content": [picture()]}], "stream": True}).encode()) + streaming)
    point(status(got) == 200 and b"chunked" not in got and got.endswith(b"data: [DONE]\n\n"), "a stream by HTTP/1.0", got[:300])
    got = raw(s, head + b'Content-Length: ket\r\nConnection: a"\r\n\r\n{}')
    point(status(got) == 400 and b"Connection: close" in got, "a refusal of libsoup's own closes it, too", got)
    for junk in (b"\x16\x03\x01\x02\0\x01\0", b"GET\r\n\r\n", b"\0" * 4096, b"A" * 200000, b"GET / HTTP/9.9\r\n\r\n"):
        raw(s, junk, finish=True)
    point(s.call("/health")[0] == 200, "junk does no harm")


# ---- Who goes away ----

def begin(s, body):
    connection = s.connect()
    connection.sendall(request(body))
    return connection


def check_gone(what, s, body, first):
    """A client that goes away when @first has come true ends its work, long before that would have ended."""
    said, gone = s.metric("tern_generated_tokens_total"), s.metric("tern_requests_cancelled_total")
    connection = begin(s, body)
    first(connection)
    connection.close()
    took = s.until("tern_requests_running", 0)
    point(took is not None and s.metric("tern_requests_cancelled_total") == gone + 1
          and s.metric("tern_generated_tokens_total") == said, f"{what}: its work ends", took, s.said())
    print(f"# {what}: {took:.3f} s")


def runs(s):
    return lambda _: s.until("tern_requests_running", 1)


def check_hang_ups():
    with server(TERN, *MODEL, env=SLOW) as s:
        check_gone("a client that goes while it is answered", s, LONG_ANSWER, runs(s))
        check_gone("... in the middle of a stream", s, {**LONG_ANSWER, "stream": True},
                   lambda connection: [connection.recv(4096) for _ in range(3)])
        s.chat(picture(), max_tokens=1)         # its picture is encoded: what takes long is the prompt
        check_gone("... in a long prefill", s, LONG_PROMPT, runs(s))
        point(s.call("/health")[0] == 200 and s.chat(picture(), max_tokens=2)[0] == 200, "others are answered after it")


def check_busy():
    with server(TERN, *MODEL, "--parallel", 1, "--queue", 1, env=SLOW) as s:
        first = begin(s, LONG_ANSWER)
        s.until("tern_requests_running", 1)
        second = begin(s, LONG_ANSWER)
        s.until("tern_requests_waiting", 1)
        code, headers, body = s.chat("Hi")
        point(code == 429 and int(headers["Retry-After"]) >= 1 and body["error"]["code"] == "rate_limit_exceeded",
              "one too many is told to come again", code, headers, body)
        got = raw(s, request({"messages": [{"role": "user", "content": "x" * 300000}]}))
        point(status(got) == 429 and b"rate_limit_exceeded" in got, "also who sends a long body hears it", got)
        code, headers, body = s.call("/api/chat", {"messages": []})
        point(code == 429 and isinstance(body["error"], str), "through the other door, too", body)
        point(s.call("/health")[0] == 200, "what costs nothing is answered all the same")
        second.close()
        point(s.until("tern_requests_waiting", 0) is not None and s.metric("tern_requests_running") == 1,
              "one that waits and goes away is forgotten")
        answers = []
        third = threading.Thread(target=lambda: answers.append(s.chat("Hi")))
        third.start()
        s.until("tern_requests_waiting", 1)
        first.close()
        third.join(patience(60))
        point(answers and answers[0][0] == 200, "its place is the next one's", answers)
        for _ in range(3):
            begin(s, LONG_ANSWER)
        s.until("tern_requests_running", 1)
        point(s.stop() == 0, "ends at once, whoever is answered", s.said())


def check_late():
    with server(TERN, *MODEL, "--timeout", 1, env=SLOW) as s:
        code, _, body = s.call("/v1/chat/completions", LONG_ANSWER)
        point(code == 503 and body["error"]["type"] == "timeout_error", "what takes too long is ended", body)
        got = raw(s, request({**LONG_ANSWER, "stream": True}, headers="Connection: close\r\n"))
        point(status(got) == 200 and b"timeout_error" in got and b"[DONE]" not in got, "a stream says so", got[-600:])
        point(s.until("tern_requests_running", 0) is not None, "and nothing is left")


def check_many():
    """Many at once, some of whom go away: each gets an answer or a 429."""
    with server(TERN, *MODEL, "--parallel", 4, "--queue", 8) as s:
        found, lock, before = [], threading.Lock(), files(s)

        def one(n):
            for i in range(6):
                if (n + i) % 3 == 0:
                    connection = begin(s, {"messages": [{"role": "user", "content": [picture()]}], "stream": True})
                    connection.recv(64 if i % 2 else 4096)
                    connection.close()
                    continue
                code = s.chat(picture(), max_tokens=5)[0]
                with lock:
                    found.append(code)
        threads = [threading.Thread(target=one, args=(n,)) for n in range(24)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        point(len(found) == 24 * 4 and set(found) <= {200, 429} and 200 in found, "many at once", sorted(found))
        end = time.monotonic() + patience(60)
        while files(s) > before and time.monotonic() < end:
            time.sleep(.05)
        point(files(s) <= before, "no connection is left", before, files(s))
        point(s.until("tern_requests_running", 0) is not None and s.metric("tern_requests_waiting") == 0
              and s.metric("tern_body_bytes") == 0, "nothing is left of them")
        point(s.stop() == 0, "and it ends well", s.said())


with tempfile.TemporaryDirectory() as name:
    check_keys(pathlib.Path(name))
    check_tls(pathlib.Path(name))
with server(TERN, *MODEL, "--max-body", 1) as s:
    check_browsers(s)
    check_bodies(s)
for check in (check_hang_ups, check_busy, check_late, check_many):
    check()
plan()
