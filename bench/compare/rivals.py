# SPDX-License-Identifier: LGPL-2.1-or-later
"""Rivals of Tern: put into a folder outside of the repository, and run beside it.

A rival is a process that stays, loaded, and waits on its standard input; ask() has it do one piece of work and returns
the milliseconds which it took.
"""
import contextlib
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tarfile

import i2s

HERE = pathlib.Path(__file__).resolve().parent
NODE_LLAMA_CPP = "3.22.1"
MACHINES = {"x86_64": "x64", "aarch64": "arm64", "armv7l": "armv7l", "riscv64": "riscv64"}
GRAPHS = ("models/siglip", "models/qwen2vl", "models/qwen3vl")    # of clip.cpp's, that are compiled
SERVER = ("task", "queue", "chat", "schema", "common", "stream", "context", "tools", "mcp", "http", "models", None)
# As its own build files have them for the library that is linked: what it takes is laid out by them.
SERVER_FLAGS = ("-DLLAMA_SUBPROCESS", "-DCPPHTTPLIB_FORM_URL_ENCODED_PAYLOAD_MAX_LENGTH=1048576", "-DCPPHTTPLIB_LISTEN_BACKLOG=512",
                "-DCPPHTTPLIB_REQUEST_URI_MAX_LENGTH=32768", "-DCPPHTTPLIB_TCP_NODELAY=1")
NO_PAGES = """#pragma once
#include <array>
#include <string>
struct llama_ui_asset { std::string name; const unsigned char *data; std::size_t size; std::string etag, type; };
inline const llama_ui_asset *llama_ui_find_asset(const std::string &) { return nullptr; }
inline bool llama_ui_use_gzip() { return false; }
inline const std::array<llama_ui_asset, 0> &llama_ui_get_assets() { static const std::array<llama_ui_asset, 0> none{}; return none; }
"""


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
        answer = ""
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.write(" ".join(map(str, words)) + "\n")
            self.process.stdin.flush()
            answer = self.process.stdout.readline()
        if not answer:
            raise Missing(f"{' '.join(self.process.args[:3])} ended with {self.process.wait()}")
        took, _, self.said = answer.rstrip("\n").partition("\t")
        return float(took)

    def close(self):
        with contextlib.suppress(BrokenPipeError):
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


