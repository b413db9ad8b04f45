/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Video frames as libtern sees them. */
#pragma once

#include <gst/video/video.h>
#include "tern/tern.h"

G_BEGIN_DECLS

#define GST_TERN_VIDEO_FORMATS \
  "{ RGB, BGR, RGBx, BGRx, RGBA, BGRA, GRAY8, I420, NV12, I420_10LE, " \
  "P010_10LE }"

/* Memory that the CPU reads as it is; fields of their own are looked at as
 * pictures of half the height. Other memory (NVMM, CUDAMemory, GLMemory,
 * DMABuf, whose layout may be anything) is refused. */
/* Without a frame rate, which nobody needs: time is by PTS. */
#define GST_TERN_VIDEO_MAKE(features) \
  "video/x-raw" features ", format = (string) " GST_TERN_VIDEO_FORMATS ", " \
  "width = " GST_VIDEO_SIZE_RANGE ", height = " GST_VIDEO_SIZE_RANGE
#define GST_TERN_VIDEO_CAPS \
  GST_TERN_VIDEO_MAKE ("") "; " \
  GST_TERN_VIDEO_MAKE ("(" GST_CAPS_FEATURE_MEMORY_SYSTEM_MEMORY ", " \
      GST_CAPS_FEATURE_META_GST_VIDEO_OVERLAY_COMPOSITION ")") "; " \
  GST_TERN_VIDEO_MAKE ("(" GST_CAPS_FEATURE_FORMAT_INTERLACED ")") "; " \
  GST_TERN_VIDEO_MAKE ("(" GST_CAPS_FEATURE_MEMORY_SYSTEM_MEMORY ", " \
      GST_CAPS_FEATURE_FORMAT_INTERLACED ")")

/* Memory that grows to what was needed most. Free @data with g_free(). */
typedef struct
{
  guint8 *data;
  gsize size;
} GstTernRoom;

/* Maps @buffer and describes it: planes, strides, colorimetry, the shape of its
 * pixels; orientation is left at 0. Every row that @image has lies in the
 * mapped memory, whatever caps, GstVideoMeta and the buffer's size say; else
 * this is FALSE with an error that says what was expected and found. Unmap
 * @frame with gst_video_frame_unmap(); no reference is held on @buffer. With
 * @shift other than 0 samples are of 16 bits, little endian, and bytes when they
 * are shifted right so far. */
gboolean gst_tern_frame_map (GstVideoFrame * frame, TernImage * image,
    const GstVideoInfo * info, GstBuffer * buffer, guint * shift,
    GError ** error);

/* Makes such samples bytes, in @room, as libtern looks at them. */
gboolean gst_tern_frame_narrow (TernImage * image, guint shift,
    GstTernRoom * room, GError ** error);

/* The orientation that @tags say, 1 to 8 as EXIF counts; 0 when they do not. */
guint gst_tern_orientation_from_tags (const GstTagList * tags);

/* Whether an element upstream of @sinkpad turns the video as the tag says
 * (videoflip with video-direction=auto). Until 1.22 it does not tell so in the
 * tag that it passes on. */
gboolean gst_tern_orientation_is_applied (GstPad * sinkpad);

G_END_DECLS
