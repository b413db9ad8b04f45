/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What cameras saw, kept: one SQLite file (WAL, FTS5) with the results, their thumbnails, what is still to be told
 * (watch/spool.h) and where the rules stand. A result, what rules make of it and what is told of it are one transaction:
 * after a power cut all of it is there or nothing.
 *
 *   tern_memory_begin (memory, &error);
 *   tern_memory_add (memory, &result, &id, &error); ... tern_spool_add (memory, ...);
 *   tern_memory_commit (memory, &error);
 *
 * One thread at a time; several processes may read while one writes. Errors (all functions): NOT_FOUND, READ, FORMAT (no
 * such file of ours), NO_SPACE, FAILED; messages name the file. */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

typedef struct _TernMemory TernWatchMemory;

/* A result as it is put in; strings are borrowed, and NULL where there is nothing. Times: us since 1970 UTC. */
typedef struct {
  gint64 run;                   /* of tern_memory_new_run() */
  const char *camera;
  guint64 number;               /* counts those of this camera in this run */
  gint64 start, end;            /* the window */
  const char *kind;             /* caption, answer, error */
  const char *text;
  const char *label;            /* the likeliest */
  const char *scores;           /* JSON: {"yes": 0.9, ...} */
  double confidence;            /* -1: not known */
  gboolean abstained;
  gboolean unchanged;           /* nothing was new: the same as before */
  const char *model;
  GBytes *thumbnail;            /* JPEG */
} TernMemoryResult;

typedef enum {
  TERN_MEMORY_READ,             /* the file must be there */
  /* It is made, for its owner's eyes alone, if it is not; one of an older version gets what it lacks. */
  TERN_MEMORY_WRITE,
} TernMemoryMode;

TernWatchMemory *tern_memory_open (const char *path, TernMemoryMode mode, GError **error);
void tern_memory_close (TernWatchMemory *memory);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (TernWatchMemory, tern_memory_close)

/* TRUE: no other process has the memory at @path for its own, and none gets it as long as this one lives. */
gboolean tern_memory_lock (const char *path, GError **error);
/* A number that no run had before; 0 with @error. */
gint64 tern_memory_new_run (TernWatchMemory *memory, gint64 now, GError **error);

gboolean tern_memory_begin (TernWatchMemory *memory, GError **error);
gboolean tern_memory_commit (TernWatchMemory *memory, GError **error);
void tern_memory_rollback (TernWatchMemory *memory);

/* *@id counts results of all runs, from 1. */
gboolean tern_memory_add (TernWatchMemory *memory, const TernMemoryResult *result, gint64 *id, GError **error);
/* Deletes results, the oldest first and @most of them at most: those that ended before @before, and as many as it takes
 * for the file's content to be no more than @bytes. *@n: how many. Times of before that nobody looked at (watch/unseen.h) go,
 * too. */
gboolean tern_memory_forget (TernWatchMemory *memory, gint64 before, guint64 bytes, guint most, guint *n, GError **error);
/* The thumbnail of a result; NULL without one, or with @error. */
GBytes *tern_memory_thumbnail (TernWatchMemory *memory, gint64 id, GError **error);

/* How many results with something new began in [since, until), of @camera (NULL: any); 0, too, when that cannot be read. */
guint tern_memory_count (TernWatchMemory *memory, const char *camera, gint64 since, gint64 until);
/* What somebody says of a result that the model was not sure of. */
gboolean tern_memory_judge (TernWatchMemory *memory, gint64 id, gboolean right, GError **error);

/* A text under a name, for what else must outlive the process. NULL: none, or *@error is set. */
char *tern_memory_get (TernWatchMemory *memory, const char *name, GError **error);
/* @text NULL: no longer. */
gboolean tern_memory_put (TernWatchMemory *memory, const char *name, const char *text, GError **error);

/* What is told of results by the words of search: a token for an exact name (watch/search.h). */
char *tern_memory_tag (char kind, const char *name);

G_END_DECLS
