/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Where `tern caption` writes: JSON lines, metadata of a data set, or a file for each input. From one thread. */
#pragma once

#include <stdio.h>

#include "tern/tern.h"
#include "tools/batch-journal.h"
#include "tools/batch-list.h"
#include "tools/caption-inputs.h"
#include "tools/caption-twins.h"
#include "tools/mux.h"

G_BEGIN_DECLS

/* Of a JSON line whose source is not the name's bytes, for those are no UTF-8. */
#define TERN_CAPTION_SOURCE_BYTES "source_bytes"

typedef enum {
  TERN_CAPTION_LINES,           /* a result a line */
  TERN_CAPTION_METADATA,        /* an input a line: file_name and text, as Hugging Face's folders are read */
  TERN_CAPTION_WEBDATASET,      /* an input and its text a sample, in a tar file */
  TERN_CAPTION_SRT,             /* and the others: a file an input */
  TERN_CAPTION_VTT,
  TERN_CAPTION_TXT,             /* one line, as trainers read it */
  TERN_CAPTION_MUX,             /* a copy of the film with a track of subtitles more */
} TernCaptionFormat;

typedef enum {
  TERN_CAPTION_FLAT,            /* all in one folder */
  TERN_CAPTION_MIRROR,          /* in folders as the inputs lie in */
  TERN_CAPTION_BESIDE,          /* where the input is */
} TernCaptionPlace;

typedef struct {
  TernCaptionFormat format;
  TernCaptionPlace place;
  gboolean overwrite, metrics;
  const TernCaptionInputs *inputs;      /* are never replaced; NULL: nothing of others is */
  const char *path;             /* of --output: a file for lines (NULL: stdout), a folder for files */
  gboolean parted;              /* other runs write to the same folders and do not know of this one's files: --shard */
  gboolean standard;            /* path is `-`: all of it goes to stdout, files too */
  const char *language;         /* between a subtitle file's name and its suffix; NULL: none */
  const char *before, *after;   /* the caption in files and metadata */
  gboolean (*stopped) (void);   /* asked while a film is copied; TRUE: it shall end */
  TernJournal *journal;         /* what was there is cut to where it ends; NULL: none */
  gboolean series;              /* path has %0Nd in it: one tar file after the other, each of at most samples_most samples, */
  guint64 samples_most, bytes_most;     /* and none that is begun behind bytes_most */

  FILE *lines;
  guint64 results, bytes;       /* in all; of whole lines */
  guint64 start;                /* bytes when this run began */
  gboolean closed;              /* nobody reads any more */
  gboolean full;                /* there is no room */
  GHashTable *names;            /* hashes of the files of this run */
  TernCaptionTwins twins;
  char *tar;                    /* of a series the file at hand; NULL: there is none */
  guint64 tar_number, tar_start, tar_samples;   /* which it is, bytes in front of it, samples in it */

  /* of the input at work */
  char *file;                   /* its file, once it is written */
  char *source_bytes;           /* its name where JSON cannot have it (tern_source_bytes()); NULL: it can */
  GString *text;
  GPtrArray *said;              /* char *, captions for one line */
  GArray *cues;                 /* TernCue, of a copy */
  guint n_cues;
  guint n_abstained;            /* windows whose answer is too improbable: lines say so, nothing else could */
  guint64 unanswered;           /* inputs with such windows and no others: nothing was made of them */
} TernCaptionOutput;

gboolean tern_caption_format_parse (const char *text, TernCaptionFormat *format);
/* What there is of an input that could not be done to its end is written too. */
gboolean tern_caption_output_takes_parts (const TernCaptionOutput *out);
/* A file an input. */
gboolean tern_caption_output_is_files (const TernCaptionOutput *out);
gboolean tern_caption_output_is_subtitles (const TernCaptionOutput *out);

/* What is set before: everything down to journal. FALSE with a message when it cannot be written, or is there and not empty
 * and neither --overwrite nor the journal says that it may go. */
gboolean tern_caption_output_open (TernCaptionOutput *out);
/* FALSE with a message when what was written is not there. */
gboolean tern_caption_output_close (TernCaptionOutput *out);

/* Whether @input's file may be written, as far as it can be told before its turn. Errors: READ, when it is there already. */
gboolean tern_caption_output_may (TernCaptionOutput *out, const TernBatchInput *input, gboolean again, GError **error);

/* @input, found in a folder, has the name that copies beside films have: it is one. */
gboolean tern_caption_output_is_own (const TernCaptionOutput *out, const TernBatchInput *input);

/* Before the results of an input, whose name in JSON is @source. @again: lines that a run before wrote of it go, when all is over. */
void tern_caption_output_begin (TernCaptionOutput *out, const char *source, gboolean again);
/* Takes @result. FALSE for one that says that its window failed. */
gboolean tern_caption_output_take (TernCaptionOutput *out, TernResult *result);
/* After an input: writes its file, or its line of metadata. @again: what a run before wrote of it goes. Errors: READ,
 * NO_SPACE; those of tern_mux_write(). */
gboolean tern_caption_output_end (TernCaptionOutput *out, const TernBatchInput *input, gboolean again, GError **error);

/* Of lines: one that says that @source is over, with its @n results, or why it failed (@error, nullable). @other: it is neither
 * picture nor video, and in a folder would have been passed over. */
void tern_caption_output_tell_done (TernCaptionOutput *out, const char *source, guint64 n, const char *error, gboolean other);

/* Bytes of the file of lines so far; of a series' samples. */
guint64 tern_caption_output_end_of_lines (const TernCaptionOutput *out);
/* Brings all of it to the disk. Errors: READ, NO_SPACE. */
gboolean tern_caption_output_sync (TernCaptionOutput *out, GError **error);
/* Of a file of lines with a journal: what stands behind @end goes (an input that was not finished). */
void tern_caption_output_cut (TernCaptionOutput *out, guint64 end);

/* Of each input's lines those of the run that did it last stay: inputs may have been changed since. The journal says that
 * it is due, and sees it through whenever it is ended. Errors: READ, NO_SPACE. */
gboolean tern_caption_output_settle (TernCaptionOutput *out, GError **error);
/* That makes it due: what is written next is of an input that may have lines already. */
void tern_caption_output_note_again (TernCaptionOutput *out);

/* A still has no time for a subtitle to be shown. */
void tern_caption_output_refuse_still (const TernCaptionOutput *out, const char *name);

G_END_DECLS
