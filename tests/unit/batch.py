# SPDX-License-Identifier: LGPL-2.1-or-later
"""Many inputs of `tern caption` as their user meets them: what was killed goes on with nothing lost and nothing twice, shards
make a whole, hostile inputs hold nobody up, outputs lie where others look for them. Prints TAP.

usage: batch.py TERN DATA_FOLDER              (the folder with lfm2/ and lfm2vl/)
TERN_BATCH_KILLS: how many times to kill it (8), TERN_BATCH_GOOD: good inputs among hostile ones (24), for long runs.
"""
import io
import json
import os
import pathlib
import random
import re
import signal
import struct
import subprocess
import sys
import tarfile
import tempfile
import time
import urllib.parse
import zlib

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from tap import patience, plan, point  # noqa: E402

TERN, DATA = os.path.abspath(sys.argv[1]), pathlib.Path(sys.argv[2]).resolve()
MODEL, MMPROJ = DATA / "lfm2/lfm2-tq2_0.gguf", DATA / "lfm2vl/mmproj-ship-q8_0.gguf"
CLIP = pathlib.Path(__file__).resolve().parents[2] / "pipelines/data/signing.mp4"
KILLS = int(os.environ.get("TERN_BATCH_KILLS", 8))
GOOD = int(os.environ.get("TERN_BATCH_GOOD", 24))
OPTIONS = ["caption", "--model", MODEL, "--mmproj", MMPROJ, "--max-tokens", "3", "--threads", "1"]


def command(*args):
    return [TERN, *map(str, OPTIONS), *[a if isinstance(a, bytes) else str(a) for a in args]]


def tern(*args, **more):
    run = subprocess.run(command(*args), stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=patience(240), check=False, **more)
    return run.returncode, run.stdout.decode(errors="replace"), run.stderr.decode(errors="replace")


def unhurried(photo):
    """Seconds that no photograph takes on this machine as it is now: ten times a whole run, most of which is its beginning."""
    begin = time.monotonic()
    tern(photo)
    return max(1, 10 * (time.monotonic() - begin))


