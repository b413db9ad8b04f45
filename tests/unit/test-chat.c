/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The template interpreter: what Jinja2 renders from the same text (outputs taken from Jinja2 3.1 in the sandbox that
 * chat templates run in), what is refused, and the bounds on untrusted templates. */
#include <json-glib/json-glib.h>
#include <string.h>

#include "tern/error.h"
#include "engine/base/json.h"
#include "engine/base/log.h"
#include "engine/chat/chat.h"
#include "tests/unit/gguf-writer.h"

static const char values[] =
    "{\"messages\": [{\"role\": \"user\", \"content\": \"Hi \303\251 there\\n x \"}], \"n\": 7, \"f\": 2.5, "
    "\"s\": \"Hello, W\303\266rld\", \"e\": \"\", \"t\": true, \"nul\": null, \"l\": [3, 1, 2], "
    "\"d\": {\"b\": 1, \"a\": [1, {\"z\": null}], \"c\": \"q'uote\\\"s\"}, "
    "\"people\": [{\"name\": \"x\", \"age\": 3}, {\"name\": \"y\", \"age\": 1}]}";

static char *
render (const char *source, GError **error)
{
  g_autoptr (TernChat) chat = tern_chat_new (source, strlen (source), error);

  return chat ? tern_chat_render_json (chat, values, -1, error) : NULL;
}

