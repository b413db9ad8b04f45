/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Packed matrices of a model file, kept in a file of their own: the next process maps them instead of packing, and
 * processes that use the same model share them through the page cache. Only where the environment variable TERN_CACHE_DIR
 * names a folder; whatever goes wrong there is a warning in the log, and the model is packed in memory.
 *
 * A cache belongs to the content of its model: its name is a digest of the file's header, size, modification time and
 * samples of every tensor, and of how matrices are packed (instruction sets may differ in that). It is written beside and
 * renamed, so that nobody sees half of one; what is read from it is checked (sums over every mebibyte), and what does not
 * fit is ignored and written again. Files of other users than this one and root, and those that others may write to, are
 * ignored. When one is written, those of the same model's name go that nobody has used for 30 days, and halves of them that
 * nobody writes any more. */
#pragma once

#include "engine/base/threads.h"
#include "engine/weights/linear.h"

G_BEGIN_DECLS

typedef struct _TernPackCache TernPackCache;

/* Of @file, for matrices packed in the way that @layout (up to 15 letters) names. NULL: TERN_CACHE_DIR is unset or empty,
 * or cannot be used. Reads nothing of a cache yet. */
TernPackCache *tern_pack_cache_new (const TernGguf *file, const char *layout);
/* After the linears that took from it. NULL-safe. */
void tern_pack_cache_free (TernPackCache *cache);
const char *tern_pack_cache_path (const TernPackCache *cache);

/* Gives each of @linears that tern_linear_pack() would pack its packed form from the cache, checked over @pool; they borrow
 * it until the cache is freed. FALSE: there is none, or not one that is whole and fits; nothing changed. */
gboolean tern_pack_cache_load (TernPackCache *cache, TernLinear *const *linears, guint n, TernPool *pool);
/* Writes the cache from @linears, which are packed, and has them borrow from it what they had. FALSE: they have what they
 * had, for it could not be written, or nothing was packed. */
gboolean tern_pack_cache_save (TernPackCache *cache, TernLinear *const *linears, guint n, TernPool *pool);

G_END_DECLS
