# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a command found: printed as text, kept as JSON, shown as Markdown in a model card. One form for all commands:

{"tern_eval": 1, "command": "captions", "about": {"files": "500", ...}, "origin": {"model.gguf": "sha256", ...},
 "tables": [{"title": "...", "columns": ["system", "CIDEr-D", ...], "rows": [["this model", [.573, .531, .617], ...], ...]}],
 "notes": ["..."]}

A cell is a text, a count, a number, [number, low, high] with its 95 % interval, or null where something was not computed.
Nothing in it depends on the day or, but for times (`actions`), on the machine, so the same captions give the same bytes.
"""
import json

import tables


class Report:
    def __init__(self, command, about=None, origin=None):
        self.data = {"tern_eval": 1, "command": command, "about": dict(about or {}), "origin": dict(origin or {}),
                     "tables": [], "notes": []}

    def table(self, title, columns, rows):
        self.data["tables"].append({"title": title, "columns": list(columns), "rows": [[rounded(c) for c in r] for r in rows]})

    def note(self, text):
        self.data["notes"].append(text)

    def write(self, path):
        with open(path, "w", encoding="utf8") as f:
            f.write(as_json(self.data))

    def print(self):
        print(text(self.data))


def rounded(cell):
    if isinstance(cell, (list, tuple)):
        return [rounded(c) for c in cell]
    return round(cell, 5) + 0. if isinstance(cell, float) else cell


def as_json(data):
    """One line a row: what changes from run to run can be seen in a diff."""
    def line(value):
        return json.dumps(value, ensure_ascii=False)

    made = [f'  {{"title": {line(t["title"])},\n   "columns": {line(t["columns"])},\n   "rows": [\n'
            + ",\n".join("    " + line(r) for r in t["rows"]) + "]}" for t in data["tables"]]
    head = "".join(f' {line(k)}: {line(v)},\n' for k, v in data.items() if k not in ("tables", "notes"))
    return "{\n" + head + ' "tables": [\n' + ",\n".join(made) + '],\n "notes": ' + line(data["notes"]) + "\n}\n"


def read(path):
    try:
        with open(path, encoding="utf8") as f:
            data = json.load(f)
    except (OSError, ValueError) as error:
        raise tables.Wrong(f"{path}: expected a report of bench/eval as JSON, found {error}") from None
    if not isinstance(data, dict) or data.get("tern_eval") != 1:
        raise tables.Wrong(f"{path}: expected a report of bench/eval (tern_eval 1), found other JSON")
    return data


def number(value):
    if value is None:
        return "-"
    if isinstance(value, float):
        size = abs(value)
        return f"{value:.{1 if size >= 100 else 2 if size >= 10 else 4 if 0 < size < .1 else 3}f}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def cell(value):
    if isinstance(value, list):
        return f"{number(value[0])} [{number(value[1])}, {number(value[2])}]"
    return number(value)


def text(data):
    out = [f"{name}: {value}" for name, value in data["about"].items()]
    for t in data["tables"]:
        lines = [t["columns"]] + [[cell(c) for c in row] for row in t["rows"]]
        widths = [max(len(line[i]) for line in lines) for i in range(len(t["columns"]))]
        out += ["", t["title"]]
        out += ["  ".join(c.ljust(w) if i == 0 else c.rjust(w) for i, (c, w) in enumerate(zip(line, widths))).rstrip()
                for line in lines]
    return "\n".join(out + ([""] if data["notes"] else []) + data["notes"])


def markdown(data):
    """Tables and notes; the caller writes the heading."""
    out = ["; ".join(f"{name}: {value}" for name, value in data["about"].items()) + "."]
    for t in data["tables"]:
        out += ["", t["title"] + ":", "", "| " + " | ".join(t["columns"]) + " |", "| --- " * len(t["columns"]) + "|"]
        out += ["| " + " | ".join(cell(c).replace("|", "\\|") for c in row) + " |" for row in t["rows"]]
    return "\n".join(out + ([""] + ["- " + n for n in data["notes"]] if data["notes"] else []))
