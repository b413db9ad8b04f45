/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Any picture to three planes of bytes at the size of a sub-image.
 *
 * Each output row is made on its own, rows of it in parallel: its source rows are weighed together (down a column the
 * same weight holds for a whole row, which is what ORC can do), the result is filtered along the row, and only these few
 * samples are converted to RGB. YUV planes are resampled as they are, chroma samples being centred on the pixels that
 * share them; against converting first this differs only where a pixel lies outside of RGB's range. Nothing outside the
 * part of the picture that is shown is read. */
#include "vision/internal.h"

#include <string.h>

#include "tern/error.h"
#include "vision/preprocess-orc.h"

#define FEW_ROWS 16             /* that the 16-bit sums are good for */

typedef struct {
  const guint8 *data;
  gssize stride;
  guint step;                   /* bytes from one sample to the next of the same component */
  guint n;                      /* components taken from it ... */
  guint to[3];                  /* ... and which of the three rows of samples each fills */
  const TernAxis *across, *down;
  guint first, count;           /* samples (of one component) of a row that are needed */
} Plane;

typedef struct {
  Plane plane[3];
  guint n_planes;
  gboolean yuv, gray;
  TernYuvMatrix matrix;
  const TernPlacement *place;   /* in the picture as it lies in memory */
  TernTransfer transfer;
  gboolean turned;
  TernTurnSteps steps;          /* in the planes of the result */
  guint8 *const *rgb;
  guint8 *scratch;
  gsize scratch_bytes;          /* of a worker */
  gsize sum_bytes, row_bytes;   /* within it: weighed rows, a row of samples of each component, sums of 32 bits */
} Job;

typedef struct {
  const char *name;
  guint n_planes;
  guint bytes[3];               /* of a sample group of each plane */
} Format;

static const Format formats[] = {
  [TERN_IMAGE_RGB] = { "RGB", 1, { 3 } },
  [TERN_IMAGE_BGR] = { "BGR", 1, { 3 } },
  [TERN_IMAGE_RGBX] = { "RGBX", 1, { 4 } },
  [TERN_IMAGE_BGRX] = { "BGRX", 1, { 4 } },
  [TERN_IMAGE_GRAY8] = { "GRAY8", 1, { 1 } },
  [TERN_IMAGE_I420] = { "I420", 3, { 1, 1, 1 } },
  [TERN_IMAGE_NV12] = { "NV12", 2, { 1, 2 } },
};

gboolean
tern_image_check (const TernImage *image, GError **error)
{
  const Format *format;
  guint p;

  if (image && (guint) image->transfer > TERN_TRANSFER_HLG) {
    g_set_error (error, TERN_ERROR, TERN_ERROR_INVALID, "picture: transfer %d: unknown", (gint) image->transfer);
    return FALSE;
  }
  if (image && image->orientation > TERN_ORIENTATION_MAX) {
    g_set_error (error, TERN_ERROR, TERN_ERROR_INVALID, "picture: expected an orientation of 0 to %u, found %u",
        TERN_ORIENTATION_MAX, image->orientation);
    return FALSE;
  }
  if (!image || (guint) image->format >= G_N_ELEMENTS (formats)) {
    g_set_error (error, TERN_ERROR, TERN_ERROR_INVALID, "picture format %d: unknown", image ? (gint) image->format : -1);
    return FALSE;
  }
  format = &formats[image->format];
  if (image->format >= TERN_IMAGE_I420 && (guint) image->matrix > TERN_MATRIX_BT2020) {
    g_set_error (error, TERN_ERROR, TERN_ERROR_INVALID, "%s picture: colour matrix %d: unknown", format->name,
        (gint) image->matrix);
    return FALSE;
  }
  for (p = 0; p < format->n_planes; p++) {
    guint64 samples = p ? ((guint64) image->width + 1) / 2 : image->width;
    guint64 stride = image->stride[p] < 0 ? -(gint64) image->stride[p] : image->stride[p];
    guint rows = p ? (image->height + 1) / 2 : image->height;

    if (!image->data[p] || (rows > 1 && stride < samples * format->bytes[p])) {
      g_set_error (error, TERN_ERROR, TERN_ERROR_INVALID, "%s picture of %u x %u: plane %u: expected data and a stride of "
          "at least %" G_GUINT64_FORMAT " bytes, found %s and %d", format->name, image->width, image->height, p,
          samples * format->bytes[p], image->data[p] ? "data" : "none", image->stride[p]);
      return FALSE;
    }
  }
  return TRUE;
}

