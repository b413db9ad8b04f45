/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tools/caption-inputs.h"

#include <string.h>

#include "tools/tool.h"

#define DEPTH_MAX 64

static const char *const suffixes[] = {
  "jpg", "jpeg", "png", "webp", "bmp", "gif", "tif", "tiff", "ppm", "pgm", "avif",
  "mp4", "m4v", "mov", "mkv", "webm", "avi", "mpg", "mpeg", "ts", "m2ts", "mts", "flv", "ogv", "wmv", "3gp", "y4m",
  "h264", "h265", "hevc", "mjpeg", "mjpg", "mxf",
};

static gboolean
is_media_name (const char *name)
{
  const char *dot = strrchr (name, '.');

  if (!dot || name[0] == '.')
    return FALSE;
  for (guint i = 0; i < G_N_ELEMENTS (suffixes); i++)
    if (g_ascii_strcasecmp (dot + 1, suffixes[i]) == 0)
      return TRUE;
  return FALSE;
}

static int
by_name (const void *a, const void *b)
{
  return strcmp (*(const char *const *) a, *(const char *const *) b);
}

static gboolean
add_folder (GPtrArray *files, const char *path, guint depth)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GDir) folder = g_dir_open (path, 0, &error);
  g_autoptr (GPtrArray) names = g_ptr_array_new_with_free_func (g_free);
  gboolean ok = TRUE;
  const char *name;

  if (!folder) {
    tern_tool_message ("%s", error->message);
    return FALSE;
  }
  while ((name = g_dir_read_name (folder)))
    g_ptr_array_add (names, g_strdup (name));
  g_ptr_array_sort (names, by_name);
  for (guint i = 0; i < names->len; i++) {
    g_autofree char *entry = NULL;

    name = names->pdata[i];
    entry = g_build_filename (path, name, NULL);
    if (name[0] == '.')
      continue;
    if (g_file_test (entry, G_FILE_TEST_IS_DIR)) {
      /* Links to folders may lead in circles. */
      if (depth < DEPTH_MAX && !g_file_test (entry, G_FILE_TEST_IS_SYMLINK))
        ok = add_folder (files, entry, depth + 1) && ok;
    } else if (is_media_name (name)) {
      g_ptr_array_add (files, g_steal_pointer (&entry));
    }
  }
  return ok;
}

GPtrArray *
tern_caption_inputs (char **operands, guint *failed)
{
  GPtrArray *files = g_ptr_array_new_with_free_func (g_free);

  for (; *operands; operands++) {
    guint before = files->len;

    if (!g_file_test (*operands, G_FILE_TEST_IS_DIR)) {
      g_ptr_array_add (files, g_strdup (*operands));
      continue;
    }
    if (!add_folder (files, *operands, 0)) {
      ++*failed;
    } else if (files->len == before) {
      tern_tool_message ("%s: expected pictures or videos in this folder, found none", *operands);
      ++*failed;
    }
  }
  return files;
}
