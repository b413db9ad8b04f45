# SPDX-License-Identifier: LGPL-2.1-or-later
"""Runs every gst-launch-1.0 command of README.md and the scripts of pipelines/, and looks at what they leave. Prints TAP.

usage: run.py SOURCE_ROOT PLUGIN_FOLDER TEXT_GGUF,MMPROJ_GGUF|fake

Hardware ends are replaced by the table below, and by nothing else. The two files are copied beside each other;
`fake` stands for the engine without a model (tests/elements/fake-tern.c).
"""
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import scripts as taken_further  # noqa: E402
from tap import patience, plan, point, until  # noqa: E402

REPLACEMENTS = [
    (r"v4l2src( device=\S+)?", "filesrc location={clip} ! decodebin"),
    (r"rtspsrc location=\S+ latency=200 add-reference-timestamp-meta=true ! application/x-rtp,media=video ! decodebin",
     "filesrc location={clip} ! decodebin"),
    (r"rtspsrc location=\S+ latency=200 ! rtph264depay", "filesrc location={clip} ! qtdemux"),
    (r"autovideosink", "fakesink"),
    (r"\bin\.mp4\b", "{clip}"),
]
CLIP = "pipelines/data/people.mp4"
KEYS = {"version", "kind", "id", "result", "timestamp", "start", "end", "prompt", "model", "finish_reason", "frames",
        "visual_in", "visual_kept"}
GI_PYTHON = "/usr/bin/python3"

root, plugin, model = pathlib.Path(sys.argv[1]).resolve(), pathlib.Path(sys.argv[2]).resolve(), sys.argv[3]
if model == "fake":
    # It is as sure as the token that it reads is dark or bright.
    REPLACEMENTS.append((r"min-confidence=\S+", "min-confidence=0.5"))
clip = root / CLIP
work = pathlib.Path(tempfile.mkdtemp(prefix="tern-pipelines-"))


def replace_hardware(text):
    for pattern, to in REPLACEMENTS:
        text = re.sub(pattern, to.format(clip=clip), text)
    return text


def environment():
    # What gst-launch-1.0 says of messages is read here, and comes in the user's language.
    env = dict(os.environ, GST_PLUGIN_PATH=str(plugin), GST_REGISTRY=str(work / "registry"), LC_ALL="C.UTF-8")
    env.pop("GST_PLUGIN_PATH_1_0", None)
    folder = work / "model"
    folder.mkdir()
    if model == "fake":
        (folder / "text.gguf").write_text("GGUF, a text model")
        (folder / "mmproj-fake.gguf").write_text("GGUF, an encoder")
    else:
        for file in model.split(","):
            shutil.copy(file, folder)   # the encoder is looked for beside the language model
    texts = [f for f in folder.glob("*.gguf") if not f.name.startswith("mmproj")]
    env["TERN_MODEL_PATH"] = str(texts[0])
    return env


env = environment()


def run(command, folder):
    """(exit status or None, output)"""
    process = subprocess.Popen(command, cwd=folder, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                               errors="replace", start_new_session=True)
    try:
        output = process.communicate(timeout=patience(200))[0]
        return process.returncode, output
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)          # what a shell started, too
        return None, process.communicate()[0] + "\nstalled"


def folder(name):
    path = work / name
    path.mkdir()
    (path / "models").symlink_to(root / "models")      # as in the repository, where README is read
    return path


def check_jsonl(path):
    """An error, or the results."""
    try:
        results = [json.loads(line) for line in path.read_text().splitlines()]
    except (OSError, ValueError) as error:
        return f"{path.name}: {error}", []
    if not results:
        return f"{path.name}: expected results, found none", []
    for i, result in enumerate(results):
        if not KEYS <= result.keys():
            return f"{path.name}: line {i + 1} lacks {sorted(KEYS - result.keys())}", []
        if not result["start"] < result["end"] or (i and result["start"] < results[i - 1]["start"]):
            return f"{path.name}: line {i + 1}: window {result['start']} to {result['end']}", []
    return None, results


def check_srt(path):
    try:
        text = path.read_text()
    except (OSError, ValueError) as error:
        return f"{path.name}: {error}", 0
    cues = re.findall(r"^\d+\n(\d\d:){2}\d\d,\d{3} --> (\d\d:){2}\d\d,\d{3}$", text, re.M)
    return None if cues else f"{path.name}: no cue in it", len(cues)


