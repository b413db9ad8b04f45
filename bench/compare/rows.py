# SPDX-License-Identifier: LGPL-2.1-or-later
"""The rows of docs/numbers.md's table "Beside others": one test each, which gives figures and the bars they are held to."""
import contextlib
import functools
import json
import pathlib
import re
import subprocess
import sys
import time

import common
import rivals

TERNARY = ("lfm2-350m", "lfm2-1.2b", "bitnet-2b")


class Row:
    """One figure. @bars: (with AMX, without), or nothing; @value None: empty, for the reason in @text."""

    def __init__(self, name, bars, value, text):
        self.name, self.value, self.text = name, value, text
        self.bar = bars and bars[0 if common.has_amx() else 1]

    def cells(self):
        bar = f">= {self.bar:g}" if self.bar else ""
        if self.value is None:
            return self.name, bar, "", f"empty: {self.text}"
        verdict = f"{'holds' if self.value >= self.bar else 'misses'}: " if self.bar else ""
        return self.name, bar, f"{self.value:.2f}", verdict + self.text


def llama_cpp(options):
    llama = rivals.LlamaCpp(options.cache)
    llama.set_up()
    return llama


def tern(options, level=None):
    return common.Tern(options.tern, options.threads, level)


def interleave(options, sides):
    return common.interleave(1 if options.quick else options.rounds, sides)


# ---- Language models -------------------------------------------------------------------------------------------------

def ask_tern(program, model, what):
    """Tokens a second of each (kind, tokens, depth)."""
    found = {}
    for kind, n, depth in what:
        prefill, decode = (n, 0) if kind == "prefill" else (0, n)
        if (kind, n, depth) not in found:
            deep = max((d for k, m, d in what if (k, m) == (kind, n)))
            measured = program.bench("--model", model, "--prefill", prefill, "--decode", decode, "--depth", deep)
            found[kind, n, 0] = measured[kind]["value"]
            if deep:
                found[kind, n, deep] = measured["decode_at_depth"]["value"]
    return found


def ask_llama(server, what):
    return {(kind, n, depth): 1000 * n / server.ask(kind, n, *([depth] if kind == "decode" else []))
            for kind, n, depth in what}


def text_sides(options, stack, model, what, variant=None, attention=("auto",)):
    """Functions that run one round of Tern and of llama.cpp, once for each setting of its attention."""
    llama = llama_cpp(options)
    context = max(n + depth for _, n, depth in what) + 64
    program = tern(options, "avx2" if variant == "avx2" else None)
    sides = {"Tern": lambda: ask_tern(program, model, what)}
    for setting in attention:
        server = stack.enter_context(llama.start(model, options.threads, context, setting, variant))
        sides[setting] = lambda server=server: ask_llama(server, what)
    return sides


def text_figures(options, model, what, **settings):
    """{key: (Tern's median, the best median of llama.cpp)}."""
    with contextlib.ExitStack() as stack:
        found = interleave(options, text_sides(options, stack, model, what, **settings))
    ours = found.pop("Tern")
    return {key: (common.middle(ours, key), max(common.middle(theirs, key) for theirs in found.values())) for key in what}


def beside(name, bars, ours, theirs, rival):
    return Row(name, bars, ours / theirs, f"{ours:.4g} against {rival}'s {theirs:.4g} tokens/s")


def prefill(options):
    """512 tokens into LFM2-1.2B's shape: llama.cpp with TQ2_0, OpenVINO with int8 on the linears alone"""
    model, key = tern(options).save(options.cache, "lfm2-1.2b", "TQ2_0"), ("prefill", 512, 0)
    vino = rivals.OpenVino(options.cache)
    rows, figures = [], {}
    with contextlib.ExitStack() as stack:
        sides = text_sides(options, stack, model, [key])
        try:
            vino.set_up()
            for kind in () if options.quick else ("int8", "int4"):
                server = stack.enter_context(vino.start_linears(kind, options.threads))
                sides[kind] = lambda server=server: {key: 512e3 / server.ask(512), 1: 1e3 / server.ask(1)}
        except rivals.Missing as reason:
            figures["reason"] = str(reason)
        found = interleave(options, sides)
    ours = common.middle(found["Tern"], key)
    rows.append(beside("prefill 512, LFM2-1.2B shape TQ2_0, against llama.cpp TQ2_0", (10, 4), ours,
                       common.middle(found["auto"], key), "llama.cpp"))
    name, bars = "the same, against OpenVINO int8 on the same linears", (2.5, 1.3)
    if "int8" not in found:
        return [*rows, Row(name, bars, None, figures.get("reason", "left out by --quick"))]
    int8, int4 = (common.middle(found[kind], key) for kind in ("int8", "int4"))
    one = [common.middle(found[kind], 1) for kind in ("int8", "int4")]
    rows.append(beside(name, bars, ours, int8, "OpenVINO"))
    rows[-1].text += f" (int4 {int4:.4g}; 1 token: int8 {one[0]:.3g}, int4 {one[1]:.3g} tokens/s)"
    return rows


