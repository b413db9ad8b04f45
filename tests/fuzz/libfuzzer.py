# SPDX-License-Identifier: LGPL-2.1-or-later
"""Builds the fuzz targets with clang's libFuzzer and its sanitizers in a folder of their own, and gives each of them a
number of runs, the same ones every time. Prints TAP; skips where there is no clang with libFuzzer.

usage: libfuzzer.py SOURCE_ROOT BUILD_FOLDER --target NAME RUNS MAX_BYTES SEED_FILE... [--target ...]

To look for more, in the folder that this leaves: BUILD_FOLDER/tests/fuzz/fuzz-NAME -max_len=BYTES CORPUS_FOLDER SEED_FOLDER
"""
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from tap import patience, plan, point  # noqa: E402

PROGRAM = "#include <stdint.h>\n#include <stddef.h>\nint LLVMFuzzerTestOneInput (const uint8_t *d, size_t n) { return 0; }\n"
OPTIONS = ["-Dfuzz=true", "-Db_sanitize=address,undefined", "-Db_lundef=false", "-Dbuildtype=debugoptimized",
           "-Dc_args=-fsanitize=fuzzer-no-link -fno-sanitize-recover=all", "-Dtests=disabled", "-Dgst-plugin=disabled",
           "-Dwatch=disabled", "-Dbundled-model=disabled", "-Dsimd=disabled"]  # the tools, for fuzz-http and fuzz-serve


def links(clang):
    with tempfile.TemporaryDirectory() as folder:
        source = pathlib.Path(folder, "empty.c")
        source.write_text(PROGRAM)
        return subprocess.run([clang, "-fsanitize=fuzzer,address", source, "-o", source.with_suffix("")],
                              capture_output=True).returncode == 0


def find_clang():
    names = [os.environ.get("CLANG"), "clang", *(f"clang-{n}" for n in range(25, 13, -1))]
    return next((name for name in names if name and shutil.which(name) and links(name)), None)


def say(text):
    for line in text.splitlines():
        print("#", line)


def told(command, **options):
    """Runs a step of the build; its words are shown if it fails."""
    run = subprocess.run([str(word) for word in command], text=True, errors="replace", stdout=subprocess.PIPE,
                         stderr=subprocess.STDOUT, **options)
    if run.returncode:
        say("\n".join(run.stdout.splitlines()[-40:]))
        print("Bail out! could not build the targets:", " ".join(map(str, command)))
        sys.exit(1)


def build(clang, source, folder, names):
    env = {key: value for key, value in os.environ.items() if key not in ("CFLAGS", "LDFLAGS")} | {"CC": clang}
    if not (folder / "build.ninja").exists():
        told(["meson", "setup", *OPTIONS, folder, source], env=env)
    told(["ninja", "-j", os.cpu_count() or 1, "-C", folder, *(f"tests/fuzz/fuzz-{name}" for name in names)], env=env)


def fuzz(folder, name, runs, most, seeds):
    env = dict(os.environ, ASAN_OPTIONS="detect_leaks=1", UBSAN_OPTIONS="print_stacktrace=1")
    command = [folder / f"tests/fuzz/fuzz-{name}", f"-runs={runs}", "-seed=1", f"-max_len={most}", f"-timeout={patience(60):.0f}",
               f"-artifact_prefix={folder}/{name}-", "-print_final_stats=1"]
    # A first folder is where libFuzzer keeps what it finds: a fresh one, so that every check sees the same.
    with tempfile.TemporaryDirectory() as corpus:
        for seed in seeds:
            shutil.copy(seed, corpus)
        return subprocess.run([str(word) for word in command + [corpus]], text=True, errors="replace", env=env,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def targets(words):
    found = []
    for word in words:
        if word == "--target":
            found.append([])
        else:
            found[-1].append(word)
    return [(name, runs, most, seeds) for name, runs, most, *seeds in found]


def main():
    source, folder = pathlib.Path(sys.argv[1]).resolve(), pathlib.Path(sys.argv[2]).resolve()
    wanted = targets(sys.argv[3:])
    clang = find_clang()
    if not clang:
        print("1..0 # SKIP no clang with libFuzzer (Debian: clang and libclang-rt-dev of its version)")
        return
    build(clang, source, folder, [name for name, *_ in wanted])
    for name, runs, most, seeds in wanted:
        run = fuzz(folder, name, runs, most, seeds)
        point(run.returncode == 0, f"{name} {runs} runs", *run.stdout.splitlines()[-60:])
    plan()


main()
