#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Results (JSON lines on standard input) as ROS 2 messages, without a ROS: docs/robots.md.

usage: ... | ros2.py [--topic /tern/caption] [--wait SECONDS] [--bag FOLDER]
       ros2.py --listen SECONDS [--topic /tern/caption]

Each line becomes a std_msgs/String with the whole line, for subscribers with ROS's default settings; errors and partial
answers too, `kind` says which. The first one waits until somebody listens, --wait (5) at most; exit status 1 when there are
messages that nobody took. --bag writes them into a bag (mcap) instead, stamped with `utc` where a result has it, else with
the clock. Needs PyPI cyclonedds, or rosbags for a bag.
"""
import argparse
import json
import os
import sys
import time

TAKEN = 5                       # seconds in which subscribers that are there take what is on its way


def lines():
    """Results, as text and as fields; what is none is said and left out."""
    sys.stdin.reconfigure(encoding="utf-8", errors="replace")
    for line in sys.stdin:
        try:
            result = json.loads(line)
            result["kind"], result["result"]
        except (ValueError, KeyError, TypeError):
            if line.strip():
                print(f"ros2.py: expected a result as JSON, found {line.strip()[:80]}", file=sys.stderr)
            continue
        yield line.strip(), result


def topic_of(name):
    from dataclasses import dataclass

    from cyclonedds.core import Policy, Qos
    from cyclonedds.domain import DomainParticipant
    from cyclonedds.idl import IdlStruct
    from cyclonedds.topic import Topic
    from cyclonedds.util import duration

    @dataclass
    class String(IdlStruct, typename="std_msgs::msg::dds_::String_"):
        data: str

    participant = DomainParticipant()
    # All are kept until they have been taken, whatever the pace: a burst is longer than ROS's ten. Writing waits so long at most.
    qos = Qos(Policy.Reliability.Reliable(duration(seconds=TAKEN)), Policy.History.KeepAll, Policy.Durability.Volatile)
    return participant, Topic(participant, "rt" + name, String, qos=qos), qos, String


def somebody(writer, seconds):
    """Whether there is a subscriber, within so many seconds. What is written before it is found it never sees."""
    end = time.monotonic() + seconds
    while not writer.get_matched_subscriptions():
        if time.monotonic() >= end:
            return False
        time.sleep(.02)
    return True


def publish(name, wait):
    from cyclonedds.core import DDSException
    from cyclonedds.pub import DataWriter
    from cyclonedds.util import duration

    participant, topic, qos, String = topic_of(name)
    writer = DataWriter(participant, topic, qos=qos)
    count = alone = refused = 0
    taken = True
    try:
        for line, _ in lines():
            if not somebody(writer, 0 if count else wait):
                if not alone:
                    print(f"ros2.py: nobody listens on {name}{'' if count else f' after {wait:g} s'}: going on", file=sys.stderr)
                alone += 1
            count += 1
            try:
                writer.write(String(data=line))
            except DDSException as error:
                if not refused:
                    print(f"ros2.py: not sent: {error}", file=sys.stderr)
                refused += 1
        taken = writer.wait_for_acks(duration(seconds=TAKEN))
    finally:
        print(f"ros2.py: {count} messages on {name}" + (f", {alone} of them when nobody listened" if alone else "")
              + (f", {refused} not sent" if refused else "")
              + ("" if taken else f", the last ones not taken within {TAKEN} s"), file=sys.stderr)
    return 1 if alone or refused or not taken else 0


def listen(name, seconds):
    from cyclonedds.sub import DataReader

    participant, topic, qos, _ = topic_of(name)
    reader = DataReader(participant, topic, qos=qos)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for sample in reader.take(N=100):
            if hasattr(sample, "data"):         # others say that a writer has gone
                print(sample.data, flush=True)
        time.sleep(.02)


def record(name, folder):
    from rosbags.rosbag2 import StoragePlugin, Writer, WriterError
    from rosbags.typesys import Stores, get_typestore

    store = get_typestore(Stores.ROS2_HUMBLE)
    String = store.types["std_msgs/msg/String"]
    count = 0
    try:
        with Writer(folder, version=9, storage_plugin=StoragePlugin.MCAP) as writer:
            connection = writer.add_connection(name, String.__msgtype__, typestore=store)
            for line, result in lines():
                utc = result.get("utc")
                stamp = utc if isinstance(utc, int) and 0 <= utc < 1 << 63 else time.time_ns()
                writer.write(connection, stamp, store.serialize_cdr(String(line), String.__msgtype__))
                count += 1
    except (WriterError, OSError) as error:
        sys.exit(f"ros2.py: {folder}: {error}")
    print(f"ros2.py: {count} messages in {folder}", file=sys.stderr)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--topic", default="/tern/caption")
    parser.add_argument("--wait", type=float, default=5)
    parser.add_argument("--bag")
    parser.add_argument("--listen", type=float)
    options = parser.parse_args()
    if not options.topic.startswith("/"):
        parser.error(f"--topic: expected a name that begins with /, found {options.topic}")
    if not 0 <= options.wait <= 86400:
        parser.error(f"--wait: expected seconds, 0 to 86400, found {options.wait}")
    if options.listen is not None and not options.listen > 0:
        parser.error(f"--listen: expected seconds, more than 0, found {options.listen}")
    try:
        if options.bag is not None:
            record(options.topic, options.bag)
        elif options.listen:
            listen(options.topic, options.listen)
        else:
            return publish(options.topic, options.wait)
    except ImportError as error:
        sys.exit(f"ros2.py: {error}: pip install {'rosbags' if options.bag else 'cyclonedds'}")
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)    # the reader has seen enough
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
