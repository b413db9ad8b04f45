/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <gst/gst.h>

G_BEGIN_DECLS

#define GST_TYPE_TERN_JSON_ENC (gst_tern_json_enc_get_type ())
G_DECLARE_FINAL_TYPE (GstTernJsonEnc, gst_tern_json_enc, GST, TERN_JSON_ENC,
    GstElement)

GST_ELEMENT_REGISTER_DECLARE (ternjsonenc);

G_END_DECLS
