/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Sizes: the rules of Lfm2VlImageProcessor (Hugging Face transformers), which the family was trained with, and one size
 * for files that fix it. */
#include "vision/internal.h"

#include <math.h>
#include <string.h>

#include "engine/base/error.h"

#define TILE 512                /* pixels of a tile's side, in every model of the family */
#define MIN_TILES 2
#define MAX_TILES 10
#define TOLERANCE 2.0           /* times the most pixels of one image before it is tiled */

typedef struct {
  double min_pixels, max_pixels;
  guint fixed_side;
  guint patch, step;            /* step: patch * factor, what sides are multiples of */
  gboolean tile;
} Rules;

static gboolean
rules_init (Rules *rules, const TernVision *vision, const TernVisionOptions *options, GError **error)
{
  guint step = vision->info.patch * vision->info.factor;
  double area = (double) step * step;

  rules->patch = vision->info.patch;
  rules->step = step;
  rules->tile = options->tile;
  rules->fixed_side = vision->fixed_side;
  rules->min_pixels = vision->min_pixels;
  rules->max_pixels = vision->max_pixels;
  if (options->min_tokens > TERN_VISION_MAX_TOKENS || options->max_tokens > TERN_VISION_MAX_TOKENS
      || (options->min_tokens && options->max_tokens && options->min_tokens > options->max_tokens)) {
    g_set_error (error, TERN_ERROR, TERN_ERROR_INVALID, "image tokens %u:%u: expected a least and a most number of at most "
        "%u, the least not above the most", options->min_tokens, options->max_tokens, TERN_VISION_MAX_TOKENS);
    return FALSE;
  }
  if (options->min_tokens && options->min_tokens != vision->info.min_tokens) {
    rules->min_pixels = options->min_tokens * area;
    rules->fixed_side = 0;
  }
  if (options->max_tokens && options->max_tokens != vision->info.max_tokens) {
    rules->max_pixels = options->max_tokens * area;
    rules->fixed_side = 0;
  }
  /* Only one was given, on the other side of the model's: the caller's counts. */
  if (rules->min_pixels > rules->max_pixels) {
    if (options->max_tokens)
      rules->min_pixels = rules->max_pixels;
    else
      rules->max_pixels = rules->min_pixels;
  }
  return TRUE;
}

/* @value in steps, rounded half to even as Python does, at least @least. */
static double
round_steps (double value, guint step, guint least)
{
  return MAX (rint (value / step) * step, (double) least);
}

static double
floor_steps (double value, guint step)
{
  return MAX (floor (value / step) * step, (double) step);
}

static void
shrink (const Rules *rules, guint width, guint height, double *w, double *h)
{
  double beta = sqrt ((double) width * height / rules->max_pixels);

  *w = floor_steps (width / beta, rules->step);
  *h = floor_steps (height / beta, rules->step);
}

/* smart_resize of the processor. It passes the upper limit where it rounds up beyond a close one, and where a side is
 * below one step. Memory is planned for the limit: then the size is rounded down as for large pictures, and if that is not
 * enough the longer side gives way. */
static void
smart_resize (const Rules *rules, guint width, guint height, guint *out_w, guint *out_h)
{
  double w = round_steps (width, rules->step, rules->step), h = round_steps (height, rules->step, rules->step);

  if (w * h > rules->max_pixels) {
    shrink (rules, width, height, &w, &h);
  } else if (w * h < rules->min_pixels) {
    double beta = sqrt (rules->min_pixels / ((double) width * height));

    w = ceil (width * beta / rules->step) * rules->step;
    h = ceil (height * beta / rules->step) * rules->step;
    if (w * h > rules->max_pixels)
      shrink (rules, width, height, &w, &h);
  }
  if (w * h > rules->max_pixels) {
    double *longer = w >= h ? &w : &h, *shorter = w >= h ? &h : &w;

    *longer = floor_steps (rules->max_pixels / *shorter, rules->step);
    if (w * h > rules->max_pixels)
      *shorter = floor_steps (rules->max_pixels / *longer, rules->step);
  }
  *out_w = (guint) w;
  *out_h = (guint) h;
}

