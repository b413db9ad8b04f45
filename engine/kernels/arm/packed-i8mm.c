/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Packed matrices with USMMLA and BFMMLA: two rows and two tokens an instruction, of each eight bytes, which are two words of
 * a row: eight columns of int8 or four of bf16. */
#include "engine/kernels/arm/vec-dotprod.h"
#include "engine/kernels/arm/packed.inc"

#define TILE_PAIRS 5            /* of tokens: 20 sums, 4 of weights, 4 on their way to them, 1 of activations */

/* Two words of rows 2i and 2i + 1 of eight, from a step and the next one. */
static ALWAYS_INLINE uint8x16_t
two_rows (const guint8 *w, const guint i)
{
  uint32x4_t a = vreinterpretq_u32_u8 (vld1q_u8 (w + i / 2 * 16)), b = vreinterpretq_u32_u8 (vld1q_u8 (w + i / 2 * 16 + 64));

  return vreinterpretq_u8_u32 (i % 2 ? vzip2q_u32 (a, b) : vzip1q_u32 (a, b));
}

static ALWAYS_INLINE uint8x16_t
two_tokens (const void *a, const void *b)
{
  return vcombine_u8 (vld1_u8 (a), vld1_u8 (b));
}

/* Four rows of one token, of two sums that have two rows and two tokens each. */
static inline vf
rows_of (vf a, vf b, gsize t)
{
  return t % 2 ? vuzp2q_f32 (a, b) : vuzp1q_f32 (a, b);
}

/* ---- int8 -------------------------------------------------------------------------------------------------------- */

/* Eight rows and @pairs pairs of tokens, a constant; the last may be one alone, twice. */
static ALWAYS_INLINE void
tile_i8 (const guint pairs, float *y, gsize ldy, const guint8 *w, gsize rows, gsize cols, const float *wscale,
    const float *bias, const gint8 *x, gsize ldx, gsize group, const float *xscale, const gint32 *xsum, gsize ldg, gsize n)
{
  float32x4_t all[TILE_PAIRS][4];
  gsize c, next, g, t;
  guint p, i;

  memset (all, 0, pairs * sizeof all[0]);
  for (c = 0, g = 0; c < cols; c = next, g++) {
    int32x4_t sum[TILE_PAIRS][4];

    next = MIN (c + group, cols);
    /* Weights are 128 too large. */
#pragma GCC unroll 5
    for (p = 0; p < pairs; p++) {
      gsize other = MIN (2 * p + 1, n - 1);
      int32x2_t start = vset_lane_s32 (-128 * xsum[other * ldg + g], vdup_n_s32 (-128 * xsum[2 * p * ldg + g]), 1);

#pragma GCC unroll 4
      for (i = 0; i < 4; i++)
        sum[p][i] = vcombine_s32 (start, start);
    }
    for (; c < next; c += 8) {
      uint8x16_t w0 = two_rows (w + c * 16, 0), w1 = two_rows (w + c * 16, 1);
      uint8x16_t w2 = two_rows (w + c * 16, 2), w3 = two_rows (w + c * 16, 3);

#pragma GCC unroll 5
      for (p = 0; p < pairs; p++) {
        int8x16_t two = vreinterpretq_s8_u8 (two_tokens (x + 2 * p * ldx + c, x + MIN (2 * p + 1, n - 1) * ldx + c));

        sum[p][0] = vusmmlaq_s32 (sum[p][0], w0, two);
        sum[p][1] = vusmmlaq_s32 (sum[p][1], w1, two);
        sum[p][2] = vusmmlaq_s32 (sum[p][2], w2, two);
        sum[p][3] = vusmmlaq_s32 (sum[p][3], w3, two);
      }
    }
#pragma GCC unroll 5
    for (p = 0; p < pairs; p++) {
      gsize other = MIN (2 * p + 1, n - 1);
      float32x2_t scale = vset_lane_f32 (xscale[other * ldg + g], vdup_n_f32 (xscale[2 * p * ldg + g]), 1);

#pragma GCC unroll 4
      for (i = 0; i < 4; i++)
        all[p][i] = v_fma (vcvtq_f32_s32 (sum[p][i]), vcombine_f32 (scale, scale), all[p][i]);
    }
  }
  for (t = 0; t < n; t++) {
    for (i = 0; i < 2 && rows > i * VL; i++)
      store_rows (y + t * ldy + i * VL, rows - i * VL, rows_of (all[t / 2][2 * i], all[t / 2][2 * i + 1], t),
          wscale + i * VL, bias ? bias + i * VL : NULL);
  }
}

