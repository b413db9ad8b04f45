/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Ternary matrices with scales for runs of columns, with SDOT by element: one lane a row, four columns an instruction. */
#include "engine/kernels/arm/vec-dotprod.h"
#include "engine/kernels/arm/ternary.inc"

#define TILE_TOKENS 8
#define EACH_TILE(M) M (1) M (2) M (3) M (4) M (5) M (6) M (7) M (8)

static ALWAYS_INLINE void
half_group (const gboolean add, const guint tokens, const guint quads, int32x4_t sum[][4], const guint8 *w, const gint8 *x,
    gsize ldx)
{
  guint t, i, s;

#pragma GCC unroll 8
  for (t = 0; t < tokens; t++) {
#pragma GCC unroll 4
    for (i = 0; i < quads && !add; i++)
      sum[t][i] = vdupq_n_s32 (0);
  }
  for (s = 0; s < STEPS / 2; s++) {
#pragma GCC unroll 4
    for (i = 0; i < quads; i++) {
      uint8x16_t v = vld1q_u8 (w + s * 64 + 16 * i);
      int8x16_t d0 = digits (v, 0), d1 = digits (v, 1), d2 = digits (v, 2), d3 = digits (v, 3);

#pragma GCC unroll 8
      for (t = 0; t < tokens; t++) {
        int8x16_t all = vld1q_s8 (x + t * ldx + s * 16);

        sum[t][i] = vdotq_laneq_s32 (sum[t][i], d0, all, 0);
        sum[t][i] = vdotq_laneq_s32 (sum[t][i], d1, all, 1);
        sum[t][i] = vdotq_laneq_s32 (sum[t][i], d2, all, 2);
        sum[t][i] = vdotq_laneq_s32 (sum[t][i], d3, all, 3);
      }
    }
  }
}

#include "engine/kernels/arm/scaled.inc"

GEMM_T2S (gemm_t2s_dotprod)

void
tern_scaled_init_dotprod (TernKernels *k)
{
  k->gemm_t2s = gemm_t2s_dotprod;
}
