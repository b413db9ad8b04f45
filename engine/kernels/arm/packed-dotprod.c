/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Packed int8 matrices with SDOT by element: a vector has a word of each of four rows. */
#include "engine/kernels/arm/vec-dotprod.h"
#include "engine/kernels/arm/packed.inc"

#define TILE_TOKENS 10          /* with two vectors of rows: 20 sums, 2 of weights, 1 of activations, a mask */
#define TALL_TOKENS 5           /* with four */

/* 4 * @vectors rows and @tokens tokens, constants. The sums of groups stay in memory, which is seldom visited. */
static ALWAYS_INLINE void
tile (const guint vectors, const guint tokens, float *y, gsize ldy, const guint8 *w, gsize rows, gsize cols,
    const float *wscale, const float *bias, const gint8 *x, gsize ldx, gsize group, const float *xscale, gsize ldg)
{
  float32x4_t all[TILE_TOKENS][4];
  gsize c, next, g;
  guint t, v;

  memset (all, 0, tokens * sizeof all[0]);
  for (c = 0, g = 0; c < cols; c = next, g++) {
    int32x4_t sum[TILE_TOKENS][4];

    next = MIN (c + group, cols);
#pragma GCC unroll 10
    for (t = 0; t < tokens; t++) {
#pragma GCC unroll 4
      for (v = 0; v < vectors; v++)
        sum[t][v] = vdupq_n_s32 (0);
    }
    for (; c < next; c += 16) {
#define STEP(k) { \
      int8x16_t p[4]; \
      _Pragma ("GCC unroll 4") \
      for (v = 0; v < vectors; v++) \
        p[v] = signed_weights (w + c * 16 + 64 * k + 16 * v); \
      _Pragma ("GCC unroll 10") \
      for (t = 0; t < tokens; t++) { \
        int8x16_t q = vld1q_s8 (x + t * ldx + c); \
        _Pragma ("GCC unroll 4") \
        for (v = 0; v < vectors; v++) \
          sum[t][v] = vdotq_laneq_s32 (sum[t][v], p[v], q, k); \
      } }
      STEP (0) STEP (1) STEP (2) STEP (3)
#undef STEP
    }
#pragma GCC unroll 10
    for (t = 0; t < tokens; t++) {
#pragma GCC unroll 4
      for (v = 0; v < vectors; v++)
        all[t][v] = vfmaq_n_f32 (all[t][v], vcvtq_f32_s32 (sum[t][v]), xscale[t * ldg + g]);
    }
  }
  for (t = 0; t < tokens; t++) {
    for (v = 0; v < vectors && rows > v * VL; v++)
      store_rows (y + t * ldy + v * VL, rows - v * VL, all[t][v], wscale + v * VL, bias ? bias + v * VL : NULL);
  }
}

TERN_DECL_GEMM_I8P (tern_gemm_i8p_dotprod)
{
  const gboolean tall = n <= TALL_TOKENS;
  gsize r, t, tokens;

#define CASE(V, T) case T: tile (V, T, y + t * ldy + r, ldy, w, rows - r, cols, wscale + r, bias ? bias + r : NULL, \
    x + t * ldx, ldx, group, xscale + t * ldg, ldg); break;
  for (r = 0; tall && r < rows; r += 16, w += cols * TERN_PANEL_ROWS) {
    t = 0;
    switch (n) {
      CASE (4, 1) CASE (4, 2) CASE (4, 3) CASE (4, 4) CASE (4, 5)
    }
  }
  for (r = 0; !tall && r < rows; r += 8, w += r % TERN_PANEL_ROWS ? 32 : cols * TERN_PANEL_ROWS - 32) {
    for (t = 0; t < n; t += tokens) {
      tokens = tokens_of_tile (n - t, TILE_TOKENS);
      switch (tokens) {
        CASE (2, 3) CASE (2, 4) CASE (2, 5) CASE (2, 6) CASE (2, 7) CASE (2, 8) CASE (2, 9) CASE (2, 10)
      }
    }
  }
#undef CASE
}

void
tern_packed_init_dotprod (TernKernels *k)
{
  k->gemm_i8p = tern_gemm_i8p_dotprod;
}
