/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The K quantisations: a scale (and minimum) is sought for each sub-block so that the weighted squared error is least,
 * then rounded to the few bits that it has in the super-block, and the values are rounded anew on that grid. Layouts:
 * types-k.c.
 *
 * The search alternates what is easy: for a grid, the nearest codes; for codes, the best grid, which is a linear least
 * squares problem. It starts from several grids around the one that spans the values, because a grid that clips the
 * outermost values a little is often the better one. Large values weigh more: an error in them moves a product more. */
#include "engine/weights/quantize-private.h"

#include <math.h>
#include <string.h>

#define QK_K 256

#define Q4_SUB 32               /* values of a sub-block */
#define Q4_MAX 15               /* codes 0..15 */
#define Q4_STARTS 21
#define Q4_ROUNDS 2
#define Q6_SUB 16
#define Q6_HALF 32              /* codes -32..31 */
#define Q6_STARTS 19

/* ---- Q4_K -------------------------------------------------------------------------------------------------------- */

/* y = scale q - min, both not negative. */
typedef struct {
  float scale, min;
} Line;

/* The nearest codes on a line, as floats. */
static inline void
line_codes (float *q, const float *x, Line line)
{
  float by = 1 / line.scale;
  guint i;

  for (i = 0; i < Q4_SUB; i++) {
    float v = (x[i] + line.min) * by;

    q[i] = (gint) (MIN (MAX (v, 0), Q4_MAX) + 0.5f);
  }
}

/* The line with the least sum w (scale q - min - x)^2 for given codes; FALSE when they are all one. */
static inline gboolean
fit_line (Line *line, const float *q, const float *x, const float *w)
{
  float sw = 0, sq = 0, sqq = 0, sx = 0, sqx = 0, determinant;
  guint i;

  for (i = 0; i < Q4_SUB; i++) {
    float wq = w[i] * q[i];

    sw += w[i];
    sq += wq;
    sqq += wq * q[i];
    sx += w[i] * x[i];
    sqx += wq * x[i];
  }
  determinant = sw * sqq - sq * sq;
  if (!(determinant > 0))
    return FALSE;
  line->scale = (sw * sqx - sq * sx) / determinant;
  line->min = (sq * sqx - sqq * sx) / determinant;
  if (line->min < 0) {          /* there are no negative minima: the line goes through 0 */
    line->min = 0;
    line->scale = sqx / sqq;
  }
  return line->scale > 0 && isfinite (line->scale) && isfinite (1 / line->scale) && isfinite (line->min);
}

static inline float
line_error (Line line, const float *q, const float *x, const float *w)
{
  float sum = 0;
  guint i;

  for (i = 0; i < Q4_SUB; i++) {
    float e = line.scale * q[i] - line.min - x[i];

    sum += w[i] * e * e;
  }
  return sum;
}

static Line
seek_line (const float *x, const float *w)
{
  float low = MIN (x[0], 0), high = x[0], least = INFINITY, q[Q4_SUB];      /* minima are not positive */
  Line best;
  guint i, s, round;

  for (i = 0; i < Q4_SUB; i++) {
    low = MIN (low, x[i]);
    high = MAX (high, x[i]);
  }
  best = (Line) { (high - low) / Q4_MAX, -low };
  if (!(best.scale > 0) || !isfinite (1 / best.scale))
    return (Line) { 0, -low };
  for (s = 0; s < Q4_STARTS; s++) {
    Line line = { (high - low) / (Q4_MAX - 1 + 0.1f * s), -low };
    float error;

    for (round = 0; round < Q4_ROUNDS; round++) {
      line_codes (q, x, line);
      if (!fit_line (&line, q, x, w))
        break;
      error = line_error (line, q, x, w);
      if (error < least) {
        least = error;
        best = line;
      }
    }
  }
  return best;
}

/* 6-bit @scale and @min of sub-block @s; the inverse of tern_k_scale_min(). */
static void
put_scale_min (guint8 *packed, guint s, guint scale, guint min)
{
  if (s < 4) {
    packed[s] |= scale;
    packed[s + 4] |= min;
  } else {
    packed[s + 4] |= (scale & 15) | (min & 15) << 4;
    packed[s - 4] |= scale >> 4 << 6;
    packed[s] |= min >> 4 << 6;
  }
}

/* Of a unit @d (as f16 holds it), how many make @v: 0..63. */
static guint
in_units (float v, float d)
{
  return d > 0 ? MIN (tern_round (MIN (v / d, 64)), 63) : 0;
}

