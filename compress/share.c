/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "compress/share.h"

#include <math.h>

#include "compress/similar.h"

/* The fractions that are left are given away largest first. */
static void
share_rest (const double *part, guint n, guint64 left, guint most, guint *out)
{
  gboolean given[TERN_COMPRESS_GROUP] = { FALSE };

  for (; left > 0; left--) {
    gint best = -1;

    for (guint i = 0; i < n; i++)
      if (!given[i] && out[i] < most && (best < 0 || part[i] > part[best]))
        best = (gint) i;
    if (best < 0)
      break;
    out[best]++;
    given[best] = TRUE;
  }
  /* Whoever has room: some were full before they had their share. */
  while (left > 0) {
    guint64 before = left;

    for (guint i = 0; i < n && left > 0; i++)
      if (out[i] < most) {
        out[i]++;
        left--;
      }
    if (left == before)
      return;
  }
}

void
tern_share (const double *weights, guint n, guint64 total, guint least, guint most, guint *out)
{
  double weight[TERN_COMPRESS_GROUP], part[TERN_COMPRESS_GROUP], sum = 0;
  guint64 left;

  g_assert (n <= TERN_COMPRESS_GROUP);
  total = MIN (total, (guint64) n * most);
  least = total < (guint64) n * least ? 0 : MIN (least, most);
  for (guint i = 0; i < n; i++) {
    weight[i] = weights[i] > 0 ? weights[i] : 0;
    sum += weights[i] == weights[i] ? weight[i] : NAN;
  }
  if (!(sum > 0) || isinf (sum)) {
    for (guint i = 0; i < n; i++)
      weight[i] = 1;
    sum = n;
  }
  left = total - (guint64) n * least;
  for (guint i = 0; i < n; i++)
    part[i] = weight[i] / sum * (double) (total - (guint64) n * least);
  for (guint i = 0; i < n; i++) {
    guint whole = (guint) MIN (floor (part[i]), (double) (most - least));

    out[i] = least + MIN (whole, left);
    left -= out[i] - least;
    part[i] -= floor (part[i]);
  }
  share_rest (part, n, left, most, out);
}

guint
tern_keep_lowest (TernScored *scored, guint n, guint k, gint32 *row)
{
  k = MIN (k, n);
  for (guint i = 0; i < n; i++)
    if (isnan (scored[i].score))
      scored[i].score = -G_MAXDOUBLE;
  tern_select_lowest (scored, n, k);
  for (guint i = 0; i < k; i++)
    row[i] = scored[i].index;
  tern_sort_positions (row, k);
  return k;
}

void
tern_softmax (const double *x, guint n, double temperature, double *out)
{
  double top = -G_MAXDOUBLE, sum = 0;

  for (guint i = 0; i < n; i++)
    top = MAX (top, x[i]);
  for (guint i = 0; i < n; i++)
    sum += out[i] = exp ((x[i] - top) / temperature);
  for (guint i = 0; i < n; i++)
    out[i] /= sum;
}

void
tern_mean_row (const float *rows, guint n, guint dim, double *out)
{
  for (guint d = 0; d < dim; d++)
    out[d] = 0;
  for (guint i = 0; i < n; i++)
    for (guint d = 0; d < dim; d++)
      out[d] += rows[(gsize) i * dim + d];
  for (guint d = 0; d < dim; d++)
    out[d] /= n;
}

void
tern_attended (const TernTokenGroup *group, guint f, double *room, double *out)
{
  guint n = group->n_tokens;

  for (guint j = 0; j < n; j++)
    out[j] = group->scores ? group->scores[(gsize) f * n + j] : 0;
  for (guint i = 0; i < n && !group->scores; i++) {
    double top = -G_MAXDOUBLE, sum = 0;

    for (guint j = 0; j < n; j++) {
      room[j] = tern_dot (tern_row (group, f, i), tern_row (group, f, j), group->dim) / sqrt (group->dim);
      top = MAX (top, room[j]);
    }
    for (guint j = 0; j < n; j++)
      sum += room[j] = exp (room[j] - top);
    for (guint j = 0; j < n; j++)
      out[j] += room[j] / sum / n;
  }
}
