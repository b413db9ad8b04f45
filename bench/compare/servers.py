# SPDX-License-Identifier: LGPL-2.1-or-later
"""`tern serve` beside llama.cpp's server: the same two files, the same pictures, none of them twice, in turns."""
import argparse
import contextlib
import json
import pathlib
import socket
import statistics
import subprocess
import sys
import threading
import time
import urllib.request

import rivals

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path[:0] = [str(ROOT / "bench"), str(ROOT / "tests")]
import serve  # noqa: E402
from tap import until  # noqa: E402

SLOTS, CONTEXT = 16, 512        # requests at a time, tokens of each
TOKENS = 32                     # of an answer, at most


def free_port():
    """Free at this moment: not one that is held (tests/ports.py), for llama.cpp's server binds with SO_REUSEPORT alone."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait_ready(address, process, seconds=60):
    def healthy():
        with contextlib.suppress(OSError):
            return urllib.request.urlopen(address + "/health", timeout=5).status == 200

    with contextlib.suppress(TimeoutError):
        if until(healthy, address, seconds, process):
            return
    raise rivals.Missing(f"{process.args[0]} is not ready after {seconds} s, or ended")


class Turn:
    """What so many clients got of one server in some seconds."""

    def __init__(self, address, clients, seconds):
        self.options = argparse.Namespace(address=address, key="-")
        self.took, self.tokens, self.texts, self.failed = [], 0, set(), []
        self.end = time.monotonic() + seconds
        begin = time.monotonic()
        serve.run([threading.Thread(target=self.client) for _ in range(clients)])
        self.rate = len(self.took) / (time.monotonic() - begin)

    def client(self):
        while time.monotonic() < self.end and not self.failed:
            data = serve.body({"type": "text", "text": "Describe what happens."}, serve.picture(), max_tokens=TOKENS, temperature=0)
            begin = time.perf_counter()
            status, answer = serve.post(self.options, data)
            if status != 200:
                self.failed.append(answer)
                return
            with serve.lock:
                self.took.append(time.perf_counter() - begin)
                self.tokens += answer["usage"]["completion_tokens"]
                self.texts.add(answer["choices"][0]["message"]["content"].strip())


def start_all(options, llama, model, mmproj, stack):
    """{name: address} of both, ready and warm."""
    found = {}
    for name in ("tern", "llama.cpp"):
        port = free_port()
        if name == "tern":
            process = subprocess.Popen([options.tern, "serve", "--model", model, "--mmproj", mmproj, "--listen",
                                        f"127.0.0.1:{port}",
                                        "--threads", str(options.threads), "--parallel", str(SLOTS)], stderr=subprocess.DEVNULL)
        else:
            process = llama.start_server(port, model, mmproj, options.threads, SLOTS, CONTEXT, options.image_tokens)
        stack.callback(process.wait)
        stack.callback(process.terminate)
        found[name] = f"http://127.0.0.1:{port}"
        wait_ready(found[name], process)
        Turn(found[name], 1, .5)
    return found


def compare_servers(options):
    """requests a second of `tern serve` and of llama.cpp's server (built at first: minutes), with 1 and 16 clients"""
    llama = rivals.LlamaCpp(options.cache)
    llama.build_server()
    model = pathlib.Path(options.model or ROOT / "models/tern-captioner-4m-tq2_0.gguf")
    mmproj = pathlib.Path(options.mmproj or ROOT / "models/mmproj-tern-captioner-4m-f16.gguf")
    print(f"tern serve and the server of {llama.name()}, {options.threads} threads, {model.name} and {mmproj.name}, a picture "
          f"of 256 x 144 each, {TOKENS} tokens at most, greedy; {options.rounds} rounds in turn of {options.seconds:g} s")
    with contextlib.ExitStack() as stack:
        addresses = start_all(options, llama, model, mmproj, stack)
        for clients in options.clients:
            turns = {name: [] for name in addresses}
            for _ in range(options.rounds):
                for name, address in addresses.items():
                    turns[name].append(Turn(address, clients, options.seconds))
                    if turns[name][-1].failed:
                        raise rivals.Missing(f"{name}: {json.dumps(str(turns[name][-1].failed[0]))[:300]}")
            report(clients, turns)
    return 0


def report(clients, turns):
    for name, list_ in turns.items():
        took = sorted(t for turn in list_ for t in turn.took)
        tokens = sum(turn.tokens for turn in list_) / len(took)
        texts = set().union(*(turn.texts for turn in list_))
        print(f"{clients:2} clients  {name:10} {statistics.median(turn.rate for turn in list_):7.1f} requests/s, "
              f"{1000 * statistics.median(took):6.1f}"
              f" ms median, {1000 * took[int(.9 * (len(took) - 1))]:6.1f} at 90 %, {tokens:.1f} tokens; says: "
              f"{'; '.join(sorted(texts)[:2])}")
    ratios = [a.rate / b.rate for a, b in zip(turns["tern"], turns["llama.cpp"])]
    print(f"{clients:2} clients  ratio {statistics.median(ratios):.2f} (of each round {', '.join(f'{r:.2f}' for r in ratios)})")
