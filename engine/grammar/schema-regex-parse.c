/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Reads patterns as ECMAScript writes them, of which Python's, Rust's and others differ in details. \d \w \s mean ASCII
 * here and Unicode there: a set is what it is in all of them, and excluded is what is in it in any. */
#include <string.h>

#include "engine/grammar/schema-regex.h"

#define MAX_BYTES 10000
#define MAX_NESTING 100
#define MAX_COUNT 1000000

typedef struct {
  TernSchema *ctx;
  const TernJsonValue *at;      /* the keyword */
  const char *begin, *p;
  guint depth;
} Parser;

/* A set that may be negated later: what it is at least, and at most. */
typedef struct {
  GArray *least, *most;
} Sets;

static TernRegex *parse_choice (Parser *parser);

/* ---- Sets -------------------------------------------------------------------------------------------------------- */

void
tern_char_set_add (GArray *set, gunichar first, gunichar last)
{
  TernCharRange range = { first, last };

  g_array_append_val (set, range);
}

static int
by_first (const void *a, const void *b)
{
  const TernCharRange *x = a, *y = b;

  return x->first < y->first ? -1 : x->first > y->first;
}

/* Puts the ranges in order. */
static void
settle (GArray *set)
{
  TernCharRange *ranges = (TernCharRange *) set->data;
  guint n = 0;

  if (set->len == 0)
    return;
  qsort (ranges, set->len, sizeof *ranges, by_first);
  for (guint i = 1; i < set->len; i++) {
    if (ranges[i].first <= ranges[n].last + 1)
      ranges[n].last = MAX (ranges[n].last, ranges[i].last);
    else
      ranges[++n] = ranges[i];
  }
  g_array_set_size (set, n + 1);
}

static GArray *
complement (const GArray *settled)
{
  GArray *rest = g_array_new (FALSE, FALSE, sizeof (TernCharRange));
  gunichar from = 0;

  for (guint i = 0; i < settled->len; i++) {
    const TernCharRange *range = &g_array_index (settled, TernCharRange, i);

    if (range->first > from)
      tern_char_set_add (rest, from, range->first - 1);
    from = range->last + 1;
  }
  if (from <= TERN_REGEX_LAST)
    tern_char_set_add (rest, from, TERN_REGEX_LAST);
  return rest;
}

static Sets
sets_new (void)
{
  return (Sets) { g_array_new (FALSE, FALSE, sizeof (TernCharRange)), g_array_new (FALSE, FALSE, sizeof (TernCharRange)) };
}

static void
sets_clear (Sets *sets)
{
  g_clear_pointer (&sets->least, g_array_unref);
  g_clear_pointer (&sets->most, g_array_unref);
}

static void
sets_add (Sets *sets, gunichar first, gunichar last)
{
  tern_char_set_add (sets->least, first, last);
  tern_char_set_add (sets->most, first, last);
}

/* Of what is left, controls are not said: they are never meant. */
static void
sets_negate (Sets *sets)
{
  static const TernCharRange controls[] = { { 0, 8 }, { 0xb, 0xc }, { 0xe, 0x1f }, { 0x7f, 0x9f } };
  Sets negated;

  g_array_append_vals (sets->most, controls, G_N_ELEMENTS (controls));
  settle (sets->least);
  settle (sets->most);
  negated.least = complement (sets->most);
  negated.most = complement (sets->least);
  sets_clear (sets);
  *sets = negated;
}

/* Characters beyond ASCII that some dialect counts as a digit or as part of a word; and what a Unicode to come may. */
static gboolean
may_be (gunichar c, char letter)
{
  switch (g_unichar_type (c)) {
    case G_UNICODE_DECIMAL_NUMBER:
    case G_UNICODE_UNASSIGNED:
      return TRUE;
    case G_UNICODE_LETTER_NUMBER:
    case G_UNICODE_OTHER_NUMBER:
    case G_UNICODE_LOWERCASE_LETTER:
    case G_UNICODE_UPPERCASE_LETTER:
    case G_UNICODE_TITLECASE_LETTER:
    case G_UNICODE_MODIFIER_LETTER:
    case G_UNICODE_OTHER_LETTER:
    case G_UNICODE_CONNECT_PUNCTUATION:
    case G_UNICODE_NON_SPACING_MARK:
    case G_UNICODE_SPACING_MARK:
    case G_UNICODE_ENCLOSING_MARK:
    case G_UNICODE_FORMAT:
      return letter == 'w';
    default:
      return FALSE;
  }
}

