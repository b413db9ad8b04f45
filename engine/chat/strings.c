/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Methods of values (Python's), and the global functions of chat templates. */
#include <string.h>

#include "tern/error.h"
#include "engine/chat/template.h"
#include "engine/base/unicode.h"

static const TernVal nothing = { TERN_VAL_UNDEFINED, .str = { "", 0 } };

static gboolean
is_space_char (gunichar c)
{
  return g_unichar_isspace (c) || c == 0x0b || (c >= 0x1c && c <= 0x1f) || c == 0x85;
}

static TernValStr
char_of (TernValStr str, gsize at)
{
  gsize n = tern_utf8_length ((const guint8 *) str.data + at, str.len - at);

  return (TernValStr) { str.data + at, MAX (n, 1) };
}

static gboolean
strips (TernValStr c, const TernVal *chars)
{
  if (!chars || chars->type != TERN_VAL_STRING)
    return (c.len > 1 || (guchar) c.data[0] < 0x80) && is_space_char (g_utf8_get_char (c.data));
  for (gsize i = 0; i < chars->str.len;) {
    TernValStr other = char_of (chars->str, i);

    if (other.len == c.len && memcmp (other.data, c.data, c.len) == 0)
      return TRUE;
    i += other.len;
  }
  return FALSE;
}

TernVal
tern_tpl_strip (TernTplRun *run, TernValStr str, const TernVal *chars, gboolean left, gboolean right)
{
  gsize start = 0, end = 0;

  while (left && start < str.len && strips (char_of (str, start), chars))
    start += char_of (str, start).len;
  if (!right)
    return tern_val_str (str.data + start, str.len - start);
  for (gsize at = start; at < str.len; at += char_of (str, at).len)
    if (!strips (char_of (str, at), chars))
      end = at + char_of (str, at).len;
  end = MAX (end, start);
  return tern_val_str (str.data + start, end - start);
}

TernVal
tern_tpl_replace (TernTplRun *run, TernValStr str, TernValStr old, TernValStr by, gint64 count)
{
  GString *out = g_string_new (NULL);
  gsize at = 0;

  while (count != 0 && !run->error) {
    const char *found = old.len ? memmem (str.data + at, str.len - at, old.data, old.len) : str.data + at;
    gsize upto = found ? found - str.data : str.len;

    if (!found || at > str.len)
      break;
    tern_tpl_put (run, out, str.data + at, upto - at);
    tern_tpl_put (run, out, by.data, by.len);
    count--;
    at = upto + old.len;
    if (!old.len) {             /* an empty text is found between all characters */
      if (at >= str.len)
        break;
      tern_tpl_put (run, out, str.data + at, char_of (str, at).len);
      at += char_of (str, at).len;
    }
  }
  tern_tpl_put (run, out, str.data + at, str.len - at);
  return tern_tpl_take (run, out);
}

TernVal
tern_tpl_case (TernTplRun *run, TernValStr str, const char *how)
{
  GString *out = g_string_new (NULL);
  gboolean start = TRUE;        /* of a word, or of the text */

  for (gsize at = 0; at < str.len && !run->error;) {
    TernValStr c = char_of (str, at);
    gboolean valid = c.len > 1 || (guchar) c.data[0] < 0x80;
    gunichar wide = valid ? g_utf8_get_char (c.data) : 0;
    gboolean upper = how[0] == 'u' || (how[0] != 'l' && start);
    char text[6];

    if (valid)
      tern_tpl_put (run, out, text, g_unichar_to_utf8 (upper ? g_unichar_toupper (wide) : g_unichar_tolower (wide),
              text));
    else
      tern_tpl_put (run, out, c.data, c.len);
    start = how[0] == 't' && !g_unichar_isalpha (wide);
    at += c.len;
  }
  return tern_tpl_take (run, out);
}

TernVal
tern_tpl_join (TernTplRun *run, TernVal list, TernValStr separator)
{
  GString *out = g_string_new (NULL);

  for (guint i = 0; i < list.list->n && tern_tpl_step (run); i++) {
    if (i)
      tern_tpl_put (run, out, separator.data, separator.len);
    tern_tpl_print (run, out, list.list->items[i], FALSE, 0);
  }
  return tern_tpl_take (run, out);
}

/* ---- Arguments --------------------------------------------------------------------------------------------------- */

const TernVal *
tern_tpl_arg (const TernTplArgs *args, guint i, const char *name)
{
  return i < args->n ? &args->args[i] : args->named && name
      ? tern_val_dict_find (args->named, name, strlen (name)) : NULL;
}

static gboolean
string_arg (TernTplRun *run, const TernTplArgs *args, guint i, const char *method, TernValStr *out)
{
  const TernVal *value = tern_tpl_arg (args, i, NULL);

  if (value && value->type == TERN_VAL_STRING) {
    *out = value->str;
    return TRUE;
  }
  tern_tpl_fail (run, TERN_ERROR_INVALID, "%s: expected a string as argument %u, found %s", method, i + 1,
      value ? tern_val_type_name (*value) : "none");
  return FALSE;
}

static gint64
int_arg (const TernTplArgs *args, guint i, const char *name, gint64 fallback)
{
  const TernVal *value = tern_tpl_arg (args, i, name);

  return value && value->type == TERN_VAL_INT ? value->integer : fallback;
}

/* ---- Methods of strings ------------------------------------------------------------------------------------------ */

static TernVal
split_spaces (TernTplRun *run, TernValStr str, gint64 most)
{
  TernVal out = tern_val_list (&run->arena, 0);
  gsize at = 0;

  while (tern_tpl_step (run)) {
    gsize start;

    while (at < str.len && strips (char_of (str, at), NULL))
      at += char_of (str, at).len;
    if (at >= str.len)
      break;
    start = at;
    if (most-- == 0) {
      TernVal rest = tern_tpl_strip (run, (TernValStr) { str.data + at, str.len - at }, NULL, FALSE, TRUE);

      tern_val_list_add (&run->arena, out, rest);
      break;
    }
    while (at < str.len && !strips (char_of (str, at), NULL))
      at += char_of (str, at).len;
    tern_val_list_add (&run->arena, out, tern_val_str (str.data + start, at - start));
  }
  return out;
}

static TernVal
split (TernTplRun *run, TernValStr str, const TernTplArgs *args)
{
  const TernVal *by = tern_tpl_arg (args, 0, "sep");
  gint64 most = int_arg (args, 1, "maxsplit", -1);
  TernVal out;
  gsize at = 0;

  if (!by || by->type == TERN_VAL_NONE)
    return split_spaces (run, str, most);
  out = tern_val_list (&run->arena, 0);
  if (by->type != TERN_VAL_STRING || by->str.len == 0) {
    tern_tpl_fail (run, TERN_ERROR_INVALID, "split: expected a string that is not empty, found %s",
        tern_val_type_name (*by));
    return out;
  }
  while (tern_tpl_step (run)) {
    const char *found = most-- == 0 ? NULL : memmem (str.data + at, str.len - at, by->str.data, by->str.len);
    gsize end = found ? found - str.data : str.len;

    tern_val_list_add (&run->arena, out, tern_val_str (str.data + at, end - at));
    if (!found)
      break;
    at = end + by->str.len;
  }
  return out;
}

/* From the right: found there, then put in order. */
static TernVal
rsplit (TernTplRun *run, TernValStr str, const TernTplArgs *args)
{
  const TernVal *by = tern_tpl_arg (args, 0, "sep");
  gint64 most = int_arg (args, 1, "maxsplit", -1);
  TernVal all = split (run, str, &(TernTplArgs) { args->args, MIN (args->n, 1), NULL }), out;
  guint extra;

  if (most < 0 || all.list->n <= most + 1)
    return all;
  if (!by || by->type != TERN_VAL_STRING) {
    tern_tpl_fail (run, TERN_ERROR_UNSUPPORTED, "rsplit: expected a separator when a number of splits is given");
    return all;
  }
  extra = all.list->n - (most + 1);
  out = tern_val_list (&run->arena, most + 1);
  {
    TernValStr last = all.list->items[extra].str;

    tern_val_list_add (&run->arena, out, tern_val_str (str.data, last.data + last.len - str.data));
  }
  for (guint i = extra + 1; i < all.list->n; i++)
    tern_val_list_add (&run->arena, out, all.list->items[i]);
  return out;
}

static TernVal
splitlines (TernTplRun *run, TernValStr str)
{
  TernVal out = tern_val_list (&run->arena, 0);

  for (gsize at = 0; at < str.len && tern_tpl_step (run);) {
    gsize end = at;

    while (end < str.len && str.data[end] != '\n' && str.data[end] != '\r')
      end++;
    tern_val_list_add (&run->arena, out, tern_val_str (str.data + at, end - at));
    at = end + (end + 1 < str.len && str.data[end] == '\r' && str.data[end + 1] == '\n' ? 2 : 1);
  }
  return out;
}

static gboolean
has_end (TernValStr str, TernValStr end, gboolean at_start)
{
  return end.len <= str.len && memcmp (at_start ? str.data : str.data + str.len - end.len, end.data, end.len) == 0;
}

/* startswith, endswith: a string or several. */
static gboolean
ends_with (TernTplRun *run, TernValStr str, const TernTplArgs *args, gboolean at_start)
{
  const TernVal *ends = tern_tpl_arg (args, 0, NULL);
  TernValStr one;

  if (ends && ends->type == TERN_VAL_LIST) {
    for (guint i = 0; i < ends->list->n; i++)
      if (ends->list->items[i].type == TERN_VAL_STRING && has_end (str, ends->list->items[i].str, at_start))
        return TRUE;
    return FALSE;
  }
  return string_arg (run, args, 0, at_start ? "startswith" : "endswith", &one) && has_end (str, one, at_start);
}

static TernVal
find (TernTplRun *run, TernValStr str, const TernTplArgs *args, const char *method)
{
  TernValStr what;
  const char *found = NULL;

  if (!string_arg (run, args, 0, method, &what))
    return nothing;
  if (method[0] == 'r') {
    for (gsize at = str.len + 1; at-- > 0 && !found;)
      if (at + what.len <= str.len && memcmp (str.data + at, what.data, what.len) == 0)
        found = str.data + at;
  } else {
    found = what.len ? memmem (str.data, str.len, what.data, what.len) : str.data;
  }
  if (!found && strstr (method, "index"))
    tern_tpl_fail (run, TERN_ERROR_INVALID, "%s: the text is not in the string", method);
  return tern_val_int (found ? (gint64) tern_val_chars ((TernValStr) { str.data, found - str.data }) : -1);
}

static gint64
count_of (TernTplRun *run, TernValStr str, const TernTplArgs *args)
{
  TernValStr what;
  gint64 n = 0;
  const char *at = str.data;

  if (!string_arg (run, args, 0, "count", &what))
    return 0;
  if (what.len == 0)
    return tern_val_chars (str) + 1;
  while ((at = memmem (at, str.data + str.len - at, what.data, what.len)) && tern_tpl_step (run)) {
    n++;
    at += what.len;
  }
  return n;
}

static gboolean
all_chars (TernValStr str, const char *method)
{
  for (gsize at = 0; at < str.len;) {
    TernValStr c = char_of (str, at);
    gunichar wide = c.len > 1 || (guchar) c.data[0] < 0x80 ? g_utf8_get_char (c.data) : 0;

    if (g_str_equal (method, "isdigit") ? !g_unichar_isdigit (wide)
        : g_str_equal (method, "isalpha") ? !g_unichar_isalpha (wide)
        : g_str_equal (method, "isalnum") ? !g_unichar_isalnum (wide) : !is_space_char (wide))
      return FALSE;
    at += c.len;
  }
  return str.len > 0;
}

/* isupper, islower: some cased character, and none of the other case. */
static gboolean
is_case (TernValStr str, gboolean upper)
{
  gboolean some = FALSE;

  for (gsize at = 0; at < str.len;) {
    TernValStr c = char_of (str, at);
    gunichar wide = c.len > 1 || (guchar) c.data[0] < 0x80 ? g_utf8_get_char (c.data) : 0;

    if (upper ? g_unichar_islower (wide) : g_unichar_isupper (wide))
      return FALSE;
    some |= upper ? g_unichar_isupper (wide) : g_unichar_islower (wide);
    at += c.len;
  }
  return some;
}

static TernVal
remove_end (TernTplRun *run, TernValStr str, const TernTplArgs *args, gboolean at_start)
{
  TernValStr end;

  if (!string_arg (run, args, 0, at_start ? "removeprefix" : "removesuffix", &end) || !has_end (str, end, at_start))
    return tern_val_str (str.data, str.len);
  return tern_val_str (at_start ? str.data + end.len : str.data, str.len - end.len);
}

static const char *const string_methods[] = {
  "split", "rsplit", "splitlines", "strip", "lstrip", "rstrip", "startswith", "endswith", "upper", "lower", "title",
  "capitalize", "replace", "find", "rfind", "index", "rindex", "count", "join", "isdigit", "isalpha", "isalnum",
  "isspace", "isupper", "islower", "removeprefix", "removesuffix", "format", NULL,
};
static const char *const dict_methods[] = { "get", "items", "keys", "values", NULL };
static const char *const list_methods[] = { "index", "count", NULL };

static TernVal
string_method (TernTplRun *run, const char *name, TernValStr str, const TernTplArgs *args)
{
  const TernVal *chars = tern_tpl_arg (args, 0, "chars");
  TernValStr old, by;

  if (g_str_equal (name, "format"))
    return tern_tpl_format (run, str, args);
  if (g_str_equal (name, "split"))
    return split (run, str, args);
  if (g_str_equal (name, "rsplit"))
    return rsplit (run, str, args);
  if (g_str_equal (name, "splitlines"))
    return splitlines (run, str);
  if (g_str_has_suffix (name, "strip"))
    return tern_tpl_strip (run, str, chars, name[0] != 'r', name[0] != 'l');
  if (g_str_equal (name, "startswith") || g_str_equal (name, "endswith"))
    return tern_val_bool (ends_with (run, str, args, name[0] == 's'));
  if (g_str_equal (name, "upper") || g_str_equal (name, "lower") || g_str_equal (name, "title")
      || g_str_equal (name, "capitalize"))
    return tern_tpl_case (run, str, name);
  if (g_str_equal (name, "replace"))
    return string_arg (run, args, 0, name, &old) && string_arg (run, args, 1, name, &by)
        ? tern_tpl_replace (run, str, old, by, int_arg (args, 2, "count", -1)) : nothing;
  if (strstr (name, "find") || strstr (name, "index"))
    return find (run, str, args, name);
  if (g_str_equal (name, "count"))
    return tern_val_int (count_of (run, str, args));
  if (g_str_equal (name, "join")) {
    const TernVal *list = tern_tpl_arg (args, 0, NULL);

    return tern_tpl_join (run, tern_tpl_iterate (run, list ? *list : nothing), str);
  }
  if (g_str_equal (name, "isupper") || g_str_equal (name, "islower"))
    return tern_val_bool (is_case (str, name[2] == 'u'));
  if (g_str_has_prefix (name, "is"))
    return tern_val_bool (all_chars (str, name));
  return remove_end (run, str, args, g_str_equal (name, "removeprefix"));
}

static TernVal
dict_method (TernTplRun *run, const char *name, TernVal self, const TernTplArgs *args)
{
  TernVal out;

  if (g_str_equal (name, "get")) {
    const TernVal *key = tern_tpl_arg (args, 0, NULL), *fallback = tern_tpl_arg (args, 1, NULL);
    const TernVal *found = key ? tern_val_dict_get (self.dict, *key) : NULL;

    return found ? *found : fallback ? *fallback : (TernVal) { .type = TERN_VAL_NONE };
  }
  if (g_str_equal (name, "keys"))
    return tern_tpl_iterate (run, self);
  out = tern_val_list (&run->arena, self.dict->n);
  for (guint i = 0; i < self.dict->n && tern_tpl_step (run); i++) {
    TernVal entry = self.dict->values[i];

    if (g_str_equal (name, "items")) {
      entry = tern_val_list (&run->arena, 2);
      entry.tuple = TRUE;
      tern_val_list_add (&run->arena, entry, self.dict->keys[i]);
      tern_val_list_add (&run->arena, entry, self.dict->values[i]);
    }
    tern_val_list_add (&run->arena, out, entry);
  }
  return out;
}

static TernVal
list_method (TernTplRun *run, const char *name, TernVal self, const TernTplArgs *args)
{
  const TernVal *what = tern_tpl_arg (args, 0, NULL);
  gint64 n = 0;

  for (guint i = 0; what && i < self.list->n && tern_tpl_step (run); i++) {
    if (!tern_tpl_equal (run, self.list->items[i], *what))
      continue;
    if (name[0] == 'i')
      return tern_val_int (i);
    n++;
  }
  if (name[0] == 'i')
    tern_tpl_fail (run, TERN_ERROR_INVALID, "index: the value is not in the list");
  return tern_val_int (n);
}

const char *
tern_tpl_method_name (TernVal value, TernValStr name)
{
  const char *const *methods = value.type == TERN_VAL_STRING ? string_methods : value.type == TERN_VAL_DICT
      ? dict_methods : value.type == TERN_VAL_LIST ? list_methods : NULL;

  for (; methods && *methods; methods++)
    if (strlen (*methods) == name.len && memcmp (*methods, name.data, name.len) == 0)
      return *methods;
  return NULL;
}

TernVal
tern_tpl_method (TernTplRun *run, const char *name, TernVal self, const TernTplArgs *args)
{
  switch (self.type) {
    case TERN_VAL_STRING:
      return string_method (run, name, self.str, args);
    case TERN_VAL_DICT:
      return dict_method (run, name, self, args);
    default:
      return list_method (run, name, self, args);
  }
}

/* ---- Global functions -------------------------------------------------------------------------------------------- */

static TernVal
range (TernTplRun *run, const TernTplArgs *args)
{
  gint64 start = 0, stop, step = int_arg (args, 2, NULL, 1);
  TernVal out = tern_val_list (&run->arena, 0);

  for (guint i = 0; i < args->n; i++)
    if (args->args[i].type != TERN_VAL_INT) {
      tern_tpl_fail (run, TERN_ERROR_INVALID, "range: expected integers, found %s",
          tern_val_type_name (args->args[i]));
      return out;
    }
  stop = int_arg (args, args->n > 1 ? 1 : 0, NULL, 0);
  if (args->n > 1)
    start = args->args[0].integer;
  if (args->n < 1 || args->n > 3 || step == 0
      || (guint64) ABS ((double) (stop - (double) start) / step) > TERN_TPL_RANGE) {
    tern_tpl_fail (run, TERN_ERROR_INVALID, "range: expected one to three integers and at most %u values",
        TERN_TPL_RANGE);
    return out;
  }
  for (gint64 i = start; (step > 0 ? i < stop : i > stop) && tern_tpl_step (run); i += step)
    tern_val_list_add (&run->arena, out, tern_val_int (i));
  return out;
}

/* dict(a=1), namespace(a=1): a copy of the arguments. */
static TernVal
make_dict (TernTplRun *run, const TernTplArgs *args, TernValType type)
{
  TernVal out = tern_val_dict (&run->arena);
  const TernVal *from = tern_tpl_arg (args, 0, NULL);

  if (from && from->type == TERN_VAL_DICT)
    for (guint i = 0; i < from->dict->n && tern_tpl_step (run); i++)
      tern_val_dict_set (&run->arena, out.dict, from->dict->keys[i], from->dict->values[i]);
  for (guint i = 0; args->named && i < args->named->n; i++)
    tern_val_dict_set (&run->arena, out.dict, args->named->keys[i], args->named->values[i]);
  out.type = type;
  return out;
}

static TernVal
strftime_now (TernTplRun *run, const TernTplArgs *args)
{
  g_autoptr (GDateTime) now = g_date_time_new_now_local ();
  g_autofree char *format = NULL, *text = NULL;
  TernValStr given;

  if (!string_arg (run, args, 0, "strftime_now", &given))
    return nothing;
  format = g_strndup (given.data, MIN (given.len, 256));
  text = g_utf8_validate (format, -1, NULL) ? g_date_time_format (now, format) : NULL;
  if (!text) {
    tern_tpl_fail (run, TERN_ERROR_INVALID, "strftime_now: expected a date format, found %s", format);
    return nothing;
  }
  return tern_tpl_take (run, g_string_new (text));
}

static const char *const globals[] = { "range", "dict", "namespace", "raise_exception", "strftime_now", NULL };

const char *
tern_tpl_global_name (TernValStr name)
{
  for (guint i = 0; globals[i]; i++)
    if (strlen (globals[i]) == name.len && memcmp (globals[i], name.data, name.len) == 0)
      return globals[i];
  return NULL;
}

TernVal
tern_tpl_global (TernTplRun *run, const char *name, const TernTplArgs *args)
{
  if (g_str_equal (name, "range"))
    return range (run, args);
  if (g_str_equal (name, "dict"))
    return make_dict (run, args, TERN_VAL_DICT);
  if (g_str_equal (name, "namespace"))
    return make_dict (run, args, TERN_VAL_NAMESPACE);
  if (g_str_equal (name, "strftime_now"))
    return strftime_now (run, args);
  {
    TernVal message = args->n > 0 ? tern_tpl_string (run, args->args[0]) : tern_val_str ("an error", 8);

    tern_tpl_fail (run, TERN_ERROR_INVALID, "the template says: %.*s", (int) MIN (message.str.len, 400),
        message.str.data);
  }
  return nothing;
}
