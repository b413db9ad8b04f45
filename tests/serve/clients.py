# SPDX-License-Identifier: LGPL-2.1-or-later
"""Real clients: PyPI's `openai` and `ollama`, and curl as docs/serve.md has it, with `tern serve`; skipped where they are not
installed. Prints TAP.

usage: clients.py TERN MODELS_FOLDER DATA_FOLDER
"""
import asyncio
import base64
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
from server import HERE, picture, server, text_of  # noqa: E402
from tap import plan, point  # noqa: E402

TERN, MODELS, DATA = os.path.abspath(sys.argv[1]), pathlib.Path(sys.argv[2]).resolve(), pathlib.Path(sys.argv[3]).resolve()
CAPTIONER = ["--model", MODELS / "tern-captioner-4m-tq2_0.gguf", "--prompt", "ignored", "--threads", 2]
NAME = "tern-captioner-4m"
PERSON = {"type": "object", "properties": {"people": {"type": "integer", "minimum": 0, "maximum": 9},
                                           "what": {"type": "string", "minLength": 5, "maxLength": 60}},
          "required": ["people", "what"], "additionalProperties": False}
TOOL = {"type": "function", "function": {"name": "tell", "description": "Tells the owner.", "parameters": {
    "type": "object", "properties": {"text": {"type": "string", "maxLength": 80}}, "required": ["text"],
    "additionalProperties": False}}}


def user(*parts):
    return [{"role": "user", "content": [{"type": "text", "text": p} if isinstance(p, str) else p for p in parts]}]


def check_openai(openai, address, key):
    client = openai.OpenAI(base_url=address + "/v1", api_key=key, max_retries=0)
    point([m.id for m in client.models.list()] == [NAME], "openai: models")
    point(client.models.retrieve(NAME).id == NAME, "openai: a model by its name")
    chat = client.chat.completions.create(model=NAME, messages=user("What is it?", picture()))
    point(len(chat.choices[0].message.content) > 5 and chat.usage.total_tokens > 50, "openai: a chat", chat)
    several = client.chat.completions.create(model=NAME, max_tokens=20, messages=user(
        "Image 1:", picture(), "Image 2:", picture(HERE / "street.webp", "image/webp"), "What happens?"))
    point(several.usage.prompt_tokens > chat.usage.prompt_tokens + 49, "openai: several images", several)
    stream = client.chat.completions.create(model=NAME, messages=user(picture()), stream=True,
                                            stream_options={"include_usage": True})
    pieces = list(stream)
    point("".join(p.choices[0].delta.content or "" for p in pieces if p.choices) == chat.choices[0].message.content
          and pieces[-1].usage.completion_tokens == chat.usage.completion_tokens, "openai: a stream", pieces)
    form = client.chat.completions.create(model=NAME, messages=user(picture()), response_format={
        "type": "json_schema", "json_schema": {"name": "person", "strict": True, "schema": PERSON}})
    answer = json.loads(form.choices[0].message.content)
    point(set(answer) == {"people", "what"} and 0 <= answer["people"] <= 9 and 5 <= len(answer["what"]) <= 60,
          "openai: a schema", answer)
    call = client.chat.completions.create(model=NAME, messages=user(picture()), tools=[TOOL], tool_choice="required")
    function = call.choices[0].message.tool_calls[0].function
    point(call.choices[0].finish_reason == "tool_calls" and function.name == "tell"
          and len(json.loads(function.arguments)["text"]) <= 80, "openai: a tool", call)
    scored = client.chat.completions.create(model=NAME, messages=user(picture()), logprobs=True, top_logprobs=2, max_tokens=3)
    tokens = scored.choices[0].logprobs.content
    point(len(tokens) == 3 and tokens[0].logprob <= 0 and len(tokens[0].top_logprobs) == 2, "openai: logprobs", scored)
    try:
        openai.OpenAI(base_url=address + "/v1", api_key="wrong", max_retries=0).models.list()
        point(False, "openai: a wrong key")
    except openai.AuthenticationError as error:
        point("Bearer" in str(error), "openai: a wrong key", error)
    try:
        client.chat.completions.create(model=NAME, messages=user(picture()), n=3)
        point(False, "openai: what is not done here")
    except openai.BadRequestError as error:
        point(error.param == "n" and error.type == "invalid_request_error", "openai: what is not done here", error)
    stream = client.chat.completions.create(model=NAME, messages=user(picture()), stream=True, temperature=1)
    next(iter(stream))
    stream.close()
    parsed = client.chat.completions.create(model=NAME, messages=user("Hi"))
    point(parsed.choices[0].message.content, "openai: after a stream that was given up")
    asyncio.run(check_async(openai, address, key))


async def check_async(openai, address, key):
    async with openai.AsyncOpenAI(base_url=address + "/v1", api_key=key, max_retries=0) as client:
        chats = [client.chat.completions.create(model=NAME, messages=user(picture()), max_tokens=8) for _ in range(12)]
        answers = {c.choices[0].message.content for c in await asyncio.gather(*chats)}
        point(len(answers) == 1, "openai: twelve at once say the same", answers)


def check_ollama(ollama, address, key):
    client = ollama.Client(host=address, headers={"Authorization": f"Bearer {key}"})
    image = base64.b64encode((HERE / "street.jpg").read_bytes()).decode()
    point(client.list().models[0].model == NAME, "ollama: list")
    point("vision" in client.show(NAME).capabilities, "ollama: show")
    whole = client.generate(NAME, "What is it?", images=[image])
    point(len(whole.response) > 5 and whole.done_reason == "stop", "ollama: generate", whole)
    pieces = list(client.chat(NAME, [{"role": "user", "content": "What?", "images": [image]}], stream=True))
    point("".join(p.message.content for p in pieces) == whole.response and pieces[-1].done, "ollama: a streamed chat", pieces)
    formed = client.chat(NAME, [{"role": "user", "content": "What?", "images": [image]}], format=PERSON)
    point(set(json.loads(formed.message.content)) == {"people", "what"}, "ollama: a schema", formed)


def check_curl(folder):
    """A picture of more bytes than an argument may have (128 KiB): comments make it so."""
    if not shutil.which("curl"):
        point(True, "curl", skip="it is not installed")
        return
    small = (HERE / "street.jpg").read_bytes()
    pathlib.Path(folder, "porch.jpg").write_bytes(small[:2] + 4 * (b"\xff\xfe\xea\x62" + bytes(60000)) + small[2:])
    text = (HERE.parent.parent.parent / "docs/serve.md").read_text()
    command = re.search(r"^\{ printf.*?-d @-$", text, re.M | re.S).group()
    with server(TERN, *CAPTIONER) as s:
        run = subprocess.run(["sh", "-c", command.replace("http://127.0.0.1:8080", s.address)], cwd=folder, capture_output=True,
                             text=True)
        plain = s.chat(picture())
    point(run.returncode == 0 and run.stdout and text_of((0, 0, json.loads(run.stdout))) == text_of(plain),
          "curl as it is documented, with a large picture", run.returncode, run.stdout, run.stderr[-500:], plain)


with tempfile.TemporaryDirectory() as folder:
    check_curl(folder)
    keys = pathlib.Path(folder, "keys")
    keys.write_text("sesame\n")
    for name, check in (("openai", check_openai), ("ollama", check_ollama)):
        try:
            module = __import__(name)
        except ImportError:
            point(True, f"the client {name}", skip=f"PyPI's {name} is not installed")
            continue
        with server(TERN, *CAPTIONER, "--api-key-file", keys) as s:
            check(module, s.address, "sesame")
plan()
