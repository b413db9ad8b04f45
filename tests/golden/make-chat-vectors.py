# SPDX-License-Identifier: LGPL-2.1-or-later
"""Writes data/tokenizers/chat-constructs.json: templates of our own with the constructs that published ones use, and what
Jinja2 renders from them with transformers' settings.

usage: make-chat-vectors.py > data/tokenizers/chat-constructs.json     (needs the package Jinja2, 3.1.6 was used)
"""
import json

import jinja2
import jinja2.ext
from jinja2.sandbox import ImmutableSandboxedEnvironment

# After Llama 3.1: tools as indented JSON, the date, checks that raise, a first turn that is taken out of the list.
TOOLS = """{{- bos_token }}
{%- if not today is defined %}
    {%- if strftime_now is defined %}
        {%- set today = "a day" if strftime_now("%Y")|length == 4 else "never" %}
    {%- endif %}
{%- endif %}
{%- if messages[0]['role'] == 'system' %}
    {%- set rules = messages[0]['content']|trim %}
    {%- set messages = messages[1:] %}
{%- else %}
    {%- set rules = "" %}
{%- endif %}
{{- "[rules] it is " + today + "\\n" + rules + "\\n" }}
{%- if builtin is defined %}
    {{- "at hand: " + builtin | reject('equalto', 'shell') | join(", ") + "\\n" }}
{%- endif %}
{%- for t in tools or [] %}
    {{- t | tojson(indent=4) + "\\n" }}
{%- endfor %}
{%- for m in messages %}
    {%- if not (m.role == 'tool' or 'tool_calls' in m) %}
        {{- '[' + m['role'] + '] '+ m['content'] | trim + '\\n' }}
    {%- elif 'tool_calls' in m %}
        {%- if not m.tool_calls|length == 1 %}
            {{- raise_exception("one call a turn, not " ~ m.tool_calls|length) }}
        {%- endif %}
        {%- set call = m.tool_calls[0].function %}
        {{- '[call] ' + call.name + '(' }}
        {%- for name, value in call.arguments | items %}
            {{- name + '=' + value | tojson }}
            {%- if not loop.last %}
                {{- ", " }}
            {%- endif %}
        {%- endfor %}
        {{- ')\\n' }}
    {%- else %}
        {{- '[result] ' }}
        {%- if m.content is mapping or m.content is iterable and m.content is not string %}
            {{- m.content | tojson }}
        {%- else %}
            {{- m.content }}
        {%- endif %}
        {{- '\\n' }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '[assistant] ' }}
{%- endif %}
"""

# After Qwen3: the list read backwards, a namespace, thoughts cut off, neighbours looked at.
THINKING = """{%- set ns = namespace(found=false, last=messages|length - 1) %}
{%- for m in messages[::-1] %}
    {%- set i = (messages|length - 1) - loop.index0 %}
    {%- if not ns.found and m.role == "user" and m.content is string and not(m.content.startswith('<r>') and m.content.endswith('</r>')) %}
        {%- set ns.found = true %}
        {%- set ns.last = i %}
    {%- endif %}
{%- endfor %}
{%- for m in messages %}
    {%- set content = m.content if m.content is string else '' %}
    {%- set thought = '' %}
    {%- if m.thought is string %}
        {%- set thought = m.thought %}
    {%- elif '</think>' in content %}
        {%- set thought = content.split('</think>')[0].rstrip('\\n').split('<think>')[-1].lstrip('\\n') %}
        {%- set content = content.split('</think>')[-1].lstrip('\\n') %}
    {%- endif %}
    {%- if m.role == "tool" %}
        {%- if loop.first or (messages[loop.index0 - 1].role != "tool") %}{{- '(tools' }}{%- endif %}
        {{- '|' + content }}
        {%- if loop.last or (messages[loop.index0 + 1].role != "tool") %}{{- ')\\n' }}{%- endif %}
    {%- else %}
        {{- m.role + ':' }}
        {%- if loop.index0 > ns.last and (loop.last or thought) %}
            {{- '{' + thought.strip('\\n') + '}' }}
        {%- endif %}
        {{- content.lstrip('\\n') + '\\n' }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- 'assistant:' }}
    {%- if thinking is defined and thinking is false %}{{- '{}' }}{%- endif %}
{%- endif %}"""

# After SmolVLM2: parts of content, capitals, text between tags without dashes.
PARTS = """{% for m in messages %}{{ m['role'] | capitalize }}{% if m['content'][0]['type'] == 'image' %}{{ ':' }}{% else %}{{ ': ' }}{% endif %}{% for p in m['content'] %}{% if p['type'] == 'text' %}{{ p['text'] }}{% elif p['type'] == 'image' %}{{ '<image>' }}{% endif %}{% endfor %}<end>
{% endfor %}{% if add_generation_prompt %}{{ 'Assistant:' }}{% endif %}"""

