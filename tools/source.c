/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tools/source.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <glib/gstdio.h>

#include "engine/base/log.h"
#include "tern/error.h"

#define HEAD_BYTES (256 << 10)  /* of a stream that may be looked at more than once */
#define SPOOL_BYTES (G_GUINT64_CONSTANT (16) << 30)     /* a stream without end shall not fill the disk */
#define SILENT_MS 1000          /* of a named pipe, until that is said */
#define LOOK_MS 100             /* whether waiting shall end */

struct _TernSource {
  TernSourceKind kind;
  char *name, *url;
  int fd;                       /* -1: none */
  guint64 size, position;
  guint64 base, whole;          /* where in the file the bytes begin, and how many it has */
  GBytes *bytes;                /* of memory; NULL: a file or stream */
  guint8 *head;                 /* of a stream */
  gsize n_head;
  const gint *stop;             /* no longer 0: nobody wants to wait */
};

static gboolean
fail (const TernSource *source, TernErrorCode code, const char *found, GError **error)
{
  g_set_error (error, TERN_ERROR, code, "%s: expected a picture or video, found %s", source->name, found);
  return FALSE;
}

static gboolean
fail_errno (const TernSource *source, int errsv, GError **error)
{
  g_set_error (error, TERN_ERROR, errsv == ENOENT || errsv == ENOTDIR ? TERN_ERROR_NOT_FOUND : TERN_ERROR_READ,
      "%s: expected a picture or video, found that it cannot be read: %s", source->name, g_strerror (errsv));
  return FALSE;
}

gboolean
tern_source_is_address (const char *input)
{
  const char *p = input;

  if (!g_ascii_isalpha (*p))
    return FALSE;
  while (g_ascii_isalnum (*p) || (*p && strchr ("+.-", *p)))
    p++;
  return g_str_has_prefix (p, "://") && !g_file_test (input, G_FILE_TEST_EXISTS);
}

char *
tern_source_public_name (const char *input)
{
  const char *host, *at;

  if (!tern_source_is_address (input))
    return g_strdup (input);
  host = strstr (input, "://") + 3;
  at = g_strrstr_len (host, strcspn (host, "/?#"), "@");
  return at ? g_strdup_printf ("%.*s%s", (int) (host - input), input, at + 1) : g_strdup (input);
}

char *
tern_source_bytes (const char *name)
{
  gboolean plain = g_utf8_validate (name, -1, NULL) && !strstr (name, "\357\277\275");      /* what JSON has in their place */

  return plain ? NULL : g_uri_escape_bytes ((const guint8 *) name, strlen (name), "/");
}

/* As read(), which cannot be asked to stop waiting. */
static gssize
read_stream (TernSource *source, void *to, gsize n)
{
  struct pollfd pipe = { .fd = source->fd, .events = POLLIN };
  gssize got;

  while (source->stop && (g_atomic_int_get (source->stop) || poll (&pipe, 1, LOOK_MS) <= 0)) {
    if (!g_atomic_int_get (source->stop))
      continue;
    errno = ECANCELED;
    return -1;
  }
  do
    got = read (source->fd, to, n);
  while (got < 0 && errno == EINTR);
  return got;
}

/* What a pipe gives at once may be little: the formats are told by more. */
static gboolean
fill_head (TernSource *source, GError **error)
{
  source->head = g_malloc (HEAD_BYTES);
  while (source->n_head < HEAD_BYTES) {
    gssize n = read_stream (source, source->head + source->n_head, HEAD_BYTES - source->n_head);

    if (n < 0)
      return fail_errno (source, errno, error);
    if (n == 0) {
      source->size = source->n_head;
      return source->size > 0 || fail (source, TERN_ERROR_FORMAT, "nothing", error);
    }
    source->n_head += n;
    if (source->n_head >= 4096 && n < 4096)     /* a camera: do not wait for seconds of it */
      break;
  }
  return TRUE;
}

