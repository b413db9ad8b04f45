/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Times that nobody looked at, in the memory: so that "nothing was found" can be told from "nobody looked". Threads and errors:
 * as watch/memory.h. Times: us since 1970 UTC. A memory of before there was this, opened to be read, has none. */
#pragma once

#include "watch/memory.h"
#include "watch/times.h"
#include "watch/vigil.h"

G_BEGIN_DECLS

/* Puts @span in; *@id, if that is not 0, is replaced by it, as one that went on. */
gboolean tern_unseen_put (TernWatchMemory *memory, gint64 run, const char *camera, const TernUnseen *span, gint64 *id,
    GError **error);
/* Takes out one that turned out to be none. */
gboolean tern_unseen_remove (TernWatchMemory *memory, gint64 id, GError **error);
/* Up to when something is known of @camera, looked at or not; 0: it is not known at all. Of what lies behind @now nobody knows
 * anything: it is from a clock that was ahead, and has been set since. */
gint64 tern_unseen_known_until (TernWatchMemory *memory, const char *camera, gint64 now);

/* What nobody looked at of one camera for one reason, in sum. */
typedef struct {
  char *camera;
  TernUnseenReason reason;
  gint64 start, end;            /* of the first, of the last of it */
  gint64 time;
  guint64 windows;
} TernUnseenSum;

/* GPtrArray of TernUnseenSum, by camera and reason, of what lies in [@since, @until), until @now at most; @camera NULL: all;
 * @until 0: @now. NULL with @error. */
GPtrArray *tern_unseen_sum (TernWatchMemory *memory, const char *camera, gint64 since, gint64 until, gint64 now, GError **error);
/* For who does not watch: adds that cameras of which nothing is known up to the end are TERN_UNSEEN_OFF from then on, with
 * windows that nobody knows. */
gboolean tern_unseen_add_unknown (TernWatchMemory *memory, const char *camera, gint64 since, gint64 until, gint64 now,
    GPtrArray *sums, GError **error);
/* Whether @camera is a file: when that has ended nobody is to look at it, and nothing is unknown. */
gboolean tern_unseen_set_file (TernWatchMemory *memory, const char *camera, gboolean file, GError **error);
/* Both. */
GPtrArray *tern_unseen_find (TernWatchMemory *memory, const char *camera, gint64 since, gint64 until, GError **error);
/* As tern_unseen_sum(), the spans themselves, the newest first and @limit at most; what is less than a minute apart is one. */
GPtrArray *tern_unseen_list (TernWatchMemory *memory, const char *camera, gint64 since, gint64 until, guint limit, GError **error);

/* "overload", "away", "off", "schedule", "failed". */
const char *tern_unseen_name (TernUnseenReason reason);
/* For people: what it means. */
const char *tern_unseen_words (TernUnseenReason reason);
/* "porch: 2 min 10 s (32 windows), this machine had too much to look at, between 10:00 and 10:40". */
char *tern_unseen_line (const TernUnseenSum *sum);
/* {"camera", "not_looked_at" (the reason), "start", "end", "seconds", "windows"}, without an end of line. */
char *tern_unseen_json (const TernUnseenSum *sum);

/* Calls @put with the parts of [@start, @end) that @schedule (NULL: always) has and has not. */
void tern_unseen_split (const TernWeek *schedule, gint64 start, gint64 end, void (*put) (gpointer data, gint64 start, gint64 end,
        gboolean due), gpointer data);

G_END_DECLS
