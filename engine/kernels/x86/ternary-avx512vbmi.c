/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Ternary matrices in the layout T3: five sixths of the bytes of T2, which is what decode waits for, and one stream of them. */
#include "engine/kernels/x86/vec-avx512.h"
#include "engine/kernels/x86/vec-t3.h"
#include "engine/kernels/x86/ternary-rows.inc"

#define TILE_TOKENS 8           /* 24 sums, 3 of digits, 1 of indices, 1 of highest bits, 1 mask, 1 of activations */
#define THIRDS 3
#define PANEL (THIRDS * VL)

/* How far ahead of the product memory is fetched: the hardware sees where a panel leads, but is late. */
#define AHEAD 8192

/* What is read @once, for one token, is not to push anything out of the caches: without that memory gives a tenth more. */
static ALWAYS_INLINE void
fetch_block (const guint8 *block, const gboolean once)
{
  guint i;

#pragma GCC unroll 5
  for (i = 0; i < TERN_T3_BLOCK; i += 64) {
    if (once)
      _mm_prefetch ((const char *) block + i, _MM_HINT_NTA);
    else
      _mm_prefetch ((const char *) block + i, _MM_HINT_T0);
  }
}

/* One panel, of which @rows count, and @tokens tokens, a constant. Few tokens have several sums for each of their outputs, so
 * that no instruction waits for the one before it: @chains, a constant too. */
static ALWAYS_INLINE void
tile (const guint tokens, const guint chains, float *y, gsize ldy, const guint8 *w, gsize rows, gsize groups, float wscale,
    const gint8 *x, gsize ldx, const float *xscale, const gint32 *xsum)
{
  __m512i sum[TILE_TOKENS][THIRDS];
  gsize b;
  guint t, third;
  gint s;

#pragma GCC unroll 8
  for (t = 0; t < tokens * chains; t++)
    sum[t][0] = sum[t][1] = sum[t][2] = _mm512_setzero_si512 ();

  for (b = 0; b < groups * TERN_T3_BLOCKS; b++, w += TERN_T3_BLOCK) {
    __m512i high = tern_t3_high (w);

    fetch_block (w + AHEAD, tokens == 1);
#pragma GCC unroll 8
    for (s = 0; s < TERN_T3_STEPS; s++) {
      __m512i index = tern_t3_index (w, high, s), d[THIRDS];

#pragma GCC unroll 3
      for (third = 0; third < THIRDS; third++)
        d[third] = tern_t3_digits (index, s, third);
#pragma GCC unroll 8
      for (t = 0; t < tokens; t++) {
        __m512i v = broadcast4 (x + t * ldx + b * TERN_T3_BLOCK_COLS + 4 * s);
        guint at = t * chains + s % chains;

#pragma GCC unroll 3
        for (third = 0; third < THIRDS; third++)
          sum[at][third] = _mm512_dpbusd_epi32 (sum[at][third], d[third], v);
      }
    }
  }

#pragma GCC unroll 8
  for (t = 0; t < tokens; t++) {
#pragma GCC unroll 3
    for (third = 0; third < THIRDS; third++) {
      __m512i all = sum[t * chains][third];
      guint i;

#pragma GCC unroll 4
      for (i = 1; i < chains; i++)
        all = _mm512_add_epi32 (all, sum[t * chains + i][third]);
      if (rows > third * VL)
        store_rows (y + t * ldy + third * VL, rows - third * VL, all, xscale[t], xsum[t], wscale);
    }
  }
}

static TERN_DECL_GEMM_T2 (gemm_t3_avx512vbmi)
{
  gsize r, t, tokens;

  for (r = 0; r < rows; r += PANEL, w += groups * TERN_T3_BLOCKS * TERN_T3_BLOCK) {
    for (t = 0; t < n; t += tokens) {
      tokens = n - t;
      if (tokens > TILE_TOKENS) /* the last two tiles share what is left */
        tokens = tokens >= 2 * TILE_TOKENS ? TILE_TOKENS : (tokens + 1) / 2;
      switch (tokens) {
#define CASE(T, CHAINS) case T: tile (T, CHAINS, y + t * ldy + r, ldy, w, rows - r, groups, wscale, x + t * ldx, ldx, \
    xscale + t, xsum + t); break;
        CASE (1, 4) CASE (2, 2) CASE (3, 1) CASE (4, 1) CASE (5, 1) CASE (6, 1) CASE (7, 1) CASE (8, 1)
#undef CASE
      }
    }
  }
}

/* A step of T2 holds four steps of T3, each in bits 2k and 2k + 1 of its bytes. */
static TERN_DECL_PACK_TERNARY (pack_t3_avx512vbmi)
{
  const __m512i three = _mm512_set1_epi8 (3), low4 = _mm512_set1_epi8 (15), bit = _mm512_set1_epi8 (16);
  gsize b, t2_bytes = groups * TERN_T2_BYTES;
  gint s;

  for (b = 0; b < groups * TERN_T3_BLOCKS; b++, panel += TERN_T3_BLOCK, t2 += TERN_T2_BYTES / TERN_T3_BLOCKS) {
    __m512i high = _mm512_setzero_si512 (), low = high;

#pragma GCC unroll 8
    for (s = 0; s < TERN_T3_STEPS; s++) {
      __m512i d[THIRDS], code;
      guint third;

#pragma GCC unroll 3
      for (third = 0; third < THIRDS; third++)
        d[third] = _mm512_and_si512 (_mm512_srli_epi16 (_mm512_loadu_si512 (t2 + third * t2_bytes + s / 4 * 64), s % 4 * 2),
            three);
      code = _mm512_add_epi8 (d[0], _mm512_add_epi8 (d[1], _mm512_add_epi8 (d[1], d[1])));
      code = _mm512_add_epi8 (code, _mm512_add_epi8 (d[2], _mm512_slli_epi16 (d[2], 3)));
      /* bit 4 of the code to bit s */
      high = _mm512_or_si512 (high, s < 4 ? _mm512_srli_epi16 (_mm512_and_si512 (code, bit), s < 4 ? 4 - s : 0)
          : _mm512_slli_epi16 (_mm512_and_si512 (code, bit), s < 4 ? 0 : s - 4));
      code = _mm512_and_si512 (code, low4);
      if (s % 2)
        _mm512_storeu_si512 (panel + s / 2 * 64, _mm512_or_si512 (low, _mm512_slli_epi16 (code, 4)));
      low = code;
    }
    _mm512_storeu_si512 (panel + 256, high);
  }
}

static const TernTernaryLayout t3 = { "t3", PANEL, TERN_T3_BLOCKS * TERN_T3_BLOCK };

void
tern_ternary_init_avx512vbmi (TernKernels *k)
{
  k->ternary = &t3;
  k->pack_ternary = pack_t3_avx512vbmi;
  k->gemm_t2 = gemm_t3_avx512vbmi;
}
