/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Values as text: str() and repr() as Python has them, and JSON as json.dumps writes it. */
#include <math.h>
#include <string.h>

#include "tern/error.h"
#include "engine/chat/template.h"
#include "engine/base/unicode.h"

static gboolean
put (TernTplRun *run, GString *out, const char *text)
{
  return tern_tpl_put (run, out, text, strlen (text));
}

/* The shortest digits that give the number back, laid out as Python does. */
static void
put_float (TernTplRun *run, GString *out, double x, gboolean json)
{
  char text[G_ASCII_DTOSTR_BUF_SIZE], layout[64];
  int digits, exponent;

  if (!isfinite (x)) {
    const char *sign = signbit (x) ? "-" : "";

    g_snprintf (layout, sizeof layout, "%s%s", isnan (x) ? "" : sign,
        json ? (isnan (x) ? "NaN" : "Infinity") : isnan (x) ? "nan" : "inf");
    put (run, out, layout);
    return;
  }
  for (digits = 1; digits < 17; digits++) {
    g_snprintf (layout, sizeof layout, "%%.%de", digits - 1);
    g_ascii_formatd (text, sizeof text, layout, x);
    if (g_ascii_strtod (text, NULL) == x)
      break;
  }
  g_snprintf (layout, sizeof layout, "%%.%de", digits - 1);
  g_ascii_formatd (text, sizeof text, layout, x);
  exponent = x == 0 ? 0 : atoi (strchr (text, 'e') + 1);
  if (exponent < -4 || exponent >= 16) {
    put (run, out, text);
    return;
  }
  g_snprintf (layout, sizeof layout, "%%.%df", MAX (digits - 1 - exponent, 1));
  put (run, out, g_ascii_formatd (text, sizeof text, layout, x));
}

static gboolean
put_code (TernTplRun *run, GString *out, const char *format, guint code)
{
  char text[16];

  g_snprintf (text, sizeof text, format, code);
  return put (run, out, text);
}

static void
put_repr (TernTplRun *run, GString *out, TernValStr str)
{
  char quote = memchr (str.data, '\'', str.len) && !memchr (str.data, '"', str.len) ? '"' : '\'';

  tern_tpl_put (run, out, &quote, 1);
  for (gsize i = 0, n; i < str.len && !run->error; i += n) {
    guchar c = str.data[i];

    n = MAX (tern_utf8_length ((const guint8 *) str.data + i, str.len - i), 1);
    if (c == '\n' || c == '\r' || c == '\t')
      put (run, out, c == '\n' ? "\\n" : c == '\r' ? "\\r" : "\\t");
    else if (c == '\\' || c == quote)
      put_code (run, out, "\\%c", c);
    else if (c < 0x20 || c == 0x7f || (n == 1 && c >= 0x80))
      put_code (run, out, "\\x%02x", c);
    else
      tern_tpl_put (run, out, str.data + i, n);
  }
  tern_tpl_put (run, out, &quote, 1);
}

static void
print_list (TernTplRun *run, GString *out, TernVal value, guint depth)
{
  put (run, out, value.tuple ? "(" : "[");
  for (guint i = 0; i < value.list->n && tern_tpl_step (run); i++) {
    if (i)
      put (run, out, ", ");
    tern_tpl_print (run, out, value.list->items[i], TRUE, depth + 1);
  }
  put (run, out, !value.tuple ? "]" : value.list->n == 1 ? ",)" : ")");
}

static void
print_dict (TernTplRun *run, GString *out, const TernValDict *dict, guint depth)
{
  put (run, out, "{");
  for (guint i = 0; i < dict->n && tern_tpl_step (run); i++) {
    if (i)
      put (run, out, ", ");
    tern_tpl_print (run, out, dict->keys[i], TRUE, depth + 1);
    put (run, out, ": ");
    tern_tpl_print (run, out, dict->values[i], TRUE, depth + 1);
  }
  put (run, out, "}");
}

void
tern_tpl_print (TernTplRun *run, GString *out, TernVal value, gboolean repr, guint depth)
{
  char number[32];

  if (depth > TERN_TPL_DEPTH) {
    tern_tpl_fail (run, TERN_ERROR_NO_SPACE, "expected at most %u nested values to print", TERN_TPL_DEPTH);
    return;
  }
  switch (value.type) {
    case TERN_VAL_UNDEFINED:
      if (repr)
        put (run, out, "Undefined");
      break;
    case TERN_VAL_NONE:
      put (run, out, "None");
      break;
    case TERN_VAL_BOOL:
      put (run, out, value.boolean ? "True" : "False");
      break;
    case TERN_VAL_INT:
      g_snprintf (number, sizeof number, "%" G_GINT64_FORMAT, value.integer);
      put (run, out, number);
      break;
    case TERN_VAL_FLOAT:
      put_float (run, out, value.real, FALSE);
      break;
    case TERN_VAL_STRING:
      if (repr)
        put_repr (run, out, value.str);
      else
        tern_tpl_put (run, out, value.str.data, value.str.len);
      break;
    case TERN_VAL_LIST:
      print_list (run, out, value, depth);
      break;
    case TERN_VAL_DICT:
      print_dict (run, out, value.dict, depth);
      break;
    default:
      tern_tpl_fail (run, TERN_ERROR_UNSUPPORTED, "a %s cannot be printed", tern_val_type_name (value));
      break;
  }
}

