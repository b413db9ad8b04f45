# SPDX-License-Identifier: LGPL-2.1-or-later
"""The files that a table names: in a folder, or in a plain tar, which is unpacked for the time."""
import contextlib
import os
import tarfile
import tempfile

import tables


@contextlib.contextmanager
def opened(place):
    """`where(names)`: the paths of these names. A folder's names are relative to it; a tar's may also be the last part of
    a member's name. Names that are not there are one message."""
    if os.path.isdir(place):
        yield lambda names: _found(place, names, lambda name: os.path.join(place, name))
        return
    try:
        archive = tarfile.open(place)
    except (OSError, tarfile.TarError) as error:
        raise tables.Wrong(f"{tables.shown(place)}: expected a folder or a tar of pictures or clips, found "
                           f"{str(error).splitlines()[0]}") from None
    with archive, tempfile.TemporaryDirectory(prefix="tern-eval-") as folder:
        _unpack(archive, folder, place)
        known = {}
        for root, _, names in os.walk(folder):
            for name in names:
                path = os.path.join(root, name)
                known.setdefault(name, path)
                known[os.path.relpath(path, folder)] = path
        yield lambda names: _found(place, names, lambda name: known.get(name, ""))


def _checked(member, folder):
    """What Python's own filter lets in, without links; that came with 3.11.4, and Debian 12 has 3.11.2."""
    path = os.path.realpath(os.path.join(folder, member.name))
    if not (member.isreg() or member.isdir()) or os.path.commonpath([folder, path]) != folder:
        raise tarfile.TarError(f"{member.name!r}, which is neither a file nor a folder in it")
    return member


def _unpack(archive, folder, place):
    try:
        if hasattr(tarfile, "data_filter"):
            archive.extractall(folder, filter="data")
        else:
            archive.extractall(folder, [_checked(member, os.path.realpath(folder)) for member in archive])
    except (OSError, tarfile.TarError) as error:
        raise tables.Wrong(f"{tables.shown(place)}: expected a tar that stays within its folder, found {error}") from None


def _found(place, names, path_of):
    paths = [path_of(name) for name in names]
    missing = [name for name, path in zip(names, paths) if not os.path.isfile(path)]
    if missing:
        few = ", ".join(tables.shown(m) for m in missing[:3])
        raise tables.Wrong(f"{tables.shown(place)}: expected the {len(names)} files that the table names, found that "
                           f"{len(missing)} are not there: {few}")
    return paths
