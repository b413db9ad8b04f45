/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The vector of the sources in wide/: four floats. Every aarch64 has it. */
#pragma once

#include <arm_neon.h>
#include <string.h>

#include "engine/kernels/versions.h"

#define VL 4
#define VARIANT(name) name##_neon
#define ALWAYS_INLINE inline __attribute__ ((always_inline))

typedef float32x4_t vf;
typedef int32x4_t vi;

/* The same four bytes in every lane. */
static ALWAYS_INLINE int8x16_t
broadcast4 (const gint8 *x)
{
  gint32 four;

  memcpy (&four, x, sizeof four);
  return vreinterpretq_s8_s32 (vdupq_n_s32 (four));
}

static inline vf v_load (const float *p) { return vld1q_f32 (p); }
static inline void v_store (float *p, vf v) { vst1q_f32 (p, v); }

/* The other lanes are 0 and their memory is not touched. @n < VL */
static inline vf
v_load_first (const float *p, gsize n)
{
  float32x2_t none = vdup_n_f32 (0);

  if (n == 3)
    return vcombine_f32 (vld1_f32 (p), vld1_lane_f32 (p + 2, none, 0));
  if (n == 2)
    return vcombine_f32 (vld1_f32 (p), none);
  return vcombine_f32 (n == 1 ? vld1_lane_f32 (p, none, 0) : none, none);
}

static inline void
v_store_first (float *p, gsize n, vf v)
{
  if (n >= 2)
    vst1_f32 (p, vget_low_f32 (v));
  if (n == 3)
    vst1q_lane_f32 (p + 2, v, 2);
  if (n == 1)
    vst1q_lane_f32 (p, v, 0);
}

static inline vf v_load_f16 (const guint16 *p) { return vcvt_f32_f16 (vreinterpret_f16_u16 (vld1_u16 (p))); }
static inline vf v_load_bf16 (const guint16 *p) { return vreinterpretq_f32_u32 (vshll_n_u16 (vld1_u16 (p), 16)); }

static inline vf
v_load_i8 (const gint8 *p)
{
  guint32 four;

  memcpy (&four, p, sizeof four);
  return vcvtq_f32_s32 (vmovl_s16 (vget_low_s16 (vmovl_s8 (vreinterpret_s8_u32 (vdup_n_u32 (four))))));
}

/* Digits in the halves of VL bytes, the lower (@shift 0) or the upper ones (4), less 7.5. */
static inline vf
v_load_i4 (const guint8 *p, guint shift)
{
  guint32 four;
  uint32x4_t v;

  memcpy (&four, p, sizeof four);
  v = vmovl_u16 (vget_low_u16 (vmovl_u8 (vreinterpret_u8_u32 (vdup_n_u32 (four)))));
  v = vandq_u32 (shift ? vshrq_n_u32 (v, 4) : v, vdupq_n_u32 (15));
  return vsubq_f32 (vcvtq_f32_u32 (v), vdupq_n_f32 (7.5f));
}

static inline void
v_store_f16 (guint16 *p, vf v)
{
  vst1_u16 (p, vreinterpret_u16_f16 (vcvt_f16_f32 (v)));
}

/* 3 * VL values, of which out[k] takes k, k + 3, k + 6, ... */
static inline void
v_load_thirds (vf out[3], const float *p)
{
  float32x4x3_t v = vld3q_f32 (p);

  out[0] = v.val[0];
  out[1] = v.val[1];
  out[2] = v.val[2];
}

static inline vf v_zero (void) { return vdupq_n_f32 (0); }
static inline vf v_set (float f) { return vdupq_n_f32 (f); }
static inline vf v_add (vf a, vf b) { return vaddq_f32 (a, b); }
static inline vf v_sub (vf a, vf b) { return vsubq_f32 (a, b); }
static inline vf v_mul (vf a, vf b) { return vmulq_f32 (a, b); }
static inline vf v_div (vf a, vf b) { return vdivq_f32 (a, b); }
static inline vf v_fma (vf a, vf b, vf c) { return vfmaq_f32 (c, a, b); }
static inline vf v_fnma (vf a, vf b, vf c) { return vfmsq_f32 (c, a, b); }
/* The second one when either is NaN: not what FMAX does. */
static inline vf v_max (vf a, vf b) { return vbslq_f32 (vcgtq_f32 (a, b), a, b); }
static inline vf v_min (vf a, vf b) { return vbslq_f32 (vcltq_f32 (a, b), a, b); }
static inline vf v_abs (vf a) { return vabsq_f32 (a); }

/* @a where @sign is not negative, else @b. */
static inline vf
v_select_sign (vf sign, vf a, vf b)
{
  return vbslq_f32 (vreinterpretq_u32_s32 (vshrq_n_s32 (vreinterpretq_s32_f32 (sign), 31)), b, a);
}

