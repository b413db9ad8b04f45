#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Tern beside others on this machine, in rounds that alternate; medians and their ratios.

  run.py setup              fetches and builds the rivals: llama.cpp by npm (node-llama-cpp), OpenVINO by pip; with
                            --ik-llama DIR and --bitnet DIR, source trees of yours, ik_llama.cpp and bitnet.cpp too
  run.py file MODEL.gguf    one language model or vision encoder (mmproj), by Tern and by llama.cpp
  run.py serve              `tern serve` and llama.cpp's server: requests a second with 1 and 16 clients
  run.py table TEST...      rows of the table in docs/numbers.md, or `all`: bar, figure, whether it holds
"""
import argparse
import sys

import rivals
import rows
import servers


def set_up(options):
    """fetches and builds the rivals"""
    failed = 0
    for rival, *trees in ((rivals.LlamaCpp(options.cache),), (rivals.OpenVino(options.cache),),
                          (rivals.IkLlama(options.cache), options.ik_llama), (rivals.BitNet(options.cache), options.bitnet)):
        wanted = all(trees)
        try:
            if wanted:
                rival.set_up(*trees)
            print(rival.name())
        except rivals.Missing as reason:
            print(reason, file=sys.stderr)
            failed |= wanted
    return failed


def add(commands, name, function, *arguments):
    parser = commands.add_parser(name, help=function.__doc__)
    parser.add_argument("--tern", default="build/tools/tern", help="the program, in its build folder (%(default)s)")
    parser.add_argument("--cache", default=rivals.default_cache(), help="folder for rivals and models (%(default)s)")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    for flag, settings in arguments:
        parser.add_argument(flag, **settings)
    parser.set_defaults(run=function)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    add(commands, "setup", set_up,
        ("--ik-llama", {"metavar": "DIR", "help": "ik_llama.cpp's source tree; a shared build in it is used, or one made"}),
        ("--bitnet", {"metavar": "DIR", "help": "bitnet.cpp's (BitNet's) source tree, with its submodule 3rdparty/llama.cpp"}))
    add(commands, "file", rows.compare_file, ("file", {}), ("--prefill", {"type": int, "default": 512}),
        ("--decode", {"type": int, "default": 32}), ("--depth", {"type": int, "default": 0}),
        ("--variant", {"help": "llama.cpp's: haswell, zen4, ...; avx2: Haswell's, and TERN_CPU=avx2 (the best)"}),
        ("--attention", {"default": "auto", "help": "llama.cpp's flash attention: auto, or the better one of on,off"}))
    add(commands, "serve", servers.compare_servers, ("--model", {"help": "of both (the bundled captioner)"}), ("--mmproj", {}),
        ("--clients", {"type": int, "nargs": "+", "default": [1, 16]}), ("--seconds", {"type": float, "default": 5}),
        ("--image-tokens", {"type": int, "default": 49, "help": "llama.cpp's least of a picture; what the model says is not "
                            "asked by it"}))
    add(commands, "table", rows.table, ("tests", {"nargs": "+", "choices": ["all", *rows.TESTS], "metavar": "TEST",
                                                  "help": ", ".join(rows.TESTS)}),
        ("--baseline", {"help": "an earlier build's folder, for bundled-tower"}),
        ("--quick", {"action": "store_true", "help": "one round, small shapes: whether it runs"}))
    options = parser.parse_args()
    try:
        return options.run(options)
    except rivals.Missing as reason:
        print(f"run.py: {reason}", file=sys.stderr)
        return 1


sys.exit(main())
