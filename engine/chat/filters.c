/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Jinja's filters, those that chat templates use or may use. */
#include <math.h>
#include <string.h>

#include "tern/error.h"
#include "engine/chat/template.h"

typedef TernVal (*Filter) (TernTplRun *run, TernVal value, const TernTplArgs *args);

static const TernVal nothing = { TERN_VAL_UNDEFINED, .str = { "", 0 } };
static const TernValStr empty = { "", 0 };

static TernVal
bad (TernTplRun *run, const char *filter, const char *what, TernVal found)
{
  tern_tpl_fail (run, TERN_ERROR_INVALID, "%s: expected %s, found %s", filter, what, tern_val_type_name (found));
  return nothing;
}

static TernValStr
string_or (const TernTplArgs *args, guint i, const char *name, TernValStr fallback)
{
  const TernVal *value = tern_tpl_arg (args, i, name);

  return value && value->type == TERN_VAL_STRING ? value->str : fallback;
}

static gboolean
flag (const TernTplArgs *args, guint i, const char *name, gboolean fallback)
{
  const TernVal *value = tern_tpl_arg (args, i, name);

  return value ? tern_val_truth (*value) : fallback;
}

/* value.a.b or value.0 for a path "a.b" or "0", as Jinja's attribute arguments. */
static TernVal
by_path (TernTplRun *run, TernVal value, TernVal path)
{
  TernValStr rest;

  if (path.type == TERN_VAL_INT)
    return tern_tpl_item (run, value, path);
  rest = path.type == TERN_VAL_STRING ? path.str : empty;
  while (rest.len > 0 && tern_tpl_step (run)) {
    const char *dot = memchr (rest.data, '.', rest.len);
    TernValStr part = { rest.data, dot ? (gsize) (dot - rest.data) : rest.len };
    gint64 index = 0;
    gboolean number = part.len > 0 && part.len < 10;

    for (gsize i = 0; i < part.len && number; i++) {
      number = g_ascii_isdigit (part.data[i]);
      index = 10 * index + g_ascii_digit_value (part.data[i]);
    }
    value = number ? tern_tpl_item (run, value, tern_val_int (index))
        : tern_tpl_item (run, value, tern_val_str (part.data, part.len));
    rest = dot ? (TernValStr) { dot + 1, rest.data + rest.len - dot - 1 } : empty;
  }
  return value;
}

/* ---- Text -------------------------------------------------------------------------------------------------------- */

static TernVal
filter_trim (TernTplRun *run, TernVal value, const TernTplArgs *args)
{
  return tern_tpl_strip (run, tern_tpl_string (run, value).str, tern_tpl_arg (args, 0, "chars"), TRUE, TRUE);
}

static TernVal
filter_upper (TernTplRun *run, TernVal value, const TernTplArgs *args)
{
  return tern_tpl_case (run, tern_tpl_string (run, value).str, "upper");
}

static TernVal
filter_lower (TernTplRun *run, TernVal value, const TernTplArgs *args)
{
  return tern_tpl_case (run, tern_tpl_string (run, value).str, "lower");
}

/* Other than Python's title(): a word starts after blanks, hyphens and opening brackets only. */
static TernVal
filter_title (TernTplRun *run, TernVal value, const TernTplArgs *args)
{
  TernValStr str = tern_tpl_string (run, value).str;
  GString *out = g_string_new (NULL);

  for (gsize at = 0, end; at < str.len && !run->error; at = end) {
    TernVal word;

    for (end = at; end < str.len && strchr (" \t\n\r\f\v-({[<", str.data[end]) && str.data[end]; end++)
      ;
    tern_tpl_put (run, out, str.data + at, end - at);
    for (at = end; end < str.len && (!strchr (" \t\n\r\f\v-({[<", str.data[end]) || !str.data[end]); end++)
      ;
    word = tern_tpl_case (run, (TernValStr) { str.data + at, end - at }, "capitalize");
    tern_tpl_put (run, out, word.str.data, word.str.len);
  }
  return tern_tpl_take (run, out);
}

static TernVal
filter_capitalize (TernTplRun *run, TernVal value, const TernTplArgs *args)
{
  return tern_tpl_case (run, tern_tpl_string (run, value).str, "capitalize");
}

