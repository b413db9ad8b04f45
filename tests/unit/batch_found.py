# SPDX-License-Identifier: LGPL-2.1-or-later
"""What `tern caption` finds to do, and what it says of what cannot be done: every failure is in its turn, on the list of failures,
counted for machines and answered to who gave its name; tar files as programs other than ours write them. Prints TAP.

usage: batch_found.py TERN DATA_FOLDER        (the folder with lfm2/ and lfm2vl/)
"""
import contextlib
import fcntl
import gzip
import io
import json
import os
import pathlib
import pty
import re
import struct
import subprocess
import sys
import tarfile
import tempfile
import termios
import unicodedata
import zlib

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from batch import CLIP, command, lines, photographs, picture, tern  # noqa: E402
from tap import patience, plan, point  # noqa: E402


def tar_of(path, members, form=tarfile.GNU_FORMAT):
    """@members: (name, bytes), or (name, to) for a hard link."""
    with tarfile.open(path, "w", format=form) as tar:
        for name, data in members:
            info = tarfile.TarInfo(name)
            if isinstance(data, str):
                info.type, info.linkname = tarfile.LNKTYPE, data
                tar.addfile(info)
            else:
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))
    return path


def told(*args, status=1, **more):
    """What a run says of failures: (names on its list, of its last progress line done and failed); stdout, stderr."""
    failures = pathlib.Path(tempfile.mkdtemp()) / "failures"
    run = tern("--progress", "json", "--failures", failures, *args, **more)
    rows = [json.loads(line) for line in failures.read_text().splitlines()]
    failures.unlink()
    failures.parent.rmdir()
    last = json.loads([line for line in run[2].splitlines() if line.startswith("{")][-1])
    begins = ["standard input: " if r["source"] == "-" else r["source"] for r in rows]
    good = run[0] == status and last["failed"] == len(rows) and all(r["error"].startswith(b) for r, b in zip(rows, begins))
    return good, [r["source"] for r in rows], last, run


def check_listed(folder):
    """Whatever makes the exit status 1 is on the list, with why."""
    photo, empty, names = folder / "photo.ppm", folder / "empty", folder / "names"
    photo.write_bytes(picture(1))
    empty.mkdir()
    (folder / "text").mkdir()
    (folder / "text/readme.md").write_text("words")
    cut = tar_of(folder / "cut.tar", [("a.ppm", picture(2)), ("b.ppm", picture(3))])
    cut.write_bytes(cut.read_bytes()[:12000])
    out = tar_of(folder / "out.tar", [("../a.ppm", picture(2)), ("b.ppm", picture(3))])
    names.write_text(f"{folder}/nowhere.ppm\n-\n{photo}\n")
    good, failed, last, run = told(photo, empty, folder / "text", cut, out, "--files-from", names, stdin=subprocess.DEVNULL)
    if "without libarchive" in run[2]:
        point(True, "what is on the list of failures", skip="built without libarchive")
        return False
    point(good and failed == [f"{cut}", f"{out}/../a.ppm", f"{folder}/nowhere.ppm", "-", f"{empty}", f"{folder}/text"]
          and last["done"] == 3 and [r[0] for r in lines(run[1])] == ["photo.ppm", "a.ppm", "b.ppm"],
          "folders with nothing in them, tar files that break off and members are on the list of failures", failed, last, run)
    good, failed, _, run = told("--resume", "--output", folder / "kept", photo, cut, "--files-from", names, stdin=subprocess.PIPE)
    again = told("--resume", "--output", folder / "kept", photo, cut, "--files-from", names, stdin=subprocess.PIPE)
    point(good and again[0] and sorted(failed) == sorted(again[1]) == sorted([f"{cut}", f"{folder}/nowhere.ppm", "-"])
          and "./- is a file" in run[2], "the next run lists them too; - in a list cannot be read again", run, again)
    return True


