/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "gstternframe.h"

typedef struct
{
  GstVideoFormat format;
  TernImageFormat image;
  guint shift;                  /* of 16-bit samples to bytes; 0: bytes */
} Format;

static const Format formats[] = {
  {GST_VIDEO_FORMAT_RGB, TERN_IMAGE_RGB, 0},
  {GST_VIDEO_FORMAT_BGR, TERN_IMAGE_BGR, 0},
  {GST_VIDEO_FORMAT_RGBx, TERN_IMAGE_RGBX, 0},
  {GST_VIDEO_FORMAT_RGBA, TERN_IMAGE_RGBX, 0},
  {GST_VIDEO_FORMAT_BGRx, TERN_IMAGE_BGRX, 0},
  {GST_VIDEO_FORMAT_BGRA, TERN_IMAGE_BGRX, 0},
  {GST_VIDEO_FORMAT_GRAY8, TERN_IMAGE_GRAY8, 0},
  {GST_VIDEO_FORMAT_I420, TERN_IMAGE_I420, 0},
  {GST_VIDEO_FORMAT_NV12, TERN_IMAGE_NV12, 0},
  {GST_VIDEO_FORMAT_I420_10LE, TERN_IMAGE_I420, 2},
  {GST_VIDEO_FORMAT_P010_10LE, TERN_IMAGE_NV12, 8},
};

static const Format *
find_format (GstVideoFormat format)
{
  guint i;

  for (i = 0; i < G_N_ELEMENTS (formats); i++)
    if (formats[i].format == format)
      return &formats[i];
  return NULL;
}

static TernColorMatrix
color_matrix (const GstVideoInfo * info)
{
  switch (info->colorimetry.matrix) {
    case GST_VIDEO_COLOR_MATRIX_BT709:
    case GST_VIDEO_COLOR_MATRIX_SMPTE240M:     /* but for a hundredth */
      return TERN_MATRIX_BT709;
    case GST_VIDEO_COLOR_MATRIX_BT2020:
      return TERN_MATRIX_BT2020;
    case GST_VIDEO_COLOR_MATRIX_BT601:
    case GST_VIDEO_COLOR_MATRIX_FCC:
      return TERN_MATRIX_BT601;
    default:
      /* What GStreamer itself assumes for pictures that do not say. */
      return info->height > 576 ? TERN_MATRIX_BT709 : TERN_MATRIX_BT601;
  }
}

/* Fields of their own have rows twice as high as the pixels of the frame. */
static void
pixel_aspect (TernImage * image, const GstVideoInfo * info)
{
  gint n = GST_VIDEO_INFO_PAR_N (info), d = GST_VIDEO_INFO_PAR_D (info);

  if (n < 1 || d < 1)
    n = d = 1;
  image->pixel_aspect_n = n;
  image->pixel_aspect_d = d;
  if (GST_VIDEO_INFO_INTERLACE_MODE (info) ==
      GST_VIDEO_INTERLACE_MODE_ALTERNATE)
    image->pixel_aspect_d *= 2;
}

static TernTransfer
transfer (const GstVideoInfo * info)
{
  switch (info->colorimetry.transfer) {
    case GST_VIDEO_TRANSFER_SMPTE2084:
      return TERN_TRANSFER_PQ;
    case GST_VIDEO_TRANSFER_ARIB_STD_B67:
      return TERN_TRANSFER_HLG;
    default:
      return TERN_TRANSFER_SDR;
  }
}

static const gchar *
format_name (GstVideoFormat format)
{
  return format > GST_VIDEO_FORMAT_ENCODED ?
      gst_video_format_to_string (format) : "an unknown format";
}

/* What gst_video_frame_map() takes for programming errors. */
static gboolean
check_meta (const GstVideoInfo * info, GstBuffer * buffer, GError ** error)
{
  const GstVideoMeta *meta = gst_buffer_get_video_meta (buffer);

  if (!meta || (meta->format == GST_VIDEO_INFO_FORMAT (info)
          && meta->n_planes == GST_VIDEO_INFO_N_PLANES (info)
          && meta->width >= (guint) GST_VIDEO_INFO_WIDTH (info)
          && meta->height >= (guint) GST_VIDEO_INFO_HEIGHT (info)))
    return TRUE;
  g_set_error (error, TERN_ERROR, TERN_ERROR_FORMAT,
      "expected a GstVideoMeta of %s, %u planes, at least %d x %d as in the "
      "caps, found %s, %u planes, %u x %u",
      format_name (GST_VIDEO_INFO_FORMAT (info)),
      GST_VIDEO_INFO_N_PLANES (info), GST_VIDEO_INFO_WIDTH (info),
      GST_VIDEO_INFO_HEIGHT (info), format_name (meta->format),
      meta->n_planes, meta->width, meta->height);
  return FALSE;
}

