/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "engine/kernels/x86/vec-avx512.h"

#define SUMS 16                 /* half of the registers, and more than two units of five cycles ask for */

/* Keeps @x in a register, and the compiler from knowing what it is: sums that are alike would become one. */
#define FORGET(x) __asm__ volatile ("" : "+v" (x))
#define FORGET_ALL(sums) for (guint k = 0; k < SUMS; k++) FORGET (sums[k])

static TERN_DECL_READ (read_avx512vnni)
{
  __m512i sums[8] = { 0 };
  guint64 words[8], all = 0;

  for (gsize at = 0; at < bytes; at += TERN_READ_BYTES)
    for (guint k = 0; k < 8; k++)
      sums[k] = _mm512_xor_si512 (sums[k], _mm512_load_si512 (p + at + 64 * k));
  for (guint k = 1; k < 8; k++)
    sums[0] = _mm512_xor_si512 (sums[0], sums[k]);
  _mm512_storeu_si512 (words, sums[0]);
  for (guint k = 0; k < 8; k++)
    all ^= words[k];
  return all;
}

static TERN_DECL_PEAK (peak_i8_avx512vnni)
{
  __m512i sums[SUMS] = { 0 }, a = _mm512_set1_epi8 (1), b = _mm512_set1_epi8 (-1);

  FORGET (a);
  FORGET (b);
  FORGET_ALL (sums);
  for (gsize r = 0; r < rounds; r++)
    for (guint k = 0; k < SUMS; k++)
      sums[k] = _mm512_dpbusd_epi32 (sums[k], a, b);
  FORGET_ALL (sums);
  return (guint64) rounds * SUMS * 64;
}

static TERN_DECL_PEAK (peak_f32_avx512vnni)
{
  __m512 sums[SUMS] = { 0 }, a = _mm512_set1_ps (1), b = _mm512_set1_ps (1);

  FORGET (a);
  FORGET (b);
  FORGET_ALL (sums);
  for (gsize r = 0; r < rounds; r++)
    for (guint k = 0; k < SUMS; k++)
      sums[k] = _mm512_fmadd_ps (a, b, sums[k]);
  FORGET_ALL (sums);
  return (guint64) rounds * SUMS * 16;
}

void
tern_probe_init_avx512vnni (TernKernels *k)
{
  k->read = read_avx512vnni;
  k->peak_i8 = peak_i8_avx512vnni;
  k->peak_f32 = peak_f32_avx512vnni;
}
