/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Finding what was seen. Threads and errors: as watch/memory.h; INVALID: words in which there is nothing to search for. */
#pragma once

#include "watch/memory.h"

G_BEGIN_DECLS

#define TERN_SEARCH_MOST 1000

typedef enum {
  TERN_SEARCH_RANK,             /* the best of the newest TERN_SEARCH_CANDIDATES that have the words */
  TERN_SEARCH_TIME,             /* the newest first */
} TernSearchOrder;

#define TERN_SEARCH_CANDIDATES 1000

typedef struct {
  const char *words;            /* all of them are there, in the forms that English has; `parcel*` begins so. When nothing
                                 * has them, texts that have them anywhere, inside words too. NULL or "": anything */
  gboolean any;                 /* or one of them: what has more, and rarer ones, is better */
  const char *camera;           /* NULL: any */
  const char *label;            /* the likeliest one; NULL: any */
  gint64 since, until;          /* us since 1970 UTC, when the window began: since <= start < until; 0: open */
  gboolean unsure;              /* those alone that abstained, and that nobody has judged */
  guint limit;                  /* 1..TERN_SEARCH_MOST */
  TernSearchOrder order;
} TernSearch;

typedef struct {
  gint64 id;
  char *camera;
  gint64 start, end;            /* of the window; */
  gint64 until;                 /* and of those after it in which nothing was new */
  char *text, *label, *scores;  /* the last two may be NULL; scores are JSON */
  double confidence;
  gboolean abstained;
} TernHit;

/* Hits (GPtrArray of TernHit, freed with it), or NULL with @error. */
GPtrArray *tern_search (TernWatchMemory *memory, const TernSearch *search, GError **error);

/* A line of JSON about @hit, without an end of line. */
char *tern_hit_json (const TernHit *hit);
/* For people: "2026-11-29 10:00:00  porch  a dog runs". */
char *tern_hit_line (const TernHit *hit);

G_END_DECLS
