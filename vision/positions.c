/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The learned position table resized to a picture's grid: bilinear, antialiased, corners not aligned, as SigLIP 2 does it
 * (arXiv:2502.14786, NaFlex); or bilinear with the corners where the table's are, as Qwen3-VL does it. */
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

/* Where row or column @i of @n lies in a table of @side with the same corners: between *first and the next, by the share that
 * is returned. */
static float
between_corners (guint i, guint n, guint side, guint *first)
{
  float at = n > 1 ? (float) i * (float) (side - 1) / (float) (n - 1) : 0;

  *first = MIN ((guint) at, side - 1);
  return at - (float) *first;
}

static void
interpolate_corners (const TernVision *vision, TernPositions *grid)
{
  guint side = vision->position_side, hidden = vision->hidden, y, x, y0, x0, i;

  for (y = 0; y < grid->h; y++) {
    float dy = between_corners (y, grid->h, side, &y0);
    const float *above = vision->positions + (gsize) y0 * side * hidden;
    const float *below = vision->positions + (gsize) MIN (y0 + 1, side - 1) * side * hidden;

    for (x = 0; x < grid->w; x++) {
      float dx = between_corners (x, grid->w, side, &x0), *to = grid->table + ((gsize) y * grid->w + x) * hidden;
      gsize left = (gsize) x0 * hidden, right = (gsize) MIN (x0 + 1, side - 1) * hidden;

      for (i = 0; i < hidden; i++)
        to[i] = (1 - dy) * (1 - dx) * above[left + i] + (1 - dy) * dx * above[right + i] + dy * (1 - dx) * below[left + i]
            + dy * dx * below[right + i];
    }
  }
}

const TernPositions *
tern_vision_grid (TernVisionState *state)
{
  const TernVision *vision = state->vision;
  TernPositions *grid;
  guint i;

  for (i = 0; i < TERN_POSITION_GRIDS; i++)
    if (state->positions[i].w == state->grid_w && state->positions[i].h == state->grid_h)
      return &state->positions[i];

  grid = &state->positions[state->next_positions];
  state->next_positions = (state->next_positions + 1) % TERN_POSITION_GRIDS;
  grid->w = state->grid_w;
  grid->h = state->grid_h;
  if (vision->projector->corners)
    interpolate_corners (vision, grid);
  else
    interpolate (vision, grid);
  if (vision->projector->rotary)
    tern_vision_angles (vision, grid);
  return grid;
}

const float *
tern_vision_positions (TernVisionState *state)
{
  const TernVision *vision = state->vision;

  if (state->grid_w == vision->position_side && state->grid_h == vision->position_side && !vision->projector->rotary)
    return vision->positions;
  return tern_vision_grid (state)->table;
}
