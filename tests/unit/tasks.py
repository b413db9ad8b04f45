# SPDX-License-Identifier: LGPL-2.1-or-later
"""`tern tasks` as its user meets it: what it writes is a copy with other keys, `tern inspect` and `tern quantize` know of
tasks, what is wrong is refused by name and leaves nothing behind. Prints TAP.

usage: tasks.py TERN DATA_FOLDER              (the folder with lfm2/, lfm2s/ and lfm2vl/)
"""
import json
import os
import pathlib
import shutil
import stat
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from tap import patience, plan, point  # noqa: E402

TERN, DATA = os.path.abspath(sys.argv[1]), pathlib.Path(sys.argv[2]).resolve()
MODEL, PLAIN, MMPROJ = DATA / "lfm2/lfm2-tq2_0.gguf", DATA / "lfm2s/lfm2s-bf16.gguf", DATA / "lfm2vl/mmproj-ship-q8_0.gguf"
HEAD = DATA / "action/mlp.gguf"
SCHEMA = '{"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"], "additionalProperties": false}'


def tern(*args):
    run = subprocess.run([TERN, *map(str, args)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=patience(240),
                         check=False, env=dict(os.environ, LC_ALL="C"))
    return run.returncode, run.stdout.decode(), run.stderr.decode()


def inspect(path):
    return json.loads(tern("inspect", "--json", path)[1])


def tensors(path):
    data = pathlib.Path(path).read_bytes()
    return [(t["name"], t["type"], t["shape"], data[t["offset"]:t["offset"] + t["bytes"]]) for t in inspect(path)["tensors"]]


def listed(path):
    return json.loads(tern("tasks", "--json", path)[1])


def check_changes(folder):
    one, two, three, schema = folder / "1.gguf", folder / "2.gguf", folder / "3.gguf", folder / "s.json"
    schema.write_text(SCHEMA)
    done = tern("tasks", MODEL, one, "--set", "fire", "--prompt", "Is there fire?", "--labels", r"yes, no,smoke\, perhaps,a\\b",
                "--label-temperature", "1.5")
    fire = {"name": "fire", "prompt": "Is there fire?", "labels": ["yes", "no", "smoke, perhaps", "a\\b"]}
    point(done == (0, "", "") and listed(one) == {"file": str(one), "label_temperature": 1.5, "tasks": [fire]},
          "a task of labels, one with a comma and one with a backslash", done, listed(one))
    before, after = inspect(MODEL)["keys"], inspect(one)["keys"]
    point(list(after)[:len(before)] == list(before) and all(after[k] == v for k, v in before.items())
          and list(after)[len(before):] == ["tern.task.fire.prompt", "tern.task.fire.labels", "tern.label_temperature"],
          "other keys are as they were, in their order", list(after))
    point(tensors(one) == tensors(MODEL), "tensors are as they were, byte for byte")

    done = tern("tasks", one, two, "--set", "count", "--prompt", "How many\nare there?", "--schema", schema)
    count = {"name": "count", "prompt": "How many\nare there?", "schema": SCHEMA}
    point(done[0] == 0 and listed(two)["tasks"] == [count, fire], "a second one, of a schema; they are listed by name", done)
    text = tern("tasks", two)[1]
    point('fire             "Is there fire?"\n' in text and 'labels "yes", "no"' in text and 'schema "{' in text
          and text.endswith("label temperature 1.5\n"), "listed as text", text)
    shown = tern("inspect", two)
    point(shown[0] == 0 and "\ntasks\n  count " in shown[1] and inspect(two)["tasks"] == [count, fire]
          and inspect(MODEL)["tasks"] == [] and "\ntasks\n" not in tern("inspect", MODEL)[1], "tern inspect lists them", shown)

    done = tern("tasks", two, two, "--set", "fire", "--prompt", "Does it burn?", "--remove", "count")
    point(done[0] == 0 and listed(two)["tasks"] == [{"name": "fire", "prompt": "Does it burn?"}]
          and tensors(two) == tensors(MODEL) and listed(two)["label_temperature"] == 1.5,
          "set anew and removed at once, the file in its own place", done)
    done = tern("tasks", two, three, "--instructions", "ignored")
    point(done[0] == 0 and listed(three)["instructions"] == "ignored" and "instructions ignored" in tern("tasks", three)[1]
          and tern("tasks", three, three, "--instructions", "read")[0] == 0 and "instructions" not in listed(three),
          "what the model makes of instructions", done, listed(three))
    done = tern("tasks", two, three, "--remove", "fire", "--label-temperature", "1")
    point(done[0] == 0 and listed(three)["tasks"] == [], "none are left", done)
    return one


def check_quantize(folder):
    named, small = folder / "plain.gguf", folder / "small.gguf"
    tern("tasks", PLAIN, named, "--set", "fire", "--prompt", "Fire?", "--labels", "yes,no", "--label-temperature", ".75")
    done = tern("quantize", named, small, "--type", "Q8_0", "--threads", "1")
    found, wanted = listed(small), listed(named)
    found.pop("file"), wanted.pop("file")
    point(done[0] == 0 and found == wanted and found["tasks"][0]["labels"] == ["yes", "no"]
          and found["label_temperature"] == .75, "tern quantize keeps them", done, found)


def check_refused(folder, good):
    bad_utf8, out = folder / "utf8.json", folder / "out.gguf"
    bad_utf8.write_bytes(b'{\n "type": "\xff"}')
    fire = ["--set", "fire", "--prompt", "x"]
    for code, args, words in (
            (2, [MODEL, out, "--set", "Fire", "--prompt", "x"], ["--set", "a-z", "Fire"]),
            (2, [MODEL, out, "--set", "", "--prompt", "x"], ["--set", "a-z"]),
            (2, [MODEL, out, "--set", "fire"], ["--prompt"]),
            (2, [MODEL, out, *fire, "--set", "water", "--prompt", "y"], ["--set", "one task at a time", "found 2"]),
            (2, [MODEL, out, "--set", "fire", "--prompt", ""], ["--prompt", "`fire`"]),
            (2, [MODEL, out, "--set", "fire", "--prompt", " \n"], ["--prompt", "`fire`"]),
            (2, [MODEL, out, "--prompt", "x"], ["--set"]),
            (2, [MODEL, out], ["--set", "--remove"]),
            (2, [MODEL, out, "--instructions", "no"], ["--instructions", "ignored", "no"]),
            (2, [MODEL, *fire], ["IN and OUT", MODEL.name]),
            (2, [MODEL, out, *fire, "--json"], ["--json"]),
            (2, [MODEL, out, *fire, "--labels", "yes"], ["--labels", "2 to 256", "found 1"]),
            (2, [MODEL, out, *fire, "--labels", "yes,,no"], ["--labels", "label 2 is empty"]),
            (2, [MODEL, out, *fire, "--labels", "yes, no,yes"], ["--labels", '"yes" twice']),
            (2, [MODEL, out, *fire, "--labels", "a,b", "--schema", bad_utf8], ["--labels", "--schema"]),
            (2, [MODEL, out, *fire, "--schema", bad_utf8], [str(bad_utf8), "line 2, column 11", "0xff"]),
            (1, [MODEL, out, *fire, "--schema", folder / "none.json"], ["none.json"]),
            (2, [good, out, "--set", "fire", "--prompt", "x", "--remove", "fire"], ["--remove", "`fire` twice"]),
            (2, [good, out, "--remove", "water"], ["--remove", good.name, "water"]),
            (2, [MODEL, out, "--label-temperature", "0"], ["--label-temperature", "found 0"]),
            (2, [MODEL, out, "--label-temperature", "nan"], ["--label-temperature", "nan"]),
            (2, [MODEL, out, "--label-temperature", "1e-50"], ["--label-temperature"]),
            (1, [MMPROJ, out, *fire], [MMPROJ.name, "clip"]),
            (1, [HEAD, out, *fire], [HEAD.name, "action model"]),
            (1, [bad_utf8, out, *fire], [str(bad_utf8)]),
            (1, [MODEL, folder, *fire], [str(folder), "a folder"])):
        found, text, error = tern("tasks", *args)
        point(found == code and not text and error.startswith("tern: ") and error.count("\n") == 1
              and all(word in error for word in words) and not out.exists(),
              "refused: " + " ".join(os.path.basename(a) for a in map(str, args)), found, error)


def check_place(folder):
    """A file that is replaced keeps its mode, and a link to it stays one."""
    fire = ["--set", "fire", "--prompt", "Fire?"]
    store, names = folder / "store", folder / "names"
    store.mkdir(), names.mkdir()
    real, first, second, new = store / "real.gguf", names / "first.gguf", store / "second.gguf", names / "new.gguf"
    shutil.copyfile(MODEL, real)
    second.symlink_to("real.gguf")
    first.symlink_to("../store/second.gguf")
    new.symlink_to("../store/later.gguf")
    for mode in (0o600, 0o640, 0o444):
        real.chmod(mode)
        done = tern("tasks", MODEL, first, *fire, "--label-temperature", mode)
        point(done[0] == 0 and stat.S_IMODE(real.stat().st_mode) == mode and first.is_symlink() and second.is_symlink()
              and listed(real)["label_temperature"] == mode, f"replaced through two links, mode {mode:o} as it was", done,
              oct(real.stat().st_mode), *names.iterdir())
    done = tern("tasks", first, first, "--remove", "fire")
    point(done[0] == 0 and first.is_symlink() and listed(real)["tasks"] == [], "a link in its own place", done)
    done = tern("tasks", MODEL, new, *fire)
    point(done[0] == 0 and new.is_symlink() and listed(store / "later.gguf")["tasks"][0]["name"] == "fire",
          "a link to a file that is not there yet", done)
    old = os.umask(0o027)
    done = tern("tasks", MODEL, store / "fresh.gguf", *fire)
    os.umask(old)
    point(done[0] == 0 and stat.S_IMODE((store / "fresh.gguf").stat().st_mode) == 0o640, "a new one goes by the umask", done)
    done = tern("quantize", PLAIN, first, "--type", "Q8_0", "--threads", "1")
    point(done[0] == 0 and first.is_symlink() and stat.S_IMODE(real.stat().st_mode) == 0o444, "tern quantize likewise", done)
    around = folder / "around.gguf"
    around.symlink_to("around.gguf")
    done = tern("tasks", MODEL, around, *fire)
    point(done[0] == 0 and listed(around)["tasks"], "a link to itself is a file then", done)
    point(sorted(p.name for p in (*store.iterdir(), *names.iterdir())) == [
        "first.gguf", "fresh.gguf", "later.gguf", "new.gguf", "real.gguf", "second.gguf"], "nothing else is left", *store.iterdir())


def check_damaged(folder):
    path = folder / "damaged.gguf"
    tern("tasks", MODEL, path, "--set", "fire", "--prompt", "x", "--labels", "yes,no!")
    path.write_bytes(path.read_bytes().replace(b"no!", b"n\xff!"))
    for name, found in (("tasks", tern("tasks", path)), ("caption", tern("caption", "--model", path, "--mmproj", MMPROJ, path))):
        point(found[0] == 1 and not found[1] and path.name in found[2] and "tern.task.fire.labels" in found[2],
              f"a damaged task, tern {name}", found)
    found = tern("inspect", path)
    point(found[0] == 1 and "tern.task.fire.labels" in found[1] and "expected UTF-8" in found[2], "... tern inspect", found)
    done = tern("tasks", path, path, "--remove", "fire")
    point(done[0] == 0 and tern("tasks", path)[0] == 0, "... can be removed", done)


def main():
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        good = check_changes(folder)
        check_quantize(folder)
        check_refused(folder, good)
        check_place(folder)
        check_damaged(folder)
        point(not list(folder.glob("*.tmp")), "nothing unfinished is left", *folder.iterdir())
    plan()


main()
