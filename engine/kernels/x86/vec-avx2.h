/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The vector of the sources in wide/: eight floats. Included by sources built with -mavx2 -mfma -mf16c. */
#pragma once

#include <immintrin.h>
#include <string.h>

#include "engine/kernels/versions.h"

#define VL 8
#define VARIANT(name) name##_avx2
#define ALWAYS_INLINE inline __attribute__ ((always_inline))

typedef __m256 vf;
typedef __m256i vi;

/* The same four bytes in every lane. */
static ALWAYS_INLINE __m256i
broadcast4 (const gint8 *x)
{
  return _mm256_broadcastd_epi32 (_mm_loadu_si32 (x));
}

/* The first @n < VL lanes. */
static inline __m256i
v_mask (gsize n)
{
  return _mm256_cmpgt_epi32 (_mm256_set1_epi32 ((int) n), _mm256_setr_epi32 (0, 1, 2, 3, 4, 5, 6, 7));
}

static inline vf v_load (const float *p) { return _mm256_loadu_ps (p); }
static inline void v_store (float *p, vf v) { _mm256_storeu_ps (p, v); }
/* The other lanes are 0 and their memory is not touched. */
static inline vf v_load_first (const float *p, gsize n) { return _mm256_maskload_ps (p, v_mask (n)); }
static inline void v_store_first (float *p, gsize n, vf v) { _mm256_maskstore_ps (p, v_mask (n), v); }
static inline vf v_load_f16 (const guint16 *p) { return _mm256_cvtph_ps (_mm_loadu_si128 ((const __m128i *) p)); }
static inline vf
v_load_bf16 (const guint16 *p)
{
  return _mm256_castsi256_ps (_mm256_slli_epi32 (_mm256_cvtepu16_epi32 (_mm_loadu_si128 ((const __m128i *) p)), 16));
}
static inline vf
v_load_i8 (const gint8 *p)
{
  return _mm256_cvtepi32_ps (_mm256_cvtepi8_epi32 (_mm_loadl_epi64 ((const __m128i *) p)));
}
/* Digits in the halves of VL bytes, the lower (@shift 0) or the upper ones (4), less 7.5. */
static inline vf
v_load_i4 (const guint8 *p, guint shift)
{
  __m256i v = _mm256_srli_epi32 (_mm256_cvtepu8_epi32 (_mm_loadl_epi64 ((const __m128i *) p)), (int) shift);

  return _mm256_sub_ps (_mm256_cvtepi32_ps (_mm256_and_si256 (v, _mm256_set1_epi32 (15))), _mm256_set1_ps (7.5f));
}
static inline void
v_store_f16 (guint16 *p, vf v)
{
  _mm_storeu_si128 ((__m128i *) p, _mm256_cvtps_ph (v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
}

/* 3 * VL values, of which out[k] takes k, k + 3, k + 6, ... Since 3 and VL have no common divisor, these stand in
 * different lanes: two blends bring them into one vector, one permutation into order. */
static inline void
v_load_thirds (vf out[3], const float *p)
{
  vf a = v_load (p), b = v_load (p + VL), c = v_load (p + 2 * VL);

  out[0] = _mm256_permutevar8x32_ps (_mm256_blend_ps (_mm256_blend_ps (a, b, 0x92), c, 0x24),
      _mm256_setr_epi32 (0, 3, 6, 1, 4, 7, 2, 5));
  out[1] = _mm256_permutevar8x32_ps (_mm256_blend_ps (_mm256_blend_ps (a, b, 0x24), c, 0x49),
      _mm256_setr_epi32 (1, 4, 7, 2, 5, 0, 3, 6));
  out[2] = _mm256_permutevar8x32_ps (_mm256_blend_ps (_mm256_blend_ps (a, b, 0x49), c, 0x92),
      _mm256_setr_epi32 (2, 5, 0, 3, 6, 1, 4, 7));
}

static inline vf v_zero (void) { return _mm256_setzero_ps (); }
static inline vf v_set (float f) { return _mm256_set1_ps (f); }
static inline vf v_add (vf a, vf b) { return _mm256_add_ps (a, b); }
static inline vf v_sub (vf a, vf b) { return _mm256_sub_ps (a, b); }
static inline vf v_mul (vf a, vf b) { return _mm256_mul_ps (a, b); }
static inline vf v_div (vf a, vf b) { return _mm256_div_ps (a, b); }
static inline vf v_fma (vf a, vf b, vf c) { return _mm256_fmadd_ps (a, b, c); }
static inline vf v_fnma (vf a, vf b, vf c) { return _mm256_fnmadd_ps (a, b, c); }
/* The second one when either is NaN. */
static inline vf v_max (vf a, vf b) { return _mm256_max_ps (a, b); }
static inline vf v_min (vf a, vf b) { return _mm256_min_ps (a, b); }
static inline vf v_abs (vf a) { return _mm256_andnot_ps (_mm256_set1_ps (-0.0f), a); }
/* @a where @sign is not negative, else @b. */
static inline vf v_select_sign (vf sign, vf a, vf b) { return _mm256_blendv_ps (a, b, sign); }
/* @a in the first @n < VL lanes, @b in the others. */
static inline vf
v_blend_first (gsize n, vf a, vf b)
{
  return _mm256_blendv_ps (b, a, _mm256_castsi256_ps (v_mask (n)));
}

static inline float
v_sum (vf v)
{
  __m128 a = _mm_add_ps (_mm256_castps256_ps128 (v), _mm256_extractf128_ps (v, 1));

  a = _mm_add_ps (a, _mm_movehl_ps (a, a));
  return _mm_cvtss_f32 (_mm_add_ss (a, _mm_movehdup_ps (a)));
}

static inline float
v_max_lane (vf v)
{
  __m128 a = _mm_max_ps (_mm256_castps256_ps128 (v), _mm256_extractf128_ps (v, 1));

  a = _mm_max_ps (a, _mm_movehl_ps (a, a));
  return _mm_cvtss_f32 (_mm_max_ss (a, _mm_movehdup_ps (a)));
}

/* The larger lanes as integers: with the signs gone also the order of floats, NaN above infinity. */
static inline vf
v_max_bits (vf a, vf b)
{
  return _mm256_castsi256_ps (_mm256_max_epi32 (_mm256_castps_si256 (a), _mm256_castps_si256 (b)));
}

static inline float
v_max_bits_lane (vf v)
{
  __m256i i = _mm256_castps_si256 (v);
  __m128i a = _mm_max_epi32 (_mm256_castsi256_si128 (i), _mm256_extracti128_si256 (i, 1));

  a = _mm_max_epi32 (a, _mm_shuffle_epi32 (a, 0x4e));
  return _mm_cvtss_f32 (_mm_castsi128_ps (_mm_max_epi32 (a, _mm_shuffle_epi32 (a, 0xb1))));
}

/* Rounds half to even. */
static inline vi v_to_int (vf v) { return _mm256_cvtps_epi32 (v); }
static inline vi v_int_zero (void) { return _mm256_setzero_si256 (); }
static inline vi v_int_add (vi a, vi b) { return _mm256_add_epi32 (a, b); }

static inline vi v_int_sub (vi a, vi b) { return _mm256_sub_epi32 (a, b); }

static inline gint32
v_int_sum (vi v)
{
  __m128i a = _mm_add_epi32 (_mm256_castsi256_si128 (v), _mm256_extracti128_si256 (v, 1));

  a = _mm_add_epi32 (a, _mm_shuffle_epi32 (a, 0x4e));
  return _mm_cvtsi128_si32 (_mm_add_epi32 (a, _mm_shuffle_epi32 (a, 0xb1)));
}

static inline vi v_int_set (gint32 i) { return _mm256_set1_epi32 (i); }
static inline vi v_int_load (const void *p) { return _mm256_loadu_si256 ((const __m256i *) p); }
static inline void v_int_store (void *p, vi v) { _mm256_storeu_si256 ((__m256i *) p, v); }
static inline vi v_int_and (vi a, vi b) { return _mm256_and_si256 (a, b); }
static inline vi v_int_or (vi a, vi b) { return _mm256_or_si256 (a, b); }
static inline vi v_int_xor (vi a, vi b) { return _mm256_xor_si256 (a, b); }
static inline vi v_int_shift_left (vi v, guint n) { return _mm256_slli_epi32 (v, (int) n); }
static inline vf v_to_float (vi v) { return _mm256_cvtepi32_ps (v); }
static inline vi v_bits (vf v) { return _mm256_castps_si256 (v); }
static inline vf v_as_float (vi v) { return _mm256_castsi256_ps (v); }

/* The lower halves of lanes in bf16, half to even. */
static inline vi
v_to_bf16 (vf v)
{
  __m256i u = v_bits (v), upper = _mm256_srli_epi32 (u, 16), odd = _mm256_and_si256 (upper, v_int_set (1));
  __m256i rounded = _mm256_srli_epi32 (_mm256_add_epi32 (_mm256_add_epi32 (u, v_int_set (0x7fff)), odd), 16);

  return _mm256_blendv_epi8 (rounded, _mm256_or_si256 (upper, v_int_set (0x40)),
      v_bits (_mm256_cmp_ps (v, v, _CMP_UNORD_Q)));
}
static inline void
v_store_bf16 (guint16 *p, vf v)
{
  __m256i i = v_to_bf16 (v);

  _mm_storeu_si128 ((__m128i *) p, _mm_packus_epi32 (_mm256_castsi256_si128 (i), _mm256_extracti128_si256 (i, 1)));
}

/* VL values within int8. */
static inline void
v_store_i8 (gint8 *q, vi v)
{
  __m128i a = _mm_packs_epi32 (_mm256_castsi256_si128 (v), _mm256_extracti128_si256 (v, 1));

  _mm_storel_epi64 ((__m128i *) q, _mm_packs_epi16 (a, a));
}

/* The sums of four vectors, of which the first @n count, to @p. */
static inline void
v_store_sums (float *p, gsize n, vf a, vf b, vf c, vf d)
{
  __m256 s = _mm256_hadd_ps (_mm256_hadd_ps (a, b), _mm256_hadd_ps (c, d));
  __m128 four = _mm_add_ps (_mm256_castps256_ps128 (s), _mm256_extractf128_ps (s, 1));
  float part[4];

  if (n >= 4) {
    _mm_storeu_ps (p, four);
  } else {
    _mm_storeu_ps (part, four);
    memcpy (p, part, n * sizeof (float));
  }
}

/* @v * 2^@e for whole e, |e| < 254, in two factors: the result may be subnormal or infinite. */
static inline vf
v_scale (vf v, vf e)
{
  __m256i i = _mm256_cvtps_epi32 (e), half = _mm256_srai_epi32 (i, 1), bias = _mm256_set1_epi32 (127);
  __m256i a = _mm256_slli_epi32 (_mm256_add_epi32 (half, bias), 23);
  __m256i b = _mm256_slli_epi32 (_mm256_add_epi32 (_mm256_sub_epi32 (i, half), bias), 23);

  return _mm256_mul_ps (_mm256_mul_ps (v, _mm256_castsi256_ps (a)), _mm256_castsi256_ps (b));
}

static inline vf
v_round (vf v)
{
  return _mm256_round_ps (v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}

/* Four dwords of each of eight rows, rows @stride bytes apart, as four vectors: out[j] lane i = dword j of row i. */
static inline void
v_transpose4 (vf out[4], const guint8 *const rows[8], gsize offset)
{
  vf a[4];
  int i;

#pragma GCC unroll 4
  for (i = 0; i < 4; i++) {
    __m128 lo = _mm_loadu_ps ((const float *) (rows[i] + offset));
    __m128 hi = _mm_loadu_ps ((const float *) (rows[4 + i] + offset));

    a[i] = _mm256_insertf128_ps (_mm256_castps128_ps256 (lo), hi, 1);
  }
  {
    __m256d p = _mm256_castps_pd (_mm256_unpacklo_ps (a[0], a[1]));
    __m256d q = _mm256_castps_pd (_mm256_unpacklo_ps (a[2], a[3]));
    __m256d r = _mm256_castps_pd (_mm256_unpackhi_ps (a[0], a[1]));
    __m256d s = _mm256_castps_pd (_mm256_unpackhi_ps (a[2], a[3]));

    out[0] = _mm256_castpd_ps (_mm256_unpacklo_pd (p, q));
    out[1] = _mm256_castpd_ps (_mm256_unpackhi_pd (p, q));
    out[2] = _mm256_castpd_ps (_mm256_unpacklo_pd (r, s));
    out[3] = _mm256_castpd_ps (_mm256_unpackhi_pd (r, s));
  }
}

#include "engine/kernels/wide/panel.inc"
