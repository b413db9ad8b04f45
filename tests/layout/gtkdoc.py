# SPDX-License-Identifier: LGPL-2.1-or-later
"""The public headers say of every symbol what it is, what its parameters, members and values are, what it returns, who
owns that, and since when: as GTK-Doc, so that g-ir-scanner and hotdoc see it. Prints TAP. Broken copies of the headers
show that what is missing is missed; g-ir-scanner, where it is installed, has to understand all of it.

usage: gtkdoc.py SOURCE_ROOT [-isystem FOLDER]...
"""
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from tap import plan, point  # noqa: E402

root, flags = pathlib.Path(sys.argv[1]).resolve(), [f"-I{folder}" for folder in sys.argv[2:] if folder != "-isystem"]
HEADERS = {h.name: h.read_text(encoding="utf8") for h in sorted((root / "include/tern").glob("*.h"))}
# The library needs GLib alone: its types are counted structures without a GType.
EXPECTED = re.compile("Invalid non-constant return of bare structure or union; register as boxed type")
# All others are made by callers too, and may grow only where there is room.
LIBRARY_MADE = ("TernResult", "TernMetrics")
DOC = re.compile(r"/\*\*\n \* (\w+):[^\n]*\n(.*?)\*/\n", re.S)


class Doc:
    """One comment: its @parameters, what it returns, and the rest."""

    def __init__(self, text):
        lines = [line.strip()[1:].strip() for line in text.splitlines() if line.strip().startswith("*")]
        self.params, self.returns, self.since, self.text = {}, None, None, ""
        current = None
        for line in lines:
            tag = re.match(r"(?:@(\w+)|(Returns)|(Since)): ?(.*)", line)
            if tag:
                current = tag.group(1) or tag.group(2) or tag.group(3)
                self.put(current, tag.group(4))
            elif not line:
                current = None
            elif current:
                self.put(current, line)
            else:
                self.text += line + " "

    def put(self, name, text):
        if name == "Returns":
            self.returns = (self.returns or "") + text
        elif name == "Since":
            self.since = text
        else:
            self.params[name] = self.params.get(name, "") + text


def described(text):
    """Whether there is more than annotations."""
    return bool(re.sub(r"^(\([^)]*\)\s*)*:?\s*", "", text).strip())


def names(arguments):
    """The parameters' names of a C declaration."""
    if arguments.strip() in ("void", ""):
        return []
    return [re.search(r"(\w+)\s*(\[\d*\])?\s*$", argument).group(1) for argument in arguments.split(",")]


def members(body):
    return [name for line in body.split(";") if line.strip()
            for name in [re.search(r"(\w+)\s*(\[\d*\])?\s*$", line).group(1)]]


def symbols(text):
    """(name, kind, what has to be described, what it returns or "")"""
    code = re.sub(r"/\*.*?\*/", "", text, flags=re.S)
    for name in re.findall(r"^#define (TERN_\w+)", code, re.M):
        yield name, "macro", [], ""
    for struct in re.findall(r"^typedef struct _(\w+) \1;", code, re.M):
        yield struct, "type", [], ""
    for body, name in re.findall(r"^typedef struct \{(.*?)^\} (\w+);", code, re.M | re.S):
        yield name, "structure", members(body), ""
    for body, name in re.findall(r"^typedef enum \{(.*?)\} (\w+);", code, re.M | re.S):
        yield name, "enumeration", re.findall(r"\b(TERN_\w+)\b(?=\s*(?:=|,|$))", body, re.M), ""
    for result, name, arguments in re.findall(r"^typedef ([^;{(]*?)\(\*(\w+)\) \((.*?)\);", code, re.M | re.S):
        yield name, "callback", names(arguments), "" if result.strip() == "void" else result.strip()
    for result, name, arguments in re.findall(r"^TERN_API (.*?)\b(tern_\w+) \((.*?)\);", code, re.M | re.S):
        yield name, "function", names(arguments), "" if result.strip() == "void" else result.strip()


