/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What can be told of a pipeline by walking its pads. */
#pragma once

#include <gst/gst.h>

G_BEGIN_DECLS

/* The pads that data go to from @pad, or come to it from, on the other side of
 * its element or bin: GstPad, owned by the array. */
GPtrArray *gst_tern_linked_inside (GstPad * pad);

/* Asks upstream of @sinkpad whether it is live; while nobody there can answer
 * yet, its sources. */
gboolean gst_tern_upstream_is_live (GstPad * sinkpad);
/* Whether what comes to @a and to @b has been through one pad further up, so that
 * streams begin and end on both sides. */
gboolean gst_tern_upstream_is_shared (GstPad * a, GstPad * b);
/* Nothing comes to @sinkpad: whether that may be because another stream of the
 * same source is full. A queue of that is at its limit, and those on the way here
 * are empty. */
gboolean gst_tern_upstream_is_full (GstPad * sinkpad);

G_END_DECLS
