# SPDX-License-Identifier: LGPL-2.1-or-later
"""Ports for programs that are told where to listen."""

import socket

held = []


def port():
    """One of 127.0.0.1 that nobody is given by chance as long as this process lives: it is bound here, and nobody listens at it
    until somebody binds it by its number, as servers do (SO_REUSEADDR), once or again and again."""
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind(("127.0.0.1", 0))
    held.append(s)
    return s.getsockname()[1]
