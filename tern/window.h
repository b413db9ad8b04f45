/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which frames one answer is about. Times and counts alone: no pixels, no threads, no allocation. */
#pragma once

#include <glib.h>

typedef struct {
  guint group;                  /* frames of a whole group */
  guint max_frames;             /* of a window; a multiple of group */
  guint max_groups;             /* of a window, incomplete ones counted; at least max_frames / group */
  guint64 window, hop;          /* ns, at least 1 */
  guint64 tick;                 /* ns between sampled frames; 0 unknown */
} TernWindowPlan;

/* Frames are counted from 0 over the whole session. */
typedef struct {
  guint64 first, end;           /* frames [first, end) */
  guint64 next;                 /* frames before this one are not needed by later windows */
  guint64 start_time, end_time; /* ns, stream time */
} TernWindow;

typedef void (*TernWindowFunc) (void *data, const TernWindow *window);

typedef struct {
  guint64 first;                /* frame */
  guint64 at, pts;              /* of that frame */
} TernWindowMark;

typedef struct {
  TernWindowPlan plan;
  TernWindowFunc func;
  void *data;
  guint64 count;                /* frames taken */
  guint in_group;               /* frames in the group that is open; 0: none is */
  TernWindowMark *marks;        /* [max_groups] groups from the oldest open window's first to the newest */
  guint n_marks;
  guint64 last_at, last_pts, last_end;  /* of the frame taken last */
  guint64 closed_end;           /* frame after the last window closed */
  guint64 wait_until;           /* no window is open: the next one begins here (hop > window) */
  gboolean started;             /* a frame was taken since the last finish */
} TernWindower;

typedef enum {
  TERN_WINDOW_SKIP,             /* between windows: not looked at */
  TERN_WINDOW_TAKE,
  TERN_WINDOW_TAKE_FIRST,       /* first frame of a group */
} TernWindowVerdict;

/* @marks is the caller's. @func is called within add and finish, in the order of the windows. */
void tern_windower_init (TernWindower *self, const TernWindowPlan *plan, TernWindowMark *marks, TernWindowFunc func,
    void *data);
/* Would end windows now if @at followed: after a gap longer than a window. */
gboolean tern_windower_is_gap (const TernWindower *self, guint64 at);
/* A sampled frame: @at is its place on the sampling grid (its tick, or its PTS), @pts its time stamp, @end when what it
 * stands for is over. @new_group begins a group early. */
TernWindowVerdict tern_windower_add (TernWindower *self, guint64 at, guint64 pts, guint64 end, gboolean new_group);
/* Closes what is open. @seen_end: when the last frame seen, sampled or not, is over; or G_MAXUINT64. */
void tern_windower_finish (TernWindower *self, guint64 seen_end);
/* Forgets what is open. */
void tern_windower_reset (TernWindower *self);
