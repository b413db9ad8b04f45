/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Values of the template interpreter: memory, containers, truth, equality. */
#include <string.h>

#include "engine/chat/template.h"
#include "engine/base/unicode.h"

#define BLOCK 16384

void *
tern_tpl_alloc (TernTplArena *arena, gsize bytes)
{
  void *p;

  bytes = (bytes + 15) & ~(gsize) 15;
  if (bytes > arena->left) {
    gsize block = MAX (bytes, BLOCK);

    arena->at = g_malloc0 (block);
    arena->left = block;
    arena->blocks = g_slist_prepend (arena->blocks, arena->at);
  }
  p = arena->at;
  arena->at += bytes;
  arena->left -= bytes;
  arena->total += bytes;
  return p;
}

void
tern_tpl_arena_clear (TernTplArena *arena)
{
  g_slist_free_full (arena->blocks, g_free);
  *arena = (TernTplArena) { 0 };
}

TernVal
tern_val_list (TernTplArena *arena, guint room)
{
  TernVal value = { .type = TERN_VAL_LIST };

  value.list = tern_tpl_alloc (arena, sizeof *value.list);
  value.list->room = MAX (room, 4);
  value.list->items = tern_tpl_alloc (arena, value.list->room * sizeof (TernVal));
  return value;
}

static TernVal *
grown (TernTplArena *arena, const TernVal *from, guint n, guint room)
{
  TernVal *to = tern_tpl_alloc (arena, room * sizeof (TernVal));

  if (n)
    memcpy (to, from, n * sizeof (TernVal));
  return to;
}

void
tern_val_list_add (TernTplArena *arena, TernVal value, TernVal item)
{
  TernValList *list = value.list;

  if (list->n == list->room) {
    list->room *= 2;
    list->items = grown (arena, list->items, list->n, list->room);
  }
  list->items[list->n++] = item;
}

TernVal
tern_val_dict (TernTplArena *arena)
{
  TernVal value = { .type = TERN_VAL_DICT };

  value.dict = tern_tpl_alloc (arena, sizeof *value.dict);
  return value;
}

static TernVal *
dict_slot (const TernValDict *dict, TernVal key, guint64 *steps)
{
  for (guint i = 0; i < dict->n; i++)
    if (tern_val_equal (dict->keys[i], key, steps))
      return &dict->values[i];
  return NULL;
}

void
tern_val_dict_set (TernTplArena *arena, TernValDict *dict, TernVal key, TernVal value)
{
  guint64 steps = 0;
  TernVal *slot = dict_slot (dict, key, &steps);

  if (slot)
    *slot = value;
  else
    tern_val_dict_add (arena, dict, key, value);
}

void
tern_val_dict_add (TernTplArena *arena, TernValDict *dict, TernVal key, TernVal value)
{
  if (dict->n == dict->room) {
    dict->room = dict->room ? 2 * dict->room : 8;
    dict->keys = grown (arena, dict->keys, dict->n, dict->room);
    dict->values = grown (arena, dict->values, dict->n, dict->room);
  }
  dict->keys[dict->n] = key;
  dict->values[dict->n++] = value;
}

const TernVal *
tern_val_dict_get (const TernValDict *dict, TernVal key)
{
  guint64 steps = 0;

  return dict_slot (dict, key, &steps);
}

const TernVal *
tern_val_dict_find (const TernValDict *dict, const char *name, gsize len)
{
  for (guint i = 0; i < dict->n; i++)
    if (dict->keys[i].type == TERN_VAL_STRING && dict->keys[i].str.len == len
        && memcmp (dict->keys[i].str.data, name, len) == 0)
      return &dict->values[i];
  return NULL;
}

gboolean
tern_val_is (TernVal value, const char *text)
{
  return value.type == TERN_VAL_STRING && value.str.len == strlen (text)
      && memcmp (value.str.data, text, value.str.len) == 0;
}

