/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the block types of GGUF hold, plainly: the vector versions are checked against this. d and dmin are f16; sub-blocks
 * of 32 values, or of 16, have scales of 4 to 8 bits beside them. Offsets in bytes. */
#include <string.h>

#include "engine/kernels/kernels.h"

const gint8 tern_iq4_values[16] = { -127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113 };

gsize
tern_blocks_values (TernBlocks type)
{
  return type >= TERN_BLOCKS_Q2_K ? 256 : 32;
}

gsize
tern_blocks_bytes (TernBlocks type)
{
  static const guint8 bytes[TERN_N_BLOCKS] = {
    [TERN_BLOCKS_Q8_0] = 34, [TERN_BLOCKS_Q4_0] = 18, [TERN_BLOCKS_Q4_1] = 20, [TERN_BLOCKS_Q5_0] = 22,
    [TERN_BLOCKS_Q5_1] = 24, [TERN_BLOCKS_IQ4_NL] = 18, [TERN_BLOCKS_Q2_K] = 84, [TERN_BLOCKS_Q3_K] = 110,
    [TERN_BLOCKS_Q4_K] = 144, [TERN_BLOCKS_Q5_K] = 176, [TERN_BLOCKS_Q6_K] = 210, [TERN_BLOCKS_IQ4_XS] = 136,
  };

  return bytes[type];
}

static inline float
read_f16 (const guint8 *p)
{
  return tern_f16_to_f32 ((guint16) (p[0] | p[1] << 8));
}

static inline void
set_scale (TernUnpacked *dst, float d, float m)
{
  dst->d[0] = dst->d[1] = d;
  dst->m[0] = dst->m[1] = m;
}

/* 0: d, 2: i8 q[32]. */
static void
q8_0 (TernUnpacked *dst, const guint8 *p)
{
  set_scale (dst, read_f16 (p), 0);
  memcpy (dst->q, p + 2, 32);
}

/* 16 bytes: low nibbles are the first half, high ones the second; bits of @high are their fifth. */
static void
nibbles (gint8 *q, const guint8 *p, guint32 high, gint offset)
{
  guint i;

  for (i = 0; i < 16; i++) {
    q[i] = ((p[i] & 15) | (high >> i & 1) << 4) - offset;
    q[i + 16] = (p[i] >> 4 | (high >> (i + 16) & 1) << 4) - offset;
  }
}

static inline guint32
read_u32 (const guint8 *p)
{
  return p[0] | p[1] << 8 | p[2] << 16 | (guint32) p[3] << 24;
}

/* Q4_0: 0: d, 2: nibbles, - 8. Q5_0: 0: d, 2: u32 fifth bits, 6: nibbles, - 16. */
static void
q4_0 (TernUnpacked *dst, const guint8 *p)
{
  set_scale (dst, read_f16 (p), 0);
  nibbles (dst->q, p + 2, 0, 8);
}

static void
q5_0 (TernUnpacked *dst, const guint8 *p)
{
  set_scale (dst, read_f16 (p), 0);
  nibbles (dst->q, p + 6, read_u32 (p + 2), 16);
}

/* Q4_1: 0: d, 2: minimum, 4: nibbles. Q5_1: 0: d, 2: minimum, 4: u32 fifth bits, 8: nibbles. */
static void
q4_1 (TernUnpacked *dst, const guint8 *p)
{
  set_scale (dst, read_f16 (p), read_f16 (p + 2));
  nibbles (dst->q, p + 4, 0, 0);
}

static void
q5_1 (TernUnpacked *dst, const guint8 *p)
{
  set_scale (dst, read_f16 (p), read_f16 (p + 2));
  nibbles (dst->q, p + 8, read_u32 (p + 4), 0);
}

static void
look_up (gint8 *q)
{
  guint i;

  for (i = 0; i < 32; i++)
    q[i] = tern_iq4_values[q[i]];
}

/* 0: d, 2: nibbles, indices of a table. */
static void
iq4_nl (TernUnpacked *dst, const guint8 *p)
{
  set_scale (dst, read_f16 (p), 0);
  nibbles (dst->q, p + 2, 0, 0);
  look_up (dst->q);
}

/* 0: scale (low nibble) and minimum of 16 sub-blocks of 16, 16: pairs of bits qs[64], 80: d, 82: dmin. Each 32 bytes
 * hold four runs of 32 values, lowest bits first. */
static void
q2_k (TernUnpacked *dst, const guint8 *p)
{
  float d = read_f16 (p + 80), dmin = read_f16 (p + 82);
  guint s, i;

  for (s = 0; s < 8; s++, dst++) {
    for (i = 0; i < 2; i++) {
      dst->d[i] = d * (p[2 * s + i] & 15);
      dst->m[i] = -(dmin * (p[2 * s + i] >> 4));
    }
    for (i = 0; i < 32; i++)
      dst->q[i] = p[16 + 32 * (s / 4) + i] >> 2 * (s % 4) & 3;
  }
}

/* 0: third bits hmask[32], bit s of sub-block s; 32: pairs of bits as in Q2_K; 96: 16 scales of 6 bits, - 32, the low
 * nibbles in 8 bytes, the high pairs in 4; 108: d. Values - 4. */