static const GArray *
wide_set (char letter)
{
  static GArray *digits, *words;
  static gsize made;

  if (g_once_init_enter (&made)) {
    digits = g_array_new (FALSE, FALSE, sizeof (TernCharRange));
    words = g_array_new (FALSE, FALSE, sizeof (TernCharRange));
    for (gunichar c = 128; c <= TERN_REGEX_LAST; c++) {
      if (may_be (c, 'd'))
        tern_char_set_add (digits, c, c);
      if (may_be (c, 'w'))
        tern_char_set_add (words, c, c);
    }
    settle (digits);
    settle (words);
    g_once_init_leave (&made, 1);
  }
  return letter == 'd' ? digits : words;
}

/* \d \w \s and their opposites. */
static void
sets_add_class (Sets *sets, char letter)
{
  static const TernCharRange least_spaces[] = { { '\t', '\r' }, { ' ', ' ' }, { 0xa0, 0xa0 }, { 0x2000, 0x200a },
    { 0x2028, 0x2029 }, { 0x202f, 0x202f }, { 0x205f, 0x205f }, { 0x3000, 0x3000 } };
  static const TernCharRange more_spaces[] = { { 0x1c, 0x1f }, { 0x85, 0x85 }, { 0x1680, 0x1680 }, { 0x180e, 0x180e },
    { 0x200b, 0x200b }, { 0xfeff, 0xfeff } };
  char lower = g_ascii_tolower (letter);
  Sets own = sets_new ();

  if (lower == 's') {
    g_array_append_vals (own.least, least_spaces, G_N_ELEMENTS (least_spaces));
    g_array_append_vals (own.most, least_spaces, G_N_ELEMENTS (least_spaces));
    g_array_append_vals (own.most, more_spaces, G_N_ELEMENTS (more_spaces));
  } else {
    sets_add (&own, '0', '9');
    if (lower == 'w') {
      sets_add (&own, 'A', 'Z');
      sets_add (&own, 'a', 'z');
      sets_add (&own, '_', '_');
    }
    g_array_append_vals (own.most, wide_set (lower)->data, wide_set (lower)->len);
  }
  if (letter != lower)
    sets_negate (&own);
  g_array_append_vals (sets->least, own.least->data, own.least->len);
  g_array_append_vals (sets->most, own.most->data, own.most->len);
  sets_clear (&own);
}

/* ---- The tree ---------------------------------------------------------------------------------------------------- */

TernRegex *
tern_regex_new (TernRegexKind kind)
{
  TernRegex *regex = g_new0 (TernRegex, 1);

  regex->kind = kind;
  regex->items = g_ptr_array_new_with_free_func ((GDestroyNotify) tern_regex_free);
  regex->anchors = kind == TERN_REGEX_BEGIN || kind == TERN_REGEX_END;
  return regex;
}

void
tern_regex_free (TernRegex *regex)
{
  if (!regex)
    return;
  g_ptr_array_unref (regex->items);
  if (regex->set)
    g_array_unref (regex->set);
  g_free (regex);
}

static void
add_item (TernRegex *regex, TernRegex *item)
{
  g_ptr_array_add (regex->items, item);
  regex->anchors |= item->anchors;
}

/* Takes what @sets are at least. */
static TernRegex *
set_regex (Sets *sets)
{
  TernRegex *regex = tern_regex_new (TERN_REGEX_SET);

  settle (sets->least);
  regex->set = g_steal_pointer (&sets->least);
  sets_clear (sets);
  return regex;
}

/* ---- Reading ----------------------------------------------------------------------------------------------------- */

