/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "engine/kernels/x86/vec-avx2.h"

#define SUMS 8                  /* with two operands: half of the registers, and enough for two units of four cycles */

/* Keeps @x in a register, and the compiler from knowing what it is: sums that are alike would become one. */
#define FORGET(x) __asm__ volatile ("" : "+x" (x))
#define FORGET_ALL(sums) for (guint k = 0; k < SUMS; k++) FORGET (sums[k])

static TERN_DECL_READ (read_avx2)
{
  __m256i sums[SUMS] = { 0 };
  guint64 words[4];

  for (gsize at = 0; at < bytes; at += TERN_READ_BYTES) {
    const __m256i *v = (const __m256i *) (p + at);

    for (guint k = 0; k < SUMS; k++)
      sums[k] = _mm256_xor_si256 (sums[k], _mm256_xor_si256 (_mm256_load_si256 (v + 2 * k),
              _mm256_load_si256 (v + 2 * k + 1)));
  }
  for (guint k = 1; k < SUMS; k++)
    sums[0] = _mm256_xor_si256 (sums[0], sums[k]);
  _mm256_storeu_si256 ((__m256i *) words, sums[0]);
  return words[0] ^ words[1] ^ words[2] ^ words[3];
}

/* Pairs of products of unsigned and signed bytes, and the addition that their sum needs. */
static TERN_DECL_PEAK (peak_i8_avx2)
{
  __m256i sums[SUMS] = { 0 }, a = _mm256_set1_epi8 (1), b = _mm256_set1_epi8 (-1);

  FORGET (a);
  FORGET (b);
  FORGET_ALL (sums);
  for (gsize r = 0; r < rounds; r++)
    for (guint k = 0; k < SUMS; k++) {
      FORGET (a);
      sums[k] = _mm256_add_epi16 (sums[k], _mm256_maddubs_epi16 (a, b));
    }
  FORGET_ALL (sums);
  return (guint64) rounds * SUMS * 32;
}

static TERN_DECL_PEAK (peak_f32_avx2)
{
  __m256 sums[SUMS] = { 0 }, a = _mm256_set1_ps (1), b = _mm256_set1_ps (1);

  FORGET (a);
  FORGET (b);
  FORGET_ALL (sums);
  for (gsize r = 0; r < rounds; r++)
    for (guint k = 0; k < SUMS; k++)
      sums[k] = _mm256_fmadd_ps (a, b, sums[k]);
  FORGET_ALL (sums);
  return (guint64) rounds * SUMS * 8;
}

void
tern_probe_init_avx2 (TernKernels *k)
{
  k->read = read_avx2;
  k->peak_i8 = peak_i8_avx2;
  k->peak_f32 = peak_f32_avx2;
}
