/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which tokens may come next. */
#include <string.h>

#include "engine/grammar/matcher-priv.h"

static void
set_ids (TernMatcher *m, gint32 id)
{
  for (; id >= 0; id = m->constraint->trie->same[id])
    m->mask[id / 32] |= 1u << id % 32;
}

#define NESTED_RUNS 8           /* of runs that begin within a token */
#define SMALL_SUBTREE 24        /* nodes that are as well walked */

static void fill_run (TernMatcher *m, const TernSpot *spot, guint32 node, const TernSpots *top, guint32 most,
    guint nested);

/* Runs that begin at @node, where much is below it, are looked up, and leave @spots. */
static void
take_runs (TernMatcher *m, TernSpots *spots, guint32 node, guint32 most, guint nested)
{
  const TernConstraint *c = m->constraint;
  TernSpots top = *spots;
  guint n = 0;

  for (guint i = 0; i < top.n; i++) {
    TernSpot spot = g_array_index (m->spots, TernSpot, top.first + i);

    if (spot.state & TERN_SPOT_RUN)
      fill_run (m, &spot, node, &top, most, nested + 1);
  }
  memset (spots->live, 0, sizeof spots->live);
  for (guint i = 0; i < top.n; i++) {
    TernSpot spot = g_array_index (m->spots, TernSpot, top.first + i);

    if (spot.state & TERN_SPOT_RUN)
      continue;
    for (guint k = 0; k < 4; k++)
      spots->live[k] |= tern_spot_live (c, &spot)[k];
    g_array_index (m->spots, TernSpot, top.first + n++) = spot;
  }
  spots->n = n;
}

/* The tokens whose nodes are [@node, @end), which stand behind @from. */
static void
walk (TernMatcher *m, guint32 node, guint32 end, const TernSpots *from, guint32 most, guint nested)
{
  const TernTokenTrie *trie = m->constraint->trie;
  TernSpots levels[TERN_TOKEN_BYTES_MAX + 1];
  guint top;

  if (node >= end)
    return;
  top = trie->nodes[node].depth;
  levels[0] = *from;
  while (node < end) {
    const TernTrieNode *at = &trie->nodes[node];
    const TernSpots *behind = &levels[at->depth - top];
    TernSpots *to = &levels[at->depth - top + 1];

    if (!(behind->live[at->byte / 64] >> at->byte % 64 & 1)) {
      node += at->size;
      continue;
    }
    tern_matcher_step (m, behind, at->byte, to);
    if (to->n == 0 && !to->ends) {
      node += at->size;
      continue;
    }
    if (at->id >= 0 && to->cost <= most)
      set_ids (m, at->id);
    if (at->size > SMALL_SUBTREE && nested < NESTED_RUNS)
      take_runs (m, to, node, most, nested);
    node++;
  }
}

/* From the root: a table has the first bytes. */
static void
walk_all (TernMatcher *m, const TernSpots *from, guint32 most)
{
  const TernTokenTrie *trie = m->constraint->trie;

  for (guint byte = 0; byte < 256; byte++)
    if ((from->live[byte / 64] >> byte % 64 & 1) && trie->first[byte] < trie->n_nodes)
      walk (m, trie->first[byte], trie->first[byte] + trie->nodes[trie->first[byte]].size, from, most, 0);
}

/* ---- Runs -------------------------------------------------------------------------------------------------------- */

static gboolean
may_say (const TernMatcher *m, const TernSpot *spot, const TernTokenClass *class, guint32 most)
{
  const TernRun *run = &g_array_index (m->constraint->grammar->runs, TernRun, tern_spot_run (spot->state));
  guint64 count = (guint64) spot->count + class->whole;

  if (run->max != TERN_REPEAT_MAX && count + (class->state != 0) > run->max)
    return FALSE;
  return tern_matcher_run_cost (m, (spot->state & ~0xffu) | class->state, count, spot->stack) <= most;
}

