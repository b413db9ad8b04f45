# SPDX-License-Identifier: LGPL-2.1-or-later
"""Random sentences of JSON Schemas, held against the package jsonschema (Draft 2020-12, formats checked where it has their
packages), and against json for what it cannot see. Prints TAP; skips where jsonschema is not there. TERN_SENTENCES: how
many of each schema.

usage: schema.py PROGRAM FOLDER_OF_SCHEMAS
"""
import json
import os
import pathlib
import subprocess
import sys
import tempfile

try:
    from jsonschema import Draft202012Validator
except ImportError:
    print("1..0 # SKIP no Python package jsonschema (Debian: python3-jsonschema)")
    sys.exit(0)

COUNT = int(os.environ.get("TERN_SENTENCES", 120))

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
    {"type": "number", "exclusiveMinimum": 12345678.5, "exclusiveMaximum": 12345678.75}, {"type": "number", "minimum": 1e-9, "maximum": 1e-7},
    {"type": "number", "multipleOf": 0.5, "minimum": -1.2, "maximum": 3.3}, {"type": "number", "multipleOf": 3, "exclusiveMinimum": 9},
    {"type": "number", "multipleOf": 0.125, "exclusiveMinimum": -0.25, "exclusiveMaximum": 0.25},
    {"minimum": 4, "maximum": 5.5}, {"minLength": 3, "maxLength": 4}, {"properties": {"a": {"const": 1}}}, {"maxItems": 2}, {}, True,
    {"type": ["integer", "string", "null"], "maximum": 9, "minimum": 0, "maxLength": 2},
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
    {"anyOf": [{"type": "integer"}, {"type": "string"}], "allOf": [{"anyOf": [{"type": "string"}, {"type": "null"}]}], "maxLength": 3},
    {"allOf": [{"minimum": 3}, {"type": "integer", "maximum": 9}, {"multipleOf": 2}, {"multipleOf": 3}]},
    {"$ref": "#/$defs/a%25b~1c", "$defs": {"a%b/c": {"type": "array", "items": {"$ref": "#/$defs/d"}, "maxItems": 2}, "d": {"type": "null"}}},
    {"$defs": {"v": {"anyOf": [{"type": "null"}, {"type": "array", "items": {"$ref": "#/$defs/v"}, "maxItems": 2}]}}, "$ref": "#/$defs/v"},
    {"anyOf": [{"type": "integer"}, {"type": "array", "items": {"$ref": "#"}, "maxItems": 2}]},
]


def validate(validator, line):
    """What is wrong with it, or None."""
    try:
        value = json.loads(line)
    except ValueError as error:
        return f"is no JSON: {error}"
    wrong = next(validator.iter_errors(value), None)
    return wrong and wrong.message[:200]


def try_schema(program, path, schema, seed):
    validator = Draft202012Validator(schema, format_checker=Draft202012Validator.FORMAT_CHECKER)
    run = subprocess.run([program, str(COUNT), str(seed), "60", path], capture_output=True)
    if run.returncode:
        return [run.stderr.decode(errors="replace").strip() or f"exit status {run.returncode}"]
    lines = run.stdout.decode().split("\n")[:-1]
    if len(lines) != COUNT:
        return [f"expected {COUNT} sentences, found {len(lines)}"]
    found = ((line, validate(validator, line)) for line in lines)
    return [f"{line[:200]}: {wrong}" for line, wrong in found if wrong]


def main():
    program, folder = sys.argv[1], pathlib.Path(sys.argv[2])
    cases = [(path.name, path, json.loads(path.read_text())) for path in sorted(folder.glob("*.json"))]
    print(f"1..{len(cases) + len(SMALL)}")
    with tempfile.TemporaryDirectory() as temporary:
        for number, schema in enumerate(SMALL):
            path = pathlib.Path(temporary, f"{number}.json")
            path.write_text(json.dumps(schema))
            cases.append((json.dumps(schema)[:90].replace("#", "."), path, schema))
        for number, (name, path, schema) in enumerate(cases, 1):
            wrong = try_schema(program, path, schema, number)
            for line in wrong[:5]:
                print("#", line)
            print("not ok" if wrong else "ok", number, "-", name, flush=True)


main()
