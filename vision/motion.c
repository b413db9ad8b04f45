/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Block matching between two frames on planes of a quarter of their size:
 *
 *   luma      16 levels to each of 255: the sum over 4 x 4 pixels
 *   detail    luma less its mean over 9 x 9
 *   the whole picture's step, up to half of it, on planes halved once more (and up to 256 pixels): the least mean difference
 *   where both overlap
 *   every cell's step: the least sum of differences over the cell and 2 pixels around it, searched near no step and near the
 *             whole picture's, longer steps dearer by LENGTH_PRICE; a parabola through its neighbours for the fraction
 *   the whole picture's motion, a shift and a zoom about the middle, by weighted least squares, weights made anew eight times
 *             (Cauchy's, as robust regression has them), so that what moves by itself has no say
 */
#include "vision/motion.h"

#include <math.h>
#include <string.h>

#define SHRINK 4                /* pixels of a frame to one of a plane */
#define AROUND 4                /* the mean's window: 2 * AROUND + 1 */
#define MARGIN 2                /* of a block around its cell */
#define NEAR 10                 /* a step's search around none */
#define NEAR_ALL 4              /* and around the whole picture's */
#define LENGTH_PRICE 16
#define BORDER (NEAR + MARGIN + 2)      /* beyond every side, where blocks may lie: the edge repeated */
#define FAR 32                  /* the whole picture's step in halved planes, at most */
#define FIT_ROUNDS 8
#define FIT_SCALE 0.15          /* cells: what is this far off has half a say */
#define FIT_AGREES 0.25

typedef struct {
  guint w, h;                   /* pixels of the planes */
  guint cell, columns, rows;    /* a cell's side in them; how many there are */
  gint16 *luma[2], *detail[2];  /* [h, w] */
  gint16 *wide[2];              /* [h + 2 BORDER, w + 2 BORDER]: detail, its edge repeated */
  gint16 *half[2];              /* [h / 2, w / 2] of detail */
  gint32 *sums;                 /* [h + 1, w + 1] */
  float (*steps)[2];            /* [rows * columns] in pixels of the planes, with fractions */
  float *weights;               /* [rows * columns] */
} Planes;

/* ---- Memory ---- */

static void *
take (guint8 *memory, gsize *used, gsize bytes)
{
  void *found = memory ? memory + *used : NULL;

  *used += (bytes + 63) & ~(gsize) 63;
  return found;
}

/* Bytes. @memory NULL: only counts. */
static gsize
lay_out (Planes *p, guint width, guint height, guint cell, guint8 *memory)
{
  gsize used = 0, n, wide;
  guint i;

  p->w = MAX (width / SHRINK, 1);
  p->h = MAX (height / SHRINK, 1);
  p->cell = cell / SHRINK;
  p->columns = (width + cell - 1) / cell;
  p->rows = (height + cell - 1) / cell;
  n = (gsize) p->w * p->h;
  wide = (gsize) (p->w + 2 * BORDER) * (p->h + 2 * BORDER);
  for (i = 0; i < 2; i++) {
    p->luma[i] = take (memory, &used, n * sizeof (gint16));
    p->detail[i] = take (memory, &used, n * sizeof (gint16));
    p->wide[i] = take (memory, &used, wide * sizeof (gint16));
    p->half[i] = take (memory, &used, n * sizeof (gint16));
  }
  p->sums = take (memory, &used, (gsize) (p->w + 1) * (p->h + 1) * sizeof (gint32));
  p->steps = take (memory, &used, (gsize) p->columns * p->rows * sizeof *p->steps);
  p->weights = take (memory, &used, (gsize) p->columns * p->rows * sizeof (float));
  return used;
}

gsize
tern_motion_scratch (guint width, guint height, guint cell)
{
  Planes p;

  return lay_out (&p, width, height, cell, NULL);
}

/* ---- Planes ---- */

static gint32
luma_of (const guint8 *const rgb[3], gsize at)
{
  return (77 * rgb[0][at] + 150 * rgb[1][at] + 29 * rgb[2][at] + 128) >> 8;
}

static void
fill_luma (const Planes *p, gint16 *luma, const guint8 *const rgb[3], guint width, guint height)
{
  guint x, y, i, j;

  for (y = 0; y < p->h; y++)
    for (x = 0; x < p->w; x++) {
      gint32 sum = 0;

      for (j = 0; j < SHRINK; j++)
        for (i = 0; i < SHRINK; i++)
          sum += luma_of (rgb, (gsize) MIN (y * SHRINK + j, height - 1) * width + MIN (x * SHRINK + i, width - 1));
      luma[(gsize) y * p->w + x] = (gint16) sum;
    }
}

/* Of [y0, y1) x [x0, x1), from sums of everything above and to the left. */
static gint32
sum_of (const Planes *p, guint x0, guint y0, guint x1, guint y1)
{
  gsize line = p->w + 1;

  return p->sums[y1 * line + x1] - p->sums[y0 * line + x1] - p->sums[y1 * line + x0] + p->sums[y0 * line + x0];
}

static void
fill_detail (const Planes *p, gint16 *detail, const gint16 *luma)
{
  gsize line = p->w + 1;
  guint x, y;

  memset (p->sums, 0, line * sizeof (gint32));
  for (y = 0; y < p->h; y++) {
    gint32 row = 0;

    p->sums[(y + 1) * line] = 0;
    for (x = 0; x < p->w; x++) {
      row += luma[(gsize) y * p->w + x];
      p->sums[(y + 1) * line + x + 1] = p->sums[y * line + x + 1] + row;
    }
  }
  for (y = 0; y < p->h; y++)
    for (x = 0; x < p->w; x++) {
      guint x0 = x < AROUND ? 0 : x - AROUND, x1 = MIN (x + AROUND + 1, p->w);
      guint y0 = y < AROUND ? 0 : y - AROUND, y1 = MIN (y + AROUND + 1, p->h);
      gint32 n = (gint32) ((x1 - x0) * (y1 - y0));

      detail[(gsize) y * p->w + x] = (gint16) (luma[(gsize) y * p->w + x] - (sum_of (p, x0, y0, x1, y1) + n / 2) / n);
    }
}

static void
widen (const Planes *p, gint16 *wide, const gint16 *detail)
{
  gsize line = p->w + 2 * BORDER;
  guint x, y;

  for (y = 0; y < p->h + 2 * BORDER; y++) {
    const gint16 *from = detail + (gsize) CLAMP ((gint) (y - BORDER), 0, (gint) p->h - 1) * p->w;
    gint16 *to = wide + y * line;

    for (x = 0; x < BORDER; x++) {
      to[x] = from[0];
      to[BORDER + p->w + x] = from[p->w - 1];
    }
    memcpy (to + BORDER, from, p->w * sizeof (gint16));
  }
}

static void
halve (const Planes *p, gint16 *half, const gint16 *detail)
{
  guint w = p->w / 2, h = p->h / 2, x, y;

  for (y = 0; y < h; y++)
    for (x = 0; x < w; x++) {
      const gint16 *d = detail + (gsize) 2 * y * p->w + 2 * x;

      half[(gsize) y * w + x] = (gint16) ((d[0] + d[1] + d[p->w] + d[p->w + 1]) >> 2);
    }
}

/* ---- Steps ---- */

/* Mean difference where the second frame, moved back by a step, lies over the first. */
static double
overlap_difference (const Planes *p, gint dx, gint dy)
{
  gint w = (gint) p->w / 2, h = (gint) p->h / 2, x, y;
  gint x0 = MAX (0, -dx), x1 = MIN (w, w - dx), y0 = MAX (0, -dy), y1 = MIN (h, h - dy);
  gint64 sum = 0;

  for (y = y0; y < y1; y++) {
    const gint16 *a = p->half[0] + (gsize) y * w, *b = p->half[1] + (gsize) (y + dy) * w + dx;
    gint32 row = 0;

    for (x = x0; x < x1; x++)
      row += ABS (a[x] - b[x]);
    sum += row;
  }
  return (double) sum / ((gint64) (x1 - x0) * (y1 - y0));
}

/* In pixels of the planes. No step unless one is clearly better: by a fifth and by half a level. */
static void
step_of_all (const Planes *p, gint *step_x, gint *step_y)
{
  gint w = (gint) p->w / 2, h = (gint) p->h / 2, dx, dy;
  double still, best;

  *step_x = *step_y = 0;
  if (w < 2 || h < 2)
    return;
  best = still = overlap_difference (p, 0, 0);
  for (dy = -MIN (h / 2, FAR); dy <= MIN (h / 2, FAR); dy++)
    for (dx = -MIN (w / 2, FAR); dx <= MIN (w / 2, FAR); dx++) {
      double found = overlap_difference (p, dx, dy);

      if (found < best) {
        best = found;
        *step_x = 2 * dx;
        *step_y = 2 * dy;
      }
    }
  if (best > 0.8 * still - 8)
    *step_x = *step_y = 0;
}

/* A cell's block, its margin within the padding: the plane's pixels [x0, x1) x [y0, y1). */
typedef struct {
  gint x0, y0, x1, y1;
} Block;

static Block
cell_block (const Planes *p, guint column, guint row, gint margin)
{
  /* A cut cell of less than a pixel has the last one. */
  gint x0 = MIN ((gint) (column * p->cell), (gint) p->w - 1), y0 = MIN ((gint) (row * p->cell), (gint) p->h - 1);

  return (Block) { x0 - margin, y0 - margin, MIN (x0 + (gint) p->cell, (gint) p->w) + margin,
    MIN (y0 + (gint) p->cell, (gint) p->h) + margin };
}

/* Or some sum of at least @enough. */
static gint32
block_difference (const Planes *p, const Block *b, gint dx, gint dy, gint32 enough)
{
  gsize line = p->w + 2 * BORDER;
  const gint16 *first = p->wide[0] + (BORDER + b->y0) * line + BORDER + b->x0;
  const gint16 *second = p->wide[1] + (BORDER + b->y0 + dy) * line + BORDER + b->x0 + dx;
  gint w = b->x1 - b->x0, h = b->y1 - b->y0, x, y;
  gint32 sum = 0;

  for (y = 0; y < h && sum < enough; y++, first += line, second += line)
    for (x = 0; x < w; x++)
      sum += ABS (first[x] - second[x]);
  return sum;
}

typedef struct {
  gint32 cost;                  /* with the price of its length */
  gint x, y;
} Step;

/* Whether the block lies within the border there, and one pixel further. */
static gboolean
fits (const Planes *p, const Block *b, gint dx, gint dy)
{
  return b->x0 + dx > -BORDER && b->y0 + dy > -BORDER && b->x1 + dx < (gint) p->w + BORDER && b->y1 + dy < (gint) p->h + BORDER;
}

static void
search (const Planes *p, const Block *block, gint cx, gint cy, gint reach, Step *best)
{
  gint dx, dy;

  for (dy = cy - reach; dy <= cy + reach; dy++)
    for (dx = cx - reach; dx <= cx + reach; dx++) {
      gint32 price = LENGTH_PRICE * MIN (ABS (dx) + ABS (dy), ABS (dx - cx) + ABS (dy - cy));

      if (!fits (p, block, dx, dy))
        continue;
      price += block_difference (p, block, dx, dy, best->cost - price);
      if (price < best->cost)
        *best = (Step) { price, dx, dy };
    }
}

/* Where the parabola through three equally distant values has its least one, from the middle. */
static float
lowest (gint32 left, gint32 middle, gint32 right)
{
  gint32 bend = left - 2 * middle + right;

  return bend > 0 ? CLAMP ((float) (left - right) / (2 * (float) bend), -0.5f, 0.5f) : 0;
}

static Step
step_of_cell (const Planes *p, guint at, gint all_x, gint all_y)
{
  Block block = cell_block (p, at % p->columns, at / p->columns, MARGIN);
  Step best = { block_difference (p, &block, 0, 0, G_MAXINT32), 0, 0 };
  gint32 middle;

  search (p, &block, 0, 0, NEAR, &best);
  if (all_x || all_y)
    search (p, &block, all_x, all_y, NEAR_ALL, &best);
  middle = block_difference (p, &block, best.x, best.y, G_MAXINT32);
  p->steps[at][0] = best.x + lowest (block_difference (p, &block, best.x - 1, best.y, G_MAXINT32), middle,
      block_difference (p, &block, best.x + 1, best.y, G_MAXINT32));
  p->steps[at][1] = best.y + lowest (block_difference (p, &block, best.x, best.y - 1, G_MAXINT32), middle,
      block_difference (p, &block, best.x, best.y + 1, G_MAXINT32));
  return best;
}

/* ---- Features ---- */

/* @value in sixteenths of a level. */
static float
log_of (double value)
{
  return (float) (log2 (1 + value / 4) / 4);
}

static double
mean_change (const Planes *p, gint16 *const planes[2], const Block *b)
{
  gint64 sum = 0;
  gint x, y;

  for (y = b->y0; y < b->y1; y++)
    for (x = b->x0; x < b->x1; x++)
      sum += ABS (planes[0][(gsize) y * p->w + x] - planes[1][(gsize) y * p->w + x]);
  return (double) sum / ((b->x1 - b->x0) * (b->y1 - b->y0));
}

static double
mean_of (const Planes *p, const gint16 *plane, const Block *b, gboolean size)
{
  gint64 sum = 0;
  gint x, y;

  for (y = b->y0; y < b->y1; y++)
    for (x = b->x0; x < b->x1; x++) {
      gint16 v = plane[(gsize) y * p->w + x];

      sum += size ? ABS (v) : v;
    }
  return (double) sum / ((b->x1 - b->x0) * (b->y1 - b->y0));
}

/* A channel's mean less luma's, over the pixels of a cell. */
static float
tint (const guint8 *const rgb[3], guint channel, guint width, guint height, guint x0, guint y0, guint cell)
{
  guint x1 = MIN (x0 + cell, width), y1 = MIN (y0 + cell, height), x, y;
  gint64 sum = 0;

  for (y = y0; y < y1; y++)
    for (x = x0; x < x1; x++)
      sum += rgb[channel][(gsize) y * width + x] - luma_of (rgb, (gsize) y * width + x);
  return (float) sum / ((x1 - x0) * (y1 - y0)) / 64;
}

/* Everything of a cell but what needs the whole picture's motion. */
static void
measure_cell (const Planes *p, guint at, const Step *step, float *out)
{
  Block inner = cell_block (p, at % p->columns, at / p->columns, 0);
  double before = mean_of (p, p->luma[0], &inner, FALSE), after = mean_of (p, p->luma[1], &inner, FALSE);
  double detail = mean_of (p, p->detail[0], &inner, TRUE), later = mean_of (p, p->detail[1], &inner, TRUE);
  gint n = (inner.x1 - inner.x0) * (inner.y1 - inner.y0);

  p->weights[at] = (float) (detail / (detail + 32));
  out[TERN_MOTION_X] = CLAMP (p->steps[at][0] / p->cell, -4, 4);
  out[TERN_MOTION_Y] = CLAMP (p->steps[at][1] / p->cell, -4, 4);
  out[TERN_MOTION_CHANGE] = log_of (mean_change (p, p->detail, &inner));
  out[TERN_MOTION_RESIDUE] = log_of ((double) block_difference (p, &inner, step->x, step->y, G_MAXINT32) / n);
  out[TERN_MOTION_LUMA_CHANGE] = log_of (mean_change (p, p->luma, &inner));
  out[TERN_MOTION_DETAIL] = log_of (detail);
  out[TERN_MOTION_BRIGHTER] = (float) CLAMP ((after - before) / (16 * 32), -4, 4);
  out[TERN_MOTION_SHARPER] = log_of (later) - log_of (detail);
  out[TERN_MOTION_LUMA] = (float) (before / (16 * 128) - 1);
  out[TERN_MOTION_MEASURED] = 1;
}

typedef struct {
  double x, y, zoom;            /* cells; zoom: by a cell of distance from the middle */
} Fit;

static void
fitted (const Planes *p, const Fit *fit, guint at, double step[2])
{
  step[0] = fit->x + fit->zoom * (at % p->columns - (p->columns - 1) / 2.0);
  step[1] = fit->y + fit->zoom * (at / p->columns - (p->rows - 1) / 2.0);
}

/* How far a cell's step is from the fit, squared, in cells. */
static double
off_fit (const Planes *p, const Fit *fit, guint at)
{
  double step[2], x, y;

  fitted (p, fit, at, step);
  x = p->steps[at][0] / p->cell - step[0];
  y = p->steps[at][1] / p->cell - step[1];
  return x * x + y * y;
}

static void
fit_once (const Planes *p, Fit *fit)
{
  double sum = 1e-6, px = 0, py = 0, dx = 0, dy = 0, turn = 0, spread = 1e-6;
  guint at, n = p->columns * p->rows;

  for (at = 0; at < n; at++) {
    double w = p->weights[at] / (1 + off_fit (p, fit, at) / (FIT_SCALE * FIT_SCALE));

    sum += w;
    px += w * (at % p->columns);
    py += w * (at / p->columns);
    dx += w * p->steps[at][0] / p->cell;
    dy += w * p->steps[at][1] / p->cell;
  }
  px /= sum, py /= sum, dx /= sum, dy /= sum;
  for (at = 0; at < n; at++) {
    double w = p->weights[at] / (1 + off_fit (p, fit, at) / (FIT_SCALE * FIT_SCALE));
    double x = at % p->columns - px, y = at / p->columns - py;

    turn += w * (x * (p->steps[at][0] / p->cell - dx) + y * (p->steps[at][1] / p->cell - dy));
    spread += w * (x * x + y * y);
  }
  fit->zoom = CLAMP (turn / spread, -0.5, 0.5);
  fit->x = dx + fit->zoom * ((p->columns - 1) / 2.0 - px);
  fit->y = dy + fit->zoom * ((p->rows - 1) / 2.0 - py);
}

static void
fill_whole (const Planes *p, const Fit *fit, float *out, gsize stride)
{
  static const guint means[][2] = {
    { TERN_MOTION_ALL_CHANGE, TERN_MOTION_CHANGE }, { TERN_MOTION_ALL_RESIDUE, TERN_MOTION_RESIDUE },
    { TERN_MOTION_ALL_LUMA_CHANGE, TERN_MOTION_LUMA_CHANGE }, { TERN_MOTION_ALL_DETAIL, TERN_MOTION_DETAIL },
    { TERN_MOTION_ALL_BRIGHTER, TERN_MOTION_BRIGHTER }, { TERN_MOTION_ALL_SHARPER, TERN_MOTION_SHARPER },
  };
  float all[TERN_MOTION_FEATURES] = { 0 };
  guint at, i, n = p->columns * p->rows;
  double agree = 0, weight = 1e-6;

  for (at = 0; at < n; at++) {
    for (i = 0; i < G_N_ELEMENTS (means); i++)
      all[means[i][0]] += out[at * stride + means[i][1]] / n;
    weight += p->weights[at];
    agree += off_fit (p, fit, at) < FIT_AGREES * FIT_AGREES ? p->weights[at] : 0;
  }
  all[TERN_MOTION_ALL_X] = (float) CLAMP (fit->x, -4, 4);
  all[TERN_MOTION_ALL_Y] = (float) CLAMP (fit->y, -4, 4);
  all[TERN_MOTION_ALL_ZOOM] = (float) (4 * fit->zoom);
  all[TERN_MOTION_ALL_AGREE] = (float) (agree / weight);
  for (at = 0; at < n; at++, out += stride) {
    double step[2];

    fitted (p, fit, at, step);
    out[TERN_MOTION_OWN_X] = (float) CLAMP (p->steps[at][0] / p->cell - step[0], -4, 4);
    out[TERN_MOTION_OWN_Y] = (float) CLAMP (p->steps[at][1] / p->cell - step[1], -4, 4);
    memcpy (out + TERN_MOTION_ALL_X, all + TERN_MOTION_ALL_X, (TERN_MOTION_MEASURED - TERN_MOTION_ALL_X) * sizeof (float));
  }
}

void
tern_motion_measure (const guint8 *const first[3], const guint8 *const second[3], guint width, guint height, guint cell,
    void *scratch, float *out, gsize stride)
{
  const guint8 *const *frames[2] = { first, second };
  Planes p;
  Fit fit;
  guint i, at;
  gint all_x, all_y;

  lay_out (&p, width, height, cell, scratch);
  for (i = 0; i < 2; i++) {
    fill_luma (&p, p.luma[i], frames[i], width, height);
    fill_detail (&p, p.detail[i], p.luma[i]);
    widen (&p, p.wide[i], p.detail[i]);
    halve (&p, p.half[i], p.detail[i]);
  }
  step_of_all (&p, &all_x, &all_y);
  for (at = 0; at < p.columns * p.rows; at++) {
    float *to = out + at * stride;
    guint x0 = at % p.columns * cell, y0 = at / p.columns * cell;
    Step step = step_of_cell (&p, at, all_x, all_y);

    measure_cell (&p, at, &step, to);
    to[TERN_MOTION_BLUE] = tint (first, 2, width, height, x0, y0, cell);
    to[TERN_MOTION_RED] = tint (first, 0, width, height, x0, y0, cell);
  }
  fit = (Fit) { (double) all_x / p.cell, (double) all_y / p.cell, 0 };
  for (i = 0; i < FIT_ROUNDS; i++)
    fit_once (&p, &fit);
  fill_whole (&p, &fit, out, stride);
}
