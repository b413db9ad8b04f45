# SPDX-License-Identifier: LGPL-2.1-or-later
"""What `tern caption` must not lose: inputs whose names its output has, and inputs whose outputs would have one name. Prints TAP.

usage: batch_kept.py TERN DATA_FOLDER        (the folder with lfm2/ and lfm2vl/)
"""
import json
import os
import pathlib
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from batch import CLIP, command, lines, photographs, picture, samples, tern  # noqa: E402
from batch_found import tar_of  # noqa: E402
from tap import plan, point  # noqa: E402


def piped(names, *args, **more):
    """The same with names on standard input, which nobody knows before they come."""
    run = subprocess.run(command("--files-from", "-", *args), input="".join(f"{n}\n" for n in names).encode(),
                         stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False, **more)
    return run.returncode, run.stdout.decode(), run.stderr.decode()


def held(folder):
    """All files in it: {name: bytes}."""
    return {p.name: p.read_bytes() for p in folder.iterdir() if p.is_file()}


def check_films(folder):
    """--overwrite replaces no film that is an input, though another's copy would have its name."""
    room = folder / "films"
    room.mkdir()
    film = CLIP.read_bytes()
    inputs = {"holiday.avi": film, "holiday.mkv": film + b"\0\0\0\x08free", "list": b"holiday.avi\nholiday.mkv\n"}
    for name, data in inputs.items():
        (room / name).write_bytes(data)
    args = ("--format", "mux", "--output", ".", "--overwrite")
    run = tern(*args, "holiday.avi", "holiday.mkv", cwd=room)
    there = held(room)
    point(run[0] == 1 and "holiday.mkv: expected another file than the inputs" in run[2] and "that input itself" in run[2]
          and sorted(there) == ["holiday.avi", "holiday.avi.mkv", "holiday.mkv", "list"]
          and {n: there[n] for n in inputs} == inputs, "a film that is an input is no other's copy", run, sorted(there))
    again = tern(*args, "--files-from", "list", cwd=room)
    there = held(room)
    point(again[0] == 1 and sorted(there) == ["holiday.avi", "holiday.avi.mkv", "holiday.mkv", "list"]
          and {n: there[n] for n in inputs} == inputs, "nor one of a list, and runs before are replaced", again, sorted(there))
    late = piped(["holiday.avi", "holiday.mkv"], *args, cwd=room)
    there = held(room)
    point(late[0] == 1 and "for the captions of holiday.avi, found one for which a later name" in late[2]
          and {n: there[n] for n in inputs} == inputs, "nor one whose name comes later", late, sorted(there))
    (room / "link.mkv").hardlink_to(room / "holiday.mkv")
    (room / "link.avi").write_bytes(film)
    linked = tern(*args, "link.avi", "holiday.mkv", cwd=room)
    point((room / "link.mkv").read_bytes() == inputs["holiday.mkv"] and (room / "link.avi.mkv").exists(), "nor one by another name",
          linked)


def check_resumed(folder):
    """A journal says that an input has to be made again, not that whatever stands where its copy would stand is its own."""
    room = folder / "resumed"
    room.mkdir()
    for name in ("a.avi", "a.mkv"):
        (room / name).write_bytes(CLIP.read_bytes())
    args = ("--format", "mux", "--output", ".", "--resume", "a.avi", "a.mkv")
    first = tern(*args, cwd=room)
    changed = CLIP.read_bytes() + b"\0\0\0\x08free"
    for name in ("a.avi", "a.mkv"):
        (room / name).write_bytes(changed)
    second = tern(*args, cwd=room)
    point(first[0] == second[0] == 1 and (room / "a.mkv").read_bytes() == changed and (room / "a.avi.mkv").exists(),
          "a film that changed is not replaced by its copy or another's", first, second)


def check_tars(folder):
    room = folder / "tars"
    room.mkdir()
    tar_of(room / "s-0.tar", [("a.ppm", picture(1)), ("b.ppm", picture(2))])
    tar_of(room / "s-1.tar", [("c.ppm", picture(3))])
    tar_of(room / "y.tar", [("d.ppm", picture(4))])
    (room / "list").write_text("y.tar\n")
    before = held(room)
    args = ("--format", "webdataset", "--overwrite", "--output")
    if "without libarchive" in tern(*args, "x.tar", "y.tar", cwd=room)[2]:
        point(True, "tar files that are inputs stay", skip="built without libarchive")
        return
    (room / "x.tar").unlink()
    for what, run in (("a series", tern(*args, "s-%01d.tar", "s-0.tar", "s-1.tar", cwd=room)),
                      ("one of a series", tern(*args, "s-%01d.tar", "s-1.tar", cwd=room)),
                      ("one of a list", tern(*args, "y.tar", "--files-from", "list", cwd=room)),
                      ("one of a series and of names that come", piped(["s-0.tar"], *args, "s-%01d.tar", cwd=room)),
                      ("one of names that come", piped(["y.tar"], *args, "y.tar", cwd=room))):
        point(run[0] == 2 and "--output: expected another file than" in run[2] and held(room) == before,
              f"tar files that are inputs stay: {what}", run, sorted(held(room)))
    over = tern(*args, "y.tar", "s-0.tar", cwd=room)
    point(over[0] == 0 and [n for n, _ in samples(room / "y.tar")] == [b"a.ppm", b"a.txt", b"b.ppm", b"b.txt"],
          "others are replaced", over)