static void
q3_k (TernUnpacked *dst, const guint8 *p)
{
  float d = read_f16 (p + 108);
  const guint8 *scale = p + 96;
  guint s, i;

  for (s = 0; s < 8; s++, dst++) {
    for (i = 0; i < 2; i++) {
      guint k = 2 * s + i;
      gint v = (k < 8 ? scale[k] & 15 : scale[k - 8] >> 4) | (scale[8 + k % 4] >> 2 * (k / 4) & 3) << 4;

      dst->d[i] = d * (v - 32);
      dst->m[i] = 0;
    }
    for (i = 0; i < 32; i++)
      dst->q[i] = (p[32 + 32 * (s / 4) + i] >> 2 * (s % 4) & 3) + (p[i] >> s & 1) * 4 - 4;
  }
}

/* Scale and minimum, 6 bits each, of sub-block @s out of 12 bytes. */
static void
scale_min (TernUnpacked *dst, const guint8 *packed, guint s, float d, float dmin)
{
  guint scale, min;

  if (s < 4) {
    scale = packed[s] & 63;
    min = packed[s + 4] & 63;
  } else {
    scale = (packed[s + 4] & 15) | packed[s - 4] >> 6 << 4;
    min = packed[s + 4] >> 4 | packed[s] >> 6 << 4;
  }
  set_scale (dst, d * scale, -(dmin * min));
}

/* 0: d, 2: dmin, 4: scales and minima, 16: qs[128]. Each 32 bytes hold two sub-blocks, low nibbles first. */
static void
q4_k (TernUnpacked *dst, const guint8 *p)
{
  guint s, i;

  for (s = 0; s < 8; s++, dst++) {
    scale_min (dst, p + 4, s, read_f16 (p), read_f16 (p + 2));
    for (i = 0; i < 32; i++)
      dst->q[i] = p[16 + 32 * (s / 2) + i] >> 4 * (s % 2) & 15;
  }
}

/* As Q4_K, but 16: fifth bits qh[32], bit s of sub-block s; 48: qs[128]. */
static void
q5_k (TernUnpacked *dst, const guint8 *p)
{
  guint s, i;

  for (s = 0; s < 8; s++, dst++) {
    scale_min (dst, p + 4, s, read_f16 (p), read_f16 (p + 2));
    for (i = 0; i < 32; i++)
      dst->q[i] = (p[48 + 32 * (s / 2) + i] >> 4 * (s % 2) & 15) | (p[16 + i] >> s & 1) << 4;
  }
}

/* 0: low nibbles ql[128], 128: high pairs qh[64], 192: i8 scales of 16 values, 208: d. Values - 32. A half of 128 values
 * is four runs of 32: low nibbles of 64 bytes, then high ones; pairs of 32 bytes, lowest first. */
static void
q6_k (TernUnpacked *dst, const guint8 *p)
{
  float d = read_f16 (p + 208);
  guint s, i;

  for (s = 0; s < 8; s++, dst++) {
    const guint8 *low = p + 64 * (s / 4) + 32 * (s % 2), *high = p + 128 + 32 * (s / 4);

    for (i = 0; i < 2; i++) {
      dst->d[i] = d * (gint8) p[192 + 2 * s + i];
      dst->m[i] = 0;
    }
    for (i = 0; i < 32; i++)
      dst->q[i] = ((low[i] >> s % 4 / 2 * 4 & 15) | (high[i] >> 2 * (s % 4) & 3) << 4) - 32;
  }
}

/* 0: d, 2: u16 high pairs of 8 scales, 4: their low nibbles, 8: nibbles, indices of a table, 16 bytes a sub-block.
 * Scales - 32. */
static void
iq4_xs (TernUnpacked *dst, const guint8 *p)
{
  guint high = p[2] | p[3] << 8, s;

  for (s = 0; s < 8; s++, dst++) {
    gint scale = (p[4 + s / 2] >> 4 * (s % 2) & 15) | (high >> 2 * s & 3) << 4;

    set_scale (dst, read_f16 (p) * (scale - 32), 0);
    nibbles (dst->q, p + 8 + 16 * s, 0, 0);
    look_up (dst->q);
  }
}

void
tern_blocks_unpack (TernBlocks type, TernUnpacked *dst, const guint8 *src, gsize n)
{
  static void (*const unpack[TERN_N_BLOCKS]) (TernUnpacked *dst, const guint8 *p) = {
    [TERN_BLOCKS_Q8_0] = q8_0, [TERN_BLOCKS_Q4_0] = q4_0, [TERN_BLOCKS_Q4_1] = q4_1, [TERN_BLOCKS_Q5_0] = q5_0,
    [TERN_BLOCKS_Q5_1] = q5_1, [TERN_BLOCKS_IQ4_NL] = iq4_nl, [TERN_BLOCKS_Q2_K] = q2_k, [TERN_BLOCKS_Q3_K] = q3_k,
    [TERN_BLOCKS_Q4_K] = q4_k, [TERN_BLOCKS_Q5_K] = q5_k, [TERN_BLOCKS_Q6_K] = q6_k, [TERN_BLOCKS_IQ4_XS] = iq4_xs,
  };
  gsize step = tern_blocks_values (type) / 32, i;

  for (i = 0; i + step <= n; i += step, src += tern_blocks_bytes (type))
    unpack[type] (dst + i, src);
}