/* The axes of @plane, whose samples stand @sub pixels apart. */
static gboolean
bind_axes (TernResizer *resizer, Plane *plane, const TernImage *image, const TernPlacement *place, guint sub,
    GError **error)
{
  TernAxisKey across = { (image->width + sub - 1) / sub, place->x / sub, place->w / place->full_w / sub, place->off_x,
    place->width, FALSE };
  TernAxisKey down = { (image->height + sub - 1) / sub, place->y / sub, place->h / place->full_h / sub, place->off_y,
    place->height, TRUE };
  const TernAxis *axis;
  guint end;

  plane->across = axis = tern_axis_get (&resizer->axes, &across, error);
  if (!axis)
    return FALSE;
  plane->down = tern_axis_get (&resizer->axes, &down, error);
  if (!plane->down)
    return FALSE;
  plane->first = axis->first[0];
  end = axis->first[axis->key.count - 1] + axis->taps;
  plane->count = end - plane->first;
  return TRUE;
}

static gboolean
bind_plane (TernResizer *resizer, Job *job, const TernImage *image, guint from, guint offset, guint n, const guint *to,
    GError **error)
{
  Plane *plane = &job->plane[job->n_planes++];
  guint i;

  plane->data = image->data[from] + offset;
  plane->stride = image->stride[from];
  plane->step = formats[image->format].bytes[from];
  plane->n = n;
  for (i = 0; i < n; i++)
    plane->to[i] = to[i];
  return bind_axes (resizer, plane, image, job->place, from ? 2 : 1, error);
}

static gboolean
bind_planes (TernResizer *resizer, Job *job, const TernImage *image, GError **error)
{
  static const guint forward[] = { 0, 1, 2 }, backward[] = { 2, 1, 0 };

  job->gray = image->format == TERN_IMAGE_GRAY8;
  job->yuv = image->format == TERN_IMAGE_I420 || image->format == TERN_IMAGE_NV12;
  if (job->yuv)
    tern_yuv_matrix_init (&job->matrix, image->matrix, image->full_range);
  switch (image->format) {
    case TERN_IMAGE_RGB:
    case TERN_IMAGE_RGBX:
      return bind_plane (resizer, job, image, 0, 0, 3, forward, error);
    case TERN_IMAGE_BGR:
    case TERN_IMAGE_BGRX:
      return bind_plane (resizer, job, image, 0, 0, 3, backward, error);
    case TERN_IMAGE_GRAY8:
      return bind_plane (resizer, job, image, 0, 0, 1, forward, error);
    case TERN_IMAGE_I420:
      return bind_plane (resizer, job, image, 0, 0, 1, forward, error)
          && bind_plane (resizer, job, image, 1, 0, 1, forward + 1, error)
          && bind_plane (resizer, job, image, 2, 0, 1, forward + 2, error);
    case TERN_IMAGE_NV12:
      return bind_plane (resizer, job, image, 0, 0, 1, forward, error)
          && bind_plane (resizer, job, image, 1, 0, 2, forward + 1, error);
  }
  return FALSE;
}

/* The source rows of tap @k and the three after it. Taps past the end weigh nothing; they read the last row. */
static void
tap_rows (const Plane *plane, guint row, guint k, const guint8 *source[4])
{
  const TernAxis *axis = plane->down;
  const guint8 *data = plane->data + (gsize) plane->first * plane->step;
  guint last = axis->key.length - 1, j;

  for (j = 0; j < 4; j++)
    source[j] = data + (gssize) MIN (axis->first[row] + k + j, last) * plane->stride;
}

