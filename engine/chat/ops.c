/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Attributes, items, slices and operators of values, as Python and Jinja have them. */
#include <math.h>
#include <string.h>

#include "tern/error.h"
#include "engine/chat/template.h"

static const TernVal nothing = { TERN_VAL_UNDEFINED, .str = { "", 0 } };

/* ---- Attributes and items ---------------------------------------------------------------------------------------- */

gboolean
tern_tpl_refuse_undefined (TernTplRun *run, TernVal value)
{
  if (value.type != TERN_VAL_UNDEFINED)
    return FALSE;
  tern_tpl_fail (run, TERN_ERROR_INVALID, "%.*s is undefined", (int) MIN (value.str.len, 80), value.str.data);
  return TRUE;
}

static TernVal
bound_method (TernTplRun *run, TernVal value, TernValStr name)
{
  const char *method = tern_tpl_method_name (value, name);
  TernVal *self;

  if (!method)
    return tern_val_undefined (name.data, name.len);
  self = tern_tpl_alloc (&run->arena, sizeof *self);
  *self = value;
  return (TernVal) { .type = TERN_VAL_METHOD, .method = { method, self } };
}

/* value.name: attributes (here: methods) before items, as in Jinja. */
TernVal
tern_tpl_attribute (TernTplRun *run, TernVal value, TernValStr name)
{
  TernVal found;
  const TernVal *item;

  if (tern_tpl_refuse_undefined (run, value))
    return nothing;
  found = bound_method (run, value, name);
  if (found.type == TERN_VAL_METHOD)
    return found;
  if (value.type == TERN_VAL_DICT || value.type == TERN_VAL_NAMESPACE) {
    item = tern_val_dict_find (value.dict, name.data, name.len);
    if (item)
      return *item;
  }
  return found;
}

static TernVal
char_at (TernVal string, gint64 i)
{
  gsize n = tern_val_chars (string.str), start, end;

  if (i < 0)
    i += n;
  if (i < 0 || (gsize) i >= n)
    return nothing;
  start = tern_val_char_offset (string.str, i);
  end = tern_val_char_offset (string.str, i + 1);
  return tern_val_str (string.str.data + start, end - start);
}

TernVal
tern_tpl_item (TernTplRun *run, TernVal value, TernVal key)
{
  if (tern_tpl_refuse_undefined (run, value))
    return nothing;
  if (value.type == TERN_VAL_DICT || value.type == TERN_VAL_NAMESPACE) {
    const TernVal *item = tern_val_dict_get (value.dict, key);

    if (item)
      return *item;
  }
  if (key.type == TERN_VAL_INT || key.type == TERN_VAL_BOOL) {
    gint64 i = key.type == TERN_VAL_INT ? key.integer : key.boolean;

    if (value.type == TERN_VAL_LIST) {
      if (i < 0)
        i += value.list->n;
      return i >= 0 && i < value.list->n ? value.list->items[i] : nothing;
    }
    if (value.type == TERN_VAL_STRING)
      return char_at (value, i);
  }
  return key.type == TERN_VAL_STRING ? bound_method (run, value, key.str) : nothing;
}

static gboolean
slice_bound (TernTplRun *run, TernVal value, gint64 fallback, gint64 length, gint64 low, gint64 high, gint64 *out)
{
  *out = fallback;
  if (value.type == TERN_VAL_NONE)
    return TRUE;
  if (value.type != TERN_VAL_INT) {
    tern_tpl_fail (run, TERN_ERROR_INVALID, "expected an integer in a slice, found %s", tern_val_type_name (value));
    return FALSE;
  }
  *out = CLAMP (value.integer < 0 ? value.integer + length : value.integer, low, high);
  return TRUE;
}

