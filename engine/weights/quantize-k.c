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

#define F16_NORMAL 6.103515625e-5f      /* the least that has all of its 11 bits */

/* Puts the unit of which the largest scale of a super-block is @most; what it is. Below what f16 holds well it is rounded away
 * from 0: the few units that make up a scale then are better than none, or than too many. */
static float
put_unit (guint8 *at, float top, float most)
{
  float d = top / most;
  guint16 bits = tern_f32_to_f16 (d);

  if (fabsf (d) < F16_NORMAL && fabsf (tern_f16_to_f32 (bits)) < fabsf (d))
    bits++;
  tern_put_f16 (at, tern_f16_to_f32 (bits));
  return tern_f16_to_f32 (bits);
}

/* ---- Q4_K -------------------------------------------------------------------------------------------------------- */

/* The search looks at every value some hundred times: four side by side. */
typedef float Floats __attribute__ ((vector_size (16)));
typedef gint32 Ints __attribute__ ((vector_size (16)));

#define LANES 4
#define Q4_VECTORS (Q4_SUB / LANES)

/* A sub-block, its weights, and the sums that no grid changes. */
typedef struct {
  Floats x[Q4_VECTORS], w[Q4_VECTORS];
  float low, high;              /* of x; low at most 0 */
  float sw, swx;
} Sub;

/* y = scale q - min, both not negative. */
typedef struct {
  float scale, min;
} Line;

static inline float
sum_lanes (Floats v)
{
  return (v[0] + v[1]) + (v[2] + v[3]);
}

static inline Floats
clamp_lanes (Floats v, float top)
{
  Ints positive = v > 0, over = v > top;
  Floats limit = (Floats) { 0 } + top;

  return (Floats) ((((Ints) v & positive) & ~over) | ((Ints) limit & over));
}

static void
load_sub (Sub *sub, const float *x)
{
  float w[Q4_SUB], squares = 0, rms;
  guint i;

  sub->low = MIN (x[0], 0);     /* minima are not positive */
  sub->high = x[0];
  sub->sw = sub->swx = 0;
  for (i = 0; i < Q4_SUB; i++) {
    sub->low = MIN (sub->low, x[i]);
    sub->high = MAX (sub->high, x[i]);
    squares += x[i] * x[i];
  }
  rms = sqrtf (squares / Q4_SUB);
  for (i = 0; i < Q4_SUB; i++) {
    w[i] = rms + fabsf (x[i]);
    sub->sw += w[i];
    sub->swx += w[i] * x[i];
  }
  memcpy (sub->x, x, sizeof sub->x);
  memcpy (sub->w, w, sizeof w);
}

/* The nearest codes on a line, as floats. */
static inline void
line_codes (Floats *q, const Sub *sub, Line line)
{
  float by = 1 / line.scale;
  guint i;

  for (i = 0; i < Q4_VECTORS; i++)
    q[i] = __builtin_convertvector (__builtin_convertvector (clamp_lanes ((sub->x[i] + line.min) * by, Q4_MAX) + 0.5f,
            Ints), Floats);
}

/* The line with the least sum w (scale q - min - x)^2 for given codes; FALSE when they are all one. */
static inline gboolean
fit_line (Line *line, const Floats *q, const Sub *sub)
{
  Floats vq = { 0 }, vqq = { 0 }, vqx = { 0 };
  float sq, sqq, sqx, determinant;
  guint i;

  for (i = 0; i < Q4_VECTORS; i++) {
    Floats wq = sub->w[i] * q[i];

    vq += wq;
    vqq += wq * q[i];
    vqx += wq * sub->x[i];
  }
  sq = sum_lanes (vq);
  sqq = sum_lanes (vqq);
  sqx = sum_lanes (vqx);
  determinant = sub->sw * sqq - sq * sq;
  if (!(determinant > 0))
    return FALSE;
  line->scale = (sub->sw * sqx - sq * sub->swx) / determinant;
  line->min = (sq * sqx - sqq * sub->swx) / determinant;
  if (line->min < 0) {          /* there are no negative minima: the line goes through 0 */
    line->min = 0;
    line->scale = sqx / sqq;
  }
  return line->scale > 0 && isfinite (line->scale) && isfinite (1 / line->scale) && isfinite (line->min);
}

static inline float
line_error (Line line, const Floats *q, const Sub *sub)
{
  Floats sum = { 0 };
  guint i;

  for (i = 0; i < Q4_VECTORS; i++) {
    Floats e = line.scale * q[i] - line.min - sub->x[i];

    sum += sub->w[i] * e * e;
  }
  return sum_lanes (sum);
}

static Line
seek_line (const Sub *sub)
{
  float span = sub->high - sub->low, least = INFINITY;
  Line best = { span / Q4_MAX, -sub->low };
  Floats q[Q4_VECTORS];
  guint s, round;

  if (!(best.scale > 0) || !isfinite (1 / best.scale))
    return (Line) { 0, -sub->low };
  for (s = 0; s < Q4_STARTS; s++) {
    Line line = { span / (Q4_MAX - 1 + 0.1f * s), -sub->low };

    for (round = 0; round < Q4_ROUNDS; round++) {
      float error;

      line_codes (q, sub, line);
      if (!fit_line (&line, q, sub))
        break;
      error = line_error (line, q, sub);
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
  float top_scale = 0, top_min = 0, d, dmin;
  Line lines[QK_K / Q4_SUB];
  Sub subs[QK_K / Q4_SUB];
  guint s, i;

  for (s = 0; s < QK_K / Q4_SUB; s++) {
    load_sub (&subs[s], src + Q4_SUB * s);
    lines[s] = seek_line (&subs[s]);
    top_scale = MAX (top_scale, lines[s].scale);
    top_min = MAX (top_min, lines[s].min);
  }

  memset (dst, 0, 16);
  d = put_unit (dst, top_scale, 63);
  dmin = put_unit (dst + 2, top_min, 63);
  for (s = 0; s < QK_K / Q4_SUB; s++) {
    guint scale = in_units (lines[s].scale, d), min = in_units (lines[s].min, dmin), shift = s % 2 * 4;
    guint8 *codes = dst + 16 + 32 * (s / 2);
    Floats q[Q4_VECTORS] = { { 0 } };

    if (scale == 0)             /* one value for all: their mean, not the least of them */
      min = in_units (MAX (-subs[s].swx / subs[s].sw, 0), dmin);
    put_scale_min (dst + 4, s, scale, min);
    if (scale > 0)
      line_codes (q, &subs[s], (Line) { d * scale, dmin * min });
    for (i = 0; i < Q4_SUB; i++)
      codes[i] = (shift ? codes[i] : 0) | (guint8) q[i / LANES][i % LANES] << shift;
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

/* The scale of y = scale q (either sign) with the least sum w (scale q - x)^2, w = x^2, over the starts: for given
 * codes it is sum w q x / sum w q^2, and what it saves of sum w x^2 is (sum w q x)^2 / sum w q^2. */
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

/* Of a unit @d, how many make @v. A few units that are too little cut the largest values off, some more make the steps a little
 * wider: where d is hardly there it is rather the latter. */
static gint
signed_units (float v, float d)
{
  float n = d != 0 ? CLAMP (v / d, -128, 127) : 0;

  if (fabsf (d) >= F16_NORMAL)
    return tern_round (n);
  return (gint) copysignf (MIN (ceilf (MAX (fabsf (n) - 0.1f, 0)), 127), n);
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
  d = put_unit (dst + 208, top, -128);
  for (s = 0; s < QK_K / Q6_SUB; s++) {
    gint scale = signed_units (scales[s], d);
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
