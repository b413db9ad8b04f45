/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Blocks whose scale follows from their largest value. Layouts: types-basic.c and types-ternary.c. */
#include "engine/weights/quantize-private.h"

#include <math.h>
#include <string.h>

#define QK 32
#define QK_K 256

/* The value of largest magnitude, the first of several. */
static float
largest (const float *x, guint n)
{
  float best = x[0];
  guint i;

  for (i = 1; i < n; i++)
    if (fabsf (x[i]) > fabsf (best))
      best = x[i];
  return best;
}

/* 1 / d, and 0 for what has no finite inverse: such a block becomes zeros. */
static inline float
inverse (float d)
{
  float inverted = 1 / d;

  return isfinite (inverted) ? inverted : 0;
}

static void
quantize_f16 (guint8 *dst, const float *src, gsize n)
{
  gsize i;

  for (i = 0; i < n; i++)
    tern_put_f16 (dst + 2 * i, src[i]);
}

static void
quantize_q8_0 (guint8 *dst, const float *src, gsize n)
{
  gsize b;
  guint i;

  for (b = 0; b < n / QK; b++, src += QK, dst += 34) {
    float d = fabsf (largest (src, QK)) / 127, by = inverse (d);

    tern_put_f16 (dst, d);
    for (i = 0; i < QK; i++)
      dst[2 + i] = (guint8) tern_round (src[i] * by);
  }
}

/* Codes 0 .. 2 @half - 1 for the values of a block, the largest of which becomes code 0: the side that reaches further.
 * Returns d of y = d (code - half). */
static float
one_sided_codes (guint8 *codes, const float *src, gint half)
{
  float d = largest (src, QK) / -half, by = inverse (d);
  guint i;

  for (i = 0; i < QK; i++)
    codes[i] = MIN ((gint) (src[i] * by + (half + 0.5f)), 2 * half - 1);
  return d;
}

static void
quantize_q4_0 (guint8 *dst, const float *src, gsize n)
{
  guint8 codes[QK];
  gsize b;
  guint i;

  for (b = 0; b < n / QK; b++, src += QK, dst += 18) {
    tern_put_f16 (dst, one_sided_codes (codes, src, 8));
    for (i = 0; i < QK / 2; i++)
      dst[2 + i] = codes[i] | codes[i + 16] << 4;
  }
}

static void
quantize_q5_0 (guint8 *dst, const float *src, gsize n)
{
  guint8 codes[QK];
  gsize b;
  guint i;

  for (b = 0; b < n / QK; b++, src += QK, dst += 22) {
    tern_put_f16 (dst, one_sided_codes (codes, src, 16));
    memset (dst + 2, 0, 4);
    for (i = 0; i < QK; i++)
      dst[2 + i / 8] |= codes[i] >> 4 << i % 8;
    for (i = 0; i < QK / 2; i++)
      dst[6 + i] = (codes[i] & 15) | (codes[i + 16] & 15) << 4;
  }
}

/* ---- Ternary ----------------------------------------------------------------------------------------------------- */

static float
ternary_digits (guint8 *digits, const float *src)
{
  float d = fabsf (largest (src, QK_K)), by = inverse (d);
  guint i;

  for (i = 0; i < QK_K; i++)
    digits[i] = tern_round (src[i] * by) + 1;
  return d;
}

static void
quantize_tq2_0 (guint8 *dst, const float *src, gsize n)
{
  guint8 digits[QK_K];
  gsize b;
  guint i;

  for (b = 0; b < n / QK_K; b++, src += QK_K, dst += 66) {
    tern_put_f16 (dst + 64, ternary_digits (digits, src));
    for (i = 0; i < 64; i++) {
      const guint8 *p = digits + i / 32 * 128 + i % 32;

      dst[i] = p[0] | p[32] << 2 | p[64] << 4 | p[96] << 6;
    }
  }
}

static void
quantize_tq1_0 (guint8 *dst, const float *src, gsize n)
{
  guint8 digits[QK_K];
  gsize b;
  guint i;

  for (b = 0; b < n / QK_K; b++, src += QK_K, dst += 54) {
    tern_put_f16 (dst + 52, ternary_digits (digits, src));
    for (i = 0; i < 32; i++)
      dst[i] = tern_five_digits (digits + i, 32, 5);
    for (i = 0; i < 16; i++)
      dst[32 + i] = tern_five_digits (digits + 160 + i, 16, 5);
    for (i = 0; i < 4; i++)
      dst[48 + i] = tern_five_digits (digits + 240 + i, 4, 4);
  }
}

gboolean
tern_is_ternary (const float *x, gsize n, float *scale, float *odd)
{
  gsize i;

  for (i = 0; i < n; i++) {
    float magnitude = fabsf (x[i]);

    if (magnitude == 0 || magnitude == *scale)
      continue;
    if (*scale != 0 || isnan (magnitude)) {
      *odd = x[i];
      return FALSE;
    }
    *scale = magnitude;
  }
  return TRUE;
}

void
tern_make_ternary (float *x, gsize n, float mean)
{
  float by = inverse (mean);
  gsize i;

  for (i = 0; i < n; i++)
    x[i] = mean * CLAMP (rintf (x[i] * by), -1, 1);
}

void
tern_make_binary (float *x, gsize n, float mean, float magnitude)
{
  gsize i;

  for (i = 0; i < n; i++)
    x[i] = x[i] > mean ? magnitude : -magnitude;
}

/* ---- Table ------------------------------------------------------------------------------------------------------- */

TernQuantizeFunc
tern_quantizer (guint32 type)
{
  switch (type) {
    case TERN_TYPE_F16:
      return quantize_f16;
    case TERN_TYPE_Q8_0:
      return quantize_q8_0;
    case TERN_TYPE_Q4_0:
      return quantize_q4_0;
    case TERN_TYPE_Q5_0:
      return quantize_q5_0;
    case TERN_TYPE_Q4_K:
      return tern_quantize_q4_k;
    case TERN_TYPE_Q6_K:
      return tern_quantize_q6_k;
    case TERN_TYPE_TQ1_0:
      return quantize_tq1_0;
    case TERN_TYPE_TQ2_0:
      return quantize_tq2_0;
    case TERN_TYPE_Q1_0:
      return tern_quantize_q1_0;
    case TERN_TYPE_Q2_0:
      return tern_quantize_q2_0;
    case TERN_TYPE_PQ2_0:
      return tern_quantize_pq2_0;
    case TERN_TYPE_PTQ1_0:
      return tern_quantize_ptq1_0;
    default:
      return NULL;
  }
}
