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

/* Compressed ones, as libarchive reads them, and those of before ustar, which have no mark. */
static const char *const suffixes[] = {
  ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz", ".tar.zst", ".tzst", ".tar.lz4",
};

static gboolean
has_tar_name (const char *path)
{
  for (guint i = 0; i < G_N_ELEMENTS (suffixes); i++)
    if (g_str_has_suffix (path, suffixes[i]))
      return TRUE;
  return FALSE;
}

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
  return g_str_equal (magic, "ustar") || has_tar_name (path);
}

#ifdef TERN_LIBARCHIVE

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
member_bytes (const char *path, struct archive *archive, GError **error)
{
  int fd = memfd_create ("tern-member", MFD_CLOEXEC);

  if (fd < 0) {
    g_set_error (error, TERN_ERROR, TERN_ERROR_NO_SPACE, "%s: no memory for a member: %s", path, g_strerror (errno));
  } else if (archive_read_data_into_fd (archive, fd) != ARCHIVE_OK) {
    fail (path, archive, error);
    close (fd);
    fd = -1;
  }
  return fd;
}

/* FALSE: an error, or nobody wants more. */
static gboolean
take_member (const char *path, struct archive *archive, struct archive_entry *entry, const TernBatchTarReader *reader, GError **error)
{
  const char *link = archive_entry_hardlink (entry);
  const char *name = link || archive_entry_filetype (entry) == AE_IFREG ? archive_entry_pathname (entry) : NULL;
  guint64 bytes = MAX (archive_entry_size (entry), 0);
  gboolean fits = TRUE;
  int fd;

  if (!name || !reader->wants (name, bytes > 0 ? NULL : link, reader->data))    /* pax: a link may have the bytes too */
    return TRUE;
  if (!reader->room (bytes, &fits, reader->data))
    return FALSE;
  if (!fits) {
    reader->too_large (name, bytes, reader->data);
    return TRUE;
  }
  fd = member_bytes (path, archive, error);
  return fd >= 0 && reader->member (name, fd, reader->data);
}

static gboolean
walk (const char *path, struct archive *archive, const TernBatchTarReader *reader, GError **error)
{
  g_autoptr (GError) failure = NULL;
  struct archive_entry *entry;
  int code;

  while ((code = archive_read_next_header (archive, &entry)) == ARCHIVE_OK || code == ARCHIVE_WARN)
    if (!take_member (path, archive, entry, reader, &failure)) {
      gboolean failed = failure != NULL;

      if (failed)
        g_propagate_error (error, g_steal_pointer (&failure));
      return !failed;
    }
  return code == ARCHIVE_EOF || fail (path, archive, error);
}

gboolean
tern_batch_tar_walk (const char *path, const TernBatchTarReader *reader, GError **error)
{
  struct archive *archive = archive_read_new ();
  gboolean good;

  archive_read_support_filter_all (archive);
  archive_read_support_format_tar (archive);
  good = archive_read_open_filename (archive, path, 1 << 18) == ARCHIVE_OK ? walk (path, archive, reader, error)
      : fail (path, archive, error);
  archive_read_free (archive);
  return good;
}

#else

gboolean
tern_batch_tar_walk (const char *path, const TernBatchTarReader *reader, GError **error)
{
  g_set_error (error, TERN_ERROR, TERN_ERROR_UNSUPPORTED, "%s: expected a picture or video, found a tar file, and this program "
      "was built without libarchive", path);
  return FALSE;
}

#endif
