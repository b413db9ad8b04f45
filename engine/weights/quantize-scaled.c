/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Binary and ternary blocks with a scale each. Of ternary ones: with digits of the @k largest magnitudes set, the best scale is
 * their mean m, and what it saves of the squared error is k m^2 (arXiv:1605.04711, eq. 3 and 6): so all k are tried, in the
 * order of magnitudes. Layouts: types-ternary.c. The digit 3 (+2), which the two-bit types have room for, is not written. */
#include "engine/weights/quantize-private.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define MOST 128                /* values of a block */

static int
descending (const void *a, const void *b)
{
  float x = *(const float *) a, y = *(const float *) b;

  return (x < y) - (x > y);
}

/* The scale with the least squared error, as f16 has it. */
static float
best_scale (const float *src, guint n)
{
  double sum = 0, most = 0, scale = 0;
  float magnitude[MOST];
  guint i;

  for (i = 0; i < n; i++)
    magnitude[i] = fabsf (src[i]);
  qsort (magnitude, n, sizeof magnitude[0], descending);
  for (i = 0; i < n && magnitude[i] > 0; i++) {
    sum += magnitude[i];
    if (sum * sum / (i + 1) > most) {
      most = sum * sum / (i + 1);
      scale = sum / (i + 1);
    }
  }
  return tern_f16_to_f32 (tern_f32_to_f16 ((float) scale));
}

/* Digits 0, 1 and 2: the nearest of -d, 0 and +d. */
static float
best_digits (guint8 *digits, const float *src, guint n)
{
  float d = best_scale (src, n);
  guint i;

  for (i = 0; i < n; i++)
    digits[i] = fabsf (src[i]) > d / 2 ? (src[i] < 0 ? 0 : 2) : 1;
  return d;
}

static void
two_bits (guint8 *dst, const float *src, gsize n, guint block)
{
  guint8 digits[MOST];
  gsize b;
  guint i;

  for (b = 0; b < n / block; b++, src += block, dst += 2 + block / 4) {
    tern_put_f16 (dst, best_digits (digits, src, block));
    for (i = 0; i < block / 4; i++)
      dst[2 + i] = digits[4 * i] | digits[4 * i + 1] << 2 | digits[4 * i + 2] << 4 | digits[4 * i + 3] << 6;
  }
}

void
tern_quantize_q1_0 (guint8 *dst, const float *src, gsize n)
{
  gsize b;
  guint i;

  for (b = 0; b < n / 128; b++, src += 128, dst += 18) {
    float sum = 0;

    memset (dst + 2, 0, 16);
    for (i = 0; i < 128; i++) {
      sum += fabsf (src[i]);
      dst[2 + i / 8] |= (src[i] >= 0) << i % 8;
    }
    tern_put_f16 (dst, sum / 128);
  }
}

void
tern_quantize_q2_0 (guint8 *dst, const float *src, gsize n)
{
  two_bits (dst, src, n, 64);
}

void
tern_quantize_pq2_0 (guint8 *dst, const float *src, gsize n)
{
  two_bits (dst, src, n, 128);
}

void
tern_quantize_ptq1_0 (guint8 *dst, const float *src, gsize n)
{
  guint8 digits[MOST];
  gsize b;
  guint i;

  for (b = 0; b < n / 128; b++, src += 128, dst += 28) {
    tern_put_f16 (dst + 26, best_digits (digits, src, 128));
    for (i = 0; i < 16; i++)
      dst[i] = tern_five_digits (digits + i, 16, 5);
    for (i = 0; i < 8; i++)
      dst[16 + i] = tern_five_digits (digits + 80 + i, 8, 5);
    for (i = 0; i < 2; i++)
      dst[24 + i] = tern_five_digits (digits + 120 + i, 2, 4);
  }
}
