/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What methods have in common: how many tokens each frame keeps of a budget, and the best of a frame in the order of their
 * places. Nothing here depends on chance: the same tokens give the same choice on every machine. */
#pragma once

#include "compress/compress.h"
#include "compress/select.h"

/* @total over @n parts by @weights: each gets @least (0 where that would be too much), at most @most, and a share of the rest
 * by its weight; what rounding leaves goes to the largest fractions first, then to whoever has room. Sums to the lesser of
 * @total and @n @most. Weights below 0 count as 0, and as equal where they sum to none or one is no number. n <=
 * TERN_COMPRESS_GROUP. */
void tern_share (const double *weights, guint n, guint64 total, guint least, guint most, guint *out);
/* The same with each part's own most. n <= TERN_SHARES_MAX. */
void tern_share_within (const double *weights, guint n, guint64 total, guint least, const guint *most, guint *out);
#define TERN_SHARES_MAX (2 * TERN_COMPRESS_GROUP)
/* Every frame the same part of the budget, but for rounding; at least one token each where it is enough. */
void tern_share_equally (const TernCompressParams *params, const TernTokenGroup *group, guint *out);

/* The @k lowest of @scored [n], ties at the lower place, to @row in ascending order; returns k. NaN counts as lowest. */
guint tern_keep_lowest (TernScored *scored, guint n, guint k, gint32 *row);

/* exp (x / @temperature) over their sum; n <= TERN_COMPRESS_GROUP. */
void tern_softmax (const double *x, guint n, double temperature, double *out);

/* Mean of the first @dim floats of @n rows, @stride apart. */
void tern_mean_row (const float *rows, guint n, guint stride, guint dim, double *out);

/* How much is attended to each token of frame @f, [n_tokens]: what the vision tower says, or, where it says nothing, what
 * the tokens would say of each other: the mean over all tokens i of softmax_j (x_i . x_j / sqrt (dim)). @room: [n_tokens]. */
void tern_attended (const TernTokenGroup *group, guint f, double *room, double *out);

static inline const float *
tern_frame (const TernTokenGroup *group, guint f)
{
  return group->tokens + (gsize) f * group->n_tokens * group->dim;
}

/* Floats of a row that tell how like two tokens are, the token itself. What stands behind it (DeepStack) is made of the same patch
 * by the same tower, so it changes when the token does: it goes where the row goes, and means are of it as well. So a method
 * chooses as its paper has it, and of a model without it the same. */
static inline guint
tern_main (const TernTokenGroup *group)
{
  return group->main ? group->main : group->dim;
}

static inline const float *
tern_row (const TernTokenGroup *group, guint f, guint i)
{
  return tern_frame (group, f) + (gsize) i * group->dim;
}
