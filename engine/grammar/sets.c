/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Sets of a program's states, made when they are met. */
#include <stdlib.h>
#include <string.h>

#include "engine/grammar/constraint-priv.h"

void
tern_sets_init (TernSets *s, const TernGrammar *grammar)
{
  guint n = grammar->ops->len;

  s->grammar = grammar;
  s->sets = g_ptr_array_new ();
  g_ptr_array_add (s->sets, g_new0 (TernSet, 1));
  tern_set (s, 0);
  s->mask = 255;
  s->slots = g_new0 (guint32, s->mask + 1);
  s->at = g_new0 (guint32, n);
  s->single = g_new0 (guint32, n);
  s->stamps = g_new0 (guint32, n);
  s->work = g_array_new (FALSE, FALSE, sizeof (guint32));
  s->found = g_array_new (FALSE, FALSE, sizeof (guint32));
}

void
tern_sets_clear (TernSets *s)
{
  for (guint i = 0; s->sets && i < s->sets->len; i++) {
    TernSet *set = g_ptr_array_index (s->sets, i);

    g_free (set->members);
    g_free (set->jumps);
    g_free (set->next);
    g_free (set);
  }
  g_clear_pointer (&s->sets, g_ptr_array_unref);
  g_clear_pointer (&s->work, g_array_unref);
  g_clear_pointer (&s->found, g_array_unref);
  g_free (s->slots);
  g_free (s->at);
  g_free (s->single);
  g_free (s->stamps);
}

static void
set_cost (const TernSets *s, TernSet *set)
{
  set->cost = TERN_COST_ENDLESS;
  for (guint i = 0; s->costs && i < set->n; i++)
    set->cost = MIN (set->cost, s->costs[set->members[i]]);
}

void
tern_sets_set_costs (TernSets *s, const guint32 *costs)
{
  s->costs = costs;
  for (guint i = 1; i < s->sets->len; i++)
    set_cost (s, g_ptr_array_index (s->sets, i));
}

/* ---- Which set has these members --------------------------------------------------------------------------------- */

static guint32 *
find_slot (const TernSets *s, const guint32 *members, guint n)
{
  guint32 hash = 2166136261u, i;

  for (i = 0; i < n; i++)
    hash = (hash ^ members[i]) * 16777619u;
  for (i = (hash ^ hash >> 15) & s->mask; s->slots[i]; i = (i + 1) & s->mask) {
    const TernSet *set = tern_set (s, s->slots[i]);

    if (set->n == n && memcmp (set->members, members, n * sizeof *members) == 0)
      break;
  }
  return &s->slots[i];
}

static void
grow_slots (TernSets *s)
{
  g_free (s->slots);
  s->mask = 2 * s->mask + 1;
  s->slots = g_new0 (guint32, (gsize) s->mask + 1);
  for (guint i = 1; i < s->sets->len; i++)
    *find_slot (s, tern_set (s, i)->members, tern_set (s, i)->n) = i;
}

static void
read_members (const TernSets *s, TernSet *set)
{
  for (guint i = 0; i < set->n; i++) {
    const TernOp *op = tern_op (s->grammar, set->members[i]);

    if (op->kind == TERN_OP_END)
      set->ends = TRUE;
    else if (op->kind == TERN_OP_BYTE)
      for (guint byte = op->low; byte <= op->high; byte++)
        set->live[byte / 64] |= (guint64) 1 << byte % 64;
    else
      set->n_jumps++;
  }
  set->jumps = g_new (guint32, MAX (set->n_jumps, 1));
  set->n_jumps = 0;
  for (guint i = 0; i < set->n; i++) {
    guint kind = tern_op (s->grammar, set->members[i])->kind;

    if (kind != TERN_OP_END && kind != TERN_OP_BYTE)
      set->jumps[set->n_jumps++] = set->members[i];
  }
}

static guint
n_live (const TernSet *set)
{
  return __builtin_popcountll (set->live[0]) + __builtin_popcountll (set->live[1])
      + __builtin_popcountll (set->live[2]) + __builtin_popcountll (set->live[3]);
}

static guint32
add_set (TernSets *s, const guint32 *members, guint n)
{
  TernSet *set = g_new0 (TernSet, 1);

  set->members = g_memdup2 (members, n * sizeof *members);
  set->n = n;
  read_members (s, set);
  set_cost (s, set);
  set->next = g_new0 (guint32, MAX (n_live (set), 1));
  s->bytes += sizeof *set + 4 * (n + set->n_jumps + n_live (set)) + 96;
  g_ptr_array_add (s->sets, set);
  return s->sets->len - 1;
}

