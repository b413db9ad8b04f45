/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A pool that splits one loop over a fixed number of threads. One caller at a time; the caller works too. */
#pragma once

#include <glib.h>
#include "engine/base/cancel.h"
#include "tern/ranges.h"
#include "engine/base/slice.h"

G_BEGIN_DECLS

typedef struct _TernPool TernPool;

/* Does items [begin, end). @worker < tern_pool_threads() tells which scratch is its own. */
typedef void (*TernPoolFunc) (void *data, guint begin, guint end, guint worker);

/* @threads counts the caller; 0 = the cores that this process may use, up to TERN_THREADS_MAX. Errors: INVALID for
 * more, NO_SPACE. */
TernPool *tern_pool_new (guint threads, GError **error);
/* The same with workers that step back. */
TernPool *tern_pool_new_yielding (guint threads, GError **error);
/* The calling thread shall let others of the same process go first: those that must be on time, as a pipeline's
 * streaming threads, which need a core for a moment only. It gets a lower priority (nice, TERN_YIELD_NICE above the
 * process's), which needs no rights and costs nothing while there are cores to spare; where it is refused, all is as
 * before. */
void tern_thread_step_back (void);
#define TERN_YIELD_NICE 5
/* The calling thread shall take no core from who has it when it wakes, but wait for its turn, with the same share in all (Linux:
 * SCHED_BATCH): for those that prepare what a pool will work on. One that pushes in for a moment holds up all threads that wait
 * for the one it took the core from. Threads that it begins do the same. Other policies than the usual one are kept; where it
 * is refused, all is as before. */
void tern_thread_take_turns (void);
void tern_pool_free (TernPool *pool);
guint tern_pool_threads (const TernPool *pool);

/* Makes every worker's scratch at least @bytes (64-byte aligned). Not while a run is under way. */
gboolean tern_pool_reserve (TernPool *pool, gsize bytes, GError **error);
void *tern_pool_scratch (TernPool *pool, guint worker);

/* Runs @func over [0, items) in pieces that are multiples of @grain (but for the last) and returns when all are done. Each
 * thread has a share, the same in every run of as many items, takes it in pieces that become smaller, and then those of the
 * others: cores need not be equally fast.
 * Allocates nothing. @pool NULL runs in the caller with worker 0 (then scratch must not be needed). */
void tern_pool_run (TernPool *pool, TernPoolFunc func, void *data, guint items, guint grain);

/* The first item of @worker's share of such a run; of worker tern_pool_threads(): its end. */
guint tern_pool_share (const TernPool *pool, guint items, guint grain, guint worker);
/* Says what @worker will read first in a run after the next one: it fetches the beginning of it into its own cache while it
 * waits for that run, so that memory does not rest while one thread does what comes between two runs, or is late. A hint:
 * nothing has to be there. By the caller, while no run is under way. */
void tern_pool_fetch (TernPool *pool, guint worker, const void *memory, gsize bytes);

/* The same in slices, between which @cancel is looked at; FALSE: it was raised, and the rest was not done. @work:
 * multiply-adds of one item. A slice is as large as the pool has learned from those before that it may be (slice.h), and
 * at least @grain items for every thread. What @func does must not depend on where its items are cut. */
gboolean tern_pool_run_until (TernPool *pool, TernPoolFunc func, void *data, guint items, guint grain, guint64 work,
    TernCancel *cancel);
/* Processor time that the caller's thread and all workers have had, ns: differences say what a run has cost. By the caller. */
guint64 tern_pool_cpu_time (TernPool *pool);
/* For tests: how many workers are asleep, and whether the caller of a run is, waiting for one that is in a piece. */
guint tern_pool_workers_asleep (TernPool *pool);
gboolean tern_pool_caller_asleep (TernPool *pool);
/* What the pool has learned. */
TernSlice *tern_pool_slice (TernPool *pool);
/* What @worker was told to fetch, and how much of it, at most. */
const void *tern_pool_fetches (TernPool *pool, guint worker, gsize *bytes);

G_END_DECLS
