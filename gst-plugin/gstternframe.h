/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Video frames as libtern sees them. */
#pragma once

#include <gst/video/video.h>
#include "tern/tern.h"

G_BEGIN_DECLS

#define GST_TERN_VIDEO_FORMATS \
  "{ RGB, BGR, RGBx, BGRx, RGBA, BGRA, GRAY8, I420, NV12 }"

/* Borrows the planes of a mapped frame, with its strides and colorimetry. FALSE
 * for a format outside GST_TERN_VIDEO_FORMATS. */
gboolean gst_tern_image_from_frame (TernImage * image,
    const GstVideoFrame * frame);

G_END_DECLS
