/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "engine/base/fraction.h"

guint64
tern_mul_div (guint64 a, guint64 b, guint64 extra, guint64 c)
{
  const guint64 half = 0xffffffff;
  guint64 cross = (a >> 32) * (b & half) + ((a & half) * (b & half) >> 32);
  guint64 middle = (a & half) * (b >> 32) + (cross & half);
  guint64 high = (a >> 32) * (b >> 32) + (cross >> 32) + (middle >> 32), low = a * b, quotient = 0;
  gint i;

  low += extra;
  high += low < extra;
  if (high >= c)
    return G_MAXUINT64;
  for (i = 63; i >= 0; i--) {   /* @high is what is left of the bits so far: less than @c */
    gboolean more = high >> 63;

    high = high << 1 | (low >> i & 1);
    if (more || high >= c) {
      high -= c;
      quotient |= (guint64) 1 << i;
    }
  }
  return quotient;
}
