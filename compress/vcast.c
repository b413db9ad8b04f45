/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* V-CAST: X. Lin et al., "V-CAST: Video Curvature-Aware Spatio-Temporal Pruning for Efficient Video Large Language Models",
 * arXiv:2603.27650, section 3; read beside xinyouu/V-CAST @ c672e67.
 *
 * A frame is the mean of its tokens, brought to length 1. Its curvature is 1 - cos of the way to it and the way on from it,
 * 1 for the first and the last; softmax (curvature / 0.7) over the frames shares the budget among them, at least one token
 * each. In a frame those tokens stay, at their places, that are highest in (1 - cos with the frame) + (norm brought to 0..1).
 * The paper has all frames of the video, here it is a group. */
#include "compress/share.h"

#include <math.h>

#include "compress/similar.h"

#define TEMPERATURE 0.7
#define EPSILON 1e-6

/* [n] scores, [n] norms, [4][dim] frames */
static gsize
vcast_scratch (guint n_tokens, guint dim)
{
  return n_tokens * (sizeof (TernScored) + sizeof (double)) + (gsize) TERN_COMPRESS_GROUP * dim * sizeof (double);
}

static void
normalise (double *row, guint dim)
{
  double sum = 0;

  for (guint d = 0; d < dim; d++)
    sum += row[d] * row[d];
  sum = MAX (sqrt (sum), EPSILON);
  for (guint d = 0; d < dim; d++)
    row[d] /= sum;
}

/* 1 - cos of the ways b - a and c - b. */
static double
turn (const double *a, const double *b, const double *c, guint dim)
{
  double io = 0, ii = 0, oo = 0;

  for (guint d = 0; d < dim; d++) {
    double in = b[d] - a[d], out = c[d] - b[d];

    io += in * out;
    ii += in * in;
    oo += out * out;
  }
  return 1 - io / (MAX (sqrt (ii), EPSILON) * MAX (sqrt (oo), EPSILON));
}

static void
share_frames (const TernCompressParams *params, const TernTokenGroup *group, const double *means, guint *count)
{
  double curvature[TERN_COMPRESS_GROUP], weight[TERN_COMPRESS_GROUP];
  guint n = group->n_frames, dim = tern_main (group);

  for (guint f = 0; f < n; f++)
    curvature[f] = f == 0 || f + 1 == n ? 1
        : turn (means + (f - 1) * (gsize) dim, means + f * (gsize) dim, means + (f + 1) * (gsize) dim, dim);
  tern_softmax (curvature, n, TEMPERATURE, weight);
  tern_share (weight, n, tern_compress_budget (params, n, group->n_tokens), 1, tern_compress_cap (params, group->n_tokens),
      count);
}

static void
score_frame (const TernTokenGroup *group, guint f, const double *mean, double *norm, TernScored *scored)
{
  double least = G_MAXDOUBLE, most = -G_MAXDOUBLE;
  guint n = group->n_tokens;

  for (guint i = 0; i < n; i++) {
    const float *row = tern_row (group, f, i);

    norm[i] = sqrt (tern_dot (row, row, tern_main (group)));
    least = MIN (least, norm[i]);
    most = MAX (most, norm[i]);
  }
  for (guint i = 0; i < n; i++) {
    double outlier = 1 - tern_cosine_to (tern_row (group, f, i), mean, tern_main (group));

    scored[i] = (TernScored) { .score = -(outlier + (norm[i] - least) / (most - least + EPSILON)), .index = (gint32) i };
  }
}

static void
vcast_select (const TernCompressParams *params, const TernTokenGroup *group, void *scratch, gint32 *keep, guint *n_keep)
{
  guint n = group->n_tokens, dim = tern_main (group), count[TERN_COMPRESS_GROUP];
  TernScored *scored = scratch;
  double *norm = (double *) (scored + n), *means = norm + n;

  for (guint f = 0; f < group->n_frames; f++) {
    tern_mean_row (tern_frame (group, f), n, group->dim, dim, means + (gsize) f * dim);
    normalise (means + (gsize) f * dim, dim);
  }
  share_frames (params, group, means, count);
  for (guint f = 0; f < group->n_frames; f++) {
    score_frame (group, f, means + (gsize) f * dim, norm, scored);
    n_keep[f] = tern_keep_lowest (scored, n, count[f], keep + (gsize) f * n);
  }
}

const TernCompressMethod tern_compress_vcast = {
  .name = "v-cast",
  .about = "V-CAST: more tokens for frames where the video turns, outliers of each frame",
  .needs = TERN_COMPRESS_NEEDS_TOKENS,
  .scratch = vcast_scratch,
  .bound = tern_compress_budget,
  .select = vcast_select,
};