static void
test_rendered (void)
{
  static const struct {
    const char *source, *text;
  } cases[] = {
    { "{{ n }} {{ f }} {{ t }} {{ nul }} {{ missing }}|", "7 2.5 True None |" },
    { "{{ d }} {{ 1e20 }} {{ 1e16 }} {{ 0.1 + 0.2 }} {{ 5.0 }} {{ 1e-7 }}",
      "{'b': 1, 'a': [1, {'z': None}], 'c': 'q\\'uote\"s'} 1e+20 1e+16 0.30000000000000004 5.0 1e-07" },
    { "{{ -7 // 2 }} {{ -7 % 5 }} {{ 7 / 2 }} {{ 2 ** 10 }} {{ 'ab' * 2 }} {{ 1 ~ 'x' ~ none }}",
      "-4 3 3.5 1024 abab 1xNone" },
    { "{{ s[0] }}{{ s[-1] }}{{ s[7:9] }}{{ l[::-1] }}{{ l[1:] }}{{ l[9] }}{{ s[::-2] }}",
      "HdW\303\266[2, 1, 3][1, 2]drW,le" },
    { "{{ 1 < 2 < 3 }}{{ 'b' in d }}{{ 4 not in l }}{{ not t or 5 }}{{ e or 'x' }}", "TrueTrueTrue5x" },
    { "{{ 'a' in missing }}{{ 'a' not in missing }}{{ 'a' is in missing }}{{ 'a' in d.missing and n }}", "FalseTrueFalseFalse" },
    { "{{ d | tojson }} {{ s | tojson(ensure_ascii=true) }}",
      "{\"b\": 1, \"a\": [1, {\"z\": null}], \"c\": \"q'uote\\\"s\"} \"Hello, W\\u00f6rld\"" },
    { "{{ [1, {'k': 2}] | tojson(indent=2) }}", "[\n  1,\n  {\n    \"k\": 2\n  }\n]" },
    { "{{ '  x ' | trim }}|{{ missing | default('d') }}|{{ e | default('d', true) }}|{{ s | length }}|"
      "{{ people | map(attribute='name') | join(', ') }}|{{ l | sort | join }}", "x|d|d|12|x, y|123" },
    { "{{ 'a,b,c'.split(',')[-1] }}{{ 'abc'.endswith('bc') }}{{ d.get('q', 5) }}{{ ' x'.lstrip() }}"
      "{{ 'aXb'.replace('X', '-') }}{{ 'it' | capitalize }}{{ \"it's\" | title }}", "cTrue5xa-bItIt's" },
    { "{% for k, v in d.items() %}{{ loop.index0 }}{{ k }}{% if not loop.last %},{% endif %}{% endfor %}", "0b,1a,2c" },
    { "{% for x in l if x > 1 %}{{ loop.index }}{{ x }}{% else %}none{% endfor %}{% for x in [] %}{% else %}none"
      "{% endfor %}", "1322none" },
    { "{% for x in l %}{% if x == 1 %}{% continue %}{% endif %}{{ x }}{% if x == 2 %}{% break %}{% endif %}"
      "{% endfor %}", "32" },
    { "{% set a = 1 %}{% for x in l %}{% set a = x %}{% endfor %}{{ a }}{% set ns = namespace(v=0) %}"
      "{% for x in l %}{% set ns.v = ns.v + x %}{% endfor %}{{ ns.v }}", "16" },
    { "{% macro m(a, b='B') %}<{{ a }}{{ b }}>{% endmacro %}{{ m(1) }}{{ m(1, b=2) }}{{ m() }}", "<1B><12><B>" },
    { "{% set x %}a{{ n }}{% endset %}{{ x }}{% filter upper %}b{% endfilter %}{% generation %}g{% endgeneration %}",
      "a7Bg" },
    { "{{ 'y' if t else 'n' }}{{ 'y' if e }}{{ 1 if e else 2 if e else 3 }}", "y3" },
    { "{{ s is string }}{{ d is mapping }}{{ missing is defined }}{{ nul is none }}{{ 9 is divisibleby 3 }}"
      "{{ 3 is not odd }}", "TrueTrueFalseTrueTrueFalse" },
    { "  {% if t %}\n    in\n  {% endif %}\nout {#- c -#}  \n x  {{- n -}}  y\n", "    in\noutx7y" },
    { "a {%+ if t %} b {% endif +%}\nc\n  {% set q = 1 %}  \nd", "a  b \nc\n  \nd" },
    { "{% raw %}{{ n }}{% endraw %}{{ '}}' }}{{ {'a': {'b': 1}}['a']['b'] }}{{ \"\\x41\\u00e9\\n\" }}",
      "{{ n }}}}1A\303\251\n" },
    { "{% for x in [{'n': 1, 'c': [{'n': 2, 'c': []}]}, {'n': 3}] recursive %}[{{ x.n }}:{{ loop.depth }}"
      "{% if x.c %}{{ loop(x.c) }}{% endif %}]{% endfor %}", "[1:1[2:2]][3:1]" },
    { "{% for x in [1, 1, 2] %}{{ loop.cycle('a', 'b') }}{{ loop.changed(x) }}{{ loop.previtem }}{{ loop.nextitem }};"
      "{% endfor %}", "aTrue1;bFalse12;aTrue1;" },
    { "{% macro box(k) %}<{{ k }}>{{ caller(k * 2) }}</{{ k }}>{% endmacro %}"
      "{% call(v) box(4) %}{{ v }}/{{ n }}{% endcall %}",
      "<4>8/7</4>" },
    { "{{ '%s has %03d of %5.2f, %x, %-4s|%r%%' % (s, n, f, 255, 'W\303\266', 'q') }}",
      "Hello, W\303\266rld has 007 of  2.50, ff, W\303\266  |'q'%" },
    { "{{ '%(a)s-%(b)d' % {'a': 1, 'b': 2} }} {{ '%s %s' | format(1, 'x') }} {{ '{} {} {k} {{}}'.format(1, 2, k=3) }}",
      "1-2 1 x 1 2 3 {}" },
    { "{{ people | sum(attribute='age') }} {{ [1, 2] | sum }} {{ 7 | round(1) }} {{ true is odd }} "
      "{{ 0 | map('upper') | list }}",
      "4 3 7 True []" },
    { "{{ range(3) | list }}{{ dict(a=1) }}{{ (1, 2) }}{{ messages[0].role }}{{ messages[-1]['content'] | trim }}",
      "[0, 1, 2]{'a': 1}(1, 2)userHi \303\251 there\n x" },
  };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
    g_autoptr (GError) error = NULL;
    g_autofree char *text = render (cases[i].source, &error);

    if (error)
      g_test_message ("%s", cases[i].source);
    g_assert_no_error (error);
    g_assert_cmpstr (text, ==, cases[i].text);
  }
}