static TernVal
filter_replace (TernTplRun *run, TernVal value, const TernTplArgs *args)
{
  const TernVal *old = tern_tpl_arg (args, 0, "old"), *by = tern_tpl_arg (args, 1, "new");
  const TernVal *count = tern_tpl_arg (args, 2, "count");

  if (!old || !by)
    return bad (run, "replace", "two strings", nothing);
  return tern_tpl_replace (run, tern_tpl_string (run, value).str, tern_tpl_string (run, *old).str,
      tern_tpl_string (run, *by).str, count && count->type == TERN_VAL_INT ? count->integer : -1);
}

static TernVal
filter_string (TernTplRun *run, TernVal value, const TernTplArgs *args)
{
  return tern_tpl_string (run, value);
}

static TernVal
filter_escape (TernTplRun *run, TernVal value, const TernTplArgs *args)
{
  static const struct {
    char c;
    const char *text;
  } table[] = { { '&', "&amp;" }, { '<', "&lt;" }, { '>', "&gt;" }, { '\'', "&#39;" }, { '"', "&#34;" } };
  TernValStr str = tern_tpl_string (run, value).str;
  GString *out = g_string_new (NULL);

  for (gsize i = 0; i < str.len && !run->error; i++) {
    const char *text = NULL;

    for (guint k = 0; k < G_N_ELEMENTS (table); k++)
      if (table[k].c == str.data[i])
        text = table[k].text;
    tern_tpl_put (run, out, text ? text : str.data + i, text ? strlen (text) : 1);
  }
  return tern_tpl_take (run, out);
}

/* Spaces before every line but (unless first) the first one and (unless blank) empty ones. */
static TernVal
filter_indent (TernTplRun *run, TernVal value, const TernTplArgs *args)
{
  const TernVal *width = tern_tpl_arg (args, 0, "width");
  gboolean first = flag (args, 1, "first", FALSE), blank = flag (args, 2, "blank", FALSE);
  TernValStr str = tern_tpl_string (run, value).str, by = empty;
  g_autofree char *spaces = NULL;
  GString *out = g_string_new (NULL);

  if (width && width->type == TERN_VAL_STRING) {
    by = width->str;
  } else {
    gint64 n = width && width->type == TERN_VAL_INT ? CLAMP (width->integer, 0, 1000) : 4;

    spaces = g_strnfill (n, ' ');
    by = (TernValStr) { spaces, n };
  }
  for (gsize at = 0, end; at <= str.len && !run->error; at = end + 1) {
    const char *newline = memchr (str.data + at, '\n', str.len - at);

    end = newline ? (gsize) (newline - str.data) : str.len;
    if (at == 0 ? first : blank || end > at)
      tern_tpl_put (run, out, by.data, by.len);
    tern_tpl_put (run, out, str.data + at, MIN (end + 1, str.len) - at);
  }
  return tern_tpl_take (run, out);
}

static TernVal
filter_tojson (TernTplRun *run, TernVal value, const TernTplArgs *args)
{
  /* Chat templates are rendered with a tojson of their own, whose first parameters are these, by name mostly. */
  const TernVal *indent = tern_tpl_arg (args, 1, "indent"), *separators = tern_tpl_arg (args, 2, "separators");
  TernTplJson style = {
    .indent = -1,
    .ascii = flag (args, 0, "ensure_ascii", FALSE),
    .sort = flag (args, 3, "sort_keys", FALSE),
    .item_separator = { ", ", 2 }, .key_separator = { ": ", 2 },
  };
  GString *out = g_string_new (NULL);

  if (indent && indent->type == TERN_VAL_INT) {
    style.indent = CLAMP (indent->integer, 0, 100);
    style.item_separator = (TernValStr) { ",", 1 };
  }
  if (separators && separators->type == TERN_VAL_LIST && separators->list->n == 2
      && separators->list->items[0].type == TERN_VAL_STRING && separators->list->items[1].type == TERN_VAL_STRING) {
    style.item_separator = separators->list->items[0].str;
    style.key_separator = separators->list->items[1].str;
  }
  tern_tpl_json (run, out, value, &style, 0);
  return tern_tpl_take (run, out);
}

