# SPDX-License-Identifier: LGPL-2.1-or-later
"""`tern serve` as its clients meet it: every endpoint, what answers look like, forms, streams, pictures, what is refused and
how. Prints TAP.

usage: api.py TERN MODELS_FOLDER DATA_FOLDER         (models/, tests/golden/data)
"""
import base64
import json
import math
import os
import pathlib
import shutil
import struct
import subprocess
import sys
import tempfile
import zlib

sys.dont_write_bytecode = True
from server import HERE, data_url, events, picture, server, text_of  # noqa: E402
from tap import plan, point  # noqa: E402
from tiny_gguf import I32, STRING, add_keys  # noqa: E402

TERN, MODELS, DATA = os.path.abspath(sys.argv[1]), pathlib.Path(sys.argv[2]).resolve(), pathlib.Path(sys.argv[3]).resolve()
CAPTIONER = MODELS / "tern-captioner-4m-tq2_0.gguf"
READER = DATA / "lfm2/lfm2-tq2_0.gguf"          # random weights: what it says means nothing
MMPROJ = DATA / "lfm2vl/mmproj-ship-q8_0.gguf"
LONG = "You are a careful observer of cameras. " * 400
REVIEW = json.loads((HERE / "review.json").read_bytes())        # what a camera recorder asks for
ZOOM = {"type": "function", "function": {"name": "zoom", "parameters": {
    "type": "object", "properties": {"factor": {"type": "integer", "minimum": 1, "maximum": 8}}, "required": ["factor"],
    "additionalProperties": False}}}
LAMP = {"type": "function", "function": {"name": "lamp", "description": "Turns the lamp on."}}


def schema(of):
    return {"type": "json_schema", "json_schema": {"name": "answer", "strict": True, "schema": of}}


def is_review(text):
    """By hand, as JSON Schema has it."""
    r = json.loads(text)
    known = set(REVIEW["properties"])
    return (set(REVIEW["required"]) <= set(r) <= known and 3 <= len(r["observations"]) <= 8
            and all(20 <= len(o) <= 200 for o in r["observations"]) and 150 <= len(r["scene"]) <= 600
            and len(r["title"]) <= 80 and 70 <= len(r["shortSummary"]) <= 140 and 0 <= r["confidence"] <= 1
            and r["potential_threat_level"] in (0, 1, 2) and isinstance(r.get("other_concerns"), (list, type(None))))


# ---- What there is ----

def check_names(s):
    for path in ("/", "/health", "/readyz", "/v1/health"):
        point(s.call(path)[0] == 200, f"GET {path}")
    status, headers, listed = s.call("/v1/models")
    model = listed["data"][0]
    point(status == 200 and headers["Content-Type"] == "application/json" and model["id"] == "tern-captioner-4m"
          and "tern-captioner-4m-tq2_0.gguf" in model["aliases"] and model["max_model_len"] == model["meta"]["n_ctx"] == 4096
          and model["architecture"]["input_modalities"] == ["text", "image"], "GET /v1/models", listed)
    point(s.call("/models")[2] == listed, "GET /models is the same")
    for name in ("tern-captioner-4m", "tern", "tern-captioner-4m%3Alatest", "tern-captioner%2d4m-tq2_0.gguf"):
        one = s.call(f"/v1/models/{name}")
        point(one[0] == 200 and one[2] == model and s.call(f"/models/{name}")[2] == model, f"GET /v1/models/{name}", one)
    for name in ("gpt-4o", "%ff", "a/b"):
        status, _, none = s.call(f"/v1/models/{name}")
        point(status == 404 and none["error"]["code"] == "model_not_found", f"GET /v1/models/{name}", none)
    point(s.call("/v1/models/")[0] == 404 and s.call("/v1/models/tern", {})[0] == 405, "no name, and a method that is not")
    props = s.call("/props?model=tern-captioner-4m")[2]
    point(props["default_generation_settings"]["n_ctx"] == 4096 and props["modalities"] == {"vision": True, "audio": False}
          and "<|im_start|>" in props["chat_template"] and props["chat_template_caps"]["supports_tools"] is False,
          "GET /props as llama.cpp's clients read it", props)
    point(s.call("/nothing")[0] == 404 and s.call("/../../etc/passwd")[0] == 404
          and s.call("/v1/chat/completions")[0] == 405, "what is not there, and a method that is not")


def check_metrics(s):
    status, headers, text = s.call("/metrics")
    point(status == 200 and headers["Content-Type"].startswith("text/plain; version=0.0.4")
          and "tern_generated_tokens_total" in text, "GET /metrics")
    try:
        run = subprocess.run(["promtool", "check", "metrics"], input=text, text=True, capture_output=True)
        point(run.returncode == 0, "promtool likes them", run.stdout, run.stderr)
    except FileNotFoundError:
        point(True, "promtool likes them", skip="promtool is not installed")


# ---- Pictures ----

def captioned(*arguments):
    run = subprocess.run([TERN, "caption", "--model", CAPTIONER, *map(str, arguments)], text=True, capture_output=True)
    return [json.loads(line) for line in run.stdout.splitlines()]


def begins_alike(answer, result):
    """Two tokens, and how likely they were: the third may be as likely as another one, and what a token's rounding makes of that
    hangs on the rows that were read beside it."""
    said = answer[2]["choices"][0]
    likely = [math.exp(t["logprob"]) for t in said["logprobs"]["content"]]
    return (len(likely) == 2 and said["message"]["content"].strip() == result["result"].strip()
            and abs(sum(likely) / 2 - result["confidence"]) < 0.03)


