# SPDX-License-Identifier: LGPL-2.1-or-later
"""Random sentences of JSON Schemas, and of random JSON Schemas, held against the package jsonschema (Draft 2020-12, formats
checked where it has their packages). Prints TAP; skips where jsonschema is not there. TERN_SENTENCES: how many of each
schema; TERN_SCHEMAS: how many random ones, most of which are not refused; TERN_SCHEMA_SEED.

usage: schema.py PROGRAM FOLDER_OF_SCHEMAS
"""
import json
import os
import pathlib
import random
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from tap import plan, point  # noqa: E402

try:
    from jsonschema import Draft202012Validator
except ImportError:
    print("1..0 # SKIP no Python package jsonschema (Debian: python3-jsonschema)")
    sys.exit(0)

COUNT = int(os.environ.get("TERN_SENTENCES", 120))
RANDOM = int(os.environ.get("TERN_SCHEMAS", 100))
SEED = int(os.environ.get("TERN_SCHEMA_SEED", 1))

# Beside the files: one thing each, and several together.
SMALL = [
    {"type": "string", "pattern": "^[^a-z\\s]{2,5}$"},
    {"type": "string", "pattern": "b+c?"},
    {"type": "string", "pattern": "^(?:GET|PUT) /\\S*$|^quit$"},
    {"type": "string", "pattern": "^.{3,}$", "maxLength": 12},
    {"type": "string", "pattern": "^\\W\\D\\S\\w\\d\\s[\\d_-]\\x41\\u00e9\\.$"},
    {"type": "string", "pattern": "^\"\\\\\\n\\t[\"\\\\]{2}$"},
    {"type": "string", "pattern": "^(?P<year>[0-9]{4})-(?P<month>0[1-9]|1[0-2])$"},
    *({"type": "string", "format": name} for name in
      ("date", "time", "date-time", "duration", "uuid", "ipv4", "ipv6", "email", "hostname", "uri", "uri-reference",
       "json-pointer", "idn-email", "idn-hostname", "iri", "uri-template")),
    {"type": "string", "format": "uri", "minLength": 1, "maxLength": 2083},
    {"type": "integer", "minimum": 7}, {"type": "integer", "maximum": -7}, {"type": "integer", "minimum": -1.5, "maximum": 1.5},
    {"type": "integer", "minimum": 9007199254740993, "maximum": 9007199254741999},
    {"type": "integer", "minimum": 5, "exclusiveMaximum": 1e308}, {"type": "integer", "multipleOf": 1000, "minimum": -5000},
    {"type": "integer", "multipleOf": 12, "minimum": 1}, {"type": "integer", "multipleOf": 1024, "minimum": 0, "maximum": 99999},
    {"type": "number", "exclusiveMinimum": 0}, {"type": "number", "exclusiveMaximum": 0}, {"type": "number", "minimum": 0.1},
    {"type": "number", "exclusiveMinimum": 0.1, "exclusiveMaximum": 0.2}, {"type": "number", "minimum": 0.3, "maximum": 0.3},
    {"type": "number", "minimum": -0.05, "maximum": -0.049}, {"type": "number", "minimum": 99.995, "maximum": 100.005},
    {"type": "number", "exclusiveMinimum": 12345678.5, "exclusiveMaximum": 12345678.75},
    {"type": "number", "minimum": 1e-9, "maximum": 1e-7},
    {"type": "number", "multipleOf": 0.5, "minimum": -1.2, "maximum": 3.3}, {"type": "number", "multipleOf": 3,
                                                                             "exclusiveMinimum": 9},
    {"type": "number", "multipleOf": 0.125, "exclusiveMinimum": -0.25, "exclusiveMaximum": 0.25},
    {"minimum": 4, "maximum": 5.5}, {"minLength": 3, "maxLength": 4}, {"properties": {"a": {"const": 1}}}, {"maxItems": 2},
    {}, True, {"type": ["integer", "string", "null"], "maximum": 9, "minimum": 0, "maxLength": 2},
    {"type": "array", "prefixItems": [{"type": "integer"}, {"type": "string", "maxLength": 2}, {"type": "null"}], "minItems": 1},
    {"type": "array", "prefixItems": [{"const": 1}], "items": {"const": 2}, "minItems": 3, "maxItems": 6},
    {"type": "array", "items": {"enum": [1, 2, 3, 4]}, "uniqueItems": True, "minItems": 2, "maxItems": 3},
    {"type": "array", "items": {"enum": ["a", "b"]}, "uniqueItems": True, "minItems": 2},
    {"type": "array", "items": False}, {"type": "array", "items": {"type": "string", "minLength": 3, "maxLength": 2}},
    {"type": "object", "properties": {"a": False, "b": {"type": "null"}, "c": {"type": "boolean"}}},
    {"type": "object", "properties": {c: {"const": c} for c in "abcdefghijklmnopqrst"}},
    {"type": "object", "properties": {c: {"const": c} for c in "abcdef"}, "required": ["c", "e", "z"]},
    {"type": "object", "properties": {"a": {}, "b": {"type": "null"}}, "minProperties": 2},
    {"type": "object", "properties": {"a": {}, "b": {"type": "null"}}, "required": ["b"], "maxProperties": 1},
    {"type": "object", "additionalProperties": {"type": "integer", "minimum": 0, "maximum": 9}, "maxProperties": 3},
    {"type": "object", "additionalProperties": {"type": "null"}, "minProperties": 1},
    {"type": "object", "propertyNames": {"enum": ["a\"b", "c\\d"]}, "additionalProperties": {"type": "null"}},
    {"type": "object", "required": ["x"], "additionalProperties": {"type": "integer"}, "properties": {"y": {"type": "null"}}},
    {"enum": [1, "a", None, 2.5, [1], {"k": "v"}], "type": ["string", "number"]},
    {"enum": ["a", "bcd", "ef"], "minLength": 2, "const": "ef"},
    {"const": {"a": [1, 2.50, 1e3, "\u2028\"\\\n\u0001"], "b": {}}},
    {"oneOf": [{"type": "integer"}, {"type": "string"}, {"type": "null"}]},
    {"oneOf": [{"type": "number", "maximum": 1}, {"type": "number", "exclusiveMinimum": 1, "maximum": 2}]},
    {"oneOf": [{"properties": {"a": {"const": 1}, "x": {}}}, {"properties": {"a": {"const": 2}, "y": {}}}], "type": "object"},
    {"oneOf": [{"type": "object", "properties": {"a": {"type": "null"}}, "required": ["a"], "additionalProperties": False},
               {"type": "object", "properties": {"b": {"type": "null"}}, "required": ["b"], "additionalProperties": False}]},
    {"oneOf": [{"enum": [1, 2]}, {"enum": [3, "x"]}, {"const": 5}]},
    {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"],
     "anyOf": [{"properties": {"n": {"minimum": 5}}}, {"properties": {"n": {"maximum": -5}, "m": {"type": "null"}}}]},
    {"anyOf": [{"type": "integer"}, {"type": "string"}], "allOf": [{"anyOf": [{"type": "string"}, {"type": "null"}]}],
     "maxLength": 3},
    {"allOf": [{"minimum": 3}, {"type": "integer", "maximum": 9}, {"multipleOf": 2}, {"multipleOf": 3}]},
    {"$ref": "#/$defs/a%25b~1c", "$defs": {"a%b/c": {"type": "array", "items": {"$ref": "#/$defs/d"}, "maxItems": 2},
                                           "d": {"type": "null"}}},
    {"$defs": {"v": {"anyOf": [{"type": "null"}, {"type": "array", "items": {"$ref": "#/$defs/v"}, "maxItems": 2}]}},
     "$ref": "#/$defs/v"},
    {"anyOf": [{"type": "integer"}, {"type": "array", "items": {"$ref": "#"}, "maxItems": 2}]},
]


