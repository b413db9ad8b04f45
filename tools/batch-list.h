/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What `tern caption` shall look at, each once, one input after the other, found while others are being worked on: what was named,
 * lines of --files-from, everything in folders, and the members of tar files. Whether a folder's file is a picture or a video
 * is seen when it is opened, so that each is opened once. */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* A folder or tar file that was named, and what became of the files in it. */
typedef struct {
  char *path;
  guint files, passed;          /* found; passed over, because they are neither pictures nor videos */
  guint stills;                 /* passed over, because what is made has no place for pictures */
  guint own;                    /* passed over, because they were made by such a run */
  guint twice;                  /* that had come before, from elsewhere */
  gboolean refused;             /* it cannot be read, which was told */
  GPtrArray *examples;          /* the first names that were passed over, in strcmp()'s order, whoever came to which first */
} TernBatchFolder;

typedef struct {
  char *path;                   /* as named, or the folder's path and the file's name; bytes, perhaps no UTF-8 */
  char *key;                    /* what stays the same where the folder lies elsewhere: the path below what was named */
  TernBatchFolder *folder;      /* borrowed from the list; NULL: it was named itself */
  int fd;                       /* of a member of a tar file: its bytes; -1: @path is opened */
  guint64 bytes;                /* that stand in memory for it */
  char *refusal;                /* why it has failed before anybody opens it; NULL: it has not */
  gboolean over;                /* no input: the folder or tar file @path was named, and those in it stand before this */
  struct _TernBatchList *list;  /* of a member: who counts them; NULL: none */
} TernBatchInput;

void tern_batch_input_free (TernBatchInput *input);

/**
 * TernBatchListOptions:
 * @operands: (array zero-terminated=1): files, folders, tar files, addresses, `-`
 * @files_from: (nullable): a file of names, `-` for standard input; they come after @operands
 * @shard: of @shards: an input is this run's when its key's hash is; (0, 1) takes all
 * @sorted: folders by name; else as the file system gives them, without waiting for the last name
 * @standard_once: standard input is read for names, or cannot be read by the run after this one: a name `-` in @files_from has failed
 * @tell_over: behind what is in a folder or tar file that was named comes an input that says so, and what is named again is done
 *   again, for somebody waits for it
 * @member_bytes: of members of tar files that stand in memory at once, waiting and at work; one that is larger waits until it is
 *   alone
 * @member_bytes_most: of one member; a larger one has failed
 */
typedef struct {
  char **operands;
  const char *files_from;
  guint shard, shards;
  gboolean sorted, standard_once, tell_over;
  guint64 member_bytes, member_bytes_most;
} TernBatchListOptions;

typedef struct _TernBatchList TernBatchList;

/* Begins to look, in a thread of its own. @options are copied. Errors: NOT_FOUND, READ for @files_from. */
TernBatchList *tern_batch_list_new (const TernBatchListOptions *options, GError **error);
/* Does not wait for a file system that hangs, nor for standard input. */
void tern_batch_list_free (TernBatchList *list);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (TernBatchList, tern_batch_list_free)

typedef enum {
  TERN_BATCH_LIST_INPUT,
  TERN_BATCH_LIST_WAIT,         /* none at the moment */
  TERN_BATCH_LIST_END,
} TernBatchListStatus;

/* The next input, without waiting. @notify of tern_batch_list_watch() is called when there is more after WAIT. */
TernBatchListStatus tern_batch_list_next (TernBatchList *list, TernBatchInput **input);
void tern_batch_list_watch (TernBatchList *list, void (*notify) (void *data), void *data);

/* How many inputs there are in all; FALSE while that is not known. */
gboolean tern_batch_list_total (TernBatchList *list, guint64 *total);

/* A file of that name that cannot be read is damaged. */
gboolean tern_batch_has_media_name (const char *path);

/* @input is neither picture nor video. FALSE when that is an error: it was named, or has the name of one. */
gboolean tern_batch_list_pass (TernBatchList *list, const TernBatchInput *input);

/* @input is a picture, and videos are wanted: a poster beside a film. FALSE when that is an error: it was named. */
gboolean tern_batch_list_pass_still (TernBatchList *list, const TernBatchInput *input);

/* @input was made by such a run. */
void tern_batch_list_pass_own (TernBatchList *list, const TernBatchInput *input);

/* Tells how many files of each folder were passed over. @failed is called for each of those with nothing to see, which is an
 * input more. After the end. */
void tern_batch_list_report (TernBatchList *list, void (*failed) (const char *path, const char *message, void *data), void *data);

G_END_DECLS
