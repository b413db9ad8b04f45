#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What `tern caption` costs over many inputs: memory while files go by, its rate beside that of the same engine fed from
memory, and whether its cores are busy. Prints a line a figure. Not a test: it takes minutes, and speeds are only to be
compared within one run.

usage: bench/batch.py memory [--files N] [--tern PROGRAM] [-- OPTION...]      tiny files, RSS from the 1,000th to the last
       bench/batch.py rate FOLDER [--threads N] [--rounds N] [--tern PROGRAM] [--ways WAY,...] [-- OPTION...]
           FOLDER: photographs. In turns: one after the other (--jobs 1), as many at once as it takes (at once), and from memory: one
           tar that lies in a tmpfs. Idle is the machine's own count, from start to end, whoever was busy.
       bench/batch.py mtmd FOLDER [--files N] [--threads N] [--rounds N] [--tern PROGRAM] --model FILE --mmproj FILE --image-tokens N
           the first N photographs (100) by Tern and by llama.cpp's mtmd (bench/compare/run.py setup), in turns, and how often both
           say the same
       bench/batch.py clips FOLDER [--threads N] [--rounds N] [--tern PROGRAM] [--before PROGRAM] [--frames FOLDER] [--ways WAY,...]
               [-- OPTION...]
           FOLDER: videos. In turns: as many at once as it takes (at once), one after the other, the engine alone, fed with what was
           decoded before, two frames a second as Y4M in a tmpfs (engine; --frames keeps them), another program (before), and
           decoded and no more, by one run of ffmpeg (decoding)
       bench/batch.py cuts FOLDER VIDEO... [--files N] [--shortest S] [--longest S]
           makes N clips (500) of 4 to 30 seconds in FOLDER of those videos, where chance has it, the same each time
       bench/batch.py photographs FOLDER TAR... [--files N]
           makes N photographs (20000) in FOLDER of those in TARs: all as they are, then mirrored, then their middles of 200 x 200 pixels
