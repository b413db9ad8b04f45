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

TERN_EACH_BLOCKS (GEMM)

void
tern_blocks_init_c (TernKernels *k)
{
#define SET(name, type) k->gemm_blocks[TERN_BLOCKS_##type] = gemm_##name##_c;
  TERN_EACH_BLOCKS (SET)
#undef SET
}