static TERN_DECL_GEMM_I8P (gemm_i8p_i8mm)
{
  gsize r, t, tokens;

  if (n == 1) {
    tern_gemm_i8p_dotprod (y, ldy, w, rows, cols, wscale, bias, x, ldx, group, xscale, xsum, ldg, n);
    return;
  }
  for (r = 0; r < rows; r += 8, w += r % TERN_PANEL_ROWS ? 32 : cols * TERN_PANEL_ROWS - 32) {
    for (t = 0; t < n; t += tokens) {
      tokens = 2 * tokens_of_tile ((n - t + 1) / 2, TILE_PAIRS);
      switch (tokens / 2) {
#define CASE(T) case T: tile_i8 (T, y + t * ldy + r, ldy, w, rows - r, cols, wscale + r, bias ? bias + r : NULL, \
    x + t * ldx, ldx, group, xscale + t * ldg, xsum + t * ldg, ldg, MIN (tokens, n - t)); break;
        CASE (1) CASE (2) CASE (3) CASE (4) CASE (5)
#undef CASE
      }
    }
  }
}

/* ---- bf16 -------------------------------------------------------------------------------------------------------- */

static ALWAYS_INLINE void
tile_bf16 (const guint pairs, float *y, gsize ldy, const guint8 *w, gsize rows, gsize cols, const float *bias,
    const guint16 *x, gsize ldx, gsize n)
{
  float32x4_t sum[TILE_PAIRS][4];
  gsize c, t;
  guint p, i;

#pragma GCC unroll 5
  for (p = 0; p < pairs; p++) {
#pragma GCC unroll 4
    for (i = 0; i < 4; i++)
      sum[p][i] = v_zero ();
  }
  for (c = 0; c < cols; c += 4) {
    bfloat16x8_t w0 = vreinterpretq_bf16_u8 (two_rows (w + c * 32, 0)), w1 = vreinterpretq_bf16_u8 (two_rows (w + c * 32, 1));
    bfloat16x8_t w2 = vreinterpretq_bf16_u8 (two_rows (w + c * 32, 2)), w3 = vreinterpretq_bf16_u8 (two_rows (w + c * 32, 3));

#pragma GCC unroll 5
    for (p = 0; p < pairs; p++) {
      bfloat16x8_t two = vreinterpretq_bf16_u8 (two_tokens (x + 2 * p * ldx + c, x + MIN (2 * p + 1, n - 1) * ldx + c));

      sum[p][0] = vbfmmlaq_f32 (sum[p][0], w0, two);
      sum[p][1] = vbfmmlaq_f32 (sum[p][1], w1, two);
      sum[p][2] = vbfmmlaq_f32 (sum[p][2], w2, two);
      sum[p][3] = vbfmmlaq_f32 (sum[p][3], w3, two);
    }
  }
  for (t = 0; t < n; t++) {
    for (i = 0; i < 2 && rows > i * VL; i++)
      store_sums (y + t * ldy + i * VL, rows - i * VL, rows_of (sum[t / 2][2 * i], sum[t / 2][2 * i + 1], t),
          bias ? bias + i * VL : NULL);
  }
}

static TERN_DECL_GEMM_BF16P (gemm_bf16p_i8mm)
{
  const guint8 *bytes = (const guint8 *) w;
  gsize r, t, tokens;

  for (r = 0; r < rows; r += 8, bytes += r % TERN_PANEL_ROWS ? 32 : cols * TERN_PANEL_ROWS * 2 - 32) {
    for (t = 0; t < n; t += tokens) {
      tokens = 2 * tokens_of_tile ((n - t + 1) / 2, TILE_PAIRS);
      switch (tokens / 2) {
#define CASE(T) case T: tile_bf16 (T, y + t * ldy + r, ldy, bytes, rows - r, cols, bias ? bias + r : NULL, x + t * ldx, ldx, \
    MIN (tokens, n - t)); break;
        CASE (1) CASE (2) CASE (3) CASE (4) CASE (5)
#undef CASE
      }
    }
  }
}

void
tern_packed_init_i8mm (TernKernels *k)
{
  k->gemm_i8p = gemm_i8p_i8mm;
  k->gemm_bf16p = gemm_bf16p_i8mm;
  k->bf16_units = TRUE;
}
