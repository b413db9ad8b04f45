/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Activation quantisers, scalar. */
#include <math.h>
#include <string.h>

#include "engine/kernels/versions.h"

/* Largest magnitude; NaN if there is one, because without its sign a NaN is the larger integer. */
static float
max_magnitude (const float *x, gsize n)
{
  union { float f; gint32 i; } v, max = { .i = 0 };
  gsize i;

  for (i = 0; i < n; i++) {
    v.f = x[i];
    v.i &= 0x7fffffff;
    max.i = MAX (max.i, v.i);
  }
  return max.f;
}

/* Clamping first gives the same as rounding first, since the bounds are whole; what is not a number (infinity times 0)
 * ends at 127, as with the vector instructions. lrintf rounds half to even (the default mode, which this library never
 * changes). */
static inline gint8
round_clamped (float v)
{
  v = v < 127.0f ? v : 127.0f;
  v = v > -128.0f ? v : -128.0f;
  return (gint8) lrintf (v);
}

static TERN_DECL_QUANT_I8 (quant_i8_c)
{
  float max = max_magnitude (x, n), s;
  gint32 total = 0;
  gsize i;

  max = max < 1e-5f ? 1e-5f : max;
  s = 127.0f / max;
  for (i = 0; i < n; i++) {
    q[i] = isnan (max) ? -128 : round_clamped (x[i] * s);
    total += q[i];
  }
  memset (q + n, 0, -n & (TERN_T2_COLS - 1));
  *scale = max / 127.0f;
  *sum = total;
}

/* As above, for four bits: what is not a number ends at 7. */
static inline gint8
round_clamped_i4 (float v)
{
  v = v < 7.0f ? v : 7.0f;
  v = v > -8.0f ? v : -8.0f;
  return (gint8) lrintf (v);
}

static TERN_DECL_QUANT_I4 (quant_i4_c)
{
  float lanes[TERN_I4_LANES] = { 0 }, mean = 0, s;
  gint32 total = 0;
  gsize i;

  for (i = 0; i < n; i++)
    lanes[i % TERN_I4_LANES] += fabsf (x[i]);
  for (i = 0; i < TERN_I4_LANES; i++)
    mean += lanes[i];
  mean = n ? mean / (float) n : 0;
  mean = mean < 1e-5f ? 1e-5f : mean;
  s = TERN_I4_ROOT / mean;
  for (i = 0; i < n; i++) {
    q[i] = isnan (mean) ? -8 : round_clamped_i4 (x[i] * s);
    total += q[i];
  }
  memset (q + n, 0, -n & (TERN_T2_COLS - 1));
  *scale = mean / TERN_I4_ROOT;
  *sum = total;
}

static TERN_DECL_QUANT_Q8 (quant_q8_c)
{
  gsize b;
  guint i;

  for (b = 0; b < n / 32; b++, x += 32) {
    float max = max_magnitude (x, 32), s;

    max = max < 1e-30f ? 0.0f : max;
    s = max == 0.0f ? 0.0f : 127.0f / max;
    q[b].d = max / 127.0f;
    q[b].sum = 0;
    for (i = 0; i < 32; i++) {
      if (i == 16)
        q[b].half = q[b].sum;
      q[b].q[i] = isnan (max) ? -128 : round_clamped (x[i] * s);
      q[b].sum += q[b].q[i];
    }
  }
}

static TERN_DECL_PACK_I8ROW (pack_i8row_c)
{
  float max = max_magnitude (x, n), s;
  gsize i;

  max = max < 1e-30f ? 0.0f : max;
  s = max == 0.0f ? 0.0f : 127.0f / max;
  *scale = max / 127.0f;
  for (i = 0; i < n; i++)
    q[i] = isnan (max) ? -128 : round_clamped (x[i] * s);
}

/* Infinity times 0 ends at 15, as with the vector instructions. */
static inline guint8
digit_of (float x, float s)
{
  float v = fmaf (x, s, 7.5f);

  v = v < 15.0f ? v : 15.0f;
  return (guint8) lrintf (v > 0.0f ? v : 0.0f);
}

static TERN_DECL_PACK_I4ROW (pack_i4row_c)
{
  float max = max_magnitude (x, n), s;
  gsize g, i;

  max = max < 1e-30f ? 0.0f : max;
  s = max == 0.0f ? 0.0f : 7.5f / max;
  *scale = max / 7.5f;
  memset (q, 0, tern_i4_bytes (n));
  for (g = 0; g < n && !isnan (max); g += TERN_I4_GROUP, q += TERN_I4_GROUP / 2) {
    for (i = 0; i < TERN_I4_GROUP; i++)
      q[i % 16] |= digit_of (g + i < n ? x[g + i] : 0, s) << (i < 16 ? 0 : 4);
  }
}

static TERN_DECL_PACK_F16 (pack_f16_c)
{
  gsize i;

  for (i = 0; i < n; i++)
    dst[i] = tern_f32_to_f16 (x[i]);
}

/* One block in place. */
static void
transform (float *y, gsize block)
{
  float scale = (float) (1 / sqrt ((double) block));
  gsize step, i, j;

  for (step = 1; step < block; step *= 2) {
    for (i = 0; i < block; i += 2 * step) {
      for (j = i; j < i + step; j++) {
        float a = y[j], b = y[j + step];

        y[j] = a + b;
        y[j + step] = a - b;
      }
    }
  }
  for (i = 0; i < block; i++)
    y[i] *= scale;
}

static TERN_DECL_HADAMARD (hadamard_c)
{
  gsize i;

  for (i = 0; i < n; i++)
    y[i] = signs && !after ? x[i] * signs[i] : x[i];
  for (i = 0; i < n; i += block)
    transform (y + i, block);
  for (i = 0; i < n && signs && after; i++)
    y[i] *= signs[i];
}

void
tern_quant_init_c (TernKernels *k)
{
  k->quant_i8 = quant_i8_c;
  k->quant_i4 = quant_i4_c;
  k->quant_q8 = quant_q8_c;
  k->hadamard = hadamard_c;
  k->pack_i8row = pack_i8row_c;
  k->pack_i4row = pack_i4row_c;
  k->pack_f16 = pack_f16_c;
}