static TernVal
filter_format (TernTplRun *run, TernVal value, const TernTplArgs *args)
{
  return tern_tpl_percent (run, tern_tpl_string (run, value).str,
      args->named && args->named->n ? args : &(TernTplArgs) { args->args, args->n, NULL });
}

/* ---- Numbers ----------------------------------------------------------------------------------------------------- */

static TernVal
filter_int (TernTplRun *run, TernVal value, const TernTplArgs *args)
{
  const TernVal *fallback = tern_tpl_arg (args, 0, "default");
  double x;

  if (value.type == TERN_VAL_INT)
    return value;
  if (value.type == TERN_VAL_STRING) {
    TernVal text = tern_tpl_strip (run, value.str, NULL, TRUE, TRUE);
    g_autofree char *copy = g_strndup (text.str.data, MIN (text.str.len, 64));
    char *end;
    gint64 integer;

    if (g_ascii_string_to_signed (copy, 10, G_MININT64, G_MAXINT64, &integer, NULL))
      return tern_val_int (integer);
    x = g_ascii_strtod (copy, &end);
    if (end != copy && *end == 0 && fabs (x) < 9e18)
      return tern_val_int (x);
  } else if (tern_val_number (value, &x) && fabs (x) < 9e18) {
    return tern_val_int (x);
  }
  return fallback ? *fallback : tern_val_int (0);
}

static TernVal
filter_float (TernTplRun *run, TernVal value, const TernTplArgs *args)
{
  const TernVal *fallback = tern_tpl_arg (args, 0, "default");
  double x;

  if (tern_val_number (value, &x))
    return tern_val_float (x);
  if (value.type == TERN_VAL_STRING) {
    TernVal text = tern_tpl_strip (run, value.str, NULL, TRUE, TRUE);
    g_autofree char *copy = g_strndup (text.str.data, MIN (text.str.len, 64));
    char *end;

    x = g_ascii_strtod (copy, &end);
    if (end != copy && *end == 0)
      return tern_val_float (x);
  }
  return fallback ? *fallback : tern_val_float (0);
}

static TernVal
filter_abs (TernTplRun *run, TernVal value, const TernTplArgs *args)
{
  if (value.type == TERN_VAL_INT && value.integer != G_MININT64)
    return tern_val_int (ABS (value.integer));
  return value.type == TERN_VAL_FLOAT ? tern_val_float (fabs (value.real)) : bad (run, "abs", "a number", value);
}

static TernVal
filter_round (TernTplRun *run, TernVal value, const TernTplArgs *args)
{
  const TernVal *digits = tern_tpl_arg (args, 0, "precision"), *method = tern_tpl_arg (args, 1, "method");
  double x, scale = pow (10, digits && digits->type == TERN_VAL_INT ? CLAMP (digits->integer, -15, 15) : 0);

  if (!tern_val_number (value, &x))
    return bad (run, "round", "a number", value);
  if (value.type != TERN_VAL_FLOAT && !method && (!digits || scale >= 1))
    return tern_val_int (value.type == TERN_VAL_INT ? value.integer : value.boolean);
  x *= scale;
  x = method && tern_val_is (*method, "ceil") ? ceil (x) : method && tern_val_is (*method, "floor") ? floor (x)
      : rint (x);
  return tern_val_float (x / scale);
}

/* ---- Lists ------------------------------------------------------------------------------------------------------- */

static TernVal
filter_default (TernTplRun *run, TernVal value, const TernTplArgs *args)
{
  const TernVal *other = tern_tpl_arg (args, 0, "default_value");
  gboolean falsy = flag (args, 1, "boolean", FALSE);

  if (value.type != TERN_VAL_UNDEFINED && !(falsy && !tern_val_truth (value)))
    return value;
  return other ? *other : tern_val_str ("", 0);
}

static TernVal
filter_length (TernTplRun *run, TernVal value, const TernTplArgs *args)
{
  switch (value.type) {
    case TERN_VAL_STRING:
      return tern_val_int (tern_val_chars (value.str));
    case TERN_VAL_LIST:
      return tern_val_int (value.list->n);
    case TERN_VAL_DICT:
      return tern_val_int (value.dict->n);
    case TERN_VAL_UNDEFINED:
      return tern_val_int (0);
    default:
      return bad (run, "length", "a list, mapping or string", value);
  }
}

