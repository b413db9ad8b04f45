# SPDX-License-Identifier: LGPL-2.1-or-later
"""A WebDataset of many tar files by `tern caption`: where one ends and the next begins, what a kill, a torn journal, a full disk and later
inputs make of them. Prints TAP.

usage: batch_series.py TERN DATA_FOLDER       (the folder with lfm2/ and lfm2vl/)
TERN_BATCH_KILLS: as for batch.py
"""
import contextlib
import pathlib
import random
import subprocess
import sys
import tarfile
import tempfile
import time

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from batch import KILLS, command, photographs, picture, samples, tern  # noqa: E402
from tap import plan, point  # noqa: E402


def series(folder, pattern="set-*.tar"):
    """The tar files of a series: {name: bytes}."""
    return {path.name: path.read_bytes() for path in folder.glob(pattern)}


def series_size(folder):
    size = 0
    for path in folder.glob("set-*.tar"):
        with contextlib.suppress(FileNotFoundError):    # the run that goes on has just removed it
            size += path.stat().st_size
    return size


def killed_series(folder, photos, size, seed, tear):
    """Kills a run that writes a series after a number of bytes drawn by chance, again and again. How often, and the last status."""
    folder.mkdir()
    out, journal, rng, kills = folder / "set-%06d.tar", folder / "set-%06d.tar.journal", random.Random(seed), 0
    while True:
        process = subprocess.Popen(command("--format", "webdataset", "--resume", "--samples-per-tar", "3", "--output", out, photos),
                                   stderr=subprocess.DEVNULL)
        wanted = series_size(folder) + rng.randrange(1, size // 3)
        while process.poll() is None and series_size(folder) < wanted:
            time.sleep(0.002)
        if process.poll() is not None:
            return kills, process.returncode
        process.kill()
        process.wait()
        kills += 1
        if tear and journal.exists():
            whole = journal.read_bytes()
            journal.write_bytes(whole[:rng.randrange(len(whole) + 1)])


def check_series_full(folder, photos, whole):
    """A disk that is full in the middle of a series."""
    small = folder / "small series"
    small.mkdir()
    size = sum(map(len, whole.values()))
    if subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size // 2}", "tmpfs", str(small)], stderr=subprocess.DEVNULL,
                      check=False).returncode != 0:
        point(True, "a series on a full disk", skip="no tmpfs may be mounted here")
        return
    try:
        args = ("--format", "webdataset", "--resume", "--samples-per-tar", "3", "--output", small / "set-%06d.tar", photos)
        full = tern(*args)
        subprocess.run(["mount", "-o", f"remount,size={2 * size}", str(small)], check=True)
        run = tern(*args)
        point(full[0] == 75 and "No space left" in full[2] and run[0] == 0 and series(small) == whole,
              "a series on a full disk: 75, and with room again it goes on", full, run)
    finally:
        subprocess.run(["umount", str(small)], check=False)


def check_series_limits(folder, photos, want):
    sized = folder / "sized"
    sized.mkdir()
    run = tern("--format", "webdataset", "--bytes-per-tar", "20k", "--output", sized / "%01d.tar", photos)
    parts, good = [], len(series(sized, "*.tar")) > 1
    for number in range(len(series(sized, "*.tar"))):
        with tarfile.open(sized / f"{number}.tar") as tar:
            members = tar.getmembers()
            end = tar.offset if members else 0
        last = members[-2].offset      # where its last sample begins
        good &= last < 20 << 10 and (end >= 20 << 10 or number == len(series(sized, "*.tar")) - 1)
        parts += samples(sized / f"{number}.tar")
    point(run[0] == 0 and good and parts == want, "or as many bytes: none is begun behind them", run,
          sorted(series(sized, "*.tar")))
    plain = folder / "plain"
    plain.mkdir()
    run = tern("--format", "webdataset", "--output", plain / "set-%06d.tar", photos)
    point(run[0] == 0 and series(plain) == {"set-000000.tar": (folder / "one.tar").read_bytes()}, "few are one file", run)


