/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* CDPruner: Q. Zhang et al., "Beyond Attention or Similarity: Maximizing Conditional Diversity for Token Pruning in MLLMs",
 * arXiv:2506.10967, section 3; read beside Theia-4869/CDPruner @ ed9c12d.
 *
 * Of each frame those tokens stay whose kernel has the largest determinant: a determinantal point process, whose kernel is the
 * cosine of two tokens times the relevance of each to the question, and which is solved greedily. The relevance is that of the
 * tower's own text encoder, which comes with none of our towers: here every token is as relevant as any other.
 *
 * With cosines for a kernel the greedy step is that of a QR factorisation with pivots: of tokens brought to length 1 the one
 * whose part at right angles to all chosen before is longest. */
#include "compress/share.h"

#include <math.h>

#define NOTHING 1e-10           /* a squared length that is rounding alone */
#define ALIKE 1e-12             /* so is the difference of two */

/* [n][dim] what is left of the tokens, [n] their squared lengths, [n] marks */
static gsize
cdpruner_scratch (guint n_tokens, guint dim)
{
  return (gsize) n_tokens * (((gsize) dim + 1) * sizeof (double) + 1);
}

static double
measure (const double *row, guint dim)
{
  double sum = 0;

  for (guint d = 0; d < dim; d++)
    sum += row[d] * row[d];
  return sum;
}

static void
load (const TernTokenGroup *group, guint f, double *rest, double *length)
{
  guint dim = tern_main (group);

  for (guint i = 0; i < group->n_tokens; i++) {
    double *row = rest + (gsize) i * dim, norm;

    for (guint d = 0; d < dim; d++)
      row[d] = tern_row (group, f, i)[d];
    norm = sqrt (measure (row, dim));
    for (guint d = 0; d < dim; d++)
      row[d] /= norm > 0 ? norm : 1;
    length[i] = measure (row, dim);
  }
}

/* The longest that was not taken; NaN last, ties at the lower place. */
static guint
pick (const double *length, const guint8 *taken, guint n)
{
  guint best = n;
  double most = -1;

  for (guint i = 0; i < n; i++) {
    double own = length[i] > NOTHING ? length[i] : 0;

    if (!taken[i] && (best == n || own > most + ALIKE)) {
      best = i;
      most = own;
    }
  }
  return best;
}

/* Takes what lies along row @j out of all others. */
static void
take_out (double *rest, double *length, const guint8 *taken, guint j, guint n, guint dim)
{
  const double *chosen = rest + (gsize) j * dim;

  if (!(length[j] > NOTHING))
    return;
  for (guint i = 0; i < n; i++) {
    double *row = rest + (gsize) i * dim, along = 0;

    if (taken[i])
      continue;
    for (guint d = 0; d < dim; d++)
      along += row[d] * chosen[d];
    for (guint d = 0; d < dim; d++)
      row[d] -= along / length[j] * chosen[d];
    length[i] = measure (row, dim);
  }
}

static void
cdpruner_select (const TernCompressParams *params, const TernTokenGroup *group, void *scratch, gint32 *keep, guint *n_keep)
{
  guint n = group->n_tokens;
  double *rest = scratch, *length = rest + (gsize) n * tern_main (group);
  guint8 *taken = (guint8 *) (length + n);

  tern_share_equally (params, group, n_keep);
  for (guint f = 0; f < group->n_frames; f++) {
    gint32 *row = keep + (gsize) f * n;

    load (group, f, rest, length);
    for (guint i = 0; i < n; i++)
      taken[i] = 0;
    for (guint k = 0; k < n_keep[f]; k++) {
      guint j = pick (length, taken, n);

      taken[j] = 1;
      row[k] = (gint32) j;
      take_out (rest, length, taken, j, n, tern_main (group));
    }
    tern_sort_positions (row, n_keep[f]);
  }
}

const TernCompressMethod tern_compress_cdpruner = {
  .name = "cdpruner",
  .about = "CDPruner without a question: the most various tokens of each frame",
  .needs = TERN_COMPRESS_NEEDS_TOKENS,
  .scratch = cdpruner_scratch,
  .bound = tern_compress_budget,
  .select = cdpruner_select,
};
