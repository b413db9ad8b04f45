#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Makes pages for a browser of README.md, docs/*.md, the doc blocks of the elements and of the public headers.

usage: site.py SOURCE_ROOT PLUGIN_FOLDER OUT_FOLDER

What elements have is what gst-inspect-1.0 finds in PLUGIN_FOLDER; what is said of it are the blocks in gst-plugin/. Exit status
1 when an element, property or signal has none. Needs nothing but Python and gst-inspect-1.0.
"""
import html
import os
import pathlib
import re
import subprocess
import sys

STYLE = ("body{font:16px/1.5 sans-serif;max-width:60em;margin:2em auto;padding:0 1em}nav a{margin-right:.8em}"
         "pre,code{background:#f3f3f3;font-size:14px}pre{padding:.6em;overflow-x:auto}table{border-collapse:collapse}"
         "td,th{border:1px solid #ccc;padding:.2em .5em;text-align:left;vertical-align:top}dt{margin-top:.8em;font-weight:bold}")
INHERITED = {"name", "parent", "async-handling", "message-forward"}


# ---- Markdown, as far as our own files use it ----

def inline(text):
    """A piece of a paragraph; code first, in which nothing else counts."""
    parts = re.split(r"`([^`]+)`", text)
    for i, part in enumerate(parts):
        part = html.escape(part, quote=False)
        if i % 2:
            parts[i] = f"<code>{part}</code>"
            continue
        part = re.sub(r"!\[([^\]]+)\]\(([^)\s]+)\)", r'<img src="\2" alt="\1">', part)
        part = re.sub(r"\[([^\]]+)\]\(([^)\s]+)\)", lambda m: f'<a href="{link(m[2])}">{m[1]}</a>', part)
        part = re.sub(r"\*\*([^*]+)\*\*", r"<b>\1</b>", part)
        parts[i] = re.sub(r"(?<![\w*])\*([^*\s][^*]*)\*(?![\w*])", r"<i>\1</i>", part)
    text = "".join(parts)
    return re.sub(r"<code>(?:docs/)?([\w-]+)\.md</code>",
                  lambda m: f'<a href="{m[1]}.html"><code>{m[1]}</code></a>' if m[1] in pages else m[0], text)


def link(to):
    path, mark, anchor = to.partition("#")
    name = pathlib.PurePath(path)
    page = "index" if name.name == "README.md" else name.stem
    return f"{page}.html{mark}{anchor}" if name.suffix == ".md" and page in pages else to


def anchor(heading):
    """What a link to @heading says behind the #, as forges make it: words with hyphens, without marks."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


def table(lines):
    rows = [[inline(cell.strip()) for cell in re.split(r"(?<!\\)\|", line.strip().strip("|"))] for line in lines]
    body = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>\n" for row in rows[2:])
    return "<table><tr>" + "".join(f"<th>{cell}</th>" for cell in rows[0]) + f"</tr>\n{body}</table>\n"


def block(lines):
    """A run of lines without an empty one between them."""
    if lines[0].startswith("|"):
        return table(lines)
    heading = re.match(r"(#{1,4}) +(.*)", lines[0])
    if heading:
        n = len(heading[1])
        rest = block(lines[1:]) if lines[1:] else ""
        return f'<h{n} id="{anchor(heading[2])}">{inline(heading[2])}</h{n}>\n{rest}'
    if all(line.startswith("    ") for line in lines):
        return "<pre>" + html.escape("\n".join(line[4:] for line in lines)) + "</pre>\n"
    if re.match(r"(- |\d+\. )", lines[0]):
        items = re.split(r"\n(?=- |\d+\. )", "\n".join(lines))
        kind = "ul" if lines[0].startswith("-") else "ol"
        return f"<{kind}>" + "".join(f"<li>{inline(re.sub(r'^(- |[0-9]+[.] )', '', item))}</li>\n"
                                     for item in items) + f"</{kind}>\n"
    return f"<p>{inline(chr(10).join(lines))}</p>\n"


def markdown(text):
    out, lines = [], []
    pieces = re.split(r"^```\w*\n(.*?)^```\n?", text, flags=re.M | re.S)
    for i, piece in enumerate(pieces):
        if i % 2:
            out.append(f"<pre>{html.escape(piece)}</pre>\n")
            continue
        for line in piece.split("\n") + [""]:
            if line.strip():
                lines.append(line)
            elif lines:
                out.append(block(lines))
                lines = []
    return "".join(out)


# ---- Doc blocks ----

def doc_blocks(text):
    """(name, text of the block, what stands behind it)"""
    for match in re.finditer(r"/\*\*\n((?: \*.*\n|  +\*.*\n)+?) *\*/\n(?=((?:.*\n){1,12}))", text):
        lines = [re.sub(r"^ +\* ?", "", line) for line in match[1].rstrip().split("\n")]
        yield lines[0].rstrip(":").split(": (")[0], "\n".join(lines[1:]), match[2]


