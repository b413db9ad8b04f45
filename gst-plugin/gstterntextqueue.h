/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What stands before each text pad of terncaption: a reader that is slow must not keep results from the video. GStreamer's
 * queue is not used: one that is still busy with the end of a stream when the next one begins stands still for ever. */
#pragma once

#include <gst/gst.h>

G_BEGIN_DECLS

#define GST_TYPE_TERN_TEXT_QUEUE (gst_tern_text_queue_get_type ())
G_DECLARE_FINAL_TYPE (GstTernTextQueue, gst_tern_text_queue, GST,
    TERN_TEXT_QUEUE, GstElement)

G_END_DECLS
