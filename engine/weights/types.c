/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Block formats of GGUF. y stands for the value, d and m for the f16 scale and minimum of a block. Scales of hostile
 * files may be infinite or NaN: they flow into values and never into an address. */
#include "engine/weights/types.h"

#include <string.h>

#include "engine/kernels/kernels.h"

#define QK 32                   /* values of a small block */
#define QK_K 256                /* values of a super-block */

static inline float
read_f16 (const guint8 *p)
{
  return tern_f16_to_f32 ((guint16) (p[0] | p[1] << 8));
}

static inline float
bits_to_f32 (guint32 bits)
{
  float f;

  memcpy (&f, &bits, sizeof f);
  return f;
}

static inline guint32
read_u32 (const guint8 *p)
{
  return p[0] | p[1] << 8 | p[2] << 16 | (guint32) p[3] << 24;
}

static void
f32_to_f32 (float *dst, const void *src, gsize n)
{
  const guint8 *p = src;
  gsize i;

  for (i = 0; i < n; i++)
    dst[i] = bits_to_f32 (read_u32 (p + 4 * i));
}

static void
f16_to_f32 (float *dst, const void *src, gsize n)
{
  const guint8 *p = src;
  gsize i;

  for (i = 0; i < n; i++)
    dst[i] = read_f16 (p + 2 * i);
}

static void
bf16_to_f32 (float *dst, const void *src, gsize n)
{
  const guint8 *p = src;
  gsize i;

  for (i = 0; i < n; i++)
    dst[i] = bits_to_f32 ((guint32) p[2 * i] << 16 | (guint32) p[2 * i + 1] << 24);
}

/* 0: d, 2: i8 q[32]; y = d q. */
static void
q8_0_to_f32 (float *dst, const void *src, gsize n)
{
  const guint8 *p = src;
  gsize i, b;

  for (b = 0; b < n / QK; b++, p += 34, dst += QK) {
    float d = read_f16 (p);

    for (i = 0; i < QK; i++)
      dst[i] = d * (gint8) p[2 + i];
  }
}

/* 0: d, 2: u8 q[16]; low nibbles hold the first half, high ones the second; y = d (q - 8). */
static void
q4_0_to_f32 (float *dst, const void *src, gsize n)
{
  const guint8 *p = src;
  gsize i, b;

  for (b = 0; b < n / QK; b++, p += 18, dst += QK) {
    float d = read_f16 (p);

    for (i = 0; i < QK / 2; i++) {
      dst[i] = d * ((p[2 + i] & 15) - 8);
      dst[i + QK / 2] = d * ((p[2 + i] >> 4) - 8);
    }
  }
}

/* The 6-bit scale and minimum of sub-block @s, packed in 12 bytes. */
static inline void
scale_min_k (const guint8 *packed, guint s, guint *scale, guint *min)
{
  if (s < 4) {
    *scale = packed[s] & 63;
    *min = packed[s + 4] & 63;
  } else {
    *scale = (packed[s + 4] & 15) | (packed[s - 4] >> 6) << 4;
    *min = packed[s + 4] >> 4 | (packed[s] >> 6) << 4;
  }
}

/* 0: d, 2: dmin, 4: scales and minima of 8 sub-blocks, 16: u8 q[128]; y = d scale q - dmin min. Each 32 bytes hold two
 * sub-blocks: low nibbles, then high ones. */
static void
q4_k_to_f32 (float *dst, const void *src, gsize n)
{
  const guint8 *p = src;
  gsize b;
  guint s, i;

  for (b = 0; b < n / QK_K; b++, p += 144) {
    float d = read_f16 (p), dmin = read_f16 (p + 2);

    for (s = 0; s < 8; s++, dst += 32) {
      const guint8 *q = p + 16 + 32 * (s / 2);
      guint shift = s % 2 * 4, scale, min;
      float ds, dm;

      scale_min_k (p + 4, s, &scale, &min);
      ds = d * scale;
      dm = dmin * min;
      for (i = 0; i < 32; i++)
        dst[i] = ds * (q[i] >> shift & 15) - dm;
    }
  }
}

/* 0: low nibbles ql[128], 128: high pairs of bits qh[64], 192: i8 scale[16], 208: d; y = d scale (q - 32), a scale for
 * 16 values. Both halves of 128 values are made of four runs of 32. */
static void
q6_k_to_f32 (float *dst, const void *src, gsize n)
{
  const guint8 *p = src;
  gsize b;
  guint half, run, i;

  for (b = 0; b < n / QK_K; b++, p += 210) {
    float d = read_f16 (p + 208);

    for (half = 0; half < 2; half++) {
      const guint8 *qh = p + 128 + 32 * half, *scale = p + 192 + 8 * half;

      for (run = 0; run < 4; run++, dst += 32) {
        const guint8 *ql = p + 64 * half + run % 2 * 32;

        for (i = 0; i < 32; i++) {
          gint q = (ql[i] >> run / 2 * 4 & 15) | (qh[i] >> 2 * run & 3) << 4;

          dst[i] = d * (gint8) scale[2 * run + i / 16] * (q - 32);
        }
      }
    }
  }
}

