# SPDX-License-Identifier: LGPL-2.1-or-later
"""`tern watch` tells a broker (mosquitto), which goes away, and is killed itself: each thing once, in order. Prints TAP.

Between the two stands a proxy of ours, which takes the broker away when it is to be away, and can keep what it answers: what
it has then is known to the broker alone. Who records what the broker has is connected with it all the time.

usage: mqtt.py TERN
"""
import json
import pathlib
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import threading

from brokers import MISSING, PUBACK, Broker, Proxy, Recorder, without_id
from watching import WINDOWS, Watch, camera, finish, plan, point, until

tern = sys.argv[1]
def settings(port):
    return f"[mqtt]\nhost=127.0.0.1\nport={port}\n[rule some]\nwords=a;the;in;of;on;is\n[lines log]\npath=log.jsonl\n"


def check(watch, recorder, what):
    """All that was told by lines was told by the broker: the same, each once, in the same order."""
    until(lambda: len(recorder.told()) >= len(watch.lines()), "the last of what is told")
    told, lines = recorder.told(), watch.lines()
    point(without_id(told) == without_id(lines), f"{what}: the broker had all of it, each once, in order", len(told),
          len(lines))
    rows = watch.rows()
    point([(t["camera"], t["result"]) for t in told if "rule" not in t] == [(r[0], r[2]) for r in rows],
          f"{what}: which is what is remembered", len(told), len(rows))


def discovered(folder):
    """What Home Assistant finds, by name and by value."""
    broker = Broker(folder)
    recorder = Recorder(broker, "all")
    watch = Watch(tern, folder, camera("porch") + settings(broker.port))
    status = watch.run()
    point(status == 0, "a file is watched to its end, and all of it told", status, watch.words())
    check(watch, recorder, "plainly")
    found = {topic: payload for topic, _, payload in recorder.heard()}
    sensor = json.loads(found["homeassistant/sensor/tern_porch/caption/config"])
    point(sensor["state_topic"] == "tern/porch/result" and sensor["value_template"] == "{{ value_json.result[:255] }}"
          and sensor["unique_id"] == "tern_porch_caption" and sensor["availability_topic"] == "tern/status"
          and sensor["device"]["identifiers"] == ["tern_porch"], "a camera is a sensor to Home Assistant", sensor)
    binary = json.loads(found["homeassistant/binary_sensor/tern_porch/some/config"])
    point(binary["state_topic"] == "tern/porch/some" and binary["payload_on"] == "ON" and
          binary["value_template"] == "{{ value_json.state }}", "and a rule a binary sensor", binary)
    # The will may say it once more: who closes with something unread resets the connection, and the broker misses the goodbye.
    def said():
        return [p for t, _, p in recorder.heard() if t == "tern/status"]

    until(lambda: said()[1:], "the goodbye")
    point(said()[:1] == ["online"] and set(said()[1:]) == {"offline"}, "it says when it comes and goes",
          recorder.heard())
    late = Recorder(broker, "late")
    until(lambda: {"tern/porch/result", "tern/porch/some", "tern/status"} <= {topic for topic, retained, _ in late.heard()
                                                                              if retained},
          "what is retained")
    point(True, "what is told is retained, for who comes later")
    late.stop()
    watch.configure(camera("yard") + f"[mqtt]\nhost=127.0.0.1\nport={broker.port}\n")
    status = watch.run()
    # All that it said before its goodbye was said by then.
    until(lambda: said().count("online") == 2 and said()[-1] == "offline", "the second goodbye")
    gone = [t for t, _, p in recorder.heard() if p == "" and t.startswith("homeassistant/")]
    point(status == 0 and set(gone) == {"homeassistant/sensor/tern_porch/caption/config",
          "homeassistant/binary_sensor/tern_porch/some/config"}, "what is watched no more is taken back", gone)
    recorder.stop()
    broker.stop()


def shared(folder):
    """The broker has what another memory told, whose ids are none of ours."""
    broker = Broker(folder)
    recorder = Recorder(broker, "all")
    subprocess.run(["mosquitto_pub", "-h", "127.0.0.1", "-p", str(broker.port), "-r", "-t", "tern/porch/result", "-m",
                    '{"id":9000000000000000,"camera":"porch"}'], check=True)
    until(recorder.told, "what is there")
    watch = Watch(tern, folder, camera("porch") + settings(broker.port))
    status = watch.run()
    until(lambda: len(recorder.told()) > len(watch.lines()), "the last of what is told")
    point(status == 0 and without_id(recorder.told()[1:]) == without_id(watch.lines()),
          "what another memory told stands for nothing of ours", status, recorder.told(), watch.lines())
    recorder.stop()
    broker.stop()


