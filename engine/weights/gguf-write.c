/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "engine/weights/gguf-write.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tern/error.h"
#include "engine/base/mapfile.h"
#include "engine/base/replace.h"

#define MODE 0666               /* what the umask leaves of it */
#define NAME_TRIES 100
#define COPY_BYTES ((gsize) 4 << 20)    /* between two writes */

struct _TernGgufWriter {
  guint32 alignment;
  guint64 n_keys;
  GByteArray *keys, *infos;
  GArray *sizes;                /* [tensor] gsize bytes */
  guint64 data_bytes;           /* of all tensors, padded */

  int fd;                       /* -1: not begun */
  gboolean borrowed;            /* the descriptor is the caller's, and so is the file's name */
  char *path;                   /* as it was named */
  char *target;                 /* and the file behind its links */
  char *temporary;              /* name of the file in the making, beside @target; NULL while it has none */
  guint tensor;                 /* that is being written */
  gsize left;                   /* bytes that it lacks */
};

TernGgufWriter *
tern_gguf_writer_new (guint32 alignment)
{
  TernGgufWriter *writer = g_new0 (TernGgufWriter, 1);

  writer->alignment = alignment;
  writer->keys = g_byte_array_new ();
  writer->infos = g_byte_array_new ();
  writer->sizes = g_array_new (FALSE, FALSE, sizeof (gsize));
  writer->fd = -1;
  return writer;
}

void
tern_gguf_writer_free (TernGgufWriter *writer)
{
  if (!writer)
    return;
  if (writer->fd >= 0 && !writer->borrowed)
    close (writer->fd);
  if (writer->temporary)
    unlink (writer->temporary);
  g_byte_array_unref (writer->keys);
  g_byte_array_unref (writer->infos);
  g_array_unref (writer->sizes);
  g_free (writer->path);
  g_free (writer->target);
  g_free (writer->temporary);
  g_free (writer);
}

/* ---- Directory --------------------------------------------------------------------------------------------------- */

static void
put_u32 (GByteArray *to, guint32 v)
{
  v = GUINT32_TO_LE (v);
  g_byte_array_append (to, (const guint8 *) &v, sizeof v);
}

static void
put_u64 (GByteArray *to, guint64 v)
{
  v = GUINT64_TO_LE (v);
  g_byte_array_append (to, (const guint8 *) &v, sizeof v);
}

static void
put_string (GByteArray *to, const char *text)
{
  put_u64 (to, strlen (text));
  g_byte_array_append (to, (const guint8 *) text, strlen (text));
}

static guint64
padded (const TernGgufWriter *writer, guint64 bytes)
{
  return (bytes + writer->alignment - 1) / writer->alignment * writer->alignment;
}

void
tern_gguf_writer_copy_key (TernGgufWriter *writer, TernBytes record)
{
  g_byte_array_append (writer->keys, (const guint8 *) record.data, record.len);
  writer->n_keys++;
}

static void
put_key (TernGgufWriter *writer, const char *key, TernGgufType type)
{
  put_string (writer->keys, key);
  put_u32 (writer->keys, type);
  writer->n_keys++;
}

static void
put_array (TernGgufWriter *writer, const char *key, TernGgufType type, gsize n)
{
  put_key (writer, key, TERN_GGUF_ARRAY);
  put_u32 (writer->keys, type);
  put_u64 (writer->keys, n);
}

static void
put_f32 (GByteArray *to, float v)
{
  guint32 bits;

  memcpy (&bits, &v, sizeof bits);
  put_u32 (to, bits);
}

void
tern_gguf_writer_u32 (TernGgufWriter *writer, const char *key, guint32 value)
{
  put_key (writer, key, TERN_GGUF_U32);
  put_u32 (writer->keys, value);
}

void
tern_gguf_writer_f32 (TernGgufWriter *writer, const char *key, float value)
{
  put_key (writer, key, TERN_GGUF_F32);
  put_f32 (writer->keys, value);
}

void
tern_gguf_writer_bool (TernGgufWriter *writer, const char *key, gboolean value)
{
  guint8 byte = value != FALSE;

  put_key (writer, key, TERN_GGUF_BOOL);
  g_byte_array_append (writer->keys, &byte, 1);
}

void
tern_gguf_writer_string (TernGgufWriter *writer, const char *key, const char *value)
{
  put_key (writer, key, TERN_GGUF_STRING);
  put_string (writer->keys, value);
}

