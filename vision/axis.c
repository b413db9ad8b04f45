/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Weights of the antialiased bilinear filter: a triangle whose support grows with the reduction, as in Pillow's
 * ImagingResample and torchvision's resize (antialias=True), which the models were trained with. libswscale's bilinear is
 * another filter, and no library that Debian ships for C computes this one. */
#include "vision/internal.h"

#include <math.h>
#include <string.h>

#include "tern/error.h"

void
tern_triangle_span (double start, double scale, guint length, guint i, guint *first, guint *end, double *centre,
    double *support)
{
  double from, to;

  *centre = CLAMP (start + scale * (i + 0.5), 0.5, length - 0.5);
  *support = MAX (scale, 1.0);
  from = MAX (*centre - *support + 0.5, 0.0);
  to = MIN (*centre + *support + 0.5, (double) length);
  *first = (guint) from;
  *end = (guint) to;
}

static gboolean
same_key (const TernAxisKey *a, const TernAxisKey *b)
{
  return a->length == b->length && a->start == b->start && a->scale == b->scale && a->offset == b->offset
      && a->count == b->count && a->rows == b->rows;
}

/* Whole numbers that add up to exactly @total, so that a flat picture stays flat: each is the difference of two rounded
 * running sums. */
static void
quantise (guint16 *out, const double *weight, guint n, guint total)
{
  double sum = 0, running = 0;
  glong before = 0;
  guint k;

  for (k = 0; k < n; k++)
    sum += weight[k];
  for (k = 0; k < n; k++) {
    glong now;

    running += weight[k];
    now = lrint (running / sum * total);
    out[k] = (guint16) (now - before);
    before = now;
  }
}

static guint
widest_span (const TernAxisKey *key)
{
  guint i, widest = 0;

  for (i = 0; i < key->count; i++) {
    guint first, end;
    double centre, support;

    tern_triangle_span (key->start, key->scale, key->length, key->offset + i, &first, &end, &centre, &support);
    widest = MAX (widest, end - first);
  }
  return widest;
}

static void
fill (TernAxis *axis, double *weight)
{
  const TernAxisKey *key = &axis->key;
  guint i, k;

  for (i = 0; i < key->count; i++) {
    guint first, end, shift = 0;
    double centre, support;

    tern_triangle_span (key->start, key->scale, key->length, key->offset + i, &first, &end, &centre, &support);
    /* Along a row the taps are read without looking at its end: move the window back, with zeros in front. */
    if (!key->rows && first + axis->taps > key->length)
      shift = first + axis->taps - key->length;
    axis->first[i] = first - shift;
    for (k = 0; k < end - first; k++)
      weight[k] = tern_triangle_weight (centre, support, first + k);
    quantise (axis->weights + (gsize) i * axis->taps + shift, weight, end - first, key->rows ? 65535 : 32768);
  }
}

static gboolean
make (TernAxis *axis, const TernAxisKey *key, GError **error)
{
  g_autofree double *weight = NULL;
  gsize bytes;
  guint8 *block;

  tern_mem_free (axis->first);
  memset (axis, 0, sizeof *axis);
  axis->key = *key;
  axis->most = widest_span (key);
  axis->taps = key->rows ? (axis->most + 3) & ~3u : axis->most;
  bytes = tern_align_up (key->count * sizeof (guint));
  block = tern_mem_alloc (bytes + (gsize) key->count * axis->taps * sizeof (guint16), "resampling weights", error);
  if (!block)
    return FALSE;
  axis->first = (guint *) block;
  axis->weights = (guint16 *) (block + bytes);
  weight = g_new (double, axis->most);
  fill (axis, weight);
  return TRUE;
}

const TernAxis *
tern_axis_get (TernAxisCache *cache, const TernAxisKey *key, GError **error)
{
  TernAxis *oldest = &cache->axes[0];
  guint i;

  cache->clock++;
  for (i = 0; i < TERN_AXES; i++) {
    TernAxis *axis = &cache->axes[i];

    if (axis->used && same_key (&axis->key, key)) {
      axis->used = cache->clock;
      return axis;
    }
    if (axis->used < oldest->used)
      oldest = axis;
  }
  if (!make (oldest, key, error))
    return NULL;
  oldest->used = cache->clock;
  return oldest;
}

void
tern_axis_cache_clear (TernAxisCache *cache)
{
  guint i;

  for (i = 0; i < TERN_AXES; i++)
    tern_mem_free (cache->axes[i].first);
  memset (cache, 0, sizeof *cache);
}
