/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Block-quantised weights, scalar: a few blocks at a time are unpacked and used for every token. One order of summation
 * serves few rows and many. */
#include "engine/kernels/versions.h"

#define PART 16                 /* sub-blocks: a multiple of 8 */

static inline gint32
half_dot (const gint8 *w, const gint8 *x)
{
  gint32 sum = 0;
  guint i;

  for (i = 0; i < 16; i++)
    sum += w[i] * x[i];
  return sum;
}

static inline float
block_dot (const TernUnpacked *w, const TernQ8Block *x)
{
  float low = w->d[0] * (float) half_dot (w->q, x->q) + w->m[0] * (float) x->half;
  float high = w->d[1] * (float) half_dot (w->q + 16, x->q + 16) + w->m[1] * (float) (x->sum - x->half);

  return x->d * (low + high);
}

static void
product (TernBlocks type, float *y, gsize ldy, const guint8 *w, gsize row_bytes, gsize rows, gsize blocks,
    const TernQ8Block *x, gsize ldx, gsize n)
{
  gsize step = tern_blocks_values (type) / 32, bytes = tern_blocks_bytes (type), r, t, b, i;
  TernUnpacked part[PART];

  for (r = 0; r < rows; r++) {
    for (t = 0; t < n; t++)
      y[t * ldy + r] = 0;
    for (b = 0; b < blocks; b += PART) {
      gsize count = MIN (PART, blocks - b);

      tern_blocks_unpack (type, part, w + r * row_bytes + b / step * bytes, count);
      for (t = 0; t < n; t++) {
        float sum = 0;

        for (i = 0; i < count; i++)
          sum += block_dot (&part[i], &x[t * ldx + b + i]);
        y[t * ldy + r] += sum;
      }
    }
  }
}

/* A function for each type: kernels carry no state. */
#define GEMM(name, type) \
  static TERN_DECL_GEMM_BLOCKS (gemm_##name##_c) \
  { product (TERN_BLOCKS_##type, y, ldy, w, row_bytes, rows, blocks, x, ldx, n); }

GEMM (q8_0, Q8_0)
GEMM (q4_0, Q4_0)
GEMM (q4_1, Q4_1)
GEMM (q5_0, Q5_0)
GEMM (q5_1, Q5_1)
GEMM (iq4_nl, IQ4_NL)
GEMM (q2_k, Q2_K)
GEMM (q3_k, Q3_K)
GEMM (q4_k, Q4_K)
GEMM (q5_k, Q5_K)
GEMM (q6_k, Q6_K)
GEMM (iq4_xs, IQ4_XS)

void
tern_blocks_init_c (TernKernels *k)
{
  k->gemm_blocks[TERN_BLOCKS_Q8_0] = gemm_q8_0_c;
  k->gemm_blocks[TERN_BLOCKS_Q4_0] = gemm_q4_0_c;
  k->gemm_blocks[TERN_BLOCKS_Q4_1] = gemm_q4_1_c;
  k->gemm_blocks[TERN_BLOCKS_Q5_0] = gemm_q5_0_c;
  k->gemm_blocks[TERN_BLOCKS_Q5_1] = gemm_q5_1_c;
  k->gemm_blocks[TERN_BLOCKS_IQ4_NL] = gemm_iq4_nl_c;
  k->gemm_blocks[TERN_BLOCKS_Q2_K] = gemm_q2_k_c;
  k->gemm_blocks[TERN_BLOCKS_Q3_K] = gemm_q3_k_c;
  k->gemm_blocks[TERN_BLOCKS_Q4_K] = gemm_q4_k_c;
  k->gemm_blocks[TERN_BLOCKS_Q5_K] = gemm_q5_k_c;
  k->gemm_blocks[TERN_BLOCKS_Q6_K] = gemm_q6_k_c;
  k->gemm_blocks[TERN_BLOCKS_IQ4_XS] = gemm_iq4_xs_c;
}
