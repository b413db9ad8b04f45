/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "compress/share.h"

#include <math.h>

#include "compress/similar.h"

/* The fractions that are left are given away largest first. */
static void
share_rest (const double *part, guint n, guint64 left, const guint *most, guint *out)
{
  gboolean given[TERN_SHARES_MAX] = { FALSE };

  for (; left > 0; left--) {
    gint best = -1;

    for (guint i = 0; i < n; i++)
      if (!given[i] && out[i] < most[i] && (best < 0 || part[i] > part[best]))
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
      if (out[i] < most[i]) {
        out[i]++;
        left--;
      }
    if (left == before)
      return;
  }
}

void
tern_share_within (const double *weights, guint n, guint64 total, guint least, const guint *most, guint *out)
{
  double weight[TERN_SHARES_MAX], part[TERN_SHARES_MAX], sum = 0;
  guint64 room = 0, left;

  g_assert (n <= TERN_SHARES_MAX);
  for (guint i = 0; i < n; i++) {
    weight[i] = weights[i] > 0 ? weights[i] : 0;
    sum += weights[i] == weights[i] ? weight[i] : NAN;
    room += most[i];
    least = MIN (least, most[i]);
  }
  total = MIN (total, room);
  least = total < (guint64) n * least ? 0 : least;
  if (!(sum > 0) || isinf (sum)) {
    for (guint i = 0; i < n; i++)
      weight[i] = 1;
    sum = n;
  }
  left = total - (guint64) n * least;
  for (guint i = 0; i < n; i++)
    part[i] = weight[i] / sum * (double) (total - (guint64) n * least);
  for (guint i = 0; i < n; i++) {
    guint whole = (guint) MIN (floor (part[i]), (double) (most[i] - least));

    out[i] = least + (guint) MIN (whole, left);
    left -= out[i] - least;
    part[i] -= floor (part[i]);
  }
  share_rest (part, n, left, most, out);
}

void
tern_share (const double *weights, guint n, guint64 total, guint least, guint most, guint *out)
{
  guint all[TERN_SHARES_MAX];

  for (guint i = 0; i < n; i++)
    all[i] = most;
  tern_share_within (weights, n, total, least, all, out);
}

void
tern_share_equally (const TernCompressParams *params, const TernTokenGroup *group, guint *out)
{
  static const double equal[TERN_COMPRESS_GROUP] = { 1, 1, 1, 1 };

  tern_share (equal, group->n_frames, tern_compress_budget (params, group->n_frames, group->n_tokens), 1,
      tern_compress_cap (params, group->n_tokens), out);
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
tern_mean_row (const float *rows, guint n, guint stride, guint dim, double *out)
{
  for (guint d = 0; d < dim; d++)
    out[d] = 0;
  for (guint i = 0; i < n; i++)
    for (guint d = 0; d < dim; d++)
      out[d] += rows[(gsize) i * stride + d];
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
      room[j] = tern_dot (tern_row (group, f, i), tern_row (group, f, j), tern_main (group)) / sqrt (tern_main (group));
      top = MAX (top, room[j]);
    }
    for (guint j = 0; j < n; j++)
      sum += room[j] = exp (room[j] - top);
    for (guint j = 0; j < n; j++)
      out[j] += room[j] / sum / n;
  }
}
