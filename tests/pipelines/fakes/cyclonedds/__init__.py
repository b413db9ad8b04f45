# SPDX-License-Identifier: LGPL-2.1-or-later
"""As much of cyclonedds as ros2.py takes, and one subscriber who is found late and takes slowly, as DDS has them: what is
written before it is found is lost to it, and of what waits no more is kept than the history says. What it took is lines of
FAKE_DDS_TAKEN; FAKE_DDS_FOUND: seconds until it is found ("never"), FAKE_DDS_EACH: seconds for one message."""
import collections
import os
import sys
import threading
import time

FULL = 64                       # messages that may wait before writing does


class DDSException(Exception):
    pass


class Policy:
    class Reliability:
        Reliable = staticmethod(lambda blocking: ("blocking", blocking / 1e9))

    class History:
        KeepAll = ("depth", None)
        KeepLast = staticmethod(lambda depth: ("depth", depth))

    class Durability:
        Volatile = ("durability", "volatile")


def Qos(*policies):
    return dict(policies)


def duration(seconds):
    return int(seconds * 1e9)


class IdlStruct:
    def __init_subclass__(cls, typename):
        cls.typename = typename


class DomainParticipant:
    pass


class Topic:
    def __init__(self, participant, name, kind, qos):
        assert kind.typename == "std_msgs::msg::dds_::String_", kind.typename
        self.name = name


class DataWriter:
    def __init__(self, participant, topic, qos):
        found = os.environ.get("FAKE_DDS_FOUND", "0")
        self.qos, self.waiting, self.change = qos, collections.deque(), threading.Condition()
        self.found = time.monotonic() + float(found) if found != "never" else None
        threading.Thread(target=self.take, args=(float(os.environ.get("FAKE_DDS_EACH", "0")), ), daemon=True).start()

    def take(self, each):
        with open(os.environ["FAKE_DDS_TAKEN"], "a") as out:
            while True:
                with self.change:
                    self.change.wait_for(lambda: self.waiting)
                time.sleep(each)
                with self.change:
                    out.write(self.waiting.popleft() + "\n")
                    out.flush()
                    self.change.notify_all()

    def get_matched_subscriptions(self):
        return [1] if self.found is not None and time.monotonic() >= self.found else []

    def write(self, sample):
        if not self.get_matched_subscriptions():
            return
        with self.change:
            if self.qos["depth"] is None:
                if not self.change.wait_for(lambda: len(self.waiting) < FULL, self.qos["blocking"]):
                    raise DDSException("timeout")
            elif len(self.waiting) >= self.qos["depth"]:
                self.waiting.popleft()
            self.waiting.append(sample.data)
            self.change.notify_all()

    def wait_for_acks(self, timeout):
        with self.change:
            return self.change.wait_for(lambda: not self.waiting, timeout / 1e9)


for module in ("core", "domain", "idl", "topic", "util", "pub"):
    sys.modules[f"{__name__}.{module}"] = sys.modules[__name__]