TernVal
tern_tpl_slice (TernTplRun *run, TernVal value, const TernVal bounds[3])
{
  gint64 length, low, high, start, stop, step = bounds[2].type == TERN_VAL_INT ? bounds[2].integer
      : bounds[2].type == TERN_VAL_NONE ? 1 : 0;
  TernVal items = value, out;

  if (tern_tpl_refuse_undefined (run, value))
    return nothing;
  if (value.type != TERN_VAL_LIST && value.type != TERN_VAL_STRING) {
    tern_tpl_fail (run, TERN_ERROR_INVALID, "expected a list or string to slice, found %s",
        tern_val_type_name (value));
    return nothing;
  }
  if (step == 0 || step < -G_MAXINT32 || step > G_MAXINT32) {
    tern_tpl_fail (run, TERN_ERROR_INVALID, "expected a slice step other than 0, found %s",
        tern_val_type_name (bounds[2]));
    return nothing;
  }
  if (value.type == TERN_VAL_STRING && step != 1)
    items = tern_tpl_iterate (run, value);
  length = items.type == TERN_VAL_STRING ? tern_val_chars (items.str) : items.list->n;
  low = step > 0 ? 0 : -1;
  high = step > 0 ? length : length - 1;
  if (!slice_bound (run, bounds[0], step > 0 ? low : high, length, low, high, &start)
      || !slice_bound (run, bounds[1], step > 0 ? high : low, length, low, high, &stop))
    return nothing;
  if (items.type == TERN_VAL_STRING) {
    gsize from = tern_val_char_offset (value.str, start), to = tern_val_char_offset (value.str, MAX (start, stop));

    return tern_val_str (value.str.data + from, to - from);
  }
  out = tern_val_list (&run->arena, 0);
  for (gint64 i = start; (step > 0 ? i < stop : i > stop) && tern_tpl_step (run); i += step)
    tern_val_list_add (&run->arena, out, items.list->items[i]);
  out.tuple = value.tuple;
  return value.type == TERN_VAL_STRING ? tern_tpl_join (run, out, (TernValStr) { "", 0 }) : out;
}

TernVal
tern_tpl_iterate (TernTplRun *run, TernVal value)
{
  TernVal list;

  switch (value.type) {
    case TERN_VAL_LIST:
      return value;
    case TERN_VAL_DICT:
      list = tern_val_list (&run->arena, value.dict->n);
      for (guint i = 0; i < value.dict->n; i++)
        tern_val_list_add (&run->arena, list, value.dict->keys[i]);
      return list;
    case TERN_VAL_STRING:
      list = tern_val_list (&run->arena, 0);
      for (gsize at = 0, n; at < value.str.len && tern_tpl_step (run); at += n) {
        n = tern_val_char_offset ((TernValStr) { value.str.data + at, value.str.len - at }, 1);
        tern_val_list_add (&run->arena, list, tern_val_str (value.str.data + at, n));
      }
      return list;
    case TERN_VAL_UNDEFINED:    /* Jinja iterates over it as over nothing */
      return tern_val_list (&run->arena, 0);
    default:
      tern_tpl_fail (run, TERN_ERROR_INVALID, "expected something to iterate over, found %s",
          tern_val_type_name (value));
      return tern_val_list (&run->arena, 0);
  }
}

/* ---- Operators --------------------------------------------------------------------------------------------------- */

static TernVal
repeat (TernTplRun *run, TernValStr str, gint64 times)
{
  GString *out = g_string_new (NULL);

  for (gint64 i = 0; i < times && str.len && tern_tpl_put (run, out, str.data, str.len); i++)
    ;
  return tern_tpl_take (run, out);
}

static TernVal
int_arithmetic (TernTplRun *run, int op, gint64 a, gint64 b)
{
  gint64 r = 0;
  gboolean overflow = FALSE;

  if ((op == TERN_OP_FLOORDIV || op == '%') && b == 0) {
    tern_tpl_fail (run, TERN_ERROR_INVALID, "division by zero");
    return nothing;
  }
  switch (op) {
    case '+':
      overflow = __builtin_add_overflow (a, b, &r);
      break;
    case '-':
      overflow = __builtin_sub_overflow (a, b, &r);
      break;
    case '*':
      overflow = __builtin_mul_overflow (a, b, &r);
      break;
    case TERN_OP_FLOORDIV:      /* Python rounds down, C towards zero */
      overflow = a == G_MININT64 && b == -1;
      r = overflow ? 0 : a / b - ((a % b != 0) && ((a < 0) != (b < 0)));
      break;
    case '%':
      r = b == -1 ? 0 : a % b;
      r += r != 0 && (r < 0) != (b < 0) ? b : 0;
      break;
    default:                    /* ** with b >= 0 */
      for (r = 1; b > 0 && !overflow && tern_tpl_step (run); b--)
        overflow = __builtin_mul_overflow (r, a, &r);
      break;
  }
  if (overflow)
    tern_tpl_fail (run, TERN_ERROR_UNSUPPORTED, "integer result outside of 64 bits");
  return tern_val_int (r);
}

