/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Files that elements are told of: regular ones only, and no more of them than
 * is needed. Nothing here waits for a pipe or reads a device. */
#pragma once

#include "tern/tern.h"

G_BEGIN_DECLS

/* A file that was named must exist, be readable and start like a GGUF file; a
 * folder must exist. Looks at a few bytes only, so that READY answers at
 * once. */
gboolean gst_tern_check_model_file (const gchar * path, GError ** error);

/* All of a file of at most @most bytes, and a final 0. Free with g_free. */
gboolean gst_tern_read_file (const gchar * path, gsize most, gchar ** contents,
    gsize * length, GError ** error);

G_END_DECLS
