/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* GBNF, as llama.cpp reads it. */
#include <string.h>

#include "engine/base/readfile.h"
#include "engine/grammar/grammar.h"
#include "tern/error.h"

#define NESTING_MAX 500
#define COUNT_MAX 1000000000u

typedef struct {
  TernRule rule;
  const char *used;             /* first place where it is referred to, or NULL */
  gboolean defined;
} Name;

typedef struct {
  const char *text, *at;
  TernGrammarBuilder *b;
  GHashTable *names;            /* text -> Name */
  guint depth;
  GError **error;
} Parser;

static TernNode read_alternates (Parser *p);

/* ---- Errors ------------------------------------------------------------------------------------------------------ */

static char *
show (const char *at)
{
  if (*at == '\0')
    return g_strdup ("the end");
  if (*at == '\n' || *at == '\r')
    return g_strdup ("the end of the line");
  return g_strdup_printf ("\"%.*s\"", (int) (g_utf8_next_char (at) - at), at);
}

static void
set_error (Parser *p, TernErrorCode code, const char *at, const char *expected, const char *found)
{
  guint line = 1;
  const char *start = p->text;
  g_autofree char *shown = found ? NULL : show (at);

  if (*p->error)
    return;
  for (const char *c = p->text; c < at; c++)
    if (*c == '\n') {
      line++;
      start = c + 1;
    }
  g_set_error (p->error, TERN_ERROR, code, "grammar, line %u, column %ld: expected %s, found %s", line,
      g_utf8_strlen (start, at - start) + 1, expected, found ? found : shown);
}

static void
expect (Parser *p, const char *expected)
{
  set_error (p, TERN_ERROR_INVALID, p->at, expected, NULL);
}

/* ---- Words ------------------------------------------------------------------------------------------------------- */

static void
skip (Parser *p, gboolean lines)
{
  for (;; p->at++) {
    if (*p->at == '#')
      p->at += strcspn (p->at, "\r\n");
    if (*p->at != ' ' && *p->at != '\t' && !(lines && (*p->at == '\n' || *p->at == '\r')))
      return;
  }
}

static gboolean
is_name (char c)
{
  return g_ascii_isalnum (c) || c == '-' || c == '_';
}

static Name *
read_name (Parser *p)
{
  const char *from = p->at;
  g_autofree char *text = NULL;
  Name *name;

  while (is_name (*p->at))
    p->at++;
  text = g_strndup (from, p->at - from);
  name = g_hash_table_lookup (p->names, text);
  if (!name) {
    name = g_new0 (Name, 1);
    name->rule = tern_grammar_declare (p->b, text);
    g_hash_table_insert (p->names, g_steal_pointer (&text), name);
  }
  return name;
}

static guint
read_count (Parser *p)
{
  guint64 value = 0;

  if (!g_ascii_isdigit (*p->at))
    expect (p, "a number");
  for (; g_ascii_isdigit (*p->at); p->at++) {
    value = value * 10 + g_ascii_digit_value (*p->at);
    if (value > COUNT_MAX) {
      expect (p, "a number up to " G_STRINGIFY (COUNT_MAX));
      return 0;
    }
  }
  return value;
}

static gunichar
read_hex (Parser *p, guint digits)
{
  gunichar value = 0;

  for (guint i = 0; i < digits; i++, p->at++) {
    if (!g_ascii_isxdigit (*p->at)) {
      expect (p, "a hexadecimal digit");
      return 0;
    }
    value = value << 4 | g_ascii_xdigit_value (*p->at);
  }
  if (value > 0x10ffff)
    expect (p, "a character up to U+10FFFF before it");
  return value;
}

/* One character of a literal or a class. */
static gunichar
read_char (Parser *p)
{
  gunichar c;

  if (*p->at != '\\') {
    c = g_utf8_get_char (p->at);
    p->at = g_utf8_next_char (p->at);
    return c;
  }
  c = p->at[1];
  switch (c) {
    case 'x':
    case 'u':
    case 'U':
      p->at += 2;
      return read_hex (p, c == 'x' ? 2 : c == 'u' ? 4 : 8);
    case 't':
      c = '\t';
      break;
    case 'r':
      c = '\r';
      break;
    case 'n':
      c = '\n';
      break;
    case '\\':
    case '"':
    case '[':
    case ']':
    case '-':
      break;
    default:
      p->at++;
      expect (p, "one of x u U t r n \\ \" [ ] after \\");
      return 0;
  }
  p->at += 2;
  return c;
}