/* Who forgot to start the other end of a named pipe is told; it may come late. */
static void
wait_for_writer (const TernSource *source)
{
  struct pollfd pipe = { .fd = source->fd, .events = POLLIN };

  if (poll (&pipe, 1, SILENT_MS) == 0) {
    tern_log (TERN_LOG_WARNING, "%s: a pipe that nothing comes from: waiting for its writer", source->name);
    while (!(source->stop && g_atomic_int_get (source->stop)) && poll (&pipe, 1, LOOK_MS) <= 0);
  }
  fcntl (source->fd, F_SETFL, fcntl (source->fd, F_GETFL) & ~O_NONBLOCK);
}

static gboolean
open_file (TernSource *source, const char *path, GError **error)
{
  struct stat info;
  gboolean standard = g_str_equal (path, "-"), pipe = !standard && stat (path, &info) == 0 && S_ISFIFO (info.st_mode);

  source->fd = standard ? fcntl (STDIN_FILENO, F_DUPFD_CLOEXEC, 3) : open (path, O_RDONLY | O_CLOEXEC | (pipe ? O_NONBLOCK : 0));
  if (source->fd < 0 || fstat (source->fd, &info) < 0)
    return fail_errno (source, errno, error);
  if (S_ISDIR (info.st_mode))
    return fail (source, TERN_ERROR_FORMAT, "a folder", error);
  if (!S_ISREG (info.st_mode)) {
    source->kind = TERN_SOURCE_STREAM;
    if (pipe)
      wait_for_writer (source);
    return fill_head (source, error);
  }
  source->size = info.st_size;
  if (source->size == 0)
    return fail (source, TERN_ERROR_FORMAT, "an empty file", error);
  if (!standard)
    source->url = g_strconcat ("file:", path, NULL);    /* a name with a colon is no protocol */
  return TRUE;
}

/* A file that is open already, or stands in memory. */
static gboolean
take_fd (TernSource *source, const char *name, int fd, GError **error)
{
  struct stat info;

  source->name = g_strdup (name);
  source->fd = fcntl (fd, F_DUPFD_CLOEXEC, 3);
  if (source->fd < 0 || fstat (source->fd, &info) < 0)
    return fail_errno (source, errno, error);
  source->size = info.st_size;
  return source->size > 0 || fail (source, TERN_ERROR_FORMAT, "an empty file", error);
}

TernSource *
tern_source_open (const char *input, gboolean allow_network, GError **error)
{
  return tern_source_open_full (input, allow_network, -1, NULL, error);
}

TernSource *
tern_source_open_full (const char *input, gboolean allow_network, int fd, const gint *stop, GError **error)
{
  g_autoptr (TernSource) source = g_new0 (TernSource, 1);
  g_autofree char *local = NULL;

  source->fd = -1;
  source->size = G_MAXUINT64;
  source->stop = stop;
  if (fd >= 0)
    return take_fd (source, input, fd, error) ? g_steal_pointer (&source) : NULL;
  if (tern_source_is_address (input) && g_ascii_strncasecmp (input, "file://", 7) != 0) {
    source->kind = TERN_SOURCE_ADDRESS;
    source->name = tern_source_public_name (input);
    source->url = g_strdup (input);
    if (!allow_network) {
      g_set_error (error, TERN_ERROR, TERN_ERROR_INVALID, "%s: expected a file, found an address; --allow-network opens it",
          source->name);
      return NULL;
    }
    return g_steal_pointer (&source);
  }
  if (tern_source_is_address (input))
    local = g_filename_from_uri (input, NULL, NULL);
  source->name = g_strdup (g_str_equal (input, "-") ? "standard input" : local ? local : input);
  return open_file (source, local ? local : input, error) ? g_steal_pointer (&source) : NULL;
}

TernSource *
tern_source_new_bytes (GBytes *bytes, const char *name, GError **error)
{
  g_autoptr (TernSource) source = g_new0 (TernSource, 1);

  source->fd = -1;
  source->name = g_strdup (name);
  source->size = g_bytes_get_size (bytes);
  source->bytes = g_bytes_ref (bytes);
  return source->size > 0 || fail (source, TERN_ERROR_FORMAT, "nothing", error) ? g_steal_pointer (&source) : NULL;
}

