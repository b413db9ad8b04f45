/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* IEEE 754 binary16 <-> binary32 by their bits: 1 + 5 + 10 against 1 + 8 + 23, biases 15 and 127. */
#include "engine/kernels/kernels.h"

static inline float
from_bits (guint32 bits)
{
  union { guint32 u; float f; } v = { .u = bits };

  return v.f;
}

float
tern_f16_to_f32 (guint16 h)
{
  guint32 sign = (guint32) (h & 0x8000) << 16;
  guint32 magnitude = h & 0x7fff;
  float f;

  if (magnitude >= 0x7c00)      /* infinity, NaN: all exponent bits, quiet bit for NaN */
    return from_bits (sign | 0x7f800000 | (magnitude & 0x3ff) << 13 | (magnitude > 0x7c00 ? 0x400000 : 0));
  if (magnitude >= 0x0400)
    return from_bits (sign | ((magnitude << 13) + ((127 - 15) << 23)));
  f = (float) magnitude * 0x1p-24f;     /* zero and subnormals: exact */
  return sign ? -f : f;
}

guint16
tern_f32_to_f16 (float f)
{
  union { float f; guint32 u; } v = { .f = f };
  guint32 sign = v.u >> 16 & 0x8000;
  guint32 magnitude = v.u & 0x7fffffff;
  guint32 shift, half;

  if (magnitude > 0x7f800000)
    return sign | 0x7e00 | (magnitude >> 13 & 0x3ff);
  if (magnitude >= 0x477ff000)          /* rounds to 2^16 or is more: infinity */
    return sign | 0x7c00;
  if (magnitude < 0x33000000)           /* under half of the smallest subnormal */
    return sign;
  if (magnitude < 0x38800000) {         /* subnormal result: the significand with its hidden bit, shifted */
    shift = 126 - (magnitude >> 23);
    magnitude = (magnitude & 0x7fffff) | 0x800000;
    half = 1u << (shift - 1);
    return sign | ((magnitude + (half - 1) + (magnitude >> shift & 1)) >> shift);
  }
  magnitude -= (127 - 15) << 23;
  return sign | ((magnitude + 0xfff + (magnitude >> 13 & 1)) >> 13);    /* a carry may move into the exponent */
}

guint16
tern_f32_to_bf16 (float f)
{
  union { float f; guint32 u; } v = { f };

  if ((v.u & 0x7fffffff) > 0x7f800000)
    return (v.u >> 16) | 0x40;  /* a NaN must not become infinity */
  return (v.u + 0x7fff + (v.u >> 16 & 1)) >> 16;
}
