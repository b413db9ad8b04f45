# SPDX-License-Identifier: LGPL-2.1-or-later
"""As much of pymavlink as mavlink.py takes: each STATUSTEXT is a JSON line of FAKE_MAVLINK_SENT. FAKE_MAVLINK_AWAY: bytes
with which texts begin while the link is away."""
import json
import os
import struct
import sys
import types

mavutil = sys.modules[f"{__name__}.mavutil"] = types.ModuleType(f"{__name__}.mavutil")
mavutil.mavlink = types.SimpleNamespace(MAV_COMP_ID_ONBOARD_COMPUTER=191, MAV_TYPE_ONBOARD_CONTROLLER=18, MAV_AUTOPILOT_INVALID=8,
                                        MAV_STATE_ACTIVE=4, MAV_SEVERITY_WARNING=4, MAV_SEVERITY_INFO=6)


class Mav:
    def heartbeat_send(self, *fields):
        struct.pack("<5B", *fields)

    def statustext_send(self, severity, text, number, chunk):
        struct.pack("<BHB", severity, number, chunk)    # an error where one does not fit
        assert len(text) <= 50, text
        if os.environ.get("FAKE_MAVLINK_AWAY") and text.startswith(os.environ["FAKE_MAVLINK_AWAY"].encode()):
            raise ConnectionRefusedError("nobody there")
        with open(os.environ["FAKE_MAVLINK_SENT"], "a") as out:
            out.write(json.dumps([severity, text.hex(), number, chunk]) + "\n")


def mavlink_connection(link, source_system, source_component):
    if link == "nonsense":
        raise ValueError("expected a link")
    assert os.environ.get("MAVLINK20") == "1" and source_component == 191, "MAVLink 2 of an onboard computer"
    return types.SimpleNamespace(mav=Mav())


mavutil.mavlink_connection = mavlink_connection
