/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Ranges of characters as ranges of the bytes that encode them. */
#include "engine/grammar/grammar-priv.h"

static guint
encode (gunichar c, guint8 *out)
{
  return g_unichar_to_utf8 (c, (char *) out);
}

/* @first and @last are encoded in as many bytes, and no surrogate lies between them. Split where a byte's following ones
 * do not go through all of their values. */
static void
split (gunichar first, gunichar last, TernByteRangesFunc func, void *data)
{
  TernByteRanges ranges;

  for (guint bits = 6; bits <= 18 && last > 0x7f; bits += 6) {
    gunichar below = (1u << bits) - 1;

    if ((first & ~below) == (last & ~below))
      break;
    if (first & below) {
      split (first, first | below, func, data);
      split ((first | below) + 1, last, func, data);
      return;
    }
    if ((last & below) != below) {
      split (first, (last & ~below) - 1, func, data);
      split (last & ~below, last, func, data);
      return;
    }
  }
  ranges.n = encode (first, ranges.low);
  encode (last, ranges.high);
  func (data, &ranges);
}

void
tern_utf8_ranges (gunichar first, gunichar last, TernByteRangesFunc func, void *data)
{
  static const gunichar ends[] = { 0x7f, 0x7ff, 0xd7ff, 0xffff, 0x10ffff };

  for (guint i = 0; i < G_N_ELEMENTS (ends) && first <= last; i++) {
    if (first > ends[i])
      continue;
    split (first, MIN (last, ends[i]), func, data);
    first = ends[i] + 1;
  }
}