def decode(options):
    """64 tokens of three ternary shapes beside llama.cpp"""
    key, rows = ("decode", 16 if options.quick else 64, 0), []
    for shape in TERNARY[:1] if options.quick else TERNARY:
        model = tern(options).save(options.cache, shape, "TQ2_0")
        ours, theirs = text_figures(options, model, [key])[key]
        rows.append(beside(f"ternary decode, {shape}, against llama.cpp TQ2_0", (2.5, 2.5), ours, theirs, "llama.cpp"))
    return rows


def floor(options):
    """Ternary decode as a share of the time in which memory gives our own bytes"""
    rows = []
    for shape in TERNARY[:1] if options.quick else TERNARY:
        program = tern(options)
        model = program.save(options.cache, shape, "TQ2_0")
        runs = [program.bench("--model", model, "--prefill", 0, "--decode", 64, "--depth", 0)
                for _ in range(1 if options.quick else options.rounds)]
        share = common.middle([r["decode"]["share"] for r in runs])
        gigabytes = common.middle([r["bandwidth_model" if "bandwidth_model" in r else "bandwidth"]["value"] for r in runs])
        rows.append(Row(f"ternary decode, {shape}, share of the {runs[0]['decode']['bound']} floor", (.85, .85), share,
                        f"{common.middle([r['decode']['value'] for r in runs]):.4g} tokens/s at {gigabytes:.3g} GB/s"))
    return rows


def depth(options):
    """Decode behind 4,096 tokens against decode behind none"""
    program, n = tern(options), 16 if options.quick else 32
    model = program.save(options.cache, "lfm2-350m" if options.quick else "lfm2-1.2b", "TQ2_0")
    runs = []
    for _ in range(options.rounds):
        at = program.bench("--model", model, "--prefill", 0, "--decode", n, "--depth", 4096)
        runs.append((at["decode_at_depth"]["value"], at["decode"]["value"]))
    ratio = common.middle([deep / flat for deep, flat in runs])
    return [Row(f"decode at 4k context / decode at 0, {model.stem}", (.9, .9), ratio,
                f"{common.middle([r[0] for r in runs]):.4g} against {common.middle([r[1] for r in runs]):.4g} tokens/s")]


def blocks(kind, shape, options):
    """A file that users bring, beside llama.cpp's better attention"""
    what = [("prefill", 512, 0), ("decode", 32, 0), *([("decode", 32, 4096)] if shape == "lfm2-350m" else [])]
    bars = {("prefill", 0): (2.5, 1.5), ("decode", 0): (1.1, 1.2), ("decode", 4096): (1.8, 1.8)}
    model = tern(options).save(options.cache, "lfm2-350m" if options.quick else shape, kind)
    found = text_figures(options, model, what[:2] if options.quick else what, attention=("on", "off"))
    return [beside(f"{kind} file, {shape}, {work} {n}{f' behind {depth}' if depth else ''}, against llama.cpp", bars[work, depth],
                   *found[work, n, depth], "llama.cpp") for work, n, depth in found]


