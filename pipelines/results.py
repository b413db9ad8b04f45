#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Prints what a pipeline's results say, from its bus: captions, answers with their probabilities, actions.

usage: results.py PIPELINE...           as gst-launch-1.0 takes it

  results.py filesrc location=clip.mp4 ! decodebin ! videoconvert ! terncaption labels="<yes,no>" ! fakesink

Needs python3-gst-1.0. Exit status 1 after an error.
"""
import os
import sys
import warnings

import gi

gi.require_version("Gst", "1.0")
from gi.repository import Gst, GLib  # noqa: E402

warnings.simplefilter("ignore", DeprecationWarning)     # of GValueArray, which array() has no other way than


def array(structure, field):
    """The numbers or strings of an array; [] without one. (PyGObject has no getter for a GstValueArray in a structure that
    works everywhere: this one is in GStreamer since 1.12.)"""
    found, values = structure.get_array(field) if structure.has_field(field) else (False, None)
    return [values.get_nth(i) for i in range(values.n_values)] if found else []


def say(result):
    kind, start, end = result.get_string("kind"), result.get_double("start")[1], result.get_double("end")[1]
    text = result.get_string("result")
    if kind == "answer" and result.has_field("labels"):
        scores = sorted(zip(array(result, "scores"), array(result, "labels")), reverse=True)
        text = ", ".join(f"{label} {score:.2f}" for score, label in scores)
        if result.get_boolean("abstained")[1]:
            text += " (not sure)"
    elif kind == "action":
        actions, steps = array(result, "actions"), result.get_uint("action_steps")[1]
        numbers = len(actions) // steps
        names = array(result, "action_names")
        text = f"{steps} steps, {result.get_double('action_rate')[1]:g} a second, first: " + ", ".join(
            f"{name} {value:.3f}" for name, value in zip(names, actions[:numbers]))
    print(f"[{start:.2f}-{end:.2f}] {kind}: {text}", flush=True)


def main():
    if sys.argv[1:2] in (["-h"], ["--help"]):
        print(__doc__.strip())
        return 0
    if len(sys.argv) < 2:
        print(__doc__.strip(), file=sys.stderr)
        return 2
    Gst.init(None)
    try:
        # Of several arguments each is a word, blanks and all; one is a whole pipeline.
        pipeline = Gst.parse_launchv(sys.argv[1:]) if len(sys.argv) > 2 else Gst.parse_launch(sys.argv[1])
    except GLib.Error as error:
        sys.exit(f"results.py: {error.message}")
    bus, status = pipeline.get_bus(), 0
    wanted = Gst.MessageType.ELEMENT | Gst.MessageType.EOS | Gst.MessageType.ERROR | Gst.MessageType.WARNING
    try:
        pipeline.set_state(Gst.State.PLAYING)
        while True:
            message = bus.timed_pop_filtered(200 * Gst.MSECOND, wanted)
            if not message:
                continue
            if message.type == Gst.MessageType.ELEMENT:
                structure = message.get_structure()
                if structure.get_name() == "tern-result":
                    say(structure)
            elif message.type == Gst.MessageType.WARNING:
                print("results.py: warning:", *message.parse_warning(), file=sys.stderr)
            else:
                if message.type == Gst.MessageType.ERROR:
                    print("results.py:", *message.parse_error(), file=sys.stderr)
                    status = 1
                break
    except KeyboardInterrupt:
        status = 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)    # the reader has seen enough
    pipeline.set_state(Gst.State.NULL)
    return status


if __name__ == "__main__":
    sys.exit(main())
