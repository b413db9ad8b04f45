/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The visual tokens of a session's frames, in groups, from encoding until no window needs them. Engine thread only. */
#pragma once

#include "tern/tern.h"

typedef struct {
  guint64 first;                /* frame, counted over the session */
  guint64 stretch;              /* that they are of, as TernWindow counts them */
  guint n_frames;
  guint n_tokens[TERN_GROUP_FRAMES];    /* rows of each frame */
  guint64 begins[TERN_GROUP_FRAMES], pts[TERN_GROUP_FRAMES];    /* ns, of each frame: its tick, its time */
  guint64 after[TERN_GROUP_FRAMES];     /* ns by which the last frame of a picture of two is after that time */
  guint64 picture[TERN_GROUP_FRAMES];   /* which picture each is of; 0: nobody says */
  double novelty[TERN_GROUP_FRAMES];    /* how much of it is new, as TernTokens says */
  guint total;                  /* rows of all */
  guint full;                   /* tokens there were before any compression */
  gboolean whole;               /* every frame is a whole grid of one size: may be compressed */
  gboolean closed;              /* keep and n_keep are set */
  gboolean given;               /* its tokens were pushed: others choose what is kept */
  guint n_keep[TERN_GROUP_FRAMES];
  gint32 *keep;                 /* per frame, n_tokens apart */
  gint32 *at;                   /* [total] where in its frame's grid each row is */
  /* ... as somebody said, or all are there; else the first ones of the grid are taken for it */
  gboolean placed[TERN_GROUP_FRAMES];
  float *tokens;                /* [total][dim], frame after frame */
  float *mixed;                 /* what is to be read in their place, where the method mixes; NULL: has never been needed */
  guint mixed_capacity;         /* rows that mixed has room for */
  gboolean is_mixed;
  guint grid_w[TERN_GROUP_FRAMES], grid_h[TERN_GROUP_FRAMES];   /* of each frame, or 0: not known */
  guint capacity;               /* rows that tokens and keep have room for */
  double encode_ms, compress_ms;
  char *error;                  /* why a frame is missing, or NULL */
} TernFrameGroup;

typedef struct {
  guint dim, deepstack, group_frames;   /* of a row: floats, features behind the token, as TernTokens says */
  TernFrameGroup *groups;       /* [max_groups]; the first n are in use, oldest first */
  guint max_groups, n;
  void *scratch;                /* for the method that was last used */
  gsize scratch_bytes;
} TernFrameStore;

void tern_frame_store_init (TernFrameStore *store, guint dim, guint deepstack, guint group_frames, guint max_groups);
void tern_frame_store_clear (TernFrameStore *store);
/* Room for @n_groups groups of frames of at most @n_tokens, beforehand, and for compressing them; further
 * and larger ones, and other methods, take it when they come. */
gboolean tern_frame_store_reserve (TernFrameStore *store, const TernCompressorParams *params, guint n_groups,
    guint n_tokens, GError **error);

/* Begins a group with frame @first. */
TernFrameGroup *tern_frame_store_begin (TernFrameStore *store, guint64 first);
/* The group that is open, or NULL. */
TernFrameGroup *tern_frame_store_open (TernFrameStore *store);
/* Where the next frame's @n_tokens rows go, which are a whole grid in order unless tern_frame_store_place() says otherwise
 * behind it. NULL + NO_SPACE. */
float *tern_frame_store_rows (TernFrameStore *store, TernFrameGroup *group, guint n_tokens, GError **error);
/* @at: [n_tokens]. */
void tern_frame_store_place (TernFrameGroup *group, const gint32 *at, guint n_tokens);
/* The rows to be read of it when it is closed. */
const float *tern_frame_store_kept (const TernFrameGroup *group);
/* What is known of a frame beside its rows. */
typedef struct {
  guint n_tokens, full;         /* rows; tokens of the whole grid */
  guint grid_w, grid_h;         /* of that, or 0: not known */
  guint64 begins, pts;          /* ns: its tick, its time */
  guint64 picture;              /* as TernTokens says; so are */
  double novelty;
  guint64 after;
} TernStoredFrame;

/* The rows are there. */
void tern_frame_store_add (TernFrameGroup *group, const TernStoredFrame *frame);
/* Chooses what is kept. */
void tern_frame_store_close (TernFrameStore *store, TernFrameGroup *group, const TernCompressorParams *params);
/* Drops groups that begin before frame @next. */
void tern_frame_store_release (TernFrameStore *store, guint64 next);
