# SPDX-License-Identifier: LGPL-2.1-or-later
"""The scripts of pipelines/ that take results further, with what real runs bring: bursts, lines that are cut off, links that
are away, readers who have seen enough. Those who would receive are stand-ins (fakes/)."""
import json
import os
import pathlib
import re
import signal
import subprocess
import sys

from tap import patience, point, until

FAKES = pathlib.Path(__file__).resolve().parent / "fakes"
CUT = b'{"kind":"caption","start":4,"end":8,"result":"a caf\xc3'


def result(text, start=0, **more):
    return {"kind": "caption", "start": start, "end": start + 4, "result": text, **more}


def lines_of(*results):
    return b"".join(json.dumps(r).encode() + b"\n" for r in results)


def feed(script, data, *args, **env):
    """(status, standard output, standard error)"""
    run = subprocess.run([sys.executable, str(script), *args], input=data, capture_output=True, timeout=patience(100),
                         env={**os.environ, "PYTHONPATH": str(FAKES), "PYTHONDONTWRITEBYTECODE": "1", "LC_ALL": "C.UTF-8", **env})
    return run.returncode, run.stdout.decode(), run.stderr.decode()


def ros2(pipelines, work):
    """What is said before somebody listens is not lost while it may be waited, and never silently."""
    script, taken = pipelines / "ros2.py", work / "taken"

    def publish(data, *args, **env):
        taken.write_text("")
        found = feed(script, data, *args, FAKE_DDS_TAKEN=str(taken), **env)
        return (*found, taken.read_text())

    burst = lines_of(*(result(f"frame {i}", i) for i in range(40)))
    code, _, error, got = publish(burst, FAKE_DDS_FOUND=".5", FAKE_DDS_EACH=".01")
    point(code == 0 and got.encode() == burst and error == "ros2.py: 40 messages on /tern/caption\n",
          "ros2.py: a burst before discovery arrives whole and in its order", code, error, got)
    long = lines_of(*(result(f"frame {i}", i) for i in range(300)))
    code, _, error, got = publish(long, FAKE_DDS_EACH=".002")
    point(code == 0 and got.encode() == long, "ros2.py: one that is longer than what may wait, too", code, error, len(got))
    code, _, error, got = publish(burst, "--wait", "0.3", FAKE_DDS_FOUND="never")
    point(code == 1 and not got and "nobody listens on /tern/caption after 0.3 s" in error and error.count("nobody listens on") == 1
          and "40 messages on /tern/caption, 40 of them when nobody listened" in error,
          "ros2.py: nobody there is said, and how many", code, error)
    code, _, error, got = publish(lines_of(result("one")), FAKE_DDS_EACH="1000")
    point(code == 1 and not got and "the last ones not taken within 5 s" in error, "ros2.py: what was not taken is said",
          code, error)
    code, _, error, got = publish(burst[:burst.index(b"\n") + 1] + CUT)
    point(code == 0 and got.encode() == burst[:burst.index(b"\n") + 1] and "expected a result as JSON" in error,
          "ros2.py: a line that is cut off within a character", code, error, got)
    for args in (["--topic", "caption"], ["--wait", "-1"], ["--wait", "nan"], ["--listen", "0"]):
        code, _, error = feed(script, b"", *args)
        point(code == 2 and args[0] in error, "ros2.py: usage: " + " ".join(args), code, error)