void
tern_gguf_writer_bool_array (TernGgufWriter *writer, const char *key, const guint8 *values, gsize n)
{
  put_array (writer, key, TERN_GGUF_BOOL, n);
  g_byte_array_append (writer->keys, values, n);
}

void
tern_gguf_writer_i32_array (TernGgufWriter *writer, const char *key, const gint32 *values, gsize n)
{
  put_array (writer, key, TERN_GGUF_I32, n);
  for (gsize i = 0; i < n; i++)
    put_u32 (writer->keys, values[i]);
}

void
tern_gguf_writer_f32_array (TernGgufWriter *writer, const char *key, const float *values, gsize n)
{
  put_array (writer, key, TERN_GGUF_F32, n);
  for (gsize i = 0; i < n; i++)
    put_f32 (writer->keys, values[i]);
}

void
tern_gguf_writer_string_array (TernGgufWriter *writer, const char *key, const char *const *values, gsize n)
{
  put_array (writer, key, TERN_GGUF_STRING, n);
  for (gsize i = 0; i < n; i++)
    put_string (writer->keys, values[i]);
}

void
tern_gguf_writer_tensor (TernGgufWriter *writer, const char *name, const TernTypeInfo *type, guint n_dims,
    const guint64 *dims, gsize bytes)
{
  guint i;

  put_string (writer->infos, name);
  put_u32 (writer->infos, n_dims);
  for (i = 0; i < n_dims; i++)
    put_u64 (writer->infos, dims[i]);
  put_u32 (writer->infos, type->type);
  put_u64 (writer->infos, writer->data_bytes);
  g_array_append_val (writer->sizes, bytes);
  writer->data_bytes += padded (writer, bytes);
}

static GByteArray *
make_header (const TernGgufWriter *writer)
{
  GByteArray *header = g_byte_array_new ();

  g_byte_array_append (header, (const guint8 *) "GGUF", 4);
  put_u32 (header, 3);
  put_u64 (header, writer->sizes->len);
  put_u64 (header, writer->n_keys);
  g_byte_array_append (header, writer->keys->data, writer->keys->len);
  g_byte_array_append (header, writer->infos->data, writer->infos->len);
  while (header->len % writer->alignment)
    g_byte_array_append (header, (const guint8 *) "", 1);
  return header;
}

guint64
tern_gguf_writer_size (const TernGgufWriter *writer)
{
  return padded (writer, 4 + 4 + 8 + 8 + writer->keys->len + writer->infos->len) + writer->data_bytes;
}

/* ---- File -------------------------------------------------------------------------------------------------------- */

static gboolean
fail (const TernGgufWriter *writer, const char *what, int errsv, GError **error)
{
  g_set_error (error, TERN_ERROR, errsv == ENOSPC || errsv == EDQUOT || errsv == EFBIG ? TERN_ERROR_NO_SPACE
      : TERN_ERROR_FAILED, "%s: %s: %s", writer->path, what, g_strerror (errsv));
  return FALSE;
}

/* A name beside @target that nobody has yet; some try of @make (0, or -1 and errno) takes it. */
static gboolean
take_name (TernGgufWriter *writer, int (*make) (TernGgufWriter *writer, const char *name), GError **error)
{
  guint i;

  for (i = 0; i < NAME_TRIES; i++) {
    g_autofree char *name = g_strdup_printf ("%s.%08x.tmp", writer->target, g_random_int ());

    if (make (writer, name) == 0) {
      writer->temporary = g_steal_pointer (&name);
      return TRUE;
    }
    if (errno != EEXIST)
      break;
  }
  return fail (writer, "cannot be written", errno, error);
}

static int
create_named (TernGgufWriter *writer, const char *name)
{
  writer->fd = open (name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, MODE);
  return writer->fd < 0 ? -1 : 0;
}

static int
link_unnamed (TernGgufWriter *writer, const char *name)
{
  g_autofree char *self = g_strdup_printf ("/proc/self/fd/%d", writer->fd);

  return linkat (AT_FDCWD, self, AT_FDCWD, name, AT_SYMLINK_FOLLOW);
}

/* A file without a name leaves nothing behind whatever ends the process. Where the file system has none, or there is no
 * /proc to name it by, it is a file with a name of its own. */