/* @a in the first @n < VL lanes, @b in the others. */
static inline vf
v_blend_first (gsize n, vf a, vf b)
{
  static const guint32 lane[VL] = { 0, 1, 2, 3 };

  return vbslq_f32 (vcltq_u32 (vld1q_u32 (lane), vdupq_n_u32 ((guint32) n)), a, b);
}

static inline float v_sum (vf v) { return vaddvq_f32 (v); }

static inline float
v_max_lane (vf v)
{
  v = v_max (v, vextq_f32 (v, v, 2));
  return vgetq_lane_f32 (v_max (v, vextq_f32 (v, v, 1)), 0);
}

/* The larger lanes as integers: with the signs gone also the order of floats, NaN above infinity. */
static inline vf
v_max_bits (vf a, vf b)
{
  return vreinterpretq_f32_s32 (vmaxq_s32 (vreinterpretq_s32_f32 (a), vreinterpretq_s32_f32 (b)));
}

static inline float
v_max_bits_lane (vf v)
{
  union { gint32 i; float f; } max = { vmaxvq_s32 (vreinterpretq_s32_f32 (v)) };

  return max.f;
}

/* Rounds half to even. */
static inline vi v_to_int (vf v) { return vcvtnq_s32_f32 (v); }
static inline vf v_to_float (vi v) { return vcvtq_f32_s32 (v); }
static inline vi v_int_zero (void) { return vdupq_n_s32 (0); }
static inline vi v_int_add (vi a, vi b) { return vaddq_s32 (a, b); }
static inline gint32 v_int_sum (vi v) { return vaddvq_s32 (v); }

/* VL values within int8. */
static inline void
v_store_i8 (gint8 *q, vi v)
{
  int16x4_t half = vmovn_s32 (v);
  guint32 four = vget_lane_u32 (vreinterpret_u32_s8 (vmovn_s16 (vcombine_s16 (half, half))), 0);

  memcpy (q, &four, sizeof four);
}

/* The sums of four vectors, of which the first @n count, to @p. */
static inline void
v_store_sums (float *p, gsize n, vf a, vf b, vf c, vf d)
{
  vf four = vpaddq_f32 (vpaddq_f32 (a, b), vpaddq_f32 (c, d));

  if (n >= VL)
    v_store (p, four);
  else
    v_store_first (p, n, four);
}

/* In bf16, half to even. */
static inline void
v_store_bf16 (guint16 *p, vf v)
{
  uint32x4_t bits = vreinterpretq_u32_f32 (v), odd = vandq_u32 (vshrq_n_u32 (bits, 16), vdupq_n_u32 (1));
  uint32x4_t rounded = vaddq_u32 (bits, vaddq_u32 (vdupq_n_u32 (0x7fff), odd));

  rounded = vbslq_u32 (vceqq_f32 (v, v), rounded, vorrq_u32 (bits, vdupq_n_u32 (0x400000)));   /* a NaN stays one */
  vst1_u16 (p, vshrn_n_u32 (rounded, 16));
}

/* @v * 2^@e for whole e, |e| < 254, in two factors: the result may be subnormal or infinite. */
static inline vf
v_scale (vf v, vf e)
{
  vi i = vcvtnq_s32_f32 (e), half = vshrq_n_s32 (i, 1), bias = vdupq_n_s32 (127);
  vi a = vshlq_n_s32 (vaddq_s32 (half, bias), 23), b = vshlq_n_s32 (vaddq_s32 (vsubq_s32 (i, half), bias), 23);

  return vmulq_f32 (vmulq_f32 (v, vreinterpretq_f32_s32 (a)), vreinterpretq_f32_s32 (b));
}

static inline vf v_round (vf v) { return vrndnq_f32 (v); }

/* Four dwords of each of four rows as four vectors: out[j] lane i = dword j of row i. */
static inline void
v_transpose4 (vf out[4], const guint8 *const rows[4], gsize offset)
{
  float64x2_t even[2], odd[2];
  int i;

#pragma GCC unroll 2
  for (i = 0; i < 2; i++) {
    vf a = vreinterpretq_f32_u8 (vld1q_u8 (rows[2 * i] + offset));
    vf b = vreinterpretq_f32_u8 (vld1q_u8 (rows[2 * i + 1] + offset));

    even[i] = vreinterpretq_f64_f32 (vtrn1q_f32 (a, b));
    odd[i] = vreinterpretq_f64_f32 (vtrn2q_f32 (a, b));
  }
  out[0] = vreinterpretq_f32_f64 (vzip1q_f64 (even[0], even[1]));
  out[1] = vreinterpretq_f32_f64 (vzip1q_f64 (odd[0], odd[1]));
  out[2] = vreinterpretq_f32_f64 (vzip2q_f64 (even[0], even[1]));
  out[3] = vreinterpretq_f32_f64 (vzip2q_f64 (odd[0], odd[1]));
}

#include "engine/kernels/wide/panel.inc"
