# SPDX-License-Identifier: LGPL-2.1-or-later
"""Each header compiles alone, as C11 and as C++, without a warning; the installed ones in every standard that their users
may have, by gcc and clang, with more warnings. Prints TAP; what no compiler is there for is skipped, and counted so.

usage: headers.py SOURCE_ROOT CC [CFLAGS...]      (gst-plugin's headers need the GStreamer flags)
"""
import pathlib
import platform
import shlex
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from tap import plan, point  # noqa: E402

root, cc, flags = pathlib.Path(sys.argv[1]), shlex.split(sys.argv[2])[-1], sys.argv[3:]
INSTALLED = tuple(h.relative_to(root / "include").as_posix() for h in sorted((root / "include/tern").glob("*.h")))
WARNINGS = ["-Wall", "-Wextra", "-Werror", "-Wno-unused-parameter", "-Wno-unused-function",
            "-Wno-missing-field-initializers"]
# What the library's users compile with: none of our own exceptions.
STRICT = ["-Wall", "-Wextra", "-Wpedantic", "-Wshadow", "-Wundef", "-Wconversion", "-Werror"]


def there(*names):
    """The compilers among @names, each once: c++ may be g++ by another name."""
    paths = {pathlib.Path(path).resolve(): path for path in map(shutil.which, names) if path}
    return list(paths.values())


def commands():
    """(header, language and compiler, command or None: compiler missing)"""
    simd = ["-mavx512f", "-mavx512bw", "-mavx512dq", "-mavx512vl", "-mavx512vnni", "-mavx2", "-mfma", "-mf16c"]
    arm = ["-march=armv8.2-a+dotprod+i8mm+bf16"]
    machine = platform.machine()
    headers = sorted(h.relative_to(root).as_posix() for folder in ("engine", "vision", "compress", "tern", "gst-plugin")
                     for h in (root / folder).rglob("*.h"))
    cxx = there("c++", "g++", "clang++")
    for header in headers:
        # Headers of a processor hold intrinsics of its instruction sets: the compiler must be for it, and allowed to use them.
        if ("/x86/" in header) > (machine == "x86_64") or ("/arm/" in header) > (machine in ("aarch64", "arm64")):
            continue
        more = WARNINGS + (simd if "/x86/" in header else arm if "/arm/" in header else [])
        yield header, "C11", [cc, "-std=c11", "-xc", *more]
        yield header, "C++14", cxx and [cxx[0], "-std=c++14", "-xc++", *more]
    for header in INSTALLED:
        for name, language, standards in (("gcc", "c", ["c11", "c17"]), ("clang", "c", ["c11", "c17"]),
                                          ("g++", "c++", ["c++11", "c++14", "c++17", "c++20"]),
                                          ("clang++", "c++", ["c++11", "c++14", "c++17", "c++20"])):
            found = shutil.which(name)
            # tern.h has them all; each alone has to be whole, which one standard of each language shows.
            for standard in standards if header == "tern/tern.h" else standards[:1]:
                yield header, f"{standard} by {name}", found and [found, f"-std={standard}", f"-x{language}", *STRICT]


def check(case):
    header, _, command = case
    if not command:
        return None
    run = subprocess.run(command + ["-fsyntax-only", f"-I{root}", f"-I{root}/include", *flags, "-"],
                         input=f'#include "{header}"\n', text=True, capture_output=True)
    return run.returncode, run.stderr


cases = list(commands())
with ThreadPoolExecutor(2) as pool:
    for (header, what, _), result in zip(cases, pool.map(check, cases)):
        point(result and not result[0], f"{header} as {what}", *(result[1].splitlines()[:8] if result else ()),
              skip=None if result else "no such compiler")
plan()
