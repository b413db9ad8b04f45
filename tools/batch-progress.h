/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What is seen of `tern caption` while it runs and at its end, on stderr. */
#pragma once

#include "tools/batch-list.h"

G_BEGIN_DECLS

typedef enum {
  TERN_PROGRESS_AUTO,           /* a line that is written over, where stderr is a terminal */
  TERN_PROGRESS_JSON,           /* an object a second */
  TERN_PROGRESS_NONE,
} TernProgressKind;

/* Seconds that went where, of all threads together. */
typedef struct {
  double reading, decoding, vision, language_model, writing;
} TernBatchTimes;

typedef struct {
  TernProgressKind kind;
  TernBatchTimes times;
  gint64 began, shown;          /* monotonic us */
  gint64 processor;             /* us of processor time when it was shown last */
  double cores;                 /* busy since then */
} TernBatchProgress;

/* What there is to say at the moment. @source, @pts, @length (ns, G_MAXUINT64 unknown): of the input that is shown. */
typedef struct {
  guint64 done, failed, skipped, passed, total;
  gboolean total_known;
  const char *source;
  guint64 pts, length;
} TernBatchState;

gboolean tern_progress_parse (const char *text, TernProgressKind *kind);
void tern_progress_begin (TernBatchProgress *progress);
/* Shows it, where it is time. */
void tern_progress_show (TernBatchProgress *progress, const TernBatchState *state);
/* Before something else than a message is written to the terminal. */
void tern_progress_clear (const TernBatchProgress *progress);
/* The summary: where the time went. */
void tern_progress_end (TernBatchProgress *progress, const TernBatchState *state);

G_END_DECLS
