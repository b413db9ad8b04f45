/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Means of cells, of pixels as they lie in memory. */
#include "vision/gate.h"

#include <string.h>

#define ROWS_MOST 8             /* of a cell that are looked at; ... */
#define ROWS_OF_COLOUR 3        /* ... of chroma, and of pixels that have all in one plane: they are three and four bytes */
#define CHROMA_COLUMNS (TERN_GATE_COLUMNS / 2)
#define CHROMA_ROWS (TERN_GATE_ROWS / 2)

/* Bytes that repeat every @step: a plane of one channel or of several. */
typedef struct {
  const guint8 *data;
  gssize stride;
  guint width, height, step;
  guint rows;                   /* of a cell, at most */
} View;

/* What the bytes of cells add up to, by their place in the step: of cells between the columns @x [@n + 1]. */
typedef void (*SumFunc) (const View *view, const guint *x, guint n, guint y0, guint y1, guint32 (*sums)[4]);

/* ---- Sums -------------------------------------------------------------------------------------------------------- */

static guint
rows_of (const View *view, guint y0, guint y1)
{
  return MIN (y1 - y0, view->rows);
}

/* The middles of equal parts. */
static const guint8 *
nth_row (const View *view, guint y0, guint y1, guint i)
{
  guint y = y0 + (2 * i + 1) * (y1 - y0) / (2 * rows_of (view, y0, y1));

  return view->data + (gssize) y * view->stride;
}

static void
sum_plainly (const View *view, const guint *x, guint n, guint y0, guint y1, guint32 (*sums)[4])
{
  memset (sums, 0, n * sizeof *sums);
  for (guint c = 0; c < n; c++)
    for (guint i = 0; i < rows_of (view, y0, y1); i++) {
      const guint8 *row = nth_row (view, y0, y1, i);

      for (gsize b = (gsize) x[c] * view->step; b < (gsize) x[c + 1] * view->step; b++)
        sums[c][b % view->step] += row[b];
    }
}

/* Columns of bytes first, over rows as they lie in memory; then cells. A cell of the widest picture has as many bytes. */
#define RUN_BYTES 4096

static void
sum_columns (const View *view, gsize begin, gsize n, guint y0, guint y1, guint16 *columns)
{
  memset (columns, 0, n * sizeof *columns);
  for (guint i = 0; i < rows_of (view, y0, y1); i++) {
    const guint8 *row = nth_row (view, y0, y1, i) + begin;

    for (gsize b = 0; b < n; b++)
      columns[b] = (guint16) (columns[b] + row[b]);
  }
}

static void
sum_cell (const guint16 *columns, guint width, guint step, guint32 sums[4])
{
  for (guint k = 0; k < step; k++) {
    guint32 sum = 0;

    for (guint i = 0; i < width; i++)
      sum += columns[i * step + k];
    sums[k] = sum;
  }
}

static void
sum_in_runs (const View *view, const guint *x, guint n, guint y0, guint y1, guint32 (*sums)[4])
{
  guint16 columns[RUN_BYTES];

  for (guint c = 0, end; c < n; c = end) {
    for (end = c + 1; end < n && (x[end + 1] - x[c]) * view->step <= RUN_BYTES; end++);
    sum_columns (view, (gsize) x[c] * view->step, (gsize) (x[end] - x[c]) * view->step, y0, y1, columns);
    for (guint i = c; i < end; i++)
      sum_cell (columns + (x[i] - x[c]) * view->step, x[i + 1] - x[i], view->step, sums[i]);
  }
}

/* ---- Planes ------------------------------------------------------------------------------------------------------ */

/* Where the n-th of @n equal parts of @length begins. */
static guint
edge (guint length, guint n, guint i)
{
  return (guint) ((guint64) i * length / n);
}

/* Means of the bytes at each place of the step, into @mean[place]; NULL: not wanted. */
static void
mean_of_cells (const View *view, guint w, guint h, SumFunc sum, float *const mean[4])
{
  guint x[TERN_GATE_COLUMNS + 1];
  guint32 sums[TERN_GATE_COLUMNS][4];

  for (guint c = 0; c <= w; c++)
    x[c] = edge (view->width, w, c);
  for (guint r = 0, cell = 0; r < h; r++) {
    guint y0 = edge (view->height, h, r), y1 = edge (view->height, h, r + 1);

    sum (view, x, w, y0, y1, sums);
    for (guint c = 0; c < w; c++, cell++)
      for (guint i = 0; i < view->step; i++)
        if (mean[i])
          mean[i][cell] = (float) sums[c][i] / (float) ((x[c + 1] - x[c]) * rows_of (view, y0, y1));
  }
}

static void
set_size (TernGateCells *cells, guint plane, guint width, guint height, gboolean chroma)
{
  cells->w[plane] = MIN (width, chroma ? CHROMA_COLUMNS : TERN_GATE_COLUMNS);
  cells->h[plane] = MIN (height, chroma ? CHROMA_ROWS : TERN_GATE_ROWS);
}

