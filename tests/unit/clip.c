/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/unit/clip.h"

#include <stdio.h>
#include <string.h>

#include <glib/gstdio.h>

void
clip_write_bytes (const char *path, const char *bytes, gsize len)
{
  FILE *file = fopen (path, "wb");      /* not synced: tests write many */

  g_assert_nonnull (file);
  g_assert_cmpuint (fwrite (bytes, 1, len, file), ==, len);
  g_assert_cmpint (fclose (file), ==, 0);
}

void
clip_write_y4m (const char *path, guint width, guint height, const char *fps, guint frames, gsize keep)
{
  g_autoptr (GString) file = g_string_new (NULL);
  gsize chroma = (gsize) ((width + 1) / 2) * ((height + 1) / 2);

  g_string_append_printf (file, "YUV4MPEG2 W%u H%u F%s Ip A1:1 C420jpeg\n", width, height, fps);
  for (guint i = 0; i < frames; i++) {
    gsize at;

    g_string_append (file, "FRAME\n");
    at = file->len;
    g_string_set_size (file, at + (gsize) width * height + 2 * chroma);
    memset (file->str + at, 16 + 8 * (i % 28), (gsize) width * height);
    memset (file->str + at + (gsize) width * height, 128, 2 * chroma);
  }
  clip_write_bytes (path, file->str, keep ? MIN (keep, file->len) : file->len);
}

void
clip_write_ppm (const char *path, guint width, guint height)
{
  g_autoptr (GString) file = g_string_new (NULL);

  g_string_append_printf (file, "P6\n%u %u\n255\n", width, height);
  for (guint y = 0; y < height; y++) {
    for (guint x = 0; x < width; x++) {
      g_string_append_c (file, x);
      g_string_append_c (file, y);
      g_string_append_c (file, (char) 128);
    }
  }
  clip_write_bytes (path, file->str, file->len);
}

void
clip_write_wav (const char *path)
{
  static const guint8 head[44] = "RIFF\x64\x06\0\0WAVEfmt \x10\0\0\0\1\0\1\0\x40\x1f\0\0\x80\x3e\0\0\2\0\x10\0data\x40\x06\0";
  char file[44 + 1600] = { 0 };

  memcpy (file, head, sizeof head);
  clip_write_bytes (path, file, sizeof file);
}

void
clip_remove_folder (const char *path)
{
  g_autoptr (GDir) dir = g_dir_open (path, 0, NULL);
  const char *name;

  while (dir && (name = g_dir_read_name (dir))) {
    g_autofree char *entry = g_build_filename (path, name, NULL);

    clip_remove_folder (entry);
  }
  g_remove (path);
}