def check_outputs(name, where):
    """Whatever the command was to write."""
    for path in sorted(where.iterdir()):
        if path.suffix == ".jsonl":
            error, results = check_jsonl(path)
            point(not error, f"{name}: {path.name}", error)
            srt = path.with_suffix(".srt")
            if srt.exists():
                error, cues = check_srt(srt)
                point(not error and cues == len(results), f"{name}: {srt.name}", error or f"{cues} cues, {len(results)} results")
            vtt = path.with_suffix(".vtt")
            if vtt.exists():
                cues = vtt.read_text().count("-->")
                point(cues == len(results), f"{name}: {vtt.name}", f"{cues} cues, {len(results)} results")


def readme():
    blocks = re.findall(r"^```(?:sh|console|bash)?\n(.*?)^```", (root / "README.md").read_text(), re.M | re.S)
    commands = [c.strip() for block in blocks for c in re.findall(r"^gst-launch-1\.0 (?:.*\\\n)*.*$", block, re.M)]
    point(len(commands) >= 4, "README.md has pipelines", f"{len(commands)} found")
    for i, command in enumerate(commands, 1):
        name = f"README {i}"
        if model == "fake" and " task=" in command:
            print(f"# {name}: left out, the engine without a model has no tasks")
            continue
        where = folder(f"readme-{i}")
        # -m: results are seen on the bus even where the pipeline shows them to nobody.
        launch = replace_hardware(command).replace("gst-launch-1.0 ", "gst-launch-1.0 -m ", 1)
        status, output = run(["sh", "-c", launch], where)
        point(status == 0, f"{name}: runs to the end", f"exit status {status}\n{launch}\n{output}")
        results = len(re.findall(r"\(element\): tern-result", output))
        point(results > 0, f"{name}: {results} results", launch)
        check_outputs(name, where)


def script(name, *args, output=True):
    where = folder(name)
    copy = where / name
    copy.write_text(replace_hardware((root / "pipelines" / name).read_text()))
    copy.chmod(0o755)
    interpreter = [GI_PYTHON] if name.endswith(".py") else ["sh"]
    status, text = run([*interpreter, str(copy), *args], where)
    copy.unlink()
    point(status == 0, f"{name}: runs to the end", f"exit status {status}\n{text}")
    check_outputs(name, where)
    return text


def usage(name, expected, *args):
    status, text = run(["sh", str(root / "pipelines" / name), *args], work)
    point(status == expected and name in text, f"{name}: {' '.join(args) or 'no arguments'}",
          f"exit status {status}, expected {expected}\n{text}")


def klv():
    """The pipelines of docs/klv.md, and the packets against the results on the bus."""
    where = folder("klv")
    blocks = re.findall(r"^```sh\n(.*?)^```", (root / "docs/klv.md").read_text(), re.M | re.S)
    launch = replace_hardware(blocks[0].strip()).replace("gst-launch-1.0 ", "gst-launch-1.0 -m ", 1)
    status, output = run(["sh", "-c", launch], where)
    point(status == 0, "klv: into a transport stream", f"exit status {status}\n{launch}\n{output}")
    bus = re.findall(r"tern-result, .*? id=\(guint64\)(\d+).*? timestamp=\(guint64\)(\d+)", output)
    ways = [blocks[1].splitlines()[0].split("#")[0]]
    if shutil.which("ffmpeg"):
        ways.append(blocks[1].splitlines()[1])
    for way in ways:
        name = way.split()[0]
        status, output = run(["sh", "-c", f"rm -f out.klv; {way}"], where)
        point(status == 0, f"klv: {name} out of it", f"exit status {status}\n{way}\n{output}")
        status, output = run([sys.executable, str(root / "pipelines/read-klv.py"), "out.klv"], where)
        packets = [json.loads(line) for line in output.splitlines()] if status == 0 else []
        found = [(str(p["id"]), str(p["start_ns"])) for p in packets]
        point(bus and found == bus and all(p["result"] and p["kind"] == "caption" for p in packets),
              f"klv: {len(found)} packets are the results", f"{bus}\n{output}")
    damaged = bytearray((where / "out.klv").read_bytes())
    damaged[60] ^= 1
    (where / "bad.klv").write_bytes(damaged)
    status, output = run([sys.executable, str(root / "pipelines/read-klv.py"), "bad.klv"], where)
    point(status == 1 and "checksum" in output and len(re.findall(r"^{", output, re.M)) == len(bus) - 1,
          "klv: a damaged packet is said, the others are read", output)