static void
test_refused (void)
{
  static const struct {
    const char *source;
    int code;
    const char *what;
  } cases[] = {
    { "a\n{% include 'x' %}", TERN_ERROR_UNSUPPORTED, "line 2: the statement {% include %}" },
    { "{% extends 'x' %}", TERN_ERROR_UNSUPPORTED, "{% extends %}" },
    { "\n{% import 'x' as y %}", TERN_ERROR_UNSUPPORTED, "line 2: the statement {% import %}" },
    { "{% for x in l %}{{ loop(l) }}{% endfor %}", TERN_ERROR_INVALID, "recursive" },
    { "{% set ns = namespace({'': 1, 'depth': 'x'}) %}{{ ns(l) }}", TERN_ERROR_INVALID, "recursive" },
    { "{{ namespace()(l) }}", TERN_ERROR_INVALID, "cannot be called" },
    { "{% call n %}{% endcall %}", TERN_ERROR_FORMAT, "a call of a macro" },
    { "{{ '%q' % 1 }}", TERN_ERROR_UNSUPPORTED, "%q" },
    { "{{ '%d' % 'a' }}", TERN_ERROR_INVALID, "%d: expected a number, found string" },
    { "{{ '%s%s' % n }}", TERN_ERROR_INVALID, "too few" },
    { "{{ '%s' % (n, f) }}", TERN_ERROR_INVALID, "too few" },
    { "{{ '%99999d' % 1 }}", TERN_ERROR_UNSUPPORTED, "width" },
    { "{{ '{:>3}'.format(n) }}", TERN_ERROR_UNSUPPORTED, "{:>3}" },
    { "{{ n | dictsort }}", TERN_ERROR_INVALID, "items: expected a mapping, found integer" },
    { "{{ n | frobnicate }}", TERN_ERROR_UNSUPPORTED, "filter frobnicate" },
    { "{{ n is odious }}", TERN_ERROR_UNSUPPORTED, "is odious" },
    { "{{ f(*l) }}", TERN_ERROR_UNSUPPORTED, "unpacked" },
    { "{{ n | \303 }}", TERN_ERROR_UNSUPPORTED, "the filter \357\277\275" },  /* messages are UTF-8 */
    { "{% if t %}", TERN_ERROR_FORMAT, "endif" },
    { "{{ n", TERN_ERROR_FORMAT, "expected }}" },
    { "{{ 'abc }}", TERN_ERROR_FORMAT, "end of a string" },
    { "{{ n + }}", TERN_ERROR_FORMAT, "expected an expression, found }}" },
    { "{{ n ; }}", TERN_ERROR_FORMAT, "';'" },
    { "{# never", TERN_ERROR_FORMAT, "#}" },
    { "{% break %}", TERN_ERROR_FORMAT, "outside of a loop" },
    { "\n\n{{ raise_exception('no system role') }}", TERN_ERROR_INVALID, "line 3: the template says: no system role" },
    { "{{ missing.x }}", TERN_ERROR_INVALID, "missing is undefined" },
    { "{{ nothing() }}", TERN_ERROR_INVALID, "nothing is undefined" },
    { "{{ 'a' + 1 }}", TERN_ERROR_INVALID, "string and integer" },
    { "{{ 1 // 0 }}", TERN_ERROR_INVALID, "division by zero" },
    { "{{ 1 < 'a' }}", TERN_ERROR_INVALID, "no order" },
    { "{{ 9223372036854775807 + 1 }}", TERN_ERROR_UNSUPPORTED, "64 bits" },
  };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
    g_autoptr (GError) error = NULL;
    g_autofree char *text = render (cases[i].source, &error);

    g_assert_null (text);
    g_assert_error (error, TERN_ERROR, cases[i].code);
    if (!strstr (error->message, cases[i].what))
      g_error ("\"%s\" does not name \"%s\"", error->message, cases[i].what);
  }
}

static char *
times (const char *before, const char *text, guint n, const char *after)
{
  GString *out = g_string_new (before);

  for (guint i = 0; i < n; i++)
    g_string_append (out, text);
  g_string_append (out, after);
  return g_string_free (out, FALSE);
}

