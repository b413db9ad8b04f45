/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Members of tar files (WebDataset's shards), through libarchive. */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* A tar file, by its first bytes, or by its name: compressed ones, and those older than POSIX. */
gboolean tern_batch_is_tar (const char *path);

/* Who wants the members; all of one thread.
 * wants: whether @name shall be read at all. @link: it has no bytes of its own, but is a link to that member
 * room, member FALSE: no more.
 * room: before a member of @bytes is read into memory; @fits (in: TRUE) FALSE: it is too large for that, and is passed over
 * member: its bytes, in memory, by @fd, which is taken
 * too_large: of one that was passed over */
typedef struct {
  gboolean (*wants) (const char *name, const char *link, void *data);
  gboolean (*room) (guint64 bytes, gboolean *fits, void *data);
  gboolean (*member) (const char *name, int fd, void *data);
  void (*too_large) (const char *name, guint64 bytes, void *data);
  void *data;
} TernBatchTarReader;

/* Gives @reader each regular member in turn. Errors: READ, FORMAT (names the file and where it broke), UNSUPPORTED (built
 * without libarchive), NO_SPACE. */
gboolean tern_batch_tar_walk (const char *path, const TernBatchTarReader *reader, GError **error);

G_END_DECLS