def symbols(which, objects):
    text = subprocess.run(["nm", which, *objects], capture_output=True, text=True, check=True).stdout
    return {line.split()[-1] for line in text.splitlines() if len(line.split()) > 1}


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
        self.build_text()
        self.build_tower()
        self.build_photographs()

    def libraries(self):
        return [next(self.library.glob(f"lib{name}*.so")).name for name in ("llama.", "ggml.", "ggml-base")]

    def link(self, compiler, *what):
        subprocess.run([compiler, *what, f"-L{self.library}", *(f"-l:{library}" for library in self.libraries()),
                        "-Wl,-rpath,$ORIGIN/lib"], check=True)

    def is_new(self, program, *sources):
        return program.exists() and program.stat().st_mtime > max((HERE / source).stat().st_mtime for source in sources)

    def build_text(self):
        program = self.folder / "llamacpp"
        if not self.is_new(program, "llamacpp.c", "tokens.h"):
            self.link("cc", "-O2", f"-I{self.source}/include", f"-I{self.source}/ggml/include", HERE / "llamacpp.c", "-o", program)

    def build_tower(self):
        """clip.cpp knows some forty graphs; those of other families than SigLIP's and Qwen3.5's become null instead of being compiled."""
        mtmd = self.source / "tools/mtmd"
        self.build_vision("tower", "clip", [mtmd / f"{name}.cpp" for name in ("clip", *GRAPHS)])

    def build_photographs(self):
        """mtmd without sound: what its graphs are not asked for, becomes null as well."""
        mtmd = self.source / "tools/mtmd"
        self.build_vision("photographs", "mtmd", [mtmd / f"{name}.cpp" for name in (
            "clip", *GRAPHS, "mtmd", "mtmd-image", "mtmd-audio", "mtmd-helper")] + [
                self.source / "vendor/hash/hash.cpp", self.source / "vendor/hash/sha256/sha256.c"])

    def build_vision(self, name, what, sources):
        if self.is_new(self.folder / name, f"{name}.cpp"):
            return
        say(f"llama.cpp: building {what}")
        self.link_vision(name, [self.compile(name, source) for source in (*sources, HERE / f"{name}.cpp")])

    def compile(self, name, source, *flags):
        """The object of a source, if it is not there: what is llama.cpp's does not change."""
        target = self.folder / f"{name}-{source.stem}.o"
        if source.parent == HERE or not target.exists():
            compiler = ["cc"] if source.suffix == ".c" else ["c++", "-std=c++17"]
            headers = [f"-I{self.source}/{folder}" for folder in ("include", "ggml/include", "tools/mtmd", "vendor", "vendor/hash")]
            part = target.with_suffix(".part")
            subprocess.run([*compiler, "-O2", "-w", "-fno-pie", "-mcmodel=large", *flags, *headers, "-c", source, "-o", part],
                           check=True)
            part.rename(target)
        return target

    def link_vision(self, name, objects, *libraries):
        known, wanted = symbols("--defined-only", objects), symbols("--undefined-only", objects)
        absent = [f"-Wl,--defsym={name}=0" for name in sorted(wanted - known) if "clip" in name or "mtmd" in name]
        self.link("c++", "-no-pie", *objects, *absent, *libraries, "-o", self.folder / name)

    def build_server(self):
        """llama.cpp's server, without its pages, on the library of the package and mtmd as above: some minutes of one core."""
        self.set_up()
        if self.is_new(self.folder / "server", "server.cpp"):
            return
        say("llama.cpp: building its server")
        pages = self.folder / "no-pages"
        pages.mkdir(exist_ok=True)
        (pages / "ui.h").write_text(NO_PAGES)
        folder = self.source / "tools/server"
        headers = [f"-I{where}" for where in (pages, folder, self.source, self.source / "common")]
        sources = [*(folder / (f"server-{name}.cpp" if name else "server.cpp") for name in SERVER), HERE / "server.cpp"]
        objects = [self.compile("server", source, *SERVER_FLAGS, *headers) for source in sources[:-1]]
        main = self.folder / "server-start.o"
        subprocess.run(["c++", "-O2", "-fno-pie", f"-I{self.source}/ggml/include", "-c", sources[-1], "-o", main], check=True)
        mtmd = [path for path in self.folder.glob("photographs-*.o") if path.stem != "photographs-photographs"]
        self.link_vision("server", [*objects, main, *mtmd], f"-L{self.library}", "-l:libllama-common.so")

    def start_server(self, port, model, mmproj, threads, slots, context, image_tokens):
        """The process, which says what it does on its standard error."""
        return subprocess.Popen([*map(str, (
            self.folder / "server", self.backend(), "--model", model, "--mmproj", mmproj, "--image-min-tokens", image_tokens,
            "--host",
            "127.0.0.1", "--port", port, "--threads", threads, "--parallel", slots, "--ctx-size", slots * context,
            "--no-webui", "--offline"))], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

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

    def start_tower(self, mmproj, threads, attention, side=512):
        return Process([self.folder / "tower", self.backend(), mmproj, threads, side, attention])


    def start_photographs(self, model, mmproj, threads, prompt, tokens, image_tokens):
        return Process([self.folder / "photographs", self.backend(), model, mmproj, threads, prompt, tokens, image_tokens])


# ---- llama.cpp's forks for ternary models -----------------------------------------------------------------------------

class Fork:
    """A fork of llama.cpp, out of a source tree of the user's: built there already, or built below @cache."""
    title, flag, below, defines = None, None, ".", ()

    def __init__(self, cache):
        self.cache = pathlib.Path(cache)
        self.folder = self.cache / self.title
        self.program = self.folder / "fork"

    def check(self):
        if not self.program.exists():
            raise Missing(f"{self.title} is not here: run.py setup --{self.flag} DIR, its source tree")

    def set_up(self, tree):
        tree = pathlib.Path(tree).resolve()
        if not (tree / self.below / "include/llama.h").exists():
            raise Missing(f"{self.title}: {tree / self.below} has no include/llama.h: expected its source tree, submodules and all")
        self.folder.mkdir(parents=True, exist_ok=True)
        libraries = self.libraries(tree) or self.libraries(self.build(tree))
        if not libraries:
            raise Missing(f"{self.title}: no libllama.so and libggml.so came of the build in {self.folder / 'build'}")
        folders = dict.fromkeys(library.parent for library in libraries)
        headers = [f"-I{tree / self.below / 'include'}", f"-I{tree / self.below / 'ggml/include'}"]
        subprocess.run(["cc", "-O2", *self.defines, *headers, HERE / "forks.c", "-o", self.program, *libraries,
                        *(f"-Wl,-rpath,{folder}" for folder in folders)], check=True)
        (self.folder / "version").write_text(self.version(tree))

    @staticmethod
    def libraries(tree):
        """libllama.so and libggml.so below the tree, newest build first; nothing if one is not there."""
        found = [max(tree.rglob(f"lib{name}.so"), key=lambda path: path.stat().st_mtime, default=None)
                 for name in ("llama", "ggml")]
        return found if all(found) else []

    def build(self, tree):
        """Its library alone, with its own defaults, for this processor."""
        say(f"{self.title}: building (a quarter of an hour of one core, or more)")
        target = self.folder / "build"
        compilers = [f"-DCMAKE_{language}_COMPILER={name}" for language, name in (("C", "clang"), ("CXX", "clang++"))
                     if self.clang and shutil.which(name)]
        for command in (["cmake", "-S", tree / self.below, "-B", target, "-DCMAKE_BUILD_TYPE=Release", "-DGGML_NATIVE=ON",
                         "-DBUILD_SHARED_LIBS=ON", *compilers], ["cmake", "--build", target, "--target", "llama"]):
            if not shutil.which("cmake"):
                raise Missing(f"{self.title}: cmake is not installed")
            if subprocess.run(command, stdout=subprocess.DEVNULL, check=False).returncode:
                raise Missing(f"{self.title}: {' '.join(map(str, command))} failed")
        return target

    def version(self, tree):
        done = subprocess.run(["git", "-C", tree, "log", "-1", "--format=%h of %cs"], capture_output=True, text=True, check=False)
        return f" {done.stdout.strip()}" if (tree / ".git").exists() else ""

    def name(self):
        self.check()
        return self.title + (self.folder / "version").read_text()

    def start(self, model, threads, context=1024):
        self.check()
        return Process([self.program, model, threads, context])


def ternary_file(cache, source):
    """I2_S of a TQ2_0 file, made once."""
    target = pathlib.Path(cache) / "models" / (source.stem.replace("-TQ2_0", "") + "-I2_S.gguf")
    if not target.exists():
        say(f"making {target.stem}")
        i2s.convert(source, target.with_suffix(".part"))
        target.with_suffix(".part").rename(target)
    return target


class IkLlama(Fork):
    """ik_llama.cpp: IQ2_BN and IQ1_BN, by its own quantiser, repacked as it loads them."""
    title, flag, defines, clang = "ik_llama.cpp", "ik-llama", ("-DIK",), False

    def files(self, source):
        self.check()
        found = {}
        for kind in ("IQ2_BN", "IQ1_BN"):
            found[kind] = target = self.cache / "models" / (source.stem.replace("-TQ2_0", "") + f"-{kind}.gguf")
            if not target.exists():
                say(f"making {target.stem}")
                part = target.with_suffix(".part")
                subprocess.run([self.program, "quantize", ternary_file(self.cache, source), part, kind.lower()], check=True,
                               stdout=subprocess.DEVNULL)
                part.rename(target)
        return found


class BitNet(Fork):
    """bitnet.cpp: I2_S, its type for any shape and processor."""
    title, flag, below, clang = "bitnet.cpp", "bitnet", "3rdparty/llama.cpp", True

    def files(self, source):
        self.check()
        return {"I2_S": ternary_file(self.cache, source)}


# ---- OpenVINO --------------------------------------------------------------------------------------------------------

class OpenVino:
    """OpenVINO in a virtual environment below @cache, and the graphs that are made once."""

    def __init__(self, cache):
        self.folder = pathlib.Path(cache) / "openvino"
        self.python = self.folder / "venv/bin/python"

    def set_up(self):
        if os.uname().machine not in ("x86_64", "aarch64"):
            raise Missing(f"OpenVINO: no package for {os.uname().machine}")
        self.folder.mkdir(parents=True, exist_ok=True)
        if not self.python.exists():
            say("OpenVINO: fetching (some 500 MB)")
            subprocess.run([sys.executable, "-m", "venv", self.folder / "venv"], check=True)
            done = subprocess.run([self.python, "-m", "pip", "install", "--quiet", "openvino", "nncf", "numpy"], check=False)
            if done.returncode:
                shutil.rmtree(self.folder / "venv")
                raise Missing("OpenVINO: pip could not install openvino and nncf")
        if not (self.folder / "tower-int8.xml").exists():
            say("OpenVINO: making and quantising the tower")
            subprocess.run([self.python, HERE / "openvino_side.py", "prepare", self.folder], check=True,
                           stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def name(self):
        done = subprocess.run([self.python, HERE / "openvino_side.py", "version"], capture_output=True, text=True, check=True)
        return f"OpenVINO {done.stdout.strip()}"

    def start(self, *words):
        return Process([self.python, HERE / "openvino_side.py", *words])

    def start_tower(self, kind, threads):
        return self.start("tower", kind, threads, self.folder)

    def start_linears(self, kind, threads):
        return self.start("linears", kind, threads)