/* Templates that would take all memory, all stack, or for ever. */
static void
test_bounds (void)
{
  char *cases[] = {
    times ("{% for a in range(99999) %}", "{% for a in range(99999) %}", 3,
        "{{ a }}{% endfor %}{% endfor %}{% endfor %}{% endfor %}"),
    times ("{{ 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa' * 9000000000000 }}", "", 0, ""),
    times ("{% set ns = namespace(s='ab') %}{% for a in range(99) %}{% set ns.s = ns.s + ns.s %}",
        "{% endfor %}", 1, ""),
    times ("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", "", 0, ""),
    times ("{% for x in l recursive %}{{ loop(l) }}{% endfor %}", "", 0, ""),
    times ("{% macro m() %}{% call m() %}{{ caller() }}{% endcall %}{% endmacro %}{% call m() %}{% endcall %}",
        "", 0, ""),
    times ("{% for x in range(90000) %}{{ '%900d' % x }}{% endfor %}", "", 0, ""),
    times ("{{ ", "(", 100000, "1 }}"),
    times ("{{ ", "[", 100000, "1 }}"),
    times ("{{ ", "-", 100000, "1 }}"),
    times ("{{ ", "not ", 100000, "1 }}"),
    times ("{{ 1", " + 1", 100000, " }}"),
    times ("{{ n", ".a", 100000, " }}"),
    times ("{{ n", "|string", 100000, " }}"),
    times ("", "{% if t %}", 100000, ""),
    times ("{{ range(1000000000) }}", "", 0, ""),
    times ("{{ ('a' * 2000000).replace('a', 'b' * 2000000) }}", "", 0, ""),
    times ("{% set ns = namespace() %}{% set ns.a = [ns] %}{{ ns.a }}", "", 0, ""),
    /* Shared halves: 2^40 pairs to compare, and no loop. */
    times ("{% set a = [] %}{% set b = [] %}", "{% set a = [a, a] %}{% set b = [b, b] %}", 40, "{{ a == b }}"),
    times ("{% set a = [] %}{% set b = [] %}", "{% set a = [a, a] %}{% set b = [b, b] %}", 40, "{{ a in [b] }}"),
    /* Steps that read long texts cost more than one. */
    times ("{% set x = 'a' * 2000000 %}{% for i in range(90000) %}{% if 'b' in x %}{% endif %}{% endfor %}", "", 0, ""),
    times ("{% set x = 'a' * 2000000 %}{% for i in range(90000) %}{% if x == x %}{% endif %}{% endfor %}", "", 0, ""),
    times ("{% set x = 'a' * 2000000 %}{% set y = [x", ", x", 90000, "] %}{{ y|select('in', x)|list|length }}"),
  };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
    g_autoptr (GError) error = NULL;
    g_autofree char *text = render (cases[i], &error);

    if (text)
      g_test_message ("%.60s", cases[i]);
    g_assert_null (text);
    g_assert_nonnull (error);
    g_free (cases[i]);
  }
}

static void
test_json (void)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (TernChat) chat = tern_chat_new (NULL, 0, &error);
  g_autofree char *deep = times ("{\"messages\": ", "[", 100000, "");
  const char *const wrong[] = { "", "[]", "{", "{\"messages\": 1}", "{}", "{\"messages\": [], // no\n}",
    "{\"messages\": [{\"role\": \"user\", \"content\": \"a\\u0000b\"}]}", deep };
  g_autofree char *kept = NULL;

  g_assert_no_error (error);
  for (guint i = 0; i < G_N_ELEMENTS (wrong); i++) {
    char *text = tern_chat_render_json (chat, wrong[i], -1, &error);

    g_assert_null (text);
    g_assert_error (error, TERN_ERROR, TERN_ERROR_FORMAT);
    g_clear_error (&error);
  }
  kept = tern_chat_render_json (chat, "{\"messages\": [{\"role\": \"u\", \"content\": \"[[\\\\\\\"/{\"}]}", -1, &error);
  g_assert_no_error (error);
  g_assert_cmpstr (kept, ==, "<|im_start|>u\n[[\\\"/{<|im_end|>\n");
}

