/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tools/caption-twins.h"

#include <string.h>

#include "tools/batch-list.h"
#include "tools/fnv.h"

static gpointer
hash_of (const char *name)
{
  const char *dot = strrchr (name, '.');

  return GSIZE_TO_POINTER (tern_fnv (name, dot && dot != name ? (gsize) (dot - name) : strlen (name)) | 1);
}

/* A folder's inputs come one after the other: it is read once for all of them. */
static void
look_at (TernCaptionTwins *twins, const char *folder)
{
  GDir *dir;
  const char *name;

  if (g_strcmp0 (folder, twins->folder) == 0)
    return;
  tern_caption_twins_clear (twins);
  twins->folder = g_strdup (folder);
  twins->stems = g_hash_table_new (NULL, NULL);
  dir = g_dir_open (folder, 0, NULL);
  while (dir && (name = g_dir_read_name (dir)))
    if (tern_batch_has_media_name (name)) {
      gsize n = GPOINTER_TO_SIZE (g_hash_table_lookup (twins->stems, hash_of (name)));

      g_hash_table_insert (twins->stems, hash_of (name), GSIZE_TO_POINTER (n + 1));
    }
  if (dir)
    g_dir_close (dir);
}

gboolean
tern_caption_twins_have (TernCaptionTwins *twins, const char *path)
{
  g_autofree char *folder = g_path_get_dirname (path), *name = g_path_get_basename (path), *stem = g_strdup (path);

  if (!tern_batch_has_media_name (path))
    return TRUE;
  *strrchr (stem, '.') = 0;
  look_at (twins, folder);
  return GPOINTER_TO_SIZE (g_hash_table_lookup (twins->stems, hash_of (name))) > 1 || g_file_test (stem, G_FILE_TEST_IS_REGULAR);
}

void
tern_caption_twins_clear (TernCaptionTwins *twins)
{
  g_clear_pointer (&twins->folder, g_free);
  g_clear_pointer (&twins->stems, g_hash_table_unref);
}
