/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <gst/gst.h>

G_BEGIN_DECLS

#define GST_TYPE_TERN_CAPTION (gst_tern_caption_get_type ())
G_DECLARE_FINAL_TYPE (GstTernCaption, gst_tern_caption, GST, TERN_CAPTION,
    GstBin)

GST_ELEMENT_REGISTER_DECLARE (terncaption);

G_END_DECLS
