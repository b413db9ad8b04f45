/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Rotary positions in the tower (arXiv:2104.09864) by two axes, as Qwen2-VL's (arXiv:2409.12191) and those after it have them: of
 * the d / 2 pairs (j, j + d / 2) of a head the first half turns by the row of the patch, the other by its column, both with
 * frequencies 10000^(-2i / (d / 2)), i < d / 4. */
#include "vision/internal.h"

#include <math.h>

#define BASE 10000.0

void
tern_vision_angles (const TernVision *vision, TernPositions *grid)
{
  guint d = vision->head_dim, quarter = d / 4, y, x, i;

  for (y = 0; y < grid->h; y++)
    for (x = 0; x < grid->w; x++) {
      float *to = grid->angles + ((gsize) y * grid->w + x) * d;

      for (i = 0; i < quarter; i++) {
        double frequency = pow (BASE, -2.0 * i / (d / 2));

        to[i] = (float) cos (y * frequency);
        to[quarter + i] = (float) cos (x * frequency);
        to[d / 2 + i] = (float) sin (y * frequency);
        to[d / 2 + quarter + i] = (float) sin (x * frequency);
      }
    }
}

void
tern_vision_turn (const TernVisionState *state, float *rows, gsize ld, guint row, guint n)
{
  const TernVision *vision = state->vision;
  guint d = vision->head_dim, t, h;

  if (!vision->projector->rotary)
    return;
  for (t = 0; t < n; t++)
    for (h = 0; h < vision->heads; h++)
      vision->kernels->rope (rows + t * ld + (gsize) h * d, state->angles + (gsize) (row + t) * d, d);
}