"""
import argparse
import json
import os
import pathlib
import random
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent


def resident(pid):
    for line in open(f"/proc/{pid}/status", encoding="ascii"):
        if line.startswith("VmRSS"):
            return int(line.split()[1])
    return 0


def memory(given, options):
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name) / "tiny"
        folder.mkdir()
        n = given.files or 200000
        for i in range(n):
            value = random.Random(i).randrange(256)
            (folder / f"{i:07}.ppm").write_bytes(b"P6\n16 16\n255\n" + bytes([value, i % 256, i // 256 % 256]) * 256)
        out = pathlib.Path(name) / "lines"
        process = subprocess.Popen([given.tern, "caption", "--resume", "--output", str(out), "--max-tokens", "1", *options,
                                    str(folder)])
        marks = [mark for mark in (1000, 10000, 20000, 50000, 100000) if mark < n]
        seen, last, lines = [], 0, 0
        with opened(out) as reader:
            while process.poll() is None:
                lines += reader.read().count("\n")
                last = resident(process.pid) or last
                while len(seen) < len(marks) and lines >= marks[len(seen)]:
                    print(f"{marks[len(seen)]} files: {last} KiB resident", flush=True)
                    seen.append(last)
                time.sleep(0.2)
        if process.returncode != 0 or not seen:
            raise SystemExit(f"memory: expected exit status 0 and more than 1000 files, found {process.returncode} and {lines}")
        print(f"{n} files: {last} KiB resident at the end: {100 * (last - seen[0]) / seen[0]:+.2f} % since the 1,000th")


def opened(path):
    while not path.exists():
        time.sleep(0.05)
    return open(path, "r", encoding="utf-8", errors="replace")


def idle_s():
    """Seconds of all cores, and of these the idle ones (waiting for a disk too)."""
    with open("/proc/stat", encoding="ascii") as stat:
        counts = [int(n) for n in stat.readline().split()[1:9]]
    return sum(counts), counts[3] + counts[4]


def run(given, options, *args):
    began, before = time.monotonic(), idle_s()
    said = subprocess.run([given.tern, "caption", "--progress", "json", "--threads", str(given.threads), "--output",
                           "/dev/null", *options, *args], stderr=subprocess.PIPE, check=True, text=True).stderr
    end, after = json.loads(said.splitlines()[-1]), idle_s()
    return end["done"] / (time.monotonic() - began), end["cores_busy"], 100 * (after[1] - before[1]) / max(1, after[0] - before[0])


def chosen(given, ways, usual):
    """Of `ways` (name -> what it needs) those of --ways, otherwise the usual ones, in that order."""
    wanted = given.ways.split(",") if given.ways else usual
    unknown = [way for way in wanted if way not in ways]
    if unknown:
        raise SystemExit(f"--ways: expected some of {', '.join(ways)}, found '{unknown[0]}'")
    return {way: ways[way] for way in wanted}


def in_turns(given, ways, once):
    """What `once(way, args)` gave of each way, a list each: all ways a round, so that all have the same machine."""
    got = {way: [] for way in ways}
    for _ in range(given.rounds):
        for way, args in ways.items():
            got[way].append(once(way, args))
    return got


def rate(given, options):
    folder = given.folder
    with tempfile.TemporaryDirectory(dir="/dev/shm") as name:
        tar = os.path.join(name, "all.tar")
        ways = {"--jobs 1": ["--jobs", "1", folder], "at once": [folder], "from memory": [tar]}
        ways = chosen(given, ways, list(ways))
        with tarfile.open(tar, "w") as archive:
            for entry in sorted(os.listdir(folder)) if "from memory" in ways else ():
                archive.add(os.path.join(folder, entry), entry)
        got = in_turns(given, ways, lambda way, args: run(given, options, *args))
    middle = {way: [statistics.median(v[i] for v in values) for i in range(3)] for way, values in got.items()}
    for way, (rate_of, busy, idle) in middle.items():
        print(f"{way}: {rate_of:.1f} files a second, {busy:.3f} cores busy, the machine idle {idle:.1f} %")
    for way in middle if "at once" in middle else ():
        if way != "at once":
            print(f"at once / {way}: {middle['at once'][0] / middle[way][0]:.3f}")


def mtmd(given):
    sys.path.insert(0, str(ROOT / "bench/compare"))
    import rivals               # for this alone: it wants what setup fetched

    files = [os.path.join(given.folder, name) for name in sorted(os.listdir(given.folder))[:given.files or 100]]
    asked = json.loads(subprocess.run([given.tern, "inspect", "--json", given.model], stdout=subprocess.PIPE, check=True).stdout)
    prompt = "<|im_start|>user\n<__media__>" + asked["keys"].get("tern.default_prompt", "Describe what happens.") \
        + "<|im_end|>\n<|im_start|>assistant\n"
    got, said = {"tern": [], "mtmd": []}, {}
    with rivals.LlamaCpp(rivals.default_cache()).start_photographs(given.model, given.mmproj, given.threads, prompt, 32,
                                                                   given.image_tokens) as rival:
        rival.ask(files[0])
        for _ in range(given.rounds):
            began = time.monotonic()
            for file in files:
                rival.ask(file)
                said[file] = rival.said
            got["mtmd"].append(len(files) / (time.monotonic() - began))
            run = subprocess.run([given.tern, "caption", "--model", given.model, "--mmproj", given.mmproj, "--progress", "json",
                                  "--threads", str(given.threads), *files], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                  check=True,
                                 text=True)
            got["tern"].append(json.loads(run.stderr.splitlines()[-1])["files_per_second"])
    ours = {r["source"]: r["result"] for r in map(json.loads, run.stdout.splitlines())}
    same = sum(ours[file].strip() == said[file].strip() for file in files)
    for way, values in got.items():
        print(f"{way}: {statistics.median(values):.1f} files a second")
    print("tern / mtmd: %.2f; the same caption for %d of %d" % (statistics.median(got["tern"]) / statistics.median(got["mtmd"]), same, len(files)))


def seconds_for(given, options, way, args):
    began = time.monotonic()
    if way == "decoding":
        subprocess.run(["ffmpeg", "-v", "fatal", "-threads", str(given.threads), *args, "-map", "0:v:0", "-autoscale", "0",
                        "-fps_mode", "passthrough", "-f", "null", "-"], check=True)
    elif way == "before":
        subprocess.run([given.before, "caption", "--threads", str(given.threads), *args], stdout=subprocess.DEVNULL, check=True)
    else:
        run(given, options, *args)
    return time.monotonic() - began


def clips(given, options):
    files = [os.path.join(given.folder, name) for name in sorted(os.listdir(given.folder))]
    with tempfile.TemporaryDirectory(dir="/dev/shm") as name:
        frames = pathlib.Path(given.frames or os.path.join(name, "frames"))
        frames.mkdir(exist_ok=True)
        for i, file in enumerate(files):
            if not (frames / f"{i:04}.y4m").exists():
                subprocess.run(["ffmpeg", "-v", "error", "-i", file, "-vf", "fps=2,scale=224:224", "-pix_fmt", "yuv420p",
                                f"{frames}/{i:04}.y4m"], check=True)
        listed = os.path.join(name, "list")
        with open(listed, "w", encoding="utf-8") as out:
            out.writelines("file '%s'\n" % os.path.abspath(file) for file in files)
        ways = {"at once": [given.folder], "one after the other": ["--jobs", "1", given.folder], "engine": [str(frames)],
                "before": files, "decoding": ["-f", "concat", "-safe", "0", "-i", listed]}
        ways = chosen(given, ways, [way for way in ways if way != "before" or given.before])
        took = in_turns(given, ways, lambda way, args: seconds_for(given, options, way, args))
    took = {way: statistics.median(values) for way, values in took.items()}
    for way, seconds in took.items():
        print(f"{len(files)} clips, {way}: {seconds:.2f} s")
    if {"decoding", "engine", "at once"} <= took.keys():
        print(f"(decoding + engine) / at once: {(took['decoding'] + took['engine']) / took['at once']:.3f}")
    for way in took.keys() & {"before", "one after the other"} if "at once" in took else ():
        print(f"{way} / at once: {took[way] / took['at once']:.3f}")


def cuts(given):
    """Packets are copied, so a clip begins at a key frame; one that comes out shorter or longer than asked for is not kept."""
    folder, rng, n = pathlib.Path(given.folder), random.Random(20), 0
    folder.mkdir(parents=True)
    length = {film: seconds_of(film) for film in given.more}
    films = [film for film in given.more if length[film] >= given.shortest]
    for turn in range(20 * (given.files or 500)):
        film = films[turn % len(films)]
        wanted = rng.uniform(given.shortest, min(given.longest, length[film]))
        path = folder / f"{n:04}.mp4"
        subprocess.run(["ffmpeg", "-v", "error", "-y", "-ss", f"{rng.uniform(0, length[film] - wanted):.3f}", "-i", film,
                        "-t", f"{wanted:.3f}", "-map", "0:v:0", "-c", "copy", str(path)], check=True)
        n += given.shortest <= seconds_of(path) <= given.longest
        if n == (given.files or 500):
            break
        if turn >= 200 and n == 0:
            raise SystemExit(f"cuts: expected clips of {given.shortest:g} to {given.longest:g} s, found none in {turn} cuts: packets are "
                             "copied from a key frame on, so a length is only about what was asked for")
    print(f"{folder}: {n} clips, {sum(map(seconds_of, sorted(folder.iterdir())[:n])):.0f} s in all")


def seconds_of(path):
    said = subprocess.run(["ffprobe", "-v", "error", "-show_entries", "format=duration", "-of", "csv=p=0", str(path)],
                          stdout=subprocess.PIPE, text=True, check=True).stdout.strip()
    return float(said) if said and said != "N/A" else 0.0


def photographs(given):
    """One run of ffmpeg a way, whose pattern is over all of them."""
    folder, n = pathlib.Path(given.folder), 0
    folder.mkdir(parents=True)
    for tar in given.more:
        with tarfile.open(tar) as archive:
            for member in archive:
                if member.isfile() and member.name.lower().endswith((".jpg", ".jpeg")):
                    (folder / f"{n:05}-0.jpg").write_bytes(archive.extractfile(member).read())
                    n += 1
    for way, filters in enumerate(("hflip", "crop=200:200"), 1):
        subprocess.run(["ffmpeg", "-v", "error", "-i", f"{folder}/%05d-0.jpg", "-vf", filters, "-q:v", "3", "-start_number", "0",
                        f"{folder}/%05d-{way}.jpg"], check=True)
    made = [folder / f"{i:05}-{way}.jpg" for way in range(3) for i in range(n)]
    for path in made[given.files or 20000:]:
        path.unlink()
    print(f"{folder}: {len(os.listdir(folder))} photographs of {n}")


def main():
    arguments = sys.argv[1:]
    options = []
    if "--" in arguments:
        at = arguments.index("--")
        arguments, options = arguments[:at], arguments[at + 1:]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["memory", "rate", "mtmd", "clips", "photographs", "cuts"])
    parser.add_argument("folder", nargs="?")
    parser.add_argument("more", nargs="*")
    parser.add_argument("--files", type=int)
    for name in ("--model", "--mmproj", "--before", "--frames"):
        parser.add_argument(name)
    parser.add_argument("--image-tokens", type=int, default=49)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    for name, value in (("--shortest", 4.0), ("--longest", 30.0)):
        parser.add_argument(name, type=float, default=value)
    parser.add_argument("--ways")
    parser.add_argument("--tern", default=str(ROOT / "build/tools/tern"))
    given = parser.parse_args(arguments)
    if given.what != "memory" and not given.folder:
        parser.error(f"{given.what}: expected a folder, found none")
    if given.what in ("mtmd", "photographs", "cuts"):
        {"mtmd": mtmd, "photographs": photographs, "cuts": cuts}[given.what](given)
    else:
        {"memory": memory, "rate": rate, "clips": clips}[given.what](given, options)


if __name__ == "__main__":
    main()
