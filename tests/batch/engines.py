# SPDX-License-Identifier: LGPL-2.1-or-later
"""The scripts of pipelines/batch with the engines that they are for, where those are installed: GNU parallel, Slurm (Debian's
slurm-wlm and munge, as root: a controller and a node of two CPUs on this machine), Ray Data (a Python with ray[data], named in
TERN_RAY_PYTHON). In each something is killed in the middle; the union of what was written is what one process writes, line by
line after sorting. Prints TAP.

usage: engines.py TERN DATA_FOLDER              (the folder with lfm2/ and lfm2vl/)
"""
import json
import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile

sys.dont_write_bytecode = True
ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "tests"))
import ports  # noqa: E402
from tap import patience, plan, point, until  # noqa: E402

TERN, DATA = os.path.abspath(sys.argv[1]), pathlib.Path(sys.argv[2]).resolve()
OPTIONS = ["--model", str(DATA / "lfm2/lfm2-tq2_0.gguf"), "--mmproj", str(DATA / "lfm2vl/mmproj-ship-q8_0.gguf"),
           "--max-tokens", "3"]
PHOTOGRAPHS = 160
SLURM = """ClusterName=tern
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={port}
SlurmdPort={node_port}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CryptoType=crypto/munge
ProctrackType=proctrack/pgid
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SchedulerParameters=batch_sched_delay=0,sched_interval=1,sched_min_interval=0
MpiDefault=none
JobRequeue=1
MinJobAge=60
ReturnToService=2
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
NodeName={host} NodeAddr=127.0.0.1 CPUs=2 RealMemory=512 State=UNKNOWN
PartitionName=all Nodes={host} Default=YES MaxTime=INFINITE State=UP
"""


def photographs(folder):
    """And what else is in a folder: names of all kinds, files that are no pictures, a tar file, a pipe, a folder that is hidden."""
    (folder / ".hidden").mkdir(parents=True)
    names = [b"not \xff utf-8.ppm", b"two\nlines.ppm", b".hidden/x.ppm"] + [b"%04d.ppm" % i for i in range(PHOTOGRAPHS - 2)]
    for i, name in enumerate(names):
        rng = random.Random(i)
        (folder / os.fsdecode(name)).write_bytes(b"P6\n48 48\n255\n" + bytes(rng.randrange(256) for _ in range(12)) * 576)
    (folder / "readme.md").write_text("words")
    with tarfile.open(folder / "some.tar", "w") as tar:
        tar.add(folder / "0000.ppm", "0000.ppm")
    os.mkfifo(folder / "pipe")
    return folder


def rows(paths):
    return sorted((os.path.basename(r["source"]), r["result"]) for path in paths
                  for r in map(json.loads, path.read_text().splitlines()))


def lines_of(folder):
    return list(folder.glob("lines-*.jsonl")) if folder.exists() else []


def written(folder):
    return sum(p.stat().st_size for p in lines_of(folder))


def kill_one(folder):
    """kill -9 for one `tern caption` that writes into @folder."""
    for entry in pathlib.Path("/proc").iterdir():
        try:
            words = (entry / "cmdline").read_bytes().split(b"\0") if entry.name.isdigit() else []
        except OSError:
            continue
        if len(words) > 2 and words[1] == b"caption" and any(os.fsencode(folder) in w for w in words):
            os.kill(int(entry.name), signal.SIGKILL)
            return True
    return False


def check_parallel(folder, photos, expected):
    if not shutil.which("parallel"):
        point(True, "GNU parallel", skip="not installed (Debian: parallel)")
        return
    out = folder / "parallel"
    command = [str(ROOT / "pipelines/batch/parallel.sh"), str(out), "4", str(photos)]
    environment = dict(os.environ, TERN=TERN, TERN_OPTIONS=" ".join(OPTIONS + ["--threads", "1"]), JOBS="2")
    first = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE)
    until(lambda: written(out) > 0, "the first line", process=first)
    killed = kill_one(out)
    first.communicate()
    second = subprocess.run(command, env=environment, stderr=subprocess.PIPE, check=False)
    point(killed and second.returncode == 0 and rows(lines_of(out)) == expected,
          "GNU parallel, a part killed, the same command again: complete, nothing twice", first.returncode, second)


