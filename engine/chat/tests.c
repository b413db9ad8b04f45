/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Jinja's tests: x is string, x is divisibleby 3, ... */
#include <string.h>

#include "tern/error.h"
#include "engine/chat/template.h"

static const char *const names[] = {
  "defined", "undefined", "none", "boolean", "true", "false", "integer", "float", "number", "string", "mapping",
  "iterable", "sequence", "callable", "odd", "even", "divisibleby", "eq", "equalto", "ne", "lt", "lessthan", "le",
  "gt", "greaterthan", "ge", "in", "sameas", "lower", "upper", "filter", "test", NULL,
};

static const char *
find (TernValStr name)
{
  for (guint i = 0; names[i]; i++)
    if (strlen (names[i]) == name.len && memcmp (names[i], name.data, name.len) == 0)
      return names[i];
  return NULL;
}

gboolean
tern_tpl_has_test (TernValStr name)
{
  return find (name) != NULL;
}

static gboolean
is (const char *name, const char *a, const char *b)
{
  return g_str_equal (name, a) || g_str_equal (name, b);
}

/* Tests of the kind of a value alone; -1: another test. */
static int
kind_test (const char *name, TernVal v)
{
  if (is (name, "defined", "undefined"))
    return (v.type != TERN_VAL_UNDEFINED) == (name[0] == 'd');
  if (g_str_equal (name, "none"))
    return v.type == TERN_VAL_NONE;
  if (g_str_equal (name, "boolean"))
    return v.type == TERN_VAL_BOOL;
  if (is (name, "true", "false"))
    return v.type == TERN_VAL_BOOL && v.boolean == (name[0] == 't');
  if (g_str_equal (name, "integer"))
    return v.type == TERN_VAL_INT;
  if (g_str_equal (name, "float"))
    return v.type == TERN_VAL_FLOAT;
  if (g_str_equal (name, "number"))
    return v.type == TERN_VAL_INT || v.type == TERN_VAL_FLOAT || v.type == TERN_VAL_BOOL;
  if (g_str_equal (name, "string"))
    return v.type == TERN_VAL_STRING;
  if (g_str_equal (name, "mapping"))
    return v.type == TERN_VAL_DICT;
  if (g_str_equal (name, "sequence"))
    return v.type == TERN_VAL_LIST || v.type == TERN_VAL_STRING || v.type == TERN_VAL_DICT;
  if (g_str_equal (name, "iterable"))
    return v.type == TERN_VAL_LIST || v.type == TERN_VAL_STRING || v.type == TERN_VAL_DICT
        || v.type == TERN_VAL_UNDEFINED;
  if (g_str_equal (name, "callable"))
    return v.type == TERN_VAL_MACRO || v.type == TERN_VAL_METHOD || v.type == TERN_VAL_GLOBAL;
  return -1;
}

static gboolean
number_test (TernTplRun *run, const char *name, TernVal v, TernVal by)
{
  TernVal rest = tern_tpl_binary (run, '%', v, by);
  double x;

  return tern_val_number (rest, &x) && (g_str_equal (name, "odd") ? x == 1 : x == 0);
}

static gboolean
relation_test (TernTplRun *run, const char *name, TernVal v, TernVal other)
{
  if (is (name, "eq", "equalto"))
    return tern_tpl_equal (run, v, other);
  if (g_str_equal (name, "ne"))
    return !tern_tpl_equal (run, v, other);
  if (g_str_equal (name, "in"))
    return tern_tpl_contains (run, other, v);
  if (g_str_equal (name, "sameas"))
    return v.type == other.type && tern_tpl_equal (run, v, other);
  if (is (name, "lt", "lessthan"))
    return tern_tpl_compare (run, v, other) < 0;
  if (g_str_equal (name, "le"))
    return tern_tpl_compare (run, v, other) <= 0;
  if (is (name, "gt", "greaterthan"))
    return tern_tpl_compare (run, v, other) > 0;
  return tern_tpl_compare (run, v, other) >= 0;
}

gboolean
tern_tpl_test (TernTplRun *run, TernValStr given, TernVal v, const TernTplArgs *args)
{
  const char *name = find (given);
  const TernVal *other = tern_tpl_arg (args, 0, "other");
  int kind = kind_test (name, v);

  tern_tpl_charge (run, v);
  if (kind >= 0)
    return kind;
  if (is (name, "odd", "even"))
    return number_test (run, name, v, tern_val_int (2));
  if (is (name, "lower", "upper")) {
    TernVal text = tern_tpl_string (run, v);

    return tern_val_truth (tern_tpl_method (run, name[0] == 'l' ? "islower" : "isupper", text, args));
  }
  if (is (name, "filter", "test"))
    return v.type == TERN_VAL_STRING && (name[0] == 'f' ? tern_tpl_has_filter (v.str) : tern_tpl_has_test (v.str));
  if (!other) {
    tern_tpl_fail (run, TERN_ERROR_INVALID, "is %s: expected an argument, found none", name);
    return FALSE;
  }
  return g_str_equal (name, "divisibleby") ? number_test (run, name, v, *other) : relation_test (run, name, v, *other);
}
