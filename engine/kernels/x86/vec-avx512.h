/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The vector of the sources in wide/: sixteen floats. Included by sources built with the flags of AVX512VNNI. */
#pragma once

#include <immintrin.h>
#include <string.h>

#include "engine/kernels/versions.h"

#define VL 16
#define VARIANT(name) name##_avx512vnni
#define ALWAYS_INLINE inline __attribute__ ((always_inline))

typedef __m512 vf;
typedef __m512i vi;

/* The same four bytes in every lane. */
static ALWAYS_INLINE __m512i
broadcast4 (const gint8 *x)
{
  return _mm512_broadcastd_epi32 (_mm_loadu_si32 (x));
}

/* The first @n < VL lanes. */
static inline __mmask16 v_mask (gsize n) { return (__mmask16) ((1u << n) - 1); }

static inline vf v_load (const float *p) { return _mm512_loadu_ps (p); }
static inline void v_store (float *p, vf v) { _mm512_storeu_ps (p, v); }
/* The other lanes are 0 and their memory is not touched. */
static inline vf v_load_first (const float *p, gsize n) { return _mm512_maskz_loadu_ps (v_mask (n), p); }
static inline void v_store_first (float *p, gsize n, vf v) { _mm512_mask_storeu_ps (p, v_mask (n), v); }
static inline vf v_load_f16 (const guint16 *p) { return _mm512_cvtph_ps (_mm256_loadu_si256 ((const __m256i *) p)); }
static inline vf
v_load_bf16 (const guint16 *p)
{
  __m512i wide = _mm512_cvtepu16_epi32 (_mm256_loadu_si256 ((const __m256i *) p));

  return _mm512_castsi512_ps (_mm512_slli_epi32 (wide, 16));
}
static inline vf
v_load_i8 (const gint8 *p)
{
  return _mm512_cvtepi32_ps (_mm512_cvtepi8_epi32 (_mm_loadu_si128 ((const __m128i *) p)));
}
/* Digits in the halves of VL bytes, the lower (@shift 0) or the upper ones (4), less 7.5: looked up, by the lower four bits of a
 * lane. */
