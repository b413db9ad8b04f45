/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A pool that splits one loop over a fixed number of threads. One caller at a time; the caller works too. */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

typedef struct _TernPool TernPool;

/* Does items [begin, end). @worker < tern_pool_threads() tells which scratch is its own. */
typedef void (*TernPoolFunc) (void *data, guint begin, guint end, guint worker);

/* @threads counts the caller; 0 = the cores that this process may use. */
TernPool *tern_pool_new (guint threads, GError **error);
void tern_pool_free (TernPool *pool);
guint tern_pool_threads (const TernPool *pool);

/* Makes every worker's scratch at least @bytes (64-byte aligned). Not while a run is under way. */
gboolean tern_pool_reserve (TernPool *pool, gsize bytes, GError **error);
void *tern_pool_scratch (TernPool *pool, guint worker);

/* Runs @func over [0, items) in pieces that are multiples of @grain (but for the last) and returns when all are done.
 * Allocates nothing. @pool NULL runs in the caller with worker 0 (then scratch must not be needed). */
void tern_pool_run (TernPool *pool, TernPoolFunc func, void *data, guint items, guint grain);

G_END_DECLS
