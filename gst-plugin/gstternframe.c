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

gboolean
gst_tern_image_from_frame (TernImage * image, const GstVideoFrame * frame)
{
  const GstVideoInfo *info = &frame->info;
  guint i;

  *image = (TernImage) {
  .width = info->width,.height = info->height};
  if (!image_format (GST_VIDEO_INFO_FORMAT (info), &image->format))
    return FALSE;

  image->matrix = color_matrix (info);
  image->full_range = info->colorimetry.range == GST_VIDEO_COLOR_RANGE_0_255;
  for (i = 0; i < GST_VIDEO_FRAME_N_PLANES (frame); i++) {
    image->data[i] = GST_VIDEO_FRAME_PLANE_DATA (frame, i);
    image->stride[i] = GST_VIDEO_FRAME_PLANE_STRIDE (frame, i);
  }
  return TRUE;
}
