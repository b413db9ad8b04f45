/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which patches of a picture are computed; the method stands in reuse.h. */
#include "vision/reuse-mask.h"

#include <string.h>

#define PARTS 4                 /* of a patch, a side */
#define NOISE_TIMES 2.0f        /* medians of change that noise may make */
#define NOISE_MOST 3.0f         /* of the threshold asked for: what noise may make of it */
#define MOST_ROWS 2             /* at most one patch of so many is computed, or all are */

/* ---- Pixels ------------------------------------------------------------------------------------------------------ */

static guint8 *
pixels_of (const TernReuse *reuse, guint patch)
{
  gsize side = reuse->vision->info.patch;

  return reuse->pixels + patch * 3 * side * side;
}

static const guint8 *
shown (const TernVisionState *state, guint patch, guint c)
{
  guint side = state->vision->info.patch, y = patch / state->grid_w * side, x = patch % state->grid_w * side;

  return state->rgb[c] + (gsize) y * state->width + x;
}

/* Sums of differences over the parts of a patch. */
static void
sum_parts (const guint8 *now, guint stride, const guint8 *then, guint side, gint sums[PARTS][PARTS])
{
  for (guint y = 0; y < side; y++, now += stride, then += side) {
    gint *row = sums[y * PARTS / side];

    for (guint part = 0, x = 0; part < PARTS; part++) {
      gint sum = 0;

      for (; x * PARTS < (part + 1) * side; x++)
        sum += now[x] - then[x];
      row[part] += sum;
    }
  }
}

/* Pixels of a patch with x * PARTS / side == part. */
static guint
part_pixels (guint side, guint part)
{
  return ((part + 1) * side + PARTS - 1) / PARTS - (part * side + PARTS - 1) / PARTS;
}

static float
measure_patch (const TernVisionState *state, guint patch)
{
  static const gint weights[3] = { 1, 2, 1 };
  guint side = state->vision->info.patch, c, i, k;
  gint sums[3][PARTS][PARTS] = { { { 0 } } };
  float most = 0;

  for (c = 0; c < 3; c++)
    sum_parts (shown (state, patch, c), state->width, pixels_of (state->reuse, patch) + c * (gsize) side * side, side, sums[c]);
  for (i = 0; i < PARTS; i++)
    for (k = 0; k < PARTS; k++) {
      guint n = part_pixels (side, i) * part_pixels (side, k);
      gint sum = 0;

      for (c = 0; c < 3; c++)
        sum += weights[c] * ABS (sums[c][i][k]);
      if (n > 0)
        most = MAX (most, (float) sum / (float) (4 * n));
    }
  return most;
}

/* By counting, in steps of 1/8. */
static float
median (const float *values, guint n)
{
  guint count[256 * 8] = { 0 }, seen = 0, bin = 0;

  for (guint i = 0; i < n; i++)
    count[(guint) (values[i] * 8)]++;
  while (seen + count[bin] <= n / 2)
    seen += count[bin++];
  return (float) bin / 8;
}

static void
mark_changed (const TernVisionState *state)
{
  TernReuse *reuse = state->reuse;
  float threshold = (float) reuse->options.threshold;

  for (guint i = 0; i < state->n; i++)
    reuse->change[i] = measure_patch (state, i);
  threshold = MIN (MAX (threshold, NOISE_TIMES * median (reuse->change, state->n)), NOISE_MOST * threshold);
  for (guint i = 0; i < state->n; i++)
    reuse->mask[i] = reuse->change[i] > threshold;
}

void
tern_reuse_take_pixels (const TernVisionState *state)
{
  const TernReuse *reuse = state->reuse;
  guint side = state->vision->info.patch, i, c, y;

  for (i = 0; i < reuse->n_rows; i++)
    for (c = 0; c < 3; c++)
      for (y = 0; y < side; y++)
        memcpy (pixels_of (reuse, reuse->rows[i]) + ((gsize) c * side + y) * side,
            shown (state, reuse->rows[i], c) + (gsize) y * state->width, side);
}

/* ---- Patches and tokens ------------------------------------------------------------------------------------------ */

/* To all neighbours. How many patches there are in the end. */
static guint
widen_mask (const TernVisionState *state)
{
  TernReuse *reuse = state->reuse;
  guint w = state->grid_w, h = state->grid_h, n = 0, x, y, ny, nx;

  memset (reuse->ring, 0, state->n);
  for (y = 0; y < h; y++)
    for (x = 0; x < w; x++)
      if (reuse->mask[y * w + x])
        for (ny = MAX (y, 1) - 1; ny <= MIN (y + 1, h - 1); ny++)
          for (nx = MAX (x, 1) - 1; nx <= MIN (x + 1, w - 1); nx++)
            reuse->ring[ny * w + nx] = TRUE;
  memcpy (reuse->mask, reuse->ring, state->n);
  for (x = 0; x < state->n; x++)
    n += reuse->mask[x];
  return n;
}

static guint
token_of (const TernVisionState *state, guint patch)
{
  guint factor = state->vision->info.factor, tokens = (state->grid_w + factor - 1) / factor;

  return patch / state->grid_w / factor * tokens + patch % state->grid_w / factor;
}

/* Tokens of which no patch is marked become probes, an even share of each part of the picture; then their patches are
 * marked. */
static void
add_probes (const TernVisionState *state, guint n_tokens)
{
  TernReuse *reuse = state->reuse;
  guint factor = state->vision->info.factor, columns = (state->grid_w + factor - 1) / factor, i;

  reuse->first_probe = (reuse->first_probe + 3) % TERN_REUSE_PROBE;
  for (i = 0; i < n_tokens; i++)
    reuse->probes[i] = (i % columns + 5 * (i / columns)) % TERN_REUSE_PROBE == reuse->first_probe;
  for (i = 0; i < state->n; i++)
    if (reuse->mask[i])
      reuse->probes[token_of (state, i)] = FALSE;
  for (i = 0; i < state->n; i++)
    reuse->mask[i] |= reuse->probes[token_of (state, i)];
}

static guint
list (const guint8 *mask, guint n, guint32 *rows, guint32 *at)
{
  guint found = 0;

  for (guint i = 0; i < n; i++) {
    at[i] = mask[i] ? found : TERN_REUSE_NONE;
    if (mask[i])
      rows[found++] = i;
  }
  return found;
}

void
tern_reuse_list (const TernVisionState *state)
{
  TernReuse *reuse = state->reuse;
  guint i;

  reuse->n_rows = list (reuse->mask, state->n, reuse->rows, reuse->at);
  memset (reuse->ring, 0, state->plan.sub[0].n_tokens);
  for (i = 0; i < reuse->n_rows; i++)
    reuse->ring[token_of (state, reuse->rows[i])] = TRUE;
  reuse->n_fresh = list (reuse->ring, state->plan.sub[0].n_tokens, reuse->fresh_rows, reuse->fresh_at);
}

gboolean
tern_reuse_mark (const TernVisionState *state)
{
  TernReuse *reuse = state->reuse;
  guint n;

  if (reuse->given_w == 0)
    mark_changed (state);
  else
    memcpy (reuse->mask, reuse->given, state->n);
  n = widen_mask (state);
  if (n > state->n / MOST_ROWS && !reuse->options.always)
    return FALSE;
  add_probes (state, state->plan.sub[0].n_tokens);
  return TRUE;
}
