/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Packed int8 and bf16 matrices with NEON: what packs them, and products with SMULL and FMLA. */
#include <math.h>

#include "engine/kernels/arm/vec-neon.h"
#include "engine/kernels/arm/packed.inc"

/* ---- Packing ----------------------------------------------------------------------------------------------------- */

/* In both orders a vector is four columns of a row or a column of four rows, whichever is contiguous. */
static ALWAYS_INLINE vf
get (const float *p, gsize left)
{
  return left >= VL ? v_load (p) : v_load_first (p, left);
}

/* Within int8, as scalar code rounds, and 128 more. */
static ALWAYS_INLINE uint32x4_t
round_clamped (vf x, vf s)
{
  vi v = v_to_int (v_max (v_min (v_mul (x, s), v_set (127.0f)), v_set (-128.0f)));

  return vreinterpretq_u32_s32 (vaddq_s32 (v, vdupq_n_s32 (128)));
}

/* A row's scale, and what its values are multiplied by; FALSE when its values are not: all 0, or one no number. */
static gboolean
row_scale (float *scale, float *s, float max, guint8 *word, gsize steps)
{
  gsize i;

  *scale = *s = 0;
  if (max < 1e-30f)
    return FALSE;
  *scale = max / 127.0f;
  *s = 127.0f / max;
  if (!isnan (max))
    return TRUE;
  for (i = 0; i < steps; i++)
    memset (word + i * 64, 0, 4);
  return FALSE;
}

static void
pack_rows_i8p (guint8 *panel, float *scale, const float *src, gsize row, gsize n_rows, gsize cols)
{
  gsize r, c;

  for (r = 0; r < n_rows; r++) {
    const float *x = src + r * row;
    guint8 *word = panel + 4 * r;
    vf largest = v_zero ();
    float s;

    for (c = 0; c < cols; c += VL)
      largest = v_max_bits (largest, v_abs (get (x + c, cols - c)));
    if (!row_scale (&scale[r], &s, v_max_bits_lane (largest), word, cols / 4))
      goto rest;
    for (c = 0; c + VL <= cols; c += VL, word += 64) {
      uint16x4_t half = vmovn_u32 (round_clamped (v_load (x + c), v_set (s)));
      guint32 four = vget_lane_u32 (vreinterpret_u32_u8 (vmovn_u16 (vcombine_u16 (half, half))), 0);

      memcpy (word, &four, sizeof four);
    }
  rest:
    for (c = cols / 4 * 4; c < cols && scale[r] != 0; c++)
      panel[c / 4 * 64 + r * 4 + c % 4] = isnan (scale[r]) ? 0
          : (guint8) vgetq_lane_u32 (round_clamped (v_set (x[c]), v_set (s)), 0);
  }
}

/* Values of one column stand beside each other. */
static void
pack_columns_i8p (guint8 *panel, float *scale, const float *src, gsize col, gsize n_rows, gsize cols)
{
  gsize r, c;
  guint i;

  for (r = 0; r < n_rows; r += VL) {
    const float *x = src + r;
    gsize left = MIN (n_rows - r, VL);
    vf largest = v_zero (), s;
    float max[VL], each[VL] = { 0 };
    gboolean plain = TRUE;

    for (c = 0; c < cols; c++)
      largest = v_max_bits (largest, v_abs (get (x + c * col, left)));
    v_store (max, largest);
    for (i = 0; i < left; i++)
      plain &= row_scale (&scale[r + i], &each[i], max[i], panel + 4 * (r + i), cols / 4);
    s = v_load (each);
    for (c = 0; plain && c + 4 <= cols; c += 4) {
      uint32x4_t word = round_clamped (get (x + c * col, left), s);

      word = vsliq_n_u32 (word, round_clamped (get (x + (c + 1) * col, left), s), 8);
      word = vsliq_n_u32 (word, round_clamped (get (x + (c + 2) * col, left), s), 16);
      word = vsliq_n_u32 (word, round_clamped (get (x + (c + 3) * col, left), s), 24);
      if (left < VL)            /* rows that are not there are zero */
        word = vreinterpretq_u32_f32 (v_blend_first (left, vreinterpretq_f32_u32 (word),
                vreinterpretq_f32_u32 (vdupq_n_u32 (0x80808080))));
      vst1q_u8 (panel + c / 4 * 64 + r * 4, vreinterpretq_u8_u32 (word));
    }
    for (; c < cols; c++) {
      for (i = 0; i < left; i++) {
        guint8 *to = panel + c / 4 * 64 + (r + i) * 4 + c % 4;

        if (scale[r + i] != 0)
          *to = isnan (scale[r + i]) ? 0 : (guint8) vgetq_lane_u32 (round_clamped (v_set (x[c * col + i]), v_set (each[i])), 0);
      }
    }
  }
}

