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

G_END_DECLS
