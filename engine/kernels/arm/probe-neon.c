/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "engine/kernels/arm/vec-neon.h"

/* Bytes to 16-bit sums; that these must be added up before they overflow is not counted. */
#define PEAK_SUM int16x8_t
#define PEAK_I8(sum, a, b) vmlal_s8 (sum, vget_low_s8 (a), vget_low_s8 (b))
#define PEAK_PRODUCTS 8
#include "engine/kernels/arm/probe.inc"

#define WORDS 8                 /* vectors under way */

static TERN_DECL_READ (read_neon)
{
  uint64x2_t sums[WORDS] = { 0 };

  for (gsize at = 0; at < bytes; at += TERN_READ_BYTES) {
    const guint64 *v = (const guint64 *) (p + at);

#pragma GCC unroll 4
    for (guint i = 0; i < 4; i++)
#pragma GCC unroll 8
      for (guint k = 0; k < WORDS; k++)
        sums[k] = veorq_u64 (sums[k], vld1q_u64 (v + 2 * (WORDS * i + k)));
  }
  for (guint k = 1; k < WORDS; k++)
    sums[0] = veorq_u64 (sums[0], sums[k]);
  return vgetq_lane_u64 (sums[0], 0) ^ vgetq_lane_u64 (sums[0], 1);
}

static TERN_DECL_PEAK (peak_f32_neon)
{
  float32x4_t sums[SUMS] = { 0 }, a = vdupq_n_f32 (1), b = vdupq_n_f32 (1);

  FORGET (a);
  FORGET (b);
  FORGET_ALL (sums);
  for (gsize r = 0; r < rounds; r++)
#pragma GCC unroll 24
    for (guint k = 0; k < SUMS; k++)
      sums[k] = vfmaq_f32 (sums[k], a, b);
  FORGET_ALL (sums);
  return (guint64) rounds * SUMS * 4;
}

void
tern_probe_init_neon (TernKernels *k)
{
  k->read = read_neon;
  k->peak_i8 = peak_i8_neon;
  k->peak_f32 = peak_f32_neon;
}