VALUES = [None, True, False, 0, 1, -3, 2.5, 10, "", "a", "bc", "\u00e9\U0001f6b2", "x\"y\\", [1], [], {"a": 1}, {}, ["a", None]]
NAMES = ["a", "b", "c", "kind", "x/y~z"]
NUMBERS = [0, 1, -1, 2, 5, 10, 100, 0.5, -0.25, 1.5, 3.75, -7, -100, 1e3, 0.001, -1e-3, 12345.678]
PIECES = ["a", "b", "\\d", "\\w", "\\s", "[a-c]", "[^a]", ".", "\\.", "\\W", "\\D", "\\S", "[^\\d\\s]", '"', "\\\\", "\u00e9"]


class Maker:
    """Makes up schemas of a few levels."""

    def __init__(self, seed):
        self.random = random.Random(seed)

    def chance(self, share):
        return self.random.random() < share

    def some(self, values, most, least=0):
        return self.random.sample(values, self.random.randrange(least, most + 1))

    def numbers(self):
        schema = {"type": self.random.choice(["integer", "number"])}
        for share, keys, values in ((0.6, ["minimum", "exclusiveMinimum"], NUMBERS),
                                    (0.6, ["maximum", "exclusiveMaximum"], NUMBERS),
                                    (0.2, ["multipleOf"], [1, 2, 3, 7, 10, 25, 0.5, 0.25])):
            if self.chance(share):
                schema[self.random.choice(keys)] = self.random.choice(values)
        return schema

    def pattern(self, levels):
        kind = self.random.randrange(8)
        if levels == 0 or kind < 3:
            return self.random.choice(PIECES)
        if kind < 5:
            return self.pattern(levels - 1) + self.pattern(levels - 1)
        if kind == 5:
            return f"(?:{self.pattern(levels - 1)}|{self.pattern(levels - 1)})"
        if kind == 6:
            return f"(?:{self.pattern(levels - 1)})" + self.random.choice(["*", "+", "?", "{2}", "{1,3}", "*?", "{0,2}?"])
        return self.random.choice(["^", ""]) + self.pattern(levels - 1) + self.random.choice(["$", ""])

    def strings(self):
        schema = {"type": "string"}
        if self.chance(0.4):
            schema["minLength"] = self.random.randrange(5)
        if self.chance(0.4):
            schema["maxLength"] = self.random.randrange(8)
        if self.chance(0.3):
            schema["pattern"] = self.pattern(2)
        elif self.chance(0.2):
            schema["format"] = self.random.choice(["date", "uuid", "ipv4", "email", "whatever"])
        return schema

    def listed(self):
        schema = {"enum": self.some(VALUES, 5, 1)} if self.chance(0.7) else {"const": self.random.choice(VALUES)}
        if self.chance(0.2):
            schema["type"] = self.random.choice(["string", "integer", "number", "array", ["null", "string"]])
        return schema

    def objects(self, levels):
        properties = {name: self.schema(levels - 1) for name in self.some(NAMES, 3)}
        schema = {"type": "object", "properties": properties}
        if self.chance(0.6):
            schema["required"] = self.some(list(properties) + ["z"], 1 + len(properties))
        if self.chance(0.5):
            schema["additionalProperties"] = self.random.choice([False, True, self.schema(levels - 1)])
        if self.chance(0.1):
            del schema["type"]
        if self.chance(0.1):
            schema[self.random.choice(["minProperties", "maxProperties"])] = self.random.randrange(3)
        return schema

    def arrays(self, levels):
        schema = {"type": "array", "items": self.schema(levels - 1), "minItems": self.random.randrange(3),
                  "maxItems": self.random.randrange(4), "prefixItems": [self.schema(levels - 1) for _ in range(2)],
                  "uniqueItems": True}
        for key, share in (("items", 0.3), ("minItems", 0.6), ("maxItems", 0.5), ("prefixItems", 0.7), ("uniqueItems", 0.9)):
            if self.chance(share):
                del schema[key]
        return schema

    def choices(self, levels):
        schema = {self.random.choice(["anyOf", "anyOf", "oneOf", "oneOf", "allOf"]):
                  [self.schema(levels - 1) for _ in range(self.random.randrange(1, 4))]}
        beside = self.schema(0) if self.chance(0.3) else {}
        return {**beside, **schema} if isinstance(beside, dict) else schema

    def schema(self, levels):
        kind = self.random.randrange(12 if levels > 0 else 7)
        if kind == 0:
            return self.random.choice([True, {}, {}, False])
        if kind == 1:
            return {"type": self.some(["null", "boolean", "integer", "string", "number"], 3, 1)}
        if kind == 2:
            return {"$ref": "#/$defs/" + self.random.choice("pqr")}
        if kind < 7:
            return [self.numbers, self.strings, self.listed, self.strings][kind - 3]()
        return [self.objects, self.objects, self.arrays, self.choices, self.choices][kind - 7](levels)

    def whole(self):
        schema = self.schema(3)
        schema = dict(schema) if isinstance(schema, dict) else {}
        schema["$defs"] = {name: self.schema(2) for name in "pqr"}
        return schema