def picture(seed, side=48):
    """A PPM of @seed's own colours."""
    rng = random.Random(seed)
    pixels = bytes(rng.randrange(256) for _ in range(12)) * (side * side // 4)
    return b"P6\n%d %d\n255\n" % (side, side) + pixels


def clip(frames, rate=2):
    """A Y4M of @frames grey frames."""
    return b"YUV4MPEG2 W64 H48 F%d:1 C420\n" % rate + b"".join(
        b"FRAME\n" + bytes([(40 * i) % 256]) * (64 * 48) + bytes([128]) * (64 * 48 // 2) for i in range(frames))


def photographs(folder, n):
    folder.mkdir(parents=True)
    for i in range(n):
        (folder / f"{i:04}.ppm").write_bytes(picture(i))
    return folder


def lines(path):
    """What was said of what: (source, start, text), without what counts runs."""
    text = path.read_text() if isinstance(path, pathlib.Path) else path
    return [(os.path.basename(r["source"]), r["start"], r["result"]) for r in map(json.loads, text.splitlines())]


def check_order(folder):
    photos = photographs(folder / "photos", 24)
    one = tern("--jobs", 1, photos)
    many = tern("--jobs", 8, photos)
    loose = tern("--jobs", 8, "--unordered", photos)
    point(one[0] == 0 and one[1] == many[1], "eight at once say what one after the other say, in the same order", one, many)
    point(sorted(lines(loose[1])) == lines(one[1]), "unordered they say the same", loose)
    side = tern("--jobs", 8, "--threads", 3, photos)
    point(side[1] == one[1], "with three threads, whose pictures go side by side, they say the same", side)
    shards = [tern("--shard", f"{i}/3", photos) for i in range(3)]
    point(sorted(sum((lines(s[1]) for s in shards), [])) == lines(one[1]) and all(s[1] for s in shards),
          "three shards make a whole, and none is empty", shards)
    elsewhere = folder / "elsewhere"
    photos.rename(elsewhere)
    again = tern("--shard", "1/3", "--unordered", elsewhere)
    point(sorted(lines(again[1])) == lines(shards[1][1]), "a shard is the same where the folder has another name", again)
    elsewhere.rename(photos)
    return one[1]


def check_names(folder, expected):
    photos = sorted((folder / "photos").iterdir())
    (folder / "names").write_text("".join(f"{p}\n" for p in photos))
    (folder / "names0").write_bytes(b"\0".join(os.fsencode(p) for p in photos))
    point(tern("--files-from", folder / "names")[1] == expected, "names from lines of a file")
    point(tern("--files-from", folder / "names0")[1] == expected, "names ended by NUL")
    odd = folder / "odd"
    odd.mkdir()
    name = os.path.join(os.fsencode(odd), b"not \xff utf-8\n.ppm")
    pathlib.Path(os.fsdecode(name)).write_bytes(picture(1))
    run = tern(odd)
    point(run[0] == 0 and len(lines(run[1])) == 1, "a name that is no UTF-8, with the end of a line in it", run)

    worker = subprocess.Popen(command("--files-from", "-"), stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    said = []
    for photo in photos[:5]:    # the next name only when the last one's line is there: each is told as it is done
        worker.stdin.write(os.fsencode(photo) + b"\n")
        worker.stdin.flush()
        said.append(worker.stdout.readline().decode())
    worker.stdin.close()
    point("".join(said) == "".join(expected.splitlines(True)[:5]) and worker.wait(patience(60)) == 0,
          "a worker answers each name before it is given the next", said)
    told = subprocess.run(command("--files-from", "-", "--tell-done"), input=os.fsencode(photos[0]) + b"\n/nowhere.jpg\n",
                          stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False)
    rows = [json.loads(line) for line in told.stdout.splitlines()]
    point([r["kind"] for r in rows] == ["caption", "done", "done"]
          and rows[1] == {"kind": "done", "source": str(photos[0]), "results": 1}
          and rows[2]["results"] == 0 and "/nowhere.jpg" in rows[2]["error"], "it tells when an input is over, if asked", rows)
    missing = tern("--files-from", folder / "nowhere")
    point(missing[0] == 1 and "nowhere" in missing[2], "a list that is not there", missing)


def check_bytes_of_names(folder):
    """Names that are one in JSON are two inputs."""
    odd, out, failures = folder / "unspelt", folder / "unspelt.jsonl", folder / "unspelt-failures.jsonl"
    odd.mkdir()
    for i, name in enumerate((b"\xfe.ppm", b"\xff.ppm", b"plain.ppm")):
        (odd / os.fsdecode(name)).write_bytes(picture(900 + i))
    tern("--resume", "--output", out, odd)
    (odd / os.fsdecode(b"\xff.ppm")).write_bytes(picture(1, 64))
    (odd / os.fsdecode(b"\xfd.mp4")).write_bytes(bytes(100))
    run = tern("--resume", "--failures", failures, "--output", out, odd)
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    files = [urllib.parse.unquote_to_bytes(r.get("source_bytes", r["source"])) for r in rows]
    point(run[0] == 1 and sorted(files) == sorted(os.fsencode(odd / os.fsdecode(name))
                                                  for name in (b"plain.ppm", b"\xfe.ppm", b"\xff.ppm")),
          "one of two names that JSON has alike was changed: the other's line stays, and source_bytes is the file", run, files)
    told = json.loads(failures.read_text())
    point(urllib.parse.unquote_to_bytes(told["source_bytes"]) == os.fsencode(odd) + b"/\xfd.mp4", "in the list of failures too",
          told)


def check_apart(folder):
    """What is written empties no file that is read, nor another one."""
    room = folder / "apart"
    room.mkdir()
    names, photo, out = room / "names", room / "x.ppm", room / "out.jsonl"
    names.write_text(f"{photo}\n")
    photo.write_bytes(picture(1))
    os.symlink(names, room / "link")
    for args in (["--files-from", names, "--failures", names], ["--files-from", names, "--failures", room / "link"],
                 ["--failures", photo, photo], ["--output", out, "--failures", room / "../apart/out.jsonl", photo],
                 ["--resume", "--output", out, "--journal", out, photo], ["--overwrite", "--output", photo, photo],
                 ["--resume", "--output", out, "--failures", room / "out.jsonl.journal", photo]):
        run = tern(*args)
        point(run[0] == 2 and "expected another file than" in run[2] and names.read_text() == f"{photo}\n"
              and photo.read_bytes() == picture(1) and not out.exists(), "one file, two uses: refused", args, run)
    notes = room / "notes"
    notes.write_text("mine")
    run = tern("--failures", notes, photo)
    point(run[0] == 1 and "--overwrite" in run[2] and notes.read_text() == "mine", "what is no list of failures stays", run)
    timeout = tern("--file-timeout=-1", photo)
    point(timeout[0] == 2 and "--file-timeout" in timeout[2], "a time limit below 0 is none", timeout)
    (room / "-").mkdir()
    with open(photo, "rb") as bytes_of_it:
        dash = tern("-", cwd=room, stdin=bytes_of_it)
    point(dash[0] == 0 and [r[0] for r in lines(dash[1])] == ["-"], "- is standard input where a folder has that name", dash)
    both = tern("--output", "/dev/null", "--failures", "/dev/null", photo)
    point(both[0] == 0, "a device may be named twice", both)
    full = tern("--failures", "/dev/full", room / "missing.ppm", photo)
    point(full[0] == 75 and "the list of what failed cannot be written" in full[2], "a list that finds no room is told", full)


def check_out_of_reach(folder):
    """What has a longer name than the system takes is told, not passed over as something else; the rest is done."""
    top = folder / "deep"
    top.mkdir()
    (top / "a.ppm").write_bytes(picture(1))
    (top / "gone.mp4").symlink_to("nowhere.mp4")
    at = os.open(top, os.O_RDONLY | os.O_DIRECTORY)
    for _ in range(20):
        os.mkdir("d" * 250, dir_fd=at)
        below = os.open("d" * 250, os.O_RDONLY | os.O_DIRECTORY, dir_fd=at)
        os.close(at)
        at = below
    os.close(at)
    run = tern(top)
    point(run[0] == 1 and "cannot be read" in run[2] and len(run[1].splitlines()) == 1
          and "gone.mp4: expected a picture or video, found a link that leads nowhere" in run[2], "what cannot be reached is told",
          run[0], run[1], run[2][-300:])


def check_too_deep(folder):
    """What lies deeper than it goes is told and has failed; a link to a folder there is one that is not followed."""
    top = folder / "deeper"
    last = top.joinpath(*["d"] * 64)
    last.mkdir(parents=True)
    (last / "a.ppm").write_bytes(picture(1))
    (last / "link").symlink_to(top)
    run = tern(top)
    point(run[0] == 0 and [r[0] for r in lines(run[1])] == ["a.ppm"], "sixty-four folders deep is not too deep", run)
    (last / "d").mkdir()
    (last / "d/b.ppm").write_bytes(picture(2))
    failures = folder / "failures"
    run = tern("--failures", failures, top)
    point(run[0] == 1 and [r[0] for r in lines(run[1])] == ["a.ppm"] and "expected folders at most 64 deep" in run[2]
          and str(last / "d") in failures.read_text(), "what lies deeper is told, and listed", run, failures.read_text())
    (last / "a.ppm").unlink()
    run = tern(top)
    point(run[0] == 1 and run[2].count("expected") == run[2].count("at most 64 deep") == 1,
          "where all of it does that is all that is told", run)
    run = tern(last / "d")
    point(run[0] == 0 and len(lines(run[1])) == 1, "and it is done when it is named", run)


def check_tar(folder, expected):
    shard = folder / "shard-00.tar"
    with tarfile.open(shard, "w") as tar:
        for photo in sorted((folder / "photos").iterdir()):
            tar.add(photo, photo.name)
            info = tarfile.TarInfo(photo.stem + ".json")
            info.size = 2
            tar.addfile(info, io.BytesIO(b"{}"))
    run = tern(shard)
    if "without libarchive" in run[2]:
        point(True, "members of tar files", skip="built without libarchive")
        return False
    point(run[0] == 0 and lines(run[1]) == lines(expected) and "24 files passed over" in run[2], "members of a tar file", run)
    whole = shard.read_bytes()
    shard.write_bytes(whole[:len(whole) // 2])
    cut = tern(shard)
    point(cut[0] == 1 and "shard-00.tar: expected a whole tar file" in cut[2] and 0 < len(lines(cut[1])) < 24
          and lines(cut[1]) == lines(expected)[:len(lines(cut[1]))], "a tar file that breaks off: what is there, and a message",
          cut)
    evil, names = folder / "evil/evil.tar", ["../../out.ppm", "/tern-out.ppm", "sub/../../out.ppm", "..", "good..ppm"]
    evil.parent.mkdir()
    with tarfile.open(evil, "w") as tar:
        for i, name in enumerate(names):
            info = tarfile.TarInfo(name)
            info.size = len(picture(i))
            tar.addfile(info, io.BytesIO(picture(i)))
    run = tern("--format", "txt", "--mirror", "--output", evil.parent / "to/texts", evil)
    found = sorted(str(p.relative_to(evil.parent)) for p in evil.parent.rglob("*") if p.is_file())
    point(run[0] == 1 and all(f"below it, found {name}\n" in run[2] for name in names[:4]) and not list(folder.glob("out*"))
          and found == ["evil.tar", "to/texts/good..txt"], "members that lead out of it are named, not written", run, found)
    return True


def check_alone(folder):
    """One input that is done again and again: its lines of before and of now stand side by side until they go."""
    folder.mkdir()
    film, out = folder / "film.y4m", folder / "lines"
    for i, frames in enumerate((20, 12, 16)):
        film.write_bytes(clip(frames))
        run, fresh = tern("--resume", "--output", out, film), tern(film)
        point(run[0] == 0 and lines(out) == lines(fresh[1]) and len(lines(out)) == (frames + 7) // 8,
              f"one input that was changed {i} times: its last lines alone", run, lines(out))
    for name, whole in (("broken off", clip(20)[:-5000]), ("whole again", clip(20))):
        film.write_bytes(whole)
        run, fresh = tern("--resume", "--output", out, film), tern(film)
        point(run[0] == fresh[0] and lines(out) == lines(fresh[1]), f"the same, {name}", run, fresh, lines(out))


def check_members(folder):
    tar_path, film = folder / "members.tar", CLIP.read_bytes()
    with tarfile.open(tar_path, "w") as tar:
        for name, data in (("a.ppm", picture(1)), ("._a.ppm", b"of a file system"), ("x/.hidden/b.ppm", picture(2)),
                           ("long.mp4", film + bytes(50 << 20)), ("./c.ppm", picture(3))):
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    need = re.search(r"at least the (\d+) MiB", tern("--max-memory", "1M", tar_path)[2])
    run = tern("--max-memory", f"{int(need[1]) + 10}M", tar_path)
    point(run[0] == 1 and [r[0] for r in lines(run[1])] == ["a.ppm", "c.ppm"] and "long.mp4: expected at most" in run[2]
          and "--max-memory" in run[2],
          "hidden members are passed over, one too large for --max-memory is named, those behind it are done", run)


def check_resume(folder, expected):
    photos, out, journal = folder / "photos", folder / "kept.jsonl", folder / "kept.jsonl.journal"
    run = tern("--resume", "--output", out, photos)
    point(run[0] == 0 and out.read_text() == expected, "with a journal the lines are the same", run)
    stamp = out.stat().st_mtime_ns
    again = tern("--resume", "--output", out, photos)
    point(again[0] == 0 and out.stat().st_mtime_ns == stamp, "once more: nothing is left to do", again)
    other = tern("--resume", "--output", out, "--max-silence", "30", photos)
    point(other[0] == 2 and "--max-silence 30" in other[2] and "--force" in other[2], "other settings are refused by name", other)
    weights, twin = MODEL.read_bytes(), folder / MODEL.name
    half = len(weights) // 2
    twin.write_bytes(weights[:half] + bytes(b ^ 1 for b in weights[half:]))
    other = tern("--model", twin, "--resume", "--output", out, photos)
    point(other[0] == 2 and "model's content" in other[2], "another model of the same name and size, too", other)
    schema, formed = folder / "schema.json", folder / "formed.jsonl"
    runs = []
    for name in "ab":
        schema.write_text('{"type":"object","properties":{"%s":{"type":"boolean"}},"required":["%s"]}' % (name, name))
        runs.append(tern("--resume", "--output", formed, "--json-schema", schema, "--max-tokens", 40, photos / "0000.ppm"))
    point([r[0] for r in runs] == [0, 2] and "schema's content" in runs[1][2], "another schema in the same file, too", runs)
    forced = tern("--resume", "--force", "--output", out, "--max-silence", "30", photos)
    point(forced[0] == 0 and out.read_text() == expected, "--force goes on", forced)

    changed = photos / "0007.ppm"
    changed.write_bytes(picture(700, 64))
    (photos / "0100.ppm").write_bytes(picture(100))
    run = tern("--resume", "--force", "--output", out, photos)
    fresh = tern("--max-silence", "30", photos)
    point(run[0] == 0 and sorted(lines(out)) == sorted(lines(fresh[1])) and len(lines(out)) == 25,
          "what was changed is done anew, its old line goes; what is new is added", run, sorted(lines(out)),
          sorted(lines(fresh[1])))
    os.utime(changed)
    check_alone(folder / "alone")
    bytes_before = out.read_bytes()
    run = tern("--resume", "--output", out, photos)
    point(run[0] == 0 and sorted(lines(out)) == sorted(lines(fresh[1])), "a file that was touched, too", run)
    point(bytes_before != b"" and not list(folder.glob(".tern-*")), "no file is left half written")
    changed.write_bytes(picture(7))
    (photos / "0100.ppm").unlink()
    for path in (out, journal):
        path.unlink()
    for name, args in (("--journal", ["--journal", journal]), ("--resume", ["--resume"]), ("--force", ["--force"])):
        run = tern(*args, photos)
        point(run[0] == 2 and run[1] == "" and name in run[2], f"{name} without what it needs is wrong usage", run)


def after_kills(folder, expected, args, seed, tear):
    """Kills the command again and again after a number of lines drawn by chance; the lines at its end."""
    out, journal = folder / f"killed{seed}.jsonl", folder / f"killed{seed}.jsonl.journal"
    rng, kills = random.Random(seed), 0
    while True:
        process = subprocess.Popen(command("--resume", "--output", out, *args), stderr=subprocess.DEVNULL)
        wanted = (out.stat().st_size if out.exists() else 0) + rng.randrange(1, len(expected) // 3)
        while process.poll() is None and not (out.exists() and out.stat().st_size >= wanted):
            time.sleep(0.002)
        if process.poll() is not None:
            return out, kills, process.returncode
        process.kill()
        process.wait()
        kills += 1
        if tear and journal.exists():
            whole = journal.read_bytes()
            journal.write_bytes(whole[:rng.randrange(len(whole) + 1)])


def check_kills(folder, expected):
    photos, kills, good, notes = folder / "photos", 0, True, []
    for seed in range(KILLS):
        out, n, status = after_kills(folder, expected, [photos], seed, seed % 2)
        kills += n
        if sorted(lines(out)) != lines(expected) or status != 0:
            good = False
            notes.append((seed, n, status, lines(out)))
    point(good and kills >= KILLS, "killed and its journal torn, again and again: complete, nothing twice", kills, *notes)


def check_signals(folder):
    """SIGTERM while an input waits for a pipe: ends soon, with 143, and goes on."""
    pipe, out = folder / "pipe", folder / "stopped.jsonl"
    os.mkfifo(pipe)
    for number, status in ((signal.SIGTERM, 143), (signal.SIGINT, 130)):
        process = subprocess.Popen(command("--resume", "--jobs", 2, "--output", out, folder / "photos/0000.ppm", pipe),
                                   stderr=subprocess.PIPE, text=True)
        while "waiting for its writer" not in process.stderr.readline():
            pass
        process.send_signal(number)
        _, said = process.communicate(timeout=patience(60))
        point(process.returncode == status and "the same command goes on" in said and len(lines(out)) == 1,
              f"{number.name}: {status}, and says how to go on", process.returncode, said)


def check_suspended(folder):
    """Stopped as by Slurm or Ctrl-Z for longer than an input may take: nothing is given up for that."""
    pipe, limit = folder / "suspended", unhurried(folder / "photos/0000.ppm")
    os.mkfifo(pipe)
    process = subprocess.Popen(command("--jobs", 2, "--file-timeout", limit, folder / "photos/0000.ppm", pipe),
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    while "waiting for its writer" not in process.stderr.readline():
        pass
    process.send_signal(signal.SIGSTOP)
    time.sleep(limit + 1)
    writer = subprocess.Popen(["sh", "-c", 'cat "$1" >"$2"', "sh", folder / "photos/0001.ppm", pipe])
    process.send_signal(signal.SIGCONT)
    said = process.communicate(timeout=patience(60))
    writer.kill()               # where the pipe was given up it has no reader
    writer.wait()
    point(process.returncode == 0 and len(lines(said[0])) == 2, "time in which the program is stopped is no input's",
          process.returncode, said)


def check_full(folder, expected):
    small = folder / "small"
    small.mkdir()
    page = os.sysconf("SC_PAGE_SIZE")           # one for the journal, one for lines
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={2 * page}", "tmpfs", str(small)],
                             stderr=subprocess.DEVNULL, check=False).returncode == 0
    if not mounted:
        point(True, "a full disk", skip="no tmpfs may be mounted here")
        return
    try:
        out = small / "lines"
        run = tern("--resume", "--output", out, folder / "photos")
        kept = lines(out)
        point(run[0] == 75 and "No space left" in run[2] and kept == lines(expected)[:len(kept)] and len(kept) < 24,
              "a full disk: 75, and whole lines alone", run, kept)
        subprocess.run(["mount", "-o", "remount,size=1m", str(small)], check=True)
        run = tern("--resume", "--output", out, folder / "photos")
        point(run[0] == 0 and out.read_text() == expected, "with room again it goes on", run)
        plain = small / "plain"
        subprocess.run(["mount", "-o", f"remount,size={(-(-out.stat().st_size // page) + 3) * page}", str(small)], check=True)
        run = tern("--output", plain, folder / "photos")
        point(run[0] == 75 and "No space left" in run[2], "without a journal, too", run)
    finally:
        subprocess.run(["umount", str(small)], check=False)


def check_failures(folder):
    bad = folder / "bad"
    bad.mkdir()
    (bad / "a.ppm").write_bytes(picture(1))
    (bad / "broken.mp4").write_bytes(b"\0\0\0\x18ftypisom" + bytes(100))
    (bad / "z.ppm").write_bytes(picture(2))
    pipe, out, failures, limit = folder / "silent", folder / "some.jsonl", folder / "failures.jsonl", unhurried(bad / "a.ppm")
    os.mkfifo(pipe)
    run = tern("--resume", "--output", out, "--failures", failures, "--file-timeout", limit, bad, pipe,
               folder / "missing.mp4", bad / "a.ppm")
    told = [json.loads(line) for line in failures.read_text().splitlines()]
    point(run[0] == 1 and [os.path.basename(t["source"]) for t in told] == ["broken.mp4", "silent", "missing.mp4"]
          and "given up" in told[1]["error"], "what failed is listed with why, a silent pipe is given up", run, told)
    point([n for n, _, _ in lines(out)] == ["a.ppm", "z.ppm"], "the others are done, once", lines(out))
    again = tern("--resume", "--output", out, bad)
    point(again[0] == 1 and "broken" not in again[2], "what failed is not tried again", again)
    again = tern("--resume", "--output", out, "--failures", failures, bad, pipe, folder / "missing.mp4")
    point(again[0] == 1 and [json.loads(line) for line in failures.read_text().splitlines()] == told,
          "and is on the list of the next run, with why", again, failures.read_text())
    (bad / "broken.mp4").unlink()
    (bad / "broken.mp4").write_bytes(clip(8))
    again = tern("--resume", "--output", out, bad)
    point(again[0] == 0 and [n for n, _, _ in lines(out)] == ["a.ppm", "z.ppm", "broken.mp4"], "unless it was changed", again)
    retry = tern("--resume", "--retry-failed", "--output", out, "--file-timeout", limit, bad, pipe)
    point(retry[0] == 1 and "silent" in retry[2], "or --retry-failed asks for it", retry)

    other = folder / "hostile"
    other.mkdir()
    head = b"IHDR" + struct.pack(">IIBBBBB", 50000, 50000, 8, 2, 0, 0, 0)
    huge = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + head + struct.pack(">I", zlib.crc32(head)) + bytes(40)
    good = photographs(folder / "good", GOOD)
    for i in range(59):
        kinds = [b"", b"\x89PNG\r\n\x1a\n" + bytes(40), b"\xff\xd8\xff\xe0" + bytes(30), b"GIF89a\xff\xff\xff\xff" + bytes(8),
                 b"RIFF\xff\xff\xff\xffWEBPVP8 " + bytes(9), bytes(range(256)) * 8, huge]
        (other / f"{i:02}.{['mp4', 'png', 'jpg', 'gif', 'webp', 'mkv', 'png'][i % 7]}").write_bytes(kinds[i % 7])
    endless = folder / "59.endless"     # a folder's are passed over
    os.mkfifo(endless)
    writer = subprocess.Popen(["sh", "-c", 'exec yes >"$1"', "sh", endless], stderr=subprocess.DEVNULL)
    run = tern("--progress", "json", other, endless, good)
    writer.kill()
    writer.wait()
    summary = json.loads(run[2].splitlines()[-1])
    point(run[0] == 1 and len(lines(run[1])) == GOOD and summary["done"] == GOOD and summary["failed"] == 60
          and summary["finished"] and all(f"/{i:02}." in run[2] for i in range(60)),
          "60 hostile inputs among good ones: all named, all good ones done, counted for machines", run)


def check_subtitles(folder):
    tree = folder / "tree"
    (tree / "sub").mkdir(parents=True)
    (tree / "film.one.y4m").write_bytes(clip(12))
    (tree / "sub/other.y4m").write_bytes(clip(4))
    run = tern("--format", "srt", "--beside", "--language", "en", tree)
    point(run[0] == 0 and (tree / "film.one.en.srt").exists() and (tree / "sub/other.en.srt").exists(),
          "subtitles beside films", run)
    again = tern("--format", "srt", "--beside", "--language", "en", tree)
    point(again[0] == 1 and "already" in again[2], "what is there stays", again)
    run = tern("--format", "vtt", "--output", folder / "mirror", "--mirror", tree)
    point(run[0] == 0 and sorted(str(p.relative_to(folder / "mirror")) for p in (folder / "mirror").rglob("*.vtt"))
          == ["film.one.vtt", "sub/other.vtt"], "or in a tree like theirs", run)


def check_texts(folder):
    photos, text = folder / "photos", tern("--jobs", 1, folder / "photos/0003.ppm")
    said = json.loads(text[1])["result"]
    run = tern("--format", "txt", "--template", "sks, {}!", "--output", folder / "texts", "--resume", photos)
    point(run[0] == 0 and (folder / "texts/0003.txt").read_text() == f"sks, {said}!\n"
          and len(list((folder / "texts").glob("*.txt"))) == 24, "texts with a trigger word", run)
    (folder / "texts/0004.txt").unlink()
    (folder / "texts/.tern-journal").write_bytes((folder / "texts/.tern-journal").read_bytes()[:-7])
    run = tern("--format", "txt", "--template", "sks, {}!", "--output", folder / "texts", "--resume", photos)
    point(run[0] == 0, "a file that is there and says the same as is to be written is a run's before", run)
    small, enough = tern("--max-memory", "1M", photos), tern("--max-memory", "1G", photos / "0003.ppm")
    point(small[0] == 2 and "--max-memory: expected at least the" in small[2] and small[1] == "" and enough[0] == 0,
          "memory is planned: too little is refused with both numbers", small, enough)
    same = folder / "same"
    for sub, seed in (("a", 1), ("b", 9)):
        (same / sub).mkdir(parents=True)
        (same / sub / "x.ppm").write_bytes(picture(seed))
    whole = tern("--format", "txt", "--output", folder / "whole", same)
    parts = [tern("--format", "txt", "--output", folder / "parts", "--resume", f) for f in (same / "a", same)]
    texts = [{p.name: p.read_text() for p in f.glob("*.txt")} for f in (folder / "whole", folder / "parts")]
    (same / "b/x.ppm").write_bytes(picture(10))
    parts.append(tern("--format", "txt", "--output", folder / "parts", "--resume", same))
    point(whole[0] == 0 and [p[0] for p in parts] == [0] * 3 and sorted(texts[0]) == ["x.ppm.txt", "x.txt"] and texts[0] == texts[1]
          and sorted(p.name for p in (folder / "parts").glob("*.txt")) == ["x.ppm.txt", "x.txt"]
          and (folder / "parts/x.txt").read_text() == texts[0]["x.txt"],
          "files of inputs of one name stay apart when another run goes on", whole, parts, texts)
    meta = photos / "metadata.jsonl"
    run = tern("--format", "metadata", "--output", meta, photos)
    rows = [json.loads(line) for line in meta.read_text().splitlines()]
    point(run[0] == 0 and rows[3] == {"file_name": "0003.ppm", "text": said} and len(rows) == 24, "metadata of a data set", run,
          rows[:4])
    for name in (f"{photos}/../photos/", os.path.relpath(photos)):
        run = tern("--format", "metadata", "--overwrite", "--output", meta, name)
        point(run[0] == 0 and [json.loads(line) for line in meta.read_text().splitlines()] == rows,
              "names are below it however the folder is written", name, run)
    meta.unlink()
    outside = tern("--format", "metadata", "--output", folder / "texts/metadata.jsonl", photos / "0003.ppm")
    point(outside[0] == 1 and "0003.ppm" in outside[2], "of inputs that lie elsewhere: refused by name", outside)


def check_copies(folder):
    films = folder / "films"
    films.mkdir()
    for name in ("clip.mp4", "other.film"):
        (films / name).write_bytes(CLIP.read_bytes())
    (films / "raw.y4m").write_bytes(clip(4))
    run = tern("--format", "mux", "--language", "de", "--output", folder / "copies", films)
    copies = sorted(p.name for p in (folder / "copies").iterdir())
    point(run[0] == 1 and copies == ["clip.mp4", "other.mkv"] and "track 0 (rawvideo)" in run[2], "copies of films; raw ones "
          "are refused", run, copies)
    mp4, mkv = (folder / "copies/clip.mp4").read_bytes(), (folder / "copies/other.mkv").read_bytes()
    point(b"tx3g" in mp4 and b"S_TEXT/UTF8" in mkv and b"ger" in mkv, "have subtitles in them", run, copies)
    of = [tern("--window", "8", path) for path in (films / "clip.mp4", folder / "copies/clip.mp4", folder / "copies/other.mkv")]
    point(all(o[0] == 0 and [r[1:] for r in lines(o[1])] == [r[1:] for r in lines(of[0][1])] for o in of),
          "and pictures as they were", of)
    # Killed between a copy's name and the journal's word that it is done: the journal without its last line.
    kept, journal = folder / "kept copies", folder / "kept copies/.tern-journal"
    args = ("--format", "mux", "--resume", "--output", kept, films / "clip.mp4")
    runs = [tern(*args)]
    copy = (kept / "clip.mp4").read_bytes()
    journal.write_bytes(b"".join(journal.read_bytes().splitlines(True)[:-1]))
    runs.append(tern(*args))
    point([r[0] for r in runs] == [0, 0] and (kept / "clip.mp4").read_bytes() == copy and not list(kept.glob(".tern-??????")),
          "a copy that the journal had not noted yet is made again", runs)
    (kept / "clip.mp4").write_bytes(b"mine")
    journal.unlink()
    mine = tern(*args)
    point(mine[0] == 1 and (kept / "clip.mp4").read_bytes() == b"mine", "what is somebody's stays", mine)
    over = tern("--format", "mux", "--overwrite", "--output", films, films / "clip.mp4")
    point(over[0] == 1 and (films / "clip.mp4").read_bytes() == CLIP.read_bytes(), "a film is never replaced by its copy", over)


def check_usage(folder):
    photos = folder / "photos"
    for args in (["--beside"], ["--language", "en"], ["--template", "{}"], ["--format", "txt"], ["--shard", "3/3"],
                 ["--jobs", "-1"], ["--progress", "loud"], ["--file-timeout", "-2"], ["--max-memory", "much"], ["--nice", "40"],
                 ["--format", "txt", "--output", folder / "t", "--template", "no place"], []):
        run = tern(*args, *([photos] if args else []))
        point(run[0] == 2 and run[1] == "" and (not args or any(str(a) in run[2] or "--output" in run[2] for a in args)),
              f"wrong usage: {' '.join(map(str, args))}", run)


def samples(path):
    """Members of a WebDataset in their order."""
    with tarfile.open(path) as tar:
        return [(os.fsencode(m.name), tar.extractfile(m).read()) for m in tar]


def check_webdataset(folder, expected):
    photos, out = folder / "photos", folder / "set.tar"
    texts = {name: text for name, _, text in lines(expected)}
    want = []
    for photo in sorted(photos.iterdir()):
        want += [(os.fsencode(photo.name), photo.read_bytes()), (os.fsencode(photo.stem) + b".txt", texts[photo.name].encode())]
    run = tern("--format", "webdataset", "--output", out, photos)
    if "without libarchive" in run[2]:
        point(True, "samples of a WebDataset", skip="built without libarchive")
        return
    point(run[0] == 0 and samples(out) == want, "samples of a WebDataset: each file, then its caption", run, samples(out)[:4])
    point(out.read_bytes().endswith(bytes(1024)) and out.stat().st_size % 512 == 0, "whole blocks, and an end")
    again = tern("--format", "webdataset", "--output", out, photos)
    point(again[0] == 1 and "--overwrite" in again[2] and samples(out) == want, "what is there stays", again)

    killed, rng, kills, status = folder / "killed.tar", random.Random(5), 0, None
    command_line = command("--format", "webdataset", "--resume", "--output", killed, photos)
    while status is None:
        process = subprocess.Popen(command_line, stderr=subprocess.DEVNULL)
        wanted = (killed.stat().st_size if killed.exists() else 0) + rng.randrange(1, len(out.read_bytes()) // 4)
        while process.poll() is None and not (killed.exists() and killed.stat().st_size >= wanted):
            time.sleep(0.002)
        status = process.poll()
        if status is None:
            process.kill()
            process.wait()
            kills += 1
    point(status == 0 and kills > 0 and sorted(samples(killed)) == sorted(want), "killed and begun again: every sample, once",
          kills, status)
    stamp = killed.read_bytes()
    run = tern("--format", "webdataset", "--resume", "--output", killed, photos)
    point(run[0] == 0 and killed.read_bytes() == stamp, "once more: the same bytes, one end", run)
    before = (photos / "0005.ppm").read_bytes()
    (photos / "0005.ppm").write_bytes(picture(555, 64))
    run = tern("--format", "webdataset", "--resume", "--output", killed, photos)
    (photos / "0005.ppm").write_bytes(before)
    point(run[0] == 1 and "0005.ppm: expected it as it was" in run[2] and sorted(samples(killed)) == sorted(want),
          "what was changed is refused by name: nothing can be taken out of a tar file", run)

    odd = folder / "odd-keys"
    (odd / "sub.dir").mkdir(parents=True)
    (odd / "sub.dir/my.first.PPM").write_bytes(picture(1))
    (odd / "my_first.ppm").write_bytes(picture(2))
    (odd / "my.first.ppm").write_bytes(picture(3))
    (odd / ("long" * 50 + ".ppm")).write_bytes(picture(4))
    pathlib.Path(os.fsdecode(os.path.join(os.fsencode(odd), b"\xff\xfe.ppm"))).write_bytes(picture(5))
    (odd / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(40))
    run = tern("--format", "webdataset", "--output", folder / "odd.tar", odd)
    names = [name for name, _ in samples(folder / "odd.tar")]
    point(run[0] == 1 and "my_first too" in run[2] and "broken.png" in run[2] and sorted(names) == sorted(
        k + s for k in (b"sub.dir/my_first", b"my_first", b"long" * 50, b"\xff\xfe") for s in (b".ppm", b".txt")),
          "keys end at the first dot; one that is taken, or an input that is damaged, is named and not there", run, names)
    back = tern("--format", "webdataset", "--output", folder / "back.tar", out)
    point(back[0] == 0 and sorted(samples(folder / "back.tar")) == sorted(want), "from one tar file to another", back)
    pipe = folder / "tar-pipe"
    os.mkfifo(pipe)
    writer = subprocess.Popen(["sh", "-c", 'cat "$1" >"$2"', "sh", photos / "0001.ppm", pipe])
    run = tern("--format", "webdataset", "--output", folder / "pipe.tar", pipe)
    writer.wait(patience(60))
    point(run[0] == 1 and "expected a file" in run[2] and samples(folder / "pipe.tar") == [], "a pipe has no bytes to copy", run)
    point(tern("--format", "webdataset", photos)[0] == 2, "it needs --output")


def main():
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        expected = check_order(folder)
        check_names(folder, expected)
        check_out_of_reach(folder)
        check_too_deep(folder)
        check_bytes_of_names(folder)
        check_apart(folder)
        if check_tar(folder, expected):
            check_members(folder)
        check_resume(folder, expected)
        check_kills(folder, expected)
        check_signals(folder)
        check_suspended(folder)
        check_full(folder, expected)
        check_failures(folder)
        check_subtitles(folder)
        check_texts(folder)
        check_copies(folder)
        check_usage(folder)
        check_webdataset(folder, expected)
    plan()


if __name__ == "__main__":
    main()
