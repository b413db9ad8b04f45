/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the quantisers share; tern_quantizer() finds them. */
#pragma once

#include "engine/kernels/kernels.h"
#include "engine/weights/quantize.h"

G_BEGIN_DECLS

static inline void
tern_put_u16 (guint8 *p, guint16 v)
{
  p[0] = v & 0xff;
  p[1] = v >> 8;
}

static inline void
tern_put_f16 (guint8 *p, float v)
{
  tern_put_u16 (p, tern_f32_to_f16 (v));
}

/* Nearest integer, halves away from zero; |v| < 2^22. */
static inline gint
tern_round (float v)
{
  gint whole = (gint) v;
  float rest = v - (float) whole;

  return whole + (rest >= 0.5f) - (rest <= -0.5f);
}

/* quantize-scaled.c */
void tern_quantize_q1_0 (guint8 *dst, const float *src, gsize n);
void tern_quantize_q2_0 (guint8 *dst, const float *src, gsize n);
void tern_quantize_pq2_0 (guint8 *dst, const float *src, gsize n);
void tern_quantize_ptq1_0 (guint8 *dst, const float *src, gsize n);

/* @count base-3 digits @step apart, the first most significant of five, as ceil(number 256 / 243). */
static inline guint8
tern_five_digits (const guint8 *digits, guint step, guint count)
{
  guint number = 0, i;

  for (i = 0; i < 5; i++)
    number = 3 * number + (i < count ? digits[i * step] : 0);
  return (guint8) ((number * 256 + 242) / 243);
}

/* quantize-k.c */
void tern_quantize_q4_k (guint8 *dst, const float *src, gsize n);
void tern_quantize_q6_k (guint8 *dst, const float *src, gsize n);

G_END_DECLS