static void G_GNUC_PRINTF (3, 4)
fail (Parser *parser, TernErrorCode code, const char *format, ...)
{
  g_autofree char *message = NULL;
  va_list args;

  va_start (args, format);
  message = g_strdup_vprintf (format, args);
  va_end (args);
  tern_schema_fail (parser->ctx, code, parser->at, "%s at character %ld of the pattern", message,
      g_utf8_strlen (parser->begin, parser->p - parser->begin) + 1);
}

static gboolean
read_hex (Parser *parser, guint min, guint max, gunichar *c)
{
  guint n = 0;

  *c = 0;
  for (; n < max && g_ascii_isxdigit (*parser->p); n++)
    *c = *c * 16 + g_ascii_xdigit_value (*parser->p++);
  if (n >= min && *c <= TERN_REGEX_LAST)
    return TRUE;
  fail (parser, TERN_ERROR_INVALID, "expected %u hexadecimal digits, found fewer", min);
  return FALSE;
}

/* Behind "\u". */
static gboolean
read_unicode (Parser *parser, gunichar *c)
{
  gunichar low;

  if (*parser->p == '{') {
    parser->p++;
    if (!read_hex (parser, 1, 6, c))
      return FALSE;
    if (*parser->p != '}') {
      fail (parser, TERN_ERROR_INVALID, "expected '}', found something else");
      return FALSE;
    }
    parser->p++;
    return TRUE;
  }
  if (!read_hex (parser, 4, 4, c))
    return FALSE;
  if (*c >= 0xd800 && *c < 0xdc00 && g_str_has_prefix (parser->p, "\\u")) {
    parser->p += 2;
    if (!read_hex (parser, 4, 4, &low))
      return FALSE;
    if (low >= 0xdc00 && low < 0xe000)
      *c = 0x10000 + ((*c - 0xd800) << 10) + (low - 0xdc00);
  }
  return TRUE;
}

/* Behind a backslash: one character. */
static gboolean
read_escape (Parser *parser, gunichar *c)
{
  static const char names[] = "tnvfr", meant[] = "\t\n\v\f\r";
  const char *found = *parser->p ? strchr (names, *parser->p) : NULL;

  *c = g_utf8_get_char (parser->p);
  if (*c)
    parser->p = g_utf8_next_char (parser->p);
  if (found) {
    *c = meant[found - names];
    return TRUE;
  }
  if (*c == '0' && !g_ascii_isdigit (*parser->p)) {
    *c = 0;
    return TRUE;
  }
  if (*c == 'x')
    return read_hex (parser, 2, 2, c);
  if (*c == 'u')
    return read_unicode (parser, c);
  if (*c == 'c' && g_ascii_isalpha (*parser->p)) {
    *c = *parser->p++ & 31;
    return TRUE;
  }
  if (*c && !(*c < 128 && g_ascii_isalnum (*c)))
    return TRUE;
  parser->p -= *c != 0;
  if (*c == 0)
    fail (parser, TERN_ERROR_INVALID, "expected a character behind the backslash, found the end");
  else if (g_ascii_isdigit (*c) || *c == 'k')
    fail (parser, TERN_ERROR_UNSUPPORTED, "expected no reference to a group, found \\%c", (char) *c);
  else if (*c == 'p' || *c == 'P')
    fail (parser, TERN_ERROR_UNSUPPORTED, "expected no class of Unicode, found \\%c", (char) *c);
  else if (*c == 'b' || *c == 'B')
    fail (parser, TERN_ERROR_UNSUPPORTED, "expected no border of words, found \\%c", (char) *c);
  else
    fail (parser, TERN_ERROR_UNSUPPORTED, "expected an escape of ECMAScript, found \\%c", (char) *c);
  return FALSE;
}

static gboolean
is_class_letter (char c)
{
  return c && strchr ("dDwWsS", c) != NULL;
}

/* One character of a class, or FALSE with *@whole: \d and the like were added. */
static gboolean
read_class_char (Parser *parser, Sets *sets, gunichar *c, gboolean *whole)
{
  *whole = FALSE;
  if (*parser->p != '\\') {
    *c = g_utf8_get_char (parser->p);
    parser->p = g_utf8_next_char (parser->p);
    return TRUE;
  }
  parser->p++;
  if (is_class_letter (*parser->p)) {
    sets_add_class (sets, *parser->p++);
    *whole = TRUE;
    return FALSE;
  }
  if (*parser->p == 'b') {
    parser->p++;
    *c = '\b';
    return TRUE;
  }
  return read_escape (parser, c);
}

