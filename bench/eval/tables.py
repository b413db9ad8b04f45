# SPDX-License-Identifier: LGPL-2.1-or-later
"""Tables of a user: lines of columns with a tab between them, the first a file's name.

A name is bytes, as in a folder (what is no UTF-8 survives, by Python's surrogateescape); every other column is UTF-8. A
byte order mark, carriage returns and empty lines are passed over. What is wrong is said with file, line, what was
expected and what was found.
"""
import os

LARGEST = 256 << 20


class Wrong(Exception):
    """The user's mistake: the message is for him, and ends the program with status 2."""


def shown(text, most=60):
    """What can be printed of anything: names that are no UTF-8, endless lines."""
    text = str(text)
    text = text if len(text) <= most else text[:most] + "..."
    return text.encode("utf8", "backslashreplace").decode("utf8")


def rows(path, columns):
    """[(column, ...)] of the table at `path`; `columns` are the names that a message gives them. Tabs behind the last
    column's belong to it."""
    wanted = "<TAB>".join(columns)
    try:
        with open(path, "rb") as f:
            data = f.read(LARGEST + 1)
    except (OSError, ValueError) as error:
        found = getattr(error, "strerror", None) or error
        raise Wrong(f"{shown(path)}: expected a table of {wanted}, found {found}") from None
    if len(data) > LARGEST:
        raise Wrong(f"{path}: expected a table of at most {LARGEST >> 20} MiB, found more")
    out = []
    for number, line in enumerate(data.removeprefix(b"\xef\xbb\xbf").split(b"\n"), 1):
        line = line.removesuffix(b"\r")
        if not line.strip():
            continue
        where = f"{path}, line {number}"
        parts = line.split(b"\t", len(columns) - 1)
        if len(parts) < len(columns):
            raise Wrong(f"{where}: expected {wanted}, found \"{shown(os.fsdecode(line))}\"")
        if not parts[0] or b"\0" in parts[0]:
            raise Wrong(f"{where}: expected a file's name before the first tab, found \"{shown(os.fsdecode(parts[0]))}\"")
        texts = []
        for name, part in zip(columns[1:], parts[1:]):
            try:
                texts.append(part.decode("utf8").strip())
            except UnicodeDecodeError as error:
                raise Wrong(f"{where}: expected UTF-8 for {name}, found byte 0x{part[error.start]:02x}") from None
            if not texts[-1]:
                raise Wrong(f"{where}: expected {name}, found nothing before the next tab or the line's end")
        out.append((os.fsdecode(parts[0]), *texts))
    if not out:
        raise Wrong(f"{path}: expected lines of {wanted}, found none")
    return out


def groups(path, column="caption"):
    """{file: [captions]}, files in the order in which they come first."""
    out = {}
    for name, text in rows(path, ("file", column)):
        out.setdefault(name, []).append(text)
    return out


def seconds(text, where, name):
    try:
        value = float(text)
    except ValueError:
        value = -1
    if not 0 <= value < 1e7:
        raise Wrong(f"{where}: expected {name} in seconds from the file's beginning, found \"{shown(text)}\"")
    return value