def mavlink(pipelines, work):
    script, sent = pipelines / "mavlink.py", work / "sent"

    def say(data, *args, **env):
        sent.write_text("")
        found = feed(script, data, *args, FAKE_MAVLINK_SENT=str(sent), **env)
        return (*found, [(s, bytes.fromhex(t), n, c) for s, t, n, c in map(json.loads, sent.read_text().splitlines())])

    def joined(parts):
        return b"".join(text for _, text, _, _ in parts)

    long = "€" * 107                        # 321 bytes, of which no 50 end with a character: two blanks fill a chunk
    code, _, error, got = say(lines_of(result("short"), result("short"), result(long), result("bad", kind="error")))
    chunked = got[1:-1]
    point(code == 0 and not error and got[0] == (6, b"short", 0, 0) and got[-1] == (4, b"bad", 0, 0)
          and [c for *_, c in chunked] == list(range(7)) and len({n for _, _, n, _ in chunked}) == 1 and chunked[0][2] > 0
          and joined(chunked).decode().replace(" ", "") == long and len(chunked[-1][1]) < 50,
          "mavlink.py: texts in chunks, each once", code, error, got)
    code, _, error, got = say(lines_of(result("x" * 49), result("y" * 50)))
    point([len(t) for _, t, _, _ in got] == [49, 50, 0] and got[0][2] == 0, "mavlink.py: 50 bytes have an end behind them", got)
    code, _, error, got = say(lines_of(result("word " * 4000), result("next")))
    point(code == 0 and not error and len(got) == 257 and [c for *_, c in got[:-1]] == list(range(256)) and len(got[255][1]) < 50
          and joined(got[:255]) == (b"word " * 4000)[:255 * 50] and got[256][1] == b"next",
          "mavlink.py: a text of more chunks than can be counted is cut", code, error, len(got))
    code, _, error, got = say(lines_of(result("away with it"), result("here")), FAKE_MAVLINK_AWAY="away")
    point(code == 0 and [t for _, t, _, _ in got] == [b"here"] and "not sent: nobody there" in error,
          "mavlink.py: a link that is away is said, and tried again", code, error, got)
    answers = [result("no", kind="answer"), result("yes", 4, kind="answer", abstained=True), result("a dog"),
               result("yes", 8, kind="answer"), {"kind": "action", "result": "", "actions": [1]}, [1], {"result": 5}]
    code, _, error, got = say(lines_of(*answers) + CUT, "--answers")
    point(code == 0 and [t for _, t, _, _ in got] == [b"no", b"yes"] and error.count("expected a result as JSON") == 2,
          "mavlink.py: --answers, and lines that are none", code, error, got)
    code, _, error, got = say(lines_of(result("yes", kind="answer", abstained=True), result("yes", kind="answer")))
    point([t for _, t, _, _ in got] == [b"yes (not sure)", b"yes"], "mavlink.py: what abstains is not said as if it were sure", got)
    for code, args in ((1, ["nonsense"]), (2, ["udpout:127.0.0.1:14550", "--system", "300"])):
        found, _, error = feed(script, b"", *args)
        point(found == code and "Traceback" not in error and args[-1] in error, "mavlink.py: " + " ".join(args), found, error)


def captions(pipelines):
    script = pipelines / "print-captions.py"
    code, out, error = feed(script, lines_of(result("a dog"), result("yes", 4, abstained=True), result("two\nlines", 3600)))
    point(code == 0 and not error and out == "[00:00:00.0-00:00:04.0] a dog\n[00:00:04.0-00:00:08.0] yes (not sure)\n"
          "[01:00:00.0-01:00:04.0] two lines\n", "print-captions.py: captions, and answers that abstain", code, out, error)
    code, out, error = feed(script, lines_of(result("a dog")) + CUT)
    point(code == 1 and out.startswith("[00:00:00.0-00:00:04.0] a dog\n") and error.count("\n") == 1
          and "expected a result" in error, "print-captions.py: a line that is cut off", code, out, error)
    for bad in ("[1]", '{"kind":"caption","start":0,"result":"x"}', '{"kind":"caption","start":"a","end":1,"result":"x"}',
                '{"kind":"caption","start":NaN,"end":1,"result":"x"}',
                '{"kind":"action","start":0,"end":1,"actions":[],"action_steps":0}'):
        code, out, error = feed(script, bad.encode() + b"\n" + lines_of(result("a dog")))
        point(code == 1 and out == "[00:00:00.0-00:00:04.0] a dog\n" and "Traceback" not in error,
              "print-captions.py: " + bad, code, out, error)
    act = result("", kind="action", actions=[1, 2, 3, 4, 5, 6], action_steps=2, action_rate=7.5, action_space="arm",
                 action_names=["x", "y", "z"])
    code, out, error = feed(script, lines_of(act, result("not yet", kind="partial")))
    point(code == 0 and out == "[00:00:00.0-00:00:04.0] 2 steps, 7.5 a second, first: x 1.000, y 2.000, z 3.000\n",
          "print-captions.py: actions", code, out, error)
    events = [result("a dog"), result("passes", kind="answer"), result("a cat", 4),
              result("sits", 4, kind="answer", abstained=True), result("a cow", 8), result("a pig", 12),
              result("eats", 12, kind="answer")]
    code, out, error = feed(script, lines_of(*events), "--events")
    point(code == 0 and [line[24:] for line in out.splitlines()] == ["a dog (passes)", "a cat", "a cow", "a pig (eats)"],
          "print-captions.py: --events, one without an answer", code, out, error)
    code, out, error = feed(script, lines_of(result("not good", kind="error")))
    point(code == 1 and not out and "not good" in error, "print-captions.py: an error alone", code, out, error)


