/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Ternary matrices with scales for runs of columns, scalar. */
#include <math.h>

#include "engine/kernels/versions.h"

/* Sixteen columns of a row: the digits are one too large. */
static inline gint32
step_dot (const guint8 *w, const gint8 *x)
{
  gint32 sum = 0;
  guint b, k;

  for (b = 0; b < 4; b++) {
    for (k = 0; k < 4; k++)
      sum += ((w[b] >> (2 * k) & 3) - 1) * x[b + 4 * k];
  }
  return sum;
}

static float
row_dot (const guint8 *panel, gsize row, gsize groups, guint parts, const gint8 *x)
{
  const guint8 *digits = panel + tern_t2s_head (groups, parts) + row * 4, *scale = panel + row * 2;
  gsize steps = TERN_T2_COLS / 16 / parts, run, s;
  float sum = 0;

  for (run = 0; run < groups * parts; run++, scale += TERN_T2S_RUN) {
    gint32 acc = 0;

    for (s = 0; s < steps; s++, digits += 64, x += 16)
      acc += step_dot (digits, x);
    sum = fmaf ((float) acc, tern_f16_to_f32 ((guint16) (scale[0] | scale[1] << 8)), sum);
  }
  return sum;
}

static TERN_DECL_GEMM_T2S (gemm_t2s_c)
{
  gsize r, t;

  for (r = 0; r < rows; r++) {
    const guint8 *panel = w + r / TERN_T2_ROWS * tern_t2s_panel (groups, parts);

    for (t = 0; t < n; t++)
      y[t * ldy + r] = row_dot (panel, r % TERN_T2_ROWS, groups, parts, x + t * ldx) * xscale[t];
  }
}

void
tern_scaled_init_c (TernKernels *k)
{
  k->gemm_t2s = gemm_t2s_c;
  k->gemm_t3s = NULL;
}
