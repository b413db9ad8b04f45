/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Where an answer is in its constraint. */
#include <string.h>

#include "engine/grammar/matcher-priv.h"

TernMatcher *
tern_matcher_new (void)
{
  TernMatcher *m = g_new0 (TernMatcher, 1);

  m->spots = g_array_sized_new (FALSE, FALSE, sizeof (TernSpot), 64);
  m->frames = g_array_sized_new (FALSE, FALSE, sizeof (TernFrame), 64);
  return m;
}

void
tern_matcher_clear (TernMatcher *m)
{
  g_clear_pointer (&m->constraint, tern_constraint_unref);
  m->now = (TernSpots) { 0 };
  m->failed = m->forgot = FALSE;
}

void
tern_matcher_free (TernMatcher *m)
{
  if (!m)
    return;
  tern_matcher_clear (m);
  g_array_unref (m->spots);
  g_array_unref (m->frames);
  g_free (m->mask);
  g_free (m->part);
  g_free (m);
}

static void
empty_frames (TernMatcher *m)
{
  TernFrame bottom = { 0 };

  memset (m->slots, 0, sizeof m->slots);
  g_array_set_size (m->frames, 0);
  g_array_append_val (m->frames, bottom);
}

static void
set_constraint (TernMatcher *m, TernConstraint *constraint)
{
  guint words = (constraint->trie->n_ids + 31) / 32;

  tern_constraint_ref (constraint);
  tern_matcher_clear (m);
  m->constraint = constraint;
  if (m->words != words) {
    m->words = words;
    m->mask = g_renew (guint32, m->mask, MAX (words, 1));
    m->part = g_renew (guint32, m->part, MAX (words, 1));
  }
  empty_frames (m);
  g_array_set_size (m->spots, 0);
}

void
tern_matcher_begin (TernMatcher *m, TernConstraint *constraint)
{
  set_constraint (m, constraint);
  g_mutex_lock (&constraint->lock);
  tern_matcher_start (m);
  g_mutex_unlock (&constraint->lock);
}

/* ---- Frames that nothing stands on any more ---------------------------------------------------------------------- */

/* Copies @from's frames that its spots stand on to @m, which has none, and the spots. A frame comes after the one below. */
static void
copy_live (TernMatcher *m, const TernMatcher *from)
{
  g_autofree guint32 *places = g_new0 (guint32, from->frames->len);
  const TernSpot *spots = &g_array_index (from->spots, TernSpot, from->now.first);

  for (guint i = 0; i < from->now.n; i++)
    places[spots[i].stack] = 1;
  for (guint i = from->frames->len; i-- > 1;)
    if (places[i])
      places[tern_frame (from, i)->below] = 1;
  places[0] = 0;
  for (guint i = 1; i < from->frames->len; i++)
    if (places[i]) {
      const TernFrame *frame = tern_frame (from, i);

      places[i] = tern_matcher_push (m, frame->state, frame->count, places[frame->below]);
    }
  for (guint i = 0; i < from->now.n; i++) {
    TernSpot spot = spots[i];

    spot.stack = places[spot.stack];
    g_array_append_val (m->spots, spot);
  }
  m->now = from->now;
  m->now.first = 0;
}

void
tern_matcher_copy (TernMatcher *m, const TernMatcher *from)
{
  if (m == from)
    return;
  if (!from->constraint) {
    tern_matcher_clear (m);
    return;
  }
  set_constraint (m, from->constraint);
  copy_live (m, from);
  m->failed = from->failed;
  m->forgot = from->forgot;
}

static void
collect (TernMatcher *m)
{
  TernMatcher old = *m;

  m->frames = g_array_sized_new (FALSE, FALSE, sizeof (TernFrame), 64);
  m->spots = g_array_sized_new (FALSE, FALSE, sizeof (TernSpot), 64);
  empty_frames (m);
  copy_live (m, &old);
  g_array_unref (old.frames);
  g_array_unref (old.spots);
}

/* ---- Tokens ------------------------------------------------------------------------------------------------------ */

void
tern_matcher_accept (TernMatcher *m, gint32 id)
{
  TernConstraint *c = m->constraint;
  TernBytes piece;

  if (!c || tern_tokenizer_is_eog (c->trie->tokenizer, id)) {
    m->now.n = 0;               /* nothing follows */
    return;
  }
  piece = tern_tokenizer_piece (c->trie->tokenizer, id, FALSE);
  g_mutex_lock (&c->lock);
  for (gsize i = 0; i < piece.len; i++) {
    TernSpots next;

    tern_matcher_step (m, &m->now, piece.data[i], &next);
    g_array_remove_range (m->spots, m->now.first, m->now.n);
    m->now = next;
    m->now.first = 0;
  }
  if (m->frames->len > TERN_FRAMES_MAX / 2)
    collect (m);
  g_mutex_unlock (&c->lock);
  m->failed = m->now.n == 0 && !m->now.ends;
}

const guint32 *
tern_matcher_mask (TernMatcher *m, guint left)
{
  TernConstraint *c = m->constraint;
  guint n_frames = m->frames->len;

  memset (m->mask, 0, m->words * sizeof *m->mask);
  if (left == 0)
    return m->mask;
  g_mutex_lock (&c->lock);
  tern_matcher_fill_mask (m, left - 1);
  tern_matcher_drop_frames (m, n_frames);
  g_array_set_size (m->spots, m->now.first + m->now.n);
  g_mutex_unlock (&c->lock);
  for (guint i = 0; m->now.ends && i < c->trie->n_ends; i++)
    m->mask[c->trie->ends[i] / 32] |= 1u << c->trie->ends[i] % 32;
  return m->mask;
}

gboolean
tern_matcher_may_end (const TernMatcher *m)
{
  return m->now.ends;
}

gboolean
tern_matcher_must_end (const TernMatcher *m)
{
  return m->now.ends && m->now.n == 0;
}

gboolean
tern_matcher_failed (const TernMatcher *m)
{
  return m->failed;
}