def alerts(pipelines, work):
    """A gst-launch-1.0 that says lines and fails: neither does ALERT eat them, nor is the failure lost."""
    folder = work / "launch"
    folder.mkdir()
    *said, unsure = [json.dumps(result(answer, 4 * i, kind="answer", **more), separators=(",", ":"))
                     for i, (answer, more) in enumerate((("yes", {}), ("no", {}), ("yes", {}), ("yes", {"abstained": True})))]
    (folder / "lines").write_text("\n".join([*said, unsure]) + "\n")
    launch = folder / "gst-launch-1.0"
    launch.write_text('#!/bin/sh\ncat "${0%/*}/lines"\nexit ${LAUNCH_STATUS:-0}\n')
    launch.chmod(0o755)
    for status, command in ((0, "cat; echo ALERT"), (3, "cat >&2; echo ALERT"), (1, "exit 9; echo ALERT")):
        run = subprocess.run(["sh", str(pipelines / "alert.sh"), "/dev/null"], input="typed\n", capture_output=True, text=True,
                             timeout=patience(100), env={**os.environ, "PATH": f"{folder}:{os.environ['PATH']}", "ALERT": command,
                                                         "LAUNCH_STATUS": str(status)})
        lines = [line for line in run.stdout.splitlines() if line.startswith("{")]
        alerted = [line[6:] for line in run.stdout.splitlines() if line.startswith("ALERT")]
        expected = [] if "exit" in command else [said[0], said[2]]
        point(run.returncode == status and lines == [*said, unsure] and alerted == expected and "typed" not in run.stdout,
              f"alert.sh: ALERT={command!r}, gst-launch-1.0 ends with {status}", run.returncode, run.stdout, run.stderr)


