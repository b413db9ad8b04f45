/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Floats of four bits, a sign, two bits of exponent and one of mantissa (E2M1), in blocks that share a scale: MXFP4 of the OCP
 * Microscaling Formats specification 1.0, and NVFP4, whose blocks are smaller and whose scales are floats of eight bits. */
#include "engine/weights/types-private.h"

#include <math.h>

/* Twice what a code stands for. */
static const gint8 halves[16] = { 0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12 };

/* 2 @n codes in @n bytes, the first @n in their lower halves, times @d. */
static inline void
from_codes (float *dst, const guint8 *codes, guint n, float d)
{
  for (guint i = 0; i < n; i++) {
    dst[i] = d * halves[codes[i] & 15];
    dst[i + n] = d * halves[codes[i] >> 4];
  }
}

/* 0: e, the scale 2^(e - 127), 1: codes of 32 values. */
void
tern_mxfp4_to_f32 (float *dst, const void *src, gsize n)
{
  const guint8 *p = src;

  for (gsize b = 0; b < n / TERN_QK; b++, p += 17, dst += TERN_QK)
    from_codes (dst, p + 1, 16, ldexpf (1, (gint) p[0] - 128));
}

/* Half of an unsigned E4M3: exponents from -6 up, 0 being that of numbers below; all ones is no number, which converters write for
 * nothing. */
static inline float
half_of_ue4m3 (guint8 bits)
{
  gint exponent = bits >> 3 & 15, mantissa = bits & 7;

  if (bits == 0x7f)
    return 0;
  return exponent ? ldexpf ((float) (8 + mantissa), exponent - 11) : ldexpf ((float) mantissa, -10);
}

/* 0: scales of 4 sub-blocks of 16, 4: their codes, 8 bytes each. */
void
tern_nvfp4_to_f32 (float *dst, const void *src, gsize n)
{
  const guint8 *p = src;

  for (gsize b = 0; b < n / 64; b++, p += 36)
    for (guint s = 0; s < 4; s++, dst += 16)
      from_codes (dst, p + 4 + 8 * s, 8, half_of_ue4m3 (p[s]));
}
