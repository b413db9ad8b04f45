/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Pipelines as a camera's configuration describes them. */
#pragma once

#include <gst/gst.h>

#include "watch/config.h"
#include "watch/zones.h"

G_BEGIN_DECLS

/* Finds the elements: where GStreamer looks, or where this program was built or installed. gst_init() was called. Errors:
 * NOT_FOUND, which names what is missing. */
gboolean tern_source_find_elements (GError **error);
/* The check of `pipeline` keys. */
gboolean tern_source_check (const char *words, GError **error);

/* The pipeline of watch/run.h in state NULL, with elements named generator, zones (frames in I420 where there are zones),
 * thumbnail-queue and thumbnail (a sink of JPEG; both only where thumbnails are made). (transfer full) */
GstElement *tern_source_pipeline (const TernCameraConfig *config, GError **error);
/* Hides what @mask hides of a frame in I420 whose caps are @pad's. FALSE: it cannot be read. */
gboolean tern_source_hide (GstBuffer *buffer, GstPad *pad, const TernMask *mask);

G_END_DECLS
