/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Ternary matrices with SMMLA: two rows and two tokens of eight columns an instruction. One token has nothing to pair
 * with: it goes the way of DOTPROD. */
#include "engine/kernels/arm/vec-dotprod.h"
#include "engine/kernels/arm/ternary.inc"

#define TILE_PAIRS 5            /* of tokens: 20 sums, 4 of digits, 2 of packed weights, 1 of activations, 1 mask */

/* Rows 2i and 2i + 1 of four, eight columns of each, from two words of each. */
static ALWAYS_INLINE int8x16_t
two_rows (int8x16_t a, int8x16_t b, const guint i)
{
  int32x4_t low = vreinterpretq_s32_s8 (a), high = vreinterpretq_s32_s8 (b);

  return vreinterpretq_s8_s32 (i ? vzip2q_s32 (low, high) : vzip1q_s32 (low, high));
}

/* Eight rows and @pairs pairs of tokens, a constant; the last may be one alone, twice. */
static ALWAYS_INLINE void
tile (const guint pairs, float *y, gsize ldy, const guint8 *w, gsize rows, gsize groups, float wscale, const gint8 *x,
    gsize ldx, const float *xscale, const gint32 *xsum, gsize n)
{
  int32x4_t sum[TILE_PAIRS][4];
  const gint8 *last = x + (n - 1) * ldx;        /* the second of the last pair */
  gsize s;
  guint t, k, i;

#pragma GCC unroll 5
  for (t = 0; t < pairs; t++) {
#pragma GCC unroll 4
    for (i = 0; i < 4; i++)
      sum[t][i] = vdupq_n_s32 (0);
  }
  for (s = 0; s < groups * STEPS; s++) {
    uint8x16_t v0 = vld1q_u8 (w + s * 64), v1 = vld1q_u8 (w + s * 64 + 16);

#pragma GCC unroll 2
    for (k = 0; k < 4; k += 2) {
      int8x16_t d0 = digits (v0, k), d1 = digits (v1, k), e0 = digits (v0, k + 1), e1 = digits (v1, k + 1);
      int8x16_t w0 = two_rows (d0, e0, 0), w1 = two_rows (d0, e0, 1), w2 = two_rows (d1, e1, 0), w3 = two_rows (d1, e1, 1);

#pragma GCC unroll 5
      for (t = 0; t < pairs; t++) {
        const gint8 *a = x + 2 * t * ldx, *b = t + 1 < pairs ? a + ldx : last;
        int8x16_t two = vcombine_s8 (vld1_s8 (a + s * 16 + k * 4), vld1_s8 (b + s * 16 + k * 4));

        sum[t][0] = vmmlaq_s32 (sum[t][0], w0, two);
        sum[t][1] = vmmlaq_s32 (sum[t][1], w1, two);
        sum[t][2] = vmmlaq_s32 (sum[t][2], w2, two);
        sum[t][3] = vmmlaq_s32 (sum[t][3], w3, two);
      }
    }
  }
  for (t = 0; t < n; t++) {
    for (i = 0; i < 2 && rows > i * VL; i++) {
      int32x4_t a = sum[t / 2][2 * i], b = sum[t / 2][2 * i + 1];

      store_rows (y + t * ldy + i * VL, rows - i * VL, t % 2 ? vuzp2q_s32 (a, b) : vuzp1q_s32 (a, b), xscale[t], xsum[t],
          wscale);
    }
  }
}

static TERN_DECL_GEMM_T2 (gemm_t2_i8mm)
{
  gsize r, t, tokens, half;

  for (r = 0; r < rows; r += TERN_T2_ROWS, w += groups * TERN_T2_BYTES) {
    if (n == 1)
      tern_t2_one_token_dotprod (y + r, w, rows - r, groups, wscale, x, *xscale, *xsum);
    for (half = 0; n > 1 && half < TERN_T2_ROWS && half < rows - r; half += 8) {
      for (t = 0; t < n; t += tokens) {
        tokens = n - t;
        if (tokens > 2 * TILE_PAIRS)    /* the last two tiles share what is left */
          tokens = tokens >= 4 * TILE_PAIRS ? 2 * TILE_PAIRS : (tokens + 3) / 4 * 2;
        switch ((tokens + 1) / 2) {
#define CASE(T) case T: tile (T, y + t * ldy + r + half, ldy, w + half * 4, rows - r - half, groups, wscale, \
    x + t * ldx, ldx, xscale + t, xsum + t, tokens); break;
          CASE (1) CASE (2) CASE (3) CASE (4) CASE (5)
#undef CASE
        }
      }
    }
  }
}

void
tern_ternary_init_i8mm (TernKernels *k)
{
  k->gemm_t2 = gemm_t2_i8mm;
}