/* Rows of @plane to one row of 8.8 fixed point, samples [first, first + count). */
static void
weigh_rows (const Plane *plane, guint row, guint16 *sum)
{
  const TernAxis *axis = plane->down;
  const guint16 *w = axis->weights + (gsize) row * axis->taps;
  gint bytes = (gint) (plane->count * plane->step);
  const guint8 *s[4];
  guint k;

  tap_rows (plane, row, 0, s);
  tern_orc_weigh_rows (sum, s[0], s[1], s[2], s[3], w[0], w[1], w[2], w[3], (gint) axis->most / 2, bytes);
  for (k = 4; k < axis->taps; k += 4) {
    tap_rows (plane, row, k, s);
    tern_orc_weigh_more_rows (sum, s[0], s[1], s[2], s[3], w[k], w[k + 1], w[k + 2], w[k + 3], bytes);
  }
}

/* The same for reductions by so much that each row's part is a few units of 8.8: sums of 32 bits. */
static void
weigh_many_rows (const Plane *plane, guint row, guint16 *sum, guint32 *wide)
{
  const TernAxis *axis = plane->down;
  const guint16 *w = axis->weights + (gsize) row * axis->taps;
  gint bytes = (gint) (plane->count * plane->step);
  const guint8 *s[4];
  guint k;

  tap_rows (plane, row, 0, s);
  tern_orc_weigh_many (wide, s[0], s[1], s[2], s[3], w[0], w[1], w[2], w[3], bytes);
  for (k = 4; k < axis->taps; k += 4) {
    tap_rows (plane, row, k, s);
    tern_orc_weigh_more_of_many (wide, s[0], s[1], s[2], s[3], w[k], w[k + 1], w[k + 2], w[k + 3], bytes);
  }
  tern_orc_round_sums (sum, wide, bytes);
}

/* A row of 8.8 to samples with 7 fraction bits. Inlined for each layout so that the inner loop knows its steps. */
static inline __attribute__ ((always_inline)) void
filter_along (const TernAxis *axis, const guint16 *sum, guint first, guint step, guint n, gint16 *const *to)
{
  guint i, k, c;

  for (i = 0; i < axis->key.count; i++) {
    const guint16 *source = sum + (gsize) (axis->first[i] - first) * step;
    const guint16 *w = axis->weights + (gsize) i * axis->taps;
    guint32 total[3] = { 1 << 15, 1 << 15, 1 << 15 };

    for (k = 0; k < axis->taps; k++)
      for (c = 0; c < n; c++)
        total[c] += (guint32) source[k * step + c] * w[k];
    for (c = 0; c < n; c++)
      to[c][i] = (gint16) (total[c] >> 16);
  }
}

static void
filter_row (const Plane *plane, const guint16 *sum, gint16 *const *to)
{
  switch (plane->step) {
    case 1:
      filter_along (plane->across, sum, plane->first, 1, 1, to);
      break;
    case 2:
      filter_along (plane->across, sum, plane->first, 2, 2, to);
      break;
    case 3:
      filter_along (plane->across, sum, plane->first, 3, 3, to);
      break;
    default:
      filter_along (plane->across, sum, plane->first, 4, 3, to);
      break;
  }
}

static void
convert_row (const Job *job, gint16 *const sample[3], guint8 *const to[3])
{
  const TernYuvMatrix *m = &job->matrix;
  gint n = (gint) job->place->width;
  guint c;

  if (job->yuv) {
    tern_orc_colour_one (to[0], sample[0], sample[2], m->luma, m->red_v, m->red_offset, n);
    tern_orc_colour_two (to[1], sample[0], sample[1], sample[2], m->luma, m->green_u, m->green_v,
        m->green_offset, n);
    tern_orc_colour_one (to[2], sample[0], sample[1], m->luma, m->blue_u, m->blue_offset, n);
    return;
  }
  for (c = 0; c < 3; c++)
    if (c && job->gray)
      memcpy (to[c], to[0], n);
    else
      tern_orc_round_samples (to[c], sample[c], n);
}