def check_members(folder):
    """Members of tar files by the names that they have."""
    twice = tar_of(folder / "twice.tar", [("x.ppm", picture(1)), ("note.txt", b"1"), ("x.ppm", picture(2)), ("note.txt", b"2"),
                                          ("y.ppm", picture(3))])
    good, failed, _, run = told("--resume", "--output", folder / "twice", twice)
    stamp = (folder / "twice").read_bytes()
    again = told("--resume", "--output", folder / "twice", twice)
    point(good and failed == [f"{twice}/x.ppm"] and "2 files passed over" in run[2]
          and [r[0] for r in lines(folder / "twice")] == ["x.ppm", "y.ppm"]
          and again[0] and again[2]["done"] == 0 and again[2]["done_before"] == 2 and (folder / "twice").read_bytes() == stamp,
          "of two members of one name the first is done, the second told, in every run", run, again)
    links = tar_of(folder / "links.tar", [("a/one.ppm", picture(1)), ("a/two.ppm", "a/one.ppm"), ("a/three.md", "a/one.ppm")])
    good, failed, _, run = told(links)
    point(good and failed == [f"{links}/a/two.ppm"] and "a link to a/one.ppm" in run[2]
          and "passed over, neither picture nor video: three.md" in run[2] and [r[0] for r in lines(run[1])] == ["one.ppm"],
          "a member that is a link to another one is told", run)
    old = tar_of(folder / "old.tar", [("a.ppm", picture(4)), ("sub/b.ppm", picture(5))])
    blocks = bytearray(old.read_bytes())
    for at in (0, 512 + (len(picture(4)) + 511) // 512 * 512):      # as before POSIX: no mark
        blocks[at + 257:at + 265] = bytes(8)
        blocks[at + 148:at + 156] = b" " * 8
        blocks[at + 148:at + 156] = b"%06o\0 " % sum(blocks[at:at + 512])
    old.write_bytes(blocks)
    run = tern(old)
    point(run[0] == 0 and [r[0] for r in lines(run[1])] == ["a.ppm", "b.ppm"], "a tar file of before POSIX", run)


def check_tar_on_pipe(folder):
    """What is written as it comes is no film of its members, however old its form and whatever its first member is called."""
    members = [("FLV.ppm", picture(1)), ("b.ppm", picture(2)), ("c.ppm", picture(3))]
    old = bytearray(tar_of(folder / "pipe.tar", members).read_bytes())
    new = bytes(old)
    old[257:265] = bytes(8)
    old[148:156] = b" " * 8
    old[148:156] = b"%06o\0 " % sum(old[:512])
    for what, data in (("", new), (" of before POSIX", bytes(old))):
        process = subprocess.run(command("-"), input=data, stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
        point(process.returncode == 1 and not process.stdout and b"standard input: expected a picture or video, found a tar file"
              in process.stderr, f"a tar file{what} on a pipe is refused by name", process)
    with open(folder / "pipe.tar", "rb") as file:
        run = tern("-", stdin=file)
    point(run[0] == 1 and not run[1] and "found a tar file" in run[2], "and one that standard input is", run)
    pipe = folder / "tar-pipe"
    os.mkfifo(pipe)
    writer = subprocess.Popen(["sh", "-c", 'cat "$1" >"$2"', "sh", folder / "pipe.tar", pipe], stderr=subprocess.DEVNULL)
    run = tern(pipe)
    writer.wait(patience(60))
    point(run[0] == 1 and not run[1] and "tar-pipe: expected a picture or video, found a tar file" in run[2],
          "and one in a FIFO", run)


def check_places(folder):
    """Nothing can lie beside a member, and standard output has room for the text of one."""
    tar, film = folder / "places.tar", CLIP.read_bytes()
    tar_of(tar, [("a/x.mp4", film), ("b.mp4", film)])
    packed = folder / "places.tgz"
    packed.write_bytes(gzip.compress(tar.read_bytes()))
    for name in (tar, packed):
        for form in ("srt", "txt"):
            run = tern("--format", form, "--output", "-", name)
            point(run[0] == 2 and not run[1] and "--output: expected one input whose text" in run[2],
                  f"{form} of {name.name}: more than one", run)
        run = tern("--format", "srt", "--beside", name)
        point(run[0] == 2 and "--beside: expected files or folders, found a tar file" in run[2] and str(name) in run[2],
              f"nothing lies beside members of {name.name}", run)
        run = tern("--format", "mux", "--output", folder / "no-copies", name)
        point(run[0] == 2 and "files or folders for mux, found a tar file" in run[2] and not (folder / "no-copies").exists(),
              f"nor is one of {name.name} copied", run)
    (folder / "tars").write_text(f"{tar}\n")
    good, failed, last, run = told("--format", "srt", "--beside", "--files-from", folder / "tars")
    point(good and failed == [f"{tar}/a/x.mp4", f"{tar}/b.mp4"] and last["vision_seconds"] == 0
          and "beside which another can lie" in run[2], "of one in a list each member fails, and none is looked at",
          failed, last, run)


def check_links(folder):
    """Links to what is not here, as git-annex has them."""
    annex = photographs(folder / "annex", 1)
    for name in ("gone.jpg", "notes.md"):
        (annex / name).symlink_to(f".git/annex/{name}")
    (annex / "loop.png").symlink_to("loop.png")
    good, failed, last, run = told(annex)
    point(good and failed == [f"{annex}/gone.jpg", f"{annex}/loop.png"] and last["done"] == 1
          and "gone.jpg: expected a picture or video, found a link that leads nowhere" in run[2]
          and "1 file passed over, neither picture nor video: notes.md" in run[2], "pictures that are not here have failed",
          failed, last, run)
    shards = [told("--shard", f"{i}/3", annex, status=None) for i in range(3)]
    point(sorted(sum((s[1] for s in shards), [])) == failed, "each in one shard", shards)


def check_shards(folder):
    """What is another shard's is not read: one with a member that takes more memory than there is fails where it is done."""
    film = CLIP.read_bytes()
    whole = tar_of(folder / "whole.tar", [("a.ppm", picture(1)), ("large.mp4", film + bytes(50 << 20)), ("b.ppm", picture(2)),
                                          ("c.ppm", picture(3)), ("../d.ppm", picture(4))])
    need = [int(word) for word in tern("--max-memory", "1M", whole)[2].split() if word.isdigit()][0]
    runs = [told("--max-memory", f"{need + 10}M", "--shard", f"{i}/3", whole, status=None) for i in range(3)]
    failed = sum((r[1] for r in runs), [])
    point(sorted(failed) == [f"{whole}/../d.ppm", f"{whole}/large.mp4"]
          and [r[3][0] for r in runs] == [int(bool(r[1])) for r in runs]
          and sorted(r[0] for run in runs for r in lines(run[3][1])) == ["a.ppm", "b.ppm", "c.ppm"],
          "three shards of a tar file: each fails by what is its own", *runs)


def check_worker(folder):
    """Whatever a worker is given is answered by one line of kind done with the name that it was given."""
    photos, empty = photographs(folder / "worker", 3), folder / "nothing"
    empty.mkdir()
    tar = tar_of(folder / "worker.tar", [("a.ppm", picture(1)), ("b.ppm", picture(2))])
    words = folder / "words.md"
    words.write_text("words")
    given = [photos, tar, photos / "0001.ppm", "-", empty, folder / "gone.ppm", words, photos / "0002.ppm"]
    inside = [str(p) for p in sorted(photos.iterdir())] + [f"{tar}/a.ppm", f"{tar}/b.ppm"]
    for order in ([], ["--unordered", "--jobs", "4"]):
        worker = subprocess.Popen(command("--files-from", "-", "--tell-done", *order), stdin=subprocess.PIPE,
                                  stdout=subprocess.PIPE,
                                  stderr=subprocess.DEVNULL)
        said = []
        for name in given:      # one by one: the next when the last is over
            worker.stdin.write(os.fsencode(name) + b"\n")
            worker.stdin.flush()
            while True:
                line = worker.stdout.readline()
                said += [json.loads(line)] if line else []
                if not line or (said[-1]["kind"] == "done" and said[-1]["source"] == str(name)):
                    break
        worker.stdin.close()
        done = [r for r in said if r["kind"] == "done"]
        point(worker.wait(patience(60)) == 1 and sorted(r["source"] for r in done) == sorted(inside + list(map(str, given)))
              and [r["source"] for r in done if r["source"] not in inside] == [str(g) for g in given if str(g) not in inside]
              and sum(r["kind"] == "caption" for r in said) == 7
              and [r["source"] for r in done if "error" in r] == ["-", str(folder / "gone.ppm"), str(words)]
              and [r["source"] for r in done if r.get("other")] == [str(words)],
              "a worker answers folders and tar files behind what is in them " + " ".join(order), said)
        worker.stdout.close()


def check_names(folder):
    odd = folder / "two\nlines.ppm"
    odd.write_bytes(picture(1))
    plain = folder / "plain.ppm"
    plain.write_bytes(picture(2))
    other = folder / "other.ppm"
    other.write_bytes(picture(3))
    names = b"\0".join(map(os.fsencode, (odd, plain))) + b"\0"
    run = subprocess.run(command("--files-from", "-"), input=names, stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
    point(run.returncode == 0 and [r[0] for r in lines(run.stdout.decode())] == [odd.name, plain.name],
          "names ended by NUL, the first with the end of a line in it", run)
    (folder / "marked").write_bytes(b"\xef\xbb\xbf" + os.fsencode(plain) + b"\r\n" + os.fsencode(other) + b"\r\n")
    run = tern("--files-from", folder / "marked")
    point(run[0] == 0 and [r[0] for r in lines(run[1])] == [plain.name, other.name],
          "a list with a byte order mark and ends of lines of another system", run)


def check_twice(folder):
    """What comes again is done once, however it is spelt."""
    room = photographs(folder / "once/in", 2)
    photographs(room / "sub", 2)
    (room / "words.md").write_text("words")
    (room / "link.ppm").symlink_to("0000.ppm")
    tar = tar_of(room / "some.tar", [("t.ppm", picture(9))])
    top, want = room.parent, sorted(["in/0000.ppm", "in/0001.ppm", "in/link.ppm", "in/sub/0000.ppm", "in/sub/0001.ppm"])

    def sources(run):
        return sorted(os.path.relpath(os.path.realpath(os.path.join(top, os.path.dirname(s))), top) + "/" + os.path.basename(s)
                      for s in (json.loads(line)["source"] for line in run[1].splitlines()))

    names = [b"in"] + [os.fsencode(p.relative_to(top)) for p in sorted(room.rglob("*"))]
    for what, data in (("find -print0", b"\0".join(names) + b"\0"), ("find", b"\n".join(names) + b"\n")):
        process = subprocess.run(command("--files-from", "-"), input=data, cwd=top, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                 check=False)
        run = process.returncode, process.stdout.decode(), process.stderr.decode()
        if "without libarchive" in run[2]:
            point(True, "what comes again", skip="built without libarchive")
            return
        point(run[0] == 0 and sources(run) == sorted([*want, "in/some.tar/t.ppm"]) and run[2].count("had come before") == 1
              and "in/0000.ppm and 6 more: had come before" in run[2], f"{what}: folders and what is in them, once", run)
    run = tern("in", "./in", room, "in/sub", tar, "in/some.tar", "in/sub/../0001.ppm", cwd=top)
    point(run[0] == 0 and sources(run) == sorted([*want, "in/some.tar/t.ppm"]) and "./in and 4 more: had come before" in run[2],
          "by other spellings: once", run)
    late = tern("in/sub", "in/0001.ppm", "in", cwd=top)
    point(late[0] == 0 and sources(late) == want, "the folder above behind what is in it: once", late)
    shards = [tern("--shard", f"{i}/3", "in", "./in", "in/sub", cwd=top) for i in range(3)]
    point(sorted(sum((sources(s) for s in shards), [])) == want, "in shards: once in all of them", shards)
    asked = subprocess.run(command("--files-from", "-", "--tell-done"), input=b"in/0000.ppm\n" * 2, cwd=top, stdout=subprocess.PIPE,
                           stderr=subprocess.PIPE, check=False)
    point(asked.stdout.count(b'"kind":"done"') == asked.stdout.count(b'"kind":"caption"') == 2 and b"before" not in asked.stderr,
          "a worker answers as often as it is asked", asked)


def check_vain(folder):
    """What cannot come to anything is told before the model looks at it."""
    (folder / "marked").write_bytes(os.fsencode(folder / "plain.ppm") + b"\n" + b"x" * 100000 + b"\n")
    _, failed, last, run = told("--files-from", folder / "marked")
    point(failed == [str(folder / "marked")] and "one of more than 65536 bytes" in run[2] and last["done"] == 1,
          "a list without ends of lines", run)
    photos, elsewhere = photographs(folder / "here", 3), folder / "elsewhere"
    elsewhere.mkdir()
    (photos / "readme.md").write_text("words")
    good, failed, last, run = told("--format", "metadata", "--output", elsewhere / "metadata.jsonl", photos)
    point(good and len(failed) == 3 and last["vision_seconds"] == 0 and last["passed_over"] == 1,
          "metadata of photographs that lie "
          "elsewhere: none is looked at", last, run)


def raw_h264(film):
    """The pictures of an MP4 file of one chunk, as a stream without container."""
    def box(data, *path):
        at = 0
        while at < len(data):
            size, kind = struct.unpack(">I4s", data[at:at + 8])
            if kind == path[0]:
                return data[at + 8:at + size] if not path[1:] else box(data[at + 8:at + size], *path[1:])
            at += size
        raise KeyError(path)

    tables = box(film, b"moov", b"trak", b"mdia", b"minf", b"stbl")
    sizes, configuration = box(tables, b"stsz"), box(box(tables, b"stsd")[8 + 8 + 78:], b"avcC")
    start, out, at = b"\0\0\0\1", b"", 6
    for _ in range(2):          # SPS, PPS
        n = struct.unpack(">H", configuration[at:at + 2])[0]
        out += start + configuration[at + 2:at + 2 + n]
        at += 2 + n + 1
    at = struct.unpack(">I", box(tables, b"stco")[8:12])[0]
    end = at + sum(struct.unpack(f">{(len(sizes) - 12) // 4}I", sizes[12:]))
    while at < end:
        n = struct.unpack(">I", film[at:at + 4])[0]
        out += start + film[at + 4:at + 4 + n]
        at += 4 + n
    return out


def check_windows(folder):
    """Windows that are longer than was asked for are told, once, with a rate that gives those that were."""
    films = folder / "windowed"
    films.mkdir()
    for i in range(3):
        (films / f"{i}.mp4").write_bytes(CLIP.read_bytes())
    (films / "still.ppm").write_bytes(picture(1))
    for args, asked in ((["--window", "3"], 3), (["--window", "1"], 1), (["--frame-rate", "1/2"], 4), (["--window", "5"], 5)):
        run = tern(*args, films)
        said = [line for line in run[2].splitlines() if "windows of" in line]
        found = re.search(r"windows of ([\d.]+) s: --window %d is rounded up .*; --frame-rate (\d+/\d+) gives %d s$"
                          % (asked, asked),
                          said[0] if said else "")
        ends = [json.loads(line)["end"] for line in run[1].splitlines()]
        point(run[0] == 0 and len(said) == 1 and found and float(found[1]) > asked and ends[0] == min(float(found[1]), 6.6),
              f"{' '.join(args)}: longer windows are told once", run)
        again = tern("--window", asked, "--frame-rate", found[2] if found else "1", films)
        spans = [(r["start"], r["end"]) for r in map(json.loads, again[1].splitlines()) if r["source"].endswith("0.mp4")]
        point(again[0] == 0 and "windows of" not in again[2] and spans[0] == (0, min(asked, 6.6))
              and all(abs(start - i * asked) < 1e-6 for i, (start, _) in enumerate(spans)),
              f"the rate that it says gives {asked} s",
              again)
    still = tern("--window", "3", films / "still.ppm")
    point(still[0] == 0 and "windows of" not in still[2], "a picture has a window of its own", still)
    plain = tern(films)
    point(plain[0] == 0 and "windows of" not in plain[2], "windows as they are by themselves: nothing to tell", plain)


def check_fits(folder):
    """A window has to fit as far as an input fills it, and no further; who cannot be done does not stop the others."""
    still = folder / "fits.ppm"
    still.write_bytes(picture(1))

    def frames(run):
        return [json.loads(line)["frames"] for line in run[1].splitlines()]

    run = tern("--frame-rate", "1000/1", "--window", "1", CLIP, still)
    point(run[0] == 0 and sum(frames(run)) == 99 + 1 and not run[2], "every frame of a film, at more a second than it has", run)
    run = tern("--window", "2000", CLIP, still)
    point(run[0] == 0 and frames(run) == [14, 1] and not run[2], "a window that is longer than the film", run)
    for rate in "1000/1", "1000000/1", "0/1":
        run = tern("--frame-rate", rate, still)
        point(run[0] == 0 and frames(run) == [1] and "expected" not in run[2], f"a picture has no frames to the second: {rate}", run)
        run = tern("--frame-rate", rate, CLIP, still)
        point(run[0] == 1 and frames(run) == [1] and run[2].startswith(f"tern: {CLIP}: ") and "expected at most" in run[2],
              f"one that does not fit beside one that does: {rate}", run)
        run = tern("--frame-rate", rate, CLIP)
        point(run[0] == 2 and not run[1] and "expected at most" in run[2], f"nothing fits, so it is the setting: {rate}", run)
    for rate in "0/1", "0/2", "0.0", "00":
        run = tern("--frame-rate", rate, "--max-tokens-per-frame", "20", CLIP)
        point(run[0] == 0 and max(frames(run)) == 32, f"{rate} is every frame, and at most 32 of a window", run)
    for rate, same in ((".5", "1/2"), ("2.", "2/1"), ("02", "2")):
        runs = [tern("--frame-rate", text, "--window", "8", CLIP) for text in (rate, same)]
        point(runs[0][0] == 0 and frames(runs[0]) == frames(runs[1]), f"{rate} is {same}", runs)
    for args in (["--max-tokens", "4000"], ["--memory", "stream", "--memory-tokens", "65"],
                 ["--memory", "stream", "--memory-tokens", "900000"], ["--memory", "stream", "--kv", "f16"],
                 ["--max-tokens-per-window", "3"]):
        run = tern(*args, CLIP, still)
        point(run[0] == 2 and not run[1] and "expected" in run[2] and "found" in run[2], f"what no input would bear: {' '.join(args)}", run)


def check_settings(folder):
    """What changes nothing beside the rest is said, one line each, and nothing else of it; what changes something is not."""
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    still = folder / "settings.png"
    still.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 48, 48, 8, 0, 0, 0, 0))
                      + chunk(b"IDAT", zlib.compress(bytes(49 * 48))) + chunk(b"IEND", b""))
    off = ["--gate", "off", "--reuse", "off", "--compress", "none", "--frame-rate", "1/1"]
    plain = tern(CLIP)
    for args, vain in (([], []), (["--beam", "1", "--reuse", "on", "--reuse-refresh", "9", "--merge-ratio", ".8"], []),
                       ([*off, "--gate-threshold", "9", "--max-silence", "9", "--reuse-threshold", "9", "--reuse-refresh", "9",
                         "--merge-ratio", ".5"],
                        ["--merge-ratio", "--gate-threshold", "--max-silence", "--reuse-threshold", "--reuse-refresh"]),
                       (["--labels", "yes,no", "--beam", "2", "--think"], ["--beam", "--think"]),
                       (["--draft-vocabulary", "tli", "--overwrite"], ["--draft-vocabulary", "--overwrite"])):
        run = tern(*args, CLIP)
        said = re.findall(r"^tern: caption: (--[a-z-]+) changes nothing: .+$", run[2], re.M)
        point(run[0] == 0 and said == vain and len(run[2].splitlines()) == len(vain), f"{' '.join(args)}: {len(vain)} told", run)
    run = tern("--draft-vocabulary", "tli", CLIP)
    point(run[1] == plain[1], "and nothing is changed indeed", run, plain)
    run = tern("--window", "3", "--gate", "on", "--max-silence", "3", still)
    point(run[0] == 0 and re.findall(r"caption: (--[a-z-]+) changes nothing", run[2]) == ["--window", "--gate", "--max-silence"],
          "what is about videos, of a picture", run)
    run = tern("--gate", "on", "--max-silence", "3", still, CLIP)
    point(run[0] == 0 and not run[2], "and of a picture beside a video nothing", run)
    run = tern("--metrics", "--format", "txt", "--output", folder / "texts", still)
    point(run[0] == 0 and "--metrics changes nothing" in run[2], "numbers that no line has", run)


