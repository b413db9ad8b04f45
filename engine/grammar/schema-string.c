/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Strings: characters as JSON writes them, lengths, formats. */
#include <string.h>

#include "engine/grammar/schema-priv.h"

#define LAST_CHAR 0x10ffff

/* What is not said as itself; the escape of others below 0x20 is \u00XX. */
static const char special[] = "\"\\\b\f\n\r\t", letters[] = "\"\\bfnrt";

static gboolean
needs_escape (gunichar c)
{
  return c < 0x20 || c == '"' || c == '\\';
}

static TernNode
escape_of (TernSchema *ctx, gunichar c)
{
  char text[8];
  const char *found = c ? strchr (special, c) : NULL;

  if (found)
    g_snprintf (text, sizeof text, "\\%c", letters[found - special]);
  else
    g_snprintf (text, sizeof text, "\\u%04x", c);
  return tern_schema_literal (ctx, text);
}

/* @ranges ascend and lie apart. */
TernNode
tern_schema_char (TernSchema *ctx, const TernCharRange *ranges, guint n)
{
  g_autoptr (GArray) plain = g_array_new (FALSE, FALSE, sizeof (TernCharRange));
  TernNode items[40];
  guint n_items = 0;

  for (guint i = 0; i < n; i++) {
    TernCharRange rest = ranges[i];

    for (gunichar c = rest.first; c <= MIN (rest.last, '\\'); c++)
      if (needs_escape (c)) {
        TernCharRange before = { rest.first, c - 1 };

        items[n_items++] = escape_of (ctx, c);
        if (c > rest.first)
          g_array_append_val (plain, before);
        rest.first = c + 1;
      }
    if (rest.first <= rest.last && !(rest.first >= 0xd800 && rest.last <= 0xdfff))
      g_array_append_val (plain, rest);
  }
  if (plain->len > 0)
    items[n_items++] = tern_grammar_class (ctx->builder, (const TernCharRange *) plain->data, plain->len, FALSE);
  return n_items == 0 ? TERN_NODE_NONE : tern_grammar_choice (ctx->builder, items, n_items);
}

/* Any character of a string whose text is free: what JSON may say as itself, quotes, backslash, line feed, return, tab. */
static TernNode
free_char (TernSchema *ctx)
{
  static const TernCharRange ranges[] = { { '\t', '\n' }, { '\r', '\r' }, { 0x20, LAST_CHAR } };

  if (!ctx->has_char)
    ctx->string_char = tern_schema_char (ctx, ranges, G_N_ELEMENTS (ranges));
  ctx->has_char = TRUE;
  return ctx->string_char;
}

/* ---- Formats ----------------------------------------------------------------------------------------------------- */

#define DAY_TIME "(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\\.[0-9]{1,6})?(?:Z|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])"
#define YEAR "(?:000[1-9]|00[1-9][0-9]|0[1-9][0-9][0-9]|[1-9][0-9][0-9][0-9])"
#define LEAP_YEAR "(?:[0-9][0-9](?:0[48]|[2468][048]|[13579][26])|(?:0[48]|[2468][048]|[13579][26])00)"
#define DAY "(?:" YEAR "-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])|(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)" \
    "|02-(?:0[1-9]|1[0-9]|2[0-8]))|" LEAP_YEAR "-02-29)"
#define OCTET "(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
#define WORDS "[A-Za-z0-9]{0,19}(?:-[A-Za-z0-9]{1,19}){0,2}"
#define LABEL "[A-Za-z0-9]" WORDS
#define HOST "(?:" LABEL "\\.){0,3}[A-Za-z]" WORDS
#define URI "https?://" HOST "(?::[1-9][0-9]{0,3})?(?:/[A-Za-z0-9._~-]{0,64}){0,12}" \
    "(?:\\?[A-Za-z0-9._~&=/-]{0,512})?(?:#[A-Za-z0-9._~/-]{0,128})?"
