/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <gst/gst.h>
#include "tern/tern.h"

G_BEGIN_DECLS

#define GST_TYPE_TERN_ENCODER (gst_tern_encoder_get_type ())
G_DECLARE_FINAL_TYPE (GstTernEncoder, gst_tern_encoder, GST, TERN_ENCODER,
    GstElement)

GST_ELEMENT_REGISTER_DECLARE (ternencoder);

/* Properties that terncaption has too, with the ids @first and up; returns the
 * id after the last. */
guint gst_tern_encoder_install_properties (GObjectClass * klass, guint first);

/* In READY: what it is going to be limited by, opened by its properties; *@budget
 * is a reference, NULL without limit. FALSE: an ERROR was posted. */
gboolean gst_tern_encoder_open_budget (GstTernEncoder * self,
    TernBudget ** budget);

G_END_DECLS
