#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Reads the KLV packets of ternklvenc (docs/klv.md) and prints each as a JSON line.

usage: read-klv.py [FILE]

FILE holds packets one after the other, as they come out of a transport stream; default: standard input. What is no packet
of ours is skipped. Out of a transport stream they come by either of

  gst-launch-1.0 filesrc location=clip.ts ! tsdemux ! meta/x-klv ! filesink location=clip.klv
  ffmpeg -i clip.ts -map 0:d -c copy -f data clip.klv

Exit status 1 when a packet is damaged; the others are printed.
"""
import json
import os
import struct
import sys

KEY = bytes.fromhex("060e2b34020b01010f5445524e010100")
ANY = bytes.fromhex("060e2b34")


def number(value):
    return int.from_bytes(value, "big")


def text(value):
    return value.decode("utf-8")


def double(value):
    return struct.unpack(">d", value)[0]


def floats(value):
    return list(struct.unpack(f">{len(value) // 4}f", value))


def texts(value):
    found, at = [], 0
    while at < len(value):
        length, at = read_length(value, at)
        if length > len(value) - at:
            raise ValueError("a text is cut off")
        found.append(text(value[at:at + length]))
        at += length
    return found


FIELDS = {2: ("utc_us", number), 3: ("set_version", number), 4: ("kind", text), 5: ("id", number), 6: ("result", text),
          7: ("prompt_id", text), 8: ("start_ns", number), 9: ("end_ns", number), 10: ("confidence", double),
          11: ("labels", texts), 12: ("scores", floats), 13: ("abstained", lambda value: value != b"\0"),
          14: ("actions", floats), 15: ("action_steps", number), 16: ("action_rate", double), 17: ("action_space", text),
          18: ("action_names", texts), 19: ("ask_id", number), 20: ("source", text), 21: ("model", text),
          22: ("finish_reason", text)}


def read_length(data, at):
    """A BER length, and what follows it."""
    if at >= len(data):
        raise ValueError("a length is missing")
    first, at = data[at], at + 1
    if first < 128:
        return first, at
    count = first & 127
    if count == 0 or count > 8 or at + count > len(data):
        raise ValueError(f"a length of {count} bytes")
    return int.from_bytes(data[at:at + count], "big"), at + count


def read_packet(packet, at):
    """The fields of a packet, whose value begins at @at."""
    if len(packet) < at + 4 or packet[-4:-2] != b"\x01\x02":
        raise ValueError("the checksum is not last")
    total = sum(byte << 8 if i % 2 == 0 else byte for i, byte in enumerate(packet[:-2])) & 0xffff
    if total != int.from_bytes(packet[-2:], "big"):
        raise ValueError("the checksum is wrong")
    fields = {}
    while at < len(packet) - 4:
        tag, at = packet[at], at + 1
        length, at = read_length(packet, at)
        if length > len(packet) - 4 - at:
            raise ValueError(f"tag {tag} is cut off")
        if tag in FIELDS:           # others may come with later versions
            name, read = FIELDS[tag]
            fields[name] = read(packet[at:at + length])
        at += length
    return fields


def packets(data):
    """Fields of each packet, or what is wrong with it."""
    at = data.find(ANY)
    while at >= 0:
        try:
            length, value = read_length(data, at + 16)
            if value + length > len(data):
                raise ValueError("it is cut off")
            if data[at:at + 16] == KEY:
                yield read_packet(data[at:value + length], value - at), None
            at = data.find(ANY, value + length)
        except (ValueError, struct.error) as error:
            yield None, f"packet at byte {at}: {error}"
            at = data.find(ANY, at + 4)


def main():
    if sys.argv[1:] in (["-h"], ["--help"]):
        print(__doc__.strip())
        return 0
    if len(sys.argv) > 2:
        print(__doc__.strip(), file=sys.stderr)
        return 2
    try:
        if len(sys.argv) == 2:
            with open(sys.argv[1], "rb") as file:
                data = file.read()
        else:
            data = sys.stdin.buffer.read()
    except OSError as error:
        print(f"read-klv.py: {error}", file=sys.stderr)
        return 1
    status = 0
    try:
        for fields, error in packets(data):
            if error:
                print(f"read-klv.py: {error}", file=sys.stderr)
                status = 1
            else:
                print(json.dumps(fields, ensure_ascii=False), flush=True)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)    # the reader has seen enough
    return status


if __name__ == "__main__":
    sys.exit(main())