def beside_fork(fork, options):
    """BitNet 2B's shape beside a fork of llama.cpp for ternary models; those do not know LFM2"""
    program, what = tern(options), [("prefill", 512, 0), ("decode", 64, 0)]
    rival, model = fork(options.cache), program.save(options.cache, "bitnet-2b", "TQ2_0")
    sides = {"Tern": lambda: ask_tern(program, model, what)}
    with contextlib.ExitStack() as stack:
        for kind, file in rival.files(model).items():
            server = stack.enter_context(rival.start(file, options.threads))
            sides[kind] = lambda server=server: ask_llama(server, what)
        found = interleave(options, sides)
    ours = found.pop("Tern")
    return [beside(f"{key[0]} {key[1]}, bitnet-2b, against {rival.title} {kind}", None, common.middle(ours, key),
                   common.middle(theirs, key), rival.title) for kind, theirs in found.items() for key in what]


def sessions(options):
    """16 sessions that say a token together against one"""
    program = tern(options)
    model = program.save(options.cache, "lfm2-350m", "TQ2_0")
    runs = [program.bench("--model", model, "--prefill", 0, "--decode", 32, "--depth", 64, "--sessions", 16)
            for _ in range(options.rounds)]
    ratio = common.middle([r["decode_sessions"]["ratio"] for r in runs])
    return [Row("16 sessions decoding together against 1, LFM2-350M shape", (6, 5), ratio,
                f"{common.middle([r['decode_sessions']['value'] for r in runs]):.4g} against "
                f"{common.middle([r['decode_at_depth']['value'] for r in runs]):.4g} tokens/s")]


def avx2(options):
    """Tern and llama.cpp without AVX-512"""
    what, rows = [("decode", 32, 0), ("prefill", 256, 0)], []
    for shape in TERNARY[:1] if options.quick else TERNARY[:2]:
        model = tern(options).save(options.cache, shape, "TQ2_0")
        found = text_figures(options, model, what, variant="avx2")
        for key, bar in zip(what, (1.5, 2)):
            rows.append(beside(f"AVX2 only, {shape} TQ2_0, {key[0]}, against llama.cpp", (bar, bar), *found[key],
                               "llama.cpp (haswell)"))
    return rows


# ---- Pictures --------------------------------------------------------------------------------------------------------

def picture_ms(program, *options, threads=None):
    return 1000 / program.bench(*options, threads=threads)["vision"]["value"]


def tower_sides(options, stack, types):
    """{(whose, type): function}; rivals that are not there are named in the second value."""
    program, sides, missing = tern(options), {}, {}
    files = {kind: program.save(options.cache, "siglip-b-512", kind) for kind in types}
    for kind, file in files.items():
        sides["Tern", kind] = lambda file=file: picture_ms(program, "--model", file)
    try:
        llama = llama_cpp(options)
        for kind, file in files.items():
            server = stack.enter_context(llama.start_tower(file, options.threads, "on"))
            sides["llama.cpp", kind] = lambda server=server: server.ask("encode")
    except (rivals.Missing, subprocess.CalledProcessError) as reason:
        missing["llama.cpp"] = str(reason)
    try:
        vino = rivals.OpenVino(options.cache)
        vino.set_up()
        for kind in ("f32", "bf16", "int8", "int8+bf16"):
            server = stack.enter_context(vino.start_tower(kind, options.threads))
            sides["OpenVINO", kind] = lambda server=server: server.ask("encode")
    except (rivals.Missing, subprocess.CalledProcessError) as reason:
        missing["OpenVINO"] = str(reason)
    return sides, missing


def towers(options):
    """SigLIP-B/16 of 512 pixels: F16 and Q8_0 files, beside llama.cpp on the same and OpenVINO's best precision"""
    with contextlib.ExitStack() as stack:
        sides, missing = tower_sides(options, stack, ("F16",) if options.quick else ("F16", "Q8_0"))
        found = {key: common.middle(values) for key, values in interleave(options, sides).items()}
    text = "; ".join(f"{who} {kind} {ms:.0f} ms" for (who, kind), ms in found.items())
    rows = []
    for who, bars in (("OpenVINO", (1.2, 1.2)), ("llama.cpp", (8, 3))):
        best = {side: min((ms for (other, _), ms in found.items() if other == side), default=None) for side in (who, "Tern")}
        value = best[who] / best["Tern"] if best[who] else None
        rows.append(Row(f"SigLIP-B 512 px, against {who}'s best", bars, value, text if value else missing[who]))
    return rows


