/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Ternary matrices with scales for runs of columns, with SMLAL: 64 columns at a time are summed in 16 bits, 16 products of at
 * most 3 * 128 in each. */
#include "engine/kernels/arm/vec-neon.h"
#include "engine/kernels/arm/ternary.inc"

#define TILE_TOKENS 5
#define EACH_TILE(M) M (1) M (2) M (3) M (4) M (5)

static ALWAYS_INLINE void
half_group (const gboolean add, const guint tokens, const guint quads, int32x4_t sum[][4], const guint8 *w, const gint8 *x,
    gsize ldx)
{
  int16x8_t part[TILE_TOKENS][4][2];
  guint t, i, s, k;

#pragma GCC unroll 5
  for (t = 0; t < tokens; t++) {
#pragma GCC unroll 4
    for (i = 0; i < quads; i++)
      part[t][i][0] = part[t][i][1] = vdupq_n_s16 (0);
  }
  for (s = 0; s < STEPS / 2; s++) {
#pragma GCC unroll 4
    for (i = 0; i < quads; i++) {
      uint8x16_t v = vld1q_u8 (w + s * 64 + 16 * i);

#pragma GCC unroll 4
      for (k = 0; k < 4; k++) {
        int8x16_t d = digits (v, k);

#pragma GCC unroll 5
        for (t = 0; t < tokens; t++) {
          int8x16_t four = broadcast4 (x + t * ldx + s * 16 + k * 4);

          part[t][i][0] = vmlal_s8 (part[t][i][0], vget_low_s8 (d), vget_low_s8 (four));
          part[t][i][1] = vmlal_high_s8 (part[t][i][1], d, four);
        }
      }
    }
  }
#pragma GCC unroll 5
  for (t = 0; t < tokens; t++) {
#pragma GCC unroll 4
    for (i = 0; i < quads; i++) {
      int32x4_t all = vpaddq_s32 (vpaddlq_s16 (part[t][i][0]), vpaddlq_s16 (part[t][i][1]));

      sum[t][i] = add ? vaddq_s32 (sum[t][i], all) : all;
    }
  }
}

#include "engine/kernels/arm/scaled.inc"

GEMM_T2S (gemm_t2s_neon)

void
tern_scaled_init_neon (TernKernels *k)
{
  k->gemm_t2s = gemm_t2s_neon;
}