/* Tokens that stay in the run. */
static void
fill_stays (TernMatcher *m, const TernSpot *spot, const TernItemTokens *t, guint32 most)
{
  guint n = 0;

  for (guint i = 0; i < t->n_classes; i++)
    n += may_say (m, spot, &t->classes[i], most) ? t->classes[i].n : 0;
  if (!t->mask || n <= t->n_ids / 2) {
    for (guint i = 0; i < t->n_classes; i++)
      for (guint k = may_say (m, spot, &t->classes[i], most) ? 0 : t->classes[i].n; k < t->classes[i].n; k++) {
        gint32 id = t->ids[t->classes[i].first + k];

        m->mask[id / 32] |= 1u << id % 32;
      }
    return;
  }
  memcpy (m->part, t->mask, m->words * sizeof *m->part);
  for (guint i = 0; i < t->n_classes; i++)
    for (guint k = may_say (m, spot, &t->classes[i], most) ? t->classes[i].n : 0; k < t->classes[i].n; k++) {
      gint32 id = t->ids[t->classes[i].first + k];

      m->part[id / 32] &= ~(1u << id % 32);
    }
  for (guint i = 0; i < m->words; i++)
    m->mask[i] |= m->part[i];
}

static void
fill_exits (TernMatcher *m, const TernSpot *spot, const TernExits *exits, const TernSpots *behind, guint32 most,
    guint nested)
{
  const TernConstraint *c = m->constraint;
  const TernRun *run = &g_array_index (c->grammar->runs, TernRun, tern_spot_run (spot->state));

  for (guint i = 0; i < exits->n; i++) {
    const TernTrieNode *node = &c->trie->nodes[exits->exits[i].node];
    guint64 count = (guint64) spot->count + exits->exits[i].whole;

    if (count < run->min || (run->max != TERN_REPEAT_MAX && count > run->max))
      continue;
    if (node->id >= 0 && behind->cost <= most)
      set_ids (m, node->id);
    walk (m, exits->exits[i].node + 1, exits->exits[i].node + node->size, behind, most, nested);
  }
}

/* What may be said of tokens below @node. One that leaves the run at once is said in the spots behind the run, which stand
 * beside it. What lies behind @top in the matcher's array is free. */
static void
fill_run (TernMatcher *m, const TernSpot *spot, guint32 node, const TernSpots *top, guint32 most, guint nested)
{
  TernConstraint *c = m->constraint;
  const TernRun *run = &g_array_index (c->grammar->runs, TernRun, tern_spot_run (spot->state));
  TernItemTokens *t = tern_constraint_item_tokens (c, run->item, spot->state & 0xff, node);
  TernSpots outside, behind;

  fill_stays (m, spot, t, most);
  if ((guint64) spot->count + t->most < run->min)
    return;
  tern_matcher_enter (m, top, run->next, spot->stack, &outside);
  for (guint byte = 0; byte < 256; byte++) {
    const TernExits *exits;

    if (!(outside.live[byte / 64] >> byte % 64 & 1))
      continue;
    exits = tern_constraint_exits (c, t, byte);
    if (exits->n == 0)
      continue;
    tern_matcher_step (m, &outside, byte, &behind);
    if (behind.n > 0 || behind.ends)
      fill_exits (m, spot, exits, &behind, most, nested);
  }
}

void
tern_matcher_fill_mask (TernMatcher *m, guint32 most)
{
  tern_constraint_trim_items (m->constraint);
  for (guint i = 0; i < m->now.n; i++) {
    TernSpot spot = g_array_index (m->spots, TernSpot, m->now.first + i);
    TernSpots one = m->now;

    if (spot.state & TERN_SPOT_RUN) {
      fill_run (m, &spot, TERN_NODE_ROOT, &m->now, most, 0);
      continue;
    }
    one.first = m->now.first + m->now.n;
    one.n = 1;
    memcpy (one.live, tern_set (&m->constraint->sets, spot.state)->live, sizeof one.live);
    g_array_set_size (m->spots, one.first);
    g_array_append_val (m->spots, spot);
    walk_all (m, &one, most);
  }
}
