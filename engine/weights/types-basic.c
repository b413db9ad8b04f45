/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Plain numbers, and blocks of 32 values with a scale d (f16) and perhaps a minimum m (f16). y stands for the value.
 * Scales of hostile files may be infinite or NaN, here and in the files beside: they flow into values and never into an
 * address. */
#include "engine/weights/types-private.h"

#define QK TERN_QK

void
tern_f32_to_f32 (float *dst, const void *src, gsize n)
{
  const guint8 *p = src;
  gsize i;

  for (i = 0; i < n; i++)
    dst[i] = tern_read_f32 (p + 4 * i);
}

void
tern_half_to_f32 (float *dst, const void *src, gsize n)
{
  const guint8 *p = src;
  gsize i;

  for (i = 0; i < n; i++)
    dst[i] = tern_read_f16 (p + 2 * i);
}

void
tern_bfloat_to_f32 (float *dst, const void *src, gsize n)
{
  const guint8 *p = src;
  gsize i;

  for (i = 0; i < n; i++)
    dst[i] = tern_bits_to_f32 ((guint32) tern_read_u16 (p + 2 * i) << 16);
}

/* 0: d, 2: i8 q[32]; y = d q. */
void
tern_q8_0_to_f32 (float *dst, const void *src, gsize n)
{
  const guint8 *p = src;
  gsize i, b;

  for (b = 0; b < n / QK; b++, p += 34, dst += QK) {
    float d = tern_read_f16 (p);

    for (i = 0; i < QK; i++)
      dst[i] = d * (gint8) p[2 + i];
  }
}

/* 0: d, 2: u8 q[16]; low nibbles hold the first half, high ones the second; y = d (q - 8). */
void
tern_q4_0_to_f32 (float *dst, const void *src, gsize n)
{
  const guint8 *p = src;
  gsize i, b;

  for (b = 0; b < n / QK; b++, p += 18, dst += QK) {
    float d = tern_read_f16 (p);

    for (i = 0; i < QK / 2; i++) {
      dst[i] = d * ((p[2 + i] & 15) - 8);
      dst[i + QK / 2] = d * ((p[2 + i] >> 4) - 8);
    }
  }
}

/* 0: d, 2: m, 4: u8 q[16] as in Q4_0; y = d q + m. */
void
tern_q4_1_to_f32 (float *dst, const void *src, gsize n)
{
  const guint8 *p = src;
  gsize i, b;

  for (b = 0; b < n / QK; b++, p += 20, dst += QK) {
    float d = tern_read_f16 (p), m = tern_read_f16 (p + 2);

    for (i = 0; i < QK / 2; i++) {
      dst[i] = d * (p[4 + i] & 15) + m;
      dst[i + QK / 2] = d * (p[4 + i] >> 4) + m;
    }
  }
}

/* Value @i of 32 five-bit ones: four bits as in Q4_0, the fifth is bit i of @high. */
static inline gint
five_bits (const guint8 *low, guint32 high, guint i)
{
  return (low[i % 16] >> i / 16 * 4 & 15) | (high >> i & 1) << 4;
}

/* 0: d, 2: u32 high bits, 6: u8 q[16]; y = d (q - 16). */
void
tern_q5_0_to_f32 (float *dst, const void *src, gsize n)
{
  const guint8 *p = src;
  gsize i, b;

  for (b = 0; b < n / QK; b++, p += 22, dst += QK) {
    float d = tern_read_f16 (p);
    guint32 high = tern_read_u32 (p + 2);

    for (i = 0; i < QK; i++)
      dst[i] = d * (five_bits (p + 6, high, i) - 16);
  }
}

/* 0: d, 2: m, 4: u32 high bits, 8: u8 q[16]; y = d q + m. */
void
tern_q5_1_to_f32 (float *dst, const void *src, gsize n)
{
  const guint8 *p = src;
  gsize i, b;

  for (b = 0; b < n / QK; b++, p += 24, dst += QK) {
    float d = tern_read_f16 (p), m = tern_read_f16 (p + 2);
    guint32 high = tern_read_u32 (p + 4);

    for (i = 0; i < QK; i++)
      dst[i] = d * five_bits (p + 8, high, i) + m;
  }
}