static gboolean
create (TernGgufWriter *writer, GError **error)
{
#ifdef O_TMPFILE
  g_autofree char *folder = g_path_get_dirname (writer->target);

  if (access ("/proc/self/fd", X_OK) == 0) {
    writer->fd = open (folder, O_TMPFILE | O_WRONLY | O_CLOEXEC, MODE);
    if (writer->fd >= 0)
      return TRUE;
  }
#endif
  return take_name (writer, create_named, error);
}

static gboolean
write_all (TernGgufWriter *writer, const guint8 *data, gsize bytes, GError **error)
{
  while (bytes > 0) {
    gssize n = write (writer->fd, data, MIN (bytes, (gsize) 1 << 30));

    if (n < 0 && errno == EINTR)
      continue;
    if (n < 0)
      return fail (writer, "cannot be written", errno, error);
    data += n;
    bytes -= n;
  }
  return TRUE;
}

/* Goes to the next tensor that has bytes. */
static void
next_tensor (TernGgufWriter *writer)
{
  while (writer->left == 0 && ++writer->tensor < writer->sizes->len)
    writer->left = g_array_index (writer->sizes, gsize, writer->tensor);
}

static gboolean
write_header (TernGgufWriter *writer, GError **error)
{
  g_autoptr (GByteArray) header = make_header (writer);

  writer->tensor = G_MAXUINT;
  next_tensor (writer);
  return write_all (writer, header->data, header->len, error);
}

gboolean
tern_gguf_writer_begin_fd (TernGgufWriter *writer, int fd, const char *name, GError **error)
{
  writer->path = g_strdup (name);
  writer->fd = fd;
  writer->borrowed = TRUE;
  return write_header (writer, error);
}

gboolean
tern_gguf_writer_begin (TernGgufWriter *writer, const char *path, GError **error)
{
  struct stat st;

  writer->path = g_strdup (path);
  if (stat (path, &st) == 0 && !S_ISREG (st.st_mode)) {
    g_set_error (error, TERN_ERROR, TERN_ERROR_FAILED, "%s: expected a regular file or none, found %s", path,
        S_ISDIR (st.st_mode) ? "a folder" : "a device, pipe or socket");
    return FALSE;
  }
  writer->target = tern_replace_target (path);
  if (!create (writer, error))
    return FALSE;
  tern_replace_like (writer->fd, writer->target);
  return write_header (writer, error);
}

gboolean
tern_gguf_writer_data (TernGgufWriter *writer, const void *data, gsize bytes, GError **error)
{
  static const guint8 zeros[64];
  gsize padding;

  if (bytes == 0)
    return TRUE;
  g_return_val_if_fail (writer->fd >= 0 && bytes <= writer->left, FALSE);
  if (!write_all (writer, data, bytes, error))
    return FALSE;
  writer->left -= bytes;
  if (writer->left > 0)
    return TRUE;
  bytes = g_array_index (writer->sizes, gsize, writer->tensor);
  for (padding = padded (writer, bytes) - bytes; padding > 0; padding -= MIN (padding, sizeof zeros))
    if (!write_all (writer, zeros, MIN (padding, sizeof zeros), error))
      return FALSE;
  next_tensor (writer);
  return TRUE;
}

gboolean
tern_gguf_writer_copy_tensor (TernGgufWriter *writer, const TernTensor *tensor, GError **error)
{
  gsize done, bytes;

  for (done = 0; done < tensor->bytes; done += bytes) {
    bytes = MIN (COPY_BYTES, tensor->bytes - done);
    if (!tern_gguf_writer_data (writer, tensor->data + done, bytes, error))
      return FALSE;
    if (tensor->mapped)
      tern_map_release (tensor->data + done, bytes);
  }
  return TRUE;
}

gboolean
tern_gguf_writer_finish (TernGgufWriter *writer, GError **error)
{
  int closed;

  g_return_val_if_fail (writer->fd >= 0 && writer->left == 0, FALSE);
  if (writer->borrowed) {
    writer->fd = -1;
    return TRUE;
  }
  if (fsync (writer->fd) < 0 && errno != EINVAL && errno != EROFS)
    return fail (writer, "cannot be written", errno, error);
  if (!writer->temporary && !take_name (writer, link_unnamed, error))
    return FALSE;
  closed = close (writer->fd);
  writer->fd = -1;
  if (closed < 0)
    return fail (writer, "cannot be written", errno, error);
  if (rename (writer->temporary, writer->target) < 0)
    return fail (writer, "cannot be given its name", errno, error);
  g_clear_pointer (&writer->temporary, g_free);
  return TRUE;
}