def check_raw(folder):
    raw = folder / "raw.h264"
    raw.write_bytes(raw_h264(CLIP.read_bytes()))
    seen = tern(raw)
    good, failed, _, run = told("--format", "mux", "--output", folder / "copies", raw)
    point(seen[0] == 0 and good and failed == [str(raw)] and "track 0 (h264) without" in run[2]
          and not list((folder / "copies").iterdir()),
          "a stream without a container is captioned, and not copied: its packets have no times", seen[0], run)


def check_own(folder):
    """What a run makes in the folders that it goes through is no input of the next one."""
    photos = photographs(folder / "captioned", 3)
    (photos / "readme.txt").write_text("words")
    texts = ("--format", "txt", "--beside", photos)
    first, failed = tern(*texts), told(*texts)[1]
    point(first[0] == 0 and (photos / "readme.txt").read_text() == "words"
          and failed == [str(photos / f"{i:04}.ppm") for i in range(3)],
          "texts of others beside photographs are passed over, those that are there are told once", first, failed)
    films = folder / "copied"
    films.mkdir()
    for name in ("one.mp4", "two.film"):
        (films / name).write_bytes(CLIP.read_bytes())
    runs = [tern("--format", "mux", "--beside", "--resume", "--journal", folder / "copies.journal", films) for _ in range(3)]
    point([r[0] for r in runs] == [0] * 3 and "2 files passed over, which are copies of films" in runs[2][2]
          and sorted(p.name for p in films.iterdir())
          == ["one.captions.mp4", "one.mp4", "two.captions.mkv", "two.film"], "copies beside films are not copied again", runs)
    for where in (films, films / "out", films / "../copied/deep/out"):
        run = tern("--format", "mux", "--output", where, films)
        point(run[0] == 2 and "--output" in run[2] and not (films / "out").exists() and not (films / "deep").exists(),
              "copies have a folder of their own", run)
    run = tern("--format", "mux", "--output", folder / "copied-out", films)
    point(run[0] == 0 and len(list((folder / "copied-out").iterdir())) == 4, "which may lie beside the films'", run)