def check_lines(folder):
    photos = photographs(folder / "photos", 3)
    (photos / "lines.jsonl").write_text("{}\n")
    before = held(photos)
    for option in ("--output", "--failures"):
        for what, run in (("in a folder", tern("--overwrite", option, photos / "0001.ppm", photos)),
                          ("of names that come", piped([photos / "0001.ppm"], "--overwrite", option, photos / "0001.ppm"))):
            point(run[0] == 2 and f"{option}: expected another file than" in run[2] and held(photos) == before,
                  f"{option} is no input {what}", run)
    run = tern("--overwrite", "--output", photos / "lines.jsonl", photos)
    point(run[0] == 0 and [n for n, _, _ in lines(photos / "lines.jsonl")] == ["0000.ppm", "0001.ppm", "0002.ppm"],
          "lines in a folder that is looked through are replaced", run)


def check_texts(folder):
    """A picture under a text's name."""
    room = photographs(folder / "texts", 2)
    png = (folder / "texts/0000.ppm").read_bytes()
    (room / "0000.txt").write_bytes(png)
    (room / "0001.txt").write_text("old\n")
    run = tern("--format", "txt", "--beside", "--overwrite", room / "0000.ppm", room / "0000.txt", room / "0001.ppm")
    there = held(room)
    point(there["0000.txt"] == png and there["0001.txt"] != b"old\n" and "0000.ppm.txt" in there,
          "a picture that is called .txt stays", run, sorted(there))


def check_abstained(folder):
    """An answer that is too improbable is none. (Of words that are no answer the little model is not sure.)"""
    room = photographs(folder / "asked", 2)
    film = CLIP
    ask = ("--labels", "wf,xq", "--prompt", "Is there a dog?", "--min-confidence")
    told = "without an answer that is as likely as --min-confidence"
    said = tern(*ask, 0.9999, room)
    rows = [json.loads(line) for line in said[1].splitlines()]
    point(said[0] == 0 and [r["abstained"] for r in rows] == [True, True], "lines say that an answer abstains", said)
    for form, out in (("txt", folder / "answers"), ("metadata", room / "metadata.jsonl"), ("webdataset", folder / "answers.tar")):
        run = tern(*ask, 0.9999, "--format", form, "--output", out, room)
        if "without libarchive" in run[2]:
            continue
        made = samples(out) if form == "webdataset" else out.read_text() if form == "metadata" else "".join(held(out))
        point(run[0] == 0 and not made and f"2 inputs {told}" in run[2], f"{form}: nothing is made of what has no answer",
              run, made)
        sure = tern(*ask, 0, "--format", form, "--overwrite", "--output", out, room)
        point(sure[0] == 0 and told not in sure[2], f"{form}: and something of what has one", sure)
    for form in ("srt", "vtt", "mux"):
        run = tern(*ask, 0.9999, "--format", form, "--output", folder / form, film)
        point(run[0] == 0 and not held(folder / form) and f"1 input {told}" in run[2], f"{form}: the same", run)
    run = tern(*ask, 0.9999, "--format", "srt", "--output", "-", film)
    point(run[0] == 0 and run[1] == "", "on standard output as well", run)


def check_abstained_later(folder):
    """What a run before made of an input that has no answer now does not stay: some of these pictures are less sure than others."""
    room, seeds = folder / "later", range(40)
    room.mkdir()
    for seed in seeds:
        (room / f"{seed:02}.ppm").write_bytes(picture(seed))
    ask = ("--labels", "wf,xq", "--prompt", "Is there a dog?")
    sure = sorted((max(json.loads(line)["scores"]), i) for i, line in enumerate(tern(*ask, room)[1].splitlines()))
    (least, low), (most, high) = sure[0], sure[-1]
    photo, bound = folder / "it.ppm", (least + most) / 2
    for form, out in (("txt", folder / "it"), ("metadata", folder / "metadata.jsonl")):
        args = (*ask, "--min-confidence", bound, "--format", form, "--resume", "--output", out, photo)
        photo.write_bytes(picture(high))
        first = tern(*args)
        there = (out / "it.txt").exists() if form == "txt" else json.loads(out.read_text())["text"] in ("wf", "xq")
        photo.write_bytes(picture(low))
        os.utime(photo, ns=(1, 1))
        second = tern(*args)
        gone = not (out / "it.txt").exists() if form == "txt" else json.loads(out.read_text())["text"] == ""
        point(least < bound < most and first[0] == second[0] == 0 and there and gone, f"{form}: an answer of before goes",
              sure, first, second)


