/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Ternary matrices with VPDPBUSD: one lane a row, four columns an instruction, activations as broadcast operands. */
#include <string.h>

#include "engine/kernels/x86/vec-avx512.h"
#include "engine/kernels/x86/ternary-rows.inc"

#define TILE_TOKENS 12          /* 24 sums, 2 of packed weights, 2 of digits, 1 of activations, 1 mask */
#define STEPS (TERN_T2_COLS / 16)
#define AHEAD 8192              /* how far ahead of one token's product memory is fetched */

/* Step @s of two panels; what stands there in the next two is fetched meanwhile: panels of a few KiB, two at a time, end
 * before the hardware sees where they lead (half the time of decode). */
static ALWAYS_INLINE void
load_step (__m512i p[2], const guint8 *const w[2], gsize s, gsize ahead)
{
  guint i;

#pragma GCC unroll 2
  for (i = 0; i < 2; i++) {
    p[i] = _mm512_loadu_si512 (w[i] + s * 64);
    _mm_prefetch ((const char *) w[i] + s * 64 + ahead, _MM_HINT_T0);
  }
}

/* Two panels, of which the second may be the first again when @rows <= 16, and @tokens tokens, a constant. */
static ALWAYS_INLINE void
tile (const guint tokens, float *y, gsize ldy, const guint8 *const w[2], gsize rows, gsize groups, float wscale,
    const gint8 *x, gsize ldx, const float *xscale, const gint32 *xsum)
{
  const __m512i three = _mm512_set1_epi8 (3);
  __m512i sum[TILE_TOKENS][2];
  gsize s;
  guint t, k;

#pragma GCC unroll 16
  for (t = 0; t < tokens; t++)
    sum[t][0] = sum[t][1] = _mm512_setzero_si512 ();

  for (s = 0; s < groups * STEPS; s++) {
    __m512i p[2];

    load_step (p, w, s, 2 * groups * TERN_T2_BYTES);
#pragma GCC unroll 4
    for (k = 0; k < 4; k++) {
      __m512i d0 = _mm512_and_si512 (_mm512_srli_epi16 (p[0], 2 * k), three);
      __m512i d1 = _mm512_and_si512 (_mm512_srli_epi16 (p[1], 2 * k), three);

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
    store_rows (y + t * ldy, rows, sum[t][0], xscale[t], xsum[t], wscale);
    if (rows > VL)
      store_rows (y + t * ldy + VL, rows - VL, sum[t][1], xscale[t], xsum[t], wscale);
  }
}

/* One token and one panel: a single stream of memory is read a quarter faster than two in turn. Digits stay where they are in
 * their bytes, which saves the shifts: digit k is 4^k times too large, and so is its sum, which has no overflow up to 2^12
 * groups. Even and odd steps have sums of their own, or each product would wait for the one before. */
static void
one_token (float *y, const guint8 *w, gsize rows, gsize groups, float wscale, const gint8 *x, float xscale, gint32 xsum)
{
  __m512i sum[4][2], mask[4];
  gsize s;
  guint k, i;

#pragma GCC unroll 4
  for (k = 0; k < 4; k++) {
    sum[k][0] = sum[k][1] = _mm512_setzero_si512 ();
    mask[k] = _mm512_set1_epi8 ((char) (3 << 2 * k));
  }
  for (s = 0; s < groups * STEPS; s += 2, w += 128) {
#pragma GCC unroll 2
    for (i = 0; i < 2; i++) {
      __m512i p = _mm512_loadu_si512 (w + i * 64);

      _mm_prefetch ((const char *) w + i * 64 + AHEAD, _MM_HINT_T0);
#pragma GCC unroll 4
      for (k = 0; k < 4; k++) {
        __m512i v = broadcast4 (x + (s + i) * 16 + k * 4);

        sum[k][i] = _mm512_dpbusd_epi32 (sum[k][i], _mm512_and_si512 (p, mask[k]), v);
      }
    }
  }
#pragma GCC unroll 4
  for (k = 0; k < 4; k++) {
    __m512i both = _mm512_srai_epi32 (_mm512_add_epi32 (sum[k][0], sum[k][1]), 2 * k);

    sum[0][0] = k == 0 ? both : _mm512_add_epi32 (sum[0][0], both);
  }
  store_rows (y, rows, sum[0][0], xscale, xsum, wscale);
}

static TERN_DECL_GEMM_T2 (gemm_t2_avx512vnni)
{
  gsize panel = groups * TERN_T2_BYTES, r, t, tokens;

  for (r = 0; r < rows; r += 2 * TERN_T2_ROWS, w += 2 * panel) {
    const guint8 *const two[2] = { w, rows - r > TERN_T2_ROWS ? w + panel : w };

    if (n == 1) {
      one_token (y + r, two[0], rows - r, groups, wscale, x, *xscale, *xsum);
      if (rows - r > TERN_T2_ROWS)
        one_token (y + r + TERN_T2_ROWS, two[1], rows - r - TERN_T2_ROWS, groups, wscale, x, *xscale, *xsum);
      continue;
    }
    for (t = 0; t < n; t += tokens) {
      tokens = n - t;
      if (tokens > TILE_TOKENS) /* the last two tiles share what is left */
        tokens = tokens >= 2 * TILE_TOKENS ? TILE_TOKENS : (tokens + 1) / 2;
      switch (tokens) {
#define CASE(T) case T: tile (T, y + t * ldy + r, ldy, two, rows - r, groups, wscale, x + t * ldx, ldx, xscale + t, \
    xsum + t); break;
        CASE (1) CASE (2) CASE (3) CASE (4) CASE (5) CASE (6) CASE (7) CASE (8) CASE (9) CASE (10) CASE (11) CASE (12)
#undef CASE
      }
    }
  }
}

void
tern_ternary_init_avx512vnni (TernKernels *k)
{
  k->gemm_t2 = gemm_t2_avx512vnni;
}