void
tern_source_free (TernSource *source)
{
  if (!source)
    return;
  if (source->fd >= 0)
    close (source->fd);
  g_clear_pointer (&source->bytes, g_bytes_unref);
  g_free (source->head);
  g_free (source->name);
  g_free (source->url);
  g_free (source);
}

TernSourceKind
tern_source_kind (const TernSource *source)
{
  return source->kind;
}

const char *
tern_source_name (const TernSource *source)
{
  return source->name;
}

const char *
tern_source_url (const TernSource *source)
{
  return source->url;
}

guint64
tern_source_size (const TernSource *source)
{
  return source->size;
}

gsize
tern_source_read (const TernSource *source, guint64 offset, void *to, gsize n)
{
  gsize done = 0;

  if (source->kind == TERN_SOURCE_STREAM) {
    if (offset >= source->n_head)
      return 0;
    done = MIN (n, source->n_head - offset);
    memcpy (to, source->head + offset, done);
    return done;
  }
  if (source->bytes) {
    if (offset >= source->size)
      return 0;
    done = MIN (n, source->size - offset);
    memcpy (to, (const guint8 *) g_bytes_get_data (source->bytes, NULL) + source->base + offset, done);
    return done;
  }
  while (source->fd >= 0 && done < n && offset + done < source->size) {
    gssize got = pread (source->fd, (guint8 *) to + done, MIN (n - done, source->size - offset - done),
        source->base + offset + done);

    if (got < 0 && errno == EINTR)
      continue;
    if (got <= 0)
      break;
    done += got;
  }
  return done;
}

gssize
tern_source_take (TernSource *source, void *to, gsize n)
{
  gssize got;

  if (source->kind == TERN_SOURCE_FILE || source->position < source->n_head) {
    got = tern_source_read (source, source->position, to, n);
  } else {
    got = read_stream (source, to, n);
    if (got < 0)
      return -errno;
  }
  source->position += got;
  return got;
}

gboolean
tern_source_seek (TernSource *source, guint64 offset)
{
  if (source->kind != TERN_SOURCE_FILE)
    return FALSE;
  source->position = offset;
  return TRUE;
}

void
tern_source_narrow (TernSource *source, guint64 offset, guint64 size)
{
  if (!source->whole)
    source->whole = source->size;
  g_return_if_fail (source->kind == TERN_SOURCE_FILE && offset <= source->whole);
  source->base = offset;
  source->size = MIN (size, source->whole - offset);
  source->position = 0;
  g_clear_pointer (&source->url, g_free);       /* libavformat must not see the others */
}

/* Writes all of @block. */
static gboolean
put (int fd, const guint8 *block, gsize n)
{
  while (n) {
    gssize done = write (fd, block, n);

    if (done < 0 && errno == EINTR)
      continue;
    if (done <= 0)
      return FALSE;
    block += done;
    n -= done;
  }
  return TRUE;
}

gboolean
tern_source_spool (TernSource *source, GError **error)
{
  g_autofree guint8 *block = g_malloc (HEAD_BYTES);
  g_autofree char *path = NULL;
  guint64 size = 0;
  gssize n;
  int fd = g_file_open_tmp ("tern-XXXXXX", &path, NULL);

  if (fd < 0)
    return fail_errno (source, errno, error);
  g_unlink (path);
  while ((n = tern_source_take (source, block, HEAD_BYTES)) > 0) {
    if (!put (fd, block, n)) {
      n = -errno;
      break;
    }
    size += n;
    if (size > SPOOL_BYTES)
      n = -EFBIG;
    if (n < 0)
      break;
  }
  if (n < 0) {
    close (fd);
    return fail_errno (source, -n, error);
  }
  close (source->fd);
  g_clear_pointer (&source->head, g_free);
  source->fd = fd;
  source->kind = TERN_SOURCE_FILE;
  source->size = size;
  source->position = source->n_head = 0;
  return TRUE;
}
