/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Text with places for values: Python's "..." % values, the filter format, and "{}".format (). */
#include <math.h>
#include <string.h>

#include "tern/error.h"
#include "engine/chat/template.h"

#define WIDTH_MAX 1000

/* %[(name)][flags][width][.precision]letter */
typedef struct {
  TernValStr name;              /* data NULL: the next value */
  char flags[8];
  int width, precision;         /* -1: none */
  char letter;
} Place;

static gboolean
number (TernTplRun *run, TernValStr format, gsize *at, int *out)
{
  for (*out = -1; *at < format.len && g_ascii_isdigit (format.data[*at]); ++*at) {
    *out = 10 * MAX (*out, 0) + (format.data[*at] - '0');
    if (*out > WIDTH_MAX) {
      tern_tpl_fail (run, TERN_ERROR_UNSUPPORTED, "a width of more than %d in a format is not supported", WIDTH_MAX);
      return FALSE;
    }
  }
  return TRUE;
}

/* After the percent sign. */
static gboolean
parse_place (TernTplRun *run, TernValStr format, gsize *at, Place *place)
{
  guint n = 0;

  *place = (Place) { .precision = -1 };
  if (*at < format.len && format.data[*at] == '(') {
    const char *start = format.data + *at + 1, *end = memchr (start, ')', format.len - *at - 1);

    place->name = (TernValStr) { start, end ? end - start : 0 };
    *at = end ? end + 1 - format.data : format.len;
  }
  while (*at < format.len && format.data[*at] && strchr ("#0- +", format.data[*at]) && n < sizeof place->flags - 1)
    place->flags[n++] = format.data[(*at)++];
  if (!number (run, format, at, &place->width))
    return FALSE;
  if (*at < format.len && format.data[*at] == '.') {
    ++*at;
    if (!number (run, format, at, &place->precision))
      return FALSE;
    place->precision = MAX (place->precision, 0);
  }
  if (*at >= format.len) {
    tern_tpl_fail (run, TERN_ERROR_INVALID, "expected a letter after %% in a format, found its end");
    return FALSE;
  }
  place->letter = format.data[(*at)++];
  return TRUE;
}

static void
put_text (TernTplRun *run, GString *out, const Place *place, TernValStr text)
{
  gsize chars;

  if (place->precision >= 0)
    text.len = tern_val_char_offset (text, place->precision);
  chars = tern_val_chars (text);
  for (gsize i = chars; !strchr (place->flags, '-') && (int) i < place->width && tern_tpl_put (run, out, " ", 1); i++)
    ;
  tern_tpl_put (run, out, text.data, text.len);
  for (gsize i = chars; strchr (place->flags, '-') && (int) i < place->width && tern_tpl_put (run, out, " ", 1); i++)
    ;
}

static void
put_number (TernTplRun *run, GString *out, const Place *place, TernVal value)
{
  gboolean real = strchr ("fFeEgG", place->letter) != NULL;
  char layout[32], text[WIDTH_MAX + 400];
  double x;

  if (!tern_val_number (value, &x) || (!real && value.type == TERN_VAL_FLOAT
          && (fabs (x) > 9e18 || isnan (x) || !strchr ("diu", place->letter)))) {
    tern_tpl_fail (run, TERN_ERROR_INVALID, "%%%c: expected a number, found %s", place->letter,
        tern_val_type_name (value));
    return;
  }
  if (real) {
    char width[8] = "";

    if (place->width > 0)
      g_snprintf (width, sizeof width, "%d", place->width);
    g_snprintf (layout, sizeof layout, "%%%s%s.%d%c", place->flags, width, place->precision < 0 ? 6
        : MIN (place->precision, 60), place->letter);
    g_ascii_formatd (text, sizeof text, layout, x);
  } else {
    gint64 whole = value.type == TERN_VAL_FLOAT ? (gint64) x : value.type == TERN_VAL_INT ? value.integer
        : value.boolean;

    if (whole < 0 && strchr ("xXo", place->letter)) {   /* C would print two's complement */
      tern_tpl_fail (run, TERN_ERROR_UNSUPPORTED, "%%%c of a negative number is not supported", place->letter);
      return;
    }
    g_snprintf (layout, sizeof layout, "%%%s*.*%s%c", place->flags, G_GINT64_MODIFIER,
        place->letter == 'u' ? 'd' : place->letter);
    g_snprintf (text, sizeof text, layout, MAX (place->width, 0), place->precision, whole);
  }
  tern_tpl_put (run, out, text, strlen (text));
}

