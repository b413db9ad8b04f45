#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What llvm-mca says of a function's inner loops, for a processor that is not here: estimates, with every load from the
first-level cache and no branch missed.

usage: mca.py OBJECT FUNCTION WORK CPU...     (a loop with K dot products or multiply-adds does K * WORK of whatever is counted)
e.g.   bench/mca.py build-aarch64/engine/kernels/libtern-kernels-dotprod.a.p/arm_ternary-dotprod.c.o \\
         tern_t2_one_token_dotprod 16 neoverse-n1 cortex-x2

A line a loop without a branch inside: instructions, those that multiply, loads, stores (of them, what did not fit the
registers), and for each CPU cycles a round and work a cycle. Tools by the environment: OBJDUMP, MCA.
"""
import collections
import os
import re
import subprocess
import sys

OBJDUMP, MCA = os.environ.get("OBJDUMP", "aarch64-linux-gnu-objdump"), os.environ.get("MCA", "llvm-mca-19")
BRANCH = re.compile(r"(b|b\.\w+|cbn?z|tbn?z|bl|blr|br|ret)(\s|$)")
PRODUCTS = {"sdot", "smmla", "usmmla", "bfmmla", "fmla", "smlal", "smlal2", "smull", "smull2", "tbl"}


def instructions(path, function):
    text = subprocess.run([OBJDUMP, "-d", "--no-show-raw-insn", path], check=True, capture_output=True, text=True).stdout
    part = re.search(rf"^[0-9a-f]+ <{re.escape(function)}>:\n(.*?)(\n\n|\Z)", text, re.M | re.S)
    if not part:
        sys.exit(f"mca.py: {path}: expected a function {function}, found none")
    found = re.findall(r"^\s*([0-9a-f]+):\t([^/\n]*)", part[1], re.M)
    return [(int(address, 16), line.strip()) for address, line in found]


def loops(lines):
    place = {address: i for i, (address, _) in enumerate(lines)}
    for i, (address, line) in enumerate(lines):
        to = re.match(r"(?:b\.\w+|cbn?z|tbn?z)\s.*?([0-9a-f]+) <", line)
        begin = place.get(int(to[1], 16)) if to else None
        if begin is not None and begin < i and not any(BRANCH.match(text) for _, text in lines[begin:i]):
            yield [re.sub(r"<[^>]*>", "", text) for _, text in lines[begin:i]]


def cycles(body, cpu):
    run = subprocess.run([MCA, "-mtriple=aarch64", "-mattr=+dotprod,+i8mm,+bf16", f"-mcpu={cpu}", "-iterations=100"],
                         input="\n".join(body), capture_output=True, text=True)
    total = re.search(r"Total Cycles:\s+(\d+)", run.stdout)
    if not total:
        sys.exit(f"mca.py: {MCA}: {run.stderr.strip()}")
    return int(total[1]) / 100


def main(path, function, work, *cpus):
    for body in loops(instructions(path, function)):
        kinds = collections.Counter(line.split()[0] for line in body)
        products = sum(n for kind, n in kinds.items() if kind in PRODUCTS)
        if not products:
            continue
        took = [(cpu, cycles(body, cpu)) for cpu in cpus]
        print(f"{len(body) + 1} instructions, {products} products, {sum(n for k, n in kinds.items() if k.startswith('ld'))} loads,",
              f"{sum(n for k, n in kinds.items() if k.startswith('st'))} stores:",
              ", ".join(f"{cpu} {time:.1f} cycles, {products * float(work) / time:.1f} a cycle" for cpu, time in took))


if len(sys.argv) < 5:
    sys.exit(__doc__)
main(*sys.argv[1:])
