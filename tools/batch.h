/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Many inputs of `tern caption`, several at work at once.
 *
 *   batch-list.c     which inputs there are, found as they are needed
 *   batch-work.c     one input, from bytes to results; a thread each
 *   batch.c          who works on what, what stands still, what is written in which order, how it ends
 *   batch-journal.c  what was done, for the run after this one
 *   batch-progress.c what is seen of it
 *   caption-output.c where results go
 *
 * Every session reads the weights with all others that are at work (tern/scheduler.h), so several short inputs cost one pass.
 * All writing is done by the thread that called tern_batch_run(). */
#pragma once

#include "tools/batch-journal.h"
#include "tools/batch-progress.h"
#include "tools/batch-work.h"
#include "tools/caption-output.h"

G_BEGIN_DECLS

typedef struct {
  TernBatchWork work;           /* notify is set by tern_batch_run() */
  TernCaptionOutput *out;
  TernJournal *journal;         /* NULL: none */
  TernBatchProgress progress;
  guint jobs;                   /* inputs at work at once, 1..TERN_BATCH_JOBS_MAX */
  gboolean unordered;           /* results as they come, those of an input together */
  gboolean retry_failed, checksum;
  gboolean tell_done;           /* a line of kind done behind an input's, for who waits for it */
  double patience;              /* seconds without anything new until an input is given up; 0: any */
  double time_limit;            /* seconds for one input; 0: any */
  guint64 max_memory;           /* bytes in use beyond which no further input is begun; 0: any */
  guint64 member_bytes;         /* that members of tar files may take, beside what inputs do */
  FILE *failures;               /* JSON lines of what failed and why; NULL: none */
  const char *failures_path;    /* for messages */

  guint64 done, failed, passed, skipped;        /* of this run; skipped: done by one before */
  guint64 unfit;                /* of those that failed, whose windows do not fit into the model's context */
  gboolean usage;
  int signal;                   /* SIGINT or SIGTERM that ended it; 0: none */
  gboolean full;                /* ended because what it writes to is */
  gboolean unlisted;            /* failures can be written no more */
} TernBatch;

#define TERN_BATCH_JOBS_MAX 256

/* Does all inputs of work.list, as far as it is not told to stop. From main's thread, once a process: it takes SIGINT and
 * SIGTERM. FALSE: threads are still within calls that cannot be ended; the caller must not free what they use, but exit. */
gboolean tern_batch_run (TernBatch *batch);

G_END_DECLS
