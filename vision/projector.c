/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Vision features to visual tokens: factor x factor neighbours side by side (pixel unshuffle, arXiv:1609.05158 the other
 * way round), layer norm, two linears with GELU (erf) between. */
#include "vision/internal.h"

#include <string.h>

#define INPUT_NORM_EPS 1e-5f    /* torch.nn.LayerNorm's; the file does not say it */

/* One item is a row of tokens. Features that stand past the edge of an odd grid are zero. */
static void
unshuffle (void *data, guint begin, guint end, guint worker)
{
  TernVisionState *state = data;
  guint factor = state->vision->info.factor, hidden = state->vision->hidden, tokens, y, x, r, c;

  tokens = (state->grid_w + factor - 1) / factor;
  for (y = begin; y < end; y++)
    for (x = 0; x < tokens; x++) {
      float *to = state->wide + ((gsize) y * tokens + x) * factor * factor * hidden;

      for (r = 0; r < factor; r++)
        for (c = 0; c < factor; c++, to += hidden) {
          guint py = y * factor + r, px = x * factor + c;

          if (py < state->grid_h && px < state->grid_w)
            memcpy (to, state->x + ((gsize) py * state->grid_w + px) * hidden, hidden * sizeof (float));
          else
            memset (to, 0, hidden * sizeof (float));
        }
    }
}

gboolean
tern_vision_project (TernVisionState *state, float *tokens)
{
  const TernVision *vision = state->vision;
  guint factor = vision->info.factor, rows = (state->grid_h + factor - 1) / factor;
  guint n = rows * ((state->grid_w + factor - 1) / factor), cols = factor * factor * vision->hidden;

  tern_pool_run (state->pool, unshuffle, state, rows, 1);
  tern_vision_norm (state, state->wide, state->wide, &vision->input_norm, n, cols, INPUT_NORM_EPS);
  tern_vision_linear (state, &vision->mm1, vision->mm1_bias, state->wide, n, state->projected);
  vision->kernels->gelu_erf (state->projected, (gsize) n * vision->mm1.rows);
  tern_vision_linear (state, &vision->mm2, vision->mm2_bias, state->projected, n, tokens);
  return !tern_cancel_is_raised (state->cancel);
}
