#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Results (JSON lines on standard input) as MAVLink STATUSTEXT, for a ground station: docs/robots.md.

usage: ... | mavlink.py [udpout:HOST:14550] [--system 1] [--answers]

Says a thing once: a text that is the last one again is left out. Text of more than 50 bytes goes in chunks. With
--answers closed answers alone are said, and those that abstain are not: what a pilot wants beside captions on a screen.
A heartbeat goes out each second, as an onboard controller's. Needs PyPI pymavlink.
"""
import argparse
import json
import os
import socket
import sys
import threading

os.environ["MAVLINK20"] = "1"   # chunks are MAVLink 2's
CHUNK = 50
MOST = 256                      # chunks that the message can count


def chunks(text):
    """Of at most 50 bytes, none of which ends within a character. The last one is shorter than that: so it is known."""
    data, parts = text.encode(), []
    while len(data) >= CHUNK:
        end = CHUNK
        while data[end:end + 1] and data[end] & 0xc0 == 0x80:
            end -= 1
        parts.append(data[:end].ljust(CHUNK, b" "))
        data = data[end:]
    parts.append(data)
    return parts if len(parts) <= MOST else parts[:MOST - 1] + [b""]


def said(result, answers):
    """What to say of it; None: nothing."""
    kind = result.get("kind")
    if kind in ("partial", "action") or not result.get("result"):
        return None
    if answers and (kind != "answer" or result.get("abstained")):
        return None
    return str(result["result"]).replace("\0", " ").strip() + (" (not sure)" if result.get("abstained") else "")


def connect(options, mavutil):
    """A name that is not known yet is told, since pymavlink drops what it cannot send by UDP and says nothing."""
    parts = options.link.split(":")
    if parts[0].startswith("udp") and len(parts) == 3:
        try:
            socket.getaddrinfo(parts[1], None)
        except OSError as error:
            print(f"mavlink.py: {parts[1]}: {error}: nothing is sent until it is known", file=sys.stderr)
    try:
        return mavutil.mavlink_connection(options.link, source_system=options.system,
                                          source_component=mavutil.mavlink.MAV_COMP_ID_ONBOARD_COMPUTER)
    except ImportError as error:
        sys.exit(f"mavlink.py: {options.link}: taken for a serial port: {error}: pip install pyserial")
    except (OSError, ValueError) as error:
        sys.exit(f"mavlink.py: {options.link}: {error}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("link", nargs="?", default="udpout:127.0.0.1:14550")
    parser.add_argument("--system", type=int, default=1)
    parser.add_argument("--answers", action="store_true")
    options = parser.parse_args()
    if not 1 <= options.system <= 255:
        parser.error(f"--system: expected 1 to 255, found {options.system}")
    try:
        from pymavlink import mavutil
    except ImportError as error:
        sys.exit(f"mavlink.py: {error}: pip install pymavlink")
    mavlink = mavutil.mavlink
    link = connect(options, mavutil)
    lock, stop = threading.Lock(), threading.Event()

    def beat():
        while True:
            try:
                with lock:
                    link.mav.heartbeat_send(mavlink.MAV_TYPE_ONBOARD_CONTROLLER, mavlink.MAV_AUTOPILOT_INVALID, 0, 0,
                                            mavlink.MAV_STATE_ACTIVE)
            except OSError:             # the link may come back
                pass
            if stop.wait(1):
                return

    thread = threading.Thread(target=beat, daemon=True)
    thread.start()
    last, number = None, 0
    sys.stdin.reconfigure(encoding="utf-8", errors="replace")
    for line in sys.stdin:
        try:
            result = json.loads(line)
            text = said(result, options.answers)
        except (ValueError, AttributeError):
            print(f"mavlink.py: expected a result as JSON, found {line.strip()[:80]}", file=sys.stderr)
            continue
        if text is None or text == last:
            continue
        last, number = text, number % 65535 + 1
        severity = mavlink.MAV_SEVERITY_WARNING if result.get("kind") == "error" else mavlink.MAV_SEVERITY_INFO
        parts = chunks(text)
        try:
            with lock:
                for i, part in enumerate(parts):
                    link.mav.statustext_send(severity, part, number if len(parts) > 1 else 0, i)
        except OSError as error:
            print(f"mavlink.py: not sent: {error}", file=sys.stderr)
    stop.set()
    thread.join()
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