static TernVal
float_arithmetic (TernTplRun *run, int op, double a, double b)
{
  if ((op == '/' || op == '%' || op == TERN_OP_FLOORDIV) && b == 0) {
    tern_tpl_fail (run, TERN_ERROR_INVALID, "division by zero");
    return nothing;
  }
  switch (op) {
    case '+':
      return tern_val_float (a + b);
    case '-':
      return tern_val_float (a - b);
    case '*':
      return tern_val_float (a * b);
    case '/':
      return tern_val_float (a / b);
    case TERN_OP_FLOORDIV:
      return tern_val_float (floor (a / b));
    case '%':
      return tern_val_float (a - b * floor (a / b));
    default:
      return tern_val_float (pow (a, b));
  }
}

TernVal
tern_tpl_concatenate (TernTplRun *run, TernVal a, TernVal b)
{
  TernVal out;
  GString *text;

  if (a.type == TERN_VAL_STRING) {
    text = g_string_sized_new (a.str.len + b.str.len + 1);
    if (tern_tpl_put (run, text, a.str.data, a.str.len))
      tern_tpl_put (run, text, b.str.data, b.str.len);
    return tern_tpl_take (run, text);
  }
  out = tern_val_list (&run->arena, a.list->n + b.list->n);
  for (guint i = 0; i < a.list->n; i++)
    tern_val_list_add (&run->arena, out, a.list->items[i]);
  for (guint i = 0; i < b.list->n; i++)
    tern_val_list_add (&run->arena, out, b.list->items[i]);
  out.tuple = a.tuple;
  return out;
}

/* A tuple is several values, a mapping has names, anything else is one value. */
static TernVal
percent (TernTplRun *run, TernValStr format, TernVal values)
{
  TernTplArgs args = { &values, 1, NULL };

  if (values.type == TERN_VAL_LIST && values.tuple)
    args = (TernTplArgs) { values.list->items, values.list->n, NULL };
  else if (values.type == TERN_VAL_DICT)
    args.named = values.dict;
  return tern_tpl_percent (run, format, &args);
}

TernVal
tern_tpl_binary (TernTplRun *run, int op, TernVal a, TernVal b)
{
  double x, y;
  const char shown[3] = { op == TERN_OP_POW ? '*' : op == TERN_OP_FLOORDIV ? '/' : op,
    op == TERN_OP_POW ? '*' : op == TERN_OP_FLOORDIV ? '/' : 0, 0 };

  if (tern_tpl_refuse_undefined (run, a) || tern_tpl_refuse_undefined (run, b))
    return nothing;
  if (tern_val_number (a, &x) && tern_val_number (b, &y)) {
    if (a.type != TERN_VAL_FLOAT && b.type != TERN_VAL_FLOAT && op != '/' && !(op == TERN_OP_POW && y < 0))
      return int_arithmetic (run, op, a.type == TERN_VAL_INT ? a.integer : a.boolean,
          b.type == TERN_VAL_INT ? b.integer : b.boolean);
    return float_arithmetic (run, op, x, y);
  }
  if (op == '+' && a.type == b.type && (a.type == TERN_VAL_STRING || a.type == TERN_VAL_LIST))
    return tern_tpl_concatenate (run, a, b);
  if (op == '*' && a.type == TERN_VAL_STRING && b.type == TERN_VAL_INT)
    return repeat (run, a.str, b.integer);
  if (op == '*' && b.type == TERN_VAL_STRING && a.type == TERN_VAL_INT)
    return repeat (run, b.str, a.integer);
  if (op == '%' && a.type == TERN_VAL_STRING)
    return percent (run, a.str, b);
  tern_tpl_fail (run, TERN_ERROR_INVALID, "no %s of %s and %s", shown, tern_val_type_name (a), tern_val_type_name (b));
  return nothing;
}

