# SPDX-License-Identifier: LGPL-2.1-or-later
"""bench/eval as its user meets it: tables that are wrong are refused in words, files of any name are asked about, what comes
out is a report. Runs the program on a few small pictures. Prints TAP.

usage: command.py TERN SOURCE_ROOT
"""
import io
import json
import os
import pathlib
import subprocess
import sys
import tarfile
import tempfile

TERN, ROOT = os.path.abspath(sys.argv[1]), pathlib.Path(sys.argv[2]).resolve()
MODEL = ROOT / "models/tern-captioner-4m-tq2_0.gguf"
RUN = ROOT / "bench/eval/run.py"
sys.path[:0] = [str(RUN.parent), str(ROOT / "tests")]
sys.dont_write_bytecode = True
import answers  # noqa: E402
import asking  # noqa: E402
import files  # noqa: E402
import labels  # noqa: E402
import program  # noqa: E402
import tables  # noqa: E402
from tap import patience, plan, point  # noqa: E402


def run(*args, model=True):
    given = ["--tern", TERN, "--model", MODEL, "--threads", "1"] if model else []
    extra = []
    if "--" in args:
        at = args.index("--")
        args, extra = args[:at], args[at:]
    if model:
        given, extra = given[:4], [*(extra or ["--"]), "--threads", "1"]
    done = subprocess.run([sys.executable, "-B", RUN, *map(str, args), *map(str, given), *map(str, extra)], timeout=patience(240),
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=dict(os.environ, LC_ALL="C.UTF-8"))
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def refused(function, words, what):
    try:
        found = function()
        point(False, what, found)
    except tables.Wrong as error:
        point(all(w in str(error) for w in words) and "\n" not in str(error), what, error)


# ---- Tables and files ----

def check_tables(folder):
    table = folder / "t.tsv"

    def rows(data, columns=("file", "caption")):
        table.write_bytes(data)
        return tables.rows(table, columns)

    point(rows(b"\xef\xbb\xbfa.jpg\ta dog\r\n\n  \nb.jpg\t two\tmen \n") == [("a.jpg", "a dog"), ("b.jpg", "two\tmen")],
          "a byte order mark, carriage returns, empty lines, a tab in a caption", table)
    point(os.fsencode(rows(b"\xff\xfe.jpg\ta dog")[0][0]) == b"\xff\xfe.jpg", "a name that is no UTF-8")
    point(tables.groups(table) == {"\udcff\udcfe.jpg": ["a dog"]}, "captions by file")
    for data, words, what in ((b"", ["t.tsv", "found none"], "an empty table"), (b"\n\n", ["found none"], "empty lines alone"),
                              (b"a.jpg\tx\nb.jpg a dog\n", ["line 2", "file<TAB>caption", "b.jpg a dog"], "a line without a tab"),
                              (b"a.jpg\t\xff dog\n", ["line 1", "UTF-8", "0xff"], "a caption that is no UTF-8"),
                              (b"\ta dog\n", ["line 1", "file's name"], "no name"),
                              (b"a.jpg\t\n", ["line 1", "caption"], "no caption"),
                              (b"a\0.jpg\ta dog\n", ["line 1", "file's name"], "a name with a zero"),
                              (b"a" * 5000, ["line 1", "aaa..."], "a line of 5,000 bytes")):
        refused(lambda d=data: rows(d), words, "refused: " + what)
    refused(lambda: rows(b"a.mp4\t1\tleaves\n", ("file", "start", "end", "label")), ["file<TAB>start<TAB>end<TAB>label"],
            "refused: a column too few")
    refused(lambda: tables.rows(folder / "none.tsv", ("file", "caption")), ["none.tsv", "No such file"],
            "refused: a table that is not there")
    refused(lambda: tables.rows(folder, ("file", "caption")), ["directory"], "refused: a folder as table")
    for text in ("-1", "nan", "inf", "soon", "1e9"):
        refused(lambda t=text: tables.seconds(t, "e.tsv, line 3", "start"), ["line 3", "start", text], f"refused: {text} seconds")


