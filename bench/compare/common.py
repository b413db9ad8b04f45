# SPDX-License-Identifier: LGPL-2.1-or-later
"""What all comparisons share: Tern's side of a round, rounds, medians, the machine."""
import json
import os
import pathlib
import platform
import re
import statistics
import subprocess
import time

import rivals


class Tern:
    """`tern bench` of one build. @memory: what each run of any of them saw memory give, in GB/s."""
    memory = []

    def __init__(self, program, threads, level=None):
        self.program, self.threads, self.level = pathlib.Path(program).resolve(), threads, level
        if not os.access(self.program, os.X_OK):
            raise rivals.Missing(f"{program} is not there: build it, or say --tern")

    def environment(self):
        return {**os.environ, **({"TERN_CPU": self.level} if self.level else {})}

    def bench(self, *options, threads=None):
        command = [self.program, "bench", "--json", "--threads", threads or self.threads, "--repeat", 1, *options]
        done = subprocess.run([*map(str, command)], capture_output=True, text=True, env=self.environment(), check=False)
        if done.returncode:
            raise rivals.Missing(done.stderr.strip())
        found = json.loads(done.stdout)
        self.memory.append(found["bandwidth"]["value"])
        return found

    def keys(self, model):
        done = subprocess.run([self.program, "inspect", "--json", model], capture_output=True, text=True, check=False)
        if done.returncode:
            raise rivals.Missing(done.stderr.strip())
        return json.loads(done.stdout)["keys"]

    def instruction_set(self):
        found = self.bench("--shape", "lfm2-350m", "--prefill", 1, "--decode", 0, "--depth", 0)
        return found["machine"]["instruction_set"]

    def save(self, cache, shape, kind=None):
        """A random model of that shape, made once."""
        folder = pathlib.Path(cache) / "models"
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{shape}-{kind or 'plain'}.gguf"
        if not path.exists():
            part = path.with_suffix(".part")
            self.bench_save(shape, kind, part)
            part.rename(path)
        return path

    def bench_save(self, shape, kind, path):
        rivals.say(f"making {path.stem}")
        subprocess.run([self.program, "bench", "--shape", shape, *(["--type", kind] if kind else []), "--save", path,
                        "--repeat", "0"], check=True)


def interleave(rounds, sides):
    """{name: [value of each round]} of {name: function that gives a value or a dictionary of them}; one round warms up."""
    found = {name: [] for name in sides}
    for i in range(rounds + 1):
        for name, function in sides.items():
            value = function()
            if i or rounds == 0:
                found[name].append(value)
    return found


def middle(values, key=None):
    return statistics.median(v[key] if key else v for v in values)


def processor():
    text = pathlib.Path("/proc/cpuinfo").read_text(encoding="utf8")
    name = re.search(r"^(?:model name|Model)\s*:\s*(.*)$", text, re.M)
    flags = re.search(r"^(?:flags|Features)\s*:\s*(.*)$", text, re.M)
    wanted = ("avx2", "avx_vnni", "avx512_vnni", "avx512vbmi", "avx512_bf16", "amx_tile", "amx_int8", "amx_bf16", "asimddp",
              "i8mm", "bf16", "sve", "sve2")
    found = [f for f in (flags.group(1).split() if flags else []) if f in wanted]
    return f"{name.group(1) if name else platform.machine()}, {os.cpu_count()} cores; {' '.join(found) or 'no known flags'}"


def has_amx():
    return "amx_int8" in pathlib.Path("/proc/cpuinfo").read_text(encoding="utf8")


class Background:
    """Cores that others had while the block ran."""

    def __enter__(self):
        self.start = time.monotonic(), self.busy(), self.own()
        return self

    def __exit__(self, *_):
        seconds = max(time.monotonic() - self.start[0], .01)
        self.cores = max(0, (self.busy() - self.start[1] - self.own() + self.start[2]) / seconds)

    @staticmethod
    def busy():
        user, nice, system, _, _, irq, soft, *_ = map(int, pathlib.Path("/proc/stat").read_text().split("\n")[0].split()[1:])
        return (user + nice + system + irq + soft) / os.sysconf("SC_CLK_TCK")

    @staticmethod
    def own():
        return sum(os.times()[:4])
