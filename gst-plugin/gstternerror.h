/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* libtern's errors as messages on the bus. */
#pragma once

#include <gst/gst.h>
#include "tern/tern.h"

G_BEGIN_DECLS

/* Posts @error as an error message of @element, with the domain and code that
 * fit. Never call it with the object lock held. CANCELLED is not an error of
 * the element and posts nothing. The text for the user is about the model, or
 * @text. */
#define gst_tern_post_error(element, error) \
  gst_tern_post_error_as (element, error, NULL)
#define gst_tern_post_error_as(element, error, text) \
  gst_tern_post_error_full ((GstElement *) (element), (error), (text), \
      __FILE__, GST_FUNCTION, __LINE__)

void gst_tern_post_error_full (GstElement * element, const GError * error,
    const gchar * text, const gchar * file, const gchar * function, gint line);

G_END_DECLS