/* The pixels of row @row where they are shown. */
static void
finish_row (const Job *job, gint16 *const sample[3], guint row, guint8 *turning)
{
  guint n = job->place->width, c, i;
  gsize start = job->steps.start + (gssize) row * job->steps.row;
  guint8 *to[3];

  for (c = 0; c < 3; c++)
    to[c] = job->turned ? turning + (gsize) c * n : job->rgb[c] + start;
  convert_row (job, sample, to);
  tern_transfer_map (job->transfer, to[0], to[1], to[2], n);
  for (c = 0; c < 3 && job->turned; c++) {
    guint8 *shown = job->rgb[c] + start;

    for (i = 0; i < n; i++)
      shown[(gssize) i * job->steps.pixel] = to[c][i];
  }
}

static void
resize_rows (void *data, guint begin, guint end, guint worker)
{
  const Job *job = data;
  guint8 *scratch = job->scratch + worker * job->scratch_bytes;
  guint16 *sum = (guint16 *) scratch;
  gint16 *sample[3];
  guint row, p, c;

  for (c = 0; c < 3; c++)
    sample[c] = (gint16 *) (scratch + job->sum_bytes + c * job->row_bytes);
  for (row = begin; row < end; row++) {
    for (p = 0; p < job->n_planes; p++) {
      const Plane *plane = &job->plane[p];
      gint16 *to[3];

      for (c = 0; c < plane->n; c++)
        to[c] = sample[plane->to[c]];
      if (plane->down->most <= FEW_ROWS)
        weigh_rows (plane, row, sum);
      else
        weigh_many_rows (plane, row, sum, (guint32 *) (scratch + job->sum_bytes + 3 * job->row_bytes));
      filter_row (plane, sum, to);
    }
    finish_row (job, sample, row, scratch + 3 * job->sum_bytes + 3 * job->row_bytes);
  }
}

static gboolean
plan_scratch (TernResizer *resizer, Job *job, guint threads, GError **error)
{
  gsize bytes;
  guint p;

  for (p = 0; p < job->n_planes; p++)
    job->sum_bytes = MAX (job->sum_bytes, (gsize) job->plane[p].count * job->plane[p].step * sizeof (guint16));
  job->sum_bytes = tern_align_up (job->sum_bytes);
  job->row_bytes = tern_align_up (job->place->width * sizeof (gint16));
  /* Rows that are turned are made at the end. */
  job->scratch_bytes = 3 * job->sum_bytes + (job->turned ? 5 : 3) * job->row_bytes;
  bytes = job->scratch_bytes * threads;
  if (bytes > resizer->scratch_bytes) {
    guint8 *scratch = tern_mem_alloc (bytes, "rows of a picture", error);

    if (!scratch)
      return FALSE;
    tern_mem_free (resizer->scratch);
    resizer->scratch = scratch;
    resizer->scratch_bytes = bytes;
  }
  job->scratch = resizer->scratch;
  return TRUE;
}

gboolean
tern_resizer_run (TernResizer *resizer, const TernImage *image, const TernPlacement *place, guint width, guint height,
    const guint8 padding[3], guint8 *const rgb[3], TernPool *pool, GError **error)
{
  TernTurn turn = tern_image_turn (image);
  TernPlacement lying = *place;
  Job job = { .place = &lying, .transfer = image->transfer, .rgb = rgb };
  guint c;

  tern_turn_place (&turn, image, &lying);
  tern_turn_steps (&turn, place->width, place->height, width, &job.steps);
  job.steps.start += (gsize) place->top * width + place->left;
  job.turned = turn.transposed || turn.mirror_x || turn.mirror_y;
  tern_transfer_prepare (job.transfer);
  if (!bind_planes (resizer, &job, image, error) || !plan_scratch (resizer, &job, tern_pool_threads (pool), error))
    return FALSE;
  if (place->width < width || place->height < height)
    for (c = 0; c < 3; c++)
      memset (rgb[c], padding[c], (gsize) width * height);
  tern_pool_run (pool, resize_rows, &job, lying.height, 8);
  return TRUE;
}

void
tern_resizer_clear (TernResizer *resizer)
{
  tern_axis_cache_clear (&resizer->axes);
  tern_mem_free (resizer->scratch);
  memset (resizer, 0, sizeof *resizer);
}
