/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Block-quantised weights with SDOT. */
#include "engine/kernels/arm/vec-dotprod.h"
#include "engine/kernels/arm/block-types.inc"

#undef VARIANT
#define VARIANT(name) name##_dotprod

static ALWAYS_INLINE int32x4_t
dot16 (int32x4_t sum, int8x16_t w, int8x16_t x)
{
  return vdotq_s32 (sum, w, x);
}

#include "engine/kernels/arm/blocks-few.inc"

/* ---- Many tokens: a vector has a word of each of four rows, SDOT by element takes that of a token. ------------------ */

static ALWAYS_INLINE void
arrange (int8x16_t q[8][TILE_VECTORS], const guint8 *const row[TILE_ROWS], gsize offset)
{
  guint i, v, j;

  for (v = 0; v < TILE_VECTORS; v++) {
#pragma GCC unroll 2
    for (j = 0; j < 8; j += 4) {
      vf out[4];

      v_transpose4 (out, row + v * VL, offset + j * 4);
#pragma GCC unroll 4
      for (i = 0; i < 4; i++)
        q[j + i][v] = vreinterpretq_s8_f32 (out[i]);
    }
  }
}

#include "engine/kernels/arm/blocks-panel.inc"

#define TILE_TOKENS 6           /* 12 sums of a block, 12 in float, 2 of weights, 1 of activations of 32 registers */

/* Half @h or both halves of sub-block @b, for @tokens tokens, into @sum. */
static ALWAYS_INLINE void
tile_part (const guint tokens, const gboolean halves, const gboolean min, float32x4_t sum[][TILE_VECTORS],
    const Panel *panel, gsize b, const guint h, const TernQ8Block *x, gsize ldx)
{
  const guint last = halves ? h : 1;
  int32x4_t dot[TILE_TOKENS][TILE_VECTORS];
  guint t, v, j;

#pragma GCC unroll 8
  for (t = 0; t < tokens; t++)
    dot[t][0] = dot[t][1] = vdupq_n_s32 (0);
#pragma GCC unroll 2
  for (j = h; j <= last; j++) {
    const int8x16_t (*w)[TILE_VECTORS] = panel->q[b] + 4 * j;

#define WORD(k) \
    for (t = 0; t < tokens; t++) { \
      dot[t][0] = vdotq_laneq_s32 (dot[t][0], w[k][0], q[t], k); \
      dot[t][1] = vdotq_laneq_s32 (dot[t][1], w[k][1], q[t], k); \
    }
    int8x16_t q[TILE_TOKENS];

#pragma GCC unroll 8
    for (t = 0; t < tokens; t++)
      q[t] = vld1q_s8 (x[t * ldx].q + 16 * j);
#pragma GCC unroll 8
    WORD (0)
#pragma GCC unroll 8
    WORD (1)
#pragma GCC unroll 8
    WORD (2)
#pragma GCC unroll 8
    WORD (3)
#undef WORD
  }
#pragma GCC unroll 8
  for (t = 0; t < tokens; t++) {
    const TernQ8Block *q = &x[t * ldx];
    float total = (float) (!halves ? q->sum : h ? q->sum - q->half : q->half);

#pragma GCC unroll 2
    for (v = 0; v < TILE_VECTORS; v++) {
      vf part = v_mul (vcvtq_f32_s32 (dot[t][v]), v_load (&panel->d[b][h][v * VL]));

      if (min)
        part = vfmaq_n_f32 (part, v_load (&panel->m[b][h][v * VL]), total);
      sum[t][v] = vfmaq_n_f32 (sum[t][v], part, q->d);
    }
  }
}

static ALWAYS_INLINE void
tile (const guint tokens, const gboolean halves, const gboolean min, float *y, gsize ldy, gsize rows,
    const Panel *panel, gsize blocks, const TernQ8Block *x, gsize ldx, gboolean add)
{
  float32x4_t sum[TILE_TOKENS][TILE_VECTORS];
  gsize b;
  guint t, v;

#pragma GCC unroll 8
  for (t = 0; t < tokens; t++)
    sum[t][0] = sum[t][1] = v_zero ();
  for (b = 0; b < blocks; b++) {
    tile_part (tokens, halves, min, sum, panel, b, 0, x + b, ldx);
    if (halves)
      tile_part (tokens, halves, min, sum, panel, b, 1, x + b, ldx);
  }
#pragma GCC unroll 8
  for (t = 0; t < tokens; t++) {
#pragma GCC unroll 2
    for (v = 0; v < TILE_VECTORS; v++)
      put_sums (y + t * ldy + v * VL, rows > v * VL ? rows - v * VL : 0, sum[t][v], add);
  }
}

/* All tokens against one panel. */
static ALWAYS_INLINE void
tiles (const gboolean halves, const gboolean min, float *y, gsize ldy, gsize rows, const Panel *panel, gsize blocks,
    const TernQ8Block *x, gsize ldx, gsize n, gboolean add)
{
  gsize t, tokens;

  for (t = 0; t < n; t += tokens) {
    tokens = n - t;
    if (tokens > TILE_TOKENS)   /* the last two tiles share what is left */
      tokens = tokens >= 2 * TILE_TOKENS ? TILE_TOKENS : (tokens + 1) / 2;
    switch (tokens) {
#define CASE(T) case T: tile (T, halves, min, y + t * ldy, ldy, rows, panel, blocks, x + t * ldx, ldx, add); break;
      CASE (1) CASE (2) CASE (3) CASE (4) CASE (5) CASE (6)
#undef CASE
    }
  }
}

#include "engine/kernels/arm/blocks-many.inc"
#include "engine/kernels/wide/blocks.inc"