def alert():
    """Yes or no, and what is done then."""
    env["SURE"], env["ALERT"], env["WINDOW"] = "0", "echo ALERT", "3"
    text = script("alert.sh", "/dev/null")
    env.pop("WINDOW")
    answers = [json.loads(line) for line in text.splitlines() if line.startswith("{")]
    point(answers and all(a["kind"] == "answer" and a["result"] in ("yes", "no") for a in answers)
          and all(a["result"] != b["result"] for a, b in zip(answers, answers[1:]))
          and (answers[0]["end"] - answers[0]["start"]) == 3 and text.count("ALERT {") == sum(a["result"] == "yes" for a in answers), "alert.sh: answers that change", text)


def drone():
    """A transport stream whose packets are the lines that were printed."""
    text = script("drone.sh", "rtsp://nowhere/", "out.ts")
    lines = [json.loads(line) for line in text.splitlines() if line.startswith("{")]
    where = next(work.glob("**/out.ts"), None)
    way = "gst-launch-1.0 -q filesrc location=out.ts ! tsdemux ! meta/x-klv ! filesink location=out.klv"
    status, output = run(["sh", "-c", way], where.parent) if where else (1, text)
    point(status == 0, "drone.sh: packets out of what was recorded", output)
    status, output = run([sys.executable, str(root / "pipelines/read-klv.py"), "out.klv"], where.parent) if where else (1, "")
    packets = [json.loads(line) for line in output.splitlines()] if status == 0 else []
    point(lines and [(p["id"], p["result"]) for p in packets] == [(line["id"], line["result"]) for line in lines],
          f"drone.sh: {len(packets)} packets are the lines", f"{lines}\n{output}")