#define DURATION_TIME "T(?:[0-9]{1,6}H(?:[0-9]{1,6}M(?:[0-9]{1,6}S)?)?|[0-9]{1,6}M(?:[0-9]{1,6}S)?|[0-9]{1,6}S)"
#define DURATION_DAY "(?:[0-9]{1,6}D|[0-9]{1,6}M(?:[0-9]{1,6}D)?|[0-9]{1,6}Y(?:[0-9]{1,6}M(?:[0-9]{1,6}D)?)?)"

static const struct {
  const char *name, *pattern;
} formats[] = {
  { "date", "^" DAY "$" },
  { "time", "^" DAY_TIME "$" },
  { "date-time", "^" DAY "T" DAY_TIME "$" },
  { "duration", "^P(?:[0-9]{1,6}W|" DURATION_TIME "|" DURATION_DAY "(?:" DURATION_TIME ")?)$" },
  { "uuid", "^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$" },
  { "ipv4", "^" OCTET "(?:\\." OCTET "){3}$" },
  { "ipv6", "^[0-9a-f]{1,4}(?::[0-9a-f]{1,4}){7}$" },
  { "email", "^[A-Za-z0-9_+-]{1,32}(?:\\.[A-Za-z0-9_+-]{1,10}){0,2}@(?:" LABEL "\\.){1,2}[A-Za-z]{2,20}$" },
  { "hostname", "^" HOST "$" },
  { "uri", "^" URI "$" },
  { "json-pointer", "^(?:/(?:[A-Za-z0-9_ .-]|~[01])*)*$" },
};

/* Other names for the same: what may be said of the one may be said of the other. */
static const struct {
  const char *name, *same;
} same_formats[] = {
  { "idn-email", "email" }, { "idn-hostname", "hostname" }, { "iri", "uri" }, { "iri-reference", "uri" },
  { "uri-reference", "uri" }, { "uri-template", "uri" },
};

static const char *
format_pattern (const char *name)
{
  for (guint i = 0; i < G_N_ELEMENTS (same_formats); i++)
    if (strcmp (name, same_formats[i].name) == 0)
      name = same_formats[i].same;
  for (guint i = 0; i < G_N_ELEMENTS (formats); i++)
    if (strcmp (name, formats[i].name) == 0)
      return formats[i].pattern;
  return NULL;
}

gboolean
tern_schema_is_format (const char *name)
{
  return format_pattern (name) || strcmp (name, "regex") == 0 || strcmp (name, "relative-json-pointer") == 0;
}

TernNode
tern_schema_string (TernSchema *ctx, guint min, guint max, const TernJsonValue *pattern, const TernJsonValue *format,
    const TernJsonValue *at)
{
  TernNode quote = tern_schema_literal (ctx, "\""), items[3] = { quote, 0, quote };

  if (format && !tern_schema_is_format (format->text))
    format = NULL;
  if (min > max)
    return tern_schema_none (ctx, at, "expected lengths of which the shortest is not above the longest, found %u and %u", min, max);
  if (pattern && format) {
    tern_schema_fail (ctx, TERN_ERROR_UNSUPPORTED, format, "expected a pattern or a format, found both");
    return TERN_NODE_NONE;
  }
  if (format && !format_pattern (format->text)) {
    tern_schema_fail (ctx, TERN_ERROR_UNSUPPORTED, format, "expected another format, found \"%s\"", format->text);
    return TERN_NODE_NONE;
  }
  if (pattern)
    items[1] = tern_schema_pattern (ctx, pattern->text, min, max, pattern);
  else if (format)
    items[1] = tern_schema_pattern (ctx, format_pattern (format->text), min, max, format);
  else
    items[1] = tern_grammar_repeat (ctx->builder, free_char (ctx), min, max);
  return items[1] == TERN_NODE_NONE ? TERN_NODE_NONE : tern_grammar_sequence (ctx->builder, items, 3);
}
