/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "engine/base/replace.h"

#include <sys/types.h>
#include <unistd.h>

#define MOST_LINKS 40           /* as Linux follows */

/* A chain of links is followed by hand, for realpath() knows of none that ends at a file that is not there yet. */
char *
tern_replace_target (const char *path)
{
  char *target = g_strdup (path);

  for (guint i = 0; i < MOST_LINKS; i++) {
    g_autofree char *next = g_file_read_link (target, NULL);

    if (!next)
      return target;
    if (!g_path_is_absolute (next)) {
      g_autofree char *folder = g_path_get_dirname (target), *relative = g_steal_pointer (&next);

      next = g_build_filename (folder, relative, NULL);
    }
    g_free (target);
    target = g_steal_pointer (&next);
  }
  g_free (target);
  return g_strdup (path);
}

void
tern_replace_like (int fd, const char *target)
{
  struct stat st;

  if (stat (target, &st) < 0 || !S_ISREG (st.st_mode))
    return;
  /* The owner first: it takes bits of the mode away. A group that we may not give sees no more than others do. */
  if (fchown (fd, st.st_uid, st.st_gid) < 0 && fchown (fd, (uid_t) -1, st.st_gid) < 0)
    st.st_mode &= ~(mode_t) (S_IRWXG & ~(st.st_mode << 3));
  (void) !fchmod (fd, st.st_mode & 0777);
}