static TERN_DECL_PACK_I8P (pack_i8p_neon)
{
  memset (panel, 128, (cols + TERN_I8P_COLS - 1) / TERN_I8P_COLS * TERN_I8P_COLS * TERN_PANEL_ROWS);
  memset (scale, 0, TERN_PANEL_ROWS * sizeof *scale);
  if (col == 1)
    pack_rows_i8p (panel, scale, src, row, n_rows, cols);
  else
    pack_columns_i8p (panel, scale, src, col, n_rows, cols);
}

/* The upper halves, half to even; a NaN stays one. */
static ALWAYS_INLINE uint32x4_t
bf16_bits (vf x)
{
  uint32x4_t u = vreinterpretq_u32_f32 (x);
  uint32x4_t even = vandq_u32 (vshrq_n_u32 (u, 16), vdupq_n_u32 (1));
  uint32x4_t rounded = vshrq_n_u32 (vaddq_u32 (vaddq_u32 (u, vdupq_n_u32 (0x7fff)), even), 16);

  return vbslq_u32 (vceqq_f32 (x, x), rounded, vorrq_u32 (vshrq_n_u32 (u, 16), vdupq_n_u32 (0x40)));
}

static TERN_DECL_PACK_BF16P (pack_bf16p_neon)
{
  gsize r, c;

  memset (panel, 0, (cols + TERN_BF16P_COLS - 1) / TERN_BF16P_COLS * TERN_BF16P_COLS * TERN_PANEL_ROWS * sizeof *panel);
  for (r = 0; col == 1 && r < n_rows; r++) {
    for (c = 0; c < cols; c += VL) {
      guint16 four[VL];

      vst1_u16 (four, vmovn_u32 (bf16_bits (get (src + r * row + c, cols - c))));
      memcpy (panel + c / 2 * 32 + r * 2, four, 4);
      memcpy (panel + (c / 2 + 1) * 32 + r * 2, four + 2, 4);   /* zero beyond the end */
    }
  }
  for (r = 0; col != 1 && r < n_rows; r += VL) {
    for (c = 0; c < cols; c += 2) {
      const float *x = src + c * col + r;
      uint32x4_t word = bf16_bits (get (x, n_rows - r));

      if (c + 1 < cols)
        word = vsliq_n_u32 (word, bf16_bits (get (x + col, n_rows - r)), 16);
      vst1q_u16 (panel + c / 2 * 32 + r * 2, vreinterpretq_u16_u32 (word));
    }
  }
}

static TERN_DECL_PACK_BF16 (pack_bf16_neon)
{
  gsize i;

  for (i = 0; i + VL <= n; i += VL)
    vst1_u16 (dst + i, vmovn_u32 (bf16_bits (v_load (x + i))));
  if (i < n) {
    vst1_u16 (dst + i, vmovn_u32 (bf16_bits (v_load_first (x + i, n - i))));    /* there is room up to TERN_BF16P_COLS */
    i += VL;
  }
  memset (dst + i, 0, (-i & (TERN_BF16P_COLS - 1)) * sizeof *dst);
}

/* ---- int8 -------------------------------------------------------------------------------------------------------- */

#define INT8_TOKENS 4           /* 16 sums, 2 of weights, 1 of activations, a mask, products on their way */

/* A step of four rows, two sums each. Two products of bytes that are -128 would not fit 16 bits. */
static ALWAYS_INLINE void
add_step (int32x4_t sum[2], int8x16_t w, int8x16_t x)
{
  sum[0] = vpadalq_s16 (sum[0], vmull_s8 (vget_low_s8 (w), vget_low_s8 (x)));
  sum[1] = vpadalq_s16 (sum[1], vmull_high_s8 (w, x));
}

/* Eight rows and @tokens tokens, a constant. */
static ALWAYS_INLINE void
tile_i8 (const guint tokens, float *y, gsize ldy, const guint8 *w, gsize rows, gsize cols, const float *wscale,
    const float *bias, const gint8 *x, gsize ldx, gsize group, const float *xscale, const gint32 *xsum, gsize ldg)
{
  float32x4_t all[INT8_TOKENS][2];
  gsize c, next, g;
  guint t, v;

  memset (all, 0, tokens * sizeof all[0]);
  for (c = 0, g = 0; c < cols; c = next, g++) {
    int32x4_t sum[INT8_TOKENS][2][2];

    next = MIN (c + group, cols);
#pragma GCC unroll 4
    for (t = 0; t < tokens; t++)
      sum[t][0][0] = sum[t][0][1] = sum[t][1][0] = sum[t][1][1] = vdupq_n_s32 (0);
    for (; c < next; c += 4) {
      int8x16_t w0 = signed_weights (w + c * 16), w1 = signed_weights (w + c * 16 + 16);

#pragma GCC unroll 4
      for (t = 0; t < tokens; t++) {
        int8x16_t four = broadcast4 (x + t * ldx + c);

        add_step (sum[t][0], w0, four);
        add_step (sum[t][1], w1, four);
      }
    }
#pragma GCC unroll 4
    for (t = 0; t < tokens; t++) {
#pragma GCC unroll 2
      for (v = 0; v < 2; v++)
        all[t][v] = vfmaq_n_f32 (all[t][v], vcvtq_f32_s32 (vpaddq_s32 (sum[t][v][0], sum[t][v][1])), xscale[t * ldg + g]);
    }
  }
  for (t = 0; t < tokens; t++) {
    for (v = 0; v < 2 && rows > v * VL; v++)
      store_rows (y + t * ldy + v * VL, rows - v * VL, all[t][v], wscale + v * VL, bias ? bias + v * VL : NULL);
  }
}

