/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Planes of bytes to rows of normalised pixels, one row a patch: frame, then channel, then y, then x, as the convolution kernel
 * that the file's patch embedding is stored as. */
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
  guint frames = tern_vision_frames (vision), f;
  gsize one = 3 * (gsize) patch * patch, cols = frames * one;
  float *line = tern_pool_scratch (state->pool, worker);

  for (row = begin; row < end; row++)
    for (f = 0; f < 3 * frames; f++)
      for (y = 0; y < patch; y++) {
        guint8 *const *rgb = f < 3 || !state->paired ? state->rgb : state->second;
        const guint8 *source;

        c = f % 3;
        source = rgb[c] + ((gsize) row * patch + y) * width;
        tern_orc_normalise (line, source, 1 / (255 * vision->std[c]), -vision->mean[c] / vision->std[c], (gint) width);
        for (i = 0; i < state->grid_w; i++) {
          gsize at = (gsize) row * state->grid_w + i;

          if (state->reuse && (at = state->reuse->at[at]) == TERN_REUSE_NONE)
            continue;
          memcpy (state->wide + at * cols + f / 3 * one + ((gsize) c * patch + y) * patch, line + i * patch,
              patch * sizeof (float));
        }
      }
}

gboolean
tern_vision_gather_patches (TernVisionState *state, guint round, TernVisionLoop *loop)
{
  *loop = (TernVisionLoop) { .func = gather, .items = state->grid_h, .grain = 1,
    .work = (guint64) 3 * tern_vision_frames (state->vision) * state->vision->info.patch * state->width * TERN_VISION_VALUE_WORK };
  return round == 0;
}