/* ---- Symbols ----------------------------------------------------------------------------------------------------- */

static TernNode
read_literal (Parser *p)
{
  g_autoptr (GString) text = g_string_new (NULL);
  const char *at;

  for (p->at++; *p->at != '"' && !*p->error;) {
    gunichar c;

    at = p->at;
    if (*p->at == '\0') {
      expect (p, "\" after the literal");
      break;
    }
    c = read_char (p);
    if (c >= 0xd800 && c <= 0xdfff)
      set_error (p, TERN_ERROR_INVALID, at, "a character", "half of one (a surrogate)");
    else
      g_string_append_unichar (text, c);
  }
  p->at += *p->at == '"';
  return tern_grammar_bytes (p->b, text->str, text->len);
}

static TernNode
read_class (Parser *p)
{
  g_autoptr (GArray) ranges = g_array_new (FALSE, FALSE, sizeof (TernCharRange));
  gboolean negate = p->at[1] == '^';

  p->at += 1 + negate;
  while (*p->at != ']' && !*p->error) {
    const char *from = p->at;
    TernCharRange range;

    if (*p->at == '\0') {
      expect (p, "] after the characters");
      break;
    }
    range.first = range.last = read_char (p);
    if (p->at[0] == '-' && p->at[1] != ']' && p->at[1] != '\0') {
      p->at++;
      range.last = read_char (p);
    }
    if (range.first > range.last)
      set_error (p, TERN_ERROR_INVALID, from, "a range that goes up", NULL);
    g_array_append_val (ranges, range);
  }
  if (ranges->len == 0)
    expect (p, "a character or a range of them");
  p->at += *p->at == ']';
  return tern_grammar_class (p->b, (const TernCharRange *) ranges->data, ranges->len, negate);
}

static TernNode
read_group (Parser *p)
{
  TernNode node;

  if (++p->depth > NESTING_MAX) {
    set_error (p, TERN_ERROR_INVALID, p->at, "at most " G_STRINGIFY (NESTING_MAX) " levels of parentheses",
        "one more");
    return 0;
  }
  p->at++;
  skip (p, TRUE);
  node = read_alternates (p);
  if (*p->at != ')')
    expect (p, "| or a symbol or )");
  else
    p->at++;
  p->depth--;
  return node;
}

/* FALSE: there is none. */
static gboolean
read_symbol (Parser *p, TernNode *node)
{
  const char *at = p->at;
  Name *name;

  switch (*p->at) {
    case '"':
      *node = read_literal (p);
      return TRUE;
    case '[':
      *node = read_class (p);
      return TRUE;
    case '(':
      *node = read_group (p);
      return TRUE;
    case '.':
      p->at++;
      *node = tern_grammar_class (p->b, NULL, 0, TRUE);
      return TRUE;
    case '<':
    case '!':
      set_error (p, TERN_ERROR_UNSUPPORTED, p->at, "characters", "a token literal, <...> or !<...>, which is not "
          "supported");
      return FALSE;
    default:
      if (!is_name (*p->at))
        return FALSE;
      name = read_name (p);
      if (!name->used)
        name->used = at;
      *node = tern_grammar_reference (p->b, name->rule);
      return TRUE;
  }
}

/* What may follow a symbol. */
static TernNode
read_repeat (Parser *p, TernNode item)
{
  guint min, max;
  const char *at = p->at;

  switch (*p->at++) {
    case '*':
      return tern_grammar_repeat (p->b, item, 0, TERN_REPEAT_MAX);
    case '+':
      return tern_grammar_repeat (p->b, item, 1, TERN_REPEAT_MAX);
    case '?':
      return tern_grammar_repeat (p->b, item, 0, 1);
    default:
      skip (p, p->depth > 0);
      min = max = read_count (p);
      skip (p, p->depth > 0);
      if (*p->at == ',') {
        p->at++;
        skip (p, p->depth > 0);
        max = g_ascii_isdigit (*p->at) ? read_count (p) : TERN_REPEAT_MAX;
        skip (p, p->depth > 0);
      }
      if (*p->at != '}') {
        expect (p, "}");
        return item;
      }
      p->at++;
      if (min > max) {
        set_error (p, TERN_ERROR_INVALID, at, "a first number that is not larger than the second", NULL);
        return item;
      }
      return tern_grammar_repeat (p->b, item, min, max);
  }
}