def check_series_killed(folder, photos, whole):
    kills, good, notes = 0, True, []
    for seed in range(KILLS):
        where = folder / f"killed series {seed}"
        n, status = killed_series(where, photos, sum(map(len, whole.values())), seed, seed % 2)
        kills += n
        if status != 0 or series(where) != whole:
            good = False
            notes.append((seed, n, status, {name: samples(where / name) for name in series(where)}))
    point(good and kills >= KILLS, "killed and its journal torn, again and again: the same bytes in the same files", kills, *notes)


def check_series_later(folder, photos, whole):
    """Goes on with the first series that was killed, twenty photographs in seven files."""
    where = folder / "killed series 0"
    args = ("--format", "webdataset", "--resume", "--samples-per-tar", "3", "--output", where / "set-%06d.tar", photos)
    (where / "set-000002.tar").unlink()         # moved on to where it is needed
    kept = series(where)
    run = tern(*args)
    point(run[0] == 0 and series(where) == kept, "once more: nothing changes, and one that was taken away is not missed", run)
    for number in (20, 21):
        (photos / f"{number:04}.ppm").write_bytes(picture(number))
        run = tern(*args)
    grown = series(where)
    point(run[0] == 0 and [name for name, _ in samples(where / "set-000006.tar")][-1] == b"0020.txt"
          and [name for name, _ in samples(where / "set-000007.tar")] == [b"0021.ppm", b"0021.txt"]
          and {n: b for n, b in grown.items() if n < "set-000006.tar"} == {n: b for n, b in kept.items() if n < "set-000006.tar"},
          "what came later fills the last one, then the next", run, sorted(grown))
    last = tern(*args[:4], "1", *args[5:])
    point(last[0] == 0 and series(where) == grown, "other limits go on, too", last)
    check_series_torn(folder, photos, whole, args)


def check_series_torn(folder, photos, whole, args):
    """The journal is torn behind the tenth sample, and meanwhile inputs are gone: nothing takes the place of what it does not
    vouch for."""
    where, fewer = folder / "killed series 0", folder / "fewer"
    fewer.mkdir()
    (where / "set-000002.tar").write_bytes(whole["set-000002.tar"])
    journal = where / "set-%06d.tar.journal"
    words = journal.read_bytes()
    journal.write_bytes(words[:words.index(b"\n", words.index(b"0009.ppm")) + 20])
    (folder / "aside").mkdir()
    for number in range(12, 22):
        (photos / f"{number:04}.ppm").rename(folder / f"aside/{number:04}.ppm")
    run = tern(*args)
    new = tern("--format", "webdataset", "--samples-per-tar", "3", "--output", fewer / "set-%06d.tar", photos)
    point(run[0] == 0 and new[0] == 0 and len(series(fewer)) == 4 and series(where) == series(fewer),
          "what the journal does not vouch for goes, though nothing comes in its place", run, new, sorted(series(where)))
    for number in range(12, 20):
        (folder / f"aside/{number:04}.ppm").rename(photos / f"{number:04}.ppm")


def check_series_names(folder, photos, want):
    shards = [tern("--format", "webdataset", "--samples-per-tar", "3", "--shard", f"{i}/11", "--output",
                   folder / "part-%03d.tar", photos)
              for i in range(11)]
    found = series(folder, "part-*.tar")
    point([s[0] for s in shards] == [0] * 11 and {name[:8] for name in found} == {f"part-{i:02}-" for i in range(11)}
          and sorted(sum((samples(folder / name) for name in found), [])) == sorted(want),
          "shards have files of their own, which make a whole", shards, sorted(found))

    twice = folder / "twice"
    for sub in ("a", "b"):
        photographs(twice / sub, 2)
    run = tern("--format", "webdataset", "--samples-per-tar", "1", "--output", folder / "twice-%06d.tar", twice / "a", twice / "b")
    names = sorted(name for path in folder.glob("twice-*.tar") for name, _ in samples(path))
    point(run[0] == 1 and "0001 too" in run[2] and names == [b"0000.ppm", b"0000.txt", b"0001.ppm", b"0001.txt"]
          and len(series(folder, "twice-*.tar")) == 2, "a key is there once in all of them", run, names)
    (folder / "odd%01d-0.tar").mkdir()
    (folder / "odd%01d-0.tar" / "x-0.tar").mkdir()
    odd = tern("--format", "webdataset", "--output", folder / "odd%01d-0.tar" / "x-%01d.tar", photos)
    point(odd[0] == 1 and "found something else" in odd[2], "a folder under a tar file's name is named", odd)


