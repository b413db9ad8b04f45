# SPDX-License-Identifier: LGPL-2.1-or-later
"""`tern` as programs are used: with descriptors that are closed, `-` for standard output, help and version of every subcommand.
Prints TAP.

usage: programs.py TERN DATA_FOLDER              (the folder with lfm2/ and lfm2vl/)
"""
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from tap import patience, plan, point  # noqa: E402

TERN, DATA = os.path.abspath(sys.argv[1]), pathlib.Path(sys.argv[2]).resolve()
CAPTION = ["caption", "--model", DATA / "lfm2/lfm2-tq2_0.gguf", "--mmproj", DATA / "lfm2vl/mmproj-ship-q8_0.gguf", "--max-tokens",
           "3", "--threads", "1"]


def tern(*args, closed=(), **more):
    """Status, standard output, standard error; @closed: descriptors that the program does not have."""
    def close():
        for fd in closed:
            os.close(fd)

    run = subprocess.run([TERN, *map(str, args)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=patience(120),
                         check=False, preexec_fn=close, **more)
    return run.returncode, run.stdout.decode(errors="replace"), run.stderr.decode(errors="replace")


def clip(frames):
    """A Y4M of @frames grey frames, two a second."""
    return b"YUV4MPEG2 W64 H48 F2:1 C420\n" + b"".join(
        b"FRAME\n" + bytes([(40 * i) % 256]) * (64 * 48) + bytes([128]) * (64 * 48 // 2) for i in range(frames))


def is_lines(text, n):
    try:
        return len([json.loads(line) for line in text.splitlines()]) == n
    except ValueError:
        return False


def check_closed(folder):
    """What is told does not end up in the file that was opened first."""
    picture, missing, out = folder / "a.ppm", folder / "missing.jpg", folder / "out.jsonl"
    for closed in (2,), (0, 2), (0, 1, 2):
        run = tern(*CAPTION, "--output", out, missing, picture, closed=closed)
        point(run[0] == 1 and is_lines(out.read_text(), 1), f"descriptors {closed} are closed: the file has results alone", run,
              out.read_text())
        out.unlink()
    run = tern(*CAPTION, picture, closed=(1,))
    point(run[0] == 1 and "standard output" in run[2], "standard output is closed: an error", run)
    run = tern(*CAPTION, "-", closed=(0,))
    point(run[0] == 1 and "standard input" in run[2], "standard input is closed, and asked for: an error", run)
    run = tern(*CAPTION, picture, closed=(0,))
    point(run[0] == 0 and is_lines(run[1], 1), "standard input is closed, and not asked for: no matter", run)


def check_standard(folder):
    """`-` names standard output, and never a file."""
    picture, film, missing = folder / "a.ppm", folder / "film.y4m", folder / "missing.jpg"
    plain = tern(*CAPTION, picture)
    run = tern(*CAPTION, "--output", "-", picture, cwd=folder)
    point(run == plain and run[0] == 0, "--output - is what there is without it", run)
    run = tern(*CAPTION, "--format", "metadata", "--output", "-", "a.ppm", cwd=folder)
    point(run[0] == 0 and is_lines(run[1], 1) and json.loads(run[1])["file_name"] == "a.ppm", "metadata", run)
    for kind, head in ("srt", "1\n00:00:00,000 --> 00:00:04,000\n"), ("vtt", "WEBVTT\n"), ("txt", ""):
        tern(*CAPTION, "--format", kind, "--output", folder / "files", film)
        file = (folder / "files" / f"film.{kind}").read_text()
        run = tern(*CAPTION, "--format", kind, "--output", "-", film, cwd=folder)
        point(run[0] == 0 and run[1] == file and file.startswith(head), f"{kind}: what the file would have", run, file)
        run = tern(*CAPTION, "--format", kind, "--output", "-", film, film, cwd=folder)
        point(run[0] == 2 and not run[1] and "one input" in run[2], f"{kind} of two inputs is refused", run)
        run = tern(*CAPTION, "--format", kind, "--output", "-", folder, cwd=folder)
        point(run[0] == 2 and "one input" in run[2], f"{kind} of a folder is refused", run)
    for kind in "mux", "webdataset":
        run = tern(*CAPTION, "--format", kind, "--output", "-", film, cwd=folder)
        point(run[0] == 2 and "--" in run[2], f"{kind} is refused", run)
    run = tern(*CAPTION, "--resume", "--output", "-", picture, cwd=folder)
    point(run[0] == 2 and "--resume" in run[2], "it cannot go on from there", run)
    run = tern(*CAPTION, "--failures", "-", "--output", folder / "out.jsonl", missing, cwd=folder)
    point(run[0] == 1 and is_lines(run[1], 1) and "missing.jpg" in run[1], "--failures -", run)
    run = tern(*CAPTION, "--failures", "-", missing, cwd=folder)
    point(run[0] == 2 and "--failures" in run[2], "--failures - beside results is refused", run)
    with open("/dev/full", "wb") as full:
        status = subprocess.run([TERN, *map(str, CAPTION), "--format", "srt", "--output", "-", str(film)], stdout=full,
                                stderr=subprocess.DEVNULL, timeout=patience(120), check=False).returncode
    point(status == 75, "standard output has no room: 75", status)
    point(not (folder / "-").exists(), "no file is named -")
    (folder / "-").mkdir()
    run = tern(*CAPTION, "-", cwd=folder, input=picture.read_bytes())
    point(run[0] == 0 and run[1] == tern(*CAPTION, "-", input=picture.read_bytes())[1],
          "- is standard input, also where a folder has that name", run)
    (folder / "-").rmdir()


def check_model_files(folder):
    """Model files have names, and `-` is none: it names a stream."""
    model = DATA / "lfm2/lfm2-tq2_0.gguf"
    for args in (("quantize", model, "-", "--type", "Q8_0"), ("quantize", "-", "out.gguf", "--type", "Q8_0"),
                 ("tasks", "-"), ("tasks", model, "-", "--set", "fire", "--prompt", "Is there fire?"),
                 ("tasks", "-", "out.gguf", "--remove", "fire")):
        run = tern(*args, cwd=folder)
        point(run[0] == 2 and not run[1] and "found `-`" in run[2], f"{args[0]}: - is no model file", args, run)
    point(not (folder / "-").exists() and not (folder / "out.gguf").exists(), "and no file is written")
    run = tern("tasks", model, "./-", "--set", "fire", "--prompt", "Is there fire?", cwd=folder)
    point(run[0] == 0 and (folder / "-").exists(), "a file of that name has a folder before it", run)
    (folder / "-").unlink()


def check_model_named():
    """What computes with a model takes that of TERN_MODEL_PATH, and the one of a folder."""
    model = DATA / "lfm2/lfm2-tq2_0.gguf"
    for args, more in ((["tokenize"], {"input": b"one two"}), (["generate", "--prompt", "one", "--max-tokens", "3"], {})):
        named = tern(*args, "--model", model, **more)
        for env, path in ((model, []), (model.parent, []), ("", ["--model", model.parent])):
            run = tern(*args, *path, env={**os.environ, "TERN_MODEL_PATH": str(env)}, **more)
            point(named[0] == 0 and run[:2] == named[:2], f"{args[0]}: TERN_MODEL_PATH={env} {path}", run, named)
        run = tern(*args, env={key: os.environ[key] for key in os.environ if key != "TERN_MODEL_PATH"}, **more)
        point(run[0] == 2 and "expected --model F, found none" in run[2], f"{args[0]} without a model is told", run)


def check_help():
    status, text, errors = tern("--help")
    names = re.findall(r"^  ([a-z]+) {2,}\S", text.split("Subcommands:")[-1], re.M)
    version = tern("--version")
    point(status == 0 and not errors and len(names) > 10 and re.fullmatch(r"tern \S+\n", version[1]), "--help and --version",
          names, version)
    for name in names:
        if name in ("watch", "search", "ask") and not pathlib.Path(TERN).with_name("tern-watch").exists():
            continue
        shown = tern(name, "--help")
        point(shown[0] == 0 and shown[1].startswith("Usage:") and "-h, --help" in shown[1] and name in shown[1]
              and tern("help", name) == shown
              and tern(name, "-h") == shown and tern(name, "-?") == shown and tern(name, "--version") == version,
              f"{name}: --help, -h, -?, help {name} and --version", shown)
        with open("/dev/full", "wb") as full:
            run = subprocess.run([TERN, name, "--help"], stdout=full, stderr=subprocess.PIPE, timeout=patience(120), check=False)
        point(run.returncode == 1 and b"standard output" in run.stderr, f"{name}: --help that cannot be written", run)
    run = tern("help", "nothing")
    point(run[0] == 2 and "nothing" in run[2] and not run[1], "help of what there is not", run)
    point(tern("help") == (status, text, errors), "help alone is --help")


with tempfile.TemporaryDirectory(prefix="tern-programs-") as name:
    work = pathlib.Path(name)
    (work / "a.ppm").write_bytes(b"P6\n48 48\n255\n" + bytes(range(256)) * 27)
    (work / "film.y4m").write_bytes(clip(12))
    check_closed(work)
    check_standard(work)
    check_model_files(work)
check_model_named()
check_help()
plan()