static TernVal
filter_map (TernTplRun *run, TernVal value, const TernTplArgs *args)
{
  const TernVal *attribute = tern_tpl_arg (&(TernTplArgs) { NULL, 0, args->named }, 0, "attribute");
  const TernVal *fallback = tern_tpl_arg (&(TernTplArgs) { NULL, 0, args->named }, 0, "default");
  TernVal items = tern_tpl_iterate (run, tern_val_truth (value) ? value : nothing);
  TernVal out = tern_val_list (&run->arena, 0);

  if (!attribute && (args->n < 1 || args->args[0].type != TERN_VAL_STRING
          || !tern_tpl_has_filter (args->args[0].str)))
    return bad (run, "map", "the name of a filter, or attribute=", args->n ? args->args[0] : nothing);
  for (guint i = 0; i < items.list->n && tern_tpl_step (run); i++) {
    TernVal item = items.list->items[i];

    if (attribute) {
      item = by_path (run, item, *attribute);
      if (item.type == TERN_VAL_UNDEFINED && fallback)
        item = *fallback;
    } else {
      item = tern_tpl_filter (run, args->args[0].str, item,
          &(TernTplArgs) { args->args + 1, args->n - 1, args->named });
    }
    tern_val_list_add (&run->arena, out, item);
  }
  return out;
}

static TernVal
filter_join (TernTplRun *run, TernVal value, const TernTplArgs *args)
{
  const TernVal *attribute = tern_tpl_arg (args, 1, "attribute");
  TernValStr by = string_or (args, 0, "d", empty);
  TernVal items = tern_tpl_iterate (run, value), picked;

  if (!attribute)
    return tern_tpl_join (run, items, by);
  picked = tern_val_list (&run->arena, items.list->n);
  for (guint i = 0; i < items.list->n && tern_tpl_step (run); i++)
    tern_val_list_add (&run->arena, picked, by_path (run, items.list->items[i], *attribute));
  return tern_tpl_join (run, picked, by);
}

/* select, reject (test of the item), selectattr, rejectattr (test of an attribute); without a test: truth. */
static TernVal
choose (TernTplRun *run, TernVal value, const TernTplArgs *args, gboolean attribute, gboolean keep)
{
  TernVal items = tern_tpl_iterate (run, tern_val_truth (value) ? value : nothing);     /* what is false has no items */
  TernVal out = tern_val_list (&run->arena, 0);
  guint first = attribute ? 1 : 0;

  if (attribute && args->n < 1)
    return bad (run, "selectattr", "the name of an attribute", nothing);
  if (args->n > first && (args->args[first].type != TERN_VAL_STRING || !tern_tpl_has_test (args->args[first].str)))
    return bad (run, "select", "the name of a test", args->args[first]);
  for (guint i = 0; i < items.list->n && tern_tpl_step (run); i++) {
    TernVal item = items.list->items[i], tested = attribute ? by_path (run, item, args->args[0]) : item;
    gboolean pass = args->n > first ? tern_tpl_test (run, args->args[first].str, tested,
        &(TernTplArgs) { args->args + first + 1, args->n - first - 1, args->named }) : tern_val_truth (tested);

    if (pass == keep)
      tern_val_list_add (&run->arena, out, item);
  }
  return out;
}

static TernVal
filter_select (TernTplRun *run, TernVal value, const TernTplArgs *args)
{
  return choose (run, value, args, FALSE, TRUE);
}

static TernVal
filter_reject (TernTplRun *run, TernVal value, const TernTplArgs *args)
{
  return choose (run, value, args, FALSE, FALSE);
}

static TernVal
filter_selectattr (TernTplRun *run, TernVal value, const TernTplArgs *args)
{
  return choose (run, value, args, TRUE, TRUE);
}

static TernVal
filter_rejectattr (TernTplRun *run, TernVal value, const TernTplArgs *args)
{
  return choose (run, value, args, TRUE, FALSE);
}

