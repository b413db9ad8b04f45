/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "engine/llm/rope.h"

#include <math.h>
#include <string.h>

void
tern_rope_init (TernRope *rope, guint dim, float base)
{
  rope->dim = dim;
  rope->pairs = FALSE;
  rope->magnitude = 1;
  rope->axis = NULL;
  rope->frequency = g_new (float, dim / 2);
  for (guint i = 0; i < dim / 2; i++)
    rope->frequency[i] = (float) pow ((double) base, -2.0 * i / dim);
}

gboolean
tern_rope_divide (TernRope *rope, const float *factors, float all)
{
  for (guint i = 0; i < rope->dim / 2; i++) {
    float by = all * (factors ? factors[i] : 1);

    if (!(by > 0 && isfinite (by)))
      return FALSE;
    rope->frequency[i] /= by;
    if (!isfinite (rope->frequency[i]))
      return FALSE;
  }
  return TRUE;
}

/* The pair (as a real number) that turns @times times in @original positions. */
static double
pair_turning (const TernRope *rope, double base, double original, double times)
{
  return rope->dim * log (original / (times * 2 * G_PI)) / (2 * log (base));
}

void
tern_rope_yarn (TernRope *rope, float base, float factor, float original, float beta_fast, float beta_slow)
{
  double low = MAX (floor (pair_turning (rope, base, original, beta_fast)), 0);
  double high = MIN (ceil (pair_turning (rope, base, original, beta_slow)), rope->dim - 1);
  double width = MAX (high - low, 0.001);

  for (guint i = 0; i < rope->dim / 2; i++) {
    double stretched = CLAMP ((i - low) / width, 0, 1);

    rope->frequency[i] *= 1 - stretched + stretched / factor;
  }
  if (factor > 1)
    rope->magnitude = 1 + 0.1 * log (factor);
}

void
tern_rope_interleave (TernRope *rope, guint h, guint w)
{
  g_free (rope->axis);
  rope->axis = g_new0 (guint8, rope->dim / 2);
  for (guint i = 0; i < rope->dim / 2; i++)
    if (i % TERN_N_AXES == TERN_AXIS_H && i < (guint64) TERN_N_AXES * h)
      rope->axis[i] = TERN_AXIS_H;
    else if (i % TERN_N_AXES == TERN_AXIS_W && i < (guint64) TERN_N_AXES * w)
      rope->axis[i] = TERN_AXIS_W;
}

void
tern_rope_clear (TernRope *rope)
{
  g_clear_pointer (&rope->frequency, g_free);
  g_clear_pointer (&rope->axis, g_free);
}

void
tern_place_grid (TernPlace *places, guint columns, guint first, guint n)
{
  for (guint i = 0; i < n; i++)
    places[i] = (TernPlace) { 0, (gint32) ((first + i) / columns), (gint32) ((first + i) % columns) };
}

/* The angle is formed in double: at position 100,000 a float angle is off by 0.004 already. */
void
tern_rope_angles (const TernRope *rope, guint pos, const TernPlace *places, guint n, float *angles)
{
  guint half = rope->dim / 2;
  gboolean placed = places && rope->axis;

  for (guint t = 0; t < n; t++, angles += rope->dim)
    for (guint i = 0; i < half; i++) {
      const gint32 at[] = { placed ? places[t].t : (gint32) t, placed ? places[t].h : 0, placed ? places[t].w : 0 };
      double sine, cosine;

      sincos (((double) pos + at[placed ? rope->axis[i] : TERN_AXIS_T]) * rope->frequency[i], &sine, &cosine);
      angles[i] = (float) (cosine * rope->magnitude);
      angles[half + i] = (float) (sine * rope->magnitude);
    }
}

void
tern_rope_unpair (float *x, guint dim, float *spare)
{
  guint half = dim / 2;

  for (guint i = 0; i < half; i++) {
    spare[i] = x[2 * i + 1];
    x[i] = x[2 * i];
  }
  memcpy (x + half, spare, half * sizeof (float));
}
