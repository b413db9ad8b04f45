/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What waits for the engine of one session: frames in memory of their own, windows and stills, in order; and what of
 * it a live session drops when the engine is behind. Plain data: no locks, no threads, no models; a session calls all
 * of it under its lock. */
#pragma once

#include "tern/image.h"
#include "tern/window.h"

typedef struct _TernSessionConfig TernSessionConfig;

/* Memory for one frame that waits. */
typedef struct _TernFrameSlot TernFrameSlot;
struct _TernFrameSlot {
  guint8 *data;
  gsize capacity;
  guint refs;                   /* of work, and of slots that it is `before` of; 0: it is free */
  TernImage image;              /* a frame or still: planes in data */
  TernFrameSlot *second;        /* the frame that makes one picture with this one; goes where this one goes. NULL: none */
  guint64 between;              /* ... ns: the mean of their times */
  guint64 after;                /* ns by which the picture's last frame is after the picture's time */
  /* The frame before the picture, a reference; goes with the work. NULL: none, or nobody looks back. */
  TernFrameSlot *before;
  guint n_tokens, full;         /* tokens: rows in data, tokens of the grid */
  guint64 picture;              /* ... and which picture they are of; 0: nobody says */
  double novelty;               /* ... and how much of it is new */
  guint grid_w, grid_h;         /* ... of the whole grid; 0: not known */
  gboolean placed;              /* ... behind the rows, where in it each is */
};

typedef enum {
  TERN_WORK_FRAME,
  TERN_WORK_TOKENS,
  TERN_WORK_STILL,
  TERN_WORK_WINDOW,
  TERN_WORK_REQUEST,            /* never in the queue: see session-ask.c */
} TernWorkKind;

/* One thing for the engine to do. */
typedef struct {
  TernWorkKind kind;
  TernFrameSlot *slot;          /* NULL for a window */
  guint64 frame;                /* number */
  guint64 begins, pts;          /* of a frame: the tick that it is of, as windows begin; its time, between those of a pair */
  gboolean first;               /* of a group: begins one in the store */
  guint64 stretch;              /* that a frame is of, as TernWindow counts them */
  TernWindow window;
  gint64 pushed;                /* monotonic us */
  TernSessionConfig *config;    /* what holds for it; a reference */
} TernWork;

typedef struct {
  guint n_slots;                /* frames that wait, at most */
  guint always;                 /* frames that may wait however large they are */
  gsize bytes;                  /* more of them only up to this much memory */
  void (*unref) (TernSessionConfig *config);     /* gives back TernWork.config; never called with NULL */
} TernWorkLimits;

typedef struct {
  TernWorkLimits limits;
  TernFrameSlot *slots;         /* [limits.n_slots] */
  guint n_taken;                /* slots in use, those of work in hand and frames before it too */
  TernWork *work;               /* [n] that waits, oldest first */
  guint n, size;
  guint64 dropped;              /* windows dropped so far */
} TernWorkQueue;

void tern_work_queue_init (TernWorkQueue *queue, const TernWorkLimits *limits);
/* Frees what init took, and drops what waits. Work in hand has been released. A queue of zeros may be cleared. */
void tern_work_queue_clear (TernWorkQueue *queue);

/* ---- Slots ---- */

/* Whether tern_work_queue_take_slot() would have a slot of @bytes. */
gboolean tern_work_queue_has_room (const TernWorkQueue *queue, gsize bytes);
/* A slot with @bytes of data. NULL: BUSY when there is no room, NO_SPACE when there is no memory. */
TernFrameSlot *tern_work_queue_take_slot (TernWorkQueue *queue, gsize bytes, GError **error);
/* Another reference to a slot that was taken. */
TernFrameSlot *tern_work_queue_hold_slot (TernFrameSlot *slot);
/* Gives back a reference that no work has. */
void tern_work_queue_return_slot (TernWorkQueue *queue, TernFrameSlot *slot);

/* ---- Order ---- */

/* Takes over @work's slot and its reference. */
void tern_work_queue_append (TernWorkQueue *queue, const TernWork *work);
/* The oldest work, which is in the caller's hand until tern_work_queue_release(); FALSE when nothing waits. */
gboolean tern_work_queue_take (TernWorkQueue *queue, TernWork *work);
/* Gives back what @work has: its slot, the frames that go with it, and its reference. */
void tern_work_queue_release (TernWorkQueue *queue, TernWork *work);
/* Answers that wait: windows and stills. */
guint tern_work_queue_answers (const TernWorkQueue *queue);

/* ---- What is dropped ---- */

void tern_work_queue_drop_all (TernWorkQueue *queue);
/* Frames [first, end), not the windows that they are in. */
void tern_work_queue_drop_frames (TernWorkQueue *queue, guint64 first, guint64 end);
/* The oldest whole window, with the frames that no other one needs. FALSE: there is none. */
gboolean tern_work_queue_drop_oldest (TernWorkQueue *queue);
/* A window has come in: those that wait before it make room. Only the one at whose frames the engine is already is
 * answered nevertheless, or a slow one would begin windows for ever and answer none. So one waits, the newest too, and
 * a third one comes in: that is what a live session has slots for. */
void tern_work_queue_keep_newest (TernWorkQueue *queue);
/* Drops windows, oldest first, until there is room for @bytes. FALSE: that was not enough, and all frames went, those
 * of the window that comes in as well; there may be no room even so, as long as the engine has what is in hand. */
gboolean tern_work_queue_make_room (TernWorkQueue *queue, gsize bytes);
