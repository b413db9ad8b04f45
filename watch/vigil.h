/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What of a camera's time was due to be looked at, and was not: a span with its reason for each hole between the windows that
 * were answered. Plain arithmetic on times that others tell it, so that tests play days without a clock. Times are us of any
 * one clock that never goes back; one thread.
 *
 *   holes in which pictures came      TERN_UNSEEN_OVERLOAD: this machine left them out
 *   holes in which none came          TERN_UNSEEN_AWAY: the camera was not there, or sent nothing
 *   windows that ended in an error    TERN_UNSEEN_FAILED
 *   while it was not to be watched    TERN_UNSEEN_SCHEDULE: nothing was due; or why it was not watched
 *
 * What the gate found nothing new in was looked at, and is a window like others. A hole of less than half a window is none:
 * windows lie on ticks of the frame rate. */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

typedef enum {
  TERN_UNSEEN_OVERLOAD,
  TERN_UNSEEN_AWAY,
  TERN_UNSEEN_OFF,              /* `tern watch` did not run, or not with this camera: nobody's vigil */
  TERN_UNSEEN_SCHEDULE,
  TERN_UNSEEN_FAILED,
  TERN_UNSEEN_REASONS
} TernUnseenReason;

typedef struct {
  gint64 start, end;
  gint64 time;                  /* of it, that was not looked at: all, but where several spans were made one */
  guint64 windows;              /* that would have had room in that time; 0: nothing was due */
  TernUnseenReason reason;
} TernUnseen;

typedef struct {
  gint64 window;                /* how long one is */
  gint64 until;                 /* what lies before is accounted for */
  gint64 silent;                /* since when no picture comes; G_MAXINT64: they come */
  gboolean paused;              /* nobody looks since `until`, */
  TernUnseenReason why;         /* for this reason */
  GArray *silences;             /* Silence: that are over, the oldest first */
  GArray *spans;                /* TernUnseen: what was found out, for the caller to take */
} TernVigil;

/* From @now on it is due; no picture comes yet. */
void tern_vigil_init (TernVigil *vigil, gint64 window, gint64 now);
void tern_vigil_clear (TernVigil *vigil);

/* A connection has its first picture; lost one, whose last picture was at @at; had none between two pictures. */
void tern_vigil_come (TernVigil *vigil, gint64 at);
void tern_vigil_lose (TernVigil *vigil, gint64 at);
void tern_vigil_miss (TernVigil *vigil, gint64 from, gint64 to);
/* [@start, @end) was looked at, or should have been (@failed). Windows come in order. */
void tern_vigil_look (TernVigil *vigil, gint64 start, gint64 end, gboolean failed);
/* From @at on nobody looks, for the reason @why, which is that of what is on its way then, too: it is lost, and no fault of the
 * camera's; somebody does again. */
void tern_vigil_pause (TernVigil *vigil, gint64 at, TernUnseenReason why);
void tern_vigil_resume (TernVigil *vigil, gint64 at);
/* What goes on being missed, up to @now: it may still turn out to be another one. FALSE: nothing does. */
gboolean tern_vigil_goes_on (const TernVigil *vigil, gint64 now, TernUnseen *span);

/* What goes on within a minute of @span for the same reason may become one with it, ten minutes long at most: a machine that is
 * too slow all day makes no row for each window. FALSE: it does not. */
gboolean tern_unseen_join (TernUnseen *span, const TernUnseen *next);
/* Windows of @window us in @time us. */
guint64 tern_unseen_windows (gint64 time, gint64 window);

G_END_DECLS