static gboolean
is_too_large (const Rules *rules, guint width, guint height)
{
  return round_steps (width, rules->step, rules->patch) * round_steps (height, rules->step, rules->patch)
      > rules->max_pixels * TOLERANCE;
}

/* find_closest_aspect_ratio of the processor: grids in the order of their number of tiles; of two that are equally close
 * the later one when the picture has more than half of its pixels. */
static void
choose_grid (double tile, guint width, guint height, guint *columns, guint *rows)
{
  double aspect = (double) width / height, best = G_MAXDOUBLE;
  guint tiles, w;

  for (tiles = MIN_TILES; tiles <= MAX_TILES; tiles++)
    for (w = 1; w <= tiles; w++) {
      double off;

      if (tiles % w)
        continue;
      off = fabs (aspect - (double) w / (tiles / w));
      if (off < best || (off == best && (double) width * height > 0.5 * tile * tile * tiles)) {
        best = off;
        *columns = w;
        *rows = tiles / w;
      }
    }
}

static TernSubImage *
append (TernVisionPlan *plan, const TernVision *vision, guint width, guint height)
{
  TernSubImage *sub = &plan->sub[plan->n++];
  guint step = vision->info.patch * vision->info.factor;

  sub->width = width;
  sub->height = height;
  sub->grid_w = (width + step - 1) / step;
  sub->grid_h = (height + step - 1) / step;
  sub->n_tokens = sub->grid_w * sub->grid_h;
  plan->n_tokens += sub->n_tokens;
  return sub;
}

static void
append_tiles (TernVisionPlan *plan, const TernVision *vision, const Rules *rules, guint width, guint height)
{
  guint side = MAX (TILE / rules->step, 1) * rules->step, columns = 1, rows = 2, row, column;

  choose_grid (side, width, height, &columns, &rows);
  for (row = 1; row <= rows; row++)
    for (column = 1; column <= columns; column++) {
      TernSubImage *sub = append (plan, vision, side, side);

      sub->row = row;
      sub->column = column;
    }
}

static gboolean
check_size (guint width, guint height, GError **error)
{
  if (width >= 1 && width <= TERN_VISION_MAX_SIDE && height >= 1 && height <= TERN_VISION_MAX_SIDE)
    return TRUE;
  g_set_error (error, TERN_ERROR, TERN_ERROR_INVALID, "picture of %u x %u pixels: expected sides of 1 to %u", width,
      height, TERN_VISION_MAX_SIDE);
  return FALSE;
}

gboolean
tern_vision_plan (const TernVision *vision, guint width, guint height, const TernVisionOptions *options,
    TernVisionPlan *plan, GError **error)
{
  Rules rules;
  guint w, h;

  memset (plan, 0, sizeof *plan);
  if (!check_size (width, height, error) || !rules_init (&rules, vision, options, error))
    return FALSE;

  if (rules.fixed_side) {
    plan->fixed = TRUE;
    append (plan, vision, rules.fixed_side, rules.fixed_side);
    return TRUE;
  }
  smart_resize (&rules, width, height, &w, &h);
  if (rules.tile && is_too_large (&rules, width, height)) {
    append_tiles (plan, vision, &rules, width, height);
    append (plan, vision, w, h)->thumbnail = TRUE;
  } else {
    append (plan, vision, w, h);
  }
  return TRUE;
}

/* A tile has its size whatever the limits are, so it may be above the most tokens of one image. */
gboolean
tern_vision_sub_tokens (const TernVision *vision, const TernVisionOptions *options, guint *tokens, GError **error)
{
  guint64 area, step = vision->info.patch * vision->info.factor;
  Rules rules;

  if (!rules_init (&rules, vision, options, error))
    return FALSE;
  if (rules.fixed_side) {
    *tokens = vision->info.max_tokens;
    return TRUE;
  }
  area = step * step;
  *tokens = (guint) MAX (1, rules.max_pixels / area);
  if (rules.tile) {
    guint side = MAX (TILE / rules.step, 1);

    *tokens = MAX (*tokens, side * side);
  }
  return TRUE;
}
