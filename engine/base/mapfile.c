/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "engine/base/mapfile.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/base/error.h"

static gboolean
fail (GError **error, const char *path, int errsv)
{
  g_set_error (error, TERN_ERROR, errsv == ENOENT || errsv == ENOTDIR ? TERN_ERROR_NOT_FOUND : TERN_ERROR_READ,
      "%s: %s", path, g_strerror (errsv));
  return FALSE;
}

static gboolean
map_descriptor (TernMap *map, int fd, const char *path, GError **error)
{
  struct stat st;
  void *data;

  if (fstat (fd, &st) < 0)
    return fail (error, path, errno);
  if (!S_ISREG (st.st_mode)) {
    g_set_error (error, TERN_ERROR, TERN_ERROR_READ, "%s: expected a regular file, found %s", path,
        S_ISDIR (st.st_mode) ? "a folder" : "a device, pipe or socket");
    return FALSE;
  }
  if (st.st_size == 0)
    return TRUE;
  if ((guint64) st.st_size > G_MAXSSIZE)
    return fail (error, path, EFBIG);

  data = mmap (NULL, st.st_size, PROT_READ, MAP_SHARED, fd, 0);
  if (data == MAP_FAILED)
    return fail (error, path, errno);
  map->data = data;
  map->size = st.st_size;
  return TRUE;
}

gboolean
tern_map_open (TernMap *map, const char *path, GError **error)
{
  gboolean ok;
  int fd;

  map->data = NULL;
  map->size = 0;
  fd = open (path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);       /* NONBLOCK: opening a pipe must not hang */
  if (fd < 0)
    return fail (error, path, errno);
  ok = map_descriptor (map, fd, path, error);
  close (fd);
  return ok;
}

void
tern_map_close (TernMap *map)
{
  if (map->data)
    munmap ((void *) map->data, map->size);
  map->data = NULL;
  map->size = 0;
}

void
tern_map_release (const guint8 *data, gsize bytes)
{
  guintptr page = sysconf (_SC_PAGESIZE), begin = (guintptr) data, end = begin + bytes;

  begin = (begin + page - 1) / page * page;
  end = end / page * page;
  if (begin < end)              /* advice: nothing is lost when it is not taken */
    madvise ((void *) begin, end - begin, MADV_DONTNEED);
}
