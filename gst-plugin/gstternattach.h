/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <gst/gst.h>

G_BEGIN_DECLS

#define GST_TYPE_TERN_ATTACH (gst_tern_attach_get_type ())
G_DECLARE_FINAL_TYPE (GstTernAttach, gst_tern_attach, GST,
    TERN_ATTACH, GstElement)

GST_ELEMENT_REGISTER_DECLARE (ternattach);

/* Properties that terncaption has too, with the ids @first and up; returns the
 * id after the last. */
guint gst_tern_attach_install_properties (GObjectClass * klass, guint first);

/* Whether the end of video waits for that of text, until which there may be
 * answers. It must not where text comes of what follows the video on the same
 * thread, or where who takes text waits for the end of the video. */
void gst_tern_attach_set_keep_eos (GstTernAttach * self, gboolean keep);

G_END_DECLS
