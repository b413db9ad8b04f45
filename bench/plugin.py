# SPDX-License-Identifier: LGPL-2.1-or-later
"""The plugin of a build folder, for the programs here that run pipelines."""
import os
import tempfile

FOLDER = tempfile.TemporaryDirectory()  # as long as the program runs


def load(build, fake=False):
    """GStreamer with the plugin of @build (None: without one); @fake: the one over tests/elements/fake-tern.c, and model
    files that it takes. Returns the module Gst."""
    if build:
        os.environ["GST_PLUGIN_PATH"] = os.path.abspath(build) + ("/tests/elements" if fake else "/gst-plugin")
        os.environ["GST_REGISTRY"] = FOLDER.name + "/registry"
    if build and fake:
        for name in ("text.gguf", "mmproj-a.gguf"):
            with open(f"{FOLDER.name}/{name}", "w") as file:
                file.write("GGUF, " + name)
        os.environ["TERN_MODEL_PATH"] = FOLDER.name + "/text.gguf"
    import gi

    gi.require_version("Gst", "1.0")
    from gi.repository import Gst
    Gst.init(None)
    return Gst
