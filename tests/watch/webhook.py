# SPDX-License-Identifier: LGPL-2.1-or-later
"""`tern watch` tells a webhook, which fails, refuses and is away: in order, signed, and nothing is lost. Prints TAP.

usage: webhook.py TERN
"""
import base64
import hashlib
import hmac
import http.server
import json
import sys
import tempfile
import threading
import time

from watching import WINDOWS, Watch, camera, finish, plan, point, ports, until

tern = sys.argv[1]
SECRET = "not for everybody"


class Receiver(http.server.ThreadingHTTPServer):
    """Answers with what @answers has next, then 204."""

    def __init__(self, answers, port=0, login=None):
        super().__init__(("127.0.0.1", port), Handler)
        self.answers, self.posts, self.refused = list(answers), [], 0
        self.login = login and "Basic " + base64.b64encode(login.encode()).decode()
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def close(self):
        self.shutdown()
        self.server_close()


class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.server.login not in (None, self.headers["Authorization"]):
            self.server.refused += 1
            self.send_response(401)
            self.send_header("WWW-Authenticate", 'Basic realm="x"')
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        status = self.server.answers.pop(0) if self.server.answers else 204
        self.server.posts.append((status, self.path, dict(self.headers), body))
        self.send_response(status)
        if status == 302:
            self.send_header("Location", "/elsewhere")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *args):
        pass


def settings(port, login=""):
    return (f"[webhook home]\nurl=http://{login}127.0.0.1:{port}/hook?a=b\nsecret-file=secret\ntell=results;alerts\n"
            "[rule any]\nwords=a;the;in;of;on;is\n[lines log]\npath=log.jsonl\n")


def signed(headers, body):
    text = f"{headers['X-Tern-Timestamp']}.".encode() + body
    return headers.get("X-Tern-Signature") == "sha256=" + hmac.new(SECRET.encode(), text, hashlib.sha256).hexdigest()


def told(posts):
    return [{k: v for k, v in json.loads(body).items() if k != "id"} for *_, body in posts]


def whole(folder, answers):
    with open(f"{folder}/secret", "w") as file:
        file.write(SECRET + "\n")
    receiver = Receiver(answers)
    watch = Watch(tern, folder, camera() + settings(receiver.server_port))
    status = watch.run()
    receiver.close()
    lines = [{k: v for k, v in line.items() if k != "id"} for line in watch.lines()]
    return watch, status, receiver.posts, lines


def plainly(folder):
    watch, status, posts, lines = whole(folder, [])
    point(status == 0 and told(posts) == lines and len(lines) > WINDOWS, "all is posted, once, in order", status, watch.words(),
          len(posts), len(lines))
    point(all(signed(headers, body) for *_, headers, body in posts), "and signed", posts[:1])
    point(all(path == "/hook?a=b" and headers["Content-Type"] == "application/json"
              and headers["X-Tern-Id"] == str(json.loads(body)["id"]) for _, path, headers, body in posts),
          "where it should be", posts[:1])


def known(folder):
    """A receiver that asks who we are, at each start of ours, has each entry all the same."""
    with open(f"{folder}/secret", "w") as file:
        file.write(SECRET)
    receiver = Receiver([], login="me:p@ss")
    watch = Watch(tern, folder, camera() + settings(receiver.server_port, "me:p%40ss@"))
    status = watch.run(), watch.run()
    lines = [{k: v for k, v in line.items() if k != "id"} for line in watch.lines()]
    point(status == (0, 0) and receiver.refused and all(body for *_, body in receiver.posts) and told(receiver.posts) == lines
          and all(signed(headers, body) for *_, headers, body in receiver.posts),
          "who asks for a password has all of it, too", status, receiver.refused, receiver.posts[:1], len(lines), watch.words())
    receiver.close()


def badly(folder):
    """What is said of the receiver is waited out, what is said of a message ends it."""
    watch, status, posts, lines = whole(folder, [200, 503, 429, 200, 404, 302])
    good = [post for post in posts if post[0] not in (503, 429)]
    point(status == 0 and told(good) == lines, "a receiver that cannot is asked again, for the same", status, watch.words())
    again = [json.loads(post[3])["id"] for post in posts[1:4]]
    point(len(set(again)) == 1, "with the same id", again)
    point(watch.words().count("another try") == 2 and watch.words().count("is told again after") == 1,
          "each reason is said once, and when it is over", watch.words())
    point(watch.words().count("is given up") == 2, "one that will not, or sends us elsewhere, is not", watch.words())
    point(not any(post[1] == "/elsewhere" for post in posts), "and nothing goes elsewhere")


def away(folder):
    """Nobody listens; the process ends and begins again; then somebody does."""
    with open(f"{folder}/secret", "w") as file:
        file.write(SECRET)
    port = ports.port()
    watch = Watch(tern, folder, camera() + settings(port))
    watch.start()
    until(lambda: watch.count() == WINDOWS and "another try" in watch.words(), "windows without a receiver")
    time.sleep(3.5)             # two more tries
    point(watch.words().count("another try") == 1, "the same reason is said once", watch.words())
    point(watch.end() == 0, "it ends when it is told", watch.words())
    receiver = Receiver([], port)
    watch.configure(camera() + settings(port))
    status = watch.run()
    lines = [{k: v for k, v in line.items() if k != "id"} for line in watch.lines()]
    point(status == 0 and told(receiver.posts) == lines and len(watch.rows()) == 2 * WINDOWS,
          "what nobody heard is told when somebody listens", status, watch.words(), len(receiver.posts), len(lines))
    receiver.close()


for test in (plainly, known, badly, away):
    with tempfile.TemporaryDirectory(prefix="tern-webhook-") as place:
        begun, original = [], Watch.start

        def start(self, *args, **kwargs):
            begun.append(self)
            return original(self, *args, **kwargs)

        Watch.start = start
        try:
            test(place)
        except (TimeoutError, OSError, KeyError) as error:
            point(False, f"{test.__name__} comes to its end", repr(error), *(w.words() for w in begun))
        finally:
            Watch.start = original
            for w in begun:
                finish(w)
plan()
