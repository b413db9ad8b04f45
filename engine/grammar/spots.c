/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One byte further. */
#include <string.h>

#include "engine/grammar/matcher-priv.h"

/* ---- Frames ------------------------------------------------------------------------------------------------------ */

static guint
frame_slot (guint32 state, guint32 count, guint32 below)
{
  guint64 key = (state + count * G_GUINT64_CONSTANT (0x100000001b3)) * G_GUINT64_CONSTANT (0x9e3779b97f4a7c15) + below;

  return key * G_GUINT64_CONSTANT (0xff51afd7ed558ccd) >> 54;
}

G_STATIC_ASSERT (TERN_FRAME_SLOTS == 1 << 10);

static guint32
rest_of (const TernMatcher *m, guint32 state, guint32 n, guint32 below)
{
  const TernConstraint *c = m->constraint;
  const TernCount *count;
  guint32 rest = tern_frame (m, below)->rest;

  if (!(state & TERN_FRAME_COUNT))
    return tern_cost_add (rest, c->costs[state]);
  count = &g_array_index (c->grammar->counts, TernCount, state & ~TERN_FRAME_COUNT);
  rest = tern_cost_add (rest, c->costs[count->next]);
  return count->min <= n + 1 ? rest : tern_cost_add (rest, tern_cost_times (c->costs[count->start], count->min - n - 1));
}

/* 0: there is no room. */
guint32
tern_matcher_push (TernMatcher *m, guint32 state, guint32 count, guint32 below)
{
  guint slot = frame_slot (state, count, below);
  TernFrame frame = { state, count, below, 0, m->slots[slot] };

  for (guint32 i = m->slots[slot]; i; i = tern_frame (m, i)->chain) {
    const TernFrame *known = tern_frame (m, i);

    if (known->state == state && known->count == count && known->below == below)
      return i;
  }
  if (m->frames->len >= TERN_FRAMES_MAX) {
    m->forgot = TRUE;
    return 0;
  }
  frame.rest = rest_of (m, state, count, below);
  g_array_append_val (m->frames, frame);
  m->slots[slot] = m->frames->len - 1;
  return m->frames->len - 1;
}

void
tern_matcher_drop_frames (TernMatcher *m, guint n)
{
  for (guint i = m->frames->len; i-- > n;) {
    const TernFrame *frame = tern_frame (m, i);

    m->slots[frame_slot (frame->state, frame->count, frame->below)] = frame->chain;
  }
  g_array_set_size (m->frames, n);
}

/* ---- Spots ------------------------------------------------------------------------------------------------------- */

static guint32
cost_in_run (const TernConstraint *c, guint32 state, guint32 count)
{
  const TernRun *run = &g_array_index (c->grammar->runs, TernRun, tern_spot_run (state));
  const TernItemCosts *item = &c->item_costs[run->item];
  guint32 missing = run->min > count ? run->min - count : 0, cost = c->costs[run->next];

  if ((state & 0xff) == 0)
    return tern_cost_add (cost, tern_item_many (item, missing));
  cost = tern_cost_add (cost, item->finish[state & 0xff]);
  return missing > 1 ? tern_cost_add (cost, tern_item_many (item, missing - 1)) : cost;
}

static void
put (TernMatcher *m, TernSpots *to, guint32 state, guint32 count, guint32 stack)
{
  const TernConstraint *c = m->constraint;
  TernSpot spot = { state, count, stack, tern_frame (m, stack)->rest };
  TernSpot *spots = &g_array_index (m->spots, TernSpot, to->first), *dearest = &spot;

  for (guint i = 0; i < to->n; i++)
    if (spots[i].state == state && spots[i].stack == stack && spots[i].count == count)
      return;
  spot.cost = tern_cost_add (spot.cost, state & TERN_SPOT_RUN ? cost_in_run (c, state, count)
      : tern_set (&c->sets, state)->cost);
  if (to->n < TERN_SPOTS_MAX) {
    g_array_set_size (m->spots, to->first + to->n);
    g_array_append_val (m->spots, spot);
    to->n++;
    return;
  }
  m->forgot = TRUE;
  for (guint i = 0; i < to->n; i++)
    if (spots[i].cost > dearest->cost)
      dearest = &spots[i];
  if (dearest != &spot)
    *dearest = spot;
}

static void
put_state (TernMatcher *m, TernSpots *to, guint32 state, guint32 stack)
{
  guint n;
  const guint32 *sets = tern_sets_at (&m->constraint->sets, state, &n);

  for (guint i = 0; i < n; i++)
    put (m, to, sets[i], 0, stack);
}

static void
go_on_in_run (TernMatcher *m, TernSpots *to, guint32 index, guint32 count, guint32 stack)
{
  const TernRun *run = &g_array_index (m->constraint->grammar->runs, TernRun, index);

  if (run->max == TERN_REPEAT_MAX)
    count = MIN (count, run->min);
  if (count < run->max)
    put (m, to, tern_spot_of_run (index, 0), count, stack);
  if (count >= run->min)
    put_state (m, to, run->next, stack);
}

