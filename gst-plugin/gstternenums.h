/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Enumerations of the elements' properties. */
#pragma once

#include <gst/gst.h>
#include "tern/tern.h"

G_BEGIN_DECLS

/**
 * GstTernLeaky:
 * @GST_TERN_LEAKY_AUTO: downstream behind a live source, otherwise no
 * @GST_TERN_LEAKY_NO: upstream waits; every window is answered
 * @GST_TERN_LEAKY_DOWNSTREAM: old windows are dropped for the newest one
 */
typedef enum {
  GST_TERN_LEAKY_AUTO,
  GST_TERN_LEAKY_NO,
  GST_TERN_LEAKY_DOWNSTREAM,
} GstTernLeaky;

/**
 * GstTernTimestamps:
 * @GST_TERN_TIMESTAMPS_AUTO: arrival behind a live source, otherwise window
 * @GST_TERN_TIMESTAMPS_WINDOW: text has the time of the window that it is about
 * @GST_TERN_TIMESTAMPS_ARRIVAL: text has the time of the newest frame that was
 *   seen when it was ready: what an overlay on live video needs
 */
typedef enum {
  GST_TERN_TIMESTAMPS_AUTO,
  GST_TERN_TIMESTAMPS_WINDOW,
  GST_TERN_TIMESTAMPS_ARRIVAL,
} GstTernTimestamps;

/**
 * GstTernAttachMode:
 * @GST_TERN_ATTACH_AUTO: newest behind a live source, otherwise window
 * @GST_TERN_ATTACH_NEWEST: frames pass at once with the newest finished result
 * @GST_TERN_ATTACH_WINDOW: frames wait for the result of their own window
 */
typedef enum {
  GST_TERN_ATTACH_AUTO,
  GST_TERN_ATTACH_NEWEST,
  GST_TERN_ATTACH_WINDOW,
} GstTernAttachMode;

#define GST_TYPE_TERN_SCALING (gst_tern_scaling_get_type ())
GType gst_tern_scaling_get_type (void);
#define GST_TYPE_TERN_GATE (gst_tern_gate_get_type ())
GType gst_tern_gate_get_type (void);
#define GST_TYPE_TERN_METHOD (gst_tern_method_get_type ())
GType gst_tern_method_get_type (void);
#define GST_TYPE_TERN_REUSE (gst_tern_reuse_get_type ())
GType gst_tern_reuse_get_type (void);
#define GST_TYPE_TERN_PRUNE_GATE (gst_tern_prune_gate_get_type ())
GType gst_tern_prune_gate_get_type (void);
#define GST_TYPE_TERN_KV_TYPE (gst_tern_kv_type_get_type ())
GType gst_tern_kv_type_get_type (void);
#define GST_TYPE_TERN_MEMORY (gst_tern_memory_get_type ())
GType gst_tern_memory_get_type (void);
#define GST_TYPE_TERN_DRAFT_VOCABULARY (gst_tern_draft_vocabulary_get_type ())
GType gst_tern_draft_vocabulary_get_type (void);
#define GST_TYPE_TERN_LEAKY (gst_tern_leaky_get_type ())
GType gst_tern_leaky_get_type (void);
#define GST_TYPE_TERN_TIMESTAMPS (gst_tern_timestamps_get_type ())
GType gst_tern_timestamps_get_type (void);
#define GST_TYPE_TERN_PARTIAL (gst_tern_partial_get_type ())
GType gst_tern_partial_get_type (void);
#define GST_TYPE_TERN_ATTACH_MODE (gst_tern_attach_mode_get_type ())
GType gst_tern_attach_mode_get_type (void);

G_END_DECLS