TernVal
tern_tpl_string (TernTplRun *run, TernVal value)
{
  GString *text;

  if (value.type == TERN_VAL_STRING)
    return value;
  text = g_string_new (NULL);
  tern_tpl_print (run, text, value, FALSE, 0);
  return tern_tpl_take (run, text);
}

/* ---- JSON -------------------------------------------------------------------------------------------------------- */

static void
json_string (TernTplRun *run, GString *out, TernValStr str, gboolean ascii)
{
  static const char from[] = "\"\\\b\f\n\r\t", to[] = "\"\\bfnrt";

  put (run, out, "\"");
  for (gsize i = 0, n; i < str.len && !run->error; i += n) {
    guchar c = str.data[i];
    const char *escaped = c ? strchr (from, c) : NULL;

    n = tern_utf8_length ((const guint8 *) str.data + i, str.len - i);
    if (escaped) {
      put_code (run, out, "\\%c", to[escaped - from]);
    } else if (c < 0x20) {
      put_code (run, out, "\\u%04x", c);
    } else if (n <= 1 || !ascii) {
      tern_tpl_put (run, out, str.data + i, MAX (n, 1));
    } else {
      gunichar wide = g_utf8_get_char (str.data + i);

      if (wide >= 0x10000) {
        put_code (run, out, "\\u%04x", 0xd800 + ((wide - 0x10000) >> 10));
        put_code (run, out, "\\u%04x", 0xdc00 + ((wide - 0x10000) & 0x3ff));
      } else {
        put_code (run, out, "\\u%04x", wide);
      }
    }
    n = MAX (n, 1);
  }
  put (run, out, "\"");
}

static void
json_line (TernTplRun *run, GString *out, const TernTplJson *style, guint depth)
{
  if (style->indent < 0)
    return;
  put (run, out, "\n");
  for (guint i = 0; i < depth * (guint) style->indent && put (run, out, " "); i++)
    ;
}

static void
json_list (TernTplRun *run, GString *out, const TernValList *list, const TernTplJson *style, guint depth)
{
  put (run, out, "[");
  for (guint i = 0; i < list->n && tern_tpl_step (run); i++) {
    if (i)
      tern_tpl_put (run, out, style->item_separator.data, style->item_separator.len);
    json_line (run, out, style, depth + 1);
    tern_tpl_json (run, out, list->items[i], style, depth + 1);
  }
  if (list->n)
    json_line (run, out, style, depth);
  put (run, out, "]");
}

static void
json_dict (TernTplRun *run, GString *out, const TernValDict *dict, const TernTplJson *style, guint depth)
{
  TernVal keys = { .type = TERN_VAL_LIST };

  if (style->sort)
    keys = tern_tpl_sorted (run, tern_tpl_iterate (run, (TernVal) { .type = TERN_VAL_DICT,
                .dict = (TernValDict *) dict }), (TernVal) { 0 }, FALSE, TRUE);
  put (run, out, "{");
  for (guint i = 0; i < dict->n && tern_tpl_step (run); i++) {
    TernVal key = style->sort ? keys.list->items[i] : dict->keys[i];
    const TernVal *value = style->sort ? tern_val_dict_get (dict, key) : &dict->values[i];

    if (i)
      tern_tpl_put (run, out, style->item_separator.data, style->item_separator.len);
    json_line (run, out, style, depth + 1);
    if (key.type == TERN_VAL_STRING)
      json_string (run, out, key.str, style->ascii);
    else
      tern_tpl_fail (run, TERN_ERROR_INVALID, "expected a string as a JSON key, found %s", tern_val_type_name (key));
    tern_tpl_put (run, out, style->key_separator.data, style->key_separator.len);
    tern_tpl_json (run, out, *value, style, depth + 1);
  }
  if (dict->n)
    json_line (run, out, style, depth);
  put (run, out, "}");
}

void
tern_tpl_json (TernTplRun *run, GString *out, TernVal value, const TernTplJson *style, guint depth)
{
  if (depth > TERN_TPL_DEPTH) {
    tern_tpl_fail (run, TERN_ERROR_NO_SPACE, "expected at most %u nested values in JSON", TERN_TPL_DEPTH);
    return;
  }
  switch (value.type) {
    case TERN_VAL_NONE:
      put (run, out, "null");
      break;
    case TERN_VAL_BOOL:
      put (run, out, value.boolean ? "true" : "false");
      break;
    case TERN_VAL_INT:
      tern_tpl_print (run, out, value, FALSE, depth);
      break;
    case TERN_VAL_FLOAT:
      put_float (run, out, value.real, TRUE);
      break;
    case TERN_VAL_STRING:
      json_string (run, out, value.str, style->ascii);
      break;
    case TERN_VAL_LIST:
      json_list (run, out, value.list, style, depth);
      break;
    case TERN_VAL_DICT:
      json_dict (run, out, value.dict, style, depth);
      break;
    default:
      tern_tpl_fail (run, TERN_ERROR_INVALID, "a value of type %s has no JSON form", tern_val_type_name (value));
      break;
  }
}
