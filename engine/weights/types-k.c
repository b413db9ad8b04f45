/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The K quantisations: super-blocks of 256 values in sub-blocks of 16 or 32, whose scales (and minima) are small
 * integers in units of the super-block's d (and dmin), both f16. */
#include "engine/weights/types-private.h"

#define QK_K TERN_QK_K

/* 0: u8 scales[16], scale low, minimum high; 16: two-bit q[64], 80: d, 82: dmin; y = d scale q - dmin min, for
 * sub-blocks of 16. Each 32 bytes of q hold four runs of 32 values, lowest bits first. */
void
tern_q2_k_to_f32 (float *dst, const void *src, gsize n)
{
  const guint8 *p = src;
  gsize b;
  guint s, i;

  for (b = 0; b < n / QK_K; b++, p += 84) {
    float d = tern_read_f16 (p + 80), dmin = tern_read_f16 (p + 82);

    for (s = 0; s < 16; s++, dst += 16) {
      const guint8 *q = p + 16 + 32 * (s / 8) + 16 * (s % 2);
      guint shift = s % 8 / 2 * 2;
      float ds = d * (p[s] & 15), dm = dmin * (p[s] >> 4);

      for (i = 0; i < 16; i++)
        dst[i] = ds * (q[i] >> shift & 3) - dm;
    }
  }
}

/* 0: u8 high[32], 32: two-bit q[64] as in Q2_K, 96: 16 six-bit scales in 12 bytes, 108: d; y = d (scale - 32) (q - 4),
 * q made of two bits and of bit r of high[i] for value i of run r of 32. Scale s has its low four bits in nibble s / 8
 * of byte s % 8, its upper two in pair s / 4 of byte 8 + s % 4. */
void
tern_q3_k_to_f32 (float *dst, const void *src, gsize n)
{
  const guint8 *p = src;
  gsize b;
  guint s, i;

  for (b = 0; b < n / QK_K; b++, p += 110) {
    const guint8 *packed = p + 96;
    float d = tern_read_f16 (p + 108);

    for (s = 0; s < 16; s++, dst += 16) {
      const guint8 *q = p + 32 + 32 * (s / 8) + 16 * (s % 2), *high = p + 16 * (s % 2);
      guint shift = s % 8 / 2 * 2, run = s / 2;
      gint scale = (packed[s % 8] >> s / 8 * 4 & 15) | (packed[8 + s % 4] >> s / 4 * 2 & 3) << 4;
      float ds = d * (scale - 32);

      for (i = 0; i < 16; i++)
        dst[i] = ds * ((gint) ((q[i] >> shift & 3) | (high[i] >> run & 1) << 2) - 4);
    }
  }
}

/* 0: d, 2: dmin, 4: scales and minima of 8 sub-blocks, 16: u8 q[128]; y = d scale q - dmin min. Each 32 bytes hold two
 * sub-blocks: low nibbles, then high ones. */
void
tern_q4_k_to_f32 (float *dst, const void *src, gsize n)
{
  const guint8 *p = src;
  gsize b;
  guint s, i;

  for (b = 0; b < n / QK_K; b++, p += 144) {
    float d = tern_read_f16 (p), dmin = tern_read_f16 (p + 2);

    for (s = 0; s < 8; s++, dst += 32) {
      const guint8 *q = p + 16 + 32 * (s / 2);
      guint shift = s % 2 * 4, scale, min;
      float ds, dm;

      tern_k_scale_min (p + 4, s, &scale, &min);
      ds = d * scale;
      dm = dmin * min;
      for (i = 0; i < 32; i++)
        dst[i] = ds * (q[i] >> shift & 15) - dm;
    }
  }
}

/* As Q4_K with u8 high[32] at 16 and q at 48: bit s of high[i] is the fifth bit of value i of sub-block s. */
void
tern_q5_k_to_f32 (float *dst, const void *src, gsize n)
{
  const guint8 *p = src;
  gsize b;
  guint s, i;

  for (b = 0; b < n / QK_K; b++, p += 176) {
    float d = tern_read_f16 (p), dmin = tern_read_f16 (p + 2);
    const guint8 *high = p + 16;

    for (s = 0; s < 8; s++, dst += 32) {
      const guint8 *q = p + 48 + 32 * (s / 2);
      guint shift = s % 2 * 4, scale, min;
      float ds, dm;

      tern_k_scale_min (p + 4, s, &scale, &min);
      ds = d * scale;
      dm = dmin * min;
      for (i = 0; i < 32; i++)
        dst[i] = ds * ((q[i] >> shift & 15) | (high[i] >> s & 1) << 4) - dm;
    }
  }
}

/* 0: low nibbles ql[128], 128: high pairs of bits qh[64], 192: i8 scale[16], 208: d; y = d scale (q - 32), a scale for
 * 16 values. Both halves of 128 values are made of four runs of 32. */
void
tern_q6_k_to_f32 (float *dst, const void *src, gsize n)
{
  const guint8 *p = src;
  gsize b;
  guint half, run, i;

  for (b = 0; b < n / QK_K; b++, p += 210) {
    float d = tern_read_f16 (p + 208);

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
