/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Resampling as Pillow's Image.resize() does it, to the same bytes: along x, then along y, rounded to bytes in between;
 * weights in double precision, normalised, then 22 fraction bits. (Pillow 13 goes the other way round where that is
 * cheaper; models were trained with the releases before.) For processors whose models saw pictures that were
 * resized more than once, where small differences of another resampler would add up.
 *
 * Kernels: Lanczos with a = 3 (C. E. Duchon, Lanczos filtering in one and two dimensions, 1979), cubic convolution with
 * a = -1/2 (R. G. Keys, 1981); their support grows with the reduction. */
#include "vision/internal.h"

#include <math.h>
#include <string.h>

#include "tern/error.h"

#define FRACTION_BITS 22        /* 32 - 8 of a byte - 2 for what passes the byte's range on the way */
#define COLUMNS 256             /* of a row that are summed at once */

typedef struct {
  guint first, n;               /* source samples */
} Span;

/* Weights for one axis. */
typedef struct {
  guint count, taps;
  Span *span;                   /* [count] */
  gint32 *weights;              /* [count, taps] */
} Table;

typedef struct {
  double (*weight) (double x);
  double support;
} Kernel;

static double
sinc (double x)
{
  return x == 0 ? 1 : sin (G_PI * x) / (G_PI * x);
}

static double
lanczos (double x)
{
  return x >= -3 && x < 3 ? sinc (x) * sinc (x / 3) : 0;
}

static double
bicubic (double x)
{
  const double a = -0.5;

  x = fabs (x);
  if (x < 1)
    return ((a + 2) * x - (a + 3)) * x * x + 1;
  return x < 2 ? (((x - 5) * x + 8) * x - 4) * a : 0;
}

static const Kernel kernels[] = {
  [TERN_FILTER_BICUBIC] = { bicubic, 2 },
  [TERN_FILTER_LANCZOS] = { lanczos, 3 },
};

static gboolean
reserve (TernRoom *room, gsize bytes, const char *what, GError **error)
{
  void *data;

  if (bytes <= room->bytes)
    return TRUE;
  data = tern_mem_alloc (bytes, what, error);
  if (!data)
    return FALSE;
  tern_mem_free (room->data);
  *room = (TernRoom) { data, bytes };
  return TRUE;
}

/* The weights of output sample @i; @exact holds them before they are rounded. */
static void
fill (const Table *table, guint i, const Kernel *kernel, double start, double scale, guint length, double *exact)
{
  double stretch = MAX (scale, 1.0), support = kernel->support * stretch, centre = start + (i + 0.5) * scale, sum = 0;
  guint first = (guint) MAX (centre - support + 0.5, 0.0), end = (guint) MIN (centre + support + 0.5, (double) length), k;
  gint32 *weights = table->weights + (gsize) i * table->taps;

  table->span[i] = (Span) { first, end - first };
  for (k = 0; k < end - first; k++) {
    exact[k] = kernel->weight ((k + first - centre + 0.5) * (1 / stretch));
    sum += exact[k];
  }
  for (k = 0; k < end - first; k++) {
    double share = (sum != 0 ? exact[k] / sum : exact[k]) * (1 << FRACTION_BITS);

    weights[k] = (gint32) (share < 0 ? share - 0.5 : share + 0.5);
  }
}

/* @count samples for what lies in [start, start + extent) of a line of @length. */
static gboolean
make_table (Table *table, TernRoom *room, const Kernel *kernel, double start, double extent, guint length, guint count,
    GError **error)
{
  double scale = extent / count, support = kernel->support * MAX (scale, 1.0);
  gsize spans = tern_align_up (count * sizeof (Span)), weights, exact;
  guint i;

  table->count = count;
  table->taps = (guint) ceil (support) * 2 + 1;
  weights = tern_align_up ((gsize) count * table->taps * sizeof (gint32));
  exact = table->taps * sizeof (double);
  if (!reserve (room, spans + weights + exact, "resampling weights", error))
    return FALSE;
  table->span = room->data;
  table->weights = (gint32 *) ((guint8 *) room->data + spans);
  for (i = 0; i < count; i++)
    fill (table, i, kernel, start, scale, length, (double *) ((guint8 *) room->data + spans + weights));
  return TRUE;
}

static inline guint8
to_byte (gint32 sum)
{
  return (guint8) CLAMP (sum >> FRACTION_BITS, 0, 255);
}

typedef struct {
  const Table *table;
  const TernPlanes *from, *to;
  guint first_row;              /* of @from, along x */
  TernCancel *cancel;
} Job;