class Slurm:
    def __init__(self, folder):
        self.folder, self.running, self.host = folder, [], os.uname().nodename.split(".")[0]
        (folder / "state").mkdir()
        (folder / "spool").mkdir()
        (folder / "slurm.conf").write_text(SLURM.format(host=self.host, folder=folder, port=ports.port(), node_port=ports.port()))
        (folder / "cgroup.conf").write_text("")
        (folder / "munge.key").write_bytes(random.Random(1).randbytes(128))
        (folder / "munge.key").chmod(0o400)
        self.environment = dict(os.environ, SLURM_CONF=str(folder / "slurm.conf"))

    def start(self, *command):
        self.running.append(subprocess.Popen(command, env=self.environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
        return self.running[-1]

    def begin(self):
        f = self.folder
        self.start("munged", "--foreground", "--force", f"--key-file={f}/munge.key", f"--socket={f}/munge.socket",
                   f"--pid-file={f}/munge.pid", f"--log-file={f}/munge.log", f"--seed-file={f}/munge.seed")
        until(lambda: (f / "munge.socket").exists(), "munged")
        self.start("slurmctld", "-D", "-c")
        self.node = self.start("slurmd", "-D", "-N", self.host)
        until(lambda: "idle" in self.ask("sinfo", "-h", "-o", "%T"), "the node")

    def ask(self, *command):
        return subprocess.run(command, env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
                              check=False).stdout

    def end(self):
        for process in reversed(self.running):
            process.kill()
            process.wait()


def check_slurm(folder, photos, expected):
    missing = [p for p in ("slurmctld", "slurmd", "sbatch", "munged") if not shutil.which(p)]
    if missing or os.geteuid() != 0:
        point(True, "Slurm", skip="not installed (Debian: slurm-wlm, munge)" if missing else "its daemons run as root here")
        return
    base, out = folder / "slurm", folder / "array"
    base.mkdir(mode=0o755)
    slurm = Slurm(base)
    slurm.environment.update(TERN=TERN, TERN_OPTIONS=" ".join(OPTIONS))
    try:
        slurm.begin()
        job = slurm.ask("sbatch", "--parsable", "--array=0-7", "--cpus-per-task=1", f"--output={base}/%a.out", "--export=ALL",
                        str(ROOT / "pipelines/batch/slurm.sh"), str(out), str(photos)).strip()
        until(lambda: written(out) > 0, "the first line of the array")
        killed = kill_one(out)
        slurm.node.kill()       # and the node's daemon: what runs goes on, what waits waits
        slurm.node.wait()
        slurm.node = slurm.start("slurmd", "-D", "-N", slurm.host)
        until(lambda: not slurm.ask("squeue", "-h", "-j", job), "the array")
        # A worker that was killed has failed: its part is asked for again, as its user would.
        again = slurm.ask("sbatch", "--parsable", "--array=0-7", "--cpus-per-task=1", f"--output={base}/%a.out", "--export=ALL",
                          str(ROOT / "pipelines/batch/slurm.sh"), str(out), str(photos)).strip()
        until(lambda: not slurm.ask("squeue", "-h", "-j", again), "the second array")
        point(bool(job) and killed and rows(lines_of(out)) == expected and len(lines_of(out)) == 8,
              "a Slurm array of eight, a worker and the node's daemon killed: complete, nothing twice", job, killed,
              len(rows(lines_of(out))), *(p.read_text() for p in base.glob("*.out")))
    except TimeoutError as error:
        point(False, "Slurm", error, *(p.read_text()[-2000:] for p in base.glob("*.log")))
    finally:
        slurm.end()


def check_ray(folder, photos, expected):
    python = os.environ.get("TERN_RAY_PYTHON")
    if not python:
        point(True, "Ray Data", skip="TERN_RAY_PYTHON names no Python with ray[data]")
        return
    out, data = folder / "parquet", folder / "data of ray"
    data.symlink_to(DATA)
    options = [word.replace(str(DATA), str(data)) for word in OPTIONS]      # what the program that is killed is known by
    process = subprocess.Popen([python, str(ROOT / "pipelines/batch/ray_data.py"), str(out), str(photos), "--actors", "2",
                                "--batch", "16",
                                "--tern", TERN, "--", *options, "--threads", "1"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                               env=dict(os.environ, RAY_worker_niceness="0"))     # else its workers starve beside other tests
    killed = False

    def kill_a_worker():
        nonlocal killed
        killed = killed or kill_one(data)
        return killed

    until(kill_a_worker, "an actor's tern", process=process)
    said = process.communicate(timeout=patience(240))[0].decode(errors="replace")
    read = subprocess.run([python, "-c", "import sys, json, pyarrow.dataset as d; [print(json.dumps(r)) for r in "
                           "d.dataset(sys.argv[1], format='parquet').to_table().to_pylist()]", str(out)],
                           stdout=subprocess.PIPE, check=False)
    got = sorted((os.path.basename(r["source"]), r["text"]) for r in map(json.loads, read.stdout.decode().splitlines()))
    point(killed and process.returncode == 0 and got == expected, "Ray Data with two actors, a worker killed: as one process",
          killed, process.returncode, len(got), said[-3000:])


def main():
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        photos = photographs(folder / "photos")
        one = subprocess.run([TERN, "caption", *OPTIONS, "--threads", "1", "--output", str(folder / "one.jsonl"),
                              str(photos)], check=True)
        expected = rows([folder / "one.jsonl"])
        point(one.returncode == 0 and len(expected) == PHOTOGRAPHS, "one process")
        check_parallel(folder, photos, expected)
        check_slurm(folder, photos, expected)
        check_ray(folder, photos, expected)
    plan()


main()
