/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "engine/base/readfile.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "tern/error.h"

#define FIRST 4096              /* bytes of the first piece of what does not say how long it is */

static void
fail (GError **error, const char *path, int errsv)
{
  gboolean missing = errsv == ENOENT || errsv == ENOTDIR;

  /* ENXIO: a socket; or a pipe, had it been opened for writing. */
  if (errsv == ENXIO)
    g_set_error (error, TERN_ERROR, TERN_ERROR_READ, "%s: expected a regular file, found a socket or device", path);
  else
    g_set_error (error, TERN_ERROR, missing ? TERN_ERROR_NOT_FOUND : TERN_ERROR_READ, "%s: %s", path,
        g_strerror (errsv));
}

static const char *
kind_of (mode_t mode)
{
  return S_ISDIR (mode) ? "a folder" : S_ISFIFO (mode) ? "a pipe" : S_ISSOCK (mode) ? "a socket" : "a device";
}

int
tern_file_open (const char *path, struct stat *st, GError **error)
{
  int fd = open (path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);   /* NONBLOCK: opening a pipe must not wait */

  if (fd < 0) {
    fail (error, path, errno);
    return -1;
  }
  if (fstat (fd, st) < 0)
    fail (error, path, errno);
  else if (!S_ISREG (st->st_mode))
    g_set_error (error, TERN_ERROR, TERN_ERROR_READ, "%s: expected a regular file, found %s", path,
        kind_of (st->st_mode));
  else
    return fd;
  close (fd);
  return -1;
}

/* @room: bytes that are expected; what comes may be less or more, up to @most. */
static char *
read_all (int fd, const char *name, gsize room, gsize most, gsize *size, GError **error)
{
  g_autofree char *text = NULL;
  gsize used = 0;

  room = MIN (room, most) + 2;  /* one to see that there is no more, one for the zero */
  for (;;) {
    gssize n;

    if (!text || used + 1 == room) {
      char *larger = g_try_realloc (text, text ? (room = MIN (2 * room, most + 2)) : room);

      if (!larger) {
        g_set_error (error, TERN_ERROR, TERN_ERROR_NO_SPACE, "%s: cannot allocate %" G_GSIZE_FORMAT " bytes", name,
            room);
        return NULL;
      }
      text = larger;
    }
    n = read (fd, text + used, room - 1 - used);
    if (n < 0 && errno == EINTR)
      continue;
    if (n < 0) {
      fail (error, name, errno);
      return NULL;
    }
    if (n == 0)
      break;
    used += n;
    if (used > most) {
      g_set_error (error, TERN_ERROR, TERN_ERROR_READ, "%s: expected at most %" G_GSIZE_FORMAT " bytes, found more",
          name, most);
      return NULL;
    }
  }
  text[used] = 0;
  if (size)
    *size = used;
  return g_steal_pointer (&text);
}

char *
tern_file_read (const char *path, gsize most, gsize *size, GError **error)
{
  struct stat st;
  int fd = tern_file_open (path, &st, error);
  char *text = NULL;

  if (fd < 0)
    return NULL;
  if ((guint64) st.st_size > most)
    g_set_error (error, TERN_ERROR, TERN_ERROR_READ, "%s: expected at most %" G_GSIZE_FORMAT " bytes, found %"
        G_GINT64_FORMAT, path, most, (gint64) st.st_size);
  else
    text = read_all (fd, path, MAX ((gsize) st.st_size, FIRST), most, size, error);     /* files in /proc say 0 */
  close (fd);
  return text;
}

char *
tern_file_read_stream (int fd, const char *name, gsize most, gsize *size, GError **error)
{
  return read_all (fd, name, FIRST, most, size, error);
}
