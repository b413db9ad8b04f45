/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Q8_0 weights with AVX2. Without VNNI a product of bytes takes as many instructions as one of floats, so many tokens
 * go through the float panel. */
#include "engine/kernels/x86/vec-avx2.h"

static ALWAYS_INLINE __m256i
dot32 (__m256i u, __m256i s)
{
  return _mm256_madd_epi16 (_mm256_maddubs_epi16 (u, s), _mm256_set1_epi16 (1));
}

#include "engine/kernels/x86/q8-few.inc"

#define PART_BLOCKS (DEPTH / 32)
#define PART_TOKENS 24          /* floats of so many tokens at once: a multiple of the tile */

static ALWAYS_INLINE void
expand_block (float *dst, float d, const void *q)
{
  guint i;

#pragma GCC unroll 4
  for (i = 0; i < 32; i += VL) {
    __m128i v = _mm_loadl_epi64 ((const __m128i *) ((const gint8 *) q + i));

    v_store (dst + i, v_mul (_mm256_cvtepi32_ps (_mm256_cvtepi8_epi32 (v)), v_set (d)));
  }
}

/* Columns [0, 32 * blocks) of TILE_ROWS rows or fewer, as a float panel. */
static void
expand_panel (float *panel, const guint8 *w, gsize row_bytes, gsize rows, gsize blocks)
{
  float part[TILE_ROWS][DEPTH];
  gsize i, b;

  for (i = 0; i < rows; i++) {
    for (b = 0; b < blocks; b++) {
      const guint8 *p = w + i * row_bytes + b * BLOCK_BYTES;

      expand_block (part[i] + b * 32, block_scale (p), p + 2);
    }
  }
  tern_pack_panel_avx2 (panel, (const guint8 *) part, sizeof part[0], rows, blocks * 32);
}

static void
tokens_times_panel (float *y, gsize ldy, gsize rows, const TernQ8Block *x, gsize ldx, gsize n, const float *panel,
    gsize blocks, gboolean add)
{
  float part[PART_TOKENS][DEPTH];
  gsize t, i, b;

  for (t = 0; t < n; t += PART_TOKENS) {
    gsize count = MIN (PART_TOKENS, n - t);

    for (i = 0; i < count; i++) {
      for (b = 0; b < blocks; b++)
        expand_block (part[i] + b * 32, x[(t + i) * ldx + b].d, x[(t + i) * ldx + b].q);
    }
    tern_panel_times_tokens_avx2 (y + t * ldy, ldy, rows, part[0], DEPTH, count, panel, TILE_ROWS, blocks * 32, add);
  }
}

static TERN_DECL_GEMM_Q8 (gemm_q8_avx2)
{
  float panel[DEPTH * TILE_ROWS] __attribute__ ((aligned (64)));
  gsize r, b;

  if (n <= FEW_TOKENS || blocks == 0) {
    for (; n > 0; n -= b, x += b * ldx, y += b * ldy) {
      b = MIN (n, FEW_TOKENS);
      few_tokens (y, ldy, w, row_bytes, rows, blocks, x, ldx, b);
    }
    return;
  }
  for (r = 0; r < rows; r += TILE_ROWS) {
    for (b = 0; b < blocks; b += PART_BLOCKS) {
      gsize part = MIN (PART_BLOCKS, blocks - b);

      expand_panel (panel, w + r * row_bytes + b * BLOCK_BYTES, row_bytes, MIN (TILE_ROWS, rows - r), part);
      tokens_times_panel (y + r, ldy, rows - r, x + b, ldx, n, panel, part, b > 0);
    }
  }
}

void
tern_q8_init_avx2 (TernKernels *k)
{
  k->gemm_q8 = gemm_q8_avx2;
}