static TernVal
filter_first (TernTplRun *run, TernVal value, const TernTplArgs *args)
{
  TernVal items = tern_tpl_iterate (run, value);

  return items.list->n ? items.list->items[0] : nothing;
}

static TernVal
filter_last (TernTplRun *run, TernVal value, const TernTplArgs *args)
{
  TernVal items = tern_tpl_iterate (run, value);

  return items.list->n ? items.list->items[items.list->n - 1] : nothing;
}

static TernVal
filter_list (TernTplRun *run, TernVal value, const TernTplArgs *args)
{
  TernVal items = tern_tpl_iterate (run, value);

  items.tuple = FALSE;
  return items;
}

static TernVal
filter_reverse (TernTplRun *run, TernVal value, const TernTplArgs *args)
{
  TernVal items = tern_tpl_iterate (run, value), out = tern_val_list (&run->arena, items.list->n);

  for (guint i = items.list->n; i-- > 0 && tern_tpl_step (run);)
    tern_val_list_add (&run->arena, out, items.list->items[i]);
  return value.type == TERN_VAL_STRING ? tern_tpl_join (run, out, empty) : out;
}

static TernVal
filter_items (TernTplRun *run, TernVal value, const TernTplArgs *args)
{
  if (value.type == TERN_VAL_UNDEFINED)
    return tern_val_list (&run->arena, 0);
  return value.type == TERN_VAL_DICT ? tern_tpl_method (run, "items", value, &(TernTplArgs) { 0 })
      : bad (run, "items", "a mapping", value);
}

static TernVal
sort_key (TernTplRun *run, TernVal item, TernVal by, gboolean case_sensitive)
{
  TernVal key = by.type == TERN_VAL_STRING || by.type == TERN_VAL_INT ? by_path (run, item, by) : item;

  return key.type == TERN_VAL_STRING && !case_sensitive ? tern_tpl_case (run, key.str, "lower") : key;
}

static void
merge_sort (TernTplRun *run, TernVal *keys, TernVal *items, TernVal *spare, guint n, int sign)
{
  guint half = n / 2, i = 0, j = half;

  if (n < 2 || run->error)
    return;
  merge_sort (run, keys, items, spare, half, sign);
  merge_sort (run, keys + half, items + half, spare, n - half, sign);
  for (guint k = 0; k < n; k++) {
    gboolean left = i < half && (j >= n || sign * tern_tpl_compare (run, keys[j], keys[i]) >= 0);

    spare[2 * k] = left ? keys[i] : keys[j];
    spare[2 * k + 1] = left ? items[i++] : items[j++];
  }
  for (guint k = 0; k < n; k++) {
    keys[k] = spare[2 * k];
    items[k] = spare[2 * k + 1];
  }
}

/* Stable, in both directions. */
TernVal
tern_tpl_sorted (TernTplRun *run, TernVal list, TernVal by, gboolean reverse, gboolean case_sensitive)
{
  guint n = list.list->n;
  TernVal out = tern_val_list (&run->arena, n), keys = tern_val_list (&run->arena, n);
  TernVal *spare = tern_tpl_alloc (&run->arena, 2 * (gsize) MAX (n, 1) * sizeof (TernVal));

  for (guint i = 0; i < n && tern_tpl_step (run); i++) {
    tern_val_list_add (&run->arena, out, list.list->items[i]);
    tern_val_list_add (&run->arena, keys, sort_key (run, list.list->items[i], by, case_sensitive));
  }
  merge_sort (run, keys.list->items, out.list->items, spare, out.list->n, reverse ? -1 : 1);
  return out;
}

static TernVal
filter_sort (TernTplRun *run, TernVal value, const TernTplArgs *args)
{
  const TernVal *by = tern_tpl_arg (args, 2, "attribute");

  return tern_tpl_sorted (run, tern_tpl_iterate (run, value), by ? *by : nothing, flag (args, 0, "reverse", FALSE),
      flag (args, 1, "case_sensitive", FALSE));
}

static TernVal
filter_dictsort (TernTplRun *run, TernVal value, const TernTplArgs *args)
{
  const TernVal *by = tern_tpl_arg (args, 1, "by");
  TernVal items = filter_items (run, value, args);

  if (items.type != TERN_VAL_LIST)
    return nothing;
  return tern_tpl_sorted (run, items, tern_val_int (by && tern_val_is (*by, "value")),
      flag (args, 2, "reverse", FALSE), flag (args, 0, "case_sensitive", FALSE));
}

