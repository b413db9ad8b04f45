/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Q8_0 weights with VPDPBUSD. Many tokens: the blocks of 32 rows are brought into a panel whose lanes are rows, as
 * unsigned bytes (+128: the sums of the activations take it off again), and multiplied with broadcast activations. */
#include "engine/kernels/x86/vec-avx512.h"

static ALWAYS_INLINE __m256i
dot32 (__m256i u, __m256i s)
{
  return _mm256_dpbusd_epi32 (_mm256_setzero_si256 (), u, s);
}

#include "engine/kernels/x86/q8-few.inc"

#define TILE_TOKENS 6           /* 12 sums of a block, 12 in float, 2 of weights, 1 of activations of 32 registers */
#define PART_BLOCKS 24          /* a panel of 27 KiB */

typedef struct {
  __m512i q[PART_BLOCKS][8][TILE_VECTORS];      /* four bytes of a row in a lane */
  __m512 d[PART_BLOCKS][TILE_VECTORS];
} Panel;

static void
pack (Panel *panel, const guint8 *w, gsize row_bytes, gsize rows, gsize blocks)
{
  const __m512i flip = _mm512_set1_epi8 ((char) 0x80);
  const guint8 *row[TILE_ROWS];
  gsize b;
  guint i, v, j;

  for (i = 0; i < TILE_ROWS; i++)
    row[i] = w + MIN (i, rows - 1) * row_bytes;
  for (b = 0; b < blocks; b++) {
    for (v = 0; v < TILE_VECTORS; v++) {
      guint16 d[VL];

      for (i = 0; i < VL; i++)
        memcpy (&d[i], row[v * VL + i] + b * BLOCK_BYTES, sizeof d[i]);
      panel->d[b][v] = v_load_f16 (d);
#pragma GCC unroll 2
      for (j = 0; j < 8; j += 4) {
        vf out[4];

        v_transpose4 (out, row + v * VL, b * BLOCK_BYTES + 2 + j * 4);
#pragma GCC unroll 4
        for (i = 0; i < 4; i++)
          panel->q[b][j + i][v] = _mm512_xor_si512 (_mm512_castps_si512 (out[i]), flip);
      }
    }
  }
}

static ALWAYS_INLINE void
tile (const guint tokens, float *y, gsize ldy, gsize rows, const Panel *panel, gsize blocks, const TernQ8Block *x,
    gsize ldx, gboolean add)
{
  __m512 sum[TILE_TOKENS][TILE_VECTORS];
  gsize b;
  guint t, v, j;

#pragma GCC unroll 8
  for (t = 0; t < tokens; t++)
    sum[t][0] = sum[t][1] = v_zero ();

  for (b = 0; b < blocks; b++) {
    __m512i dot[TILE_TOKENS][TILE_VECTORS];

#pragma GCC unroll 8
    for (t = 0; t < tokens; t++)
      dot[t][0] = dot[t][1] = _mm512_set1_epi32 (-128 * x[t * ldx + b].sum);
#pragma GCC unroll 8
    for (j = 0; j < 8; j++) {
      __m512i w0 = panel->q[b][j][0], w1 = panel->q[b][j][1];

#pragma GCC unroll 8
      for (t = 0; t < tokens; t++) {
        __m512i q = _mm512_broadcastd_epi32 (_mm_loadu_si32 (x[t * ldx + b].q + 4 * j));

        dot[t][0] = _mm512_dpbusd_epi32 (dot[t][0], w0, q);
        dot[t][1] = _mm512_dpbusd_epi32 (dot[t][1], w1, q);
      }
    }
#pragma GCC unroll 8
    for (t = 0; t < tokens; t++) {
      vf d = v_set (x[t * ldx + b].d);

#pragma GCC unroll 2
      for (v = 0; v < TILE_VECTORS; v++)
        sum[t][v] = v_fma (_mm512_cvtepi32_ps (dot[t][v]), v_mul (d, panel->d[b][v]), sum[t][v]);
    }
  }

#pragma GCC unroll 8
  for (t = 0; t < tokens; t++) {
#pragma GCC unroll 2
    for (v = 0; v < TILE_VECTORS; v++) {
      float *to = y + t * ldy + v * VL;

      if (rows >= (v + 1) * VL)
        v_store (to, add ? v_add (sum[t][v], v_load (to)) : sum[t][v]);
      else if (rows > v * VL)
        v_store_first (to, rows - v * VL, add ? v_add (sum[t][v], v_load_first (to, rows - v * VL)) : sum[t][v]);
    }
  }
}

static TERN_DECL_GEMM_Q8 (gemm_q8_avx512vnni)
{
  Panel panel;
  gsize r, b, t, tokens;

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

      pack (&panel, w + r * row_bytes + b * BLOCK_BYTES, row_bytes, MIN (TILE_ROWS, rows - r), part);
      for (t = 0; t < n; t += tokens) {
        tokens = n - t;
        if (tokens > TILE_TOKENS)       /* the last two tiles share what is left */
          tokens = tokens >= 2 * TILE_TOKENS ? TILE_TOKENS : (tokens + 1) / 2;
        switch (tokens) {
#define CASE(T) case T: tile (T, y + t * ldy + r, ldy, rows - r, &panel, part, x + t * ldx + b, ldx, b > 0); break;
          CASE (1) CASE (2) CASE (3) CASE (4) CASE (5) CASE (6)
#undef CASE
        }
      }
    }
  }
}

void
tern_q8_init_avx512vnni (TernKernels *k)
{
  k->gemm_q8 = gemm_q8_avx512vnni;
}
