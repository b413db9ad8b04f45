/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "compress/cluster.h"

#include <math.h>

gsize
tern_cluster_scratch (guint n)
{
  return (gsize) n * (sizeof (TernScored) + sizeof (double));
}

static double
distance (const float *a, const float *b, guint dim)
{
  double sum = 0;

  for (guint d = 0; d < dim; d++) {
    double off = (double) a[d] - b[d];

    sum += off * off;
  }
  return sum / dim;
}

/* exp (-mean of the k least squared distances of row @i); *@widest: the largest squared distance so far. */
static double
density_of (const float *const *rows, guint n, guint i, guint dim, guint k, double *widest)
{
  double nearest[TERN_CLUSTER_NEAREST], sum = 0;
  guint found = 0;

  for (guint j = 0; j < n; j++) {
    double d = distance (rows[i], rows[j], dim);
    guint at;

    *widest = d > *widest ? d : *widest;
    if (found == k && !(d < nearest[k - 1]))
      continue;
    for (at = found < k ? found++ : k - 1; at > 0 && d < nearest[at - 1]; at--)
      nearest[at] = nearest[at - 1];
    nearest[at] = d;
  }
  for (guint j = 0; j < found; j++)
    sum += nearest[j];
  return exp (-sum / found);
}

void
tern_cluster_centres (const float *const *rows, guint n, guint dim, guint k, guint n_centres, void *scratch, gint32 *centres)
{
  TernScored *scored = scratch;
  double *density = (double *) (scored + n), widest = 0;

  k = MIN (MIN (k, n), TERN_CLUSTER_NEAREST);
  for (guint i = 0; i < n; i++)
    density[i] = density_of (rows, n, i, dim, k, &widest);
  for (guint i = 0; i < n; i++) {
    double delta = widest, score;

    for (guint j = 0; j < n; j++)
      if (density[j] > density[i] || (density[j] == density[i] && j < i)) {
        double d = distance (rows[i], rows[j], dim);

        delta = d < delta ? d : delta;
      }
    score = density[i] * sqrt (delta);
    scored[i] = (TernScored) { .score = isnan (score) ? -G_MAXDOUBLE : -score, .index = (gint32) i };
  }
  tern_select_lowest (scored, n, n_centres);
  for (guint c = 0; c < n_centres; c++)
    centres[c] = scored[c].index;
}

void
tern_cluster_join (const float *const *rows, guint n, guint dim, const gint32 *centres, guint n_centres, guint *joined)
{
  for (guint i = 0; i < n; i++) {
    double best = INFINITY;

    joined[i] = 0;
    for (guint c = 0; c < n_centres; c++) {
      double d = distance (rows[i], rows[centres[c]], dim);

      if (d < best) {
        best = d;
        joined[i] = c;
      }
    }
  }
  for (guint c = 0; c < n_centres; c++)
    joined[centres[c]] = c;
}
