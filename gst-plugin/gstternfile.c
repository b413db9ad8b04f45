/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "gstternfile.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static gboolean
set_errno (const gchar * path, int number, GError ** error)
{
  g_set_error (error, TERN_ERROR,
      number == ENOENT || number == ENOTDIR ? TERN_ERROR_NOT_FOUND :
      TERN_ERROR_READ, "%s: %s", path, g_strerror (number));
  return FALSE;
}

/* Opens a regular file. Opening does not wait, as a pipe would have it. -1 on
 * error. */
static int
open_regular (const gchar * path, struct stat *st, GError ** error)
{
  int fd = open (path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);

  if (fd < 0 || fstat (fd, st) != 0) {
    set_errno (path, errno, error);
  } else if (!S_ISREG (st->st_mode)) {
    g_set_error (error, TERN_ERROR, TERN_ERROR_READ,
        "%s: expected a regular file, found a %s", path,
        S_ISDIR (st->st_mode) ? "folder" : S_ISFIFO (st->st_mode) ? "pipe" :
        S_ISCHR (st->st_mode)
        || S_ISBLK (st->st_mode) ? "device" : "special file");
  } else {
    return fd;
  }
  if (fd >= 0)
    close (fd);
  return -1;
}

/* Reads up to @size bytes; -1 on error. */
static gssize
read_up_to (int fd, gchar * to, gsize size)
{
  gsize n = 0;

  while (n < size) {
    gssize got = read (fd, to + n, size - n);

    if (got < 0 && errno == EINTR)
      continue;
    if (got < 0)
      return -1;
    if (got == 0)
      break;
    n += got;
  }
  return n;
}

gboolean
gst_tern_check_model_file (const gchar * path, GError ** error)
{
  struct stat st;
  gchar magic[4];
  gssize n;
  int fd;

  if (stat (path, &st) != 0)
    return set_errno (path, errno, error);
  if (S_ISDIR (st.st_mode))
    return TRUE;
  fd = open_regular (path, &st, error);
  if (fd < 0)
    return FALSE;
  n = read_up_to (fd, magic, sizeof magic);
  if (n < 0)
    set_errno (path, errno, error);
  close (fd);
  if (n < 0)
    return FALSE;
  if (n != sizeof magic || memcmp (magic, "GGUF", sizeof magic) != 0) {
    g_set_error (error, TERN_ERROR, TERN_ERROR_FORMAT,
        "%s: expected a GGUF file, found %s", path,
        n < (gssize) sizeof magic ? "fewer than 4 bytes" :
        "another magic number");
    return FALSE;
  }
  return TRUE;
}

gboolean
gst_tern_read_file (const gchar * path, gsize most, gchar ** contents,
    gsize * length, GError ** error)
{
  struct stat st;
  gchar *text;
  gssize n;
  int fd;

  *contents = NULL;
  fd = open_regular (path, &st, error);
  if (fd < 0)
    return FALSE;
  text = g_malloc (most + 1);
  /* One byte more tells that there are too many. */
  n = read_up_to (fd, text, most + 1);
  if (n < 0)
    set_errno (path, errno, error);
  else if ((gsize) n > most)
    g_set_error (error, TERN_ERROR, TERN_ERROR_READ,
        "%s: expected at most %" G_GSIZE_FORMAT " bytes, found more", path,
        most);
  close (fd);
  if (n < 0 || (gsize) n > most) {
    g_free (text);
    return FALSE;
  }
  text[n] = 0;
  *length = n;
  *contents = g_realloc (text, n + 1);
  return TRUE;
}