def check_series_usage(folder, photos):
    for name in ("x-%d.tar", "x-%6d.tar", "x-%00d.tar", "x-%06x.tar", "x-%06d-%06d.tar", "x%%-%06d.tar", "x-%06d%", "100%.tar"):
        run = tern("--format", "webdataset", "--output", folder / name, photos)
        point(run[0] == 2 and "exactly one %0Nd" in run[2] and name in run[2], f"no series: {name}", run)
    for args in (["--samples-per-tar", "0"], ["--samples-per-tar", "-1"], ["--bytes-per-tar", "many"], ["--bytes-per-tar", "0"]):
        run = tern("--format", "webdataset", *args, "--output", folder / "x-%06d.tar", photos)
        point(run[0] == 2 and args[0] in run[2] and args[1] in run[2], f"wrong usage: {' '.join(args)}", run)
    for args in (["--samples-per-tar", "9", "--format", "webdataset", "--output", folder / "x.tar"], ["--bytes-per-tar", "9"]):
        run = tern(*args, photos)
        point(run[0] == 2 and args[0] in run[2] and "%0Nd" in run[2], f"{args[0]} without a series", run)
    point(not list(folder.glob("x*")), "and nothing is written")


def check_series(folder):
    photos = photographs(folder / "many/photos", 20)
    out, pattern = folder / "many", folder / "many/set-%06d.tar"
    one = tern("--format", "webdataset", "--output", folder / "one.tar", photos)
    if "without libarchive" in one[2]:
        point(True, "a series of tar files", skip="built without libarchive")
        return
    want = samples(folder / "one.tar")
    point(one[0] == 0 and len(want) == 40 and len({name for name, _ in want}) == 40, "one tar file to compare with", one)

    run = tern("--format", "webdataset", "--samples-per-tar", "3", "--output", pattern, photos)
    whole, parts = series(out), [samples(path) for path in sorted(out.glob("set-*.tar"))]
    point(run[0] == 0 and sorted(whole) == [f"set-{i:06}.tar" for i in range(7)] and [len(p) for p in parts] == [6] * 6 + [4]
          and sum(parts, []) == want and all(b.endswith(bytes(1024)) and len(b) % 512 == 0 for b in whole.values()),
          "a tar file after the other, three samples in each, all whole", run, sorted(whole))
    again = tern("--format", "webdataset", "--samples-per-tar", "9", "--output", pattern, photos)
    point(again[0] == 1 and "--overwrite" in again[2] and series(out) == whole, "what is there stays", again)
    over = tern("--format", "webdataset", "--samples-per-tar", "9", "--overwrite", "--output", pattern, photos)
    point(over[0] == 0 and [len(samples(p)) for p in sorted(out.glob("set-*.tar"))] == [18, 18, 4],
          "or is replaced, the files that the new series does not need too", over, sorted(series(out)))
    check_series_limits(folder, photos, want)
    check_series_killed(folder, photos, whole)
    check_series_later(folder, photos, whole)
    check_series_names(folder, photos, want)
    check_series_full(folder, photos, whole)
    check_series_usage(folder, photos)


with tempfile.TemporaryDirectory() as name:
    check_series(pathlib.Path(name))
plan()
