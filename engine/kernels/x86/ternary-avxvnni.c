/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Ternary matrices with VPDPBUSD of 256 bits: one lane a row, a panel is two vectors. */
#include <string.h>

#include "engine/kernels/x86/vec-avx2.h"

#define TILE_TOKENS 5           /* 10 sums, 2 of digits, 1 of activations, 1 mask of 16 registers */
#define STEPS (TERN_T2_COLS / 16)

/* Keeps the compiler from loading all activations first: there are registers for the sums, not for those. */
#define AS_WRITTEN(sum) __asm__ ("" : "+x" (sum))

/* Float part of a panel of one token; the digits were one too large. */
static ALWAYS_INLINE void
store_panel (float *y, gsize rows, const __m256i sum[2], float xscale, gint32 xsum, float wscale)
{
  guint h;

#pragma GCC unroll 2
  for (h = 0; h < 2; h++) {
    __m256 v = _mm256_cvtepi32_ps (_mm256_sub_epi32 (sum[h], _mm256_set1_epi32 (xsum)));

    v = v_mul (v_mul (v, v_set (xscale)), v_set (wscale));
    if (rows >= (h + 1) * VL)
      v_store (y + h * VL, v);
    else if (rows > h * VL)
      v_store_first (y + h * VL, rows - h * VL, v);
  }
}

/* One panel and @tokens tokens, a constant. */
static ALWAYS_INLINE void
tile (const guint tokens, float *y, gsize ldy, const guint8 *w, gsize rows, gsize groups, float wscale, const gint8 *x,
    gsize ldx, const float *xscale, const gint32 *xsum)
{
  const __m256i three = _mm256_set1_epi8 (3);
  __m256i sum[TILE_TOKENS][2];
  gsize s;
  guint t, k;

#pragma GCC unroll 8
  for (t = 0; t < tokens; t++)
    sum[t][0] = sum[t][1] = _mm256_setzero_si256 ();
  for (s = 0; s < groups * STEPS; s++) {
    const __m256i *p = (const __m256i *) (w + s * 64);

    _mm_prefetch ((const char *) p + 4096, _MM_HINT_T0);
#pragma GCC unroll 4
    for (k = 0; k < 4; k++) {
      __m256i d0 = _mm256_and_si256 (_mm256_srli_epi16 (_mm256_loadu_si256 (p), 2 * k), three);
      __m256i d1 = _mm256_and_si256 (_mm256_srli_epi16 (_mm256_loadu_si256 (p + 1), 2 * k), three);

#pragma GCC unroll 8
      for (t = 0; t < tokens; t++) {
        __m256i v = broadcast4 (x + t * ldx + s * 16 + k * 4);

        sum[t][0] = _mm256_dpbusd_avx_epi32 (sum[t][0], d0, v);
        AS_WRITTEN (sum[t][0]);
        sum[t][1] = _mm256_dpbusd_avx_epi32 (sum[t][1], d1, v);
        AS_WRITTEN (sum[t][1]);
      }
    }
  }
#pragma GCC unroll 8
  for (t = 0; t < tokens; t++)
    store_panel (y + t * ldy, rows, sum[t], xscale[t], xsum[t], wscale);
}

/* One token. Digits stay where they are in their bytes, which saves the shifts: digit k is 4^k times too large, and so
 * is its sum, which has no overflow up to 2^12 groups. */
static void
one_token (float *y, const guint8 *w, gsize rows, gsize groups, float wscale, const gint8 *x, float xscale, gint32 xsum)
{
  __m256i sum[4][2], mask[4];
  gsize s;
  guint k;

#pragma GCC unroll 4
  for (k = 0; k < 4; k++) {
    sum[k][0] = sum[k][1] = _mm256_setzero_si256 ();
    mask[k] = _mm256_set1_epi8 ((char) (3 << 2 * k));
  }
  for (s = 0; s < groups * STEPS; s++, w += 64) {
    __m256i p0 = _mm256_loadu_si256 ((const __m256i *) w), p1 = _mm256_loadu_si256 ((const __m256i *) w + 1);

    _mm_prefetch ((const char *) w + 4096, _MM_HINT_T0);
#pragma GCC unroll 4
    for (k = 0; k < 4; k++) {
      __m256i v = broadcast4 (x + s * 16 + k * 4);

      sum[k][0] = _mm256_dpbusd_avx_epi32 (sum[k][0], _mm256_and_si256 (p0, mask[k]), v);
      AS_WRITTEN (sum[k][0]);
      sum[k][1] = _mm256_dpbusd_avx_epi32 (sum[k][1], _mm256_and_si256 (p1, mask[k]), v);
      AS_WRITTEN (sum[k][1]);
    }
  }
#pragma GCC unroll 4
  for (k = 1; k < 4; k++) {
    sum[0][0] = _mm256_add_epi32 (sum[0][0], _mm256_srai_epi32 (sum[k][0], 2 * k));
    sum[0][1] = _mm256_add_epi32 (sum[0][1], _mm256_srai_epi32 (sum[k][1], 2 * k));
  }
  store_panel (y, rows, sum[0], xscale, xsum, wscale);
}

static TERN_DECL_GEMM_T2 (gemm_t2_avxvnni)
{
  gsize r, t, tokens;

  for (r = 0; r < rows; r += TERN_T2_ROWS, w += groups * TERN_T2_BYTES) {
    if (n == 1) {
      one_token (y + r, w, rows - r, groups, wscale, x, *xscale, *xsum);
      continue;
    }
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
tern_ternary_init_avxvnni (TernKernels *k)
{
  k->gemm_t2 = gemm_t2_avxvnni;
}
