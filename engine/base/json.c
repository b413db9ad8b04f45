/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "engine/base/json.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#include "tern/error.h"

#define FULL_BYTES (1 << 16)

static void
new_line (TernJson *json)
{
  g_string_append_c (json->out, '\n');
  for (guint i = 0; i < json->depth; i++)
    g_string_append (json->out, "  ");
}

static void
begin_value (TernJson *json)
{
  if (json->full && json->out->len >= FULL_BYTES) {
    json->full (json->out);
    g_string_truncate (json->out, 0);
  }
  if (!json->named && json->comma)
    g_string_append (json->out, json->lines ? ", " : ",");
  json->named = FALSE;
  json->comma = TRUE;
}

void
tern_json_open (TernJson *json, char bracket)
{
  begin_value (json);
  g_string_append_c (json->out, bracket);
  json->comma = FALSE;
  json->depth++;
}

void
tern_json_close (TernJson *json, char bracket)
{
  json->depth--;
  if (bracket == '}' && json->comma && json->lines)
    new_line (json);
  g_string_append_c (json->out, bracket);
  json->comma = TRUE;
}

/* @len bytes of UTF-8 without NUL. */
static void
append_text (GString *out, const char *text, gsize len)
{
  const char *end = text + len, *from = text;

  g_string_append_c (out, '"');
  for (; text < end; text++) {
    guint8 c = (guint8) *text;

    if (c >= 0x20 && c != '"' && c != '\\' && c != 0x7f)
      continue;
    g_string_append_len (out, from, text - from);
    from = text + 1;
    if (c == '"' || c == '\\') {
      g_string_append_c (out, '\\');
      g_string_append_c (out, (char) c);
    } else if (c == '\n' || c == '\t') {
      g_string_append (out, c == '\n' ? "\\n" : "\\t");
    } else {
      g_string_append_printf (out, "\\u%04x", c);
    }
  }
  g_string_append_len (out, from, end - from);
  g_string_append_c (out, '"');
}

void
tern_json_name (TernJson *json, const char *name)
{
  if (json->comma)
    g_string_append_c (json->out, ',');
  if (json->lines)
    new_line (json);
  append_text (json->out, name, strlen (name));
  g_string_append (json->out, json->lines ? ": " : ":");
  json->named = TRUE;
}

void
tern_json_text (TernJson *json, const char *text, gssize len)
{
  gsize bytes = len < 0 ? strlen (text) : (gsize) len;

  begin_value (json);
  if (bytes && !g_utf8_validate_len (text, bytes, NULL)) {
    g_autofree char *mended = g_utf8_make_valid (text, (gssize) bytes);

    append_text (json->out, mended, strlen (mended));
  } else {
    append_text (json->out, text, bytes);
  }
}

static void
append_digits (GString *out, guint64 value)
{
  char digits[24], *at = digits + sizeof digits;

  do {
    *--at = (char) ('0' + value % 10);
    value /= 10;
  } while (value);
  g_string_append_len (out, at, digits + sizeof digits - at);
}

void
tern_json_int (TernJson *json, gint64 value)
{
  begin_value (json);
  if (value < 0)
    g_string_append_c (json->out, '-');
  append_digits (json->out, value < 0 ? -(guint64) value : (guint64) value);
}

void
tern_json_uint (TernJson *json, guint64 value)
{
  begin_value (json);
  append_digits (json->out, value);
}

void
tern_json_double (TernJson *json, double value, guint digits)
{
  char text[G_ASCII_DTOSTR_BUF_SIZE], format[16];

  begin_value (json);
  if (!isfinite (value)) {
    g_string_append (json->out, "null");
    return;
  }
  g_snprintf (format, sizeof format, "%%.%ug", MIN (digits, TERN_JSON_DIGITS));
  g_string_append (json->out, g_ascii_formatd (text, sizeof text, format, value));
  if (!strpbrk (text, ".e"))
    g_string_append (json->out, ".0");
}

void
tern_json_bool (TernJson *json, gboolean value)
{
  begin_value (json);
  g_string_append (json->out, value ? "true" : "false");
}

void
tern_json_raw (TernJson *json, const char *value)
{
  begin_value (json);
  g_string_append (json->out, value);
}

void
tern_json_null (TernJson *json)
{
  tern_json_raw (json, "null");
}

/* ---- Reading ----------------------------------------------------------------------------------------------------- */

static gboolean
refuse (const char *what, const char *expected, const char *found, GError **error)
{
  g_set_error (error, TERN_ERROR, TERN_ERROR_FORMAT, "%s: expected %s, found %s", what, expected, found);
  return FALSE;
}

