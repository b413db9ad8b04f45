/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Ternary matrices with SDOT by element: one lane a row, four columns an instruction; sixteen activations in a vector
 * serve the four digits of a byte. */
#include "engine/kernels/arm/vec-dotprod.h"
#include "engine/kernels/arm/ternary.inc"

#define TILE_TOKENS 8           /* 16 sums, 4 of digits, 2 of packed weights, 1 of activations, 1 mask: ten spill */

/* Eight rows and @tokens tokens, a constant. */
static ALWAYS_INLINE void
tile (const guint tokens, float *y, gsize ldy, const guint8 *w, gsize rows, gsize groups, float wscale, const gint8 *x,
    gsize ldx, const float *xscale, const gint32 *xsum)
{
  int32x4_t sum[TILE_TOKENS][2];
  gsize s;
  guint t, k;

#pragma GCC unroll 8
  for (t = 0; t < tokens; t++)
    sum[t][0] = sum[t][1] = vdupq_n_s32 (0);
  for (s = 0; s < groups * STEPS; s++) {
    uint8x16_t v0 = vld1q_u8 (w + s * 64), v1 = vld1q_u8 (w + s * 64 + 16);

#pragma GCC unroll 2
    for (k = 0; k < 4; k += 2) {
      int8x16_t d0 = digits (v0, k), d1 = digits (v1, k), e0 = digits (v0, k + 1), e1 = digits (v1, k + 1);

#pragma GCC unroll 8
      for (t = 0; t < tokens; t++) {
        int8x8_t eight = vld1_s8 (x + t * ldx + s * 16 + k * 4);

        sum[t][0] = vdotq_lane_s32 (sum[t][0], d0, eight, 0);
        sum[t][1] = vdotq_lane_s32 (sum[t][1], d1, eight, 0);
        sum[t][0] = vdotq_lane_s32 (sum[t][0], e0, eight, 1);
        sum[t][1] = vdotq_lane_s32 (sum[t][1], e1, eight, 1);
      }
    }
  }
#pragma GCC unroll 8
  for (t = 0; t < tokens; t++) {
    store_rows (y + t * ldy, rows, sum[t][0], xscale[t], xsum[t], wscale);
    if (rows > VL)
      store_rows (y + t * ldy + VL, rows - VL, sum[t][1], xscale[t], xsum[t], wscale);
  }
}

/* A panel and one token. Digits but the last stay where they are in their bytes, which saves the shifts: digit k is 4^k
 * times too large, and so is its sum, which has no overflow up to 2^12 groups. The last one would be negative there. */
void
tern_t2_one_token_dotprod (float *y, const guint8 *w, gsize rows, gsize groups, float wscale, const gint8 *x, float xscale,
    gint32 xsum)
{
  const uint8x16_t mask0 = vdupq_n_u8 (3), mask1 = vdupq_n_u8 (12), mask2 = vdupq_n_u8 (48);
  int32x4_t sum[4][3];
  gsize s;
  guint i;

#pragma GCC unroll 4
  for (i = 0; i < 4; i++)
    sum[i][0] = sum[i][1] = sum[i][2] = vdupq_n_s32 (0);
  for (s = 0; s < groups * STEPS; s++) {
    int8x16_t v = vld1q_s8 (x + s * 16);

#pragma GCC unroll 4
    for (i = 0; i < 4; i++) {
      uint8x16_t p = vld1q_u8 (w + s * 64 + 16 * i);

      sum[i][0] = vdotq_laneq_s32 (sum[i][0], vreinterpretq_s8_u8 (vandq_u8 (p, mask0)), v, 0);
      sum[i][1] = vdotq_laneq_s32 (sum[i][1], vreinterpretq_s8_u8 (vandq_u8 (p, mask1)), v, 1);
      sum[i][2] = vdotq_laneq_s32 (sum[i][2], vreinterpretq_s8_u8 (vandq_u8 (p, mask2)), v, 2);
      sum[i][0] = vdotq_laneq_s32 (sum[i][0], vreinterpretq_s8_u8 (vshrq_n_u8 (p, 6)), v, 3);
    }
  }
#pragma GCC unroll 4
  for (i = 0; i < 4; i++) {
    int32x4_t all = vaddq_s32 (sum[i][0], vaddq_s32 (vshrq_n_s32 (sum[i][1], 2), vshrq_n_s32 (sum[i][2], 4)));

    if (rows > i * VL)
      store_rows (y + i * VL, rows - i * VL, all, xscale, xsum, wscale);
  }
}

static TERN_DECL_GEMM_T2 (gemm_t2_dotprod)
{
  gsize r, t, tokens, half;

  for (r = 0; r < rows; r += TERN_T2_ROWS, w += groups * TERN_T2_BYTES) {
    if (n == 1)
      tern_t2_one_token_dotprod (y + r, w, rows - r, groups, wscale, x, *xscale, *xsum);
    for (half = 0; n > 1 && half < TERN_T2_ROWS && half < rows - r; half += 8) {
      for (t = 0; t < n; t += tokens) {
        tokens = n - t;
        if (tokens > TILE_TOKENS)       /* the last two tiles share what is left */
          tokens = tokens >= 2 * TILE_TOKENS ? TILE_TOKENS : (tokens + 1) / 2;
        switch (tokens) {
#define CASE(T) case T: tile (T, y + t * ldy + r + half, ldy, w + half * 4, rows - r - half, groups, wscale, \
    x + t * ldx, ldx, xscale + t, xsum + t); break;
          CASE (1) CASE (2) CASE (3) CASE (4) CASE (5) CASE (6) CASE (7) CASE (8)
#undef CASE
        }
      }
    }
  }
}

void
tern_ternary_init_dotprod (TernKernels *k)
{
  k->gemm_t2 = gemm_t2_dotprod;
}
