/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tools/inspect-json.h"

#include <math.h>

static void
add_bytes (TernJson *json, TernBytes bytes)
{
  tern_json_text (json, bytes.data, (gssize) bytes.len);
}

static void
add_word (TernJson *json, const char *word)
{
  tern_json_text (json, word, -1);
}

static void
add_number (TernJson *json, const TernGgufValue *value)
{
  g_autofree char *text = NULL;

  switch (value->type) {
    case TERN_GGUF_F32:
    case TERN_GGUF_F64:
      if (isfinite (value->f64))
        tern_json_double (json, value->f64, TERN_JSON_DIGITS);
      else
        add_word (json, isnan (value->f64) ? "nan" : value->f64 > 0 ? "inf" : "-inf");
      break;
    case TERN_GGUF_BOOL:
      tern_json_bool (json, value->u64 != 0);
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
tern_json_gguf (TernJson *json, const TernGgufValue *value)
{
  const guint8 *cursor = value->array.data;
  TernGgufValue element;

  if (value->type == TERN_GGUF_STRING) {
    add_bytes (json, value->string);
  } else if (value->type != TERN_GGUF_ARRAY) {
    add_number (json, value);
  } else {
    tern_json_open (json, '[');
    for (guint64 i = 0; i < value->array.count; i++) {
      if (value->array.type == TERN_GGUF_STRING) {
        add_bytes (json, tern_gguf_next_string (&cursor));
      } else {
        tern_gguf_element (&value->array, i, &element);
        add_number (json, &element);
      }
    }
    tern_json_close (json, ']');
  }
}