gboolean
tern_tpl_equal (TernTplRun *run, TernVal a, TernVal b)
{
  gboolean equal = tern_val_equal (a, b, &run->steps);

  return tern_tpl_step (run) && equal;
}

static int
compare_strings (TernValStr a, TernValStr b)
{
  int order = memcmp (a.data, b.data, MIN (a.len, b.len));      /* UTF-8 sorts as its code points do */

  return order ? order : a.len < b.len ? -1 : a.len > b.len;
}

int
tern_tpl_compare (TernTplRun *run, TernVal a, TernVal b)
{
  double x, y;

  if (!tern_tpl_step (run) || tern_tpl_refuse_undefined (run, a) || tern_tpl_refuse_undefined (run, b))
    return 0;
  if (tern_val_number (a, &x) && tern_val_number (b, &y))
    return x < y ? -1 : x > y;
  if (a.type == TERN_VAL_STRING && b.type == TERN_VAL_STRING) {
    tern_tpl_charge (run, a.str.len < b.str.len ? a : b);
    return compare_strings (a.str, b.str);
  }
  if (a.type == TERN_VAL_LIST && b.type == TERN_VAL_LIST && run->depth < TERN_TPL_DEPTH) {
    int order = 0;

    run->depth++;
    for (guint i = 0; !order && i < MIN (a.list->n, b.list->n); i++)
      order = tern_tpl_compare (run, a.list->items[i], b.list->items[i]);
    run->depth--;
    return order ? order : a.list->n < b.list->n ? -1 : a.list->n > b.list->n;
  }
  tern_tpl_fail (run, TERN_ERROR_INVALID, "%s and %s have no order", tern_val_type_name (a), tern_val_type_name (b));
  return 0;
}

gboolean
tern_tpl_contains (TernTplRun *run, TernVal container, TernVal item)
{
  tern_tpl_charge (run, container);
  if (container.type == TERN_VAL_STRING && item.type == TERN_VAL_STRING)
    return item.str.len == 0 || memmem (container.str.data, container.str.len, item.str.data, item.str.len) != NULL;
  if (container.type == TERN_VAL_DICT)
    return tern_val_dict_get (container.dict, item) != NULL;
  if (container.type == TERN_VAL_LIST) {
    for (guint i = 0; i < container.list->n && tern_tpl_step (run); i++)
      if (tern_tpl_equal (run, container.list->items[i], item))
        return TRUE;
    return FALSE;
  }
  if (container.type != TERN_VAL_UNDEFINED)     /* Jinja iterates over it as over nothing */
    tern_tpl_fail (run, TERN_ERROR_INVALID, "no %s is in a %s", tern_val_type_name (item),
        tern_val_type_name (container));
  return FALSE;
}

gboolean
tern_tpl_related (TernTplRun *run, int op, TernVal a, TernVal b)
{
  switch (op) {
    case TERN_OP_EQ:
      return tern_tpl_equal (run, a, b);
    case TERN_OP_NE:
      return !tern_tpl_equal (run, a, b);
    case TERN_OP_IN:
      return tern_tpl_contains (run, b, a);
    case TERN_OP_NOT_IN:
      return !tern_tpl_contains (run, b, a);
    case '<':
      return tern_tpl_compare (run, a, b) < 0;
    case '>':
      return tern_tpl_compare (run, a, b) > 0;
    case TERN_OP_LE:
      return tern_tpl_compare (run, a, b) <= 0;
    default:
      return tern_tpl_compare (run, a, b) >= 0;
  }
}

TernVal
tern_tpl_unary (TernTplRun *run, int op, TernVal value)
{
  if (value.type == TERN_VAL_FLOAT)
    return tern_val_float (op == '-' ? -value.real : value.real);
  if (value.type == TERN_VAL_INT || value.type == TERN_VAL_BOOL)
    return int_arithmetic (run, op, 0, value.type == TERN_VAL_INT ? value.integer : value.boolean);
  if (!tern_tpl_refuse_undefined (run, value))
    tern_tpl_fail (run, TERN_ERROR_INVALID, "no %c of a %s", op, tern_val_type_name (value));
  return nothing;
}