/* Behind '['. */
static TernRegex *
parse_class (Parser *parser)
{
  Sets sets = sets_new ();
  gboolean negate = *parser->p == '^', whole;
  gunichar first, last;

  parser->p += negate;
  while (*parser->p != ']') {
    if (*parser->p == 0) {
      fail (parser, TERN_ERROR_INVALID, "expected ']', found the end");
      break;
    }
    if (!read_class_char (parser, &sets, &first, &whole)) {
      if (whole)
        continue;
      break;
    }
    last = first;
    if (parser->p[0] == '-' && parser->p[1] != ']' && parser->p[1] != 0) {
      parser->p++;
      if (!read_class_char (parser, &sets, &last, &whole)) {
        if (!whole)
          break;
        sets_add (&sets, '-', '-');     /* [a-\d]: three things */
        last = first;
      } else if (last < first) {
        fail (parser, TERN_ERROR_INVALID, "expected a range that ascends, found one that does not");
        break;
      }
    }
    sets_add (&sets, first, last);
  }
  if (parser->ctx->failed) {
    sets_clear (&sets);
    return NULL;
  }
  parser->p++;
  if (negate)
    sets_negate (&sets);
  return set_regex (&sets);
}

/* Behind '('. */
static TernRegex *
parse_group (Parser *parser)
{
  TernRegex *regex;
  const char *end;

  if (++parser->depth > MAX_NESTING) {
    fail (parser, TERN_ERROR_UNSUPPORTED, "expected at most %d groups in each other, found more", MAX_NESTING);
    return NULL;
  }
  if (*parser->p == '?') {
    if (parser->p[1] == ':') {
      parser->p += 2;
    } else if (parser->p[1] == '=' || parser->p[1] == '!' || (parser->p[1] == '<'
            && (parser->p[2] == '=' || parser->p[2] == '!'))) {
      fail (parser, TERN_ERROR_UNSUPPORTED, "expected no look-around, found one");
      return NULL;
    } else if ((parser->p[1] == '<' || (parser->p[1] == 'P' && parser->p[2] == '<')) && (end = strchr (parser->p, '>'))) {
      parser->p = end + 1;
    } else {
      fail (parser, TERN_ERROR_UNSUPPORTED, "expected a group of ECMAScript, found \"(?%.1s\"",
          parser->p[1] & 0x80 ? "" : parser->p + 1);
      return NULL;
    }
  }
  regex = parse_choice (parser);
  if (regex && *parser->p != ')') {
    fail (parser, TERN_ERROR_INVALID, "expected ')', found %s", *parser->p ? "something else" : "the end");
    g_clear_pointer (&regex, tern_regex_free);
  }
  parser->p += regex != NULL;
  parser->depth--;
  return regex;
}

static TernRegex *
parse_atom (Parser *parser)
{
  Sets sets;
  gboolean dot;
  gunichar c;

  switch (*parser->p) {
    case '^':
    case '$':
      return tern_regex_new (*parser->p++ == '^' ? TERN_REGEX_BEGIN : TERN_REGEX_END);
    case '(':
      parser->p++;
      return parse_group (parser);
    case '[':
      parser->p++;
      return parse_class (parser);
    case '*':
    case '+':
    case '?':
      fail (parser, TERN_ERROR_INVALID, "expected something to repeat, found '%c'", *parser->p);
      return NULL;
    default:
      break;
  }
  c = g_utf8_get_char (parser->p);
  parser->p = g_utf8_next_char (parser->p);
  if (c == '\\' && is_class_letter (*parser->p)) {
    sets = sets_new ();
    sets_add_class (&sets, *parser->p++);
    return set_regex (&sets);
  }
  dot = c == '.';
  if (c == '\\' && !read_escape (parser, &c))
    return NULL;
  sets = sets_new ();
  if (dot) {
    sets_add (&sets, '\n', '\n');
    sets_add (&sets, '\r', '\r');
    sets_add (&sets, 0x85, 0x85);
    sets_add (&sets, 0x2028, 0x2029);
    sets_negate (&sets);
  } else {
    sets_add (&sets, c, c);
  }
  return set_regex (&sets);
}

