/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tools/output.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <glib/gstdio.h>

#include "tern/error.h"
#include "engine/base/replace.h"

struct _TernOutput {
  char *path;
  char *target;                 /* the file behind links */
  char *temp;                   /* NULL: written directly */
  int fd;
};

static gboolean
fail (GError **error, const char *path, int errsv)
{
  g_set_error (error, TERN_ERROR, errsv == ENOSPC || errsv == EDQUOT ? TERN_ERROR_NO_SPACE : TERN_ERROR_READ,
      "%s: cannot be written: %s", path, g_strerror (errsv));
  return FALSE;
}

static void
output_free (TernOutput *output)
{
  if (output->fd >= 0)
    close (output->fd);
  g_free (output->path);
  g_free (output->target);
  g_free (output->temp);
  g_free (output);
}

TernOutput *
tern_output_open (const char *path, GError **error)
{
  TernOutput *output = g_new0 (TernOutput, 1);
  struct stat st;

  output->path = g_strdup (path);
  if (g_str_equal (path, "-")) {
    output->fd = fcntl (STDOUT_FILENO, F_DUPFD_CLOEXEC, 0);
  } else if (stat (path, &st) == 0 && !S_ISREG (st.st_mode)) {
    output->fd = open (path, O_WRONLY | O_CLOEXEC);
  } else {
    g_autofree char *folder = NULL;

    output->target = tern_replace_target (path);
    folder = g_path_get_dirname (output->target);
    output->temp = g_build_filename (folder, ".tern-XXXXXX", NULL);     /* the name itself may have no room for more */
    output->fd = g_mkstemp_full (output->temp, O_WRONLY | O_CLOEXEC, 0666);     /* the umask applies */
  }
  if (output->fd < 0) {
    fail (error, path, errno);
    output_free (output);
    return NULL;
  }
  if (output->temp)
    tern_replace_like (output->fd, output->target);
  return output;
}

gboolean
tern_output_write (TernOutput *output, const void *data, gsize bytes, GError **error)
{
  const guint8 *p = data;

  while (bytes) {
    gssize n = write (output->fd, p, MIN (bytes, (gsize) 1 << 30));

    if (n < 0 && errno == EINTR)
      continue;
    if (n <= 0)
      return fail (error, output->path, n < 0 ? errno : EIO);
    p += n;
    bytes -= n;
  }
  return TRUE;
}

gboolean
tern_output_sync (TernOutput *output, GError **error)
{
  return fsync (output->fd) == 0 || errno == EINVAL || fail (error, output->path, errno);
}

gboolean
tern_output_commit (TernOutput *output, GError **error)
{
  int fd = output->fd;

  output->fd = -1;
  if (close (fd) < 0 || (output->temp && g_rename (output->temp, output->target) < 0)) {
    fail (error, output->path, errno);
    tern_output_discard (output);
    return FALSE;
  }
  output_free (output);
  return TRUE;
}

void
tern_output_discard (TernOutput *output)
{
  if (!output)
    return;
  if (output->temp)
    g_unlink (output->temp);
  output_free (output);
}

void
tern_output_sync_folder (const char *path)
{
  g_autofree char *folder = g_path_get_dirname (path);
  int fd = open (folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

  if (fd < 0)
    return;
  (void) !fsync (fd);
  close (fd);
}
