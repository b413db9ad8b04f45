/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "gstternfile.h"

#include <errno.h>
#include <string.h>
#include <glib/gstdio.h>

static gboolean
set_errno (const gchar * path, int number, GError ** error)
{
  g_set_error (error, TERN_ERROR,
      number == ENOENT || number == ENOTDIR ? TERN_ERROR_NOT_FOUND :
      TERN_ERROR_READ, "%s: %s", path, g_strerror (number));
  return FALSE;
}

/* A pipe that is opened may wait for its writer, a device has no end. */
static gboolean
stat_regular (const gchar * path, GStatBuf * st, GError ** error)
{
  if (g_stat (path, st) != 0)
    return set_errno (path, errno, error);
  if (S_ISREG (st->st_mode))
    return TRUE;
  g_set_error (error, TERN_ERROR, TERN_ERROR_READ,
      "%s: expected a regular file, found a %s", path,
      S_ISDIR (st->st_mode) ? "folder" : S_ISFIFO (st->st_mode) ? "pipe" :
      S_ISCHR (st->st_mode) || S_ISBLK (st->st_mode) ? "device" :
      "special file");
  return FALSE;
}

gboolean
gst_tern_check_model_file (const gchar * path, GError ** error)
{
  GStatBuf st;
  gchar magic[4];
  FILE *file;
  int failed;
  gsize n;

  if (g_file_test (path, G_FILE_TEST_IS_DIR))
    return TRUE;
  if (!stat_regular (path, &st, error))
    return FALSE;
  file = g_fopen (path, "rbe");
  if (!file)
    return set_errno (path, errno, error);
  n = fread (magic, 1, sizeof magic, file);
  failed = ferror (file) ? errno : 0;
  fclose (file);
  if (failed)
    return set_errno (path, failed, error);
  if (n == sizeof magic && memcmp (magic, "GGUF", sizeof magic) == 0)
    return TRUE;
  g_set_error (error, TERN_ERROR, TERN_ERROR_FORMAT,
      "%s: expected a GGUF file, found %s", path, n < sizeof magic ?
      "fewer than 4 bytes" : "another magic number");
  return FALSE;
}

gboolean
gst_tern_read_file (const gchar * path, gsize most, gchar ** contents,
    gsize * length, GError ** error)
{
  GError *reason = NULL;
  GStatBuf st;

  *contents = NULL;
  if (!stat_regular (path, &st, error))
    return FALSE;
  if (st.st_size >= 0 && (guint64) st.st_size > most) {
    g_set_error (error, TERN_ERROR, TERN_ERROR_READ,
        "%s: expected at most %" G_GSIZE_FORMAT " bytes, found %"
        G_GUINT64_FORMAT, path, most, (guint64) st.st_size);
    return FALSE;
  }
  if (g_file_get_contents (path, contents, length, &reason))
    return TRUE;
  g_set_error (error, TERN_ERROR, TERN_ERROR_READ, "%s", reason->message);
  g_error_free (reason);
  return FALSE;
}