static void
quantize_block_q4_k (guint8 *dst, const float *src)
{
  float top_scale = 0, top_min = 0, d, dmin, w[Q4_SUB], q[Q4_SUB];
  Line lines[QK_K / Q4_SUB];
  guint s, i;

  for (s = 0; s < QK_K / Q4_SUB; s++) {
    const float *x = src + Q4_SUB * s;
    float squares = 0, rms;

    for (i = 0; i < Q4_SUB; i++)
      squares += x[i] * x[i];
    rms = sqrtf (squares / Q4_SUB);
    for (i = 0; i < Q4_SUB; i++)
      w[i] = rms + fabsf (x[i]);
    lines[s] = seek_line (x, w);
    top_scale = MAX (top_scale, lines[s].scale);
    top_min = MAX (top_min, lines[s].min);
  }

  memset (dst, 0, 16);
  tern_put_f16 (dst, top_scale / 63);
  tern_put_f16 (dst + 2, top_min / 63);
  d = tern_f16_to_f32 (tern_f32_to_f16 (top_scale / 63));
  dmin = tern_f16_to_f32 (tern_f32_to_f16 (top_min / 63));
  for (s = 0; s < QK_K / Q4_SUB; s++) {
    guint scale = in_units (lines[s].scale, d), min = in_units (lines[s].min, dmin), shift = s % 2 * 4;
    guint8 *codes = dst + 16 + 32 * (s / 2);

    put_scale_min (dst + 4, s, scale, min);
    memset (q, 0, sizeof q);
    if (scale > 0)
      line_codes (q, src + Q4_SUB * s, (Line) { d * scale, dmin * min });
    for (i = 0; i < Q4_SUB; i++)
      codes[i] = (shift ? codes[i] : 0) | (guint8) q[i] << shift;
  }
}

void
tern_quantize_q4_k (guint8 *dst, const float *src, gsize n)
{
  gsize b;

  for (b = 0; b < n / QK_K; b++)
    quantize_block_q4_k (dst + 144 * b, src + QK_K * b);
}

/* ---- Q6_K -------------------------------------------------------------------------------------------------------- */

/* The scale of y = scale q (either sign) with the least sum w (scale q - x)^2, w = x^2, over the starts: for given codes
 * it is sum w q x / sum w q^2, and what it saves of sum w x^2 is (sum w q x)^2 / sum w q^2. */
static float
seek_scale (const float *x)
{
  float top = 0, most = 0, best = 0;
  guint i, s;

  for (i = 0; i < Q6_SUB; i++)
    if (fabsf (x[i]) > fabsf (top))
      top = x[i];
  if (!isfinite (Q6_HALF / top))
    return 0;
  for (s = 0; s < Q6_STARTS; s++) {
    float by = -(Q6_HALF - 0.9f + 0.1f * s) / top, sqx = 0, sqq = 0;

    for (i = 0; i < Q6_SUB; i++) {
      float v = x[i] * by, w = (x[i] / top) * (x[i] / top);
      float q = tern_round (MIN (MAX (v, -Q6_HALF), Q6_HALF - 1));

      sqx += w * q * x[i];
      sqq += w * q * q;
    }
    if (sqq > 0 && sqx * sqx > most * sqq) {
      most = sqx * sqx / sqq;
      best = sqx / sqq;
    }
  }
  return best;
}

static void
quantize_block_q6_k (guint8 *dst, const float *src)
{
  float scales[QK_K / Q6_SUB], top = 0, d;
  guint s, i;

  for (s = 0; s < QK_K / Q6_SUB; s++) {
    scales[s] = seek_scale (src + Q6_SUB * s);
    if (fabsf (scales[s]) > fabsf (top))
      top = scales[s];
  }
  memset (dst, 0, 210);
  tern_put_f16 (dst + 208, top / -128);
  d = tern_f16_to_f32 (tern_f32_to_f16 (top / -128));
  for (s = 0; s < QK_K / Q6_SUB; s++) {
    gint scale = d != 0 ? tern_round (CLAMP (scales[s] / d, -128, 127)) : 0;
    float by = scale != 0 ? 1 / (d * scale) : 0;
    guint half = s / 8, run = s % 8 / 2;
    guint8 *low = dst + 64 * half + run % 2 * 32 + s % 2 * 16, *high = dst + 128 + 32 * half + s % 2 * 16;

    dst[192 + s] = (guint8) scale;
    for (i = 0; i < Q6_SUB; i++) {
      float v = src[Q6_SUB * s + i] * by;
      guint code = tern_round (MIN (MAX (v, -Q6_HALF), Q6_HALF - 1)) + Q6_HALF;

      low[i] |= (code & 15) << run / 2 * 4;
      high[i] |= code >> 4 << 2 * run;
    }
  }
}

void
tern_quantize_q6_k (guint8 *dst, const float *src, gsize n)
{
  gsize b;

  for (b = 0; b < n / QK_K; b++)
    quantize_block_q6_k (dst + 210 * b, src + QK_K * b);
}
