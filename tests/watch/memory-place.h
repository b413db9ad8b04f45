/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A memory in a folder of its own. */
#pragma once

#include "tests/unit/folder.h"
#include "watch/memory.h"

typedef struct {
  char *folder, *path;
  TernWatchMemory *memory;
  gint64 run;                   /* for the test to begin */
  guint64 number;
} Place;

static inline void
place_open (Place *place, gconstpointer data)
{
  g_autoptr (GError) error = NULL;

  place->folder = g_dir_make_tmp ("tern-memory-XXXXXX", NULL);
  place->path = g_build_filename (place->folder, "m.db", NULL);
  place->memory = tern_memory_open (place->path, TERN_MEMORY_WRITE, &error);
  g_assert_no_error (error);
}

static inline void
place_clear (Place *place, gconstpointer data)
{
  tern_memory_close (place->memory);
  remove_all (place->folder);
  g_free (place->path);
  g_free (place->folder);
}