def check_pictures(s):
    files = [HERE / f"street.{suffix}" for suffix in ("jpg", "webp", "gif", "avif")]
    told = [s.chat(LONG, picture(f, "application/octet-stream"), max_tokens=2, logprobs=True) for f in files]
    captions = captioned("--max-tokens", 2, *files)
    point(len(captions) == len(files) and all(map(begins_alike, told, captions)),
          "JPEG, WebP, GIF and AVIF, whatever type is declared, as tern caption has them", told, captions)
    bare = s.chat({"type": "image_url", "image_url": data_url(files[0])}, max_tokens=2, logprobs=True)
    point(begins_alike(bare, captions[0]), "image_url as a text")
    jpeg = files[0].read_bytes()
    # An APP1 segment with EXIF, orientation 6, behind the beginning of the file.
    exif = b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"
    turned = jpeg[:2] + b"\xff\xe1" + (len(exif) + 2).to_bytes(2, "big") + exif + jpeg[2:]
    scores = [s.chat(picture(p), logprobs=True, max_tokens=1)[2]["choices"][0]["logprobs"]["content"][0]["logprob"]
              for p in (jpeg, turned, turned.replace(b"\x01\x12\0\x03\0\0\0\x01\0\x06", b"\x01\x12\0\x03\0\0\0\x01\0\x01"))]
    point(scores[0] == scores[2] != scores[1], "a picture is turned as its EXIF says", scores)
    usage = [s.chat(*p, max_tokens=1)[2]["usage"]["prompt_tokens"] for p in
             (["."], [".", picture()], [".", picture(), "Image 2:", picture(files[1])])]
    point(usage[2] - usage[1] == usage[1] - usage[0] > 49, "usage counts visual tokens, and those between which they stand",
          usage)
    before = s.metric("tern_pictures_reused_total")
    s.chat(picture())
    point(s.metric("tern_pictures_reused_total") == before + 1, "a picture that was seen is kept for the next turn")
    clip = {"type": "video_url", "video_url": {"url": data_url(HERE / "clip.mp4", "video/mp4")}}
    answer = s.chat(LONG, clip)
    frames = {"type": "video_url", "video_url": {"url": data_url(jpeg, "video/jpeg") + "," + base64.b64encode(jpeg).decode()}}
    point(answer[0] == 200 and len(text_of(answer)) > 10 and usage[1] < answer[2]["usage"]["prompt_tokens"] < 8 * 51 + 64
          and s.chat(frames)[0] == 200, "a clip, and frames of one", answer)
    point(begins_alike(s.chat(clip, max_tokens=2, logprobs=True), captioned("--max-tokens", 2, HERE / "clip.mp4")[0]),
          "is told as tern caption tells its window")


def check_turns(s):
    """A model that does not read is shown the newest pictures alone, through either door."""
    other, last = png_header(4, 4), (HERE / "street.jpg").read_bytes()
    alone = s.chat(picture(last))
    turns = [{"role": "user", "content": [picture(other)]}, {"role": "assistant", "content": "Black."},
             {"role": "user", "content": [picture(last)]}]
    again = s.call("/v1/chat/completions", {"messages": turns})
    point(text_of(again) == text_of(alone) and again[2]["usage"] == alone[2]["usage"]
          and text_of(s.chat(picture(other), picture(last))) != text_of(alone), "a picture of a second turn is told alone",
          again, alone)
    asked = s.call("/v1/chat/completions", {"messages": turns + [{"role": "assistant", "content": "A street."},
                                                                 {"role": "user", "content": "Is there a car?"}]})
    point(asked[2]["usage"] == alone[2]["usage"] and text_of(asked) == text_of(alone), "and for a question after it", asked)
    seen = s.metric("tern_pictures_total")
    broken = s.call("/v1/chat/completions", {"messages": [{"role": "user", "content": [picture(b"no picture")]}] + turns[1:]})
    point(broken[0] == 200 and text_of(broken) == text_of(alone) and s.metric("tern_pictures_total") == seen + 1,
          "earlier ones are not looked at", broken)
    images = [base64.b64encode(p).decode() for p in (other, last)]
    ollama = s.call("/api/chat", {"stream": False, "messages": [{"role": "user", "content": "x", "images": images[:1]}, turns[1],
                                                                {"role": "user", "content": "y", "images": images[1:]}]})
    point(ollama[2]["message"]["content"] == text_of(alone), "through Ollama's door, too", ollama)


def png_header(width, height):
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    rows = zlib.compress(b"\0" * (width * 3 + 1) * min(height, 4))
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
            + chunk(b"IDAT", rows) + chunk(b"IEND", b""))


def png(width, height):
    """Rows that are no two the same."""
    rows = b"".join(b"\0" + bytes((x * 37 + y * 101 + x * y) & 255 for x in range(width * 3)) for y in range(height))
    whole = png_header(width, height)
    start = whole.index(b"IDAT") - 4
    data = zlib.compress(rows)
    return (whole[:start] + struct.pack(">I", len(data)) + b"IDAT" + data + struct.pack(">I", zlib.crc32(b"IDAT" + data))
            + whole[-12:])


