#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Results (JSON lines on standard input) as ROS 2 messages, without a ROS: docs/robots.md.

usage: ... | ros2.py [--topic /tern/caption] [--bag FOLDER]
       ros2.py --listen SECONDS [--topic /tern/caption]

Each line becomes a std_msgs/String with the whole line, for subscribers with ROS's default settings; errors and partial
answers too, `kind` says which. --bag writes them into a bag (mcap) instead, stamped with `utc` where a result has it,
else with the clock. Needs PyPI cyclonedds, or rosbags for a bag.
"""
import argparse
import json
import sys
import time


def lines():
    """Results, as text and as fields; what is none is said and left out."""
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
    qos = Qos(Policy.Reliability.Reliable(duration(seconds=1)), Policy.History.KeepLast(10), Policy.Durability.Volatile)
    return participant, Topic(participant, "rt" + name, String, qos=qos), qos, String


def publish(name):
    from cyclonedds.pub import DataWriter

    participant, topic, qos, String = topic_of(name)
    writer = DataWriter(participant, topic, qos=qos)
    count = 0
    for line, _ in lines():
        writer.write(String(data=line))
        count += 1
    time.sleep(1)               # what is on its way arrives
    print(f"ros2.py: {count} messages on {name}", file=sys.stderr)


def listen(name, seconds):
    from cyclonedds.sub import DataReader

    participant, topic, qos, _ = topic_of(name)
    reader = DataReader(participant, topic, qos=qos)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for sample in reader.take(N=10):
            if hasattr(sample, "data"):         # others say that a writer has gone
                print(sample.data, flush=True)
        time.sleep(.02)


def record(name, folder):
    from rosbags.rosbag2 import StoragePlugin, Writer
    from rosbags.typesys import Stores, get_typestore

    store = get_typestore(Stores.ROS2_HUMBLE)
    String = store.types["std_msgs/msg/String"]
    count = 0
    with Writer(folder, version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        connection = writer.add_connection(name, String.__msgtype__, typestore=store)
        for line, result in lines():
            stamp = result.get("utc", time.time_ns())
            writer.write(connection, stamp, store.serialize_cdr(String(line), String.__msgtype__))
            count += 1
    print(f"ros2.py: {count} messages in {folder}", file=sys.stderr)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--topic", default="/tern/caption")
    parser.add_argument("--bag")
    parser.add_argument("--listen", type=float)
    options = parser.parse_args()
    if not options.topic.startswith("/"):
        parser.error(f"--topic: expected a name that begins with /, found {options.topic}")
    try:
        if options.bag:
            record(options.topic, options.bag)
        elif options.listen:
            listen(options.topic, options.listen)
        else:
            publish(options.topic)
    except ImportError as error:
        sys.exit(f"ros2.py: {error}: pip install {'rosbags' if options.bag else 'cyclonedds'}")
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
