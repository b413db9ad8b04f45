/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Planes of bytes to rows of normalised pixels, one row a patch: channel, then y, then x, as the convolution kernel that
 * the file's patch embedding is stored as. */
#include "vision/internal.h"

#include <string.h>

#include "vision/preprocess-orc.h"

/* One item is a row of patches. A line of pixels is normalised at once and then dealt out to its patches. */
static void
gather (void *data, guint begin, guint end, guint worker)
{
  TernVisionState *state = data;
  const TernVision *vision = state->vision;
  guint patch = vision->info.patch, width = state->width, row, c, y, i;
  gsize cols = 3 * (gsize) patch * patch;
  float *line = tern_pool_scratch (state->pool, worker);

  for (row = begin; row < end; row++)
    for (c = 0; c < 3; c++)
      for (y = 0; y < patch; y++) {
        const guint8 *source = state->rgb[c] + ((gsize) row * patch + y) * width;

        tern_orc_normalise (line, source, 1 / (255 * vision->std[c]), -vision->mean[c] / vision->std[c], (gint) width);
        for (i = 0; i < state->grid_w; i++) {
          gsize at = (gsize) row * state->grid_w + i;

          if (state->reuse && (at = state->reuse->at[at]) == TERN_REUSE_NONE)
            continue;
          memcpy (state->wide + at * cols + ((gsize) c * patch + y) * patch, line + i * patch, patch * sizeof (float));
        }
      }
}

gboolean
tern_vision_gather_patches (TernVisionState *state, guint round, TernVisionLoop *loop)
{
  *loop = (TernVisionLoop) { .func = gather, .items = state->grid_h, .grain = 1,
    .work = (guint64) 3 * state->vision->info.patch * state->width * TERN_VISION_VALUE_WORK };
  return round == 0;
}
