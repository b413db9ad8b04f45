/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Values of -1, 0 and +1 as digits 0, 1 and 2, in two bits each (where there is room for a 3: +2) or five in a byte. */
#include "engine/weights/types-private.h"

/* The most significant of five base-3 digits in a byte, which holds ceil(256 / 243 * number); multiplying the byte by
 * a power of 3 (mod 256) brings another digit to the front. */
static inline guint8
trit (guint8 byte, guint8 power)
{
  return (guint8) (byte * power) * 3 >> 8;
}

void
tern_tq1_0_digits (guint8 *dst, const guint8 *block)
{
  static const guint8 power[5] = { 1, 3, 9, 27, 81 };
  guint digit, i;

  for (digit = 0; digit < 5; digit++)
    for (i = 0; i < 32; i++)
      *dst++ = trit (block[i], power[digit]);
  for (digit = 0; digit < 5; digit++)
    for (i = 32; i < 48; i++)
      *dst++ = trit (block[i], power[digit]);
  for (digit = 0; digit < 4; digit++)
    for (i = 48; i < 52; i++)
      *dst++ = trit (block[i], power[digit]);
}

/* 0: 48 bytes of five digits, 48: 4 bytes of four, 52: d; y = d (digit - 1). */
void
tern_tq1_0_to_f32 (float *dst, const void *src, gsize n)
{
  const guint8 *p = src;
  guint8 digits[TERN_QK_K];
  gsize i, b;

  for (b = 0; b < n / TERN_QK_K; b++, p += 54, dst += TERN_QK_K) {
    float d = tern_read_f16 (p + 52);

    tern_tq1_0_digits (digits, p);
    for (i = 0; i < TERN_QK_K; i++)
      dst[i] = d * (digits[i] - 1);
  }
}

/* 0: u8 q[64], 64: d; each 32 bytes hold four runs of 32 two-bit digits, lowest bits first; y = d (digit - 1). */
void
tern_tq2_0_to_f32 (float *dst, const void *src, gsize n)
{
  const guint8 *p = src;
  gsize b;
  guint run, i;

  for (b = 0; b < n / TERN_QK_K; b++, p += 66) {
    float d = tern_read_f16 (p + 64);

    for (run = 0; run < 8; run++, dst += 32)
      for (i = 0; i < 32; i++)
        dst[i] = d * ((p[32 * (run / 4) + i] >> 2 * (run % 4) & 3) - 1);
  }
}

/* 32 bytes hold four runs of 32 two-bit digits, highest bits first; y = scale in the tail (digit - 1). This is the
 * order that bitnet.cpp's x86 build and its converters write; nothing in a file tells of the others. */
void
tern_i2_s_to_f32 (float *dst, const void *src, gsize n)
{
  const guint8 *p = src;
  gsize b;
  guint run, i;

  for (b = 0; b < n / 128; b++, p += 32)
    for (run = 0; run < 4; run++, dst += 32)
      for (i = 0; i < 32; i++)
        dst[i] = (p[i] >> (6 - 2 * run) & 3) - 1;
}

/* Blocks of 64 in four groups of 16: three bytes of five digits, the first digit the least significant, and the group's
 * digit of byte 12 for its last value; y = scale of the row (digit - 1). */
void
tern_iq1_bn_to_f32 (float *dst, const void *src, gsize n)
{
  static const guint8 power[5] = { 81, 27, 9, 3, 1 };
  const guint8 *p = src;
  gsize b;
  guint group, i;

  for (b = 0; b < n / 64; b++, p += 13)
    for (group = 0; group < 4; group++) {
      for (i = 0; i < 15; i++)
        *dst++ = trit (p[3 * group + i / 5], power[i % 5]) - 1;
      *dst++ = trit (p[12], power[group]) - 1;
    }
}

/* Blocks of 64: 16 bytes hold four runs of 16 two-bit digits, lowest bits first; y = scale of the row (digit - 1). */
void
tern_iq2_bn_to_f32 (float *dst, const void *src, gsize n)
{
  const guint8 *p = src;
  gsize b;
  guint run, i;

  for (b = 0; b < n / 64; b++, p += 16)
    for (run = 0; run < 4; run++, dst += 16)
      for (i = 0; i < 16; i++)
        dst[i] = (p[i] >> 2 * run & 3) - 1;
}

/* Blocks of 128 values: 0: d, 2: a bit for each, eight neighbours in a byte, lowest bits first; y = d where it is set, else -d. */
void
tern_q1_0_to_f32 (float *dst, const void *src, gsize n)
{
  const guint8 *p = src;
  gsize b;
  guint i;

  for (b = 0; b < n / 128; b++, p += 18, dst += 128) {
    float d = tern_read_f16 (p);

    for (i = 0; i < 128; i++)
      dst[i] = p[2 + i / 8] >> i % 8 & 1 ? d : -d;
  }
}

/* Blocks of @block values: 0: d, 2: two-bit digits, four neighbours in a byte, lowest bits first; y = d (digit - 1). Digit 3
 * occurs in files: +2. */
static inline void
two_bits_to_f32 (float *dst, const guint8 *p, gsize n, guint block)
{
  gsize b;
  guint i;

  for (b = 0; b < n / block; b++, p += 2 + block / 4, dst += block) {
    float d = tern_read_f16 (p);

    for (i = 0; i < block; i++)
      dst[i] = d * ((p[2 + i / 4] >> 2 * (i % 4) & 3) - 1);
  }
}

void
tern_q2_0_to_f32 (float *dst, const void *src, gsize n)
{
  two_bits_to_f32 (dst, src, n, 64);
}

void
tern_pq2_0_to_f32 (float *dst, const void *src, gsize n)
{
  two_bits_to_f32 (dst, src, n, 128);
}

/* The 128 digits (0, 1, 2 for -1, 0, +1) of a PTQ1_0 block, in the order of the values. */
static void
ptq1_0_digits (guint8 *dst, const guint8 *block)
{
  static const guint8 power[5] = { 1, 3, 9, 27, 81 };
  guint digit, i;

  for (digit = 0; digit < 5; digit++)
    for (i = 0; i < 16; i++)
      *dst++ = trit (block[i], power[digit]);
  for (digit = 0; digit < 5; digit++)
    for (i = 16; i < 24; i++)
      *dst++ = trit (block[i], power[digit]);
  for (digit = 0; digit < 4; digit++)
    for (i = 24; i < 26; i++)
      *dst++ = trit (block[i], power[digit]);
}

/* 0: 24 bytes of five digits, 24: 2 bytes of four, 26: d; y = d (digit - 1). */
void
tern_ptq1_0_to_f32 (float *dst, const void *src, gsize n)
{
  const guint8 *p = src;
  guint8 digits[128];
  gsize b;
  guint i;

  for (b = 0; b < n / 128; b++, p += 28, dst += 128) {
    float d = tern_read_f16 (p + 26);

    ptq1_0_digits (digits, p);
    for (i = 0; i < 128; i++)
      dst[i] = d * (digits[i] - 1);
  }
}
