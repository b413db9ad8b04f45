/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <gst/gst.h>

G_BEGIN_DECLS

#define GST_TYPE_TERN_KLV_ENC (gst_tern_klv_enc_get_type ())
G_DECLARE_FINAL_TYPE (GstTernKlvEnc, gst_tern_klv_enc, GST, TERN_KLV_ENC,
    GstElement)

GST_ELEMENT_REGISTER_DECLARE (ternklvenc);

G_END_DECLS
