/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Ternary matrices with scales for runs of columns, with VPDPBUSD: as ternary-avx512vnni.c, a sum for each run. */
#include <string.h>

#include "engine/kernels/x86/vec-avx512.h"
#include "engine/kernels/x86/scaled-rows.inc"

#define TILE_TOKENS 12          /* 24 sums, 2 of packed weights, 2 of digits, 1 of activations, 1 mask; floats in memory */

static ALWAYS_INLINE __m512
run_scale (const guint8 *p)
{
  return _mm512_cvtph_ps (_mm256_loadu_si256 ((const __m256i *) p));
}

/* @steps steps of two panels and @tokens tokens, a constant. */
static ALWAYS_INLINE void
sum_steps (const guint tokens, __m512i out[TILE_TOKENS][2], const guint8 *w0, const guint8 *w1, const gint8 *x, gsize ldx,
    guint steps)
{
  const __m512i three = _mm512_set1_epi8 (3);
  __m512i sum[TILE_TOKENS][2];
  guint s, t, k;

#pragma GCC unroll 16
  for (t = 0; t < tokens; t++)
    sum[t][0] = sum[t][1] = _mm512_setzero_si512 ();
  for (s = 0; s < steps; s++) {
    __m512i p0 = _mm512_loadu_si512 (w0 + s * 64), p1 = _mm512_loadu_si512 (w1 + s * 64);

#pragma GCC unroll 4
    for (k = 0; k < 4; k++) {
      __m512i d0 = _mm512_and_si512 (_mm512_srli_epi16 (p0, 2 * k), three);
      __m512i d1 = _mm512_and_si512 (_mm512_srli_epi16 (p1, 2 * k), three);

#pragma GCC unroll 16
      for (t = 0; t < tokens; t++) {
        __m512i v = broadcast4 (x + t * ldx + s * 16 + k * 4);

        sum[t][0] = _mm512_dpbusd_epi32 (sum[t][0], d0, v);
        sum[t][1] = _mm512_dpbusd_epi32 (sum[t][1], d1, v);
      }
    }
  }
#pragma GCC unroll 16
  for (t = 0; t < tokens; t++) {
    out[t][0] = sum[t][0];
    out[t][1] = sum[t][1];
  }
}

/* A function each, or the floats that are visited once a run would push the sums out of the registers. */
#define SUMS(T) \
  static __attribute__ ((noinline)) void sums_##T (__m512i out[TILE_TOKENS][2], const guint8 *w0, const guint8 *w1, \
      const gint8 *x, gsize ldx, guint steps) \
  { sum_steps (T, out, w0, w1, x, ldx, steps); }

SUMS (1) SUMS (2) SUMS (3) SUMS (4) SUMS (5) SUMS (6) SUMS (7) SUMS (8) SUMS (9) SUMS (10) SUMS (11) SUMS (12)

/* Two panels, of which the second may be the first again when @rows <= 16, and up to TILE_TOKENS tokens. */
static void
tile (guint parts, guint tokens, float *y, gsize ldy, const guint8 *const w[2], gsize rows, gsize groups, const gint8 *x,
    gsize ldx, const float *xscale, const gint32 *xsum, gsize lds)
{
  static void (*const sums[TILE_TOKENS + 1]) (__m512i out[TILE_TOKENS][2], const guint8 *w0, const guint8 *w1, const gint8 *x,
      gsize ldx, guint steps) = { NULL, sums_1, sums_2, sums_3, sums_4, sums_5, sums_6, sums_7, sums_8, sums_9, sums_10,
    sums_11, sums_12 };
  const gsize head = tern_t2s_head (groups, parts), step = TERN_T2_BYTES / parts;
  __m512 acc[TILE_TOKENS][2];
  __m512i sum[TILE_TOKENS][2];
  gsize run;
  guint t, i;

  for (t = 0; t < tokens; t++)
    acc[t][0] = acc[t][1] = v_zero ();
  for (run = 0; run < groups * parts; run++) {
    __m512 d0 = run_scale (w[0] + run * TERN_T2S_RUN), d1 = run_scale (w[1] + run * TERN_T2S_RUN);

    sums[tokens] (sum, w[0] + head + run * step, w[1] + head + run * step, x + run * (TERN_T2_COLS / parts), ldx,
        STEPS / parts);
    for (t = 0; t < tokens; t++) {
      __m512i off = _mm512_set1_epi32 (run_sum (parts, xsum + t * lds, run));

      acc[t][0] = v_fma (_mm512_cvtepi32_ps (_mm512_sub_epi32 (sum[t][0], off)), d0, acc[t][0]);
      acc[t][1] = v_fma (_mm512_cvtepi32_ps (_mm512_sub_epi32 (sum[t][1], off)), d1, acc[t][1]);
    }
  }
  for (t = 0; t < tokens; t++) {
    for (i = 0; i < 2 && rows > i * VL; i++)
      store_scaled (y + t * ldy + i * VL, rows - i * VL, acc[t][i], xscale[t]);
  }
}

