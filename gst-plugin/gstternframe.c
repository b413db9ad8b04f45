/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "gstternframe.h"

static gboolean
image_format (GstVideoFormat format, TernImageFormat * out)
{
  switch (format) {
    case GST_VIDEO_FORMAT_RGB:
      *out = TERN_IMAGE_RGB;
      return TRUE;
    case GST_VIDEO_FORMAT_BGR:
      *out = TERN_IMAGE_BGR;
      return TRUE;
    case GST_VIDEO_FORMAT_RGBx:
    case GST_VIDEO_FORMAT_RGBA:
      *out = TERN_IMAGE_RGBX;
      return TRUE;
    case GST_VIDEO_FORMAT_BGRx:
    case GST_VIDEO_FORMAT_BGRA:
      *out = TERN_IMAGE_BGRX;
      return TRUE;
    case GST_VIDEO_FORMAT_GRAY8:
      *out = TERN_IMAGE_GRAY8;
      return TRUE;
    case GST_VIDEO_FORMAT_I420:
      *out = TERN_IMAGE_I420;
      return TRUE;
    case GST_VIDEO_FORMAT_NV12:
      *out = TERN_IMAGE_NV12;
      return TRUE;
    default:
      return FALSE;
  }
}

static TernColorMatrix
color_matrix (const GstVideoInfo * info)
{
  switch (info->colorimetry.matrix) {
    case GST_VIDEO_COLOR_MATRIX_BT709:
      return TERN_MATRIX_BT709;
    case GST_VIDEO_COLOR_MATRIX_BT2020:
      return TERN_MATRIX_BT2020;
    case GST_VIDEO_COLOR_MATRIX_BT601:
    case GST_VIDEO_COLOR_MATRIX_SMPTE240M:
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
      gst_video_format_to_string (GST_VIDEO_INFO_FORMAT (info)),
      GST_VIDEO_INFO_N_PLANES (info), GST_VIDEO_INFO_WIDTH (info),
      GST_VIDEO_INFO_HEIGHT (info), gst_video_format_to_string (meta->format),
      meta->n_planes, meta->width, meta->height);
  return FALSE;
}

/* Bytes of a row and rows of plane @p, as libtern reads them. */
static void
plane_size (const TernImage * image, guint p, gsize * bytes, gsize * rows)
{
  gsize w = image->width, h = image->height;

  *rows = p > 0 ? (h + 1) / 2 : h;
  switch (image->format) {
    case TERN_IMAGE_RGB:
    case TERN_IMAGE_BGR:
      *bytes = 3 * w;
      break;
    case TERN_IMAGE_RGBX:
    case TERN_IMAGE_BGRX:
      *bytes = 4 * w;
      break;
    case TERN_IMAGE_I420:
      *bytes = p > 0 ? (w + 1) / 2 : w;
      break;
    case TERN_IMAGE_NV12:
      *bytes = p > 0 ? (w + 1) / 2 * 2 : w;
      break;
    default:
      *bytes = w;
      break;
  }
}

/* Offsets, strides and sizes come from upstream, and only some of them are
 * looked at on the way: the plane must lie in the memory that was mapped. */
static gboolean
check_plane (const GstVideoFrame * frame, const TernImage * image, guint p,
    GError ** error)
{
  const GstMapInfo *map = frame->meta ? &frame->map[p] : &frame->map[0];
  gint64 stride = image->stride[p], first, begin, end;
  gsize bytes, rows;

  plane_size (image, p, &bytes, &rows);
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

static gboolean
describe (TernImage * image, const GstVideoFrame * frame,
    const GstVideoInfo * info, GError ** error)
{
  guint i;

  *image = (TernImage) {
  .width = GST_VIDEO_INFO_WIDTH (info),.height =
        GST_VIDEO_INFO_FIELD_HEIGHT (info)};
  if (!image_format (GST_VIDEO_INFO_FORMAT (info), &image->format)
      || image->width > G_MAXUINT16 || image->height > G_MAXUINT16) {
    g_set_error (error, TERN_ERROR, TERN_ERROR_UNSUPPORTED,
        "expected a format of " GST_TERN_VIDEO_FORMATS " and sides of at most "
        "65535 pixels, found %s, %u x %u",
        gst_video_format_to_string (GST_VIDEO_INFO_FORMAT (info)),
        image->width, image->height);
    return FALSE;
  }

  image->matrix = color_matrix (info);
  image->full_range = info->colorimetry.range == GST_VIDEO_COLOR_RANGE_0_255;
  image->transfer = transfer (info);
  pixel_aspect (image, info);
  for (i = 0; i < GST_VIDEO_INFO_N_PLANES (info); i++) {
    image->data[i] = GST_VIDEO_FRAME_PLANE_DATA (frame, i);
    image->stride[i] = GST_VIDEO_FRAME_PLANE_STRIDE (frame, i);
    if (!check_plane (frame, image, i, error))
      return FALSE;
  }
  return TRUE;
}

gboolean
gst_tern_frame_map (GstVideoFrame * frame, TernImage * image,
    const GstVideoInfo * info, GstBuffer * buffer, GError ** error)
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
  if (describe (image, frame, info, error))
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
  while (links && !found && gst_iterator_next (links, &item) == GST_ITERATOR_OK) {
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