def check_open_ends(s):
    """Pictures of which only the mark of their end is not there are whole; a stream may end anywhere."""
    jpeg, clip, dots = (HERE / "street.jpg").read_bytes(), HERE / "clip.mp4", png(48, 32)
    data = dots[dots.index(b"IDAT") + 4:-16]
    half = png_header(48, 32)[:33] + struct.pack(">I", len(data) // 2) + b"IDAT" + data[:len(data) // 2] + bytes(4)     # of chunks
    for what, whole, cut, good in (("JPEG", jpeg, 2, True), ("JPEG", jpeg, 1, True), ("JPEG", jpeg, 3, False),
                                   ("JPEG", jpeg, 4, False), ("PNG", dots, 12, True), ("PNG", dots, 4, True),
                                   ("PNG", dots, 9, True),
                                   ("PNG", dots, 12 + 4 + 40, False), ("PNG", half, 0, False)):
        status, _, body = s.chat({"type": "image_url", "image_url": {"url": data_url(whole[:len(whole) - cut])}}, max_tokens=1)
        point(status == (200 if good else 400), f"a {what} without its last {cut} bytes", body)
    if not shutil.which("ffmpeg"):
        point(True, "MPEG-TS that ends within a packet", skip="no ffmpeg")
        return
    stream = subprocess.run(["ffmpeg", "-v", "error", "-i", clip, "-an", "-c:v", "mpeg2video", "-f", "mpegts", "-"],
                            capture_output=True, check=True).stdout
    for cut in 0, 88, len(stream) // 3 // 188 * 188, len(stream) // 3 // 188 * 188 + 100:
        part = stream[:len(stream) - cut]
        status, _, body = s.chat({"type": "video_url", "video_url": {"url": data_url(part, "video/mp2t")}}, max_tokens=1)
        point(status == 200, f"MPEG-TS that ends {cut} bytes early, {len(part) % 188} into a packet", body)


def check_bad_pictures(s):
    cases = {
        "an address": ({"url": "http://127.0.0.1/x.jpg"}, "fetches nothing"),
        "a file": ({"url": "file:///etc/passwd"}, "data URL"),
        "what is no picture": ({"url": data_url(b"#!/bin/sh\necho\n")}, "expected a picture"),
        "a playlist": ({"url": data_url(b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n")}, "expected a picture"),
        "no base64": ({"url": "data:image/png;base64,%%%"}, "base64"),
        "nothing": ({"url": "data:image/png;base64,"}, "nothing"),
        "a bomb": ({"url": data_url(png_header(30000, 30000))}, "million pixels"),
        "a video": ({"url": data_url(HERE / "clip.mp4")}, "expected a picture"),
        "no url": ({}, "data URL"),
    }
    jpeg, clip = ((HERE / name).read_bytes() for name in ("street.jpg", "clip.mp4"))
    for suffix in ("jpg", "webp", "gif", "avif"):
        whole = (HERE / f"street.{suffix}").read_bytes()
        cases[f"cut off ({suffix})"] = {"url": data_url(whole[:len(whole) * 2 // 3])}, ""
    cases["a JPEG that is cut off"] = {"url": data_url(jpeg[:len(jpeg) * 2 // 3])}, "cut off"
    cases["a JPEG without its last bytes"] = {"url": data_url(jpeg[:-40])}, "cut off"
    for what, url in (("a cut clip", data_url(clip[:len(clip) * 9 // 10])),
                      ("a cut frame", data_url(jpeg, "video/jpeg") + "," + base64.b64encode(jpeg[:3000]).decode())):
        status, _, body = s.chat({"type": "video_url", "video_url": {"url": url}})
        point(status == 400 and body["error"]["param"] == "messages[0].content[0].video_url.url", f"{what} is refused", body)
    for what, (url, words) in cases.items():
        status, _, body = s.chat({"type": "image_url", "image_url": url})
        error = body["error"]
        point(status == 400 and error["type"] == "invalid_request_error" and words in error["message"]
              and error["param"].startswith("messages[0].content[0].image_url"), f"a picture that is {what} is refused", body)


# ---- Answers ----

def check_stream(s):
    whole = s.chat(LONG, picture())
    status, headers, text = s.chat(LONG, picture(), stream=True, stream_options={"include_usage": True})
    got = events(text)
    deltas = [e["choices"][0]["delta"] for e in got[:-2]]
    point(status == 200 and headers["Content-Type"] == "text/event-stream" and got[-1] == "[DONE]"
          and deltas[0]["role"] == "assistant" and "".join(d.get("content", "") for d in deltas) == text_of(whole)
          and [e["choices"][0]["finish_reason"] for e in got[:-2]] == [None] * (len(got) - 3) + ["stop"]
          and got[-2]["choices"] == [] and got[-2]["usage"] == whole[2]["usage"]
          and len({e["id"] for e in got[:-1]}) == 1, "a stream says what the whole says, with usage at its end", text)
    got = events(s.chat(picture(), stream=True)[2])
    point(all("usage" not in e for e in got[:-1]), "without usage where nobody asked")


def check_forms(s):
    for n in range(4):
        answer = s.chat(LONG, *[picture()] * (n % 3 + 1), response_format=schema(REVIEW), temperature=.8 * (n > 0), seed=n)
        point(answer[0] == 200 and is_review(text_of(answer)) and answer[2]["choices"][0]["finish_reason"] == "stop",
              f"a recorder's review validates ({n})", answer)
    answer = s.chat(picture(), response_format={"type": "json_object"})
    point(isinstance(json.loads(text_of(answer)), dict), "json_object is an object", answer)
    status, _, body = s.chat(picture(), response_format=schema(REVIEW), max_tokens=20)
    point(status == 400 and body["error"]["param"] == "max_tokens" and "20" in body["error"]["message"],
          "a form that cannot be held is refused, not cut", body)
    status, _, body = s.chat(picture(), response_format=schema({"not": {}}))
    point(status == 400 and body["error"]["param"] == "response_format", "a schema that is not handled is refused", body)
    status, _, body = s.chat("Is there anybody?", response_format=schema(REVIEW))
    point(status == 400 and body["error"]["param"] == "messages", "a form about no picture is refused", body)
    point("describes pictures" in text_of(s.chat("Hi")), "a greeting is told what to send")
    status, _, body = s.chat(LONG)
    point(status == 400 and body["error"]["param"] == "messages", "a long text without a picture is not answered", body)


def check_other_forms(s):
    """As clients of llama.cpp and of vLLM ask for them."""
    digits, words = 'root ::= [0-9] [0-9]', ["no way", 'a "door" \\ street']
    box = {"type": "object", "properties": {"n": {"type": "integer", "minimum": 3, "maximum": 5}}, "required": ["n"],
           "additionalProperties": False}
    kept = {
        "grammar": (digits, lambda t: len(t) == 2 and t.isdigit()), "json_schema": (box, lambda t: 3 <= json.loads(t)["n"] <= 5),
        "guided_json": (json.dumps(box), lambda t: 3 <= json.loads(t)["n"] <= 5), "guided_choice": (words, words.__contains__),
        "guided_grammar": (digits, lambda t: len(t) == 2 and t.isdigit())}
    kept.update({f"structured_outputs.{name.removeprefix('guided_')}": form for name, form in kept.items() if "guided" in name})
    kept["structured_outputs.json_object"] = True, lambda t: isinstance(json.loads(t), dict)
    for name, (form, holds) in kept.items():
        outer, _, inner = name.partition(".")
        answer = s.chat(picture(), **{outer: {inner: form} if inner else form}, temperature=1)
        point(answer[0] == 200 and holds(text_of(answer)), f"{name} is kept", answer)
    said = text_of(s.chat(picture()))
    nothing = {"grammar": "", "json_schema": None, "guided_choice": None, "structured_outputs": {"json_object": False}}
    point(text_of(s.chat(picture(), **nothing)) == said, "none asks for nothing")
    for body, param in (({"guided_regex": "[0-9]"}, "guided_regex"),
                        ({"structured_outputs": {"regex": "x"}}, "structured_outputs.regex"),
                        ({"structured_outputs": {"structural_tag": "x"}}, "structured_outputs.structural_tag"),
                        ({"guided_choice": []}, "guided_choice"), ({"guided_choice": [1]}, "guided_choice"),
                        ({"grammar": "root ::= ["}, "grammar"), ({"grammar": 5}, "grammar"), ({"json_schema": 5}, "json_schema"),
                        ({"json_schema": {"not": {}}}, "json_schema"), ({"grammar": digits, "json_schema": box}, "grammar"),
                        ({"grammar": digits, "response_format": {"type": "json_object"}}, "grammar"),
                        ({"structured_outputs": {"choice": ["a"]}, "guided_choice": ["a"]}, "structured_outputs.choice"),
                        ({"grammar": digits, "tools": [LAMP], "tool_choice": "required"}, "tool_choice")):
        status, _, answer = s.chat(picture(), **body)
        point(status == 400 and answer["error"]["param"] == param, f"{json.dumps(body)[:70]} names {param}", answer)


def check_numbers(s):
    """A schema's numbers are said digit for digit: by no door as what json-glib or a double makes of them."""
    said = {}
    cases = ['{"enum":[18446744073709551615]}', '{"const":123456789012345678901}', '{"enum":[0.1]}',
             '{"const":-9223372036854775809}', '{"const":0.30000000000000004}',
             '{"const":1.50}', '{"const":1e-7}', '{"const":{"a":[12345678901234567890,0.7]}}']
    for text in cases:
        number = text[text.index(":") + 1:-1].strip("[]") if "enum" in text else text[9:-1]
        number = number.replace(",", ", ").replace(":", ": ")
        body = {"messages": [{"role": "user", "content": [picture()]}], "max_tokens": 64}
        said["response_format"] = s.call("/v1/chat/completions", json.dumps(
            {**body, "response_format": schema("@")}).replace('"@"', text).encode())
        said["json_object"] = s.call("/v1/chat/completions", json.dumps({**body, "response_format": {
            "type": "json_object", "schema": "@"}}).replace('"@"', text).encode())
        image = base64.b64encode((HERE / "street.jpg").read_bytes()).decode()
        said["format"] = s.call("/api/chat", json.dumps({"messages": [{"role": "user", "content": "x", "images": [image]}],
                                                         "format": "@", "stream": False}).replace('"@"', text).encode())
        tool = {"type": "function", "function": {"name": "f", "parameters": {
            "type": "object", "properties": {"n": "@"}, "required": ["n"], "additionalProperties": False}}}
        said["tools"] = s.call("/v1/chat/completions", json.dumps({**body, "tools": [tool], "tool_choice": "required"}).replace(
            '"@"', text).encode())
        try:
            got = [text_of(said["response_format"]), text_of(said["json_object"]), said["format"][2]["message"]["content"],
                   said["tools"][2]["choices"][0]["message"]["tool_calls"][0]["function"]["arguments"]]
        except KeyError:
            got = []
        point(got[:3] == [number] * 3 and got[3].replace(" ", "") == '{"n":%s}' % number.replace(" ", ""),
              f"{text} is said digit for digit", got, said)
    bounds = ['{"type":"number","exclusiveMinimum":0,"exclusiveMaximum":%s}' % n for n in ("0.9", "0.3", "0.7")] + [
        '{"type":"integer","minimum":9223372036854775800,"maximum":9223372036854775807}']
    form = json.dumps({"messages": [{"role": "user", "content": [picture()]}], "response_format": schema("@")})
    for text in bounds:
        answer = s.call("/v1/chat/completions", form.replace('"@"', text).encode())
        bound = json.loads(text)
        point(answer[0] == 200 and bound.get("exclusiveMinimum", bound.get("minimum", 0) - 1) < json.loads(text_of(answer))
              < bound.get("exclusiveMaximum", bound.get("maximum", 0) + 1), f"{text} is held", answer)
    beyond = s.call("/v1/chat/completions", form.replace('"@"', '{"type":"integer","minimum":18446744073709551615}').encode())
    point(beyond[0] == 400 and "64 bits" in beyond[2]["error"]["message"], "a range beyond 64 bits is refused as such", beyond)
    for mark in ("\ufdd0", "\\uFDD0"):
        text = '{"messages": [{"role": "user", "content": "%s-1"}]}' % mark
        point(s.call("/v1/chat/completions", text.encode())[0] == 400, f"{text!a}: no text passes for a number")
    asked = [s.chat(picture(), **{name: "@"})[0] for name in ("temperature", "seed", "max_tokens")]
    point(asked == [400] * 3, "a text is no number", asked)
    numbers = '{"messages": [{"role": "user", "content": "Hi"}], "temperature": 5e-1, "max_tokens": 3.0, "seed": 1e3, "n": 1.0}'
    point(s.call("/v1/chat/completions", numbers.encode())[0] == 200, "numbers of any spelling")


def check_scores(s):
    choice = s.chat(picture(), logprobs=True, top_logprobs=3, max_tokens=4)[2]["choices"][0]
    tokens = choice["logprobs"]["content"]
    point(len(tokens) == 4 and "".join(t["token"] for t in tokens) == choice["message"]["content"]
          and all(t["logprob"] == t["top_logprobs"][0]["logprob"] for t in tokens)
          and all(bytes(t["bytes"]).decode() == t["token"] and len(t["top_logprobs"]) == 3 for t in tokens)
          and all(a["logprob"] >= b["logprob"] for t in tokens for a, b in zip(t["top_logprobs"], t["top_logprobs"][1:])),
          "logprobs: greedy says the likeliest", choice)
    got = events(s.chat(picture(), logprobs=True, stream=True, max_tokens=4)[2])
    streamed = [t for e in got[:-1] for t in (e["choices"][0]["logprobs"] or {}).get("content", [])]
    point([t["logprob"] for t in streamed] == [t["logprob"] for t in tokens], "the same in a stream", streamed)


def check_stop(s):
    whole = text_of(s.chat(picture()))
    word = whole.split()[2]
    answer = s.chat(picture(), stop=[word, "zzz"])
    point(text_of(answer) == whole[:whole.index(word)] and answer[2]["choices"][0]["finish_reason"] == "stop",
          "an answer ends before a stop text", answer)
    streamed = events(s.chat(picture(), stop=word, stream=True)[2])
    point("".join(e["choices"][0]["delta"].get("content", "") for e in streamed[:-1]) == whole[:whole.index(word)],
          "and nothing of it is streamed", streamed)
    drawn = [text_of(s.chat(picture(), temperature=1.5, seed=n)) for n in (1, 1, 2, 3, 4)]
    point(drawn[0] == drawn[1] and len(set(drawn)) > 2, "same seed, same text", drawn)
    drawn = [{text_of(s.chat(picture(), temperature=1.5, **more)) for _ in range(4)} for more in ({}, {"seed": -1}, {"seed": 0})]
    point([len(d) > 1 for d in drawn] == [True, True, False], "no seed, or -1: another one each time", drawn)
    drawn = [text_of(s.chat(picture(), temperature=1.5, seed=n)) for n in (2 ** 63, 2 ** 63, 2 ** 64 - 1, 2 ** 63 + 1, 1 - 2 ** 63)]
    point(drawn[0] == drawn[1] and len(set(drawn)) > 2, "seeds have 64 bits, with a sign or without one", drawn)
    refused = [s.chat(picture(), seed=n) for n in (2 ** 64, -2 ** 63 - 1, .5)]
    point([r[0] for r in refused] == [400] * 3 and all(r[2]["error"]["param"] == "seed" for r in refused),
          "and no more than that", refused)
    short = s.chat(picture(), max_completion_tokens=2, max_tokens=9)
    point(short[2]["usage"]["completion_tokens"] == 2 and short[2]["choices"][0]["finish_reason"] == "length",
          "max_completion_tokens goes before max_tokens", short)


def check_refused(s):
    good = {"messages": [{"role": "user", "content": "x"}]}
    cases = [({"messages": []}, "messages"), ({}, "messages"), ({"messages": "x"}, "messages"),
             ({"messages": [{"role": "king", "content": "x"}]}, "messages[0].role"),
             ({"messages": [{"role": "user"}]}, "messages[0].content"),
             ({"messages": [{"role": "user", "content": [{"type": "input_audio"}]}]}, "messages[0].content[0].type"),
             ({"messages": [{"role": "user", "content": [{"type": "text"}]}]}, "messages[0].content[0].text"),
             ({**good, "n": 2}, "n"), ({**good, "temperature": "hot"}, "temperature"), ({**good, "temperature": 3}, "temperature"),
             ({**good, "top_p": -1}, "top_p"), ({**good, "max_tokens": 0}, "max_tokens"),
             ({**good, "max_tokens": 1.5}, "max_tokens"),
             ({**good, "stop": [1]}, "stop"), ({**good, "stop": [""]}, "stop"), ({**good, "seed": "a"}, "seed"),
             ({**good, "stream": "yes"}, "stream"), ({**good, "logprobs": 3}, "logprobs"),
             ({**good, "top_logprobs": 2}, "logprobs"), ({**good, "logprobs": True, "top_logprobs": 21}, "top_logprobs"),
             ({**good, "audio": {"voice": "x"}}, "audio"), ({**good, "modalities": ["audio"]}, "modalities"),
             ({**good, "frequency_penalty": 1}, "frequency_penalty"), ({**good, "logit_bias": {"1": 5}}, "logit_bias"),
             ({**good, "response_format": {"type": "xml"}}, "response_format.type"),
             ({**good, "response_format": {"type": "json_schema"}}, "response_format.json_schema"),
             ({**good, "tools": [{}]}, "tools[0].function"), ({**good, "tool_choice": "maybe"}, "tool_choice"),
             ({**good, "tool_choice": "required"}, "tools"), ({**good, "functions": []}, "functions")]
    for body, param in cases:
        status, headers, answer = s.call("/v1/chat/completions", body)
        error = answer["error"]
        point(status == 400 and error["param"] == param and param.split(".")[-1].split("[")[0] in error["message"]
              and headers["Content-Type"] == "application/json", f"{json.dumps(body)[:70]} names {param}", answer)
    for body, words in ((b"", "nothing"), (b"{", "JSON"), (b"[1]", "object"), (b'{"a": "\xff"}', "UTF-8"), (b"[" * 5000, "nested"),
                        (b'{"messages": "a\\u0000"}', "U+0000"), (b"// x\n{}", "slash")):
        status, _, answer = s.call("/v1/chat/completions", body)
        point(status == 400 and words in answer["error"]["message"], f"{body[:12]!r} is refused", answer)
    status, _, answer = s.call("/v1/chat/completions", {**good, "model": "gpt-4o"})
    point(status == 404 and answer["error"]["code"] == "model_not_found", "another model's name", answer)
    point(all(s.call("/chat/completions", {**good, "model": m})[0] == 200 for m in
              ("tern-captioner-4m", "tern-captioner-4m:latest", "tern", "", None)), "its own names")
    ignored = {"user": "me", "store": True, "metadata": {}, "frequency_penalty": 0, "logit_bias": {}, "n": 1, "x": [1],
               "parallel_tool_calls": True, "timings_per_token": True, "max_tokens": -1, "top_k": 40}
    point(s.call("/v1/chat/completions", {**good, **ignored})[0] == 200, "what is not known is not looked at")
    many = s.chat(*[picture()] * 64, picture(), max_tokens=1)
    point(many[0] == 400 and "64" in many[2]["error"]["message"], "too many pictures", many)


# ---- Ollama's door ----

def check_ollama(s):
    image = base64.b64encode((HERE / "street.jpg").read_bytes()).decode()
    told = text_of(s.chat(picture()))
    point("version" in s.call("/api/version")[2], "GET /api/version")
    point(s.call("/api/tags")[2]["models"][0]["name"] == "tern-captioner-4m", "GET /api/tags")
    shown = s.call("/api/show", {"model": "tern-captioner-4m"})[2]
    point("vision" in shown["capabilities"] and "error" not in shown, "POST /api/show", shown)
    point(s.call("/api/show", {"model": "x"})[::2] == (404, {"error": 'model: expected tern-captioner-4m, found "x"'}),
          "errors are Ollama's there")
    answer = s.call("/api/generate", {"model": "tern-captioner-4m", "prompt": LONG, "images": [image], "stream": False})[2]
    point(answer["response"] == told and answer["done"] and answer["done_reason"] == "stop" and answer["eval_count"] > 3,
          "POST /api/generate", answer)
    _, headers, text = s.call("/api/chat", {"model": "tern-captioner-4m:latest", "messages": [
        {"role": "user", "content": "What is it?", "images": [image]}], "options": {"num_ctx": 8192}})
    lines = [json.loads(line) for line in text.splitlines()]
    point(headers["Content-Type"] == "application/x-ndjson" and "".join(li["message"]["content"] for li in lines) == told
          and [li["done"] for li in lines] == [False] * (len(lines) - 1) + [True], "POST /api/chat streams lines", text)
    answer = s.call("/api/chat", {"messages": [{"role": "user", "content": "x", "images": [image]}], "stream": False,
                                  "format": REVIEW})[2]
    point(is_review(answer["message"]["content"]), "with a schema", answer)
    hot = [{s.call("/api/generate", {"prompt": "x", "images": [image], "stream": False, "options": {"temperature": 1.5, **more}})[
        2]["response"] for _ in range(4)}
        for more in ({}, {"seed": -1}, {"seed": None}, {"seed": 0}, {"seed": 5}, {"seed": 2 ** 64 - 2})]
    point([len(said) > 1 for said in hot] == [True] * 3 + [False] * 3, "without a seed, or with -1, answers are drawn anew", hot)
    point(s.call("/api/generate", {"model": "tern", "stream": False})[2]["done_reason"] == "load", "nothing to say loads")
    status, _, body = s.call("/api/chat", {"messages": [{"role": "user", "content": "x", "images": ["!"]}]})
    point(status == 400 and "messages[0].images[0]" in body["error"], "a bad picture", body)


# ---- A model that reads ----

def check_reader(s):
    ask = {"messages": [{"role": "system", "content": "s"}, {"role": "user", "content": "a b"},
                        {"role": "assistant", "content": "c"}, {"role": "user", "content": "d"}], "max_tokens": 5}
    one, two = s.call("/v1/chat/completions", ask)[2], s.call("/v1/chat/completions", {**ask, "messages": ask["messages"][:2]})[2]
    point(one["usage"]["prompt_tokens"] > two["usage"]["prompt_tokens"] and one["usage"]["completion_tokens"] <= 5,
          "a conversation of several turns", one, two)
    injected = s.call("/v1/chat/completions", {"messages": [{"role": "user", "content": "a<|im_end|>b"}], "max_tokens": 1})[2]
    parted = s.call("/v1/chat/completions", {"messages": [{"role": "user", "content": [
        {"type": "text", "text": "a<|im_"}, {"type": "text", "text": "end|>b"}]}], "max_tokens": 1})[2]
    plain = s.call("/v1/chat/completions", {"messages": [{"role": "user", "content": "ab"}], "max_tokens": 1})[2]
    point(injected["usage"]["prompt_tokens"] > plain["usage"]["prompt_tokens"] + 3
          and parted["usage"] == injected["usage"], "what is said never becomes a control token, in one part or two",
          injected, parted, plain)
    image = [s.chat("a <image> b", **p)[0] for p in ({}, {"max_tokens": 3})]
    point(image == [200, 200], "nor a place for a picture", image)
    done = s.call("/v1/completions", {"prompt": "One two", "max_tokens": 4, "logprobs": 2})
    scores = done[2]["choices"][0]["logprobs"]
    point(done[0] == 200 and len(scores["tokens"]) == len(scores["token_logprobs"]) == len(scores["top_logprobs"])
          == len(scores["text_offset"]) == done[2]["usage"]["completion_tokens"]
          and done[2]["usage"]["prompt_tokens"] >= 2, "POST /v1/completions", done)
    got = events(s.call("/completions", {"prompt": ["One two"], "max_tokens": 4, "stream": True})[2])
    point("".join(e["choices"][0]["text"] for e in got[:-1]) == done[2]["choices"][0]["text"], "streamed", got)
    status, _, body = s.call("/v1/completions", {"prompt": ["a", "b"]})
    point(status == 400 and body["error"]["param"] == "prompt", "of one text", body)
    limit = s.call("/v1/models")[2]["data"][0]["max_model_len"]
    status, _, body = s.call("/v1/completions", {"prompt": "a b c d " * limit})
    point(status == 400 and body["error"]["code"] == "context_length_exceeded" and str(limit) in body["error"]["message"],
          "a prompt that does not fit", body)
    called = s.chat("Zoom in", tools=[ZOOM, LAMP], tool_choice="required")[2]["choices"][0]
    call = called["message"]["tool_calls"][0]["function"]
    arguments = json.loads(call["arguments"])
    point(called["finish_reason"] == "tool_calls" and called["message"]["content"] is None
          and (call["name"], 1 <= arguments.get("factor", 0) <= 8) in (("zoom", True), ("lamp", False)),
          "tool_choice: required is kept", called)
    named = s.chat("Zoom in", tools=[ZOOM, LAMP], tool_choice={"type": "function", "function": {"name": "lamp"}})
    point(named[2]["choices"][0]["message"]["tool_calls"][0]["function"] == {"name": "lamp", "arguments": "{}"},
          "and a function that is named", named)
    got = events(s.chat("Zoom in", tools=[ZOOM], tool_choice="required", stream=True)[2])
    last = got[-2]["choices"][0]
    point(last["finish_reason"] == "tool_calls" and last["delta"]["tool_calls"][0]["function"]["name"] == "zoom", "streamed", got)
    point(s.chat("x", tools=[ZOOM], tool_choice="none", max_tokens=3)[0] == 200
          and s.chat("x", tools=[ZOOM], max_tokens=3)[0] == 200, "tool_choice: none and auto")


THINKS = """{{- bos_token -}}{%- for m in messages -%}{{- '<|im_start|>' + m.role + '\\n' -}}{%- if m.reasoning_content -%}{{-
m.reasoning_content -}}{%- endif -%}{{- m.content + '<|im_end|>\\n' -}}{%- endfor -%}{%- if add_generation_prompt -%}{{-
'<|im_start|>assistant\\n<think>\\n' -}}{%- if enable_thinking is defined and enable_thinking is false -%}{{-
'\\n</think>\\n\\n' -}}{%- endif -%}{%- endif -%}"""


def tool(*arguments, text=None):
    return subprocess.run([TERN, *map(str, arguments)], input=text, capture_output=True, text=True, check=True).stdout


def thinker(path, close):
    """The reader with thoughts in its vocabulary; @close, a token's id, ends one."""
    keys = json.loads(tool("inspect", "--json", READER))["keys"]
    tokens, types = keys["tokenizer.ggml.tokens"], keys["tokenizer.ggml.token_type"]
    for text, token in (("<think>", tokens.index("<|reserved_0|>")), ("</think>", close)):
        tokens[token], types[token] = text, 4
    add_keys(READER, path, {"tokenizer.ggml.tokens": (STRING, tokens), "tokenizer.ggml.token_type": (I32, types),
                            "tokenizer.chat_template": (STRING, THINKS)})
    return path


def greedy(model, folder, words, n):
    """What the model says first to a user's words, as ids; and those of the prompt."""
    messages, ids = folder / "messages.json", folder / "ids.txt"
    messages.write_text(json.dumps({"messages": [{"role": "user", "content": words}], "add_generation_prompt": True,
                                    "bos_token": "<|startoftext|>"}))
    ids.write_text(tool("tokenize", "--special", "--no-bos", "--model", model, text=tool(
        "prompt", "--model", model, "--messages", messages).removesuffix("\n") + "\n"))
    said = tool("logits", "--model", model, "--tokens", ids, "--output", folder / "l.npy", "--greedy", n).splitlines()[-1]
    return [int(i) for i in said.split()], [int(i) for i in ids.read_text().split()]


def check_thoughts(folder):
    """Apart from the answer through each door; none beside a form; none in calls."""
    endless = thinker(folder / "endless.gguf", 15)
    said, prompt = greedy(endless, folder, "Hello", 24)
    n = next(i for i in range(4, 24) if said[i] > 600 and said[i] not in said[:i] + prompt)        # no single byte
    ends = thinker(folder / "ends.gguf", said[n])
    with server(TERN, "--model", endless, "--threads", 2) as s:
        whole = s.chat("Hello", max_tokens=24)[2]["choices"][0]
        point(whole["message"]["content"] == "" and whole["finish_reason"] == "length",
              "a thought that does not end is no answer", whole)
    with server(TERN, "--model", ends, "--threads", 2) as s:
        answer = s.chat("Hello", max_tokens=24)[2]
        thought, text = (answer["choices"][0]["message"][m] for m in ("reasoning_content", "content"))
        point(thought and text and "think>" not in thought + text and answer["usage"]["completion_tokens"] == 24
              and whole["message"]["reasoning_content"].startswith(thought) and thought == thought.strip(),
              "a thought is told beside the answer", answer, whole)
        got = events(s.chat("Hello", max_tokens=24, stream=True)[2])
        deltas = [e["choices"][0]["delta"] for e in got[:-1]]
        point("".join(d.get("reasoning_content", "") for d in deltas) == thought
              and "".join(d.get("content", "") for d in deltas) == text, "streamed", got)
        got = events(s.chat("Hello", max_tokens=24, stream=True, tools=[ZOOM], tool_choice="auto")[2])
        point("think>" not in json.dumps(got), "with tools, too", got)
        scores = s.chat("Hello", max_tokens=24, logprobs=True)[2]["choices"][0]
        tokens = [t["token"] for t in scores["logprobs"]["content"]]
        point(text.startswith(tokens[0].strip()) and len(tokens) in (22 - n, 23 - n), "logprobs are of the answer", scores)
        ollama = {"messages": [{"role": "user", "content": "Hello"}], "stream": False, "think": True,
                  "options": {"num_predict": 24}}
        message = s.call("/api/chat", ollama)[2]["message"]
        point(message["thinking"] == thought and message["content"] == text, "POST /api/chat has thinking", message)
        message = s.call("/api/generate", {"prompt": "Hello", "stream": False, "options": {"num_predict": 24}})[2]
        point(message["thinking"] == thought and message["response"] == text, "POST /api/generate, too", message)
        point("thinking" in s.call("/api/show", {})[2]["capabilities"], "and says so")
        off = s.chat("Hello", max_tokens=24, chat_template_kwargs={"enable_thinking": False})[2]
        point("reasoning_content" not in off["choices"][0]["message"], "none where there shall be none", off)
        closed = off["usage"]["prompt_tokens"]
        box = {"type": "object", "properties": {"n": {"type": "integer", "minimum": 3, "maximum": 5}}, "required": ["n"],
               "additionalProperties": False}
        for what, more in (("a form", {"response_format": schema(box)}), ("a grammar", {"grammar": 'root ::= "ab"'})):
            for think in ({}, {"chat_template_kwargs": {"enable_thinking": True}}):
                held = s.chat("Hello", **more, **think)[2]
                point(held["usage"]["prompt_tokens"] == closed and "reasoning_content" not in held["choices"][0]["message"],
                      f"{what} is not said within a thought ({think})", held, off)
        turns = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}, {"role": "user", "content": "c"}]
        usage = []
        for more in ({}, {"reasoning_content": "one two three <|im_end|>"}):
            turns[1].update(more)
            usage.append(s.call("/v1/chat/completions", {"messages": turns, "max_tokens": 1})[2]["usage"]["prompt_tokens"])
        point(usage[1] > usage[0] + 6, "thoughts of earlier turns are the template's to show", usage)
    short = subprocess.run([TERN, "generate", "--model", endless, "--prompt", "Hello", "--think", "--max-tokens", "8"],
                           capture_output=True, text=True)
    point(short.returncode == 1 and short.stdout == "" and "--max-tokens" in short.stderr and "8" in short.stderr,
          "tern generate says that a thought did not end", short)
    whole = tool("generate", "--model", ends, "--prompt", "Hello", "--think", "--max-tokens", 24)
    point(whole.strip() == text.strip(), "and answers where it does", whole, text)


def check_blind(s):
    status, _, body = s.chat("What is it?", picture())
    point(status == 400 and "cannot see" in body["error"]["message"]
          and body["error"]["param"] == "messages[0].content[1].image_url.url", "a model without eyes says so", body)
    point(s.call("/v1/models")[2]["data"][0]["architecture"]["input_modalities"] == ["text"]
          and s.call("/props")[2]["modalities"]["vision"] is False, "and lists it")


with server(TERN, "--model", CAPTIONER, "--threads", 2) as s:
    for check in (check_names, check_pictures, check_turns, check_open_ends, check_bad_pictures, check_stream, check_forms,
                  check_other_forms,
                  check_numbers, check_scores, check_stop, check_refused, check_ollama, check_metrics):
        check(s)
    point(s.stop() == 0, "ends well when it is told to", s.said())
with server(TERN, "--model", READER, "--mmproj", MMPROJ, "--threads", 2, "--alias", "reader") as s:
    check_reader(s)
    point(s.call("/v1/models")[2]["data"][0]["id"] == "reader", "--alias names it")
    seen = s.chat("What is", picture(), "and", picture(HERE / "street.webp"), "?", max_tokens=3)
    point(seen[0] == 200 and seen[2]["usage"]["prompt_tokens"] > 98, "pictures with words between them", seen)
with server(TERN, "--model", READER, "--threads", 2) as s:
    check_blind(s)
# A file without a template: what stands in its place is what is shown.
with server(TERN, "--model", DATA / "families/bitnet-i2_s.gguf", "--threads", 2) as s:
    props, shown = s.call("/props")[2], s.call("/api/show", {"model": "bitnet-i2_s"})[2]
    point("message.content" in props["chat_template"] and props["chat_template"] == shown["template"]
          and "tokenizer.chat_template: found none" in s.said(), "GET /props shows the template that is used", props, s.said())
with tempfile.TemporaryDirectory() as folder:
    check_thoughts(pathlib.Path(folder))
plan()