guint32
tern_sets_single (TernSets *s, guint32 state)
{
  if (!s->single[state]) {
    guint32 *slot = find_slot (s, &state, 1);

    if (!*slot) {
      if (2 * s->sets->len >= s->mask) {
        grow_slots (s);
        slot = find_slot (s, &state, 1);
      }
      *slot = add_set (s, &state, 1);
    }
    s->single[state] = *slot;
  }
  return s->single[state];
}

static int
ascending (const void *a, const void *b)
{
  guint32 x = *(const guint32 *) a, y = *(const guint32 *) b;

  return x < y ? -1 : x > y;
}

/* The set of what was found, or where there is no room those of its members. In s->work. */
static const guint32 *
finish (TernSets *s, guint *n)
{
  GArray *found = s->found;
  guint32 *slot;

  g_array_set_size (s->work, 0);
  *n = 0;
  if (found->len == 0)
    return NULL;
  qsort (found->data, found->len, sizeof (guint32), ascending);
  if (2 * s->sets->len >= s->mask)
    grow_slots (s);
  slot = find_slot (s, (const guint32 *) found->data, found->len);
  if (!*slot && (s->bytes < TERN_SETS_BYTES || found->len == 1))
    *slot = add_set (s, (const guint32 *) found->data, found->len);
  if (*slot)
    g_array_append_val (s->work, *slot);
  for (guint i = 0; !*slot && i < found->len; i++) {
    guint32 set = tern_sets_single (s, g_array_index (found, guint32, i));

    g_array_append_val (s->work, set);
    slot = find_slot (s, (const guint32 *) found->data, found->len);    /* the table may have grown */
  }
  *n = s->work->len;
  return (const guint32 *) s->work->data;
}

/* ---- Closure ----------------------------------------------------------------------------------------------------- */

static void
begin (TernSets *s)
{
  if (++s->stamp == 0) {
    memset (s->stamps, 0, s->grammar->ops->len * sizeof *s->stamps);
    s->stamp = 1;
  }
  g_array_set_size (s->found, 0);
}

static void
close_over (TernSets *s, guint32 state)
{
  g_array_set_size (s->work, 0);
  g_array_append_val (s->work, state);
  while (s->work->len > 0) {
    const TernOp *op;

    state = g_array_index (s->work, guint32, s->work->len - 1);
    g_array_set_size (s->work, s->work->len - 1);
    if (s->stamps[state] == s->stamp)
      continue;
    s->stamps[state] = s->stamp;
    op = tern_op (s->grammar, state);
    if (op->kind == TERN_OP_SPLIT)
      g_array_append_vals (s->work, &g_array_index (s->grammar->targets, guint32, op->at), op->n);
    else
      g_array_append_val (s->found, state);
  }
}

const guint32 *
tern_sets_at (TernSets *s, guint32 state, guint *n)
{
  const guint32 *sets;

  if (s->at[state]) {
    *n = 1;
    return &s->at[state];
  }
  begin (s);
  close_over (s, state);
  sets = finish (s, n);
  if (*n == 1)
    s->at[state] = sets[0];
  return sets;
}

static guint
place_of (const TernSet *set, guint8 byte)
{
  guint place = 0;

  for (guint i = 0; i < byte / 64; i++)
    place += __builtin_popcountll (set->live[i]);
  return place + __builtin_popcountll (set->live[byte / 64] & (((guint64) 1 << byte % 64) - 1));
}

const guint32 *
tern_sets_step (TernSets *s, guint32 from, guint8 byte, guint *n)
{
  TernSet *set = g_ptr_array_index (s->sets, from);
  const guint32 *sets;
  guint32 *known;

  *n = 0;
  if (!tern_set_has (set, byte))
    return NULL;
  known = &set->next[place_of (set, byte)];
  if (*known) {
    *n = 1;
    return known;
  }
  begin (s);
  for (guint i = 0; i < set->n; i++) {
    const TernOp *op = tern_op (s->grammar, set->members[i]);

    if (op->kind == TERN_OP_BYTE && byte >= op->low && byte <= op->high)
      close_over (s, op->next);
  }
  sets = finish (s, n);
  if (*n == 1)
    *known = sets[0];
  return sets;
}