/* Digit @digit (0 is the most significant) of five base-3 digits in a byte, which holds ceil(256 / 243 * number). */
static inline guint8
trit (guint8 byte, guint digit)
{
  static const guint8 pow3[5] = { 1, 3, 9, 27, 81 };

  return (guint8) (byte * pow3[digit]) * 3 >> 8;
}

void
tern_tq1_0_digits (guint8 *dst, const guint8 *block)
{
  guint digit, i;

  for (digit = 0; digit < 5; digit++)
    for (i = 0; i < 32; i++)
      *dst++ = trit (block[i], digit);
  for (digit = 0; digit < 5; digit++)
    for (i = 32; i < 48; i++)
      *dst++ = trit (block[i], digit);
  for (digit = 0; digit < 4; digit++)
    for (i = 48; i < 52; i++)
      *dst++ = trit (block[i], digit);
}

/* 0: 48 bytes of five digits, 48: 4 bytes of four, 52: d; y = d (digit - 1). */
static void
tq1_0_to_f32 (float *dst, const void *src, gsize n)
{
  const guint8 *p = src;
  guint8 digits[QK_K];
  gsize i, b;

  for (b = 0; b < n / QK_K; b++, p += 54, dst += QK_K) {
    float d = read_f16 (p + 52);

    tern_tq1_0_digits (digits, p);
    for (i = 0; i < QK_K; i++)
      dst[i] = d * (digits[i] - 1);
  }
}

/* 0: u8 q[64], 64: d; each 32 bytes hold four runs of 32 two-bit digits, lowest bits first; y = d (digit - 1). */
static void
tq2_0_to_f32 (float *dst, const void *src, gsize n)
{
  const guint8 *p = src;
  gsize b;
  guint run, i;

  for (b = 0; b < n / QK_K; b++, p += 66) {
    float d = read_f16 (p + 64);

    for (run = 0; run < 8; run++, dst += 32)
      for (i = 0; i < 32; i++)
        dst[i] = d * ((p[32 * (run / 4) + i] >> 2 * (run % 4) & 3) - 1);
  }
}

/* Sorted by id. */
static const TernTypeInfo types[] = {
  { TERN_TYPE_F32, "F32", 1, 4, f32_to_f32 },
  { TERN_TYPE_F16, "F16", 1, 2, f16_to_f32 },
  { TERN_TYPE_Q4_0, "Q4_0", 32, 18, q4_0_to_f32 },
  { 3, "Q4_1", 32, 20, NULL },
  { 6, "Q5_0", 32, 22, NULL },
  { 7, "Q5_1", 32, 24, NULL },
  { TERN_TYPE_Q8_0, "Q8_0", 32, 34, q8_0_to_f32 },
  { 9, "Q8_1", 32, 36, NULL },
  { 10, "Q2_K", 256, 84, NULL },
  { 11, "Q3_K", 256, 110, NULL },
  { TERN_TYPE_Q4_K, "Q4_K", 256, 144, q4_k_to_f32 },
  { 13, "Q5_K", 256, 176, NULL },
  { TERN_TYPE_Q6_K, "Q6_K", 256, 210, q6_k_to_f32 },
  { 15, "Q8_K", 256, 292, NULL },
  { 16, "IQ2_XXS", 256, 66, NULL },
  { 17, "IQ2_XS", 256, 74, NULL },
  { 18, "IQ3_XXS", 256, 98, NULL },
  { 19, "IQ1_S", 256, 50, NULL },
  { 20, "IQ4_NL", 32, 18, NULL },
  { 21, "IQ3_S", 256, 110, NULL },
  { 22, "IQ2_S", 256, 82, NULL },
  { 23, "IQ4_XS", 256, 136, NULL },
  { 24, "I8", 1, 1, NULL },
  { 25, "I16", 1, 2, NULL },
  { TERN_TYPE_I32, "I32", 1, 4, NULL },
  { 27, "I64", 1, 8, NULL },
  { 28, "F64", 1, 8, NULL },
  { 29, "IQ1_M", 256, 56, NULL },
  { TERN_TYPE_BF16, "BF16", 1, 2, bf16_to_f32 },
  { TERN_TYPE_TQ1_0, "TQ1_0", 256, 54, tq1_0_to_f32 },
  { TERN_TYPE_TQ2_0, "TQ2_0", 256, 66, tq2_0_to_f32 },
  { 39, "MXFP4", 32, 17, NULL },
  { 40, "NVFP4", 64, 36, NULL },
  { 41, "Q1_0", 128, 18, NULL },
};

const TernTypeInfo *
tern_type_info (guint32 id)
{
  gsize i;

  for (i = 0; i < G_N_ELEMENTS (types); i++)
    if (types[i].type == id)
      return &types[i];
  return NULL;
}

const char *
tern_type_list (void)
{
  return "F32, F16, BF16, Q8_0, Q4_0, Q4_K, Q6_K, TQ1_0, TQ2_0";
}
