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

/* Takes the whole pages within @data of a mapped file out of this process's memory; they come back from the file when
 * they are read again. */
void tern_map_release (const guint8 *data, gsize bytes);

G_END_DECLS