/* Planes of samples, of one channel or (NV12's second) of two. */
static void
planar (TernGateCells *cells, const TernImage *image, guint p, guint n, guint shift, SumFunc sum)
{
  guint width = p > 0 ? image->width / 2 + image->width % 2 : image->width;
  guint height = p > 0 ? image->height / 2 + image->height % 2 : image->height;
  guint bytes = shift > 0 ? 2 : 1;
  View view = { image->data[p], image->stride[p], width, height, n * bytes, p > 0 ? ROWS_OF_COLOUR : ROWS_MOST };
  float high[2][TERN_GATE_CELLS], *mean[4] = { NULL };

  for (guint i = 0; i < n; i++) {
    set_size (cells, p + i, width, height, p > 0);
    mean[i * bytes] = cells->mean[p + i];
    if (shift > 0)
      mean[2 * i + 1] = high[i];
  }
  mean_of_cells (&view, cells->w[p], cells->h[p], sum, mean);
  for (guint i = 0; shift > 0 && i < n; i++)
    for (guint c = 0; c < cells->w[p] * cells->h[p]; c++)
      cells->mean[p + i][c] = (cells->mean[p + i][c] + 256 * high[i][c]) / (float) (1u << shift);
}

/* Four cells become one. */
static void
halve (const float *from, guint w, guint h, float *to, guint to_w, guint to_h)
{
  for (guint r = 0; r < to_h; r++)
    for (guint c = 0; c < to_w; c++) {
      guint x0 = c * w / to_w, x1 = (c + 1) * w / to_w, y0 = r * h / to_h, y1 = (r + 1) * h / to_h;
      float sum = 0;

      for (guint y = y0; y < y1; y++)
        for (guint x = x0; x < x1; x++)
          sum += from[y * w + x];
      to[r * to_w + c] = sum / (float) ((x1 - x0) * (y1 - y0));
    }
}

/* Luma (R + 2 G + B) / 4 and half of what red and blue differ from it by. */
static void
packed (TernGateCells *cells, const TernImage *image, guint step, guint red, SumFunc sum)
{
  View view = { image->data[0], image->stride[0], image->width, image->height, step, ROWS_OF_COLOUR };
  float channel[3][TERN_GATE_CELLS], *mean[4] = { channel[0], channel[1], channel[2], NULL };
  const float *r = channel[red], *g = channel[1], *b = channel[2 - red];
  guint n;

  set_size (cells, 0, image->width, image->height, FALSE);
  n = cells->w[0] * cells->h[0];
  mean_of_cells (&view, cells->w[0], cells->h[0], sum, mean);
  for (guint c = 0; c < n; c++) {
    float luma = (r[c] + 2 * g[c] + b[c]) / 4, blue = 127.5f + (b[c] - luma) / 2, rose = 127.5f + (r[c] - luma) / 2;

    cells->mean[0][c] = luma;
    channel[0][c] = blue;
    channel[2][c] = rose;
  }
  for (guint p = 1; p < 3; p++) {
    set_size (cells, p, (image->width + 1) / 2, (image->height + 1) / 2, TRUE);
    cells->w[p] = MIN (cells->w[p], cells->w[0]);
    cells->h[p] = MIN (cells->h[p], cells->h[0]);
    halve (channel[2 * p - 2], cells->w[0], cells->h[0], cells->mean[p], cells->w[p], cells->h[p]);
  }
}

static void
take_cells (TernGateCells *cells, const TernImage *image, guint shift, SumFunc sum)
{
  cells->n = image->format == TERN_IMAGE_GRAY8 ? 1 : 3;
  switch (image->format) {
    case TERN_IMAGE_RGB:
    case TERN_IMAGE_BGR:
      packed (cells, image, 3, image->format == TERN_IMAGE_RGB ? 0 : 2, sum);
      break;
    case TERN_IMAGE_RGBX:
    case TERN_IMAGE_BGRX:
      packed (cells, image, 4, image->format == TERN_IMAGE_RGBX ? 0 : 2, sum);
      break;
    case TERN_IMAGE_I420:
      for (guint p = 0; p < 3; p++)
        planar (cells, image, p, 1, shift, sum);
      break;
    case TERN_IMAGE_NV12:
      planar (cells, image, 0, 1, shift, sum);
      planar (cells, image, 1, 2, shift, sum);
      break;
    default:
      planar (cells, image, 0, 1, shift, sum);
      break;
  }
}

void
tern_gate_cells (TernGateCells *cells, const TernImage *image, guint shift)
{
  take_cells (cells, image, shift, sum_in_runs);
}

void
tern_gate_cells_reference (TernGateCells *cells, const TernImage *image, guint shift)
{
  take_cells (cells, image, shift, sum_plainly);
}
