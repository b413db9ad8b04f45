#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""How `tern serve` does under work, against a server that runs (any with OpenAI's API, llama.cpp's too). Standard library only.

usage: serve.py ADDRESS picture [N]           one picture after the other, never the same: ms of a whole request
       serve.py ADDRESS review [N]            a recorder's review of four pictures, by schema: how many validate, s
       serve.py ADDRESS rate CLIENTS [S]      requests a second of so many clients, S seconds (10), never the same picture
       serve.py ADDRESS crowd CLIENTS [S]     the same, a third of them slow, a third hanging up: who is served how often
Options: --key KEY, --pid PID (its memory, before and after).
"""
import argparse
import base64
import json
import pathlib
import re
import socket
import statistics
import struct
import threading
import time
import urllib.error
import urllib.request
import zlib

DATA = pathlib.Path(__file__).resolve().parent.parent / "tests/serve/data"
JPEG = (DATA / "street.jpg").read_bytes()
REVIEW = json.loads((DATA / "review.json").read_bytes())      # what a camera recorder asks for
counter, lock = [int(time.time())], threading.Lock()


def picture():
    """The same pixels under another name each time: a comment in the JPEG makes the bytes differ, so no cache knows it."""
    with lock:
        counter[0] += 1
        n = counter[0]
    note = struct.pack(">II", n, zlib.crc32(str(n).encode()))
    data = JPEG[:2] + b"\xff\xfe" + struct.pack(">H", len(note) + 2) + note + JPEG[2:]
    return {"type": "image_url", "image_url": {"url": "data:image/jpeg;base64," + base64.b64encode(data).decode()}}


def body(*parts, **more):
    return json.dumps({"messages": [{"role": "user", "content": list(parts)}], **more}).encode()


def post(options, data):
    """(status, answer)"""
    request = urllib.request.Request(options.address + "/v1/chat/completions", data, {
        "Content-Type": "application/json", "Authorization": f"Bearer {options.key}"})
    try:
        with urllib.request.urlopen(request, timeout=300) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def quantiles(values, unit):
    values = sorted(values)
    return (f"median {statistics.median(values):.4g} {unit}, 90 % below {values[int(.9 * (len(values) - 1))]:.4g}, "
            f"all below {values[-1]:.4g}")


def one_by_one(options):
    took = []
    for _ in range(options.n or 50):
        data = body({"type": "text", "text": "Describe what happens."}, picture(), max_tokens=32)
        begin = time.perf_counter()
        status, answer = post(options, data)
        took.append(1000 * (time.perf_counter() - begin))
        assert status == 200, answer
    print(f"picture: {len(took)} requests, {quantiles(took, 'ms')}")


def validates(text):
    r = json.loads(text)
    return (set(REVIEW["required"]) <= set(r) <= set(REVIEW["properties"]) and 3 <= len(r["observations"]) <= 8
            and all(20 <= len(o) <= 200 for o in r["observations"]) and 150 <= len(r["scene"]) <= 600
            and len(r["title"]) <= 80 and 70 <= len(r["shortSummary"]) <= 140 and 0 <= r["confidence"] <= 1
            and r["potential_threat_level"] in (0, 1, 2))


def reviews(options):
    took, good = [], 0
    for n in range(options.n or 100):
        data = body({"type": "text", "text": "Analyze the sequence of images. " * 200}, *[picture() for _ in range(4)],
                    temperature=.7 * (n > 0), seed=n,
                    response_format={"type": "json_schema", "json_schema": {"name": "r", "strict": True, "schema": REVIEW}})
        begin = time.perf_counter()
        status, answer = post(options, data)
        took.append(time.perf_counter() - begin)
        good += status == 200 and validates(answer["choices"][0]["message"]["content"])
    print(f"review: {good} of {len(took)} validate, {quantiles(took, 's')}")


def rate(options):
    end, done = time.monotonic() + (options.seconds or 10), []

    def client():
        while time.monotonic() < end:
            begin = time.perf_counter()
            status, answer = post(options, body(picture(), max_tokens=32))
            assert status == 200, answer
            with lock:
                done.append(time.perf_counter() - begin)
    begin = time.monotonic()
    run([threading.Thread(target=client) for _ in range(options.n)])
    print(f"rate: {options.n} clients, {len(done) / (time.monotonic() - begin):.1f} requests/s, {quantiles(done, 's')}")


def run(threads):
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def memory(options):
    """KiB of the process, and of that KiB of pictures that are kept; a server that is not ours does not tell these."""
    if not options.pid:
        return 0, 0
    text = pathlib.Path(f"/proc/{options.pid}/status").read_text()
    rss = int(next(line for line in text.splitlines() if line.startswith("VmRSS")).split()[1])
    request = urllib.request.Request(options.address + "/metrics", headers={"Authorization": f"Bearer {options.key}"})
    try:
        with urllib.request.urlopen(request, timeout=300) as answer:
            found = re.search(rb"^tern_picture_cache_bytes (\S+)$", answer.read(), re.M)
    except urllib.error.HTTPError:
        found = None
    return rss, int(float(found[1])) // 1024 if found else 0


def raw_request(options):
    data = body(picture(), stream=True, max_tokens=32)
    host = options.address.split("//")[1]
    return host.split(":")[0], int(host.split(":")[1]), (
        f"POST /v1/chat/completions HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {options.key}\r\n"
        f"Content-Length: {len(data)}\r\n\r\n").encode() + data


def crowd(options):
    """Each client asks again and again; what it gets is counted by kind."""
    end = time.monotonic() + (options.seconds or 60)
    served, made, codes, lost = [0] * options.n, [0] * options.n, {}, []

    def count(n, code):
        with lock:
            codes[code] = codes.get(code, 0) + 1
            served[n] += code == 200

    def plain(n):
        code, _ = post(options, body(picture(), max_tokens=32))
        count(n, code)
        if code == 429:
            time.sleep(.2)

    def slow(n):
        host, port, data = raw_request(options)
        with socket.create_connection((host, port), 300) as s:
            for i in range(0, len(data), 1500):
                s.sendall(data[i:i + 1500])
                time.sleep(.01)
            got = b""
            while block := s.recv(200):
                got += block
                time.sleep(.002)
        count(n, int(got.split(b" ", 2)[1]) if got else 0)
        if b"[DONE]" not in got and got.split(b" ", 2)[1:2] == [b"200"]:
            lost.append(got[-200:])

    def gone(n):
        host, port, data = raw_request(options)
        with socket.create_connection((host, port), 300) as s:
            s.sendall(data)
            s.settimeout(.02)
            try:
                s.recv(100)
            except TimeoutError:
                pass

    def client(n):
        while time.monotonic() < end:
            made[n] += 1
            try:
                (plain, slow, gone)[n % 3](n)
            except OSError as error:
                if n % 3 != 2:
                    lost.append(error)
    sizes, over = [memory(options)], threading.Event()

    def watch():
        while not over.wait((options.seconds or 60) / 6):
            sizes.append(memory(options))
    watcher = threading.Thread(target=watch)
    watcher.start()
    run([threading.Thread(target=client, args=(n,)) for n in range(options.n)])
    over.set()
    watcher.join()
    quiet = served[0::3]
    mean = statistics.mean(quiet)
    print(f"crowd: {options.n} clients, {sum(made)} connections, answers by status {codes}, lost {len(lost)}; of those who "
          f"only ask,"
          f" each {mean:.1f} on average, {min(quiet)} to {max(quiet)}, standard deviation {statistics.pstdev(quiet) / mean:.0%}")
    if options.pid:
        sizes.append(memory(options))
        print("memory, KiB, before, at each sixth and at the end:", *(rss for rss, _ in sizes))
        print("... of which pictures that are kept (--image-cache):", *(kept for _, kept in sizes))
    for what in lost[:5]:
        print("lost:", what)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("address")
    parser.add_argument("what", choices=["picture", "review", "rate", "crowd"])
    parser.add_argument("n", type=int, nargs="?", default=0)
    parser.add_argument("seconds", type=float, nargs="?", default=0)
    parser.add_argument("--key", default="-")
    parser.add_argument("--pid", type=int)
    options = parser.parse_args()
    {"picture": one_by_one, "review": reviews, "rate": rate, "crowd": crowd}[options.what](options)


if __name__ == "__main__":
    main()
