# SPDX-License-Identifier: LGPL-2.1-or-later
"""A broker (mosquitto), who records what it has, and a proxy in front of it that takes it away."""
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import threading

from watching import ports, until, whole_lines

MISSING = [name for name in ("mosquitto", "mosquitto_sub", "mosquitto_pub") if not shutil.which(name)]
PUBACK = 0x40


class Broker:
    def __init__(self, folder, *lines):
        self.folder, self.port = folder, ports.port()
        self.config = f"{folder}/mosquitto.conf"
        with open(self.config, "w") as file:
            print(f"listener {self.port} 127.0.0.1", "allow_anonymous true", f"persistence_location {folder}/", "user root",
                  *lines, sep="\n", file=file)
        self.start()

    def start(self):
        self.process = subprocess.Popen(["mosquitto", "-c", self.config], stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        until(self.answers, "the broker")

    def answers(self):
        try:
            socket.create_connection(("127.0.0.1", self.port)).close()
            return True
        except OSError:
            return False

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait()


class Recorder:
    """What comes under tern/ and homeassistant/, in its order, of a session that lasts: topic, retained, payload."""

    def __init__(self, broker, name):
        self.path = f"{broker.folder}/{name}"
        self.arguments = ["mosquitto_sub", "-h", "127.0.0.1", "-p", str(broker.port), "-i", name, "-c", "-q", "1",
                          "-t", "tern/#", "-t", "homeassistant/#", "-F", "%t %r %p"]
        self.start()

    def start(self):
        # What says that it listens: its own word, which it has from the broker.
        mark = f"tern/mark/{os.urandom(4).hex()}"
        self.file = open(self.path, "a")
        self.process = subprocess.Popen(self.arguments, stdout=self.file)

        def heard():
            subprocess.run(["mosquitto_pub", *self.arguments[1:5], "-t", mark, "-m", "x"], check=False)
            return any(line.startswith(mark) for line in whole_lines(self.path))

        until(heard, "the recorder")

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait()
        self.file.close()

    def heard(self):
        found = []
        for line in whole_lines(self.path):
            topic, retained, payload = line.split(" ", 2)
            if not topic.startswith("tern/mark"):
                found.append((topic, retained == "1", payload))
        return found

    def told(self):
        """Results and alerts as they came."""
        return [json.loads(payload) for topic, retained, payload in self.heard()
                if not retained and re.fullmatch(r"tern/\w+/\w+", topic) and payload.startswith("{")]


class Proxy:
    """In front of the broker. @mute: answers of that kind are kept."""

    def __init__(self, broker):
        self.broker, self.mute, self.open, self.kept = broker, None, True, 0
        self.server = socket.create_server(("127.0.0.1", 0))
        self.port, self.pairs = self.server.getsockname()[1], []
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            client, _ = self.server.accept()
            if not self.open:
                client.close()
                continue
            try:
                broker = socket.create_connection(("127.0.0.1", self.broker.port))
            except OSError:
                client.close()
                continue
            self.pairs += [client, broker]
            threading.Thread(target=self.copy, args=(client, broker), daemon=True).start()
            threading.Thread(target=self.answer, args=(broker, client), daemon=True).start()

    def copy(self, source, target):
        try:
            while data := source.recv(65536):
                target.sendall(data)
        except OSError:
            pass
        self.close(source, target)

    def close(self, *pair):
        for s in pair:
            try:
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    @staticmethod
    def packet(source):
        """One packet of MQTT, whole; b"" at the end."""
        head = source.recv(1)
        length = shift = 0
        data = head
        while head:
            byte = source.recv(1)
            if not byte:
                return b""
            data += byte
            length |= (byte[0] & 127) << shift
            shift += 7
            if byte[0] < 128:
                break
        while length:
            part = source.recv(length)
            if not part:
                return b""
            data += part
            length -= len(part)
        return data

    def answer(self, source, target):
        try:
            while data := self.packet(source):
                if self.mute is not None and data[0] & 0xf0 == self.mute:
                    self.kept += 1
                    continue
                target.sendall(data)
        except OSError:
            pass
        self.close(source, target)

    def cut(self):
        self.open = False
        pairs, self.pairs = self.pairs, []
        self.close(*pairs)

    def mend(self):
        self.open, self.mute = True, None


def without_id(entries):
    return [{k: v for k, v in entry.items() if k != "id"} for entry in entries]