def kept():
    """Results of one name are refused; what a run that fails, or is stopped, was to replace stays, and leaves nothing half done."""
    where = folder("kept")
    odd = 'b/"y\\z" ! it\'s.mp4'
    for name in ("a/x.mp4", "b/x.mp4", odd):
        (where / name).parent.mkdir(exist_ok=True)
        shutil.copy(clip, where / name)
    batch, single = (str(root / "pipelines" / name) for name in ("batch.sh", "file-to-srt-jsonl.sh"))

    def results():
        return {path.name: path.read_text() for path in where.iterdir() if path.is_file()}

    status, output = run(["sh", batch, ".", "a/x.mp4", odd, "b/x.mp4"], where)
    point(status == 2 and "a/x.mp4 and b/x.mp4" in output and not results(), "batch.sh: two videos of one name are refused",
          f"exit status {status}\n{output}", results())
    env["PROMPT"] = '"What"\\ is it! '
    status, output = run(["sh", batch, ".", "a/x.mp4", odd], where)
    before, asked = results(), env.pop("PROMPT")
    stems = "x", pathlib.Path(odd).stem
    point(status == 0 and sorted(before) == sorted(f"{name}.{kind}" for name in stems for kind in ("jsonl", "srt", "vtt"))
          and all(before.values()), "batch.sh: two videos, their results and nothing else, whatever is in a name",
          f"exit status {status}\n{output}", sorted(before))
    prompts = {json.loads(line)["prompt"] for name in stems for line in before.get(f"{name}.jsonl", "").splitlines()}
    point(prompts == {asked}, "batch.sh: nor does it matter what is in a prompt", prompts)
    for name in ("x.mp4", "new.mp4"):
        (where / name).write_bytes(b"no video")
    before = results()
    status, output = run(["sh", batch, ".", "x.mp4", "new.mp4", odd], where)
    after = results()
    point(status == 1 and output.count("no captions") == 2 and sorted(before) == sorted(after)
          and all(before[name] == after[name] for name in before if name.startswith("x.")),
          "batch.sh: what fails keeps what was there, and leaves no empty file", f"exit status {status}\n{output}", sorted(after))
    status, output = run(["sh", single, "x.mp4"], where)
    point(status not in (0, None) and results() == after, "file-to-srt-jsonl.sh: so does it", f"exit status {status}\n{output}",
          sorted(results()))
    # A pipeline that never ends.
    endless = work / "endless/gst-launch-1.0"
    endless.parent.mkdir()
    endless.write_text('#!/bin/sh\nfor word; do word=${word%\\"}\n'
                       'case $word in location=*.part) echo begun >"${word#location=\\"}" ;; esac; done\nexec sleep 100000\n')
    endless.chmod(0o755)
    for command in ([batch, ".", "a/x.mp4"], [single, "a/x.mp4"]):
        process = subprocess.Popen(["sh", *command], cwd=where, env=dict(env, PATH=f"{endless.parent}:{env['PATH']}"),
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
        try:
            until(lambda: (where / "x.jsonl.part").exists(), "results that are begun", 60, process)
            process.terminate()
            status = process.wait(patience(60))
        except (TimeoutError, subprocess.TimeoutExpired) as error:
            os.killpg(process.pid, signal.SIGKILL)
            status = error
        point(status == 143 and results() == after, f"{pathlib.Path(command[0]).name}: stopped, so does it",
              f"exit status {status}", sorted(results()))


def scripts():
    script("camera.sh", "/dev/null")
    script("file-to-srt-jsonl.sh", str(clip))
    script("split.sh", str(clip), "out.jsonl", "random", "0.5")
    env["RETRY"] = "0"
    env["WINDOW"] = "3"
    script("rtsp-camera.sh", "rtsp://nowhere/", "out.jsonl")
    spans = [(r["start"], r["end"]) for r in check_jsonl(work / "rtsp-camera.sh/out.jsonl")[1]]
    point(spans and all(abs(end - start - 3) < 1e-6 for start, end in spans[:-1]), "rtsp-camera.sh: windows of WINDOW", spans)
    env.pop("WINDOW")
    script("batch.sh", ".", str(clip))
    kept()
    if subprocess.run(["gst-inspect-1.0", "--exists", "mpegtsmux"], env=env).returncode:
        point(False, "drone.sh", skip="no mpegtsmux")
    else:
        drone()
    alert()
    has_gi = not subprocess.run([GI_PYTHON, "-c", "import gi; gi.require_version('Gst', '1.0')"],
                                stderr=subprocess.DEVNULL).returncode
    if model == "fake":
        taken_further.check(root, work, env, GI_PYTHON if has_gi else None)
    if not has_gi:
        point(False, "robot.py", skip="no python3-gst-1.0")
    else:
        text = script("robot.py", f"filesrc location={clip} ! decodebin")
        point(re.search(r"^\[\d+\.\d-\d+\.\d\] ", text, re.M), "robot.py: sees a result", text)
        text = script("results.py", f"filesrc location={clip} ! decodebin ! videoconvert ! terncaption ! fakesink")
        point(re.search(r"^\[\d+\.\d\d-\d+\.\d\d\] caption: ", text, re.M), "results.py: sees a result", text)
    usage("camera.sh", 1, "/no/such/device")
    usage("file-to-srt-jsonl.sh", 2)
    usage("file-to-srt-jsonl.sh", 1, "/no/such/file.mp4")
    usage("rtsp-camera.sh", 2)
    usage("rtsp-camera.sh", 2, "/dev/video0")
    usage("batch.sh", 2, ".")
    usage("drone.sh", 2, "rtsp://nowhere/")
    usage("drone.sh", 2, "/dev/video0", "out.ts")
    usage("alert.sh", 1, "/no/such/device")
    usage("batch.sh", 1, ".", "/no/such/file.mp4")
    usage("split.sh", 2, str(clip), "out.jsonl", "best")
    usage("split.sh", 2, str(clip), "out.jsonl", "dycoke", "7")


missing = [p for p in ("gst-launch-1.0", "gst-inspect-1.0") if not shutil.which(p)]
wanted = ["textoverlay", "srtenc", "avdec_h264", "qtdemux"]
if not missing:
    missing = [e for e in wanted if subprocess.run(["gst-inspect-1.0", "--exists", e], env=env).returncode]
if missing or not clip.exists():
    print(f"1..0 # SKIP without {', '.join(missing) or CLIP}")
else:
    readme()
    scripts()
    if subprocess.run(["gst-inspect-1.0", "--exists", "mpegtsmux"], env=env).returncode:
        point(False, "klv", skip="no mpegtsmux")
    else:
        klv()
    plan()
shutil.rmtree(work)
