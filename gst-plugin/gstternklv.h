/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A result as a KLV local set (SMPTE ST 336) under a key of our own. docs/klv.md
 * has the key and the tags. */
#pragma once

#include <gst/gst.h>

G_BEGIN_DECLS

/* What a packet in an MPEG transport stream can say its length of. */
#define GST_TERN_KLV_MAX 65000

/* The packet of a structure with the fields of the result table; NULL with
 * @error when it is none, or too long. */
GstBuffer *gst_tern_klv_encode (const GstStructure * result, GError ** error);

G_END_DECLS
