/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* When a camera that was lost is tried for again. Tries begin at once, and then 1 s, 2 s, and 4 s after the one before began,
 * if that is over: a camera that refuses is asked every 4 s, one that swallows what it is asked, for TERN_RETRY_ANSWER, again
 * and again. So one that is there again waits 4 s at most, and has the rest of the ten seconds within which it is to be watched
 * for its answers and a first picture. Plain arithmetic on monotonic us that others tell it. */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* How long a camera may take to answer a try: one that is switched off says nothing, and would be waited for while it is back. */
#define TERN_RETRY_ANSWER (4 * (gint64) G_USEC_PER_SEC)
/* The longest time from the beginning of a try to that of the next one. */
#define TERN_RETRY_MOST (4 * (gint64) G_USEC_PER_SEC)
/* Without a picture for so long a camera that sent some is lost; the first may take twice as long, for key frames are rare. */
#define TERN_RETRY_STALL (5 * (gint64) G_USEC_PER_SEC)

typedef struct {
  gint64 began;                 /* the try that is, or was the last */
  gint64 apart;                 /* from there to the next one, at least */
  gint64 due;                   /* when that is */
} TernRetry;

/* A try begins. */
void tern_retry_begin (TernRetry *retry, gint64 now);
/* It failed, or what came of it was lost. @pictures: some came; one that sends a few each time is no better than one that sends
 * none. `due` and `apart` are those of the next one. */
void tern_retry_fail (TernRetry *retry, gint64 now, gboolean pictures);
/* Whether one that is connected, had its last picture at @last (0: none) and may be without for @stall is lost. */
gboolean tern_retry_is_lost (const TernRetry *retry, gint64 now, gint64 last, gint64 stall);

G_END_DECLS
