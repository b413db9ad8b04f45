# SPDX-License-Identifier: LGPL-2.1-or-later
"""Text through the program `tern`: perplexity and scores of labels against those worked out from `tern logits`, answers in
forms, prompts of templates and files, what is refused, and the tokens that files want around a text. Prints TAP.

usage: text.py TERN DATA_FOLDER
"""
import array
import json
import math
import os
import pathlib
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from tap import patience, plan, point  # noqa: E402
from tiny_gguf import F32, I32, STRING, U32, add_keys, write  # noqa: E402

TERN, DATA = os.path.abspath(sys.argv[1]), pathlib.Path(sys.argv[2])
MODEL, VOCABULARY = DATA / "lfm2" / "lfm2-tq2_0.gguf", DATA / "tokenizers" / "vocab-lfm2.gguf"
TEXT = (DATA / "README.md").read_bytes()[:700]
CONTEXT = 32


def run(*args, data=None):
    return subprocess.run([TERN, *map(str, args)], input=data, capture_output=True, check=False)


def ids_of(model, *options):
    return [int(i) for i in run("tokenize", "--model", model, *options, data=TEXT).stdout.split()]


def rows(folder, ids, activations="f32"):
    (folder / "ids").write_text(" ".join(map(str, ids)))
    done = run("logits", "--model", MODEL, "--tokens", folder / "ids", "--output", folder / "o.npy", "--activations", activations)
    if done.returncode:
        raise SystemExit(done.stderr.decode())
    data = (folder / "o.npy").read_bytes()
    values = array.array("f", data[10 + int.from_bytes(data[8:10], "little"):])
    width = len(values) // len(ids)
    return [values[i * width:(i + 1) * width] for i in range(len(ids))]


