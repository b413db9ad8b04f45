/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "compress/team-vla.h"

#include <math.h>

#include "compress/similar.h"
#include "engine/base/random.h"

/* ---- Stage 1: which tokens the instruction is about ---------------------------------------------------------------- */

static double
best_cosine (const float *token, const float *words, guint n_words, guint dim)
{
  double best = -1;

  for (guint j = 0; j < n_words; j++) {
    double s = tern_cosine (token, words + (gsize) j * dim, dim);

    if (s > best)               /* never with NaN */
      best = s;
  }
  return best;
}

static gboolean
beside_seed (const double *scores, guint rows, guint columns, guint at, double threshold)
{
  guint row = at / columns, column = at % columns;

  for (guint y = row > 0 ? row - 1 : 0; y <= MIN (row + 1, rows - 1); y++)
    for (guint x = column > 0 ? column - 1 : 0; x <= MIN (column + 1, columns - 1); x++)
      if (scores[y * columns + x] > threshold)
        return TRUE;
  return FALSE;
}

guint
tern_team_select (const float *tokens, guint rows, guint columns, const float *words, guint n_words, guint dim,
    double deviations, double context, guint64 seed, double *scratch, gint32 *keep)
{
  guint n = rows * columns, n_kept = 0;
  double mean = 0, variance = 0, threshold;
  TernRandom random = { seed };

  for (guint i = 0; i < n; i++) {
    scratch[i] = best_cosine (tokens + (gsize) i * dim, words, n_words, dim);
    mean += scratch[i] / n;
  }
  for (guint i = 0; i < n; i++)
    variance += (scratch[i] - mean) * (scratch[i] - mean) / n;
  threshold = mean + deviations * sqrt (variance);
  for (guint i = 0; i < n; i++) {
    /* Drawn for every token: what is a seed does not change the draw of others. */
    gboolean drawn = tern_random_below (&random, 1u << 24) < context * (1u << 24);

    if (drawn || beside_seed (scratch, rows, columns, i, threshold))
      keep[n_kept++] = (gint32) i;
  }
  return n_kept;
}

/* ---- Stage 2: what is left is spread over the anchors -------------------------------------------------------------- */

static double
inverse_rms (const float *row, guint dim)
{
  double sum = 0;

  for (guint d = 0; d < dim; d++)
    sum += (double) row[d] * row[d];
  return sum > 0 ? 1 / sqrt (sum / dim) : 0;
}

static void
spread (const float *anchors, guint n_anchors, const float *other, guint dim, float *weights, guint stride)
{
  double scale = inverse_rms (other, dim) / sqrt (dim), most = -G_MAXDOUBLE, sum = 0;

  for (guint i = 0; i < n_anchors; i++) {
    const float *anchor = anchors + (gsize) i * dim;
    double product = 0;

    for (guint d = 0; d < dim; d++)
      product += (double) anchor[d] * other[d];
    weights[(gsize) i * stride] = (float) (product * inverse_rms (anchor, dim) * scale);
    most = MAX (most, weights[(gsize) i * stride]);
  }
  for (guint i = 0; i < n_anchors; i++) {
    weights[(gsize) i * stride] = (float) exp (weights[(gsize) i * stride] - most);
    sum += weights[(gsize) i * stride];
  }
  for (guint i = 0; i < n_anchors; i++)
    weights[(gsize) i * stride] = (float) (weights[(gsize) i * stride] / sum);
}

void
tern_team_merge (float *anchors, guint n_anchors, const float *others, guint n_others, guint dim, float *weights)
{
  /* All weights are those of the anchors as they were. */
  for (guint j = 0; j < n_others; j++)
    spread (anchors, n_anchors, others + (gsize) j * dim, dim, weights + j, n_others);
  for (guint i = 0; i < n_anchors; i++) {
    float *anchor = anchors + (gsize) i * dim;
    double total = 1;

    for (guint j = 0; j < n_others; j++)
      total += weights[(gsize) i * n_others + j];
    for (guint d = 0; d < dim; d++) {
      double sum = anchor[d];

      for (guint j = 0; j < n_others; j++)
        sum += (double) weights[(gsize) i * n_others + j] * others[(gsize) j * dim + d];
      anchor[d] = (float) (sum / total);
    }
  }
}
