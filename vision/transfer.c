/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Code values of PQ and HLG to those that show the same picture on an SDR screen; pixels that were resized already.
 *
 *   1. code values to light: SMPTE ST 2084 (BT.2100 table 4), or BT.2100 table 5's inverse OETF and its OOTF for a screen
 *      of 1000 cd/m2 (gamma 1.2)
 *   2. a tone curve that makes 1000 cd/m2 white. In units of 203 cd/m2, where BT.2408 puts the white of diffuse objects,
 *      light up to 0.8 stays as it is: pictures graded for SDR come out as they were. The rest is bent into what is left
 *      by E. Reinhard's operator with a white point (Photographic tone reproduction, 2002, equation 4), whose slope there
 *      is 1: y = k + (1 - k) g (t), t = (x - k) / (1 - k), g (t) = t (1 + t / T^2) / (1 + t), T = t of 1000 cd/m2. It is
 *      looked up for the strongest of the three components and scales all of them, so that colours keep their hue
 *   3. primaries of BT.2020 to those of BT.709 (BT.2087-0); what is outside of them is clipped
 *   4. the transfer function of sRGB (IEC 61966-2-1), as photographs have that models are trained with
 *
 * Where a function is smooth over the square root of light it is a table of that. */
#include "vision/internal.h"

#include <math.h>

#define PEAK 1000.0             /* cd/m2 that become white, and all above it */
#define WHITE 203.0             /* cd/m2 of diffuse white */
#define KNEE 0.8                /* of that; below it light stays as it is */
#define STEPS 1024

typedef struct {
  float light[256];             /* of a code value: PQ cd/m2 over PEAK; HLG the scene's light, 0..1 */
  float system[STEPS + 2];      /* HLG: what OOTF multiplies by, over sqrt (luminance of the scene) */
  float tone[STEPS + 2];        /* what the tone curve and white multiply by, over sqrt (light over PEAK) */
  float shown[STEPS + 2];       /* code value, 0..255, over sqrt (light) */
} Tables;

static Tables pq, hlg;

/* ---- The functions ---- */

static double
pq_to_light (double code)
{
  const double m1 = 2610.0 / 16384, m2 = 2523.0 / 4096 * 128, c1 = 3424.0 / 4096, c2 = 2413.0 / 4096 * 32;
  const double c3 = 2392.0 / 4096 * 32;
  double p = pow (code, 1 / m2);

  return 10000 * pow (MAX (p - c1, 0) / (c2 - c3 * p), 1 / m1);
}

static double
hlg_to_scene (double code)
{
  const double a = 0.17883277, b = 1 - 4 * a, c = 0.5 - a * log (4 * a);

  return code <= 0.5 ? code * code / 3 : (exp ((code - c) / a) + b) / 12;
}

/* Light over WHITE to what is shown, 0 to 1. */
static double
bend (double light)
{
  double t = (light - KNEE) / (1 - KNEE), most = (PEAK / WHITE - KNEE) / (1 - KNEE);

  return light < KNEE ? light : KNEE + (1 - KNEE) * t * (1 + t / (most * most)) / (1 + t);
}

static double
to_srgb (double light)
{
  return light <= 0.0031308 ? 12.92 * light : 1.055 * pow (light, 1 / 2.4) - 0.055;
}

/* ---- Tables ---- */

static void
fill_common (Tables *t)
{
  guint i;

  for (i = 0; i < STEPS + 2; i++) {
    double light = (double) i * i / STEPS / STEPS;

    t->tone[i] = (float) (i == 0 ? PEAK / WHITE : bend (MIN (light, 1) * PEAK / WHITE) / light);
    t->shown[i] = (float) (255 * to_srgb (MIN (light, 1)));
    t->system[i] = (float) pow (light, 0.2);
  }
}

static void
fill_pq (Tables *t)
{
  guint i;

  fill_common (t);
  for (i = 0; i < 256; i++)
    t->light[i] = (float) (MIN (pq_to_light (i / 255.0), PEAK) / PEAK);
}

static void
fill_hlg (Tables *t)
{
  guint i;

  fill_common (t);
  for (i = 0; i < 256; i++)
    t->light[i] = (float) hlg_to_scene (i / 255.0);
}

void
tern_transfer_prepare (TernTransfer transfer)
{
  static gsize have_pq, have_hlg;

  if (transfer == TERN_TRANSFER_PQ && g_once_init_enter (&have_pq)) {
    fill_pq (&pq);
    g_once_init_leave (&have_pq, 1);
  }
  if (transfer == TERN_TRANSFER_HLG && g_once_init_enter (&have_hlg)) {
    fill_hlg (&hlg);
    g_once_init_leave (&have_hlg, 1);
  }
}

/* ---- Pixels ---- */

/* @table over the square root of @light, from 0 to 1. */
static inline float
look_up (const float *table, float light)
{
  float at = sqrtf (CLAMP (light, 0.0f, 1.0f)) * STEPS;
  guint i = (guint) at;

  return table[i] + (table[i + 1] - table[i]) * (at - (float) i);
}

static inline void
map_pixel (const Tables *t, gboolean scene, guint8 *red, guint8 *green, guint8 *blue)
{
  float r = t->light[*red], g = t->light[*green], b = t->light[*blue], scale, most;

  if (scene) {
    scale = look_up (t->system, 0.2627f * r + 0.6780f * g + 0.0593f * b);
    r *= scale;
    g *= scale;
    b *= scale;
  }
  most = MAX (r, MAX (g, b));
  scale = look_up (t->tone, most);
  *red = (guint8) (look_up (t->shown, scale * (1.6605f * r - 0.5876f * g - 0.0728f * b)) + 0.5f);
  *green = (guint8) (look_up (t->shown, scale * (-0.1246f * r + 1.1329f * g - 0.0083f * b)) + 0.5f);
  *blue = (guint8) (look_up (t->shown, scale * (-0.0182f * r - 0.1006f * g + 1.1187f * b)) + 0.5f);
}

void
tern_transfer_map (TernTransfer transfer, guint8 *red, guint8 *green, guint8 *blue, gsize n)
{
  gsize i;

  if (transfer == TERN_TRANSFER_PQ)
    for (i = 0; i < n; i++)
      map_pixel (&pq, FALSE, &red[i], &green[i], &blue[i]);
  else if (transfer == TERN_TRANSFER_HLG)
    for (i = 0; i < n; i++)
      map_pixel (&hlg, TRUE, &red[i], &green[i], &blue[i]);
}
