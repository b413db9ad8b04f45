/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Results in the words of GStreamer's analytics library, where there is one
 * (1.24): what other elements understand without knowing us.
 *
 * A closed set of labels is a GstAnalyticsClsMtd. Actions are a tensor `actions`
 * in a GstTensorMeta (1.26). Text is a GstAnalyticsTextMtd where the library has
 * it (1.30), and otherwise nothing but TernResultMeta: it must never become a
 * GQuark, which stays for as long as the process lives. */
#pragma once

#include <gst/gst.h>

G_BEGIN_DECLS

#ifdef TERN_HAVE_ANALYTICS
/* @buffer must be writable. */
void gst_tern_buffer_add_analytics (GstBuffer * buffer,
    const GstStructure * result);
#else
static inline void
gst_tern_buffer_add_analytics (GstBuffer * buffer, const GstStructure * result)
{
}
#endif

G_END_DECLS
