/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* T3: ternary matrices in 1.67 bits a weight, three digits of as many rows in a code of five bits. The layout from
 * AVX512VBMI on, where a byte permutation looks up what a code says. Included by sources built with the flags of AVX512VBMI.
 *
 * A panel is 48 rows, a *block* 32 columns of it: eight steps of four columns in TERN_T3_BLOCK bytes. The code of column c of
 * rows i, i + 16 and i + 32 is their digits 0..2 as digit[i] + 3 * digit[i + 16] + 9 * digit[i + 32]. It stands at place
 * p = 4 * i + c % 4 of step s = c / 4: its low four bits in byte 64 * (s / 2) + p, in the low half of it where s is even, in
 * the high half where it is odd; its highest bit is bit s of byte 256 + p. Four blocks are a group of TERN_T2_COLS.
 *
 * So a step is a vector of 64 codes, and three look-ups make three vectors of digits of it, each of 16 rows (4 bytes a row,
 * one for each of four columns): what VPDPBUSD takes. Sixteen steps of one of the three are 64 columns of 16 rows in the order
 * of an AMX tile. */
#pragma once

#include <immintrin.h>

#include "engine/kernels/kernels.h"

#ifndef ALWAYS_INLINE
#define ALWAYS_INLINE inline __attribute__ ((always_inline))
#endif

#define TERN_T3_BLOCK 320
#define TERN_T3_BLOCK_COLS 32
#define TERN_T3_STEPS 8         /* of a block */
#define TERN_T3_BLOCKS (TERN_T2_COLS / TERN_T3_BLOCK_COLS)      /* of a group */

/* Digits by index. Of the six bits of an index the lower four are the code's. Its highest is bit 4 where the step is even and
 * bit 5 where it is odd, and what the other one is does not matter. */
#define T3_16(d, high) d (0 + high), d (1 + high), d (2 + high), d (3 + high), d (4 + high), d (5 + high), d (6 + high), \
  d (7 + high), d (8 + high), d (9 + high), d (10 + high), d (11 + high), d (12 + high), d (13 + high), d (14 + high), \
  d (15 + high)
#define T3_DIGIT_0(c) (c) % 3
#define T3_DIGIT_1(c) (c) / 3 % 3
#define T3_DIGIT_2(c) (c) / 9 % 3
#define T3_EVEN(d) { T3_16 (d, 0), T3_16 (d, 16), T3_16 (d, 0), T3_16 (d, 16) }
#define T3_ODD(d) { T3_16 (d, 0), T3_16 (d, 0), T3_16 (d, 16), T3_16 (d, 16) }
static const guint8 tern_t3_tables[2][3][64] __attribute__ ((aligned (64))) = {
  { T3_EVEN (T3_DIGIT_0), T3_EVEN (T3_DIGIT_1), T3_EVEN (T3_DIGIT_2) },
  { T3_ODD (T3_DIGIT_0), T3_ODD (T3_DIGIT_1), T3_ODD (T3_DIGIT_2) },
};

/* The indices of step @s, a constant, of the block whose highest bits are @high. */
static ALWAYS_INLINE __m512i
tern_t3_index (const guint8 *block, __m512i high, const gint s)
{
  __m512i low = _mm512_loadu_si512 (block + s / 2 * 64);

  if (s % 2)
    low = _mm512_srli_epi16 (low, 4);
  if (s < 4)
    high = _mm512_slli_epi16 (high, 4 - s / 2 * 2);
  else if (s >= 6)
    high = _mm512_srli_epi16 (high, s / 2 * 2 - 4);
  return _mm512_ternarylogic_epi64 (_mm512_set1_epi8 (15), low, high, 0xca);    /* where there is a 1: low, else high */
}

static ALWAYS_INLINE __m512i
tern_t3_high (const guint8 *block)
{
  return _mm512_loadu_si512 (block + 256);
}

/* Row third @third (0..2) of an index of step @s: 16 rows of 4 columns. */
static ALWAYS_INLINE __m512i
tern_t3_digits (__m512i index, const gint s, guint third)
{
  return _mm512_permutexvar_epi8 (index, _mm512_load_si512 (tern_t3_tables[s % 2][third]));
}
