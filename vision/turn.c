/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Pictures that are shown otherwise than they lie in memory: turned as EXIF's orientation says, with pixels that are not
 * square. Whole pictures are never turned: what is asked of the shown picture is asked of the picture in memory, and the
 * few pixels that come of it go where they belong. */
#include "vision/internal.h"

#include <math.h>
#include <string.h>

/* Of pixels. What is beyond is no shape that anybody shows, but damage. */
#define MAX_ASPECT TERN_PIXEL_ASPECT_MAX

TernTurn
tern_image_turn (const TernImage *image)
{
  /* Where the first row and the first column are shown, EXIF 2.3, tag Orientation. */
  static const TernTurn turns[] = {
    { FALSE, FALSE, FALSE },    /* not said */
    { FALSE, FALSE, FALSE },    /* top, left */
    { FALSE, TRUE, FALSE },     /* top, right */
    { FALSE, TRUE, TRUE },      /* bottom, right */
    { FALSE, FALSE, TRUE },     /* bottom, left */
    { TRUE, FALSE, FALSE },     /* left, top */
    { TRUE, TRUE, FALSE },      /* right, top */
    { TRUE, TRUE, TRUE },       /* right, bottom */
    { TRUE, FALSE, TRUE },      /* left, bottom */
  };

  return turns[image->orientation < G_N_ELEMENTS (turns) ? image->orientation : 0];
}

/* The side that is too short is made longer, so that no pixel is lost. */
static void
square_pixels (const TernImage *image, guint *width, guint *height)
{
  double n = image->pixel_aspect_n, d = image->pixel_aspect_d;

  *width = image->width;
  *height = image->height;
  if (n == d || n < 1 || d < 1 || n > d * MAX_ASPECT || d > n * MAX_ASPECT)
    return;
  if (n > d)
    *width = (guint) CLAMP (rint (*width * n / d), 1, MAX (TERN_VISION_MAX_SIDE, *width));
  else
    *height = (guint) CLAMP (rint (*height * d / n), 1, MAX (TERN_VISION_MAX_SIDE, *height));
}

void
tern_vision_shown_size (const TernImage *image, guint *width, guint *height)
{
  guint w, h;

  square_pixels (image, &w, &h);
  if (tern_image_turn (image).transposed) {
    *width = h;
    *height = w;
  } else {
    *width = w;
    *height = h;
  }
}

gboolean
tern_vision_shown_alike (const TernImage *a, const TernImage *b)
{
  guint width, height, other_width, other_height;

  tern_vision_shown_size (a, &width, &height);
  tern_vision_shown_size (b, &other_width, &other_height);
  return width == other_width && height == other_height;
}

static void
swap (double *a, double *b)
{
  double c = *a;

  *a = *b;
  *b = c;
}

static void
swap_count (guint *a, guint *b)
{
  guint c = *a;

  *a = *b;
  *b = c;
}

void
tern_turn_place (const TernTurn *turn, const TernImage *image, TernPlacement *place)
{
  guint shown_w, shown_h;
  double x, y;

  tern_vision_shown_size (image, &shown_w, &shown_h);
  if (turn->mirror_x) {
    place->x = shown_w - place->x - place->w;
    place->off_x = place->full_w - place->off_x - place->width;
  }
  if (turn->mirror_y) {
    place->y = shown_h - place->y - place->h;
    place->off_y = place->full_h - place->off_y - place->height;
  }
  if (turn->transposed) {
    swap (&place->x, &place->y);
    swap (&place->w, &place->h);
    swap_count (&place->full_w, &place->full_h);
    swap_count (&place->off_x, &place->off_y);
    swap_count (&place->width, &place->height);
    swap_count (&shown_w, &shown_h);
  }
  x = (double) image->width / shown_w;
  y = (double) image->height / shown_h;
  place->x *= x;
  place->w *= x;
  place->y *= y;
  place->h *= y;
}

void
tern_turn_steps (const TernTurn *turn, guint width, guint height, guint stride, TernTurnSteps *steps)
{
  gssize along = turn->mirror_x ? -1 : 1, down = turn->mirror_y ? -(gssize) stride : stride;

  steps->start = (turn->mirror_x ? width - 1 : 0) + (gsize) (turn->mirror_y ? height - 1 : 0) * stride;
  steps->pixel = turn->transposed ? down : along;
  steps->row = turn->transposed ? along : down;
}

void
tern_turn_plane (const TernTurnSteps *steps, const guint8 *from, guint width, guint height, guint8 *to)
{
  guint x, y;

  for (y = 0; y < height; y++, from += width) {
    guint8 *row = to + steps->start + (gssize) y * steps->row;

    if (steps->pixel == 1) {
      memcpy (row, from, width);
      continue;
    }
    for (x = 0; x < width; x++)
      row[(gssize) x * steps->pixel] = from[x];
  }
}
