/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "engine/base/fraction.h"

#include <string.h>

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

/* The digits before or behind a point; none are 0. */
static gboolean
parse_digits (const char *text, guint64 *value)
{
  *value = 0;
  return !*text || g_ascii_string_to_unsigned (text, 10, 0, TERN_RATE_MOST, value, NULL);
}

/* 29.97 as 2997/100. */
static gboolean
parse_decimal (const char *text, guint64 *n, guint64 *d)
{
  g_auto (GStrv) parts = g_strsplit (text, ".", 2);
  guint64 whole, rest;

  *d = 1;
  if ((!*parts[0] && !*parts[1]) || !parse_digits (parts[0], &whole) || !parse_digits (parts[1], &rest))
    return FALSE;
  for (gsize i = 0; parts[1][i]; i++)
    if ((*d *= 10) > TERN_RATE_MOST)
      return FALSE;
  *n = whole * *d + rest;
  for (; *d % 2 == 0 && *n % 2 == 0; *d /= 2)
    *n /= 2;
  for (; *d % 5 == 0 && *n % 5 == 0; *d /= 5)
    *n /= 5;
  return *n <= G_MAXINT32 && *n <= *d * TERN_RATE_MOST;
}

static gboolean
parse_fraction (const char *text, guint64 *n, guint64 *d)
{
  g_auto (GStrv) parts = g_strsplit (text, "/", 2);

  *d = 1;
  return parts[0] && g_ascii_string_to_unsigned (parts[0], 10, 0, TERN_RATE_MOST, n, NULL)
      && (!parts[1] || g_ascii_string_to_unsigned (parts[1], 10, 1, TERN_RATE_MOST, d, NULL));
}

gboolean
tern_rate_parse (const char *text, guint *n, guint *d)
{
  guint64 number, divisor;

  if (!(strchr (text, '.') ? parse_decimal (text, &number, &divisor) : parse_fraction (text, &number, &divisor)))
    return FALSE;
  *n = (guint) number;
  *d = number ? (guint) divisor : 1;
  return TRUE;
}