/* One token and one panel, as there: digits stay where they are in their bytes. A 3 in the highest bits is 192 times a byte,
 * which fits too. */
static ALWAYS_INLINE void
one_token (const guint parts, float *y, const guint8 *w, gsize rows, gsize groups, const gint8 *x, float xscale,
    const gint32 *xsum)
{
  const gsize ahead = ahead_of (tern_t2s_panel (groups, parts));
  const guint8 *scale = w, *digits = w + tern_t2s_head (groups, parts);
  __m512 acc = v_zero ();
  __m512i mask[4];
  gsize run;
  guint s, i, k;

#pragma GCC unroll 4
  for (k = 0; k < 4; k++)
    mask[k] = _mm512_set1_epi8 ((char) (3 << 2 * k));
  for (run = 0; run < groups * parts; run++, scale += TERN_T2S_RUN) {
    __m512i sum[4][2], all = _mm512_set1_epi32 (-run_sum (parts, xsum, run));

#pragma GCC unroll 4
    for (k = 0; k < 4; k++)
      sum[k][0] = sum[k][1] = _mm512_setzero_si512 ();
    _mm_prefetch ((const char *) scale + ahead, _MM_HINT_T0);
#pragma GCC unroll 4
    for (s = 0; s < STEPS / parts; s += 2, digits += 128, x += 32) {
#pragma GCC unroll 2
      for (i = 0; i < 2; i++) {
        __m512i p = _mm512_loadu_si512 (digits + i * 64);

        fetch (digits + i * 64);
#pragma GCC unroll 4
        for (k = 0; k < 4; k++)
          sum[k][i] = _mm512_dpbusd_epi32 (sum[k][i], _mm512_and_si512 (p, mask[k]), broadcast4 (x + i * 16 + k * 4));
      }
    }
#pragma GCC unroll 4
    for (k = 0; k < 4; k++)
      all = _mm512_add_epi32 (all, _mm512_srai_epi32 (_mm512_add_epi32 (sum[k][0], sum[k][1]), 2 * k));
    acc = v_fma (_mm512_cvtepi32_ps (all), run_scale (scale), acc);
  }
  store_scaled (y, rows, acc, xscale);
}

static ALWAYS_INLINE void
product (const guint parts, float *y, gsize ldy, const guint8 *w, gsize rows, gsize groups, const gint8 *x, gsize ldx,
    const float *xscale, const gint32 *xsum, gsize lds, gsize n)
{
  gsize panel = tern_t2s_panel (groups, parts), r, t, tokens;

  for (r = 0; r < rows; r += 2 * TERN_T2_ROWS, w += 2 * panel) {
    const guint8 *const two[2] = { w, rows - r > TERN_T2_ROWS ? w + panel : w };

    if (n == 1) {
      one_token (parts, y + r, two[0], rows - r, groups, x, *xscale, xsum);
      if (rows - r > TERN_T2_ROWS)
        one_token (parts, y + r + TERN_T2_ROWS, two[1], rows - r - TERN_T2_ROWS, groups, x, *xscale, xsum);
      continue;
    }
    for (t = 0; t < n; t += tokens) {
      tokens = n - t;
      if (tokens > TILE_TOKENS) /* the last two tiles share what is left */
        tokens = tokens >= 2 * TILE_TOKENS ? TILE_TOKENS : (tokens + 1) / 2;
      tile (parts, (guint) tokens, y + t * ldy + r, ldy, two, rows - r, groups, x + t * ldx, ldx, xscale + t, xsum + t * lds,
          lds);
    }
  }
}

static TERN_DECL_GEMM_T2S (gemm_t2s_avx512vnni)
{
  if (parts == 1)
    product (1, y, ldy, w, rows, groups, x, ldx, xscale, xsum, lds, n);
  else
    product (2, y, ldy, w, rows, groups, x, ldx, xscale, xsum, lds, n);
}

void
tern_scaled_init_avx512vnni (TernKernels *k)
{
  k->gemm_t2s = gemm_t2s_avx512vnni;
}