def check_files(folder):
    (folder / "in").mkdir()
    (folder / "in/b.png").write_bytes(b"x")
    with files.opened(folder) as where:
        point(where(["in/b.png"]) == [os.path.join(folder, "in/b.png")], "files of a folder")
        refused(lambda: where(["in/b.png", "c.png", "\udcff"]), ["3 files", "2 are not there", "c.png", "\\udcff"],
                "refused: files that are not there")
    archive = folder / "a.tar"
    with tarfile.open(archive, "w") as tar:
        tar.add(folder / "in/b.png", "deep/b.png")
    with files.opened(archive) as where:
        point(where(["b.png"]) == where(["deep/b.png"]) and where(["b.png"])[0] != "", "files of a tar, by either name")
        kept = where(["b.png"])[0]
    point(not os.path.exists(kept), "which is gone afterwards")
    with tarfile.open(folder / "evil.tar", "w") as tar:
        info = tarfile.TarInfo("../outside.png")
        info.size = 1
        tar.addfile(info, io.BytesIO(b"x"))
    refused(lambda: files.opened(folder / "evil.tar").__enter__(), ["evil.tar"], "refused: a tar that leaves its folder")
    point(not (folder.parent / "outside.png").exists(), "and nothing is written there")
    kept = tarfile.__dict__.get("data_filter")      # which Python has from 3.11.4 on
    if kept:
        del tarfile.data_filter
    with files.opened(archive) as where:
        point(where(["deep/b.png"])[0] != "", "where Python has no filter, files of a tar")
    refused(lambda: files.opened(folder / "evil.tar").__enter__(), ["evil.tar"], "and refused: a tar that leaves its folder")
    point(not (folder.parent / "outside.png").exists(), "and nothing is written there, either")
    if kept:
        tarfile.data_filter = kept
    refused(lambda: files.opened(folder / "in/b.png").__enter__(), ["b.png", "folder or a tar"], "refused: what is neither "
            "folder nor tar")


# ---- Commands ----

def check_usage(folder):
    code, out, error = run(model=False)
    point(code == 2 and "captions" in error, "usage: no command", code, error)
    point(run("--help", model=False)[0] == 0, "--help")
    for command in ("captions", "hallucination", "answers", "motion", "events", "robustness", "actions", "card"):
        code, out, error = run(command, "--help", model=False)
        point(code == 0 and "usage" in out, f"{command} --help", code, error)
    code, out, error = run("captions", "--data", folder / "none", model=False)
    point(code == 0 and out.startswith("skipped") and "none" in out, "what is not there is skipped, and says so", code, out, error)
    for args, words in ((["captions", "--tsv", "x"], ["--files and --tsv", "no --files"]), (["answers"], ["--files and --tsv"]),
                        (["captions", "--limit", "0"], ["--limit", "found 0"])):
        code, out, error = run(*args, model=False)
        point(code == 2 and all(w in error for w in words), "usage: " + " ".join(args), code, error)
    (folder / "u.tsv").write_text("none.png\ta dog\n")
    code, out, error = run("captions", "--files", folder, "--tsv", folder / "u.tsv")
    point(code == 2 and error.count("\n") == 1 and "none.png" in error and not out, "a file that is not there: one line, "
          "status 2", code, error)
    code, out, error = run("captions", "--files", folder, "--tsv", folder / "u.tsv", "--tern", folder / "tern", model=False)
    point(code == 2 and "folder" not in error and str(folder / "tern") in error, "a program that is not there", code, error)