/* Samples of a row and rows of plane @p, as libtern reads them. */
static void
plane_size (const TernImage * image, guint p, gsize * samples, gsize * rows)
{
  gsize w = image->width, h = image->height;

  *rows = p > 0 ? (h + 1) / 2 : h;
  switch (image->format) {
    case TERN_IMAGE_RGB:
    case TERN_IMAGE_BGR:
      *samples = 3 * w;
      break;
    case TERN_IMAGE_RGBX:
    case TERN_IMAGE_BGRX:
      *samples = 4 * w;
      break;
    case TERN_IMAGE_I420:
      *samples = p > 0 ? (w + 1) / 2 : w;
      break;
    case TERN_IMAGE_NV12:
      *samples = p > 0 ? (w + 1) / 2 * 2 : w;
      break;
    default:
      *samples = w;
      break;
  }
}

/* Offsets, strides and sizes come from upstream, and only some of them are
 * looked at on the way: the plane must lie in the memory that was mapped. */
static gboolean
check_plane (const GstVideoFrame * frame, const TernImage * image, guint p,
    guint sample_bytes, GError ** error)
{
  const GstMapInfo *map = frame->meta ? &frame->map[p] : &frame->map[0];
  gint64 stride = image->stride[p], first, begin, end;
  gsize bytes, rows;

  plane_size (image, p, &bytes, &rows);
  bytes *= sample_bytes;
  /* Sides are below 2^16 and strides below 2^31: nothing overflows. */
  first = (gint64) ((guintptr) image->data[p] - (guintptr) map->data);
  begin = first + MIN (stride, 0) * (gint64) (rows - 1);
  end = first + MAX (stride, 0) * (gint64) (rows - 1) + (gint64) bytes;
  if (image->data[p] && begin >= 0 && end <= (gint64) map->size
      && (rows == 1 || (guint64) ABS (stride) >= bytes))
    return TRUE;
  g_set_error (error, TERN_ERROR, TERN_ERROR_FORMAT,
      "plane %u of %u x %u: expected %" G_GSIZE_FORMAT " rows of %"
      G_GSIZE_FORMAT " bytes in %" G_GSIZE_FORMAT " bytes of memory, found "
      "offset %" G_GINT64_FORMAT " and stride %" G_GINT64_FORMAT, p,
      image->width, image->height, rows, bytes, map->size, first, stride);
  return FALSE;
}

/* @n samples of 16 bits, little endian, not aligned, to bytes; components of
 * @step stand side by side. What two bits are cut off is spread over squares of
 * 2 x 2 samples, so that their mean stays and the picture that is made smaller
 * has it. */
static void
narrow_row (guint8 * to, const guint8 * from, gsize n, guint step, guint shift,
    gsize row)
{
  static const guint quarters[2][2] = { {0, 2}, {3, 1} };
  const guint add[] = { quarters[row & 1][0] << shift >> 2,
    quarters[row & 1][1] << shift >> 2
  };
  gsize i;

  for (i = 0; i < n; i++) {
    guint value = from[2 * i] | (guint) from[2 * i + 1] << 8;

    to[i] = MIN ((value + add[(i / step) & 1]) >> shift, 255);
  }
}

/* libtern looks at bytes. videoconvert cuts off where it makes 8 bits of 10,
 * which in PQ's steep curve is a tint; few frames are looked at. */
gboolean
gst_tern_frame_narrow (TernImage * image, guint shift, GstTernRoom * room,
    GError ** error)
{
  guint p, n_planes = image->format == TERN_IMAGE_NV12 ? 2 : 3;
  gsize samples[3], rows[3], need = 0, y;
  guint8 *to;

  if (shift == 0)
    return TRUE;
  for (p = 0; p < n_planes; p++) {
    plane_size (image, p, &samples[p], &rows[p]);
    need += samples[p] * rows[p];
  }
  if (need > room->size) {
    g_free (room->data);
    room->data = g_try_malloc (need);
    room->size = room->data ? need : 0;
    if (!room->data) {
      g_set_error (error, TERN_ERROR, TERN_ERROR_NO_SPACE,
          "no memory for a frame of %" G_GSIZE_FORMAT " bytes", need);
      return FALSE;
    }
  }
  to = room->data;
  for (p = 0; p < n_planes; p++) {
    const guint8 *from = image->data[p];

    image->data[p] = to;
    for (y = 0; y < rows[p]; y++, to += samples[p])
      narrow_row (to, from + (gssize) y * image->stride[p], samples[p],
          image->format == TERN_IMAGE_NV12 && p > 0 ? 2 : 1, shift, y);
    image->stride[p] = samples[p];
  }
  return TRUE;
}

