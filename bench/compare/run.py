#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Tern beside others on this machine, in rounds that alternate; medians and their ratios.

  run.py setup              fetches and builds the rivals
  run.py file MODEL.gguf    one language model, by Tern and by llama.cpp
"""
import argparse
import sys

import rivals
import rows


def set_up(options):
    rivals.LlamaCpp(options.cache).set_up()
    return 0


def add(commands, name, function, *arguments):
    parser = commands.add_parser(name, help=function.__doc__)
    parser.add_argument("--tern", default="build/tools/tern", help="the program (%(default)s)")
    parser.add_argument("--cache", default=rivals.default_cache(), help="folder for rivals and models (%(default)s)")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    for flag, settings in arguments:
        parser.add_argument(flag, **settings)
    parser.set_defaults(run=function)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    add(commands, "setup", set_up)
    add(commands, "file", rows.compare_file, ("file", {}), ("--prefill", {"type": int, "default": 512}),
        ("--decode", {"type": int, "default": 32}), ("--depth", {"type": int, "default": 0}),
        ("--variant", {"help": "llama.cpp's: haswell, zen4, ...; avx2: Haswell's, and TERN_CPU=avx2 (the best)"}),
        ("--attention", {"choices": ["auto", "on", "off"], "default": "auto", "help": "llama.cpp's flash attention"}))
    options = parser.parse_args()
    try:
        return options.run(options)
    except rivals.Missing as reason:
        print(f"run.py: {reason}", file=sys.stderr)
        return 1


sys.exit(main())
