/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* libtern's errors as messages on the bus. */
#pragma once

#include <gst/gst.h>
#include "tern/tern.h"

G_BEGIN_DECLS

/* Posts @error as an error message of @element, with the domain and code that
 * fit. Never call it with the object lock held. CANCELLED is not an error of the
 * element and posts nothing. */
#define gst_tern_post_error(element, error) \
  gst_tern_post_error_full ((GstElement *) (element), (error), __FILE__, \
      GST_FUNCTION, __LINE__)

void gst_tern_post_error_full (GstElement * element, const GError * error,
    const gchar * file, const gchar * function, gint line);

/* A file that was named must exist, be readable and start like a GGUF file; a
 * folder must exist. Looks at a few bytes only, so that READY answers at once. */
gboolean gst_tern_check_model_file (const gchar * path, GError ** error);

G_END_DECLS
