/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What state-space layers do beside products, scalar. */
#include <math.h>

#include "engine/kernels/versions.h"

/* Through the exponential of -|x|, which cannot overflow. */
static TERN_DECL_SOFTPLUS (softplus_c)
{
  gsize i;

  for (i = 0; i < n; i++) {
    float v = x[i] + bias[i];

    x[i] = (v < 0.0f ? 0.0f : v) + log1pf (expf (-fabsf (v)));
  }
}

static TERN_DECL_EXP (exp_c)
{
  gsize i;

  for (i = 0; i < n; i++)
    x[i] = expf (x[i]);
}

static TERN_DECL_SSM_SCAN (ssm_scan_c)
{
  gsize t, s, ch;

  for (t = 0; t < n; t++)
    for (ch = 0; ch < channels; ch++) {
      float xv = x[t * ldx + ch], delta = dt[t * ldx + ch], sum = d[ch] * xv;

      for (s = 0; s < states; s++) {
        gsize at = s * ldh + ch;

        h[at] = expf (delta * a[at]) * (t ? h[at] : from[at]) + delta * xv * b[t * ldb + s];
        sum += c[t * ldb + s] * h[at];
      }
      y[t * ldx + ch] = sum;
    }
}

static TERN_DECL_SSD_STEP (ssd_step_c)
{
  gsize s, i;

  for (i = 0; i < channels; i++) {
    float sum = d * x[i];

    for (s = 0; s < states; s++) {
      gsize at = s * channels + i;

      h[at] = decay * from[at] + dt * x[i] * b[s];
      sum += c[s] * h[at];
    }
    y[i] = sum;
  }
}

static TERN_DECL_SSD_MASK (ssd_mask_c)
{
  gsize i, j;

  for (i = 0; i < n; i++)
    for (j = 0; j < n; j++)
      m[i * ldm + j] = j > i ? 0.0f
          : s[i * lds + j] * expf ((high[i] - high[j]) + (low[i] - low[j])) * dt[j];
}

void
tern_ssm_init_c (TernKernels *k)
{
  k->softplus = softplus_c;
  k->exp = exp_c;
  k->ssm_scan = ssm_scan_c;
  k->ssd_step = ssd_step_c;
  k->ssd_mask = ssd_mask_c;
}
