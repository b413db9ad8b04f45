/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Ternary matrices with scales for runs of columns, with VPMADDUBSW: as ternary-avx2.c, but that a digit may be 3, and that
 * 64 columns at a time are summed in 16 bits: 16 products of at most 2 * 3 * 128, or with digits that stay four times too
 * large eight of 2 * 12 * 128, are within them. */
#include <string.h>

#include "engine/kernels/x86/vec-avx2.h"
#include "engine/kernels/x86/digits-avx2.inc"
#include "engine/kernels/x86/scaled-rows.inc"

#define HALF (STEPS / 2)

typedef struct {
  Digits digits;
  __m256 acc[BLOCK_TOKENS][2];
} Scratch;

static ALWAYS_INLINE __m256
run_scale (const guint8 *p, guint h)
{
  return _mm256_cvtph_ps (_mm_loadu_si128 ((const __m128i *) p + h));
}

/* Half a group of the piece, from step @s on, and @tokens tokens, a constant, into @wide, which is set or added to. */
static ALWAYS_INLINE void
half_group (const guint tokens, const gboolean add, __m256i wide[TILE_TOKENS][2], Scratch *scratch, gsize s, const gint8 *x,
    gsize ldx)
{
  const __m256i ones = _mm256_set1_epi16 (1);
  __m256i sum[TILE_TOKENS][2];
  guint t, h;

  sum_steps (tokens, sum, scratch->digits, s, s + HALF, x, ldx);
#pragma GCC unroll 8
  for (t = 0; t < tokens; t++) {
#pragma GCC unroll 2
    for (h = 0; h < 2; h++) {
      __m256i all = _mm256_madd_epi16 (sum[t][h], ones);

      wide[t][h] = add ? _mm256_add_epi32 (wide[t][h], all) : all;
    }
  }
}

/* @runs runs of the piece, the first of which is run @first of the row. */
static ALWAYS_INLINE void
tile (const guint parts, const guint tokens, Scratch *scratch, gsize t, const guint8 *scale, gsize first, gsize runs,
    const gint8 *x, gsize ldx, const gint32 *xsum, gsize lds)
{
  __m256i wide[TILE_TOKENS][2];
  gsize run;
  guint i, h;

  for (run = 0; run < runs; run++) {
    half_group (tokens, FALSE, wide, scratch, run * (STEPS / parts), x, ldx);
    if (parts == 1)
      half_group (tokens, TRUE, wide, scratch, run * STEPS + HALF, x, ldx);
    for (i = 0; i < tokens; i++) {
      __m256i off = _mm256_set1_epi32 (run_sum (parts, xsum + i * lds, first + run));

#pragma GCC unroll 2
      for (h = 0; h < 2; h++)
        scratch->acc[t + i][h] = v_fma (_mm256_cvtepi32_ps (_mm256_sub_epi32 (wide[i][h], off)),
            run_scale (scale + (first + run) * TERN_T2S_RUN, h), scratch->acc[t + i][h]);
    }
  }
}

/* One panel and up to BLOCK_TOKENS tokens. */
static ALWAYS_INLINE void
block (const guint parts, float *y, gsize ldy, const guint8 *w, gsize rows, gsize groups, const gint8 *x, gsize ldx,
    const float *xscale, const gint32 *xsum, gsize lds, gsize n)
{
  const guint8 *digits = w + tern_t2s_head (groups, parts);
  Scratch scratch;
  gsize g, t, tokens;
  guint h;

  memset (scratch.acc, 0, n * sizeof *scratch.acc);
  for (g = 0; g < groups; g += PIECE_GROUPS) {
    gsize piece = MIN (groups - g, PIECE_GROUPS);

    unpack_piece (scratch.digits, digits + g * TERN_T2_BYTES, piece * STEPS);
    for (t = 0; t < n; t += tokens) {
      /* Tiles of one size, or one less. */
      tokens = (n - t + TILE_TOKENS - 1) / TILE_TOKENS;
      tokens = (n - t + tokens - 1) / tokens;
      switch (tokens) {
#define CASE(T) case T: tile (parts, T, &scratch, t, w, g * parts, piece * parts, x + t * ldx + g * TERN_T2_COLS, ldx, \
    xsum + t * lds, lds); break;
        CASE (1) CASE (2) CASE (3) CASE (4) CASE (5)
#undef CASE
      }
    }
  }
  for (t = 0; t < n; t++) {
    for (h = 0; h < 2 && rows > h * VL; h++)
      store_scaled (y + t * ldy + h * VL, rows - h * VL, scratch.acc[t][h], xscale[t]);
  }
}

