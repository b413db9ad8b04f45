# SPDX-License-Identifier: LGPL-2.1-or-later
"""Home Assistant itself finds the cameras of `tern watch` by a broker: PyPI's homeassistant, as the Python of TERN_HOME_ASSISTANT has
it (with paho-mqtt 1; tried with homeassistant 2024.3.3). What it shows it tells the broker (mqtt_statestream). Prints TAP.

usage: homeassistant.py TERN
"""
import json
import os
import pathlib
import subprocess
import sys
import tempfile

from brokers import MISSING, Broker, free_port
from watching import Watch, camera, finish, plan, point, until

tern = sys.argv[1]
PYTHON = os.environ.get("TERN_HOME_ASSISTANT", sys.executable)


class Assistant:
    """With nothing but a broker, at which it looks for devices, and says what it makes of them under seen/."""

    def __init__(self, folder, broker):
        self.folder = pathlib.Path(folder) / "assistant"
        storage = self.folder / ".storage"
        storage.mkdir(parents=True)
        (self.folder / "configuration.yaml").write_text(
            f"homeassistant:\n  name: test\nhttp:\n  server_host: 127.0.0.1\n  server_port: {free_port()}\n"
            "mqtt_statestream:\n  base_topic: seen\n  publish_attributes: true\n")
        entry = {"entry_id": "a" * 32, "version": 1, "minor_version": 1, "domain": "mqtt", "title": "broker", "data": {
            "broker": "127.0.0.1", "port": broker.port, "discovery": True, "discovery_prefix": "homeassistant"}, "options": {},
            "pref_disable_new_entities": False, "pref_disable_polling": False, "source": "user", "unique_id": None, "disabled_by": None}
        (storage / "core.config_entries").write_text(json.dumps({
            "version": 1, "minor_version": 1, "key": "core.config_entries", "data": {"entries": [entry]}}))
        self.seen = open(f"{folder}/seen", "w+")
        self.recorder = subprocess.Popen(["mosquitto_sub", "-h", "127.0.0.1", "-p", str(broker.port), "-t", "seen/#", "-F", "%t %p"],
                                         stdout=self.seen)
        self.log = open(f"{folder}/assistant.log", "w+")
        self.process = subprocess.Popen([PYTHON, "-m", "homeassistant", "-c", self.folder, "--skip-pip"], stdout=self.log, stderr=self.log)

    def all(self, topic):
        """What was said there, the newest last."""
        self.seen.seek(0)
        return [line.rstrip("\n").partition(" ")[2] for line in self.seen if line.startswith(f"seen/{topic} ")]

    def words(self):
        self.log.seek(0)
        return self.log.read()[-3000:]

    def stop(self):
        for process in (self.process, self.recorder):
            process.kill()
            process.wait()


def found(folder, begun):
    broker = Broker(folder)
    begun.append(broker.process.kill)
    assistant = Assistant(folder, broker)
    begun.append(assistant.stop)
    watch = Watch(tern, folder, camera("porch", "repeat=true") + camera("yard", "repeat=true\nschema=long.json\nmax-tokens=400")
                  + f"[mqtt]\nhost=127.0.0.1\nport={broker.port}\n[rule some]\ncameras=porch\nwords=a;the;in;of;on;is\n")
    (watch.folder / "long.json").write_text('{"type": "string", "minLength": 300, "maxLength": 300}')
    begun.append(lambda: finish(watch))
    watch.start()
    try:
        state = until(lambda: [s for s in assistant.all("sensor/porch_caption/state") if s not in ("unknown", "unavailable")], "a caption", 300)
    except TimeoutError:
        point(False, "Home Assistant shows a caption", assistant.words(), watch.words())
        return
    texts = {row[2] for row in watch.rows() if row[0] == "porch"}
    point({s for s in state} <= {text[:255] for text in texts}, "Home Assistant shows a camera as a sensor, with its caption", state, texts)
    long = until(lambda: [s for s in assistant.all("sensor/yard_caption/state") if len(s) == 255], "a long text", 300)
    whole = until(lambda: assistant.all("sensor/yard_caption/result"), "its attributes")
    texts = {row[2] for row in watch.rows() if row[0] == "yard"}
    point(any(text.startswith(long[0]) for text in texts) and json.loads(whole[0]) in texts and len(json.loads(whole[0])) > 255,
          "a text that is too long for a state is cut there, and whole in the attributes", long[:1], whole[:1])
    point(until(lambda: "on" in assistant.all("binary_sensor/porch_some/state"), "the rule"), "and a rule as a binary sensor")
    point(watch.end() == 0, "the watching ends", watch.words())
    gone = until(lambda: assistant.all("sensor/porch_caption/state")[-1:] == ["unavailable"], "that it is gone")
    point(gone, "and then the camera is shown as unavailable")
    watch.start()
    until(lambda: assistant.all("sensor/porch_caption/state")[-1:] not in (["unavailable"], ["unknown"]), "its return")
    point(watch.end() == 0, "until it is there again", watch.words())


why = f"no {MISSING[0]}" if MISSING else None
if not why and subprocess.run([PYTHON, "-c", "import homeassistant, paho.mqtt"], capture_output=True).returncode:
    why = "no homeassistant with paho-mqtt (TERN_HOME_ASSISTANT: the Python that has them)"
if why:
    point(True, "Home Assistant finds cameras", skip=why)
else:
    with tempfile.TemporaryDirectory(prefix="tern-assistant-") as place:
        undo = []
        try:
            found(place, undo)
        except (TimeoutError, OSError) as error:
            point(False, "comes to its end", repr(error), open(f"{place}/assistant.log").read()[-3000:])
        finally:
            for end in reversed(undo):
                end()
plan()
