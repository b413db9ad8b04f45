/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A whole file mapped read-only. Pages are shared between processes. */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

typedef struct {
  const guint8 *data;           /* NULL for an empty file */
  gsize size;                   /* bytes */
} TernMap;

/* Errors: NOT_FOUND, READ (also for folders and devices); the message names @path. */
gboolean tern_map_open (TernMap *map, const char *path, GError **error);
void tern_map_close (TernMap *map);

G_END_DECLS