def bundled_tower(options):
    """The shipped encoder, 224 pixels, one thread, beside an earlier build's"""
    name, bars = "the bundled tower, 224 px, one thread, against commit b0ff6f1", (3, 1.5)
    if not options.baseline:
        return [Row(name, bars, None, "--baseline DIR, a build of that commit, was not given")]
    old = common.Tern(pathlib.Path(options.baseline) / "tools/tern", 1)
    file = next(pathlib.Path(__file__).resolve().parents[2].glob("models/mmproj-tern-captioner-*.gguf"))
    found = common.interleave(options.rounds, {who: lambda p=p: picture_ms(p, "--model", file, threads=1)
                                               for who, p in (("new", tern(options)), ("old", old))})
    new, before = (common.middle(found[who]) for who in ("new", "old"))
    return [Row(name, bars, before / new, f"{new:.2f} against {before:.2f} ms")]


# ---- Windows ---------------------------------------------------------------------------------------------------------

def program_beside(options, name):
    """bench/NAME of the build that --tern is of."""
    path = pathlib.Path(options.tern).resolve().parents[1] / "bench" / name
    if not path.exists():
        raise rivals.Missing(f"{path} is not there: ninja bench/{name}")
    return path


def ask_program(options, *words):
    command = [program_beside(options, "windows"), *words, "--threads", options.threads, "--json"]
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, check=False)
    if done.returncode:
        raise rivals.Missing(done.stderr.strip())
    return json.loads(done.stdout)


def dycoke(options):
    """A window of 32 frames x 196 tokens, with K = P = .7 against whole, LFM2-1.2B's shape"""
    model = tern(options).save(options.cache, "lfm2-350m" if options.quick else "lfm2-1.2b", "TQ2_0")
    found = ask_program(options, "dycoke", model, "--rounds", 1 if options.quick else options.rounds)
    return [Row(f"DyCoke K=.7 P=.7 against none, 32 frames x 196 tokens, {model.stem}", (1.5, 1.5),
                found["none_ms"] / found["dycoke_ms"], f"{found['dycoke_ms']:.0f} against {found['none_ms']:.0f} ms")]


def end_to_end(options):
    """The shipped model: captions a second of frames in memory, and 16 streams of 5 frames a second"""
    seconds = 2 if options.quick else 10
    batch = ask_program(options, "batch", "--seconds", seconds)
    live = ask_program(options, "live", "--seconds", seconds)
    share = live["done"] / max(live["windows"], 1)
    return [Row("shipped model, decoded frame to caption, captions/s", (100, 100), batch["captions_per_second"],
                f"windows of {batch['frames']} frame(s), {batch['tokens']:.1f} tokens said"),
            Row("16 live streams at 5 frames/s, share of windows answered", (1, 1), share,
                f"{live['done']} of {live['windows']}, {live['dropped']} dropped; longest wait {live['longest_ms']:.0f} ms, "
                f"{live['cores']:.2f} cores")]


def text(options):
    """What is said under every instruction set that this machine has, beside the scalar path's (tests/golden/levels.py)"""
    tree = pathlib.Path(__file__).resolve().parents[2]
    done = subprocess.run([sys.executable, tree / "tests/golden/levels.py", options.tern, tree / "models"], check=True,
                          capture_output=True, text=True)
    lines = [line for line in done.stdout.splitlines() if re.match("(not )?ok ", line)]
    tried = [line for line in lines if "# SKIP" not in line]
    good, near = (sum(1 for line in tried if test(line)) for test in (lambda l: l.startswith("ok"), lambda l: "near tie" in l))
    levels = list(dict.fromkeys(line.split(" - ")[1].split(":")[0] for line in tried))
    return [Row("output text as by the scalar path away from near ties, share of continuations", (1, 1), good / max(len(tried), 1),
                f"{good} of {len(tried)}, {near} of them up to a near tie; {', '.join(levels)}")]


TESTS = {f.__name__.replace("_", "-"): f for f in
         (towers, bundled_tower, prefill, decode, floor, depth, sessions, dycoke, end_to_end, avx2, text)}
