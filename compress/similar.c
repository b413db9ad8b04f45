/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "compress/similar.h"

#include <math.h>

#define LANES 8

/* Sums of products in a fixed order, whatever the compiler vectorises: the same tokens are kept on every machine. */
double
tern_cosine (const float *a, const float *b, guint n)
{
  double ab[LANES] = { 0 }, aa[LANES] = { 0 }, bb[LANES] = { 0 };
  double sab = 0, saa = 0, sbb = 0;
  guint i = 0;

  for (; i + LANES <= n; i += LANES)
    for (guint j = 0; j < LANES; j++) {
      double x = a[i + j], y = b[i + j];

      ab[j] += x * y;
      aa[j] += x * x;
      bb[j] += y * y;
    }
  for (guint j = 0; i < n; i++, j++) {
    double x = a[i], y = b[i];

    ab[j] += x * y;
    aa[j] += x * x;
    bb[j] += y * y;
  }
  for (guint j = 0; j < LANES; j++) {
    sab += ab[j];
    saa += aa[j];
    sbb += bb[j];
  }

  /* A zero token is like no other. The root of the product, not the product of the roots: equal rows give exactly 1,
   * so that a still picture ties everywhere and the lowest places are kept. */
  if (!(saa > 0) || !(sbb > 0))
    return 0;
  return sab / sqrt (saa * sbb);
}

double
tern_dot (const float *a, const float *b, guint n)
{
  double ab[LANES] = { 0 }, sum = 0;
  guint i = 0;

  for (; i + LANES <= n; i += LANES)
    for (guint j = 0; j < LANES; j++)
      ab[j] += (double) a[i + j] * b[i + j];
  for (guint j = 0; i < n; i++, j++)
    ab[j] += (double) a[i] * b[i];
  for (guint j = 0; j < LANES; j++)
    sum += ab[j];
  return sum;
}

double
tern_cosine_to (const float *a, const double *b, guint n)
{
  double ab = 0, aa = 0, bb = 0;

  for (guint i = 0; i < n; i++) {
    ab += a[i] * b[i];
    aa += (double) a[i] * a[i];
    bb += b[i] * b[i];
  }
  if (!(aa > 0) || !(bb > 0))
    return 0;
  return ab / sqrt (aa * bb);
}

void
tern_similarities (const float *a, const float *b, guint n_tokens, guint stride, guint dim, TernScored *out)
{
  for (guint i = 0; i < n_tokens; i++) {
    double s = tern_cosine (a + (gsize) i * stride, b + (gsize) i * stride, dim);

    /* NaN rows (a broken encoder) rank as dissimilar: the order stays total. */
    out[i] = (TernScored) { .score = isnan (s) ? -G_MAXDOUBLE : s, .index = (gint32) i };
  }
}