def perplexity(folder):
    """Chunks of CONTEXT tokens, the first of each replaced by BOS; the second half of the positions counts."""
    ids, total, count = ids_of(MODEL), 0.0, 0
    for start in range(0, len(ids) - CONTEXT + 1, CONTEXT):
        chunk = ids[:1] + ids[start + 1:start + CONTEXT]
        logits = rows(folder, chunk)
        for i in range(CONTEXT // 2, CONTEXT - 1):
            most = max(logits[i])
            total += most + math.log(sum(math.exp(x - most) for x in logits[i])) - logits[i][chunk[i + 1]]
            count += 1
    return math.exp(total / count), count, len(ids)


def with_last_token(folder):
    """The vocabulary with add_eos_token set."""
    data = bytearray(VOCABULARY.read_bytes())
    key = b"tokenizer.ggml.add_eos_token"
    at = data.index(key) + len(key) + 4
    data[at] = 1
    (folder / "eos.gguf").write_bytes(data)
    return folder / "eos.gguf"


def check_labels(folder):
    """One line of JSON, with the scores that `tern logits` leads to; rows read one by one are rounded in another order."""
    labels, prompt = ["a dog", "a cat sleeps", "yes"], "What is there? "
    done = run("generate", "--model", MODEL, "--raw", "--prompt", prompt, "--labels", ",".join(labels))
    start = [int(i) for i in run("tokenize", "--model", MODEL, data=prompt.encode()).stdout.split()]
    shares = []
    for label in labels:
        ids = [int(i) for i in run("tokenize", "--model", MODEL, "--no-bos", data=label.encode()).stdout.split()]
        logits, total = rows(folder, start + ids, "int8"), 0.0
        for i, id_ in enumerate(ids, len(start) - 1):
            most = max(logits[i])
            total += logits[i][id_] - most - math.log(sum(math.exp(x - most) for x in logits[i]))
        shares.append(math.exp(total))
    expected = [share / sum(shares) for share in shares]
    try:
        line = json.loads(done.stdout)
    except ValueError:
        line = {}
    best = max(range(len(labels)), key=expected.__getitem__)
    point(list(line) == ["result", "labels", "scores", "confidence"] and line["labels"] == labels
          and line["result"] == labels[best] and line["confidence"] == max(line["scores"])
          and all(abs(a - b) < 2e-3 for a, b in zip(line["scores"], expected)), "labels", done.stdout, done.stderr, expected)


def check_forms(folder):
    (folder / "s.json").write_text('{"type": "array", "items": {"const": "a dog"}, "minItems": 2, "maxItems": 2}')
    (folder / "bad.json").write_text('{"type": "fish"}')
    (folder / "g.gbnf").write_text('root ::= "left" | "right"')
    ask = ("generate", "--model", MODEL, "--raw", "--prompt", "x")
    done = run(*ask, "--json-schema", folder / "s.json", "--temperature", 3)
    point(done.returncode == 0 and json.loads(done.stdout) == ["a dog", "a dog"], "JSON of a schema", done)
    done = run(*ask, "--grammar", folder / "g.gbnf", "--beam", 2)
    point(done.stdout in (b"left\n", b"right\n"), "a sentence of a grammar", done)
    for args, status, words in (
            (("--json-schema", folder / "s.json", "--max-tokens", 3), 2, (b"or more", b"found 3")),
            (("--json-schema", folder / "bad.json"), 2, (b"bad.json", b"fish")),
            (("--grammar", folder / "bad.json"), 2, (b"bad.json",)),
            (("--grammar", folder / "none"), 1, (b"none",)),
            (("--labels", "yes"), 2, (b"--labels",)),
            (("--labels", "yes,no", "--json-schema", folder / "s.json"), 2, (b"--labels and --json-schema",)),
            (("--json-schema", folder / "s.json", "--grammar", folder / "g.gbnf"), 2, (b"--json-schema and --grammar",))):
        done = run(*ask, *args)
        point(done.returncode == status and all(w in done.stderr for w in words) and not done.stdout,
              "refused: " + " ".join(getattr(a, "name", str(a)) for a in args), done)


def check_policies(folder):
    """Other ways of rounding than the file's, forced on it; those that cannot be."""
    ids = ids_of(MODEL)[:12]
    plain, exact = rows(folder, ids, "int8"), rows(folder, ids)
    for mode, most in ("a4.8", 1), ("v2", 1), ("v2:64", 1), ("v2-a8", 1e-2), ("w1a8", 4):
        found = rows(folder, ids, mode)
        error = (sum((a - b) ** 2 for x, y in zip(found, exact) for a, b in zip(x, y))
                 / sum(b * b for y in exact for b in y))
        point(found != plain and 0 < error < most, f"--activations {mode}", error)
    turned = DATA / "families" / "lfm2-v2.gguf"
    for model, mode, status, words in ((MODEL, "a4", 2, (b"--activations", b'"a4"')), (MODEL, "v2:48", 2, (b"v2:48",)),
                                       (MODEL, "v2:1024", 1, (b"blk.0.shortconv.out_proj.weight", b"1024", b"256")),
                                       (turned, "int8", 2, (b"lfm2-v2.gguf", b"tern.activations", b"found int8")),
                                       (DATA / "ssm" / "mamba-odd-f32.gguf", "a4.8", 1, (b"a4.8", b"mamba1"))):
        done = run("logits", "--model", model, "--tokens", folder / "ids", "--greedy", 1, "--activations", mode)
        point(done.returncode == status and all(w in done.stderr for w in words) and not done.stdout,
              f"refused: {model.name} with --activations {mode}", done)
    (folder / "ids").write_text("1 2 3 200")    # of a smaller vocabulary
    done = run("logits", "--model", turned, "--tokens", folder / "ids", "--greedy", 1, "--activations", "v2-a8")
    point(done.returncode == 0, "v2 in its first stage's eight bits", done)


def check_files(folder):
    """What editors put around a text is none of it: the mark before the first line and the end of the last, once."""
    path, mark = folder / "prompt.txt", b"\xef\xbb\xbf"
    for raw in (), ("--raw",):
        def answer(prompt):
            return run("generate", "--model", MODEL, *raw, "--prompt", prompt, "--max-tokens", 6).stdout

        for data, prompt in ((b"What is it?\n", "What is it?"), (b"What is it?\r\n", "What is it?"),
                             (mark + b"What is it?", "What is it?"), (b"\nWhat is\nit?\n\n", "\nWhat is\nit?\n"),
                             (b" What is it? ", " What is it? ")):
            path.write_bytes(data)
            done = run("generate", "--model", MODEL, *raw, "--prompt-file", path, "--max-tokens", 6)
            point(done.returncode == 0 and done.stdout == answer(prompt), f"{data!r} {raw} as a file is {prompt!r}", done)
    point(answer("What is it?") != answer("What is it?\n"), "... which says something else with a line's end")
    form = folder / "marked"
    for option, text in (("--grammar", 'root ::= "left"\n'), ("--json-schema", '{"const": 5}\n')):
        form.write_bytes(mark + text.encode())
        done = run("generate", "--model", MODEL, "--prompt", "Where?", option, form)
        point(done.returncode == 0 and done.stdout in (b"left\n", b"5\n"), f"a mark before {option}", done)


def spaced(path):
    """A model whose vocabulary is of SentencePiece's kind, all of whose words have a space before them."""
    words, width = ["<unk>", "<s>", "</s>", "a", "yes", "no", "b", "c"], 8
    keys = {"general.architecture": (STRING, "llama"), "tokenizer.ggml.model": (STRING, "llama"),
            "tokenizer.ggml.tokens": (STRING, words[:3] + ["\u2581" + word for word in words[3:]]),
            "tokenizer.ggml.scores": (F32, [0.0] * len(words)), "tokenizer.ggml.token_type": (I32, [2, 3, 3, 1, 1, 1, 1, 1]),
            "tokenizer.chat_template": (STRING, "{% for m in messages %}{{ m.content }}{% endfor %}"),
            "llama.attention.layer_norm_rms_epsilon": (F32, 1e-5)}
    keys |= {"llama." + name: (U32, value) for name, value in {
        "block_count": 1, "context_length": 64, "embedding_length": width, "feed_forward_length": width, "attention.head_count": 2,
        "attention.head_count_kv": 2, "rope.dimension_count": width // 2}.items()}
    tensors = {"token_embd.weight": [width, len(words)], "output.weight": [width, len(words)], "output_norm.weight": [width],
               "blk.0.attn_norm.weight": [width], "blk.0.ffn_norm.weight": [width]}
    tensors |= {f"blk.0.{name}.weight": [width, width] for name in (
        "attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down")}
    write(path, keys, tensors)
    return path


def check_blanks(folder):
    """The space that a vocabulary puts before every text is no part of an answer, nor of a form; a raw text goes on with it."""
    ask, form = ("generate", "--model", spaced(folder / "spaced.gguf"), "--prompt", "a b", "--ignore-end"), folder / "yes.gbnf"
    plain, raw = run(*ask, "--max-tokens", 4).stdout.decode(), run(*ask, "--raw", "--max-tokens", 4).stdout.decode()
    point(len(plain) > 4 and plain == raw.lstrip(" ") != raw, "an answer begins with its first word", plain, raw)
    for text, answers in (('root ::= "yes" | "no"', ("yes\n", "no\n")), ('root ::= ("yes" | "no") " b"', ("yes b\n", "no b\n"))):
        form.write_text(text)
        for more in (), ("--raw",):
            done = run(*ask, "--grammar", form, *more)
            point(done.stdout.decode() in answers, f"{text} {more}", done)
    form.write_text('root ::= "\\n" [a-z ]+')
    done = run("generate", "--model", MODEL, "--prompt", "Hi", "--grammar", form, "--max-tokens", 4)
    point(done.stdout.startswith(b"\n") and len(done.stdout) > 2, "... and blanks of the form stay", done)


def check_templates(folder):
    """Templates with the two tokens of the file in them: what `tern prompt` prints is what is answered."""
    path, messages = folder / "template.gguf", folder / "messages.json"
    messages.write_text('{"messages": [{"role": "user", "content": "Hi"}], "add_generation_prompt": true}')
    for source, end in (("{% for m in messages %}{{ '<' + m.role + '>' + m.content + eos_token }}{% endfor %}:", True),
                        ("{{ bos_token }}{% for m in messages %}{{ m.content }}{{ eos_token }}{% endfor %}", True),
                        ("{% for m in messages %}{{ m.content }}{% endfor %}", False)):
        add_keys(MODEL, path, {"tokenizer.chat_template": (STRING, source)})
        shown = run("prompt", "--model", path, "--messages", messages).stdout.decode()
        done = run("generate", "--model", path, "--prompt", "Hi", "--max-tokens", 8)
        raw = run("generate", "--model", path, "--raw", "--prompt", shown, "--max-tokens", 8)
        point(("<|im_end|>" in shown) == end and done.returncode == 0 and done.stdout == raw.stdout.lstrip(b" \t\r\n"),
              f"the prompt of {source}", shown, done)
    add_keys(MODEL, path, {"tokenizer.chat_template": (STRING, "{{ raise_exception('nobody may speak') }}")})
    for args in (("prompt", "--model", path, "--messages", messages), ("generate", "--model", path, "--prompt", "Hi")):
        done = run(*args)
        point(done.returncode == 1 and b"template.gguf: chat template, line 1: the template says: nobody may speak" in done.stderr,
              f"what a template refuses is no wrong usage: {args[0]}", done)


def main():
    if not MODEL.exists() or not VOCABULARY.exists():
        print(f"1..0 # SKIP {MODEL} or {VOCABULARY} is not there")
        return
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        (folder / "text").write_bytes(TEXT)
        expected, count, n = perplexity(folder)
        done = run("perplexity", "--model", MODEL, "--context", CONTEXT, "--activations", "f32", folder / "text")
        words = done.stdout.decode().split()
        point(done.returncode == 0 and abs(float(words[1].rstrip(":")) / expected - 1) < 1e-4
              and f"{n} tokens, {count} scored" in done.stdout.decode(), "perplexity", f"expected {expected}, {n} tokens, "
              f"{count} scored", done.stdout.decode() + done.stderr.decode())
        done = run("perplexity", "--model", MODEL, "--context", 4000, folder / "text")
        point(done.returncode == 1 and b"4000" in done.stderr, "a text that is too short", done.stderr.decode())
        for what in ("a pipe", "a device"):
            path = folder / "pipe" if what == "a pipe" else "/dev/zero"
            if what == "a pipe":
                os.mkfifo(path)
            for args in (("perplexity", "--model", MODEL, path), ("perplexity", "--model", path, folder / "text"),
                         ("logits", "--model", MODEL, "--greedy", 1, "--tokens", path),
                         ("generate", "--model", MODEL, "--prompt-file", path),
                         ("prompt", "--model", MODEL, "--messages", path),
                         ("prompt", "--template", path, "--messages", folder / "text"),
                         ("inspect", path), ("tokenize", "--model", path)):
                try:
                    done = subprocess.run([TERN, *map(str, args)], stdin=subprocess.DEVNULL, capture_output=True,
                                          check=False, timeout=patience(300))
                    point(done.returncode == 1 and str(path).encode() in done.stderr and what.encode() in done.stderr,
                          f"{what} for a file: {args[0]} {args[3] if len(args) > 4 else ''}", done.stderr.decode())
                except subprocess.TimeoutExpired:
                    point(False, f"{what} for a file: {args[0]} waits for ever")
        for threads in (-1, 513):
            for args in (("inspect", MODEL), ("generate", "--model", MODEL, "--prompt", "a"),
                         ("perplexity", "--model", MODEL, folder / "text"), ("caption", "--model", MODEL, "a.png"),
                         ("logits", "--model", MODEL, "--greedy", 1, "--tokens", folder / "text"),
                         ("quantize", MODEL, folder / "out.gguf", "--type", "Q8_0")):
                done = run(*args, "--threads", threads)
                point(done.returncode == 2 and f"0 (all cores) to 512, found {threads}".encode() in done.stderr,
                      f"{threads} threads: {args[0]}", done.stderr.decode())
        with open("/dev/zero", "rb") as endless:
            done = subprocess.run([TERN, "tokenize", "--model", str(VOCABULARY)], stdin=endless, capture_output=True,
                                  check=False)
            point(done.returncode == 1 and b"at most" in done.stderr, "standard input without an end",
                  done.stderr.decode())
        point(run("perplexity", "--model", MODEL).returncode == 2, "no text")
        point(run("perplexity", "--model", MODEL, "--context", 1, folder / "text").returncode == 2, "a context of one token")

        check_policies(folder)
        check_labels(folder)
        check_forms(folder)
        check_templates(folder)
        check_files(folder)
        check_blanks(folder)
        plain, eos = ids_of(VOCABULARY, "--no-bos"), with_last_token(folder)
        begun, ended = ids_of(VOCABULARY), ids_of(eos)
        point(begun[1:] == plain and ended[:-1] == begun and ended[-1] not in plain, "first and last tokens", begun, ended)
        point(ids_of(eos, "--no-bos") == plain, "neither of them")
    plan()


main()
