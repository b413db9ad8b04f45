/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Options of `tern caption` that are about many inputs, and the run that they ask for. */
#pragma once

#include "tern/tern.h"
#include "tools/caption-output.h"
#include "tools/media.h"

G_BEGIN_DECLS

typedef struct {
  char *files_from, *journal, *failures, *progress, *shard, *language, *template, *max_memory, *bytes_per_tar;
  gboolean unordered, resume, force, retry_failed, checksum, beside, mirror, tell_done;
  gint jobs, nice;
  gint64 samples_per_tar;
  double file_timeout;
  TernBudgetParams budget;
  char *series;                 /* of --output, when a shard has a part of it */
  TernCaptionInputs *inputs;    /* what is not replaced; NULL: nothing is */
  char *settings;               /* of the questions and windows: what another run must have too */
} TernCaptionBatchOptions;

#define TERN_CAPTION_NO_TIMEOUT (-G_MAXDOUBLE)          /* none was given */
#define TERN_CAPTION_BATCH_OPTIONS_INIT \
  { .jobs = 0, .nice = G_MININT, .samples_per_tar = G_MININT64, .file_timeout = TERN_CAPTION_NO_TIMEOUT }

/* Entries for GOption, 23 at most, ended by an empty one. */
void tern_caption_batch_entries (TernCaptionBatchOptions *options, GOptionEntry entries[24]);
/* Fills in what @out does with captions. A status of the program; if it is not TERN_TOOL_DONE there was a message. */
int tern_caption_batch_check (TernCaptionBatchOptions *options, TernCaptionOutput *out, char **operands);
/* Does everything. A status of the program: also 75, 130 and 143. @out is closed. */
int tern_caption_batch_run (const TernCaptionBatchOptions *options, TernModel *model, const TernSessionParams *params,
    const TernMediaOptions *media, TernCaptionOutput *out, char **operands);
void tern_caption_batch_clear (TernCaptionBatchOptions *options);

G_END_DECLS
