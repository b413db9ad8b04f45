/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which part of the picture a sub-image shows, and how large. */
#include "vision/internal.h"

#include <math.h>

/* Aspect kept; what is too much is cut on both sides alike. */
static void
crop (TernPlacement *place)
{
  double w = place->h * place->full_w / place->full_h, h = place->w * place->full_h / place->full_w;

  if (w < place->w) {
    place->x = (place->w - w) / 2;
    place->w = w;
  } else if (h < place->h) {
    place->y = (place->h - h) / 2;
    place->h = h;
  }
}

/* Aspect kept; what is missing is padding on both sides alike. */
static void
letterbox (TernPlacement *place)
{
  guint width = place->full_w, height = place->full_h;
  double scale = MIN (width / place->w, height / place->h);

  place->full_w = place->width = CLAMP (lrint (place->w * scale), 1, (glong) width);
  place->full_h = place->height = CLAMP (lrint (place->h * scale), 1, (glong) height);
  place->left = (width - place->width) / 2;
  place->top = (height - place->height) / 2;
}

static void
tile (TernPlacement *place, const TernVisionPlan *plan, const TernSubImage *sub)
{
  guint rows = 1, columns = 1, i;

  for (i = 0; i < plan->n; i++) {
    rows = MAX (rows, plan->sub[i].row);
    columns = MAX (columns, plan->sub[i].column);
  }
  place->full_w = columns * sub->width;
  place->full_h = rows * sub->height;
  place->off_x = (sub->column - 1) * sub->width;
  place->off_y = (sub->row - 1) * sub->height;
}

void
tern_vision_place (guint width, guint height, const TernVisionOptions *options, const TernVisionPlan *plan,
    const TernSubImage *sub, TernPlacement *place)
{
  *place = (TernPlacement) { .w = width, .h = height, .full_w = sub->width, .full_h = sub->height,
    .width = sub->width, .height = sub->height };

  if (sub->row) {
    tile (place, plan, sub);
    return;
  }
  if (options->tile && !plan->fixed)
    return;                     /* a still, as the family's processor does it: stretched */
  switch (options->scaling) {
    case TERN_SCALING_CROP:
    case TERN_SCALING_TRAINED:
      crop (place);
      break;
    case TERN_SCALING_LETTERBOX:
      letterbox (place);
      break;
    case TERN_SCALING_STRETCH:
      break;
  }
}
