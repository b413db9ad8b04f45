# SPDX-License-Identifier: LGPL-2.1-or-later
"""`tern serve --draft-model`: every answer is what it is without, whatever is asked and whoever guesses; what cannot guess is
refused by name. Prints TAP.

usage: drafts.py TERN DATA_FOLDER         (tests/golden/data)
"""
import os
import pathlib
import subprocess
import sys
import threading

sys.dont_write_bytecode = True
from server import events, picture, server  # noqa: E402
from tap import patience, plan, point  # noqa: E402

TERN, DATA = os.path.abspath(sys.argv[1]), pathlib.Path(sys.argv[2]).resolve()
# Random weights: what they say means nothing.
MODEL, MMPROJ = DATA / "lfm2/lfm2-tq2_0.gguf", DATA / "lfm2vl/mmproj-ship-q8_0.gguf"
OTHER = DATA / "families/bitnet-tq1_0.gguf"     # another vocabulary
COLOURS = {"type": "json_schema", "json_schema": {"name": "a", "strict": True, "schema": {
    "type": "array", "items": {"enum": ["red", "blue"]}, "minItems": 5, "maxItems": 7}}}


def chat(s, *parts, **more):
    status, _, body = s.chat(*parts, **more)
    said = body["choices"][0]
    return status, said["message"], said["finish_reason"], said.get("logprobs"), body["usage"]


def complete(s, **more):
    status, _, body = s.call("/v1/completions", {"prompt": "One two three", **more})
    said = body["choices"][0]
    return status, said["text"], said["finish_reason"], said.get("logprobs"), body["usage"]


def streamed(s, **more):
    got = events(s.call("/v1/completions", {"prompt": "One two three", "stream": True, **more})[2])
    return "".join(e["choices"][0]["text"] for e in got[:-1] if e["choices"]), got[-2]["choices"][0]["finish_reason"], got[-1]


def asked(s):
    """{what: answer} of all that is compared."""
    found = {"a text": complete(s, max_tokens=60), "a text, drawn": complete(s, max_tokens=60, temperature=1.2, seed=3),
             "a stream": streamed(s, max_tokens=60), "a chat": chat(s, "What is it?", max_tokens=40),
             "a picture": chat(s, "What is", picture(), "?", max_tokens=30),
             "a form": chat(s, "Which?", max_tokens=60, response_format=COLOURS),
             "logprobs": complete(s, max_tokens=20, logprobs=2)}
    text = found["a text"][1]
    for i in range(8, len(text) - 3, 17):
        found[f"a text up to {text[i:i + 3]!r}"] = complete(s, max_tokens=60, stop=[text[i:i + 3]])
        found[f"a stream up to {text[i:i + 3]!r}"] = streamed(s, max_tokens=60, stop=[text[i:i + 3]])
    return found


def check_same(s, plain, who):
    drafted = asked(s)
    wrong = {what: (answer, drafted.get(what)) for what, answer in plain.items() if drafted.get(what) != answer}
    point(not wrong and len(plain) > 10, f"{who} guesses, and {len(plain)} answers are the same, to the token", wrong)
    guesses, right = s.metric("tern_draft_tokens_total"), s.metric("tern_draft_tokens_right_total")
    point(guesses > 0 and 0 <= right <= guesses, "guesses are counted", guesses, right)
    return right


def check_timings(s):
    body = s.call("/v1/completions", {"prompt": "One two three", "max_tokens": 60})[2]
    timings = body["timings"]
    point(0 < timings["draft_n_accepted"] <= timings["draft_n"], "and told as llama.cpp tells them", timings)


def check_crowd(s, plain):
    """Many at once, whose drafts are each other's before and after."""
    answers = {}

    def ask(n):
        answers[n] = [complete(s, max_tokens=60)[:3] for _ in range(3)]
    threads = [threading.Thread(target=ask, args=(n,)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(patience(120))
    point(len(answers) == 6 and all(a == plain["a text"][:3] for list_ in answers.values() for a in list_),
          "six at once get the same", answers)


def refused(what, words, status, *args):
    run = subprocess.run([TERN, "serve", "--listen", "127.0.0.1:0", "--model", MODEL, *map(str, args)], capture_output=True,
                         text=True, timeout=patience(60))
    point(run.returncode == status and all(word in run.stderr for word in words), what, run.returncode, run.stderr)


with server(TERN, "--model", MODEL, "--mmproj", MMPROJ, "--threads", 2) as s:
    plain = asked(s)
    again = asked(s)
    point(plain == again, "answers do not depend on what was asked before", plain, again)
    point(s.metric("tern_draft_tokens_total") == 0, "without a draft nobody guesses")
for who, *args in (("the model itself", MODEL), ("another vocabulary", OTHER, "--draft-vocabulary", "slem"),
                   ("another vocabulary", OTHER, "--draft-vocabulary", "tli")):
    with server(TERN, "--model", MODEL, "--mmproj", MMPROJ, "--threads", 2, "--draft-model", *args) as s:
        right = check_same(s, plain, who)
        if who == "the model itself":
            point(right > 30, "rightly, where it is the same model", right)
            check_timings(s)
            check_crowd(s, plain)
refused("a vocabulary that is none of the model's is refused", ("draft", OTHER.name, MODEL.name), 1, "--draft-model", OTHER,
        "--draft-vocabulary", "same")
refused("so is a draft that would see", ("draft model", MMPROJ.name, "sees no pictures"), 1, "--draft-model", MMPROJ)
refused("one that is not there", ("draft model", "nothing.gguf"), 1, "--draft-model", DATA / "nothing.gguf")
refused("a kind that is none", ("--draft-vocabulary: expected auto, same, tli or slem, found some",), 2, "--draft-model", MODEL,
        "--draft-vocabulary", "some")
refused("and a kind of nothing", ("expected --draft-model F with it",), 2, "--draft-vocabulary", "tli")
plan()