static gboolean
describe (TernImage * image, const GstVideoFrame * frame,
    const GstVideoInfo * info, guint * shift, GError ** error)
{
  const Format *format = find_format (GST_VIDEO_INFO_FORMAT (info));
  guint i;

  *image = (TernImage) {
  .width = GST_VIDEO_INFO_WIDTH (info),.height =
        GST_VIDEO_INFO_FIELD_HEIGHT (info)};
  if (!format || image->width > G_MAXUINT16 || image->height > G_MAXUINT16) {
    g_set_error (error, TERN_ERROR, TERN_ERROR_UNSUPPORTED,
        "expected a format of " GST_TERN_VIDEO_FORMATS " and sides of at most "
        "65535 pixels, found %s, %u x %u",
        format_name (GST_VIDEO_INFO_FORMAT (info)), image->width,
        image->height);
    return FALSE;
  }

  image->format = format->image;
  image->matrix = color_matrix (info);
  image->full_range = info->colorimetry.range == GST_VIDEO_COLOR_RANGE_0_255;
  image->transfer = transfer (info);
  pixel_aspect (image, info);
  for (i = 0; i < GST_VIDEO_INFO_N_PLANES (info); i++) {
    image->data[i] = GST_VIDEO_FRAME_PLANE_DATA (frame, i);
    image->stride[i] = GST_VIDEO_FRAME_PLANE_STRIDE (frame, i);
    if (!check_plane (frame, image, i, format->shift > 0 ? 2 : 1, error))
      return FALSE;
  }
  *shift = format->shift;
  return TRUE;
}

gboolean
gst_tern_frame_map (GstVideoFrame * frame, TernImage * image,
    const GstVideoInfo * info, GstBuffer * buffer, guint * shift,
    GError ** error)
{
  if (!check_meta (info, buffer, error))
    return FALSE;
  if (!gst_video_frame_map (frame, info, buffer,
          GST_MAP_READ | GST_VIDEO_FRAME_MAP_FLAG_NO_REF)) {
    g_set_error (error, TERN_ERROR, TERN_ERROR_FORMAT,
        "expected %" G_GSIZE_FORMAT " bytes of memory that can be read, found "
        "%" G_GSIZE_FORMAT " bytes", GST_VIDEO_INFO_SIZE (info),
        gst_buffer_get_size (buffer));
    return FALSE;
  }
  if (describe (image, frame, info, shift, error))
    return TRUE;
  gst_video_frame_unmap (frame);
  return FALSE;
}

guint
gst_tern_orientation_from_tags (const GstTagList * tags)
{
  GstVideoOrientationMethod method;

  if (!gst_video_orientation_from_tag ((GstTagList *) tags, &method))
    return 0;
  switch (method) {
    case GST_VIDEO_ORIENTATION_HORIZ:
      return 2;
    case GST_VIDEO_ORIENTATION_180:
      return 3;
    case GST_VIDEO_ORIENTATION_VERT:
      return 4;
    case GST_VIDEO_ORIENTATION_UL_LR:
      return 5;
    case GST_VIDEO_ORIENTATION_90R:
      return 6;
    case GST_VIDEO_ORIENTATION_UR_LL:
      return 7;
    case GST_VIDEO_ORIENTATION_90L:
      return 8;
    default:
      return 1;
  }
}

#define MOST_ELEMENTS 64        /* between the source and here */

static gboolean
turns_by_tag (GstElement * element)
{
  GstVideoOrientationMethod method = GST_VIDEO_ORIENTATION_IDENTITY;

  if (!GST_IS_VIDEO_DIRECTION (element))
    return FALSE;
  g_object_get (element, "video-direction", &method, NULL);
  return method == GST_VIDEO_ORIENTATION_AUTO;
}

static gboolean
is_applied (GstPad * sinkpad, guint depth)
{
  GstPad *peer = gst_pad_get_peer (sinkpad);
  GstElement *element = peer ? gst_pad_get_parent_element (peer) : NULL;
  GstIterator *links = NULL;
  GValue item = G_VALUE_INIT;
  gboolean found = FALSE;

  if (element)
    found = turns_by_tag (element);
  if (peer && !found && depth > 0)
    links = gst_pad_iterate_internal_links (peer);
  /* What is changed meanwhile sends its tags anew. */
  while (links && !found
      && gst_iterator_next (links, &item) == GST_ITERATOR_OK) {
    found = is_applied (g_value_get_object (&item), depth - 1);
    g_value_reset (&item);
  }
  if (links) {
    g_value_unset (&item);
    gst_iterator_free (links);
  }
  gst_clear_object (&element);
  gst_clear_object (&peer);
  return found;
}

gboolean
gst_tern_orientation_is_applied (GstPad * sinkpad)
{
  return is_applied (sinkpad, MOST_ELEMENTS);
}
