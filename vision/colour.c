/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* YUV to RGB coefficients from the luma weights of ITU-R BT.601-7, BT.709-6 and BT.2020-2 (non-constant luminance). */
#include "vision/internal.h"

#include <math.h>

#define COEFFICIENT (1 << 13)
#define SAMPLE (1 << 7)         /* fraction of the samples that the programs take */

static gint
fixed (double value)
{
  return (gint) lrint (value * COEFFICIENT);
}

void
tern_yuv_matrix_init (TernYuvMatrix *matrix, TernColorMatrix standard, gboolean full_range)
{
  static const struct {
    double red, blue;
  } weights[] = {
    [TERN_MATRIX_BT601] = { 0.299, 0.114 },
    [TERN_MATRIX_BT709] = { 0.2126, 0.0722 },
    [TERN_MATRIX_BT2020] = { 0.2627, 0.0593 },
  };
  double kr = weights[standard].red, kb = weights[standard].blue, kg = 1 - kr - kb;
  double luma = full_range ? 1.0 : 255.0 / 219.0, chroma = full_range ? 1.0 : 255.0 / 224.0;
  gint black, half = 1 << 19;

  matrix->luma = fixed (luma);
  matrix->red_v = fixed (chroma * 2 * (1 - kr));
  matrix->blue_u = fixed (chroma * 2 * (1 - kb));
  matrix->green_u = fixed (-chroma * 2 * (1 - kb) * kb / kg);
  matrix->green_v = fixed (-chroma * 2 * (1 - kr) * kr / kg);

  black = (full_range ? 0 : 16) * SAMPLE * matrix->luma;
  matrix->red_offset = half - black - 128 * SAMPLE * matrix->red_v;
  matrix->green_offset = half - black - 128 * SAMPLE * (matrix->green_u + matrix->green_v);
  matrix->blue_offset = half - black - 128 * SAMPLE * matrix->blue_u;
}
