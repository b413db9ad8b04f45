/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Ternary matrices with SMLAL: four 16-bit sums a row, one of each column of a word. */
#include "engine/kernels/arm/vec-neon.h"
#include "engine/kernels/arm/ternary.inc"

#define TILE_TOKENS 5           /* 20 sums, 2 of digits, 1 of activations, 2 of packed weights, 1 mask of 32 registers */

/* A 16-bit sum takes 16 steps of 4 products of at most 2 * 128. */
#define STEPS_OF_16BIT 16

/* Eight rows and @tokens tokens, a constant. The 32-bit sums, two a row, stay in memory, which the 16-bit ones seldom
 * visit. */
static ALWAYS_INLINE void
tile (const guint tokens, float *y, gsize ldy, const guint8 *w, gsize rows, gsize groups, float wscale, const gint8 *x,
    gsize ldx, const float *xscale, const gint32 *xsum)
{
  int32x4_t wide[TILE_TOKENS][4];
  gsize s, next;
  guint t, k, i;

  memset (wide, 0, tokens * sizeof wide[0]);
  for (s = 0; s < groups * STEPS; s = next) {
    int16x8_t sum[TILE_TOKENS][4];

    next = MIN (s + STEPS_OF_16BIT, groups * STEPS);
#pragma GCC unroll 5
    for (t = 0; t < tokens; t++) {
#pragma GCC unroll 4
      for (i = 0; i < 4; i++)
        sum[t][i] = vdupq_n_s16 (0);
    }
    for (; s < next; s++) {
      uint8x16_t v0 = vld1q_u8 (w + s * 64), v1 = vld1q_u8 (w + s * 64 + 16);

#pragma GCC unroll 4
      for (k = 0; k < 4; k++) {
        int8x16_t d0 = digits (v0, k), d1 = digits (v1, k);

#pragma GCC unroll 5
        for (t = 0; t < tokens; t++) {
          int8x16_t four = broadcast4 (x + t * ldx + s * 16 + k * 4);

          sum[t][0] = vmlal_s8 (sum[t][0], vget_low_s8 (d0), vget_low_s8 (four));
          sum[t][1] = vmlal_high_s8 (sum[t][1], d0, four);
          sum[t][2] = vmlal_s8 (sum[t][2], vget_low_s8 (d1), vget_low_s8 (four));
          sum[t][3] = vmlal_high_s8 (sum[t][3], d1, four);
        }
      }
    }
#pragma GCC unroll 5
    for (t = 0; t < tokens; t++) {
#pragma GCC unroll 4
      for (i = 0; i < 4; i++)
        wide[t][i] = vpadalq_s16 (wide[t][i], sum[t][i]);
    }
  }

  for (t = 0; t < tokens; t++) {
    for (i = 0; i < 2 && rows > i * VL; i++)
      store_rows (y + t * ldy + i * VL, rows - i * VL, vpaddq_s32 (wide[t][2 * i], wide[t][2 * i + 1]), xscale[t],
          xsum[t], wscale);
  }
}

static TERN_DECL_GEMM_T2 (gemm_t2_neon)
{
  gsize r, t, tokens;

  for (r = 0; r < rows; r += 8, w += r % TERN_T2_ROWS ? 32 : groups * TERN_T2_BYTES - 32) {
    for (t = 0; t < n; t += tokens) {
      /* Tiles of one size, or one less: the smallest wait for their few sums. */
      tokens = (n - t + TILE_TOKENS - 1) / TILE_TOKENS;
      tokens = (n - t + tokens - 1) / tokens;
      switch (tokens) {
#define CASE(T) case T: tile (T, y + t * ldy + r, ldy, w, rows - r, groups, wscale, x + t * ldx, ldx, xscale + t, \
    xsum + t); break;
        CASE (1) CASE (2) CASE (3) CASE (4) CASE (5)
#undef CASE
      }
    }
  }
}

void
tern_ternary_init_neon (TernKernels *k)
{
  k->gemm_t2 = gemm_t2_neon;
}