def outage(folder):
    """The broker is away again and again, at any time, and what it answered last is lost each time."""
    broker = Broker(folder)
    recorder, proxy = Recorder(broker, "all"), Proxy(broker)
    watch = Watch(tern, folder, camera("a", "repeat=true\nwindow=2s") + camera("b", "repeat=true") + settings(proxy.port))
    watch.start()
    for turn in range(4):
        count = len(recorder.told())
        until(lambda: len(recorder.told()) >= count + 3, "what is told")
        proxy.kept, proxy.mute = 0, PUBACK
        until(lambda: proxy.kept, "an answer to keep")
        proxy.cut()
        before = watch.count()
        until(lambda: watch.count() >= before + 5, "windows without a broker")
        proxy.mend()
    count = len(recorder.told())
    until(lambda: len(recorder.told()) >= count + 3, "what is told")
    watch.end()
    watch.configure(camera("a", "window=2s") + camera("b") + settings(proxy.port))
    status = watch.run()
    point(status == 0, "at last it ends, and all of it was told", status, watch.words())
    check(watch, recorder, "with a broker that is away and answers what nobody hears")
    recorder.stop()
    broker.stop()


def killed(folder):
    """Killed when the broker has what we do not know of."""
    broker = Broker(folder)
    recorder, proxy = Recorder(broker, "all"), Proxy(broker)
    watch = Watch(tern, folder, camera("a", "repeat=true\nwindow=2s") + settings(proxy.port))
    for turn in range(4):
        watch.start()
        count = len(recorder.told())
        until(lambda: len(recorder.told()) >= count + 3, "what is told")
        proxy.kept, proxy.mute = 0, PUBACK
        until(lambda: proxy.kept, "an answer to keep")
        watch.end(signal.SIGKILL)
        proxy.mend()
    watch.configure(camera("a", "window=2s") + settings(proxy.port))
    status = watch.run()
    point(status == 0, "after four kills it ends", status, watch.words())
    check(watch, recorder, "killed")
    recorder.stop()
    broker.stop()


def stopped(folder):
    """The broker itself is stopped, and begins again with what it kept; the process, too."""
    broker = Broker(folder, "persistence true")
    recorder = Recorder(broker, "all")
    watch = Watch(tern, folder, camera("a") + settings(broker.port))
    point(watch.run() == 0, "first all is told", watch.words())
    until(lambda: len(recorder.told()) >= len(watch.lines()), "what is told")
    recorder.stop()
    broker.stop()
    watch.start()
    until(lambda: watch.count() == 2 * WINDOWS, "windows without a broker")
    watch.end(signal.SIGKILL)
    watch.start()
    until(lambda: watch.count() == 3 * WINDOWS, "more of them")
    until(lambda: "watched to its end" in watch.words().split("again and again")[-1], "the end of the file")
    point(watch.process.poll() is None, "it does not end before all is told", watch.words())
    broker.start()
    status = watch.wait()
    point(status == 0, "and ends when it is", status, watch.words())
    recorder.start()
    check(watch, recorder, "after a broker's stop")
    recorder.stop()
    broker.stop()


class Listener:
    """Takes connections, and ends each when something came: what came, of each."""

    def __init__(self):
        self.server, self.heard = socket.create_server(("127.0.0.1", 0)), []
        self.port = self.server.getsockname()[1]
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            client, _ = self.server.accept()
            self.heard.append(client.recv(4096))
            client.close()


def covered(folder):
    """The certificates are gone when it connects again: the password is not told to whoever listens there."""
    listener, ca = Listener(), pathlib.Path(folder) / "ca.pem"
    ca.write_text(ssl.DER_cert_to_PEM_cert(bytes(9)))
    (ca.parent / "pw").write_text("sesame")
    watch = Watch(tern, folder, camera(more="repeat=true")
                  + f"[mqtt]\nhost=127.0.0.1\nport={listener.port}\nca-file=ca.pem\nuser=me\npassword-file=pw\n")
    watch.start()
    until(lambda: "trying again and again" in watch.words(), "certificates that are none")
    ca.unlink()
    until(lambda: f"ca-file {ca}: expected certificates" in watch.words(), "certificates that are gone")
    point(watch.end() == 0 and not any(b"sesame" in heard for heard in listener.heard), "without certificates no password is told",
          listener.heard, watch.words())


for test in (covered, discovered, shared, outage, killed, stopped):
    if MISSING:
        point(True, test.__name__, skip=f"no {MISSING[0]}")
        continue
    with tempfile.TemporaryDirectory(prefix="tern-mqtt-") as place:
        begun = []
        for kind in (Watch, Recorder, Broker):
            def start(self, *args, original=kind.start, **kwargs):
                begun.append(self)
                return original(self, *args, **kwargs)

            start.original = kind.start
            kind.start = start
        try:
            test(place)
        except (TimeoutError, OSError, KeyError, IndexError) as error:
            point(False, f"{test.__name__} comes to its end", repr(error), *(b.words() for b in begun if isinstance(b, Watch)))
        finally:
            for kind in (Watch, Recorder, Broker):
                kind.start = kind.start.original
            for b in begun:
                finish(b) if isinstance(b, Watch) else b.process.poll() is None and b.process.kill()
plan()