def check_commands(folder):
    names = [b"a.png", b"\xff\xfe b.png", b"-c.png", b"broken.png"]
    for i, name in enumerate(names[:3]):
        program.grey(os.path.join(os.fsencode(str(folder)), name), 64, 60 + 60 * i)
    (folder / "broken.png").write_bytes(b"no picture")
    table, reports = folder / "c.tsv", folder / "r.json"
    table.write_bytes(b"".join(n + b"\t" + c + b"\n" for n in names[:3] for c in (b"a man stands by a wall", b"a dog runs")))
    code, out, error = run("captions", "--files", folder, "--tsv", table, "--scorer", "own", "--keep", folder / "k.jsonl",
                           "--json", reports)
    made = json.loads(reports.read_text()) if reports.exists() else {"tables": [{"rows": []}]}
    rows = {r[0]: r for r in made["tables"][0]["rows"]}
    point(code == 0 and not error and len(rows) == 6 and made["about"]["files"] == "3" and made["about"]["without a caption"] == "0"
          and list(made["origin"]) == [MODEL.name] and "this model" in out, "captions, names of any bytes", code, out, error)
    again = run("captions", "--files", folder, "--tsv", table, "--scorer", "own", "--captions", folder / "k.jsonl", "--paired",
                folder / "k.jsonl", "--json", folder / "s.json")
    kept = json.loads((folder / "s.json").read_text())
    point(again[0] == 0 and kept["tables"][0]["rows"][0] == rows["this model"]
          and kept["tables"][1]["rows"] == [["k.jsonl", [0, 0, 0], None, 3]], "kept captions score the same, and equal "
          "themselves", again, kept)
    with table.open("ab") as f:
        f.write(names[3] + b"\ta cat\n")
    code, out, error = run("hallucination", "--files", folder, "--tsv", table, "--json", reports)
    point(code == 1 and "picture" in error and json.loads(reports.read_text())["about"]["files"] == "4",
          "a file that is no picture: status 1, the others are done", code, out, error)
    questions = folder / "q.tsv"
    questions.write_bytes(b"".join(n + b"\tIs there a " + t + b"?\t" + a + b"\n" for n, a in zip(names[:3], (b"yes", b"no", b"no"))
                                   for t in (b"dog", b"wall")))
    code, out, error = run("answers", "--files", folder, "--tsv", questions, "--json", reports, "--plot", folder / "p.svg",
                           "--prompts")
    made = json.loads(reports.read_text())
    summary = made["tables"][0]["rows"][0]
    half = made["tables"][3]
    point(code == 0 and summary[1] == 6 and 0 <= summary[4][0] <= 1 and len(made["tables"][2]["rows"]) == 2
          and half["rows"][1][1] == half["rows"][0][1] == 2 and "<svg" in (folder / "p.svg").read_text(),
          "answers, recalibrated by the program", code, out, error)
    asked = [(os.fsdecode(n), "Is there a dog?", "no") for n in names[:3]]
    where = {name: os.path.join(folder, name) for name, _, _ in asked}
    plain = program.Program(TERN, MODEL, None, ["--threads", "1"])
    (folder / "hot").mkdir()
    once = asking.by_prompt(plain, asked, where, labels="yes,no")
    hot = asking.by_prompt(answers.with_temperature(plain, 4., str(folder / "hot")), asked, where, labels="yes,no")
    point(len(once) == len(hot) == 3 and all(len(h.scores) == 2 for h in hot)
          and all(abs(a - b) < 1e-6 for x, y in zip(labels.tempered(once, 4.), hot) for a, b in zip(x.scores, y.scores))
          and once[0].scores != hot[0].scores, "a temperature does in the program what it does here", once, hot)
    clips = folder / "m.tsv"
    clips.write_bytes(b"a.png\tstill\n-c.png\tmoves\n")
    code, out, error = run("motion", "--files", folder, "--tsv", clips, "--labels", "still,moves", "--prompt",
                           "What does the camera do?")
    point(code == 0 and "true \\ said" in out, "motion by labels of one's own", code, out, error)
    code, out, error = run("motion", "--files", folder, "--tsv", clips, "--task", "no-such-task")
    point(code == 2 and "--task" in error, "a task that the model does not have", code, out, error)
    happened = folder / "e.tsv"
    clip = ROOT / "pipelines/data/people.mp4"
    if clip.exists():
        happened.write_text("people.mp4\t1\t3\tsomebody walks\n")
        code, out, error = run("events", "--files", clip.parent, "--tsv", happened, "--labels", "somebody walks,nothing",
                               "--prompt", "What happens?", "--json", reports, "--", "--window", "60")
        found = json.loads(reports.read_text())["tables"][0]["rows"][0]
        point(code == 0 and found[0] == 1 and found[1] in (0, 1), "events of a clip", code, out, error)
        happened.write_text("people.mp4\t3\t1\tsomebody walks\n")
        code, out, error = run("events", "--files", clip.parent, "--tsv", happened)
        point(code == 2 and "not before its start" in error, "an event that ends before it begins", code, error)


with tempfile.TemporaryDirectory() as temporary:
    place = pathlib.Path(temporary).resolve()
    for part in ("tables", "files", "usage", "commands"):
        (place / part).mkdir()
    check_tables(place / "tables")
    check_files(place / "files")
    check_usage(place / "usage")
    if MODEL.exists():
        check_commands(place / "commands")
    else:
        point(True, "commands", skip="the bundled model is not here")
plan()
