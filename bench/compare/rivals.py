# SPDX-License-Identifier: LGPL-2.1-or-later
"""Rivals of Tern: put into a folder outside of the repository, and run beside it.

A rival is a process that stays, loaded, and waits on its standard input; ask() has it do one piece of work and returns
the milliseconds which it took.
"""
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tarfile

HERE = pathlib.Path(__file__).resolve().parent
NODE_LLAMA_CPP = "3.22.1"
MACHINES = {"x86_64": "x64", "aarch64": "arm64", "armv7l": "armv7l", "riscv64": "riscv64"}


class Missing(Exception):
    """A rival that is not there, with the reason."""


def say(text):
    print(text, file=sys.stderr, flush=True)


def default_cache():
    return pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "tern-compare"


class Process:
    def __init__(self, command, environment=None):
        self.process = subprocess.Popen([*map(str, command)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                        env={**os.environ, **(environment or {})})

    def ask(self, *words):
        self.process.stdin.write(" ".join(map(str, words)) + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        if not answer:
            raise Missing(f"{pathlib.Path(self.process.args[0]).name} ended with {self.process.wait()}")
        return float(answer)

    def close(self):
        self.process.stdin.close()
        self.process.wait()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


# ---- llama.cpp -------------------------------------------------------------------------------------------------------

def npm_pack(name, folder):
    """The package's archive, by npm, from wherever npm is set up to take packages."""
    if not shutil.which("npm"):
        raise Missing("llama.cpp: npm is not installed")
    done = subprocess.run(["npm", "pack", "--silent", f"{name}@{NODE_LLAMA_CPP}"], cwd=folder, capture_output=True, text=True,
                          check=False)
    if done.returncode:
        raise Missing(f"llama.cpp: npm pack {name} failed: {done.stderr.strip()[-200:]}")
    return folder / done.stdout.split()[-1]


def unpack(archive, prefix, folder):
    """The files below a folder of the archive, without their folders' names."""
    folder.mkdir(parents=True, exist_ok=True)
    with tarfile.open(archive) as tar:
        for member in tar:
            if member.isfile() and member.name.startswith(prefix):
                with tar.extractfile(member) as source, open(folder / pathlib.PurePath(member.name).name, "wb") as out:
                    shutil.copyfileobj(source, out)


def checkout(archive, folder):
    """llama.cpp's sources, from the git bundle that node-llama-cpp carries."""
    unpack(archive, "package/llama/gitRelease.bundle", folder)
    source = folder / "source"
    subprocess.run(["git", "clone", "--quiet", folder / "gitRelease.bundle", source], check=True, stderr=subprocess.DEVNULL)


class LlamaCpp:
    """A release of llama.cpp below @cache."""

    def __init__(self, cache):
        self.folder = pathlib.Path(cache) / f"llama.cpp-{NODE_LLAMA_CPP}"
        self.library, self.source = self.folder / "lib", self.folder / "source"

    def set_up(self):
        platform = MACHINES.get(os.uname().machine)
        if not platform:
            raise Missing(f"llama.cpp: no package for {os.uname().machine}")
        self.folder.mkdir(parents=True, exist_ok=True)
        if not (self.library / "done").exists():
            say("llama.cpp: fetching")
            unpack(npm_pack(f"@node-llama-cpp/linux-{platform}", self.folder), f"package/bins/linux-{platform}/", self.library)
            (self.library / "done").touch()
        if not self.source.exists():
            checkout(npm_pack("node-llama-cpp", self.folder), self.folder)
        self.build("llamacpp", "llamacpp.c")

    def libraries(self):
        return [next(self.library.glob(f"lib{name}*.so")).name for name in ("llama.", "ggml.", "ggml-base")]

    def build(self, name, source):
        program = self.folder / name
        if program.exists() and program.stat().st_mtime > (HERE / source).stat().st_mtime:
            return program
        subprocess.run(["cc", "-O2", f"-I{self.source}/include", f"-I{self.source}/ggml/include", HERE / source, "-o", program,
                        f"-L{self.library}", *(f"-l:{library}" for library in self.libraries()),
                        "-Wl,-rpath,$ORIGIN/lib"], check=True)
        return program

    def scores(self):
        """{variant: llama.cpp's own score of it on this processor}, those that do not run left out."""
        found = {}
        for library in sorted(self.library.glob("libggml-cpu*.so")):
            score = int(subprocess.run([self.folder / "llamacpp", "score", library], capture_output=True, text=True,
                                       check=True).stdout)
            if score > 0:
                found[library.stem.removeprefix("libggml-cpu-")] = score
        return found

    def backend(self, variant=None):
        """The library of a variant; None: the one that llama.cpp itself would take. "avx2" is Haswell's."""
        scores = self.scores()
        if not scores:
            raise Missing("llama.cpp: no variant runs on this processor")
        variant = {"avx2": "haswell", None: max(scores, key=scores.get)}.get(variant, variant)
        if variant not in scores:
            raise Missing(f"llama.cpp: variant {variant} does not run here; there are {', '.join(scores)}")
        return self.library / f"libggml-cpu-{variant}.so"

    def name(self, variant=None):
        described = json.loads((self.library / "_nlcBuildMetadata.json").read_text())["buildOptions"]["llamaCpp"]
        return f"llama.cpp {described['release']} ({self.backend(variant).stem.removeprefix('libggml-cpu-')})"

    def start(self, model, threads, context=1024, attention="auto", variant=None):
        return Process([self.folder / "llamacpp", self.backend(variant), model, threads, context, attention])
