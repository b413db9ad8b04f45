/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tools/caption-tar.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tern/error.h"

#ifdef TERN_LIBARCHIVE
#include <archive.h>
#include <archive_entry.h>
#endif

#define END_BYTES 1024          /* two blocks of zeros */
#define BLOCK_BYTES (256 << 10)

char *
tern_caption_tar_key (const TernBatchInput *input)
{
  g_autofree char *name = input->folder ? g_strdup (input->key) : g_path_get_basename (input->path);
  char *file = strrchr (name, '/'), *dot;

  file = file ? file + 1 : name;
  dot = strrchr (file, '.');
  if (dot && dot != file)
    *dot = 0;
  g_strdelimit (file, ".", '_');
  return g_steal_pointer (&name);
}

gboolean
tern_caption_tar_end (FILE *tar)
{
  static const char zeros[END_BYTES];

  return fwrite (zeros, 1, END_BYTES, tar) == END_BYTES && fflush (tar) == 0;
}

#ifdef TERN_LIBARCHIVE

typedef struct {
  FILE *tar;
  int errsv;                    /* why it could not be written */
  gboolean whole;               /* the sample is: what comes is an end, and others follow */
} Sink;

gboolean
tern_caption_tar_is_there (void)
{
  return TRUE;
}

static la_ssize_t
write_bytes (struct archive *archive, void *data, const void *bytes, size_t n)
{
  Sink *sink = data;

  if (sink->whole || fwrite (bytes, 1, n, sink->tar) == n)
    return n;
  sink->errsv = errno;
  archive_set_error (archive, errno, "%s", g_strerror (errno));
  return -1;
}

static gboolean
fail (struct archive *archive, const Sink *sink, const char *key, GError **error)
{
  int errsv = sink->errsv ? sink->errsv : archive_errno (archive);

  g_set_error (error, TERN_ERROR, errsv == ENOSPC || errsv == EDQUOT || errsv == ENOMEM ? TERN_ERROR_NO_SPACE : TERN_ERROR_READ,
      "%s: expected a place in the tar file, found that it cannot be written: %s", key,
      archive_error_string (archive) ? archive_error_string (archive) : g_strerror (errsv));
  return FALSE;
}

static gboolean
add_head (struct archive *archive, const Sink *sink, const char *name, const struct stat *info, gint64 size, GError **error)
{
  struct archive_entry *entry = archive_entry_new ();
  gboolean good;

  archive_entry_set_pathname (entry, name);
  archive_entry_set_filetype (entry, AE_IFREG);
  archive_entry_set_perm (entry, 0644);
  archive_entry_set_size (entry, size);
  archive_entry_set_mtime (entry, info->st_mtime, 0);   /* the same bytes whenever it is written */
  good = archive_write_header (archive, entry) >= ARCHIVE_WARN || fail (archive, sink, name, error);
  archive_entry_free (entry);
  return good;
}

/* Just as many bytes as were announced: files grow while they are read. */
static gboolean
add_bytes (struct archive *archive, const Sink *sink, const char *source, int fd, gint64 size, GError **error)
{
  g_autofree char *block = g_malloc (BLOCK_BYTES);

  for (gint64 at = 0; at < size;) {
    gssize n = pread (fd, block, MIN (BLOCK_BYTES, size - at), at);

    if (n < 0 && errno == EINTR)
      continue;
    if (n <= 0) {
      g_set_error (error, TERN_ERROR, TERN_ERROR_READ, "%s: expected %" G_GINT64_FORMAT " bytes, found %" G_GINT64_FORMAT "%s%s",
          source, size, at, n < 0 ? ": " : "", n < 0 ? g_strerror (errno) : "");
      return FALSE;
    }
    if (archive_write_data (archive, block, n) != n)
      return fail (archive, sink, source, error);
    at += n;
  }
  return archive_write_finish_entry (archive) >= ARCHIVE_WARN || fail (archive, sink, source, error);
}

static gboolean
add_text (struct archive *archive, const Sink *sink, const char *name, const struct stat *info, const char *text, GError **error)
{
  gsize n = strlen (text);

  return add_head (archive, sink, name, info, n, error)
      && ((archive_write_data (archive, text, n) == (la_ssize_t) n && archive_write_finish_entry (archive) >= ARCHIVE_WARN)
      || fail (archive, sink, name, error));
}

static gboolean
add_both (struct archive *archive, const Sink *sink, const TernBatchInput *input, int fd, const char *key, const char *text,
    GError **error)
{
  const char *file = strrchr (input->path, '/'), *dot = strrchr (file ? file + 1 : input->path, '.');
  g_autofree char *suffix = g_ascii_strdown (dot && dot != file + 1 && dot[1] ? dot + 1 : "bin", -1);
  g_autofree char *media = g_strdup_printf ("%s.%s", key, suffix), *words = g_strdup_printf ("%s.txt", key);
  struct stat info;

  if (fstat (fd, &info) < 0 || !S_ISREG (info.st_mode)) {
    g_set_error (error, TERN_ERROR, TERN_ERROR_UNSUPPORTED, "%s: expected a file, whose bytes go into the tar file, found "
        "another input", input->path);
    return FALSE;
  }
  return add_head (archive, sink, media, &info, info.st_size, error)
      && add_bytes (archive, sink, input->path, fd, info.st_size, error)
      && add_text (archive, sink, words, &info, text, error);
}

gboolean
tern_caption_tar_add (FILE *tar, const TernBatchInput *input, const char *key, const char *text, GError **error)
{
  struct archive *archive = archive_write_new ();
  Sink sink = { tar, 0, FALSE };
  gboolean good;
  /* A pipe that is named would be waited for, and its bytes are gone. */
  int fd = input->fd >= 0 ? dup (input->fd) : open (input->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

  if (fd < 0) {
    g_set_error (error, TERN_ERROR, TERN_ERROR_READ, "%s: expected a file, whose bytes go into the tar file, found that it cannot "
        "be read: %s", input->path, g_strerror (errno));
    archive_write_free (archive);
    return FALSE;
  }
  archive_write_set_format_pax_restricted (archive);    /* plain ustar wherever a name fits */
  archive_write_set_bytes_per_block (archive, 0);
  good = (archive_write_open (archive, &sink, NULL, write_bytes, NULL) == ARCHIVE_OK || fail (archive, &sink, key, error))
      && add_both (archive, &sink, input, fd, key, text, error);
  close (fd);
  sink.whole = TRUE;            /* and not archive_write_fail(), after which libarchive forgets to free what it wrote through */
  archive_write_free (archive);
  if (good && fflush (tar) != 0) {
    g_set_error (error, TERN_ERROR, errno == ENOSPC || errno == EDQUOT ? TERN_ERROR_NO_SPACE : TERN_ERROR_READ,
        "%s: expected a place in the tar file, found that it cannot be written: %s", key, g_strerror (errno));
    good = FALSE;
  }
  return good;
}

#else

gboolean
tern_caption_tar_is_there (void)
{
  return FALSE;
}

gboolean
tern_caption_tar_add (FILE *tar, const TernBatchInput *input, const char *key, const char *text, GError **error)
{
  g_set_error (error, TERN_ERROR, TERN_ERROR_UNSUPPORTED, "%s: this program was built without libarchive", key);
  return FALSE;
}

#endif
