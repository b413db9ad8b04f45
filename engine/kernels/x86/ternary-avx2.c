/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Ternary matrices with VPMADDUBSW: one lane a row, two of its columns a 16-bit half. */
#include <string.h>

#include "engine/kernels/x86/vec-avx2.h"
#include "engine/kernels/x86/digits-avx2.inc"
#include "engine/kernels/x86/ternary-rows.inc"

#define STEPS DIGIT_STEPS
#define PIECE_STEPS (PIECE_GROUPS * STEPS)

/* A 16-bit sum takes 16 steps of 4 products of at most 2 * 2 * 128: -32768 and 32512 at the ends. */
#define STEPS_OF_16BIT 16

typedef struct {
  Digits digits;
  __m256i sums[BLOCK_TOKENS][2];        /* 32 bits wide, visited seldom */
} Scratch;

/* The piece's @steps and @tokens tokens, a constant, into @wide. */
static ALWAYS_INLINE void
tile (const guint tokens, __m256i (*wide)[2], Scratch *scratch, gsize steps, const gint8 *x, gsize ldx)
{
  const __m256i ones = _mm256_set1_epi16 (1);
  gsize s, next;
  guint t;

  for (s = 0; s < steps; s = next) {
    __m256i sum[TILE_TOKENS][2];

    next = MIN (s + STEPS_OF_16BIT, steps);
    sum_steps (tokens, sum, scratch->digits, s, next, x, ldx);
#pragma GCC unroll 8
    for (t = 0; t < tokens; t++) {
      wide[t][0] = _mm256_add_epi32 (wide[t][0], _mm256_madd_epi16 (sum[t][0], ones));
      wide[t][1] = _mm256_add_epi32 (wide[t][1], _mm256_madd_epi16 (sum[t][1], ones));
    }
  }
}

/* One panel and up to BLOCK_TOKENS tokens. Each tile's results leave as soon as they are there, between products: rows of y
 * are often a multiple of a page apart, all in one set of the cache, and one after the other they would wait. */
static void
block (float *y, gsize ldy, const guint8 *w, gsize rows, gsize groups, float wscale, const gint8 *x, gsize ldx,
    const float *xscale, const gint32 *xsum, gsize n)
{
  Scratch scratch;
  gsize s = 0, steps, t, i, tokens;
  guint h;

  memset (scratch.sums, 0, n * sizeof *scratch.sums);
  do {                          /* once where there is nothing to sum */
    steps = MIN (groups * STEPS - s, PIECE_STEPS);
    unpack_piece (scratch.digits, w + s * 64, steps);
    for (t = 0; t < n; t += tokens) {
      /* Tiles of one size, or one less: the smallest wait for their few sums. */
      tokens = (n - t + TILE_TOKENS - 1) / TILE_TOKENS;
      tokens = (n - t + tokens - 1) / tokens;
      switch (tokens) {
#define CASE(T) case T: tile (T, scratch.sums + t, &scratch, steps, x + t * ldx + s * 16, ldx); break;
        CASE (1) CASE (2) CASE (3) CASE (4) CASE (5)
#undef CASE
      }
      for (i = t; s + steps == groups * STEPS && i < t + tokens; i++) {
        for (h = 0; h < 2 && rows > h * VL; h++)
          store_rows (y + i * ldy + h * VL, rows - h * VL, scratch.sums[i][h], xscale[i], xsum[i], wscale);
      }
    }
    s += steps;
  } while (s < groups * STEPS);
}

/* One token: every second digit stays where it is in its byte, which saves half of the shifts, and is four times too large. So
 * is its 16-bit sum of a group, which takes 16 products of at most 2 * 4 * 2 * 128: -32768 and 32512 at the ends. */
static void
one_token (float *y, const guint8 *w, gsize rows, gsize groups, float wscale, const gint8 *x, float xscale, gint32 xsum)
{
  const __m256i low = _mm256_set1_epi8 (3), high = _mm256_set1_epi8 (12), ones = _mm256_set1_epi16 (1);
  __m256i wide[2][2];
  gsize g;
  guint s, h, k;

  for (h = 0; h < 2; h++)
    wide[h][0] = wide[h][1] = _mm256_setzero_si256 ();
  for (g = 0; g < groups; g++, w += TERN_T2_BYTES, x += TERN_T2_COLS) {
    __m256i sum[2][2];

    sum[0][0] = sum[0][1] = sum[1][0] = sum[1][1] = _mm256_setzero_si256 ();
#pragma GCC unroll 2
    for (s = 0; s < STEPS; s++) {
      _mm_prefetch ((const char *) w + s * 64 + 4096, _MM_HINT_T0);
#pragma GCC unroll 2
      for (k = 0; k < 4; k += 2) {
        __m256i v0 = broadcast4 (x + s * 16 + k * 4), v1 = broadcast4 (x + s * 16 + k * 4 + 4);

#pragma GCC unroll 2
        for (h = 0; h < 2; h++) {
          __m256i p = _mm256_loadu_si256 ((const __m256i *) (w + s * 64) + h);

          if (k > 0)
            p = _mm256_srli_epi16 (p, 4);
          sum[h][0] = _mm256_add_epi16 (sum[h][0], _mm256_maddubs_epi16 (_mm256_and_si256 (p, low), v0));
          sum[h][1] = _mm256_add_epi16 (sum[h][1], _mm256_maddubs_epi16 (_mm256_and_si256 (p, high), v1));
        }
      }
    }
#pragma GCC unroll 2
    for (h = 0; h < 2; h++) {
#pragma GCC unroll 2
      for (k = 0; k < 2; k++)
        wide[h][k] = _mm256_add_epi32 (wide[h][k], _mm256_madd_epi16 (sum[h][k], ones));
    }
  }
  for (h = 0; h < 2 && rows > h * VL; h++)
    store_rows (y + h * VL, rows - h * VL, _mm256_add_epi32 (wide[h][0], _mm256_srai_epi32 (wide[h][1], 2)), xscale, xsum,
        wscale);
}

static TERN_DECL_GEMM_T2 (gemm_t2_avx2)
{
  gsize r, t;

  for (r = 0; r < rows; r += TERN_T2_ROWS, w += groups * TERN_T2_BYTES) {
    if (n == 1)
      one_token (y + r, w, rows - r, groups, wscale, x, *xscale, *xsum);
    for (t = 0; n > 1 && t < n; t += BLOCK_TOKENS)
      block (y + t * ldy + r, ldy, w, rows - r, groups, wscale, x + t * ldx, ldx, xscale + t, xsum + t,
          MIN (n - t, BLOCK_TOKENS));
  }
}

void
tern_ternary_init_avx2 (TernKernels *k)
{
  k->gemm_t2 = gemm_t2_avx2;
}