/* {2}, {2,}, {2,3}; else nothing is read and FALSE: a brace is itself. */
static gboolean
read_counts (Parser *parser, guint *min, guint *max)
{
  const char *p = parser->p + 1;
  guint64 low = 0, high;
  char *end;

  if (!g_ascii_isdigit (*p))
    return FALSE;
  low = high = g_ascii_strtoull (p, &end, 10);
  p = end;
  if (*p == ',') {
    p++;
    high = G_MAXUINT64;
    if (g_ascii_isdigit (*p)) {
      high = g_ascii_strtoull (p, &end, 10);
      p = end;
    }
  }
  if (*p != '}')
    return FALSE;
  if (low > high || low > MAX_COUNT || (high > MAX_COUNT && high != G_MAXUINT64)) {
    fail (parser, TERN_ERROR_INVALID, "expected counts that ascend, of at most %d, found others", MAX_COUNT);
    return FALSE;
  }
  *min = low;
  *max = high == G_MAXUINT64 ? TERN_REPEAT_MAX : high;
  parser->p = p + 1;
  return TRUE;
}

static gboolean
read_quantifier (Parser *parser, guint *min, guint *max)
{
  *min = *parser->p == '+';
  *max = *parser->p == '?' ? 1 : TERN_REPEAT_MAX;
  switch (*parser->p) {
    case '*':
    case '+':
    case '?':
      parser->p++;
      break;
    case '{':
      if (!read_counts (parser, min, max))
        return FALSE;
      break;
    default:
      return FALSE;
  }
  if (*parser->p == '?')        /* lazy: the same strings */
    parser->p++;
  else if (*parser->p == '+' || *parser->p == '*' || (*parser->p == '{' && g_ascii_isdigit (parser->p[1])))
    fail (parser, TERN_ERROR_INVALID, "expected one count, found another behind it");
  return !parser->ctx->failed;
}

static TernRegex *
parse_sequence (Parser *parser)
{
  TernRegex *sequence = tern_regex_new (TERN_REGEX_SEQUENCE);

  while (*parser->p && *parser->p != '|' && *parser->p != ')') {
    TernRegex *item = parse_atom (parser);
    guint min, max;

    if (item && read_quantifier (parser, &min, &max)) {
      TernRegex *repeat = tern_regex_new (TERN_REGEX_REPEAT);

      add_item (repeat, item);
      repeat->min = min;
      repeat->max = max;
      item = repeat;
    }
    if (item)
      add_item (sequence, item);
    if (parser->ctx->failed) {
      tern_regex_free (sequence);
      return NULL;
    }
  }
  return sequence;
}

static TernRegex *
parse_choice (Parser *parser)
{
  TernRegex *choice = NULL;

  for (;;) {
    TernRegex *item = parse_sequence (parser);

    if (!item) {
      g_clear_pointer (&choice, tern_regex_free);
      return NULL;
    }
    if (!choice && *parser->p != '|')
      return item;
    if (!choice)
      choice = tern_regex_new (TERN_REGEX_CHOICE);
    add_item (choice, item);
    if (*parser->p != '|')
      return choice;
    parser->p++;
  }
}

TernRegex *
tern_regex_parse (TernSchema *ctx, const char *pattern, const TernJsonValue *at)
{
  Parser parser = { ctx, at, pattern, pattern, 0 };
  TernRegex *regex;

  if (strlen (pattern) > MAX_BYTES) {
    tern_schema_fail (ctx, TERN_ERROR_UNSUPPORTED, at, "expected a pattern of at most %d bytes, found %" G_GSIZE_FORMAT, MAX_BYTES,
        strlen (pattern));
    return NULL;
  }
  regex = parse_choice (&parser);
  if (regex && *parser.p) {
    fail (&parser, TERN_ERROR_INVALID, "expected the end, found ')'");
    g_clear_pointer (&regex, tern_regex_free);
  }
  return regex;
}
