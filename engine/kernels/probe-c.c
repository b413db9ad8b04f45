/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the machine can do at most: reads and multiply-adds in plain C, as wide as the compiler makes them. */
#include "engine/kernels/versions.h"

#define SUMS 32
#define REPEAT 64               /* multiply-adds of each sum in a round */

static TERN_DECL_READ (read_c)
{
  const guint64 *words = (const guint64 *) p;
  guint64 sums[8] = { 0 }, all = 0;

  for (gsize i = 0; i < bytes / sizeof *words; i += 8)
    for (guint k = 0; k < 8; k++)
      sums[k] ^= words[i + k];
  for (guint k = 0; k < 8; k++)
    all ^= sums[k];
  return all;
}

/* The compiler may assume nothing about what is in @x any more. */
#define FORGET(x) __asm__ volatile ("" : "+m" (x))

static TERN_DECL_PEAK (peak_i8_c)
{
  gint8 a[SUMS] = { 0 }, b[SUMS + REPEAT] = { 0 };
  gint32 sums[SUMS] = { 0 };

  for (gsize r = 0; r < rounds; r++) {
    FORGET (a);
    FORGET (b);
    for (guint i = 0; i < REPEAT; i++)
      for (guint k = 0; k < SUMS; k++)
        sums[k] += a[k] * b[k + i];
    FORGET (sums);
  }
  return (guint64) rounds * REPEAT * SUMS;
}

static TERN_DECL_PEAK (peak_f32_c)
{
  float a[SUMS] = { 0 }, b[SUMS] = { 0 }, sums[SUMS] = { 0 };

  for (gsize r = 0; r < rounds; r++) {
    FORGET (a);
    FORGET (b);
    for (guint i = 0; i < REPEAT; i++)
      for (guint k = 0; k < SUMS; k++)
        sums[k] += a[k] * b[k];
    FORGET (sums);
  }
  return (guint64) rounds * REPEAT * SUMS;
}

void
tern_probe_init_c (TernKernels *k)
{
  k->read = read_c;
  k->peak_i8 = peak_i8_c;
  k->peak_f32 = peak_f32_c;
}