static TERN_DECL_GEMM_I8P (gemm_i8p_neon)
{
  gsize r, t, tokens;

  for (r = 0; r < rows; r += 8, w += r % TERN_PANEL_ROWS ? 32 : cols * TERN_PANEL_ROWS - 32) {
    for (t = 0; t < n; t += tokens) {
      tokens = tokens_of_tile (n - t, INT8_TOKENS);
      switch (tokens) {
#define CASE(T) case T: tile_i8 (T, y + t * ldy + r, ldy, w, rows - r, cols, wscale + r, bias ? bias + r : NULL, \
    x + t * ldx, ldx, group, xscale + t * ldg, xsum + t * ldg, ldg); break;
        CASE (1) CASE (2) CASE (3) CASE (4)
#undef CASE
      }
    }
  }
}

/* ---- bf16 -------------------------------------------------------------------------------------------------------- */

#define BF16_TOKENS 6           /* 12 sums, 12 of activations, 4 of weights of 32 registers */

static ALWAYS_INLINE vf
even_bf16 (uint16x8_t v)
{
  return vreinterpretq_f32_u32 (vshlq_n_u32 (vreinterpretq_u32_u16 (v), 16));
}

static ALWAYS_INLINE vf
odd_bf16 (uint16x8_t v)
{
  return vreinterpretq_f32_u32 (vandq_u32 (vreinterpretq_u32_u16 (v), vdupq_n_u32 (0xffff0000)));
}

/* Eight rows and @tokens tokens, a constant. */
static ALWAYS_INLINE void
tile_bf16 (const guint tokens, float *y, gsize ldy, const guint16 *w, gsize rows, gsize cols, const float *bias,
    const guint16 *x, gsize ldx)
{
  vf sum[BF16_TOKENS][2];
  gsize c;
  guint t, v;

#pragma GCC unroll 6
  for (t = 0; t < tokens; t++)
    sum[t][0] = sum[t][1] = v_zero ();
  for (c = 0; c < cols; c += 8) {
    vf even[BF16_TOKENS], odd[BF16_TOKENS];

#pragma GCC unroll 6
    for (t = 0; t < tokens; t++) {
      uint16x8_t pairs = vld1q_u16 (x + t * ldx + c);

      even[t] = even_bf16 (pairs);
      odd[t] = odd_bf16 (pairs);
    }
#define STEP(k) { \
    uint16x8_t w0 = vld1q_u16 (w + c * 16 + 32 * k), w1 = vld1q_u16 (w + c * 16 + 32 * k + 8); \
    vf e0 = even_bf16 (w0), o0 = odd_bf16 (w0), e1 = even_bf16 (w1), o1 = odd_bf16 (w1); \
    _Pragma ("GCC unroll 6") \
    for (t = 0; t < tokens; t++) { \
      sum[t][0] = vfmaq_laneq_f32 (vfmaq_laneq_f32 (sum[t][0], e0, even[t], k), o0, odd[t], k); \
      sum[t][1] = vfmaq_laneq_f32 (vfmaq_laneq_f32 (sum[t][1], e1, even[t], k), o1, odd[t], k); \
    } }
    STEP (0) STEP (1) STEP (2) STEP (3)
#undef STEP
  }
  for (t = 0; t < tokens; t++) {
    for (v = 0; v < 2 && rows > v * VL; v++)
      store_sums (y + t * ldy + v * VL, rows - v * VL, sum[t][v], bias ? bias + v * VL : NULL);
  }
}

static TERN_DECL_GEMM_BF16P (gemm_bf16p_neon)
{
  gsize r, t, tokens;

  for (r = 0; r < rows; r += 8, w += r % TERN_PANEL_ROWS ? 16 : cols * TERN_PANEL_ROWS - 16) {
    for (t = 0; t < n; t += tokens) {
      tokens = tokens_of_tile (n - t, BF16_TOKENS);
      switch (tokens) {
#define CASE(T) case T: tile_bf16 (T, y + t * ldy + r, ldy, w, rows - r, cols, bias ? bias + r : NULL, x + t * ldx, ldx); \
    break;
        CASE (1) CASE (2) CASE (3) CASE (4) CASE (5) CASE (6)
#undef CASE
      }
    }
  }
}

void
tern_packed_init_neon (TernKernels *k)
{
  k->gemm_i8p = gemm_i8p_neon;
  k->gemm_bf16p = gemm_bf16p_neon;
  k->pack_i8p = pack_i8p_neon;
  k->pack_bf16p = pack_bf16p_neon;
  k->pack_bf16 = pack_bf16_neon;
}
