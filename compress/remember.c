/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "compress/remember.h"

#include <math.h>
#include <string.h>

#include "engine/base/mem.h"

/* ---- Scores ------------------------------------------------------------------------------------------------------ */

static double
length_of (const float *x, guint dim)
{
  double sum = 0;

  for (guint d = 0; d < dim; d++)
    sum += (double) x[d] * x[d];
  return sqrt (sum);
}

static gboolean
is_at (const TernRecentKeys *recent, gint32 place)
{
  return place >= 0 && (guint) place < recent->places;
}

void
tern_recent_add (TernRecentKeys *recent, const gint32 *place, const float *keys, guint n)
{
  for (guint i = 0; i < n; i++, keys += recent->dim) {
    double length = is_at (recent, place[i]) ? length_of (keys, recent->dim) : 0;
    float *sum;

    if (!(length > 0) || !isfinite (length))
      continue;
    sum = recent->sums + (gsize) place[i] * recent->dim;
    for (guint d = 0; d < recent->dim; d++)
      sum[d] += (float) (keys[d] / length);
    recent->count[place[i]]++;
  }
}

/* The mean of cosines is the product with the mean of keys of length 1. */
void
tern_recent_compare (const TernRecentKeys *recent, const gint32 *place, const float *keys, guint n, float weight, float *change)
{
  for (guint i = 0; i < n; i++, keys += recent->dim) {
    double length, dot = 0;
    const float *sum;

    if (!is_at (recent, place[i]) || recent->count[place[i]] == 0)
      continue;
    length = length_of (keys, recent->dim);
    if (!(length > 0) || !isfinite (length))
      continue;
    sum = recent->sums + (gsize) place[i] * recent->dim;
    for (guint d = 0; d < recent->dim; d++)
      dot += (double) sum[d] * keys[d];
    change[i] -= weight * (float) (dot / length / recent->count[place[i]]);
  }
}

void
tern_remember_norms (const float *values, guint n, guint dim, float *norm)
{
  for (guint i = 0; i < n; i++)
    norm[i] = (float) length_of (values + (gsize) i * dim, dim);
}

void
tern_remember_add_norms (const gint32 *place, const float *norm, guint n, float weight, float *value)
{
  double sum = 0;
  guint count = 0;

  for (guint i = 0; i < n; i++)
    if (place[i] >= 0 && isfinite (norm[i])) {
      sum += norm[i];
      count++;
    }
  for (guint i = 0; i < n && sum > 0; i++)
    if (place[i] >= 0 && isfinite (norm[i]))
      value[i] += weight * (float) (norm[i] * count / sum);
}

void
tern_remember_pool (const TernRememberRows *rows, const float *from, guint width, float *to)
{
  for (guint i = 0; i < rows->n; i++) {
    guint first = i - MIN (i, width / 2), end = MIN (rows->n, i + width / 2 + 1), count = 0;
    double sum = 0;

    to[i] = from[i];
    if (rows->place[i] < 0)
      continue;
    for (guint j = first; j < end; j++)
      if (rows->frame[j] == rows->frame[i] && rows->place[j] >= 0) {
        sum += from[j];
        count++;
      }
    to[i] = (float) (sum / count);
  }
}

/* ---- The choice -------------------------------------------------------------------------------------------------- */

guint
tern_remember_recent (const TernRememberRows *rows, guint recent)
{
  guint first = rows->n;

  while (first > 0) {
    guint begin = first - 1;

    while (begin > 0 && rows->frame[begin - 1] == rows->frame[first - 1])
      begin--;
    if (first < rows->n && rows->n - begin > recent)
      break;
    first = begin;
  }
  return first;
}

typedef struct {
  const TernRememberParams *params;
  const TernRememberRows *rows;
  guint recent;                 /* first row of the recent window */
  guint room;                   /* rows that may still be chosen */
  guint8 *chosen;               /* [n] */
  guint8 *open;                 /* [n_frames] some of it is chosen: its words stay */
  guint *words;                 /* [n_frames] rows of it that have no place */
  guint *order;                 /* [n] candidates, best first */
} Choice;

