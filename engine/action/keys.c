/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Keys of an action model, each checked. */
#include "engine/action/head-priv.h"

#include <math.h>
#include <string.h>

#include "tern/error.h"

gboolean
tern_action_key_choice (const TernGguf *file, const char *key, const char *const *names, int fallback, guint *out,
    GError **error)
{
  g_autofree char *found = NULL, *expected = NULL;
  TernBytes text;

  if (!(fallback < 0 ? tern_gguf_string (file, key, &text, error) : tern_gguf_string_or (file, key, &text, error)))
    return FALSE;
  if (!text.data) {
    *out = fallback;
    return TRUE;
  }
  for (guint i = 0; names[i]; i++)
    if (strlen (names[i]) == text.len && memcmp (names[i], text.data, text.len) == 0) {
      *out = i;
      return TRUE;
    }
  found = tern_bytes_quote (text);
  expected = g_strjoinv (", ", (char **) names);
  return tern_gguf_bad_key (file, key, error, "expected one of %s; found %s", expected, found);
}

/* An array of either type. */
static gboolean
find_array (const TernGguf *file, const char *key, TernGgufType type, TernGgufType other, gboolean required,
    TernGgufArray *array, GError **error)
{
  return tern_gguf_array (file, key, other, required, array, NULL)
      || tern_gguf_array (file, key, type, required, array, error);
}

/* All of @array to @out. */
static gboolean
read_floats (const TernGguf *file, const char *key, const TernGgufArray *array, float *out, GError **error)
{
  for (guint i = 0; i < array->count; i++) {
    TernGgufValue value;

    tern_gguf_element (array, i, &value);
    out[i] = (float) value.f64;
    if (!isfinite (out[i]))
      return tern_gguf_bad_key (file, key, error, "expected finite numbers, found %g at %u", value.f64, i);
  }
  return TRUE;
}

gboolean
tern_action_key_floats_up_to (const TernGguf *file, const char *key, guint most, float *out, guint *n, GError **error)
{
  TernGgufArray array;

  *n = 0;
  if (!find_array (file, key, TERN_GGUF_F32, TERN_GGUF_F64, FALSE, &array, error))
    return FALSE;
  if (array.count > most)
    return tern_gguf_bad_key (file, key, error, "expected at most %u numbers, found %" G_GUINT64_FORMAT, most, array.count);
  *n = (guint) array.count;
  return read_floats (file, key, &array, out, error);
}

gboolean
tern_action_key_floats (const TernGguf *file, const char *key, guint n, float *out, GError **error)
{
  TernGgufArray array;

  if (!find_array (file, key, TERN_GGUF_F32, TERN_GGUF_F64, TRUE, &array, error))
    return FALSE;
  if (array.count != n)
    return tern_gguf_bad_key (file, key, error, "expected %u numbers, found %" G_GUINT64_FORMAT, n, array.count);
  return read_floats (file, key, &array, out, error);
}

gboolean
tern_action_key_integers (const TernGguf *file, const char *key, guint32 min, guint32 max, guint most, guint32 *out,
    guint *n, GError **error)
{
  TernGgufArray array;

  *n = 0;
  if (!find_array (file, key, TERN_GGUF_U32, TERN_GGUF_I32, FALSE, &array, error))
    return FALSE;
  if (array.count > most)
    return tern_gguf_bad_key (file, key, error, "expected at most %u integers, found %" G_GUINT64_FORMAT, most, array.count);
  for (*n = 0; *n < array.count; (*n)++) {
    TernGgufValue value;
    gint64 number;

    tern_gguf_element (&array, *n, &value);
    number = array.type == TERN_GGUF_I32 ? value.i64 : (gint64) value.u64;
    if (number < min || number > max)
      return tern_gguf_bad_key (file, key, error, "expected integers from %u to %u, found %" G_GINT64_FORMAT " at %u", min, max,
          number, *n);
    out[*n] = (guint32) number;
  }
  return TRUE;
}

/* The text of @bytes; NULL when it is not fit to be shown. */
static const char *
keep (GStringChunk *strings, TernBytes bytes)
{
  for (gsize i = 0; i < bytes.len; i++)
    if ((guchar) bytes.data[i] < 0x20 || bytes.data[i] == 0x7f)
      return NULL;
  return g_utf8_validate_len (bytes.data, bytes.len, NULL) ? g_string_chunk_insert_len (strings, bytes.data, bytes.len)
      : NULL;
}

gboolean
tern_action_key_text (const TernGguf *file, const char *key, const char *fallback, GStringChunk *strings,
    const char **out, GError **error)
{
  TernBytes text;

  if (!(fallback ? tern_gguf_string_or (file, key, &text, error) : tern_gguf_string (file, key, &text, error)))
    return FALSE;
  *out = text.data ? keep (strings, text) : fallback;
  if (!*out || (!fallback && !**out)) {
    g_autofree char *found = tern_bytes_quote (text);

    return tern_gguf_bad_key (file, key, error, "expected a text in UTF-8 without control characters, found %s", found);
  }
  return TRUE;
}

gboolean
tern_action_key_texts (const TernGguf *file, const char *key, guint n, gboolean may_be_empty, GStringChunk *strings,
    const char **out, GError **error)
{
  TernGgufArray array;
  const guint8 *cursor;

  if (!tern_gguf_array (file, key, TERN_GGUF_STRING, TRUE, &array, error))
    return FALSE;
  if (array.count != n)
    return tern_gguf_bad_key (file, key, error, "expected %u texts, found %" G_GUINT64_FORMAT, n, array.count);
  cursor = array.data;
  for (guint i = 0; i < n; i++) {
    TernBytes text = tern_gguf_next_string (&cursor);

    out[i] = keep (strings, text);
    if (!out[i] || (!may_be_empty && !*out[i])) {
      g_autofree char *found = tern_bytes_quote (text);

      return tern_gguf_bad_key (file, key, error, "expected texts in UTF-8 without control characters%s, found %s at %u",
          may_be_empty ? "" : ", none empty", found, i);
    }
  }
  return TRUE;
}