/* Integers of more than 64 bits do not wrap, and no double becomes infinite. */
static void
test_numbers (void)
{
  static const char source[] = "{{ n | tojson }}";
  static const char json[] = "{\"messages\": [], \"n\": [18446744073709551615, -9223372036854775809, 9223372036854775807, 0.1, "
      "1e400, -1E+400, -0, 7, \"18446744073709551615\"]}";
  g_autoptr (GError) error = NULL;
  g_autoptr (TernChat) chat = tern_chat_new (source, strlen (source), &error);
  g_autofree char *text = chat ? tern_chat_render_json (chat, json, -1, &error) : NULL;
  g_autofree char *marked = tern_json_mend_numbers (
      "{\"a\\\"1\":[-0,10,-1.5,1e5,9223372036854775808,01,1.,1.5e],\"1.5\":-}", -1, "#");

  g_assert_no_error (error);
  g_assert_cmpstr (text, ==, "[1.8446744073709552e+19, -9.223372036854776e+18, 9223372036854775807, 0.1, "
      "1.7976931348623157e+308, -1.7976931348623157e+308, -0.0, 7, \"18446744073709551615\"]");
  g_assert_cmpstr (marked, ==, "{\"a\\\"1\":[\"#-0\",10,\"#-1.5\",\"#1e5\",\"#9223372036854775808\",01,1.,1.5e],\"1.5\":-}");
}

/* Images as parts where the template takes them, as text where it does not. */
static void
test_user (void)
{
  static const struct {
    const char *source, *text;
  } cases[] = {
    { NULL, "<B><|im_start|>system\nS<|im_end|>\n"
      "<|im_start|>user\n<image><image>Q<|im_end|>\n<|im_start|>assistant\n" },
    { "{% for m in messages %}[{{ m.role }}:{{ m.content }}]{% endfor %}", "[system:S][user:<image><image>Q]" },
    { "{% for m in messages %}[{{ m.content | tojson }}]{% endfor %}", "[\"S\"][\"<image><image>Q\"]" },
    { "{% for m in messages %}{{ '[' + m.content + ']' }}{% endfor %}", "[S][<image><image>Q]" },
    { "{% for m in messages %}{% for p in m.content %}{{ '<image>' if p.type == 'image' else p.text + '|' }}"
      "{% endfor %}{% endfor %}{{ bos_token }}", "S|<image><image>Q|<B>" },
  };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
    g_autoptr (GError) error = NULL;
    g_autoptr (TernChat) chat = tern_chat_new (cases[i].source, cases[i].source ? strlen (cases[i].source) : 0, &error);
    g_autofree char *text = NULL;

    g_assert_no_error (error);
    text = tern_chat_render_user (chat, "<B>", "S", 2, "Q", FALSE, &error);
    g_assert_no_error (error);
    g_assert_cmpstr (text, ==, cases[i].text);
  }
}

/* The switch of templates that have one: off unless asked for. */
static void
test_think (void)
{
  const char *source = "{% if enable_thinking is defined and enable_thinking is false %}no{% else %}yes{% endif %}";
  g_autoptr (GError) error = NULL;
  g_autoptr (TernChat) chat = tern_chat_new (source, strlen (source), &error);
  g_autofree char *off = NULL, *on = NULL;

  g_assert_no_error (error);
  off = tern_chat_render_user (chat, "", NULL, 0, "Q", FALSE, &error);
  on = tern_chat_render_user (chat, "", NULL, 0, "Q", TRUE, &error);
  g_assert_cmpstr (off, ==, "no");
  g_assert_cmpstr (on, ==, "yes");
}

/* ---- Of files ---------------------------------------------------------------------------------------------------- */