static void
along_x (void *data, guint begin, guint end, guint worker)
{
  const Job *job = data;
  const Table *table = job->table;
  guint row, c, i, k;

  for (row = begin; row < end && !tern_cancel_is_raised (job->cancel); row++)
    for (c = 0; c < 3; c++) {
      const guint8 *from = job->from->plane[c] + ((gsize) job->first_row + row) * job->from->width;
      guint8 *to = job->to->plane[c] + (gsize) row * job->to->width;

      for (i = 0; i < table->count; i++) {
        const gint32 *weights = table->weights + (gsize) i * table->taps;
        const guint8 *source = from + table->span[i].first;
        gint32 sum = 1 << (FRACTION_BITS - 1);

        for (k = 0; k < table->span[i].n; k++)
          sum += source[k] * weights[k];
        to[i] = to_byte (sum);
      }
    }
}

/* Columns [x, x + n) of row @row. */
static void
sum_columns (const Job *job, guint c, guint row, guint x, guint n)
{
  const Table *table = job->table;
  const gint32 *weights = table->weights + (gsize) row * table->taps;
  const Span *span = &table->span[row];
  const guint8 *from = job->from->plane[c] + (gsize) span->first * job->from->width + x;
  guint8 *to = job->to->plane[c] + (gsize) row * job->to->width + x;
  gint32 sum[COLUMNS];
  guint i, k;

  for (i = 0; i < n; i++)
    sum[i] = 1 << (FRACTION_BITS - 1);
  for (k = 0; k < span->n; k++, from += job->from->width)
    for (i = 0; i < n; i++)
      sum[i] += from[i] * weights[k];
  for (i = 0; i < n; i++)
    to[i] = to_byte (sum[i]);
}

static void
along_y (void *data, guint begin, guint end, guint worker)
{
  const Job *job = data;
  guint row, c, x, width = job->to->width;

  for (row = begin; row < end && !tern_cancel_is_raised (job->cancel); row++)
    for (c = 0; c < 3; c++)
      for (x = 0; x < width; x += MIN (COLUMNS, width - x))
        sum_columns (job, c, row, x, MIN (COLUMNS, width - x));
}

static void
place_planes (TernPlanes *planes, guint8 *data, guint width, guint height)
{
  gsize plane = (gsize) width * height;

  *planes = (TernPlanes) { { data, data + plane, data + 2 * plane }, width, height };
}

gboolean
tern_convolver_canvas (TernConvolver *self, guint i, guint width, guint height, TernPlanes *planes, GError **error)
{
  if (!reserve (&self->canvas[i], 3 * (gsize) width * height, "a picture that is resized", error))
    return FALSE;
  place_planes (planes, self->canvas[i].data, width, height);
  return TRUE;
}

/* Rows [*first, *first + *n) of the source that @down needs. */
static void
needed_rows (const Table *down, guint *first, guint *n)
{
  const Span *last = &down->span[down->count - 1];

  *first = down->span[0].first;
  *n = last->first + last->n - *first;
}

/* Along one axis alone when the other one stays as it is, as Pillow does. */
gboolean
tern_convolver_resize (TernConvolver *self, const TernPlanes *from, double x, double y, double w, double h,
    const TernPlanes *to, TernFilter filter, TernPool *pool, TernCancel *cancel, GError **error)
{
  gboolean across = to->width != from->width || x != 0 || w != from->width;
  gboolean down = to->height != from->height || y != 0 || h != from->height;
  Table table_x, table_y;
  Job job = { .table = &table_x, .from = from, .to = to, .cancel = cancel };
  TernPlanes between;
  guint rows = from->height, c, i;

  if ((across && !make_table (&table_x, &self->weights[0], &kernels[filter], x, w, from->width, to->width, error))
      || (down && !make_table (&table_y, &self->weights[1], &kernels[filter], y, h, from->height, to->height, error)))
    return FALSE;
  if (!across && !down)
    for (c = 0; c < 3; c++)
      memcpy (to->plane[c], from->plane[c], (gsize) to->width * to->height);
  if (across && down) {
    needed_rows (&table_y, &job.first_row, &rows);
    if (!reserve (&self->between, 3 * (gsize) to->width * rows, "a picture that is resized", error))
      return FALSE;
    place_planes (&between, self->between.data, to->width, rows);
    job.to = &between;
    for (i = 0; i < table_y.count; i++)
      table_y.span[i].first -= job.first_row;
  }
  if (across)
    tern_pool_run (pool, along_x, &job, rows, 8);
  if (down) {
    job = (Job) { .table = &table_y, .from = across ? &between : from, .to = to, .cancel = cancel };
    tern_pool_run (pool, along_y, &job, to->height, 8);
  }
  return TRUE;
}

void
tern_convolver_clear (TernConvolver *self)
{
  guint i;

  for (i = 0; i < G_N_ELEMENTS (self->canvas); i++)
    tern_mem_free (self->canvas[i].data);
  for (i = 0; i < G_N_ELEMENTS (self->weights); i++)
    tern_mem_free (self->weights[i].data);
  tern_mem_free (self->between.data);
  memset (self, 0, sizeof *self);
}
