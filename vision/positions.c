/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The learned position table resized to a picture's grid: bilinear, antialiased, corners not aligned, as SigLIP 2 does it
 * (arXiv:2502.14786, NaFlex). */
#include "vision/internal.h"

#include <string.h>

/* @to += the table's row @y, filtered along x, times @weight. */
static void
add_row (const TernVision *vision, guint y, guint x, double scale, double weight, float *to)
{
  guint first, end, k, i;
  double centre, support, sum = 0;

  tern_triangle_span (0, scale, vision->position_side, x, &first, &end, &centre, &support);
  for (k = first; k < end; k++)
    sum += tern_triangle_weight (centre, support, k);
  for (k = first; k < end; k++) {
    float w = (float) (weight * tern_triangle_weight (centre, support, k) / sum);
    const float *from = vision->positions + ((gsize) y * vision->position_side + k) * vision->hidden;

    for (i = 0; i < vision->hidden; i++)
      to[i] += w * from[i];
  }
}

static void
interpolate (const TernVision *vision, TernPositions *grid)
{
  double scale_x = (double) vision->position_side / grid->w, scale_y = (double) vision->position_side / grid->h;
  guint y, x, k;

  memset (grid->table, 0, (gsize) grid->w * grid->h * vision->hidden * sizeof (float));
  for (y = 0; y < grid->h; y++) {
    guint first, end;
    double centre, support, sum = 0;

    tern_triangle_span (0, scale_y, vision->position_side, y, &first, &end, &centre, &support);
    for (k = first; k < end; k++)
      sum += tern_triangle_weight (centre, support, k);
    for (x = 0; x < grid->w; x++)
      for (k = first; k < end; k++)
        add_row (vision, k, x, scale_x, tern_triangle_weight (centre, support, k) / sum,
            grid->table + ((gsize) y * grid->w + x) * vision->hidden);
  }
}

const float *
tern_vision_positions (TernVisionState *state)
{
  const TernVision *vision = state->vision;
  TernPositions *grid;
  guint i;

  if (state->grid_w == vision->position_side && state->grid_h == vision->position_side)
    return vision->positions;
  for (i = 0; i < TERN_POSITION_GRIDS; i++)
    if (state->positions[i].w == state->grid_w && state->positions[i].h == state->grid_h)
      return state->positions[i].table;

  grid = &state->positions[state->next_positions];
  state->next_positions = (state->next_positions + 1) % TERN_POSITION_GRIDS;
  grid->w = state->grid_w;
  grid->h = state->grid_h;
  interpolate (vision, grid);
  return grid->table;
}