def missing(text):
    """What is not said, a line each, of one header."""
    docs = {name: Doc(body) for name, body in DOC.findall(text)}
    seen = set()
    for name, kind, parts, result in symbols(text):
        doc, seen = docs.get(name), seen | {name}
        if not doc:
            yield f"{kind} {name}: expected a GTK-Doc comment, found none"
            continue
        if not doc.since:
            yield f"{kind} {name}: expected Since, found none"
        if not doc.text.strip():
            yield f"{kind} {name}: expected a sentence, found none"
        if kind == "structure" and "reserved" not in parts and name not in LIBRARY_MADE:
            yield f"{kind} {name}: expected a member reserved, found none"
        for part in parts:
            if not described(doc.params.get(part, "")):
                yield f"{kind} {name}: expected @{part} to be described"
        for extra in sorted(set(doc.params) - set(parts)):
            yield f"{kind} {name}: @{extra} is described and is not there"
        if result and not (doc.returns and described(doc.returns)):
            yield f"{kind} {name}: expected Returns, found none"
        if result.endswith("*") and "(transfer " not in (doc.returns or ""):
            yield f"{kind} {name}: expected who owns what it returns, found no (transfer ...)"
        if "error" in parts and "Errors:" not in doc.text:
            yield f"{kind} {name}: expected its errors, found none"
    for name in sorted(set(docs) - seen):
        yield f"{name} is described and is not there"


def broken():
    """(what is taken away, a header without it)"""
    session = HEADERS["session.h"]
    yield "a comment", re.sub(r"/\*\*\n \* tern_session_poll:.*?\*/\n", "", session, flags=re.S)
    yield "Since", session.replace(" * Since: 0.1\n */\ntypedef struct {", " */\ntypedef struct {", 1)
    yield "a parameter", session.replace(" * @timeout_us: how long", " * how long", 1)
    yield "a member", session.replace(" * @kv_gate: when the keys to attend to are selected again\n", "", 1)
    yield "a value", session.replace(" * @TERN_NEXT_PENDING: none within the time given\n", "", 1)
    yield "what is returned", re.sub(r" \* Returns: [^\n]*: the session.*?\n \*\n", "", session, flags=re.S)
    yield "its owner", session.replace("Returns: (transfer full) (nullable): the session", "Returns: the session", 1)
    yield "a description", session.replace("@n: questions, 1..TERN_QUESTIONS_MAX", "@n:", 1)
    yield "room to grow", re.sub(r" \* @reserved: 0\n|  gpointer reserved\[4\];\n", "", session)
    yield "errors", session.replace(" * Errors: as tern_session_push_frame().\n", "", 1)
    yield "a macro's comment", re.sub(r"/\*\*\n \* TERN_BEAM_MAX:.*?\*/\n", "", HEADERS["ranges.h"], flags=re.S)


def scanned():
    """What g-ir-scanner says."""
    with tempfile.TemporaryDirectory() as folder:
        headers = [str(root / "include/tern" / name) for name in HEADERS]
        run = subprocess.run(["g-ir-scanner", "--warn-all", "--quiet", "--header-only", "--namespace=Tern",
                              "--nsversion=1.0", "--identifier-prefix=Tern", "--symbol-prefix=tern",
                              "--include=GLib-2.0", f"-I{root}/include", *flags, f"--output={folder}/Tern.gir",
                              *headers], text=True, capture_output=True, cwd=folder)
        gir = pathlib.Path(folder, "Tern.gir")
        found = len(re.findall(r"c:identifier=\"tern_", gir.read_text())) if gir.exists() else 0
    functions = sum(kind == "function" for text in HEADERS.values() for _, kind, _, _ in symbols(text))
    notes = [line for line in (run.stdout + run.stderr).splitlines() if line.strip() and not EXPECTED.search(line)]
    if found < functions:
        notes.append(f"expected {functions} functions, found {found}")
    return run.returncode == 0 and not notes, notes


point(sum(1 for text in HEADERS.values() for _ in symbols(text)) > 100, "found symbols to look at")
for name, text in HEADERS.items():
    lines = list(missing(text))
    point(not lines, f"{name} describes all that it has", *lines)
for what, text in broken():
    point(text not in HEADERS.values() and any(missing(text)), f"a header without {what} is found out")
good, notes = scanned() if shutil.which("g-ir-scanner") else (True, ["g-ir-scanner is not installed"])
absent = [note for note in notes if "not installed" in note or "Couldn't find include" in note]
point(good, "g-ir-scanner understands the headers", *notes, skip=absent[0] if absent else None)
plan()