static TernNode
read_sequence (Parser *p)
{
  g_autoptr (GArray) items = g_array_new (FALSE, FALSE, sizeof (TernNode));
  TernNode item;

  while (!*p->error && read_symbol (p, &item)) {
    skip (p, p->depth > 0);
    while (!*p->error && *p->at && strchr ("*+?{", *p->at)) {
      item = read_repeat (p, item);
      skip (p, p->depth > 0);
    }
    g_array_append_val (items, item);
  }
  if (*p->at && strchr ("*+?{", *p->at))
    expect (p, "something to repeat before it");
  return tern_grammar_sequence (p->b, (const TernNode *) items->data, items->len);
}

static TernNode
read_alternates (Parser *p)
{
  g_autoptr (GArray) nodes = g_array_new (FALSE, FALSE, sizeof (TernNode));
  TernNode node = read_sequence (p);

  g_array_append_val (nodes, node);
  while (!*p->error && *p->at == '|') {
    p->at++;
    skip (p, TRUE);
    node = read_sequence (p);
    g_array_append_val (nodes, node);
  }
  return tern_grammar_choice (p->b, (const TernNode *) nodes->data, nodes->len);
}

static void
read_rule (Parser *p)
{
  const char *at = p->at;
  Name *name;
  TernNode node;

  if (!is_name (*p->at)) {
    expect (p, "the name of a rule");
    return;
  }
  name = read_name (p);
  if (name->defined) {
    set_error (p, TERN_ERROR_INVALID, at, "a rule that is not defined yet", "a second definition of it");
    return;
  }
  name->defined = TRUE;
  skip (p, FALSE);
  if (strncmp (p->at, "::=", 3) != 0) {
    expect (p, "::=");
    return;
  }
  p->at += 3;
  skip (p, TRUE);
  node = read_alternates (p);
  if (*p->at && *p->at != '\n' && *p->at != '\r')
    expect (p, "|, a symbol or the end of the line");
  else
    tern_grammar_define (p->b, name->rule, node);
}

/* ---- Grammars ---------------------------------------------------------------------------------------------------- */

/* That all names are defined; the first use of one that is not is named. */
static void
check_names (Parser *p)
{
  GHashTableIter iter;
  gpointer key, value;
  const Name *first = NULL;
  const char *first_text = NULL;
  g_autofree char *found = NULL;

  g_hash_table_iter_init (&iter, p->names);
  while (g_hash_table_iter_next (&iter, &key, &value)) {
    const Name *name = value;

    if (!name->defined && (!first || name->used < first->used)) {
      first = name;
      first_text = key;
    }
  }
  if (!first)
    return;
  found = g_strdup_printf ("%s", first_text);
  set_error (p, TERN_ERROR_INVALID, first->used, "the name of a rule that is defined", found);
}

TernGrammar *
tern_grammar_from_gbnf (const char *text, GError **error)
{
  GError *failed = NULL;
  g_autoptr (TernGrammarBuilder) builder = tern_grammar_builder_new ();
  g_autoptr (GHashTable) names = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
  const char *begin = g_str_has_prefix (text, TERN_BOM) ? text + strlen (TERN_BOM) : text;
  Parser p = { begin, begin, builder, names, 0, &failed };
  TernGrammar *grammar = NULL;
  const Name *root;

  if (!g_utf8_validate (begin, -1, &p.at))
    set_error (&p, TERN_ERROR_INVALID, p.at, "UTF-8", "a byte that is not");
  else
    p.at = begin;
  for (skip (&p, TRUE); *p.at && !failed; skip (&p, TRUE))
    read_rule (&p);
  root = g_hash_table_lookup (names, "root");
  if (!root || !root->defined)
    set_error (&p, TERN_ERROR_INVALID, p.at, "a rule with the name root", "none");
  if (!failed)
    check_names (&p);
  if (!failed)
    grammar = tern_grammar_build (builder, root->rule, &failed);
  if (failed)
    g_propagate_error (error, failed);
  return grammar;
}
