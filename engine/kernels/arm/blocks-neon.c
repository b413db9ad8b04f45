/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Block-quantised weights with SMULL. Without dot products one of bytes takes three instructions for 16, so that many
 * tokens go through the float panel. */
#include "engine/kernels/arm/vec-neon.h"
#include "engine/kernels/arm/block-types.inc"

/* Two products of bytes fit 16 bits, since activations are never -128 but beside a NaN scale. */
static ALWAYS_INLINE int32x4_t
dot16 (int32x4_t sum, int8x16_t w, int8x16_t x)
{
  return vpadalq_s16 (sum, vmlal_high_s8 (vmull_s8 (vget_low_s8 (w), vget_low_s8 (x)), w, x));
}

#include "engine/kernels/arm/blocks-few.inc"

/* ---- Many tokens ------------------------------------------------------------------------------------------------- */

/* d * q + m of sixteen values. */
static ALWAYS_INLINE void
expand_half (float *dst, int8x16_t q, float d, float m)
{
  int16x8_t low = vmovl_s8 (vget_low_s8 (q)), high = vmovl_high_s8 (q);
  float32x4_t scale = vdupq_n_f32 (d), min = vdupq_n_f32 (m);

  v_store (dst, v_fma (scale, vcvtq_f32_s32 (vmovl_s16 (vget_low_s16 (low))), min));
  v_store (dst + 4, v_fma (scale, vcvtq_f32_s32 (vmovl_high_s16 (low)), min));
  v_store (dst + 8, v_fma (scale, vcvtq_f32_s32 (vmovl_s16 (vget_low_s16 (high))), min));
  v_store (dst + 12, v_fma (scale, vcvtq_f32_s32 (vmovl_high_s16 (high)), min));
}

/* A block as floats. */
static ALWAYS_INLINE void
expand_block (const TernBlocks type, float *dst, const guint8 *p)
{
  const guint per = has_halves (type) ? 2 : 1;
  const int8x16_t excess = vdupq_n_s8 (excess_of (type));
  float d[16], m[16] = { 0 };
  guint s, h;

  store_scales (type, d, m, p);
#pragma GCC unroll 8
  for (s = 0; s < unit_of (type); s++) {
#pragma GCC unroll 2
    for (h = 0; h < 2; h++, dst += 16)
      expand_half (dst, vsubq_s8 (values (type, p, s, h), excess), d[s * per + h * (per - 1)], m[s * per + h * (per - 1)]);
  }
}

#include "engine/kernels/wide/blocks-floats.inc"
#include "engine/kernels/wide/blocks.inc"