TESTS.update({fork.flag: functools.partial(beside_fork, fork) for fork in (rivals.IkLlama, rivals.BitNet)})
for _shape in ("lfm2-350m", "lfm2-1.2b"):
    for _kind in ("Q4_0", "Q8_0", "Q4_K"):
        TESTS[f"blocks-{_kind.lower()}-{_shape.removeprefix('lfm2-')}"] = functools.partial(blocks, _kind, _shape)


# ---- Runs ------------------------------------------------------------------------------------------------------------

def head(options):
    seen = tern(options).bench("--shape", "lfm2-350m", "--prefill", 1, "--decode", 0)["machine"]
    names = [f"tern {seen['version']}"]
    for rival in (rivals.LlamaCpp, rivals.OpenVino, rivals.IkLlama, rivals.BitNet):
        with contextlib.suppress(rivals.Missing, OSError, subprocess.CalledProcessError):
            names.append(rival(options.cache).name())
    print(f"{common.processor()}; Tern's level {seen['instruction_set']}; {options.threads} threads; {', '.join(names)}; "
          f"median of {1 if options.quick else options.rounds}\n\n| figure | bar | here | | memory, GB/s | others' cores |\n"
          "| --- | --- | --- | --- | --- | --- |", flush=True)


def measure(options, name):
    """Prints a test's rows, with what memory gave and what other programs had of the cores meanwhile."""
    rivals.say(name)
    common.Tern.memory.clear()
    with common.Background() as load:
        try:
            found = TESTS[name](options)
        except (rivals.Missing, subprocess.CalledProcessError) as reason:
            found = [Row(name, None, None, str(reason))]
        if not common.Tern.memory:
            tern(options).instruction_set()
    for row in found:
        print(f"| {' | '.join(row.cells())} | {common.middle(common.Tern.memory):.0f} | {load.cores:.2f} |", flush=True)


def table(options):
    """named rows of the table, or all"""
    start = time.monotonic()
    head(options)
    for name in TESTS if options.tests == ["all"] else options.tests:
        measure(options, name)
    print(f"\n{time.monotonic() - start:.0f} s")
    return 0


def file_rows(options):
    """[(what, Tern's figure, llama.cpp's, Tern's in proportion)] of a language model, in tokens a second."""
    what = [("prefill", options.prefill, 0), ("decode", options.decode, 0)]
    if options.depth:
        what.append(("decode", options.decode, options.depth))
    found = text_figures(options, options.file, what, variant=options.variant, attention=options.attention.split(","))
    return [(f"{kind} {n}{f' behind {at}' if at else ''}, tokens/s", *found[kind, n, at],
             found[kind, n, at][0] / found[kind, n, at][1])
            for kind, n, at in what]


def picture_rows(options, keys):
    """The same of a vision encoder, in milliseconds a picture: a square of the size that `tern bench` takes."""
    program, llama = tern(options), llama_cpp(options)
    tokens = program.bench("--model", options.file, "--repeat", 1)["vision"]["tokens"]
    factor = keys.get("clip.vision.spatial_merge_size") or keys["clip.vision.projector.scale_factor"]
    side = round(tokens ** 0.5) * keys["clip.vision.patch_size"] * factor
    with llama.start_tower(options.file, options.threads, "on", side) as server:
        found = interleave(options, {"ours": lambda: picture_ms(program, "--model", options.file),
                                     "theirs": lambda: server.ask("encode")})
    ours, theirs = map(common.middle, found.values())
    return [(f"one picture of {side} x {side}, ms", ours, theirs, theirs / ours)]


def compare_file(options):
    """one file, as it is, by Tern and by llama.cpp: a language model or a vision encoder"""
    options.quick = False
    keys = tern(options).keys(options.file)
    with common.Background() as load:
        lines = picture_rows(options, keys) if keys["general.architecture"] == "clip" else file_rows(options)
    print(f"{common.processor()}; {options.threads} threads; memory at {common.middle(common.Tern.memory):.0f} GB/s; others had "
          f"{load.cores:.2f} cores; median of {options.rounds}")
    print(f"| | Tern | {rivals.LlamaCpp(options.cache).name(options.variant)} | ratio |\n| --- | --- | --- | --- |")
    for name, ours, theirs, ratio in lines:
        print(f"| {name} | {ours:.1f} | {theirs:.1f} | {ratio:.2f} |")
    return 0