def readers(pipelines, work, env, python):
    """results.py and robot.py, whose reader goes away, or who are told to stop: the pipeline ends in NULL either way."""
    source = "videotestsrc is-live=true ! video/x-raw,width=64,height=64,framerate=20/1"
    whole = f"{source} ! terncaption window=1000000000 frame-rate=8/1 ! fakesink"
    for name, arguments in (("results.py", [whole]), ("robot.py", [source])):
        for how in ("goes away", "Ctrl-C"):
            log = work / "states.log"
            process = subprocess.Popen([python, str(pipelines / name), *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                       env={**env, "GST_DEBUG": "GST_STATES:4", "GST_DEBUG_FILE": str(log),
                                            "GST_DEBUG_NO_COLOR": "1"})
            first = process.stdout.readline()
            if how == "Ctrl-C":
                process.send_signal(signal.SIGINT)
            else:
                process.stdout.close()
            try:
                until(lambda: process.poll() is not None, name, 60)
            except TimeoutError:
                process.kill()
            error = process.stderr.read().decode()
            process.stderr.close()
            process.wait()
            ended = re.search(r"<pipeline0> completed state change to NULL", log.read_text())
            point(first.startswith(b"[") and process.returncode == (130 if how == "Ctrl-C" else 0) and "Traceback" not in error
                  and "BrokenPipe" not in error and ended, f"{name}: {how}: the pipeline ends", first, process.returncode, error)
    code, out, error = subprocess_of([python, str(pipelines / "results.py"), "videotestsrc", "num-buffers=9", "!",
                                      "video/x-raw,width=64,height=64,framerate=2/1", "!", "terncaption", "prompt=two words", "!",
                                      "fakesink"], env)
    point(code == 0 and "two words" in out, "results.py: an argument with a blank is one word", code, out, error)
    code, out, error = subprocess_of([python, "-c", "import sys; sys.dont_write_bytecode = True; import robot\n"
                                      "for kind, more in ('answer', {}), ('answer', {'abstained': True}), ('error', {}):\n"
                                      "    robot.say({'kind': kind, 'start': 0, 'end': 2, 'result': kind + str(more), **more})"],
                                     {**env, "PYTHONPATH": str(pipelines)})
    point(code == 0 and out == "[0.0-2.0] answer{}\n" and error.strip().endswith("robot.py: error{}"),
          "robot.py: neither an answer that abstained nor an error is an answer", code, out, error)
    labels = "videotestsrc num-buffers=9 ! video/x-raw,width=64,height=64,framerate=2/1 ! terncaption labels=<yes,no> ! fakesink"
    code, out, error = subprocess_of([python, str(pipelines / "results.py"), labels], env)
    point(code == 0 and not error and re.search(r"answer: (yes|no) 0\.\d\d, (yes|no) 0\.\d\d$", out.splitlines()[0]),
          "results.py: labels and their probabilities, and no warning", code, out, error)
    code, out, error = subprocess_of([python, str(pipelines / "results.py"), "--help"], env)
    point(code == 0 and "usage: results.py" in out, "results.py --help", code, out, error)
    code, out, error = subprocess_of([python, str(pipelines / "results.py"), "nosuchelement ! fakesink"], env)
    point(code == 1 and not out and "nosuchelement" in error and "Traceback" not in error,
          "results.py: a pipeline that is none", error)


def subprocess_of(command, env):
    run = subprocess.run(command, capture_output=True, timeout=patience(100), env=env)
    return run.returncode, run.stdout.decode(), run.stderr.decode()


def prompts(pipelines, work, env, clip):
    """What is asked comes through as it is, and no film's captions take another one's place."""
    def asked(path):
        return {json.loads(line)["prompt"] for line in path.read_text().splitlines()} if path.exists() else None

    folder, said = work / "asked", 'Is "this"\na \\ back!slash, what\'s more? '
    (folder / "other").mkdir(parents=True)
    for path in (folder / "-a film.mp4", folder / "other/-a film.mkv"):
        path.symlink_to(clip)
    run = subprocess.run(["sh", str(pipelines / "file-to-srt-jsonl.sh"), "-a film.mp4"], cwd=folder, env={**env, "PROMPT": said},
                         capture_output=True, timeout=patience(100))
    point(run.returncode == 0 and asked(folder / "-a film.jsonl") == {said},
          "file-to-srt-jsonl.sh: quotes, lines and backslashes in PROMPT", run.stderr.decode(), *folder.iterdir())
    out = folder / "out"
    out.mkdir()
    def batch(*films):
        return subprocess.run(["sh", str(pipelines / "batch.sh"), str(out), *films], cwd=folder,
                              env={**env, "PROMPT": said, "WINDOW": "3"}, capture_output=True, timeout=patience(100))

    run = batch("-a film.mp4", "other/-a film.mkv", "none.mp4")
    point(run.returncode == 2 and b"-a film.mp4 and other/-a film.mkv" in run.stderr and not [*out.iterdir()],
          "batch.sh: two films of one name", run.stdout, run.stderr)
    run = batch("-a film.mp4", "none.mp4")
    point(run.returncode == 1 and run.stdout == b"-a film.mp4\n"
          and b"none.mp4: no captions" in run.stderr and asked(out / "-a film.jsonl") == {said}
          and {p.name for p in out.iterdir()} == {f"-a film.{end}" for end in ("vtt", "srt", "jsonl")},
          "batch.sh: what is asked, and what fails", run.stdout, run.stderr)
    spans = [(r["start"], r["end"]) for r in map(json.loads, (out / "-a film.jsonl").read_text().splitlines())]
    point(spans[:2] == [(0, 3), (3, 6)], "batch.sh: windows are as long as WINDOW says", spans)


def packets(pipelines, work):
    """read-klv.py, whose reader has seen enough."""
    value = b"\x06\x01x" * 20000
    length = b"\x83" + (len(value) + 4).to_bytes(3, "big")
    packet = bytes.fromhex("060e2b34020b01010f5445524e010100") + length + value + b"\x01\x02"
    total = sum(byte << 8 if i % 2 == 0 else byte for i, byte in enumerate(packet)) & 0xffff
    file = work / "many.klv"
    file.write_bytes((packet + total.to_bytes(2, "big")) * 20)
    run = subprocess.run(["sh", "-c", f"{sys.executable} {pipelines / 'read-klv.py'} {file} | head -1"], capture_output=True,
                         timeout=patience(100))
    point(run.stdout == b'{"result": "x"}\n' and not run.stderr, "read-klv.py: a reader who goes", run.stdout, run.stderr)


def check(root, work, env, python):
    """@python: with GStreamer's bindings, or None."""
    pipelines = root / "pipelines"
    ros2(pipelines, work)
    mavlink(pipelines, work)
    captions(pipelines)
    alerts(pipelines, work)
    prompts(pipelines, work, env, root / "pipelines/data/people.mp4")
    packets(pipelines, work)
    if python:
        readers(pipelines, work, env, python)
    else:
        point(False, "results.py and robot.py: a reader who goes", skip="no python3-gst-1.0")
