/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Folders that a test made. */
#pragma once

#include <glib/gstdio.h>

/* A file, or a folder with all that is in it. */
static inline void
remove_all (const char *path)
{
  GDir *dir = g_dir_open (path, 0, NULL);
  const char *name;

  while (dir && (name = g_dir_read_name (dir))) {
    g_autofree char *inside = g_build_filename (path, name, NULL);

    remove_all (inside);
  }
  g_clear_pointer (&dir, g_dir_close);
  g_assert_cmpint (g_remove (path), ==, 0);
}