/* A file of @tokens (NULL ends them) with the given keys; NULL: without. @ids: the two after the first are BOS and EOS. */
static TernChat *
file_chat (const char *architecture, const char *model, const char *const *tokens, const char *source, gboolean ids, GError **error)
{
  g_auto (GgufWriter) w;
  g_autoptr (GByteArray) bytes = NULL;
  g_autoptr (TernGguf) file = NULL;
  guint n = g_strv_length ((char **) tokens);

  writer_init (&w);
  if (architecture)
    writer_string (&w, "general.architecture", architecture);
  writer_string (&w, "tokenizer.ggml.model", model);
  writer_array (&w, "tokenizer.ggml.tokens", TERN_GGUF_STRING, n);
  for (guint i = 0; i < n; i++)
    put_string (w.keys, tokens[i]);
  if (ids) {
    writer_u32 (&w, "tokenizer.ggml.bos_token_id", 1);
    writer_u32 (&w, "tokenizer.ggml.eos_token_id", 2);
  }
  writer_string (&w, "tokenizer.chat_template", source);
  bytes = writer_finish (&w);
  file = tern_gguf_open_memory (bytes->data, bytes->len, "test.gguf", error);
  return file ? tern_chat_new_from_gguf (file, error) : NULL;
}

static const char *const plain_tokens[] = { "<unk>", "<s>", "</s>", NULL };

/* The end of turns, written by templates that put it there themselves; whether they read parts is asked with it, too. */
static void
test_tokens (void)
{
  static const char strings[] = "{{ bos_token }}"
      "{% for m in messages %}{{ '<|' + m.role + '|>' + m.content + eos_token }}{% endfor %}";
  static const char lists[] = "{% for m in messages %}{{ bos_token + m.role }}{% for p in m.content %}"
      "{{ '<image>' if p.type == 'image' else p.text + eos_token }}{% endfor %}{% endfor %}";
  static const struct {
    const char *model, *source;
    gboolean ids, parts;
    const char *text;
  } cases[] = {
    { "gpt2", strings, TRUE, FALSE, "<s><|system|>S</s><|user|><image>Q</s>" },
    { "gpt2", lists, TRUE, TRUE, "<s>systemS</s><s>user<image>Q</s>" },
    { "llama", strings, FALSE, FALSE, "<s><|system|>S</s><|user|><image>Q</s>" },
    { "llama", lists, FALSE, TRUE, "<s>systemS</s><s>user<image>Q</s>" },
    { "gpt2", strings, FALSE, FALSE, "<s><|system|>S<|user|><image>Q" },         /* a vocabulary that has no end */
  };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
    g_autoptr (GError) error = NULL;
    g_autoptr (TernChat) chat = file_chat (NULL, cases[i].model, plain_tokens, cases[i].source, cases[i].ids, &error);
    g_autofree char *text = NULL, *told = NULL;

    g_assert_no_error (error);
    g_assert_cmpint (tern_chat_takes_parts (chat), ==, cases[i].parts);
    text = tern_chat_render_user (chat, "<s>", "S", 1, "Q", FALSE, &error);
    g_assert_no_error (error);
    g_assert_cmpstr (text, ==, cases[i].text);
    if (cases[i].ids || g_str_equal (cases[i].model, "llama")) {
      told = tern_chat_render_json (chat, cases[i].parts
          ? "{\"messages\": [{\"role\": \"system\", \"content\": [{\"type\": \"text\", \"text\": \"S\"}]}, "
          "{\"role\": \"user\", \"content\": [{\"type\": \"image\"}, {\"type\": \"text\", \"text\": \"Q\"}]}]}"
          : "{\"messages\": [{\"role\": \"system\", \"content\": \"S\"}, {\"role\": \"user\", \"content\": \"<image>Q\"}]}",
          -1, &error);
      g_assert_no_error (error);
      g_assert_cmpstr (told, ==, cases[i].text);
    }
  }
}

/* What a file's template refuses is no mistake of who asked. */
static void
test_blame (void)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (TernChat) chat = file_chat (NULL, "gpt2", plain_tokens, "{{ raise_exception('no system role') }}", TRUE, &error);
  g_autofree char *text = NULL;

  g_assert_no_error (error);
  text = tern_chat_render_user (chat, "<s>", "S", 0, "Q", FALSE, &error);
  g_assert_null (text);
  g_assert_error (error, TERN_ERROR, TERN_ERROR_INVALID);
  tern_chat_name_file (chat, &error);
  g_assert_error (error, TERN_ERROR, TERN_ERROR_UNSUPPORTED);
  g_assert_cmpstr (error->message, ==, "test.gguf: chat template, line 1: the template says: no system role");
}