static Choice
lay_out (guint n, guint n_frames, TernArena *arena)
{
  Choice self = { 0 };

  self.words = tern_plan_take (arena, n_frames, sizeof *self.words, 1);
  self.order = tern_plan_take (arena, n, sizeof *self.order, 1);
  self.chosen = tern_plan_take (arena, n, 1, 1);
  self.open = tern_plan_take (arena, n_frames, 1, 1);
  return self;
}

gsize
tern_remember_scratch (guint n, guint n_frames)
{
  TernArena arena = { 0 };

  lay_out (n, n_frames, &arena);
  return arena.used;
}

static int
by_score (gconstpointer a, gconstpointer b, gpointer data)
{
  const float *score = data;
  guint i = *(const guint *) a, j = *(const guint *) b;
  float x = isnan (score[i]) ? -INFINITY : score[i], y = isnan (score[j]) ? -INFINITY : score[j];

  if (x != y)
    return x > y ? -1 : 1;
  return i > j ? -1 : i < j;
}

/* Of what is older and not chosen yet, the best by @score, @share rows at most; a frame's words come with its first. */
static void
choose_by (Choice *self, const float *score, guint share)
{
  const TernRememberRows *rows = self->rows;
  guint n = 0, left = MIN (share, self->room);

  for (guint i = 0; i < self->recent; i++)
    if (rows->place[i] >= 0 && !self->chosen[i])
      self->order[n++] = i;
  g_qsort_with_data (self->order, (gint) n, sizeof *self->order, by_score, (gpointer) score);
  for (guint i = 0; i < n && left > 0; i++) {
    guint row = self->order[i], frame = rows->frame[row], cost = 1 + (self->open[frame] ? 0 : self->words[frame]);

    if (cost > left)
      continue;
    self->chosen[row] = self->open[frame] = TRUE;
    left -= cost;
    self->room -= cost;
  }
}

/* Frames of which crumbs are left go. */
static void
drop_crumbs (Choice *self)
{
  const TernRememberRows *rows = self->rows;

  for (guint first = 0, end; first < self->recent; first = end) {
    guint frame = rows->frame[first], stays = 0;

    for (end = first; end < self->recent && rows->frame[end] == frame; end++)
      stays += self->chosen[end];
    if (stays > 0 && stays < self->params->least * rows->whole[frame]) {
      self->open[frame] = FALSE;
      memset (self->chosen + first, FALSE, end - first);
    }
  }
}

guint
tern_remember (const TernRememberParams *params, const TernRememberRows *rows, void *scratch, gint32 *keep)
{
  TernArena arena = { .base = scratch };
  Choice self = lay_out (rows->n, rows->n_frames, &arena);
  guint recent, room, n = 0;

  self.params = params;
  self.rows = rows;
  self.recent = tern_remember_recent (rows, MIN (params->recent, params->keep));
  recent = MIN (rows->n - self.recent, params->keep);
  self.room = room = params->keep - recent;
  memset (self.chosen, FALSE, rows->n);
  memset (self.open, FALSE, rows->n_frames);
  memset (self.words, 0, rows->n_frames * sizeof *self.words);
  for (guint i = 0; i < self.recent; i++)
    self.words[rows->frame[i]] += rows->place[i] < 0;

  choose_by (&self, rows->change, (guint) (params->change * room));
  if (rows->asked)
    choose_by (&self, rows->asked, (guint) (params->asked * room));
  choose_by (&self, rows->value, room);
  drop_crumbs (&self);

  for (guint i = 0; i < self.recent; i++)
    if (self.chosen[i] || (rows->place[i] < 0 && self.open[rows->frame[i]]))
      keep[n++] = (gint32) i;
  for (guint i = 0; i < recent; i++)
    keep[n++] = (gint32) (self.recent + i);
  return n;
}
