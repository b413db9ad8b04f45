/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Float matrix products, scalar. Four sums side by side: one alone would wait for each addition. */
#include "engine/kernels/versions.h"

static inline float
dot_f32 (const float *w, const float *x, gsize cols)
{
  float s0 = 0, s1 = 0, s2 = 0, s3 = 0;
  gsize c;

  for (c = 0; c + 4 <= cols; c += 4) {
    s0 += w[c] * x[c];
    s1 += w[c + 1] * x[c + 1];
    s2 += w[c + 2] * x[c + 2];
    s3 += w[c + 3] * x[c + 3];
  }
  for (; c < cols; c++)
    s0 += w[c] * x[c];
  return (s0 + s1) + (s2 + s3);
}

static TERN_DECL_GEMM_F32 (gemm_f32_c)
{
  gsize r, t;

  for (r = 0; r < rows; r++) {
    for (t = 0; t < n; t++)
      y[t * ldy + r] = dot_f32 (w + r * ldw, x + t * ldx, cols);
  }
}

static TERN_DECL_GEMM_F16 (gemm_f16_c)
{
  enum { PART = 256 };
  float row[PART];
  gsize r, t, c0, c;

  for (r = 0; r < rows; r++) {
    for (t = 0; t < n; t++)
      y[t * ldy + r] = 0;
    for (c0 = 0; c0 < cols; c0 += PART) {
      gsize part = MIN (PART, cols - c0);

      for (c = 0; c < part; c++)
        row[c] = tern_f16_to_f32 (w[r * ldw + c0 + c]);
      for (t = 0; t < n; t++)
        y[t * ldy + r] += dot_f32 (row, x + t * ldx + c0, part);
    }
  }
}

static TERN_DECL_GEMM_NN (gemm_nn_c)
{
  gsize t, k, c;

  for (t = 0; t < n; t++) {
    for (c = 0; c < cols; c++)
      y[t * ldy + c] = 0;
    for (k = 0; k < depth; k++) {
      for (c = 0; c < cols; c++)
        y[t * ldy + c] += a[t * lda + k] * b[k * ldb + c];
    }
  }
}

void
tern_gemm_init_c (TernKernels *k)
{
  k->gemm_f32 = gemm_f32_c;
  k->gemm_f16 = gemm_f16_c;
  k->gemm_nn = gemm_nn_c;
}