static void
count_warning (TernLogLevel level, const char *message, void *data)
{
  g_assert_cmpint (level, ==, TERN_LOG_WARNING);
  g_assert_nonnull (strstr (message, "test.gguf: tokenizer.chat_template: "));
  g_assert_nonnull (strstr (message, "stopgap"));
  ++*(guint *) data;
}

/* The trained prompts of BitNet b1.58 2B-4T, as its tokenizer_config.json makes them, in place of Microsoft's stopgap; and of
 * nothing else: another family, another template, or a vocabulary without the token stay as they are. */
static void
test_bitnet (void)
{
  static const char *const bitnet_tokens[] = { "a", "<B>", "<E>", "<|eot_id|>", NULL };
  static const char stopgap[] = "{% for m in messages %}{% if loop.first %}{{ bos_token }}{% endif %}{% if m['role'] == 'user' %}"
      "{{ 'Human: ' + m['content'] + '\\n\\nBITNETAssistant: ' + eos_token }}{% endif %}{% endfor %}";
  static const char other[] = "{% for m in messages %}{{ m.content }};{% endfor %}";
  static const struct {
    const char *architecture, *source;
    const char *const *tokens;
    const char *text, *asked;
  } cases[] = {
    { "bitnet-b1.58", stopgap, bitnet_tokens, "<B>System: S<|eot_id|>User: Q<|eot_id|>Assistant: ",
      "<B>User: Q<|eot_id|>Assistant: A<|eot_id|>User: R<|eot_id|>Assistant: " },
    { "bitnet-25", stopgap, bitnet_tokens, "<B>System: S<|eot_id|>User: Q<|eot_id|>Assistant: ", NULL },
    { "bitnet-b1.58", other, bitnet_tokens, "S;Q;", NULL },
    { "bitnet-b1.58", stopgap, plain_tokens, "<s>Human: Q\n\nBITNETAssistant: </s>", NULL },
    { "llama", stopgap, bitnet_tokens, "<B>Human: Q\n\nBITNETAssistant: <E>", NULL },
  };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
    gboolean replaced = g_str_has_prefix (cases[i].text, "<B>System");
    g_autoptr (GError) error = NULL;
    g_autofree char *text = NULL, *asked = NULL;
    g_autoptr (TernChat) chat = NULL;
    guint warnings = 0;

    tern_log_set (count_warning, &warnings);
    chat = file_chat (cases[i].architecture, "gpt2", cases[i].tokens, cases[i].source, TRUE, &error);
    tern_log_set (NULL, NULL);
    g_assert_no_error (error);
    g_assert_cmpuint (warnings, ==, replaced);
    /* What is shown is what is used. */
    g_assert_true (g_str_equal (tern_chat_source (chat), cases[i].source) == !replaced);
    g_assert_true (!replaced || (strstr (tern_chat_source (chat), "<|eot_id|>") && !strstr (tern_chat_source (chat), "BITNET")));
    text = tern_chat_render_user (chat, cases[i].tokens[1], "S", 0, replaced ? " Q\n" : "Q", FALSE, &error);
    g_assert_no_error (error);
    g_assert_cmpstr (text, ==, cases[i].text);
    if (cases[i].asked) {
      asked = tern_chat_render_json (chat, "{\"messages\": [{\"role\": \"user\", \"content\": \"Q\"}, {\"role\": \"assistant\", "
          "\"content\": \"A\"}, {\"role\": \"user\", \"content\": \"R\"}], \"add_generation_prompt\": true}", -1, &error);
      g_assert_no_error (error);
      g_assert_cmpstr (asked, ==, cases[i].asked);
    }
  }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/chat/rendered", test_rendered);
  g_test_add_func ("/chat/refused", test_refused);
  g_test_add_func ("/chat/bounds", test_bounds);
  g_test_add_func ("/chat/json", test_json);
  g_test_add_func ("/chat/numbers", test_numbers);
  g_test_add_func ("/chat/user", test_user);
  g_test_add_func ("/chat/think", test_think);
  g_test_add_func ("/chat/tokens", test_tokens);
  g_test_add_func ("/chat/blame", test_blame);
  g_test_add_func ("/chat/bitnet", test_bitnet);
  return g_test_run ();
}
