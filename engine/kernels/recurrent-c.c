/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* States that go on from token to token, scalar. */
#include <math.h>

#include "engine/kernels/versions.h"

/* Value @k of the l - 1 + n rows that begin with the state's. */
static inline float
row_at (const float *from, gsize lds, const float *x, gsize ldx, gsize before, gsize k)
{
  return k < before ? from[k * lds] : x[(k - before) * ldx];
}

static TERN_DECL_CONV_SILU (conv_silu_c)
{
  gsize before = l - 1, c, t, k;

  for (c = 0; c < channels; c++) {
    for (t = 0; t < n; t++) {
      float sum = bias ? bias[c] : 0;

      for (k = 0; k < l; k++)
        sum += taps[k * ldtaps + c] * row_at (from + c, lds, x + c, ldx, before, t + k);
      y[t * ldy + c] = sum / (1.0f + expf (-sum));
    }
    /* Ascending: what is overwritten has been read. */
    for (k = 0; k < before; k++)
      to[k * lds + c] = row_at (from + c, lds, x + c, ldx, before, n + k);
  }
}

/* Column @j of the state over one token. */
static void
delta_column (float *o, float *to, const float *from, const float *q, const float *k, float v, float decay, float beta,
    gsize keys, gsize values)
{
  float read = 0, u, sum = 0;
  gsize i;

  for (i = 0; i < keys; i++)
    read += k[i] * from[i * values];
  u = beta * (v - decay * read);
  for (i = 0; i < keys; i++) {
    float s = decay * from[i * values] + k[i] * u;

    to[i * values] = s;
    sum += q[i] * s;
  }
  *o = sum;
}

static TERN_DECL_DELTA_RULE (delta_rule_c)
{
  gsize j, t;

  for (j = 0; j < values; j++)
    for (t = 0; t < n; t++)
      delta_column (o + t * ldo + j, to + j, (t ? to : from) + j, q + t * ldqk, k + t * ldqk, v[t * ldv + j], decay[t * ldg],
          beta[t * ldg], keys, values);
}

void
tern_recurrent_init_c (TernKernels *k)
{
  k->conv_silu = conv_silu_c;
  k->delta_rule = delta_rule_c;
}
