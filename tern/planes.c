/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tern/planes.h"

#include <string.h>

#include "tern/error.h"
#include "tern/ranges.h"

/* What would be found out only when the picture is looked at, with others of its window. */
static gboolean
check_ranges (const TernImage *image, GError **error)
{
  const struct { const char *name; guint most, found; } ranges[] = {
    { "an orientation", TERN_ORIENTATION_MAX, image->orientation },
    { "a transfer", TERN_TRANSFER_HLG, (guint) image->transfer },
    { "a matrix", TERN_MATRIX_BT2020, image->format < TERN_IMAGE_I420 ? 0 : (guint) image->matrix },
  };

  for (guint i = 0; i < G_N_ELEMENTS (ranges); i++)
    if (ranges[i].found > ranges[i].most) {
      g_set_error (error, TERN_ERROR, TERN_ERROR_INVALID, "picture: expected %s from 0 to %u, found %u", ranges[i].name,
          ranges[i].most, ranges[i].found);
      return FALSE;
    }
  return TRUE;
}

gboolean
tern_planes_of (const TernImage *image, TernPlanes *planes, GError **error)
{
  gsize w = image->width, cw = (w + 1) / 2;
  guint h = image->height, ch = h / 2 + h % 2;

  switch (image->format) {
    case TERN_IMAGE_RGB:
    case TERN_IMAGE_BGR:
      *planes = (TernPlanes) { 1, { 3 * w }, { h } };
      break;
    case TERN_IMAGE_RGBX:
    case TERN_IMAGE_BGRX:
      *planes = (TernPlanes) { 1, { 4 * w }, { h } };
      break;
    case TERN_IMAGE_GRAY8:
      *planes = (TernPlanes) { 1, { w }, { h } };
      break;
    case TERN_IMAGE_I420:
      *planes = (TernPlanes) { 3, { w, cw, cw }, { h, ch, ch } };
      break;
    case TERN_IMAGE_NV12:
      *planes = (TernPlanes) { 2, { w, 2 * cw }, { h, ch } };
      break;
    default:
      g_set_error (error, TERN_ERROR, TERN_ERROR_INVALID, "picture: expected a format from 0 to %u, found %u",
          (guint) TERN_IMAGE_NV12, (guint) image->format);
      return FALSE;
  }
  if (image->width < 1 || image->height < 1 || image->width > TERN_IMAGE_SIDE_MAX
      || image->height > TERN_IMAGE_SIDE_MAX) {
    g_set_error (error, TERN_ERROR, TERN_ERROR_INVALID, "picture: expected 1 to %u pixels a side, found %u x %u",
        TERN_IMAGE_SIDE_MAX, image->width, image->height);
    return FALSE;
  }
  for (guint p = 0; p < planes->n; p++)
    if (!image->data[p] || (gsize) ABS ((gint64) image->stride[p]) < planes->row_bytes[p]) {
      g_set_error (error, TERN_ERROR, TERN_ERROR_INVALID,
          "picture of %u x %u: expected at least %" G_GSIZE_FORMAT " bytes a row in plane %u, found %s%d", image->width,
          image->height, planes->row_bytes[p], p, image->data[p] ? "" : "no data and ", image->stride[p]);
      return FALSE;
    }
  return check_ranges (image, error);
}

gsize
tern_planes_bytes (const TernPlanes *planes)
{
  gsize bytes = 0;

  for (guint p = 0; p < planes->n; p++)
    bytes += planes->row_bytes[p] * planes->rows[p];
  return bytes;
}

void
tern_planes_copy (const TernPlanes *planes, const TernImage *image, guint8 *data, TernImage *copy)
{
  *copy = *image;
  for (guint p = 0; p < 3; p++) {
    copy->data[p] = NULL;
    copy->stride[p] = 0;
  }
  for (guint p = 0; p < planes->n; p++) {
    copy->data[p] = data;
    copy->stride[p] = (gint) planes->row_bytes[p];
    for (guint y = 0; y < planes->rows[p]; y++, data += planes->row_bytes[p])
      memcpy (data, image->data[p] + (gssize) y * image->stride[p], planes->row_bytes[p]);
  }
}
