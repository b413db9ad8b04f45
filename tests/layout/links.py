# SPDX-License-Identifier: LGPL-2.1-or-later
"""Links of the Markdown files: the file is there, and the heading in it. Prints TAP.

usage: links.py SOURCE_ROOT
"""
import pathlib
import re
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from tap import plan, point  # noqa: E402

root = pathlib.Path(sys.argv[1]).resolve()
# What is written into another folder than its own, from where its links are meant.
PLACES = {"bench/compression/page.md": "docs"}


def prose(text):
    """Without code, in which nothing is a link or a heading."""
    return re.sub(r"`[^`\n]*`", "`", re.sub(r"^```.*?^```", "", text, flags=re.M | re.S))


def anchors(path):
    """As forges make them of headings: words with hyphens, a number at the second of one name."""
    found, counts = set(), {}
    for heading in re.findall(r"^#{1,6} +(.*)", re.sub(r"^```.*?^```", "", path.read_text("utf8"), flags=re.M | re.S), re.M):
        words = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).strip().lower()
        slug = re.sub(r"[^\w\- ]", "", words).replace(" ", "-")
        found.add(f"{slug}-{counts[slug]}" if counts.get(slug) else slug)
        counts[slug] = counts.get(slug, 0) + 1
    return found


def wrong_links(path, name):
    folder = root / PLACES[name] if name in PLACES else path.parent
    links = re.findall(r"\]\(<?([^)\s>]+)>?(?: +\"[^\"]*\")?\)", prose(path.read_text("utf8")))
    links = [to for to in links if not re.match(r"[a-z+]+:", to)]
    for to in links:
        file, _, anchor = to.partition("#")
        target = folder / file if file else path
        if not target.exists():
            yield f"{name}: {to}: no such file"
        elif anchor and anchor not in anchors(target):
            yield f"{name}: {to}: no such heading"
    counts["links"] += len(links)


def wrong_names(path, name):
    """`docs/NAME.md`, in which text speaks of others."""
    names = re.findall(r"(?<![\w/.])((?:docs|models|tests|bench|training|pipelines)/[\w./-]*\.md)\b", path.read_text("utf8"))
    yield from (f"{name}: {to}: no such file" for to in names if not (root / to).exists())
    counts["names"] += len(names)


counts = {"links": 0, "names": 0}
files = [path for path in root.rglob("*.md")
         if not any(part.startswith((".", "build")) for part in path.relative_to(root).parts)]
texts = [(path, str(path.relative_to(root))) for path in sorted(files)]
wrong = [line for path, name in texts for line in wrong_links(path, name)]
point(counts["links"] > 15 and not wrong, f"{counts['links']} links of {len(files)} files lead somewhere", *wrong)
wrong = [line for path, name in texts for line in wrong_names(path, name)]
point(counts["names"] > 50 and not wrong, f"{counts['names']} files that texts name are there", *wrong)
plan()
