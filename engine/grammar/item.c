/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a run repeats, as a deterministic automaton. */
#include <string.h>

#include "engine/grammar/grammar-priv.h"

typedef struct {
  const TernGrammar *grammar;
  guint words;                  /* of a set */
  GArray *sets;                 /* guint64 [n][words] of program states */
  guint32 *stack;
} Maker;

static guint64 *
set_of (const Maker *m, guint i)
{
  return &g_array_index (m->sets, guint64, (gsize) i * m->words);
}

/* @state and what it leads to without a byte. */
static void
close_over (Maker *m, guint64 *set, guint32 state)
{
  guint n = 0;

  m->stack[n++] = state;
  while (n > 0) {
    guint32 s = m->stack[--n];
    const TernOp *op = tern_op (m->grammar, s);

    if (set[s / 64] >> s % 64 & 1)
      continue;
    set[s / 64] |= (guint64) 1 << s % 64;
    for (guint i = 0; op->kind == TERN_OP_SPLIT && i < op->n; i++)
      m->stack[n++] = g_array_index (m->grammar->targets, guint32, op->at + i);
  }
}

static gboolean
is_empty (const guint64 *set, guint words)
{
  for (guint i = 0; i < words; i++)
    if (set[i])
      return FALSE;
  return TRUE;
}

/* The state whose set is @set; 0 is never entered again. */
static guint
find_set (Maker *m, guint *n, const guint64 *set)
{
  for (guint i = 1; i < *n; i++)
    if (memcmp (set_of (m, i), set, m->words * sizeof *set) == 0)
      return i;
  g_array_append_vals (m->sets, set, m->words);
  return (*n)++;
}

/* Where @byte leads from state @from. */
static void
step (Maker *m, guint from, guint byte, guint64 *to)
{
  memset (to, 0, m->words * sizeof *to);
  for (guint s = 0; s < m->grammar->ops->len; s++) {
    const TernOp *op = tern_op (m->grammar, s);

    if ((set_of (m, from)[s / 64] >> s % 64 & 1) && op->kind == TERN_OP_BYTE && byte >= op->low && byte <= op->high)
      close_over (m, to, op->next);
  }
}

/* Bytes at which some range of the set begins or has ended. */
static void
find_edges (const Maker *m, guint from, gboolean *edges)
{
  memset (edges, 0, 257 * sizeof *edges);
  edges[0] = TRUE;
  for (guint s = 0; s < m->grammar->ops->len; s++) {
    const TernOp *op = tern_op (m->grammar, s);

    if ((set_of (m, from)[s / 64] >> s % 64 & 1) && op->kind == TERN_OP_BYTE)
      edges[op->low] = edges[op->high + 1] = TRUE;
  }
}

/* FALSE: a string goes on where another ends, or there are too many states. */
static gboolean
fill (Maker *m, guint8 (*next)[256], guint *n_states)
{
  g_autofree guint64 *to = g_new (guint64, m->words);
  guint n = 1;

  for (guint from = 0; from < n; from++) {
    gboolean edges[257];
    guint8 leads = TERN_ITEM_DEAD;

    find_edges (m, from, edges);
    for (guint byte = 0; byte < 256; byte++) {
      if (edges[byte]) {
        step (m, from, byte, to);
        if (is_empty (to, m->words))
          leads = TERN_ITEM_DEAD;
        else if (!(to[0] & 1))
          leads = find_set (m, &n, to);
        else
          leads = TERN_ITEM_WHOLE;
        if (n > TERN_ITEM_STATES)
          return FALSE;
        if (leads == TERN_ITEM_WHOLE)
          for (guint s = 1; s < m->grammar->ops->len; s++)
            if ((to[s / 64] >> s % 64 & 1) && tern_op (m->grammar, s)->kind == TERN_OP_BYTE)
              return FALSE;
      }
      next[from][byte] = leads;
    }
  }
  *n_states = n;
  return TRUE;
}

gboolean
tern_item_make (const TernGrammar *grammar, guint32 start, TernItem *item)
{
  Maker m = { grammar, (grammar->ops->len + 63) / 64 };
  guint8 (*next)[256] = g_malloc ((TERN_ITEM_STATES + 1) * sizeof *next);
  gboolean made;

  m.sets = g_array_new (FALSE, TRUE, sizeof (guint64));
  m.stack = g_new (guint32, grammar->ops->len + grammar->targets->len + 1);
  g_array_set_size (m.sets, m.words);
  close_over (&m, set_of (&m, 0), start);
  made = !(set_of (&m, 0)[0] & 1) && fill (&m, next, &item->n);
  if (made) {
    item->next = g_realloc (next, item->n * sizeof *next);
    item->live = g_malloc0 (item->n * sizeof *item->live);
    for (guint i = 0; i < item->n * 256; i++)
      item->live[i / 256][i % 256 / 64] |= (guint64) (item->next[i / 256][i % 256] != TERN_ITEM_DEAD) << i % 64;
  } else {
    g_free (next);
  }
  g_array_unref (m.sets);
  g_free (m.stack);
  return made;
}
