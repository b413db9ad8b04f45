/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One input of `tern caption` from its bytes to its results; several are at work at once, each in a thread of its own. */
#pragma once

#include "tern/tern.h"
#include "tools/batch-list.h"
#include "tools/media.h"

G_BEGIN_DECLS

/* What all inputs have in common; not changed while any is at work. */
typedef struct {
  TernModel *model;
  TernSessionParams params;
  TernMediaOptions media;
  TernBudgetParams budget;      /* of each video; zeros: none */
  gboolean no_stills;           /* subtitles: a still has no time to be shown */
  TernBatchList *list;
  gint *window_told;            /* atomic: not 0: it was said how long windows are, where they are longer than was asked */
  /* Something was done: called from the input's thread, without locks. */
  void (*notify) (void *data);
  void *notify_data;
} TernBatchWork;

typedef struct {
  const TernBatchWork *work;
  TernBatchInput *input;
  char *source;                 /* its name, without a password */
  guint64 state;                /* of its bytes, for the journal */
  gboolean again;               /* results of it may be there already */
  gint references;              /* atomic: of who waits for it and of its thread */
  gint stop;                    /* atomic: not 0: end soon */
  gboolean left_behind;         /* of who runs many: its thread does not come back from a call */

  GMutex lock;
  /* under the lock */
  GQueue results;               /* TernResult, in order */
  gboolean done;
  gint64 began, moved;          /* monotonic us: 0 = not yet; when it last had something to show */
  guint64 pts, length;          /* ns of video looked at, and to look at */

  /* when done */
  GError *error;                /* it could not be done, or not all of it */
  gboolean good;                /* all of it was; else there is @error, or some windows failed */
  gboolean passed;              /* neither picture nor video, or no video where one is wanted, and of no interest */
  gboolean other;               /* neither picture nor video, and not named as if it were */
  gboolean still;
  gboolean usage;               /* no other input would fare better */
  gboolean unfit;               /* one of fewer frames would */
  double read_s, decode_s;      /* opening it, and what its frames took */
} TernBatchJob;

/* Takes @input. */
TernBatchJob *tern_batch_job_new (const TernBatchWork *work, TernBatchInput *input);
void tern_batch_job_unref (TernBatchJob *job);

/* Does it, in the calling thread. */
void tern_batch_job_run (TernBatchJob *job);

/* The next result, taken; NULL: none at the moment. */
TernResult *tern_batch_job_poll (TernBatchJob *job);
/* No more results come beside those that wait. */
gboolean tern_batch_job_done (TernBatchJob *job);

G_END_DECLS