static TernVal
filter_unique (TernTplRun *run, TernVal value, const TernTplArgs *args)
{
  const TernVal *by = tern_tpl_arg (args, 1, "attribute");
  gboolean case_sensitive = flag (args, 0, "case_sensitive", FALSE);
  TernVal items = tern_tpl_iterate (run, value), out = tern_val_list (&run->arena, 0);
  TernVal seen = tern_val_list (&run->arena, 0);

  for (guint i = 0; i < items.list->n && tern_tpl_step (run); i++) {
    TernVal key = sort_key (run, items.list->items[i], by ? *by : nothing, case_sensitive);

    if (tern_tpl_contains (run, seen, key))
      continue;
    tern_val_list_add (&run->arena, seen, key);
    tern_val_list_add (&run->arena, out, items.list->items[i]);
  }
  return out;
}

static TernVal
extreme (TernTplRun *run, TernVal value, int sign)
{
  TernVal items = tern_tpl_iterate (run, value), best = nothing;

  for (guint i = 0; i < items.list->n && tern_tpl_step (run); i++)
    if (i == 0 || sign * tern_tpl_compare (run, items.list->items[i], best) > 0)
      best = items.list->items[i];
  return best;
}

static TernVal
filter_min (TernTplRun *run, TernVal value, const TernTplArgs *args)
{
  return extreme (run, value, -1);
}

static TernVal
filter_max (TernTplRun *run, TernVal value, const TernTplArgs *args)
{
  return extreme (run, value, 1);
}

static TernVal
filter_sum (TernTplRun *run, TernVal value, const TernTplArgs *args)
{
  const TernVal *attribute = tern_tpl_arg (args, 0, "attribute"), *start = tern_tpl_arg (args, 1, "start");
  TernVal items = tern_tpl_iterate (run, value), sum = start ? *start : tern_val_int (0);

  for (guint i = 0; i < items.list->n && tern_tpl_step (run); i++)
    sum = tern_tpl_binary (run, '+', sum, attribute && attribute->type != TERN_VAL_NONE
        ? by_path (run, items.list->items[i], *attribute) : items.list->items[i]);
  return sum;
}

static const struct {
  const char *name;
  Filter run;
} filters[] = {
  { "abs", filter_abs }, { "capitalize", filter_capitalize }, { "count", filter_length }, { "d", filter_default },
  { "default", filter_default }, { "dictsort", filter_dictsort }, { "e", filter_escape }, { "escape", filter_escape },
  { "first", filter_first }, { "float", filter_float }, { "format", filter_format },
  { "indent", filter_indent }, { "int", filter_int },
  { "items", filter_items }, { "join", filter_join }, { "last", filter_last }, { "length", filter_length },
  { "list", filter_list }, { "lower", filter_lower }, { "map", filter_map }, { "max", filter_max },
  { "min", filter_min }, { "reject", filter_reject }, { "rejectattr", filter_rejectattr },
  { "replace", filter_replace }, { "reverse", filter_reverse }, { "round", filter_round },
  { "safe", filter_string }, { "select", filter_select }, { "selectattr", filter_selectattr },
  { "sort", filter_sort }, { "string", filter_string }, { "sum", filter_sum },
  { "title", filter_title }, { "tojson", filter_tojson },
  { "trim", filter_trim }, { "unique", filter_unique }, { "upper", filter_upper },
};

static Filter
find (TernValStr name)
{
  for (guint i = 0; i < G_N_ELEMENTS (filters); i++)
    if (strlen (filters[i].name) == name.len && memcmp (filters[i].name, name.data, name.len) == 0)
      return filters[i].run;
  return NULL;
}

gboolean
tern_tpl_has_filter (TernValStr name)
{
  return find (name) != NULL;
}

TernVal
tern_tpl_filter (TernTplRun *run, TernValStr name, TernVal value, const TernTplArgs *args)
{
  tern_tpl_charge (run, value);
  return find (name) (run, value, args);
}
