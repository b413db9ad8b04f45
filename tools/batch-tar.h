/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Members of tar files (WebDataset's shards), through libarchive. */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* A tar file, by its first bytes, or a compressed one by its name. */
gboolean tern_batch_is_tar (const char *path);

/* @fd: the member's bytes, in memory; taken. FALSE: no more. */
typedef gboolean (*TernBatchTarFunc) (const char *member, int fd, void *data);

/* Calls @func for each regular member in turn. Errors: READ, FORMAT (names the file and where it broke), UNSUPPORTED (built
 * without libarchive), NO_SPACE. */
gboolean tern_batch_tar_walk (const char *path, TernBatchTarFunc func, void *data, GError **error);

G_END_DECLS