def check_parted(folder):
    """Two shards, and inputs of one name but for their suffixes: a file each, whichever shard is first."""
    room = folder / "parted"
    for sub, names in (("a", ["1.jpg", "2.jpg", "3.jpg", "only.jpg", "x.y.jpg"]),
                       ("b", ["1.jpg", "1.png", "2.png", "2.ppm", "3.x", "3.png"]), ("c", ["n.jpg", "n.png", "n.jpg.png"])):
        (room / sub).mkdir(parents=True)
        for name in names:
            (room / sub / name).write_bytes(picture(1))
    inputs = sorted(str(p.relative_to(room)) for p in room.rglob("*.*") if p.is_file())
    want = sorted(n + ".txt" for n in inputs if n not in ("a/1.jpg", "a/2.jpg", "a/3.jpg", "a/only.jpg", "a/x.y.jpg", "b/3.png"))
    want = sorted([*want, "a/1.txt", "a/2.txt", "a/3.txt", "a/only.txt", "a/x.y.txt", "b/3.txt"])

    def parts(order, *args, what=room):
        return [tern("--format", "txt", "--resume", "--journal", folder / f"{what.name}-{args[0][2:]}-{order}-{i}",
                     "--shard", f"{i}/2", *args, what) for i in order]

    for order in ((0, 1), (1, 0)):
        out = folder / f"parts {order}"
        for again in range(2):
            runs = parts(order, "--mirror", "--output", out)
            made = sorted(str(p.relative_to(out)) for p in out.rglob("*.txt"))
            point([r[0] for r in runs] == [0, 0] and made == want, f"shards {order}: a text for each", runs, made)
    out = folder / "flat"
    for args in (["--output", out, room], ["--mirror", "--output", out, room / "a", room / "b"]):
        run = tern("--format", "txt", "--shard", "0/2", *args)
        point(run[0] == 2 and "--shard: expected --beside, or --mirror with one folder" in run[2] and not out.exists(),
              "where names of shards could be the same: refused", run)
    beside = parts((0, 1), "--beside")
    made = sorted(str(p.relative_to(room)) for p in room.rglob("*.txt"))
    point([r[0] for r in beside] == [0, 0] and made == want, "beside their inputs, too", beside, made)
    tar = tar_of(folder / "parted.tar", [("a.jpg", picture(1)), ("a.png", picture(2)), ("b.ppm", picture(3))])
    members = parts((0, 1), "--mirror", "--output", folder / "members", what=tar)
    if "without libarchive" not in members[0][2]:
        made = sorted(held(folder / "members"))
        point([r[0] for r in members] == [0, 0] and made == ["a.jpg.txt", "a.png.txt", "b.ppm.txt"], "members of a tar file",
              members, made)


def check_languages(folder):
    """Whatever language the subtitles have, the copy says so."""
    for code, letters in (("ca", "cat"), ("fa-IR", "per"), ("nob", "nob")):
        out = folder / f"copies {code}"
        run = tern("--format", "mux", "--language", code, "--output", out, CLIP)
        copy = (out / CLIP.name).read_bytes() if run[0] == 0 else b""
        at = copy.rfind(b"mdhd") + 24           # type, version and flags, two dates, units a second, length
        word = int.from_bytes(copy[at:at + 2], "big")
        point(run[0] == 0 and "".join(chr(0x60 + (word >> s & 31)) for s in (10, 5, 0)) == letters, f"a track in {code}", run, word)
    for code in ("xq", "english"):
        run = tern("--format", "mux", "--language", code, "--output", folder / "no language", CLIP)
        point(run[0] == 2 and f"found {code}" in run[2] and "--language: expected a code of ISO 639" in run[2]
              and not (folder / "no language").exists(), f"{code} is no language", run)


def main():
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        check_films(folder)
        check_resumed(folder)
        check_tars(folder)
        check_lines(folder)
        check_texts(folder)
        check_abstained(folder)
        check_parted(folder)
        check_languages(folder)
        check_abstained_later(folder)
    plan()


if __name__ == "__main__":
    main()