# What is rarer: macros with a caller, recursion, cycles, formats, filters over attributes.
RARE = """{%- macro box(kind, mark='*') -%}{{ mark }}{{ kind }}[{{ caller(kind | upper) }}]{%- endmacro -%}
{% for m in messages %}
  {%- call(k) box(m.role, mark=loop.cycle('*', '+')) -%}
  {{ k }} {{ m.content if m.content is string else m.content | map(attribute='text', default='-') | join('/') }}
  {%- endcall %}{{ loop.changed(m.role) }} {{ loop.previtem.role if loop.previtem is defined else 'none' }}
{% endfor %}
{%- for n in tree recursive %}<{{ n.name }}{{ loop.depth }}{% if n.below %}{{ loop(n.below) }}{% endif %}>{% endfor %}

{{ messages | map(attribute='role') | unique | sort(reverse=true) | join(', ') }}
{{ messages | selectattr('role', 'in', ['user', 'tool']) | list | length }} of {{ messages | length }}
{{ "%s: %d of %05.1f%%" % (messages[0].role, 3, 12.25) }}|{{ "%-6s|%4d" | format("ab", 7) }}
{% set total %}{{ tree | sum(attribute='size') }}{% endset %}{{ total | trim | int + 1 }}
{% filter indent(2) %}one
two{% endfilter %} {% raw %}{{ raw }}{% endraw %} {% generation %}said{% endgeneration %}
"""

TALK = [{"role": "system", "content": " Be kind. "}, {"role": "user", "content": "Hi \u00e9\n"},
        {"role": "assistant", "content": "<think>\nhm\n</think>\n\nHello"}, {"role": "user", "content": "<r>x</r>"},
        {"role": "assistant", "content": "last</think>\nword"}]
CALLS = [{"role": "user", "content": "Weather?"},
         {"role": "assistant", "content": "", "tool_calls": [{"function": {"name": "get", "arguments": {
             "city": "K\u00f6ln \"am\" Rhein", "days": 2, "exact": None}}}]},
         {"role": "tool", "content": {"sky": "grey", "rain": [0.5, 1e-7]}}, {"role": "tool", "content": "18 \u00b0C"},
         {"role": "assistant", "content": "Grey."}]
IMAGES = [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "What?"}]},
          {"role": "assistant", "content": [{"type": "text", "text": "A cat."}]},
          {"role": "user", "content": [{"type": "text", "text": "And "}, {"type": "image"}, {"type": "image"}]}]
TREE = [{"name": "a", "size": 2, "below": [{"name": "b", "below": [{"name": "c"}]}, {"name": "d"}]},
        {"name": "e", "size": 3, "below": []}]
FUNCTIONS = [{"type": "function", "function": {"name": "get", "parameters": {"city": {"type": "string"}, "days": []}}}]

CASES = [
    ("tools-talk", "tools", {"messages": TALK, "add_generation_prompt": True, "bos_token": "<s>"}),
    ("tools-calls", "tools", {"messages": CALLS, "tools": FUNCTIONS, "builtin": ["shell", "web", "maps"],
                              "add_generation_prompt": False, "bos_token": "", "today": "Monday"}),
    ("thinking-talk", "thinking", {"messages": TALK, "add_generation_prompt": True, "thinking": False}),
    ("thinking-calls", "thinking", {"messages": CALLS + [{"role": "user", "content": "ok"}]}),
    ("thinking-thought", "thinking", {"messages": TALK[:2] + [{"role": "assistant", "content": "A", "thought": "\nB\n"}]}),
    ("parts", "parts", {"messages": IMAGES, "add_generation_prompt": True}),
    ("rare-talk", "rare", {"messages": TALK, "tree": TREE}),
    ("rare-images", "rare", {"messages": IMAGES + TALK[:2], "tree": TREE[1:]}),
]


class Generation(jinja2.ext.Extension):
    tags = {"generation"}

    def parse(self, parser):
        line = next(parser.stream).lineno
        body = parser.parse_statements(["name:endgeneration"], drop_needle=True)
        return jinja2.nodes.CallBlock(self.call_method("_said"), [], [], body).set_lineno(line)

    def _said(self, caller):
        return caller()


def environment():
    env = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True,
                                        extensions=[Generation, jinja2.ext.loopcontrols])
    env.filters["tojson"] = lambda x, ensure_ascii=False, indent=None, separators=None, sort_keys=False: json.dumps(
        x, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)
    env.globals["strftime_now"] = lambda layout: "2025" if layout == "%Y" else layout
    env.globals["raise_exception"] = lambda what: (_ for _ in ()).throw(jinja2.TemplateError(what))
    return env


def main():
    templates = {"tools": TOOLS, "thinking": THINKING, "parts": PARTS, "rare": RARE}
    env = environment()
    cases = [{"name": name, "template": template, **values,
              "prompt": env.from_string(templates[template]).render(**values)} for name, template, values in CASES]
    print(json.dumps({"own_templates": templates, "cases": cases}, indent=1))


main()
