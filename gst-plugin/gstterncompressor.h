/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <gst/gst.h>
#include "tern/tern.h"

G_BEGIN_DECLS

#define GST_TYPE_TERN_COMPRESSOR (gst_tern_compressor_get_type ())
G_DECLARE_FINAL_TYPE (GstTernCompressor, gst_tern_compressor, GST,
    TERN_COMPRESSOR, GstElement)

GST_ELEMENT_REGISTER_DECLARE (terncompressor);

/* Properties that terncaption has too, with the ids @first and up; returns the
 * id after the last. */
guint gst_tern_compressor_install_properties (GObjectClass * klass,
    guint first);

/* In READY: it is limited by @budget (or NULL), of which it takes a reference,
 * until it returns there. */
void gst_tern_compressor_set_budget (GstTernCompressor * self, TernBudget * budget);

G_END_DECLS
