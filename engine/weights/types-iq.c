/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Quantisations whose four-bit codes name values in a table, denser near zero as weights are. */
#include "engine/weights/types-private.h"

static const gint8 levels[16] = { -127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113 };

/* 32 codes in 16 bytes as in Q4_0, times @d. */
static inline void
from_levels (float *dst, const guint8 *codes, float d)
{
  guint i;

  for (i = 0; i < 16; i++) {
    dst[i] = d * levels[codes[i] & 15];
    dst[i + 16] = d * levels[codes[i] >> 4];
  }
}

/* 0: d, 2: codes of 32 values; y = d level. */
void
tern_iq4_nl_to_f32 (float *dst, const void *src, gsize n)
{
  const guint8 *p = src;
  gsize b;

  for (b = 0; b < n / TERN_QK; b++, p += 18, dst += TERN_QK)
    from_levels (dst, p + 2, tern_read_f16 (p));
}

/* 0: d, 2: u16 upper pairs of bits of 8 scales, 4: their lower nibbles, 8: codes of 8 sub-blocks of 32;
 * y = d (scale - 32) level. */
void
tern_iq4_xs_to_f32 (float *dst, const void *src, gsize n)
{
  const guint8 *p = src;
  gsize b;
  guint s;

  for (b = 0; b < n / TERN_QK_K; b++, p += 136) {
    float d = tern_read_f16 (p);
    guint16 high = tern_read_u16 (p + 2);

    for (s = 0; s < 8; s++, dst += 32) {
      gint scale = (p[4 + s / 2] >> s % 2 * 4 & 15) | (high >> 2 * s & 3) << 4;

      from_levels (dst, p + 8 + 16 * s, d * (scale - 32));
    }
  }
}
