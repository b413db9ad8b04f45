/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which frames one answer is about. Times and counts alone: no pixels, no threads. The definition stands in window.c. */
#pragma once

#include <glib.h>

typedef struct {
  guint group;                  /* frames of a whole group */
  guint window;                 /* ticks, and so frames at most; a multiple of group */
  guint64 hop;                  /* ticks; a multiple of group */
  guint rate_n, rate_d;         /* sampling ticks a second; not 0 */
  gboolean eager;               /* close a window with its last tick's frame; FALSE: when it is known that its time is over */
} TernWindowPlan;

/* Frames are counted from 0 over the whole session. */
typedef struct {
  guint64 first, end;           /* frames [first, end) */
  guint64 next;                 /* frames before this one are not needed by later windows */
  guint64 start_time, end_time; /* ns, stream time */
  guint64 stretch;              /* counts finishes */
} TernWindow;

/* A window that is open. */
typedef struct {
  guint64 first;                /* frame */
  guint64 at;                   /* ns; where it starts on the grid */
  guint64 start;                /* start_time to be; not before the end of what was finished before */
} TernWindowMark;

typedef struct {
  TernWindowPlan plan;
  guint64 window, hop, tick;    /* ns of the plan's ticks, rounded down */
  guint64 count;                /* frames taken */
  guint in_group;               /* frames in the group that is open; 0: none is */
  guint64 group_first;          /* first frame of the newest group */
  TernWindowMark *marks;        /* open windows, oldest first */
  guint n_marks;
  TernWindow *closed;           /* windows that wait to be taken, oldest first */
  guint n_closed, closed_size;
  guint64 last_at;              /* of the frame taken last */
  guint64 newest_at;            /* of the frame that came last, taken or not */
  guint64 last_tick;            /* of that frame, in the newest window */
  guint64 origin;               /* ns; where the grid of windows begins */
  guint64 cell;                 /* hops from there to the next window */
  guint64 next_start;           /* ns; the same as time */
  guint64 closed_end;           /* frame after the last window closed */
  guint64 ended;                /* ns; where the last window closed ended */
  guint64 stretch_ended;        /* ns; where the stretches before this one did */
  guint64 stretch;              /* finishes so far */
  gboolean started;             /* a frame was taken since the last finish */
} TernWindower;

typedef enum {
  TERN_WINDOW_SKIP,             /* between windows, or the second one of a tick: not looked at */
  TERN_WINDOW_TAKE,
  TERN_WINDOW_TAKE_FIRST,       /* first frame of a group */
} TernWindowVerdict;

/* Whole groups in @time, in sampling ticks. */
guint64 tern_window_round (guint64 time, guint rate_n, guint rate_d, guint group);

/* Takes all the memory that there is need of while windows are taken after each call that may close some. */
void tern_windower_init (TernWindower *self, const TernWindowPlan *plan);
void tern_windower_clear (TernWindower *self);
/* The oldest window that add, see or finish closed and that was not taken yet; FALSE: none. */
gboolean tern_windower_next (TernWindower *self, TernWindow *window);
/* @at lies before the frame taken last: what is open has to be finished first. */
gboolean tern_windower_is_jump (const TernWindower *self, guint64 at);
/* The first frame of the oldest open window that a frame at @at would be in; G_MAXUINT64: of none, it would begin one. */
guint64 tern_windower_find (const TernWindower *self, guint64 at);
/* A sampled frame: @at is its sampling tick, @pts its time stamp. @new_group begins a group early. Windows that it
 * closes ended before it, or with it: those whose `end` is beyond its number, `count` before this call. */
TernWindowVerdict tern_windower_add (TernWindower *self, guint64 at, guint64 pts, gboolean new_group);
/* The video has come to a frame at @pts, which stands until @end. */
void tern_windower_see (TernWindower *self, guint64 pts, guint64 end);
/* Closes what is open. @seen_end: when the last frame seen, sampled or not, is over; or G_MAXUINT64: unknown. */
void tern_windower_finish (TernWindower *self, guint64 seen_end);
/* Forgets what is open, and what was not taken. */
void tern_windower_reset (TernWindower *self);
/* Forgets what is open, but stays on the grid: frames are not looked at until the next window would begin. */
void tern_windower_pass_over (TernWindower *self);