/* Half a group of eight rows (@h) and one token, straight from the panel: every second digit stays where it is. */
static ALWAYS_INLINE __m256i
half_group_of_one (const guint8 *w, const guint h, const gint8 *x)
{
  const __m256i low = _mm256_set1_epi8 (3), high = _mm256_set1_epi8 (12), ones = _mm256_set1_epi16 (1);
  __m256i sum = _mm256_setzero_si256 (), larger = _mm256_setzero_si256 ();
  guint s, k;

#pragma GCC unroll 4
  for (s = 0; s < HALF; s++) {
    __m256i p = _mm256_loadu_si256 ((const __m256i *) (w + s * 64) + h);

#pragma GCC unroll 2
    for (k = 0; k < 4; k += 2) {
      __m256i q = k > 0 ? _mm256_srli_epi16 (p, 4) : p;

      sum = _mm256_add_epi16 (sum, _mm256_maddubs_epi16 (_mm256_and_si256 (q, low), broadcast4 (x + s * 16 + k * 4)));
      larger = _mm256_add_epi16 (larger,
          _mm256_maddubs_epi16 (_mm256_and_si256 (q, high), broadcast4 (x + s * 16 + k * 4 + 4)));
    }
  }
  return _mm256_add_epi32 (_mm256_madd_epi16 (sum, ones), _mm256_srai_epi32 (_mm256_madd_epi16 (larger, ones), 2));
}

static ALWAYS_INLINE void
one_token (const guint parts, float *y, const guint8 *w, gsize rows, gsize groups, const gint8 *x, float xscale,
    const gint32 *xsum)
{
  const gsize ahead = ahead_of (tern_t2s_panel (groups, parts));
  const guint8 *scale = w, *digits = w + tern_t2s_head (groups, parts);
  __m256 acc[2] = { v_zero (), v_zero () };
  gsize run;
  guint h, k;

  for (run = 0; run < groups * parts; run++, scale += TERN_T2S_RUN) {
    __m256i off = _mm256_set1_epi32 (run_sum (parts, xsum, run));

    _mm_prefetch ((const char *) scale + ahead, _MM_HINT_T0);
#pragma GCC unroll 8
    for (k = 0; k < STEPS / parts; k++)
      fetch (digits + k * 64);
#pragma GCC unroll 2
    for (h = 0; h < 2; h++) {
      __m256i all = half_group_of_one (digits, h, x);

      if (parts == 1)
        all = _mm256_add_epi32 (all, half_group_of_one (digits + HALF * 64, h, x + HALF * 16));
      acc[h] = v_fma (_mm256_cvtepi32_ps (_mm256_sub_epi32 (all, off)), run_scale (scale, h), acc[h]);
    }
    digits += TERN_T2_BYTES / parts;
    x += TERN_T2_COLS / parts;
  }
  for (h = 0; h < 2 && rows > h * VL; h++)
    store_scaled (y + h * VL, rows - h * VL, acc[h], xscale);
}

static ALWAYS_INLINE void
product (const guint parts, float *y, gsize ldy, const guint8 *w, gsize rows, gsize groups, const gint8 *x, gsize ldx,
    const float *xscale, const gint32 *xsum, gsize lds, gsize n)
{
  gsize r, t;

  for (r = 0; r < rows; r += TERN_T2_ROWS, w += tern_t2s_panel (groups, parts)) {
    if (n == 1)
      one_token (parts, y + r, w, rows - r, groups, x, *xscale, xsum);
    for (t = 0; n > 1 && t < n; t += BLOCK_TOKENS)
      block (parts, y + t * ldy + r, ldy, w, rows - r, groups, x + t * ldx, ldx, xscale + t, xsum + t * lds, lds,
          MIN (n - t, BLOCK_TOKENS));
  }
}

static TERN_DECL_GEMM_T2S (gemm_t2s_avx2)
{
  if (parts == 1)
    product (1, y, ldy, w, rows, groups, x, ldx, xscale, xsum, lds, n);
  else
    product (2, y, ldy, w, rows, groups, x, ldx, xscale, xsum, lds, n);
}

void
tern_scaled_init_avx2 (TernKernels *k)
{
  k->gemm_t2s = gemm_t2s_avx2;
}
