/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Block-quantised weights with SMMLA, for many tokens: two rows and two tokens of eight columns an instruction. Scales are
 * applied in the order of DOTPROD, which keeps what is not for many. */
#include "engine/kernels/arm/vec-dotprod.h"
#include "engine/kernels/arm/block-types.inc"

/* A vector has eight columns of two rows: four for the eight rows, then the next columns. */
static ALWAYS_INLINE void
arrange (int8x16_t q[8][TILE_VECTORS], const guint8 *const row[TILE_ROWS], gsize offset)
{
  int8x16_t *to = q[0];
  guint h, i;

#pragma GCC unroll 2
  for (h = 0; h < 2; h++) {
#pragma GCC unroll 4
    for (i = 0; i < 4; i++) {
      uint64x2_t a = vreinterpretq_u64_u8 (vld1q_u8 (row[2 * i] + offset + 16 * h));
      uint64x2_t b = vreinterpretq_u64_u8 (vld1q_u8 (row[2 * i + 1] + offset + 16 * h));

      to[8 * h + i] = vreinterpretq_s8_u64 (vzip1q_u64 (a, b));
      to[8 * h + 4 + i] = vreinterpretq_s8_u64 (vzip2q_u64 (a, b));
    }
  }
}

#include "engine/kernels/arm/blocks-panel.inc"

/* One value of each of a pair, for two rows. */
static ALWAYS_INLINE vf
two_rows (float a, float b)
{
  float32x2_t pair = vset_lane_f32 (b, vdup_n_f32 (a), 1);

  return vcombine_f32 (pair, pair);
}

/* Each of rows 2i and 2i + 1 of eight twice, for two tokens. */
static ALWAYS_INLINE vf
two_tokens (const float *of_rows, const guint i)
{
  vf v = v_load (of_rows + i / 2 * VL);

  return i % 2 ? vzip2q_f32 (v, v) : vzip1q_f32 (v, v);
}

static ALWAYS_INLINE float
total (const TernQ8Block *q, const gboolean halves, const guint h)
{
  return (float) (!halves ? q->sum : h ? q->sum - q->half : q->half);
}

/* Half @h or both halves of sub-block @b, for two tokens at @x, into @sum. */
static ALWAYS_INLINE void
tile_part (const gboolean halves, const gboolean min, float32x4_t sum[4], const Panel *panel, gsize b, const guint h,
    const TernQ8Block *const x[2])
{
  const TernQ8Block *one = x[0] + b, *other = x[1] + b;
  const guint last = halves ? h : 1;
  vf d = two_rows (one->d, other->d), totals = v_zero ();
  int32x4_t dot[4];
  guint i, j;

#pragma GCC unroll 4
  for (i = 0; i < 4; i++)
    dot[i] = vdupq_n_s32 (0);
#pragma GCC unroll 2
  for (j = h; j <= last; j++) {
    const int8x16_t *w = panel->q[b][4 * j];
    uint64x2_t a = vreinterpretq_u64_s8 (vld1q_s8 (one->q + 16 * j)), c = vreinterpretq_u64_s8 (vld1q_s8 (other->q + 16 * j));
    int8x16_t first = vreinterpretq_s8_u64 (vzip1q_u64 (a, c)), second = vreinterpretq_s8_u64 (vzip2q_u64 (a, c));

#pragma GCC unroll 4
    for (i = 0; i < 4; i++)
      dot[i] = vmmlaq_s32 (dot[i], w[i], first);
#pragma GCC unroll 4
    for (i = 0; i < 4; i++)
      dot[i] = vmmlaq_s32 (dot[i], w[4 + i], second);
  }
  if (min)
    totals = two_rows (total (one, halves, h), total (other, halves, h));
#pragma GCC unroll 4
  for (i = 0; i < 4; i++) {
    vf part = v_mul (vcvtq_f32_s32 (dot[i]), two_tokens (panel->d[b][h], i));

    if (min)
      part = v_fma (two_tokens (panel->m[b][h], i), totals, part);
    sum[i] = v_fma (part, d, sum[i]);
  }
}

/* All tokens against one panel, two at a time: eight sums, those of the block and those in float. With twice or three times
 * as many gcc 12 keeps some in memory, and nothing is won. */
static ALWAYS_INLINE void
tiles (const gboolean halves, const gboolean min, float *y, gsize ldy, gsize rows, const Panel *panel, gsize blocks,
    const TernQ8Block *x, gsize ldx, gsize n, gboolean add)
{
  gsize t, b;
  guint v;

  for (t = 0; t < n; t += 2) {
    const gboolean pair = t + 1 < n;    /* or one alone, twice */
    const TernQ8Block *tokens[2] = { x + t * ldx, x + (t + pair) * ldx };
    float32x4_t sum[4] = { v_zero (), v_zero (), v_zero (), v_zero () };

    for (b = 0; b < blocks; b++) {
      tile_part (halves, min, sum, panel, b, 0, tokens);
      if (halves)
        tile_part (halves, min, sum, panel, b, 1, tokens);
    }
#pragma GCC unroll 2
    for (v = 0; v < TILE_VECTORS; v++) {
      float *to = y + t * ldy + v * VL;
      gsize left = rows > v * VL ? rows - v * VL : 0;

      put_sums (to, left, vuzp1q_f32 (sum[2 * v], sum[2 * v + 1]), add);
      if (pair)
        put_sums (to + ldy, left, vuzp2q_f32 (sum[2 * v], sum[2 * v + 1]), add);
    }
  }
}

#include "engine/kernels/arm/blocks-many.inc"

#include "engine/kernels/wide/blocks-over.inc"

void
tern_blocks_init_i8mm (TernKernels *k)
{
  put_over (k);
}