gboolean
tern_json_check (const char *json, gsize len, const char *what, GError **error)
{
  guint depth = 0;
  gboolean quoted = FALSE;

  for (gsize i = 0; i < len; i++) {
    char c = json[i];

    if (c == 0)
      return refuse (what, "JSON", "a NUL byte", error);
    if (quoted) {
      if (c == '\\' && i + 1 < len) {
        if (len - i > 5 && memcmp (json + i, "\\u0000", 6) == 0)
          return refuse (what, "text without U+0000", "one", error);
        i++;
      } else if (c == '"') {
        quoted = FALSE;
      }
    } else if (c == '"') {
      quoted = TRUE;
    } else if (c == '[' || c == '{') {
      if (++depth > TERN_JSON_DEPTH)
        return refuse (what, "at most " G_STRINGIFY (TERN_JSON_DEPTH) " nested values", "more", error);
    } else if (c == ']' || c == '}') {
      depth -= depth > 0;
    } else if (c == '/') {
      return refuse (what, "JSON", "a slash outside of a string", error);
    }
  }
  return TRUE;
}

static gsize
count_digits (const char *text, gsize len)
{
  gsize n = 0;

  while (n < len && g_ascii_isdigit (text[n]))
    n++;
  return n;
}

/* Bytes of the number at @text; 0: there is none. *@whole: it has neither point nor exponent. */
static gsize
number_length (const char *text, gsize len, gboolean *whole)
{
  gsize at = len > 0 && text[0] == '-', n = count_digits (text + at, len - at);

  if (n == 0 || (n > 1 && text[at] == '0'))
    return 0;
  at += n;
  *whole = TRUE;
  if (at < len && text[at] == '.') {
    *whole = FALSE;
    n = count_digits (text + at + 1, len - at - 1);
    if (n == 0)
      return 0;
    at += 1 + n;
  }
  if (at < len && (text[at] == 'e' || text[at] == 'E')) {
    *whole = FALSE;
    at++;
    at += at < len && (text[at] == '-' || text[at] == '+');
    n = count_digits (text + at, len - at);
    if (n == 0)
      return 0;
    at += n;
  }
  return at;
}

/* -0 is no integer of this machine, either. */
static gboolean
fits_int64 (const char *digits)
{
  errno = 0;
  return (g_ascii_strtoll (digits, NULL, 10) != 0 || *digits != '-') && errno != ERANGE;
}

static void
append_number (GString *out, const char *number, gsize n, gboolean whole, const char *mark)
{
  g_autofree char *digits = g_strndup (number, n);

  if (whole && fits_int64 (digits)) {
    g_string_append (out, digits);
  } else if (mark) {
    g_string_append_printf (out, "\"%s%s\"", mark, digits);
  } else {
    double value = g_ascii_strtod (digits, NULL);
    char text[G_ASCII_DTOSTR_BUF_SIZE];

    if (isfinite (value))
      g_string_append_printf (out, "%s%s", digits, whole ? ".0" : "");
    else                        /* beyond what a double has: its ends */
      g_string_append (out, g_ascii_dtostr (text, sizeof text, copysign (G_MAXDOUBLE, value)));
  }
}

char *
tern_json_mend_numbers (const char *json, gssize len, const char *mark)
{
  gsize n = len < 0 ? strlen (json) : (gsize) len, from = 0, at = 0;
  GString *out = g_string_sized_new (n + 1);

  while (at < n) {
    gboolean whole = FALSE;
    gsize number = 0;

    if (json[at] == '"') {
      for (at++; at < n && json[at] != '"'; at++)
        at += json[at] == '\\';
      at++;
      continue;
    }
    if (json[at] == '-' || g_ascii_isdigit (json[at]))
      number = number_length (json + at, n - at, &whole);
    if (number > 0) {
      g_string_append_len (out, json + from, (gssize) (at - from));
      append_number (out, json + at, number, whole, mark);
      from = at + number;
    }
    at += MAX (number, 1);
  }
  g_string_append_len (out, json + from, (gssize) (n - MIN (from, n)));
  return g_string_free (out, FALSE);
}

void
tern_json_add_text (TernJson *json, const char *name, const char *text)
{
  tern_json_name (json, name);
  tern_json_text (json, text, -1);
}

void
tern_json_add_uint (TernJson *json, const char *name, guint64 value)
{
  tern_json_name (json, name);
  tern_json_uint (json, value);
}

void
tern_json_add_bool (TernJson *json, const char *name, gboolean value)
{
  tern_json_name (json, name);
  tern_json_bool (json, value);
}
