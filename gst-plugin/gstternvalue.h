/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Arrays in values, of properties, requests and results. */
#pragma once

#include <gst/gst.h>

G_BEGIN_DECLS

/* The strings of an array or list of them, or of a GStrv; FALSE + error when it
 * is none. An empty one is NULL in *@strings. */
gboolean gst_tern_strings_from_value (const GValue * value, const gchar * name,
    gchar *** strings, GError ** error);
/* Appends @strings (or NULL) to an array. */
void gst_tern_strings_to_value (const gchar * const *strings, GValue * value);

/* The array @name of values of @type; NULL when it is not there or has others. */
const GValue *gst_tern_structure_get_array (const GstStructure * structure,
    const gchar * name, GType type);

G_END_DECLS