static void
go_on_in_count (TernMatcher *m, TernSpots *to, guint32 index, guint32 n, guint32 stack)
{
  const TernCount *count = &g_array_index (m->constraint->grammar->counts, TernCount, index);
  guint32 frame;

  if (count->max == TERN_REPEAT_MAX)
    n = MIN (n, count->min);
  if (n < count->max && (frame = tern_matcher_push (m, index | TERN_FRAME_COUNT, n, stack)) != 0)
    put_state (m, to, count->start, frame);
  if (n >= count->min)
    put_state (m, to, count->next, stack);
}

static void
leave_piece (TernMatcher *m, TernSpots *to, guint32 stack)
{
  TernFrame frame = *tern_frame (m, stack);

  if (stack == 0)
    to->ends = TRUE;
  else if (frame.state & TERN_FRAME_COUNT)
    go_on_in_count (m, to, frame.state & ~TERN_FRAME_COUNT, frame.count + 1, frame.below);
  else
    put_state (m, to, frame.state, frame.below);
}

static void
jump (TernMatcher *m, TernSpots *to, guint32 state, guint32 stack)
{
  const TernOp *op = tern_op (m->constraint->grammar, state);
  guint32 frame;

  switch (op->kind) {
    case TERN_OP_CALL:
      if ((frame = tern_matcher_push (m, op->next, 0, stack)) != 0)
        put_state (m, to, op->at, frame);
      break;
    case TERN_OP_RUN:
      go_on_in_run (m, to, op->at, 0, stack);
      break;
    default:
      go_on_in_count (m, to, op->at, 0, stack);
  }
}

/* What @to leads to without a byte; what leads nowhere by a byte goes. */
static void
close_over (TernMatcher *m, TernSpots *to)
{
  const TernConstraint *c = m->constraint;
  guint n = 0;

  for (guint i = 0; i < to->n; i++) {
    TernSpot spot = g_array_index (m->spots, TernSpot, to->first + i);
    const TernSet *set = tern_set (&c->sets, spot.state & TERN_SPOT_RUN ? TERN_SET_NONE : spot.state);

    for (guint k = 0; k < set->n_jumps; k++)
      jump (m, to, set->jumps[k], spot.stack);
    if (set->ends)
      leave_piece (m, to, spot.stack);
  }
  to->cost = to->ends ? 0 : TERN_COST_ENDLESS;
  memset (to->live, 0, sizeof to->live);
  for (guint i = 0; i < to->n; i++) {
    const TernSpot *spot = &g_array_index (m->spots, TernSpot, to->first + i);

    const guint64 *live = tern_spot_live (c, spot);

    if (!(live[0] | live[1] | live[2] | live[3]))
      continue;
    for (guint k = 0; k < 4; k++)
      to->live[k] |= live[k];
    to->cost = MIN (to->cost, spot->cost);
    g_array_index (m->spots, TernSpot, to->first + n++) = *spot;
  }
  to->n = n;
  g_array_set_size (m->spots, to->first + n);
}

static void
step_run (TernMatcher *m, const TernSpot *spot, guint8 byte, TernSpots *to)
{
  const TernGrammar *g = m->constraint->grammar;
  guint32 index = tern_spot_run (spot->state);
  const TernRun *run = &g_array_index (g->runs, TernRun, index);
  guint8 next = g_array_index (g->items, TernItem, run->item).next[spot->state & 0xff][byte];

  if (next == TERN_ITEM_WHOLE)
    go_on_in_run (m, to, index, spot->count + 1, spot->stack);
  else if (next != TERN_ITEM_DEAD)
    put (m, to, tern_spot_of_run (index, next), spot->count, spot->stack);
}

void
tern_matcher_step (TernMatcher *m, const TernSpots *from, guint8 byte, TernSpots *to)
{
  guint n;

  *to = (TernSpots) { .first = from->first + from->n };
  g_array_set_size (m->spots, to->first);
  for (guint i = 0; i < from->n; i++) {
    TernSpot spot = g_array_index (m->spots, TernSpot, from->first + i);
    const guint32 *sets;

    if (spot.state & TERN_SPOT_RUN) {
      step_run (m, &spot, byte, to);
      continue;
    }
    sets = tern_sets_step (&m->constraint->sets, spot.state, byte, &n);
    for (guint k = 0; k < n; k++)
      put (m, to, sets[k], 0, spot.stack);
  }
  close_over (m, to);
}

void
tern_matcher_start (TernMatcher *m)
{
  m->now = (TernSpots) { 0 };
  put_state (m, &m->now, m->constraint->start, 0);
  close_over (m, &m->now);
}

void
tern_matcher_enter (TernMatcher *m, const TernSpots *after, guint32 state, guint32 stack, TernSpots *to)
{
  *to = (TernSpots) { .first = after->first + after->n };
  g_array_set_size (m->spots, to->first);
  put_state (m, to, state, stack);
  close_over (m, to);
}

guint32
tern_matcher_run_cost (const TernMatcher *m, guint32 spot, guint32 count, guint32 stack)
{
  return tern_cost_add (cost_in_run (m->constraint, spot, count), tern_frame (m, stack)->rest);
}