def try_random(program, temporary):
    """Lines of what is wrong, and how many schemas were not refused."""
    made, wrong = 0, []
    for seed in range(SEED, SEED + RANDOM):
        schema = Maker(seed).whole()
        path = pathlib.Path(temporary, "random.json")
        path.write_text(json.dumps(schema))
        found = try_schema(program, path, schema, seed, 16)
        refused = len(found) == 1 and ": JSON Schema" in found[0]
        made += not refused
        wrong += [f"seed {seed}: {line}" for line in found if not refused]
    return wrong, made


def validate(validator, line):
    """What is wrong with it, or None."""
    try:
        value = json.loads(line)
    except ValueError as error:
        return f"is no JSON: {error}"
    wrong = next(validator.iter_errors(value), None)
    return wrong and wrong.message[:200]


def try_schema(program, path, schema, seed, count=COUNT):
    validator = Draft202012Validator(schema, format_checker=Draft202012Validator.FORMAT_CHECKER)
    run = subprocess.run([program, str(count), str(seed), "60", path], capture_output=True)
    if run.returncode:
        return [run.stderr.decode(errors="replace").strip() or f"exit status {run.returncode}"]
    lines = run.stdout.decode().split("\n")[:-1]
    if len(lines) != count:
        return [f"expected {count} sentences, found {len(lines)}"]
    found = ((line, validate(validator, line)) for line in lines)
    return [f"{line[:200]}: {wrong}" for line, wrong in found if wrong]


def main():
    program, folder = sys.argv[1], pathlib.Path(sys.argv[2])
    cases = [(path.name, path, json.loads(path.read_text())) for path in sorted(folder.glob("*.json"))]
    with tempfile.TemporaryDirectory() as temporary:
        for number, schema in enumerate(SMALL):
            path = pathlib.Path(temporary, f"{number}.json")
            path.write_text(json.dumps(schema))
            cases.append((json.dumps(schema)[:90].replace("#", "."), path, schema))
        for number, (name, path, schema) in enumerate(cases, 1):
            wrong = try_schema(program, path, schema, number)
            point(not wrong, name, *wrong[:5])
        wrong, made = try_random(program, temporary)
        point(not wrong and made >= RANDOM // 3, f"{made} random schemas of {RANDOM}", *wrong[:5])
    plan()


main()
