# SPDX-License-Identifier: LGPL-2.1-or-later
"""Each header compiles alone, as C11 and as C++, without a warning. Prints TAP.

usage: headers.py SOURCE_ROOT CC CXX|- [CFLAGS...]      (gst-plugin's headers need the GStreamer flags)
"""
import pathlib
import subprocess
import sys

root, cc, cxx, flags = pathlib.Path(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4:]
headers = sorted(h for folder in ("engine", "vision", "compress", "tern", "gst-plugin") for h in (root / folder).rglob("*.h"))
languages = [("c", [cc, "-std=c11", "-xc"])]
if cxx != "-":
    languages.append(("c++", [cxx, "-std=c++14", "-xc++"]))
print(f"1..{len(headers) * len(languages)}")
number = 0
for header in headers:
    name = header.relative_to(root).as_posix()
    # x86 headers hold intrinsics for one instruction set: the compiler must be allowed to use it.
    simd = ["-mavx512f", "-mavx512bw", "-mavx512dq", "-mavx512vl", "-mavx512vnni", "-mavx2", "-mfma", "-mf16c"] \
        if "/x86/" in name else []
    for language, command in languages:
        number += 1
        run = subprocess.run(command + ["-fsyntax-only", "-Wall", "-Wextra", "-Wno-unused-parameter", "-Wno-unused-function",
                                        "-Wno-missing-field-initializers", "-Werror", f"-I{root}", *simd, *flags, "-"],
                             input=f'#include "{name}"\n', text=True, capture_output=True)
        for line in run.stderr.splitlines()[:8]:
            print("#", line)
        print("not ok" if run.returncode else "ok", number, "-", name, "as", language)