def prose(text):
    """The text of a block: |[ code ]|, parameters, paragraphs."""
    text = re.sub(r"^@(\w+): ?", r"- `\1`: ", text, flags=re.M)
    text = re.sub(r"^@(\w|-)+: .*\n", "", text, flags=re.M)
    text = re.sub(r"\|\[(?:<!--.*?-->)?\n?(.*?)\n?\]\|", r"\n```\n\1\n```\n", text, flags=re.S)
    return markdown(text)


def inspect(*args):
    done = subprocess.run(["gst-inspect-1.0", *args], capture_output=True, text=True, env=environment)
    return done.stdout


def names_of(text, heading, pattern):
    part = re.search(rf"^{heading}:\n(.*?)(?:\n\n\S|\Z)", text, re.M | re.S)
    return [n for n in re.findall(pattern, part[1] if part else "", re.M) if n not in INHERITED]


def element_page(name, blocks):
    """Its page, and what has no block."""
    text, missing = inspect(name), []
    section = blocks.get(f"SECTION:element-{name}")
    if section is None:
        missing.append(name)
    body = [f"<h1>{name}</h1>\n", prose(re.sub(r"^@.*\n", "", section or "", flags=re.M))]
    for title, heading, pattern, mark in (("Properties", "Element Properties", r"^  ([a-z][a-z0-9-]+) +: ", ":"),
                                          ("Signals", "Element Signals", r'^  "([a-z-]+)"', "::"),
                                          ("Actions", "Element Actions", r'^  "([a-z-]+)"', "::")):
        names = names_of(text, heading, pattern)
        body.append(f"<h2>{title}</h2>\n<dl>\n" if names else "")
        for item in names:
            own = [b for key, b in blocks.items() if key.lower() == f"gst{name}{mark}{item}"]
            shared = [b for key, b in blocks.items() if re.fullmatch(rf"GstTern\w+{mark}{item}", key)]
            if not own + shared:
                missing.append(f"{name}{mark}{item}")
            body.append(f"<dt><code>{item}</code></dt><dd>{prose((own + shared + [''])[0])}</dd>\n")
        body.append("</dl>\n" if names else "")
    body.append(f"<h2>gst-inspect-1.0 {name}</h2>\n<pre>{html.escape(text)}</pre>\n")
    return "".join(body), missing


def header_page(path):
    body = [f"<h1>{path.name}</h1>\n"]
    for name, text, behind in doc_blocks(path.read_text(encoding="utf8")):
        code = re.match(r"(?:#ifndef.*\n)?(#define .*|TERN_API [^;]*;|typedef [^;{]*(?:\{[^}]*\})?[^;]*;)", behind)
        body.append(f'<h3 id="{html.escape(name)}">{html.escape(name)}</h3>\n')
        if code:
            body.append(f"<pre>{html.escape(code[1])}</pre>\n")
        body.append(prose(text))
    return "".join(body)


def write(name, body, title):
    nav = " ".join(f'<a href="{page}.html">{page}</a>' for page in pages)
    (out / f"{name}.html").write_text(f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
                                      f"<style>{STYLE}</style></head><body><nav>{nav}</nav>\n{body}</body></html>\n",
                                      encoding="utf8")


root, plugin, out = (pathlib.Path(p) for p in sys.argv[1:4])
out.mkdir(parents=True, exist_ok=True)
environment = dict(os.environ, GST_PLUGIN_PATH=str(plugin), GST_REGISTRY=str(out / ".registry"), LC_ALL="C")
guides = {path.stem: path for path in [root / "README.md", *sorted((root / "docs").glob("*.md"))]}
elements = sorted(set(re.findall(r"^  (tern\w+): ", inspect("tern"), re.M)))
headers = sorted((root / "include/tern").glob("*.h"))
pages = ["index", *[n for n in guides if n != "README"], *elements, "api"]
blocks = {name: text for path in sorted((root / "gst-plugin").glob("*.c"))
          for name, text, _ in doc_blocks(path.read_text(encoding="utf8"))}
lacking = []
for name, path in guides.items():
    write("index" if name == "README" else name, markdown(path.read_text(encoding="utf8")), f"Tern: {name}")
for name in elements:
    body, missing = element_page(name, blocks)
    lacking += missing
    write(name, body, name)
for path in (*(root / "docs").glob("*.svg"), *(root / "docs").glob("*.png")):
    (out / path.name).write_bytes(path.read_bytes())
write("api", "".join(header_page(path) for path in headers), "Tern: libtern")
(out / ".registry").unlink(missing_ok=True)
for name in lacking:
    print(f"site.py: {name}: no doc block in gst-plugin/", file=sys.stderr)
if not elements:
    print(f"site.py: {plugin}: gst-inspect-1.0 finds no elements there", file=sys.stderr)
sys.exit(bool(lacking) or not elements)
