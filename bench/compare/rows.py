# SPDX-License-Identifier: LGPL-2.1-or-later
"""The comparisons."""
import contextlib

import common
import rivals


def text_sides(options, stack, model, what, variant=None, level=None, attention="auto"):
    """Functions that run one round of Tern and of llama.cpp; each gives tokens a second of each of @what, which is a list of
    ("prefill", tokens, 0) and ("decode", tokens, depth)."""
    llama = rivals.LlamaCpp(options.cache)
    llama.set_up()
    context = max(n + depth for _, n, depth in what) + 64
    server = stack.enter_context(llama.start(model, options.threads, context, attention, variant))
    tern = common.Tern(options.tern, options.threads, level)

    def ours():
        found = {}
        for kind, n, depth in what:
            prefill, decode = (n, 0) if kind == "prefill" else (0, n)
            measured = tern.bench("--model", model, "--prefill", prefill, "--decode", decode, "--depth", depth)
            found[kind, n, depth] = measured["decode_at_depth" if depth else kind]["value"]
        return found

    def theirs():
        return {(kind, n, depth): 1000 * n / server.ask(kind, n, *([depth] if kind == "decode" else []))
                for kind, n, depth in what}
    return {"Tern": ours, llama.name(variant): theirs}


def compare_file(options):
    """One file, as it is, by Tern and by llama.cpp."""
    what = [("prefill", options.prefill, 0), ("decode", options.decode, 0)]
    if options.depth:
        what.append(("decode", options.decode, options.depth))
    level = "avx2" if options.variant == "avx2" else None
    with common.Background() as load, contextlib.ExitStack() as stack:
        found = common.interleave(options.rounds, text_sides(options, stack, options.file, what, options.variant, level,
                                                             options.attention))
    (_, ours), (rival, theirs) = found.items()
    print(f"{common.processor()}; {options.threads} threads; others had {load.cores:.2f} cores; median of {options.rounds}")
    print(f"| tokens/s | Tern | {rival} | ratio |\n| --- | --- | --- | --- |")
    for key in what:
        kind, n, depth = key
        a, b = common.middle(ours, key), common.middle(theirs, key)
        print(f"| {kind} {n}{f' behind {depth}' if depth else ''} | {a:.1f} | {b:.1f} | {a / b:.2f} |")
    return 0
