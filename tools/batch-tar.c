/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tools/batch-tar.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tern/error.h"

#ifdef TERN_LIBARCHIVE
#include <archive.h>
#include <archive_entry.h>
#endif

#define MAGIC_AT 257            /* POSIX.1-1988 ustar, and GNU's */

gboolean
tern_batch_is_tar (const char *path)
{
  char magic[6] = "";
  struct stat info;
  int fd;

  if (stat (path, &info) < 0 || !S_ISREG (info.st_mode) || (fd = open (path, O_RDONLY | O_CLOEXEC)) < 0)
    return FALSE;
  if (pread (fd, magic, 5, MAGIC_AT) != 5)
    magic[0] = 0;
  close (fd);
  return g_str_equal (magic, "ustar") || g_str_has_suffix (path, ".tar.gz") || g_str_has_suffix (path, ".tgz")
      || g_str_has_suffix (path, ".tar.zst") || g_str_has_suffix (path, ".tar.xz");
}

#ifdef TERN_LIBARCHIVE

#define MEMBER_BYTES_MAX (G_GINT64_CONSTANT (4) << 30)  /* they stand in memory */

static gboolean
fail (const char *path, struct archive *archive, GError **error)
{
  int code = archive_errno (archive);

  g_set_error (error, TERN_ERROR, code == ENOMEM || code == ENOSPC ? TERN_ERROR_NO_SPACE
      : code > 0 && code < 4096 ? TERN_ERROR_READ : TERN_ERROR_FORMAT,
      "%s: expected a whole tar file, found that it breaks off after %" G_GINT64_FORMAT " bytes: %s", path,
      (gint64) archive_filter_bytes (archive, -1), archive_error_string (archive) ? archive_error_string (archive) : "damaged");
  return FALSE;
}

static int
member_bytes (const char *path, struct archive *archive, struct archive_entry *entry, GError **error)
{
  int fd;

  if (archive_entry_size (entry) > MEMBER_BYTES_MAX) {
    g_set_error (error, TERN_ERROR, TERN_ERROR_UNSUPPORTED, "%s: %s: expected at most 4 GiB in a member, found %" G_GINT64_FORMAT
        " bytes", path, archive_entry_pathname (entry), (gint64) archive_entry_size (entry));
    return -1;
  }
  fd = memfd_create ("tern-member", MFD_CLOEXEC);
  if (fd < 0) {
    g_set_error (error, TERN_ERROR, TERN_ERROR_NO_SPACE, "%s: no memory for a member: %s", path, g_strerror (errno));
  } else if (archive_read_data_into_fd (archive, fd) != ARCHIVE_OK) {
    fail (path, archive, error);
    close (fd);
    fd = -1;
  }
  return fd;
}

static gboolean
walk (const char *path, struct archive *archive, TernBatchTarFunc func, void *data, GError **error)
{
  struct archive_entry *entry;
  int code, fd;

  while ((code = archive_read_next_header (archive, &entry)) == ARCHIVE_OK || code == ARCHIVE_WARN) {
    if (archive_entry_filetype (entry) != AE_IFREG || !archive_entry_pathname (entry))
      continue;
    fd = member_bytes (path, archive, entry, error);
    if (fd < 0)
      return FALSE;
    if (!func (archive_entry_pathname (entry), fd, data))
      return TRUE;
  }
  return code == ARCHIVE_EOF || fail (path, archive, error);
}

gboolean
tern_batch_tar_walk (const char *path, TernBatchTarFunc func, void *data, GError **error)
{
  struct archive *archive = archive_read_new ();
  gboolean good;

  archive_read_support_filter_all (archive);
  archive_read_support_format_tar (archive);
  good = archive_read_open_filename (archive, path, 1 << 18) == ARCHIVE_OK ? walk (path, archive, func, data, error)
      : fail (path, archive, error);
  archive_read_free (archive);
  return good;
}

#else

gboolean
tern_batch_tar_walk (const char *path, TernBatchTarFunc func, void *data, GError **error)
{
  g_set_error (error, TERN_ERROR, TERN_ERROR_UNSUPPORTED, "%s: expected a picture or video, found a tar file, and this program "
      "was built without libarchive", path);
  return FALSE;
}

#endif