static inline vf
v_load_i4 (const guint8 *p, guint shift)
{
  const __m512 values = _mm512_setr_ps (-7.5f, -6.5f, -5.5f, -4.5f, -3.5f, -2.5f, -1.5f, -0.5f, 0.5f, 1.5f, 2.5f, 3.5f, 4.5f, 5.5f,
      6.5f, 7.5f);
  __m512i v = _mm512_cvtepu8_epi32 (_mm_loadu_si128 ((const __m128i *) p));

  return _mm512_permutexvar_ps (shift ? _mm512_srli_epi32 (v, 4) : v, values);
}
static inline void
v_store_f16 (guint16 *p, vf v)
{
  _mm256_storeu_si256 ((__m256i *) p, _mm512_cvtps_ph (v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
}

/* 3 * VL values, of which out[k] takes k, k + 3, k + 6, ... Since 3 and VL have no common divisor, these stand in
 * different lanes: two blends bring them into one vector, one permutation into order. */
static inline void
v_load_thirds (vf out[3], const float *p)
{
  vf a = v_load (p), b = v_load (p + VL), c = v_load (p + 2 * VL);

  out[0] = _mm512_permutexvar_ps (_mm512_setr_epi32 (0, 3, 6, 9, 12, 15, 2, 5, 8, 11, 14, 1, 4, 7, 10, 13),
      _mm512_mask_blend_ps (0x2492, _mm512_mask_blend_ps (0x4924, a, b), c));
  out[1] = _mm512_permutexvar_ps (_mm512_setr_epi32 (1, 4, 7, 10, 13, 0, 3, 6, 9, 12, 15, 2, 5, 8, 11, 14),
      _mm512_mask_blend_ps (0x4924, _mm512_mask_blend_ps (0x9249, a, b), c));
  out[2] = _mm512_permutexvar_ps (_mm512_setr_epi32 (2, 5, 8, 11, 14, 1, 4, 7, 10, 13, 0, 3, 6, 9, 12, 15),
      _mm512_mask_blend_ps (0x9249, _mm512_mask_blend_ps (0x2492, a, b), c));
}

static inline vf v_zero (void) { return _mm512_setzero_ps (); }
static inline vf v_set (float f) { return _mm512_set1_ps (f); }
static inline vf v_add (vf a, vf b) { return _mm512_add_ps (a, b); }
static inline vf v_sub (vf a, vf b) { return _mm512_sub_ps (a, b); }
static inline vf v_mul (vf a, vf b) { return _mm512_mul_ps (a, b); }
static inline vf v_div (vf a, vf b) { return _mm512_div_ps (a, b); }
static inline vf v_fma (vf a, vf b, vf c) { return _mm512_fmadd_ps (a, b, c); }
static inline vf v_fnma (vf a, vf b, vf c) { return _mm512_fnmadd_ps (a, b, c); }
/* The second one when either is NaN. */
static inline vf v_max (vf a, vf b) { return _mm512_max_ps (a, b); }
static inline vf v_min (vf a, vf b) { return _mm512_min_ps (a, b); }
static inline vf v_abs (vf a) { return _mm512_andnot_ps (_mm512_set1_ps (-0.0f), a); }
/* @a where @sign is not negative, else @b. */
static inline vf
v_select_sign (vf sign, vf a, vf b)
{
  return _mm512_mask_blend_ps (_mm512_movepi32_mask (_mm512_castps_si512 (sign)), a, b);
}
/* @a in the first @n < VL lanes, @b in the others. */
static inline vf v_blend_first (gsize n, vf a, vf b) { return _mm512_mask_blend_ps (v_mask (n), b, a); }

static inline __m256
v_halves (vf v)
{
  return _mm256_add_ps (_mm512_castps512_ps256 (v), _mm512_extractf32x8_ps (v, 1));
}

static inline float v_sum (vf v) { return _mm512_reduce_add_ps (v); }
static inline float v_max_lane (vf v) { return _mm512_reduce_max_ps (v); }

/* The larger lanes as integers: with the signs gone also the order of floats, NaN above infinity. */
static inline vf
v_max_bits (vf a, vf b)
{
  return _mm512_castsi512_ps (_mm512_max_epi32 (_mm512_castps_si512 (a), _mm512_castps_si512 (b)));
}

static inline float
v_max_bits_lane (vf v)
{
  union { gint32 i; float f; } max = { _mm512_reduce_max_epi32 (_mm512_castps_si512 (v)) };

  return max.f;
}

/* Rounds half to even. */
static inline vi v_to_int (vf v) { return _mm512_cvtps_epi32 (v); }
static inline vi v_int_zero (void) { return _mm512_setzero_si512 (); }
static inline vi v_int_add (vi a, vi b) { return _mm512_add_epi32 (a, b); }
static inline vi v_int_sub (vi a, vi b) { return _mm512_sub_epi32 (a, b); }
/* It wraps, as what is no number may make it: gcc's reduction would add as C does. */
static inline gint32
v_int_sum (vi v)
{
  __m256i half = _mm256_add_epi32 (_mm512_castsi512_si256 (v), _mm512_extracti64x4_epi64 (v, 1));
  __m128i a = _mm_add_epi32 (_mm256_castsi256_si128 (half), _mm256_extracti128_si256 (half, 1));

  a = _mm_add_epi32 (a, _mm_shuffle_epi32 (a, 0x4e));
  return _mm_cvtsi128_si32 (_mm_add_epi32 (a, _mm_shuffle_epi32 (a, 0xb1)));
}

static inline vi v_int_set (gint32 i) { return _mm512_set1_epi32 (i); }
static inline vi v_int_load (const void *p) { return _mm512_loadu_si512 (p); }
static inline void v_int_store (void *p, vi v) { _mm512_storeu_si512 (p, v); }
static inline vi v_int_and (vi a, vi b) { return _mm512_and_si512 (a, b); }
static inline vi v_int_or (vi a, vi b) { return _mm512_or_si512 (a, b); }
static inline vi v_int_xor (vi a, vi b) { return _mm512_xor_si512 (a, b); }
static inline vi v_int_shift_left (vi v, guint n) { return _mm512_slli_epi32 (v, n); }
static inline vf v_to_float (vi v) { return _mm512_cvtepi32_ps (v); }
static inline vi v_bits (vf v) { return _mm512_castps_si512 (v); }
static inline vf v_as_float (vi v) { return _mm512_castsi512_ps (v); }

/* The lower halves of lanes in bf16, half to even. VCVTNEPS2BF16 would take subnormals for zero. */
static inline vi
v_to_bf16 (vf v)
{
  __m512i u = v_bits (v), upper = _mm512_srli_epi32 (u, 16), odd = _mm512_and_si512 (upper, v_int_set (1));
  __m512i rounded = _mm512_srli_epi32 (_mm512_add_epi32 (_mm512_add_epi32 (u, v_int_set (0x7fff)), odd), 16);

  return _mm512_mask_or_epi32 (rounded, _mm512_cmp_ps_mask (v, v, _CMP_UNORD_Q), upper, v_int_set (0x40));
}
static inline void
v_store_bf16 (guint16 *p, vf v)
{
  _mm256_storeu_si256 ((__m256i *) p, _mm512_cvtepi32_epi16 (v_to_bf16 (v)));
}

/* VL values within int8. */
static inline void v_store_i8 (gint8 *q, vi v) { _mm_storeu_si128 ((__m128i *) q, _mm512_cvtepi32_epi8 (v)); }

/* The sums of four vectors, of which the first @n count, to @p. */
static inline void
v_store_sums (float *p, gsize n, vf a, vf b, vf c, vf d)
{
  __m256 s = _mm256_hadd_ps (_mm256_hadd_ps (v_halves (a), v_halves (b)), _mm256_hadd_ps (v_halves (c), v_halves (d)));
  __m128 four = _mm_add_ps (_mm256_castps256_ps128 (s), _mm256_extractf128_ps (s, 1));
  float part[4];

  if (n >= 4) {
    _mm_storeu_ps (p, four);
  } else {
    _mm_storeu_ps (part, four);
    memcpy (p, part, n * sizeof (float));
  }
}

/* @v * 2^@e for whole e; the result may be subnormal or infinite. */
static inline vf v_scale (vf v, vf e) { return _mm512_scalef_ps (v, e); }
static inline vf v_round (vf v) { return _mm512_roundscale_ps (v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }

/* Four dwords of each of sixteen rows as four vectors: out[j] lane i = dword j of row i. */
static inline void
v_transpose4 (vf out[4], const guint8 *const rows[16], gsize offset)
{
  vf a[4];
  int i;

#pragma GCC unroll 4
  for (i = 0; i < 4; i++) {
    __m512 v = _mm512_castps128_ps512 (_mm_loadu_ps ((const float *) (rows[i] + offset)));

    v = _mm512_insertf32x4 (v, _mm_loadu_ps ((const float *) (rows[4 + i] + offset)), 1);
    v = _mm512_insertf32x4 (v, _mm_loadu_ps ((const float *) (rows[8 + i] + offset)), 2);
    a[i] = _mm512_insertf32x4 (v, _mm_loadu_ps ((const float *) (rows[12 + i] + offset)), 3);
  }
  {
    __m512d p = _mm512_castps_pd (_mm512_unpacklo_ps (a[0], a[1]));
    __m512d q = _mm512_castps_pd (_mm512_unpacklo_ps (a[2], a[3]));
    __m512d r = _mm512_castps_pd (_mm512_unpackhi_ps (a[0], a[1]));
    __m512d s = _mm512_castps_pd (_mm512_unpackhi_ps (a[2], a[3]));

    out[0] = _mm512_castpd_ps (_mm512_unpacklo_pd (p, q));
    out[1] = _mm512_castpd_ps (_mm512_unpackhi_pd (p, q));
    out[2] = _mm512_castpd_ps (_mm512_unpacklo_pd (r, s));
    out[3] = _mm512_castpd_ps (_mm512_unpackhi_pd (r, s));
  }
}

#include "engine/kernels/wide/panel.inc"
