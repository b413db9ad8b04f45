/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "engine/kernels/x86/vec-avx2.h"

#define SUMS 12                 /* with both operands: the registers, and enough for two units of five cycles */

/* Keeps @x in a register, and the compiler from knowing what it is: sums that are alike would become one. */
#define FORGET(x) __asm__ volatile ("" : "+x" (x))
#define FORGET_ALL(sums) _Pragma ("GCC unroll 12") for (guint k = 0; k < SUMS; k++) FORGET (sums[k])

static TERN_DECL_PEAK (peak_i8_avxvnni)
{
  __m256i sums[SUMS] = { 0 }, a = _mm256_set1_epi8 (1), b = _mm256_set1_epi8 (-1);

  FORGET (a);
  FORGET (b);
  FORGET_ALL (sums);
  for (gsize r = 0; r < rounds; r++) {
#pragma GCC unroll 12
    for (guint k = 0; k < SUMS; k++)
      sums[k] = _mm256_dpbusd_avx_epi32 (sums[k], a, b);
  }
  FORGET_ALL (sums);
  return (guint64) rounds * SUMS * 32;
}

void
tern_probe_init_avxvnni (TernKernels *k)
{
  k->peak_i8 = peak_i8_avxvnni;
}
