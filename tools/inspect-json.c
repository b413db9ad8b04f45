/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tools/inspect-json.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define FLUSH_BYTES (1 << 16)

void
tern_json_flush (TernJson *json)
{
  fwrite (json->out->str, 1, json->out->len, stdout);
  g_string_truncate (json->out, 0);
}

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
  if (json->out->len >= FLUSH_BYTES)
    tern_json_flush (json);
  if (!json->named && json->comma)
    g_string_append (json->out, ", ");
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
  if (bracket == '}' && json->comma)
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
    if ((guint8) *text >= 0x20 && *text != '"' && *text != '\\')
      continue;
    g_string_append_len (out, from, text - from);
    from = text + 1;
    if (*text == '"' || *text == '\\') {
      g_string_append_c (out, '\\');
      g_string_append_c (out, *text);
    } else {
      g_string_append_printf (out, "\\u%04x", (guint8) *text);
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
  new_line (json);
  append_text (json->out, name, strlen (name));
  g_string_append (json->out, ": ");
  json->named = TRUE;
}

void
tern_json_text (TernJson *json, TernBytes bytes)
{
  g_autofree char *mended = NULL;

  begin_value (json);
  if (bytes.len && !g_utf8_validate_len (bytes.data, bytes.len, NULL)) {
    mended = g_utf8_make_valid (bytes.data, bytes.len);
    bytes = (TernBytes) { mended, strlen (mended) };
  }
  append_text (json->out, bytes.data, bytes.len);
}

void
tern_json_int (TernJson *json, gint64 value)
{
  char digits[24];

  begin_value (json);
  g_string_append_len (json->out, digits, g_snprintf (digits, sizeof digits, "%" G_GINT64_FORMAT, value));
}

void
tern_json_double (TernJson *json, double value)
{
  char digits[G_ASCII_DTOSTR_BUF_SIZE];

  begin_value (json);
  g_string_append (json->out, g_ascii_dtostr (digits, sizeof digits, value));
}

static void
add_word (TernJson *json, const char *word)
{
  tern_json_text (json, (TernBytes) { word, strlen (word) });
}

static void
add_number (TernJson *json, const TernGgufValue *value)
{
  g_autofree char *text = NULL;

  switch (value->type) {
    case TERN_GGUF_F32:
    case TERN_GGUF_F64:
      if (isfinite (value->f64))
        tern_json_double (json, value->f64);
      else
        add_word (json, isnan (value->f64) ? "nan" : value->f64 > 0 ? "inf" : "-inf");
      break;
    case TERN_GGUF_BOOL:
      begin_value (json);
      g_string_append (json->out, value->u64 ? "true" : "false");
      break;
    case TERN_GGUF_U8:
    case TERN_GGUF_U16:
    case TERN_GGUF_U32:
    case TERN_GGUF_U64:
      if (value->u64 <= G_MAXINT64) {
        tern_json_int (json, value->u64);
      } else {
        text = g_strdup_printf ("%" G_GUINT64_FORMAT, value->u64);
        add_word (json, text);
      }
      break;
    default:
      tern_json_int (json, value->i64);
      break;
  }
}

void
tern_json_value (TernJson *json, const TernGgufValue *value)
{
  const guint8 *cursor = value->array.data;
  TernGgufValue element;

  if (value->type == TERN_GGUF_STRING) {
    tern_json_text (json, value->string);
  } else if (value->type != TERN_GGUF_ARRAY) {
    add_number (json, value);
  } else {
    tern_json_open (json, '[');
    for (guint64 i = 0; i < value->array.count; i++) {
      if (value->array.type == TERN_GGUF_STRING) {
        tern_json_text (json, tern_gguf_next_string (&cursor));
      } else {
        tern_gguf_element (&value->array, i, &element);
        add_number (json, &element);
      }
    }
    tern_json_close (json, ']');
  }
}
