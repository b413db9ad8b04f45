/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Where `tern caption` writes: JSON lines, a subtitle file a video, and progress on a terminal. */
#pragma once

#include <stdio.h>

#include "tern/tern.h"
#include "tools/subtitles.h"

G_BEGIN_DECLS

typedef struct {
  gboolean subtitles, overwrite;
  TernSubtitles kind;
  const char *path;             /* of --output: a file for lines (NULL: stdout), a folder for subtitles */
  FILE *lines;
  guint64 results;
  gboolean closed;              /* nobody reads any more */
  GHashTable *names;            /* subtitle files of this run */

  /* of the input at work */
  char *file;                   /* its subtitle file */
  GString *cues;
  guint n_cues;
  gint64 shown;                 /* when progress was shown last, us */
} TernCaptionOutput;

/* What is set before: subtitles, kind, path, overwrite. FALSE with a message when it cannot be written, or is there and
 * not empty and --overwrite is not given. */
gboolean tern_caption_output_open (TernCaptionOutput *out);
/* FALSE with a message when what was written is not there. */
gboolean tern_caption_output_close (TernCaptionOutput *out);

/* Before an input: the name of its subtitle file. Errors: READ, when that is there already. */
gboolean tern_caption_output_begin (TernCaptionOutput *out, const char *source, GError **error);
/* Takes @result. FALSE for one that says that its window failed. */
gboolean tern_caption_output_take (TernCaptionOutput *out, TernResult *result);
/* After an input: writes its subtitle file. */
gboolean tern_caption_output_end (TernCaptionOutput *out, GError **error);

/* On stderr, when that is a terminal, five times a second: "[2/5] clip.mp4 8 of 24 s". @pts, @duration: ns, TERN_TIME_NONE
 * unknown. */
void tern_caption_output_progress (TernCaptionOutput *out, const char *source, guint input, guint n_inputs, guint64 pts,
    guint64 duration);
void tern_caption_output_clear_progress (TernCaptionOutput *out);

G_END_DECLS