static void
put_place (TernTplRun *run, GString *out, const Place *place, TernVal value)
{
  GString *text;

  switch (place->letter) {
    case 's':
      put_text (run, out, place, tern_tpl_string (run, value).str);
      break;
    case 'r':
      text = g_string_new (NULL);
      tern_tpl_print (run, text, value, TRUE, 0);
      put_text (run, out, place, tern_tpl_take (run, text).str);
      break;
    case 'd': case 'i': case 'u': case 'x': case 'X': case 'o':
    case 'f': case 'F': case 'e': case 'E': case 'g': case 'G':
      put_number (run, out, place, value);
      break;
    default:
      tern_tpl_fail (run, TERN_ERROR_UNSUPPORTED, "%%%c in a format is not supported", place->letter);
      break;
  }
}

TernVal
tern_tpl_percent (TernTplRun *run, TernValStr format, const TernTplArgs *values)
{
  GString *out = g_string_new (NULL);
  guint used = 0;

  for (gsize at = 0; at < format.len && tern_tpl_step (run);) {
    const char *percent = memchr (format.data + at, '%', format.len - at);
    gsize end = percent ? percent - format.data : format.len;
    const TernVal *value;
    Place place;

    tern_tpl_put (run, out, format.data + at, end - at);
    at = end + 1;
    if (!percent || !parse_place (run, format, &at, &place))
      break;
    if (place.letter == '%') {
      tern_tpl_put (run, out, "%", 1);
      continue;
    }
    value = place.name.data ? values->named ? tern_val_dict_find (values->named, place.name.data, place.name.len) : NULL
        : used < values->n ? &values->args[used++] : NULL;
    if (value)
      put_place (run, out, &place, *value);
    else
      tern_tpl_fail (run, TERN_ERROR_INVALID, "expected a value for each %% of a format, found too few");
  }
  if (used < values->n && !values->named)
    tern_tpl_fail (run, TERN_ERROR_INVALID, "expected a %% in the format for each value, found too few");
  return tern_tpl_take (run, out);
}

/* {}, {0}, {name}; {{ and }} are braces. */
TernVal
tern_tpl_format (TernTplRun *run, TernValStr format, const TernTplArgs *values)
{
  GString *out = g_string_new (NULL);
  guint next = 0;

  for (gsize at = 0; at < format.len && tern_tpl_step (run);) {
    char c = format.data[at++];
    const char *end;
    const TernVal *value;
    TernValStr name;

    if (c != '{' && c != '}') {
      tern_tpl_put (run, out, &c, 1);
      continue;
    }
    if (at < format.len && format.data[at] == c) {
      tern_tpl_put (run, out, &c, 1);
      at++;
      continue;
    }
    end = memchr (format.data + at, '}', format.len - at);
    name = (TernValStr) { format.data + at, end ? end - (format.data + at) : 0 };
    if (c == '}' || !end) {
      tern_tpl_fail (run, TERN_ERROR_INVALID, "format: expected pairs of braces, found one alone");
      break;
    }
    for (gsize i = 0; i < name.len; i++)
      if (!g_ascii_isalnum (name.data[i]) && name.data[i] != '_') {
        tern_tpl_fail (run, TERN_ERROR_UNSUPPORTED, "format: {%.*s} is not supported, only {}, {0} and {name}",
            (int) MIN (name.len, 40), name.data);
        break;
      }
    if (name.len && !g_ascii_isdigit (name.data[0])) {
      value = values->named ? tern_val_dict_find (values->named, name.data, name.len) : NULL;
    } else {
      guint64 i = name.len ? g_ascii_strtoull (name.data, NULL, 10) : next++;

      value = i < values->n ? &values->args[i] : NULL;
    }
    if (value)
      tern_tpl_print (run, out, *value, FALSE, 0);
    else
      tern_tpl_fail (run, TERN_ERROR_INVALID, "format: no value for {%.*s}", (int) MIN (name.len, 40), name.data);
    at = end + 1 - format.data;
  }
  return tern_tpl_take (run, out);
}