def check_terminal(folder):
    """A terminal of 60 columns: the line of progress stays one, and no name steers it."""
    place = folder / ("deep " * 30)
    place.mkdir()
    odd = place / "\x1b]0;title\x07\x1b[2J\n\u0085\u6f22\u5b57.ppm"
    odd.write_bytes(b"P6 none")
    pipe = place / "\x1b[31m\u6f22\u5b57 pipe"
    os.mkfifo(pipe)
    try:
        ours, theirs = pty.openpty()
    except OSError as error:
        point(True, "names cannot steer the terminal", skip=f"no terminal can be opened: {error}")
        return
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 60, 0, 0))
    process = subprocess.Popen(command("--jobs", "2", "--file-timeout", "2", pipe, odd), stdout=subprocess.DEVNULL, stderr=theirs)
    os.close(theirs)
    said = b""
    with contextlib.suppress(OSError):      # the terminal goes with the program
        while True:
            said += os.read(ours, 4096)
    os.close(ours)
    shown = [line.rpartition("\x1b[K")[2] for line in said.decode().replace("\r\n", "\n").replace("\r", "\n").split("\n")]
    bars = [line for line in shown if line.startswith("[")]
    width = [sum(2 if unicodedata.east_asian_width(c) == "W" else 1 for c in line) for line in bars]
    point(process.wait(patience(60)) == 1 and bars and max(width) < 60 and any("...deep" in line or "pipe" in line for line in bars)
          and not any(ord(c) < 32 or 127 <= ord(c) < 160 for line in shown for c in line)
          and any("\\x1b]0;title\\x07\\x1b[2J\\x0a\\u{85}\u6f22\u5b57.ppm: expected" in line for line in shown),
          "names cannot steer the terminal, and the line of progress is not longer than it", process.returncode, width, shown)


def main():
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        if check_listed(folder):
            check_members(folder)
            check_shards(folder)
            check_tar_on_pipe(folder)
            check_places(folder)
            check_worker(folder)
        check_names(folder)
        check_twice(folder)
        check_links(folder)
        check_vain(folder)
        check_windows(folder)
        check_fits(folder)
        check_settings(folder)
        check_raw(folder)
        check_own(folder)
        check_terminal(folder)
    plan()


if __name__ == "__main__":
    main()