gboolean
tern_val_truth (TernVal value)
{
  switch (value.type) {
    case TERN_VAL_UNDEFINED:
    case TERN_VAL_NONE:
      return FALSE;
    case TERN_VAL_BOOL:
      return value.boolean;
    case TERN_VAL_INT:
      return value.integer != 0;
    case TERN_VAL_FLOAT:
      return value.real != 0;
    case TERN_VAL_STRING:
      return value.str.len > 0;
    case TERN_VAL_LIST:
      return value.list->n > 0;
    case TERN_VAL_DICT:
      return value.dict->n > 0;
    default:
      return TRUE;
  }
}

gboolean
tern_val_number (TernVal value, double *out)
{
  switch (value.type) {
    case TERN_VAL_BOOL:
      *out = value.boolean;
      return TRUE;
    case TERN_VAL_INT:
      *out = value.integer;
      return TRUE;
    case TERN_VAL_FLOAT:
      *out = value.real;
      return TRUE;
    default:
      return FALSE;
  }
}

static gboolean values_equal (TernVal a, TernVal b, guint depth, guint64 *steps);

static gboolean
lists_equal (const TernValList *a, const TernValList *b, guint depth, guint64 *steps)
{
  if (a->n != b->n)
    return FALSE;
  for (guint i = 0; i < a->n; i++)
    if (!values_equal (a->items[i], b->items[i], depth + 1, steps))
      return FALSE;
  return TRUE;
}

static gboolean
dicts_equal (const TernValDict *a, const TernValDict *b, guint depth, guint64 *steps)
{
  if (a->n != b->n)
    return FALSE;
  for (guint i = 0; i < a->n; i++) {
    const TernVal *other = dict_slot (b, a->keys[i], steps);

    if (!other || !values_equal (a->values[i], *other, depth + 1, steps))
      return FALSE;
  }
  return TRUE;
}

static gboolean
values_equal (TernVal a, TernVal b, guint depth, guint64 *steps)
{
  double x, y;

  if (depth > TERN_TPL_DEPTH || ++*steps > TERN_TPL_STEPS)
    return FALSE;
  if ((a.type == TERN_VAL_INT || a.type == TERN_VAL_BOOL) && (b.type == TERN_VAL_INT || b.type == TERN_VAL_BOOL))
    return (a.type == TERN_VAL_INT ? a.integer : a.boolean) == (b.type == TERN_VAL_INT ? b.integer : b.boolean);
  if (tern_val_number (a, &x) && tern_val_number (b, &y))
    return x == y;
  if (a.type != b.type)
    return FALSE;
  switch (a.type) {
    case TERN_VAL_UNDEFINED:
    case TERN_VAL_NONE:
      return TRUE;
    case TERN_VAL_STRING:
      *steps += MIN (a.str.len, b.str.len) / TERN_TPL_STEP_BYTES;
      return a.str.len == b.str.len && (a.str.len == 0 || memcmp (a.str.data, b.str.data, a.str.len) == 0);
    case TERN_VAL_LIST:
      return a.tuple == b.tuple && lists_equal (a.list, b.list, depth, steps);
    case TERN_VAL_DICT:
      return dicts_equal (a.dict, b.dict, depth, steps);
    case TERN_VAL_NAMESPACE:
      return a.dict == b.dict;
    case TERN_VAL_MACRO:
      return a.macro.node == b.macro.node;
    default:
      return FALSE;
  }
}

gboolean
tern_val_equal (TernVal a, TernVal b, guint64 *steps)
{
  return values_equal (a, b, 0, steps);
}

const char *
tern_val_type_name (TernVal value)
{
  static const char *const names[] = { "undefined", "none", "boolean", "integer", "float", "string", "list", "mapping",
    "namespace", "macro", "method", "function" };

  return names[value.type];
}

gsize
tern_val_chars (TernValStr str)
{
  gsize n = 0;

  for (gsize i = 0; i < str.len; n++)
    i += MAX (tern_utf8_length ((const guint8 *) str.data + i, str.len - i), 1);
  return n;
}

gsize
tern_val_char_offset (TernValStr str, gsize chars)
{
  gsize i = 0;

  for (; chars > 0 && i < str.len; chars--)
    i += MAX (tern_utf8_length ((const guint8 *) str.data + i, str.len - i), 1);
  return i;
}
