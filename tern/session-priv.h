/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Inside of a session: what the pushing threads and the scheduler's thread share, under the lock, and what is that
 * thread's alone. */
#pragma once

#include "engine/decode/generator.h"
#include "tern/frame-store.h"
#include "tern/model-priv.h"
#include "tern/reader.h"
#include "tern/result-priv.h"
#include "tern/session-config.h"

/* The last frame of a stretch, looked at or not. */
typedef struct {
  guint64 pts;                  /* TERN_TIME_NONE: none yet */
  guint64 stated;               /* ns that it is said to stand for; 0 nothing is said */
  guint64 end;                  /* TERN_TIME_NONE: not known */
} TernSeen;

/* A piece of work that was taken from the queue. */
typedef struct {
  gboolean has;
  TernWork work;
  gboolean looking;             /* its picture is encoded */
  gboolean begun;               /* ... and the encoder has seen it */
  TernVisionOptions options;
  TernVisionPlan plan;
  float *tokens;                /* where its visual tokens go */
  gint64 spent;                 /* us, on the picture */
} TernInHand;

typedef enum {
  TERN_ASK_WAITS,               /* for what it shares with the first question */
  TERN_ASK_READS,
  TERN_ASK_SAYS,
  TERN_ASK_IS_ANSWERED,
} TernAskState;

/* One question about what is in hand. */
typedef struct {
  TernReader reader;
  TernGenerator *generator;
  TernDp *dp;
  GArray *ids;                  /* gint32: its prompt */
  TernSessionConfig *compiled;  /* whose that is, for a video of compiled_frames; NULL: of nothing kept */
  guint compiled_frames;
  TernAskState state;
  guint prompt_tokens;
  const float *logits;          /* of its rows in the pass; NULL: none */
  gboolean in_pass;
  gint64 decode, first_token, end;      /* monotonic us; 0: not yet */
  GError *error;                /* instead of an answer */
} TernAsk;

typedef struct {
  TernResult values;            /* what is the same for all questions */
  guint n_asks, n_delivered;
  guint lead;                   /* the first one that is read, the others may go on from what it read */
  gboolean sharing;             /* others wait for it */
  guint next;                   /* whose rows go first when not all find room */
  gint64 begin;                 /* monotonic us */
} TernAnswer;

/* Frames of a window that is open, read as they come. */
typedef struct {
  gboolean in_use;
  guint64 first;                /* frame of the window */
  TernReader reader;
  gboolean in_pass;
} TernReading;

/* What timelines, generators and policies were made for. */
typedef struct {
  guint context, beam, max_tokens, questions;
  guint prompt, tail;           /* tokens of the longest prompt; of one behind what questions share */
} TernCacheSize;

struct _TernSession {
  TernClient client;
  TernModel *model;
  const TernModelText *text;
  TernVision *vision;           /* NULL: takes tokens only */
  TernResultFunc func;
  void *func_data;
  char *source;
  TernFit fit;
  gboolean live;
  guint group_frames, max_frames;       /* of a whole group, of a window */
  guint planned_visual;         /* visual tokens of a window, at most */
  guint planned_prompt, planned_tail;   /* tokens of the longest question beside them; behind what all share */
  gboolean thin;                /* frames are looked at less often than the rate asked for says */

  GMutex lock;
  GCond changed;
  /* under the lock */
  TernSessionConfig *config;
  TernFrameSampler sampler;
  TernWindower windower;
  TernSeen seen;
  guint64 over_stretch, over;   /* a stretch that is over, and when; what is answered about it then does not end later */
  guint width, height;          /* of the frames as they are shown */
  gboolean has_frames, has_tokens;
  guint64 token_group;          /* number of the last pushed tokens' group */
  TernWorkQueue queue;
  gsize refused_bytes;          /* of the frame that there was no room for */
  GQueue results;               /* of TernResult, to be polled */
  guint64 epoch;                /* flushes and cancels so far */
  guint waiting;                /* threads in tern_session_next() and wait() */
  gboolean gone;                /* being freed: nobody waits any more */
  guint in_hand;                /* pieces of work that were taken and are not over */
  gboolean in_window;           /* one of them is a window or still */
  gboolean discard;             /* what was begun before the last flush gives no result */
  gint64 last_pushed;           /* when the last frame came, monotonic us */
  guint64 next_id;
  TernSessionStats stats;
  TernCancel cancel;

  /* the scheduler's thread's */
  guint64 seen_epoch;           /* what was begun is of this one */
  TernFrameStore store;
  TernInHand frame;             /* a frame that is looked at */
  TernInHand answer;            /* a window or still that is answered */
  TernAnswer told;              /* about that */
  TernAsk *asks;                /* [n_asks] one for each question; the first told.n_asks are in use */
  guint n_asks;
  TernReading *readings;        /* [n_readings] windows that have not ended */
  guint n_readings;
  const TernPromptFamily *family;
  TernCacheSize cache;          /* what the following were made for */
  TernStore *caches;            /* what timelines read */
  TernKvType kv;
  GArray *planned;              /* gint32: a window's prompt, were it whole */
  TernSessionConfig *planned_of;        /* whose that is, if it holds for every window */
  GArray *runs;                 /* TernPromptRun of each of `pictures` */
  GArray *pictures;             /* TernPicture */
  GArray *spans;                /* TernSpan */
  float *still_tokens;          /* [still_size][width] */
  guint still_size;
};

/* ---- session-run.c: the client ---- */

extern const TernClientClass tern_session_client_class;
/* What is in hand is over: its slot is free, who waits is woken. */
void tern_session_put_down (TernSession *self, TernInHand *hand);

/* ---- session-frames.c: looking at pictures ---- */

void tern_session_begin_frame (TernSession *self);
void tern_session_begin_still (TernSession *self);
/* A slice of whichever is under way. TRUE: there is more. */
gboolean tern_session_look (TernSession *self, TernRound *round);
/* Chooses what is kept of the group that is open, if there is one. */
void tern_session_close_group (TernSession *self, const TernSessionConfig *config);

/* ---- session-answer.c: asking about them ---- */

/* `pictures` and `runs`, made anew for each prompt: none, then those of a closed group of a window that begins at @start.
 * A frame that nothing is left of is no picture. Returns the tokens that are kept. */
void tern_session_clear_pictures (TernSession *self);
guint tern_session_add_group (TernSession *self, const TernFrameGroup *group, guint64 start);
/* The window or still in hand, whose frames are all there. */
void tern_session_begin_answer (TernSession *self);
/* Hands over what is answered; the work is over with the last question. */
void tern_session_deliver (TernSession *self);
/* What is not answered gets no answer: with @discard, or those asked end as cancelled. */
void tern_session_end_answer (TernSession *self, gboolean discard);
guint tern_session_add_decode (TernSession *self, TernRound *round);
guint tern_session_add_prompt (TernSession *self, TernRound *round);
void tern_session_take_logits (TernSession *self, TernRound *round, gboolean torn);
/* Rows that it would have read. */
TernDemand tern_session_wanted_rows (const TernSession *self);
/* Of an error that ends the answer before it begins. */
void tern_session_fail (TernSession *self, const GError *error);

/* ---- session-early.c: reading frames of windows that have not ended ---- */

/* A group was closed. */
void tern_session_read_early (TernSession *self);
/* Gives the reader of the window that begins with frame @first to @reader, in exchange; FALSE: there is none. */
gboolean tern_session_take_reading (TernSession *self, guint64 first, TernReader *reader);
void tern_session_forget_readings (TernSession *self);
/* Those of windows that begin before frame @next: frames before it leave the store. */
void tern_session_forget_readings_before (TernSession *self, guint64 next);

/* ---- session-memory.c ---- */

/* Makes and measures the prompts of a whole window. Tokenises: on the caller's thread, not the scheduler's. */
gboolean tern_session_plan (TernSession *self, GError **error);
/* Takes all memory that windows of the planned size need; on the scheduler's thread. */
gboolean tern_session_prepare (TernSession *self, GError **error);
/* Makes or grows what timelines need for @config's questions, whose prompts have @n tokens and @tail of them that they do
 * not share. */
gboolean tern_session_reserve (TernSession *self, const TernSessionConfig *config, guint n, guint tail, GError **error);
/* Whether a prompt of @n tokens and an answer fit into the context. NO_SPACE. */
gboolean tern_session_has_room (const TernSession *self, const TernSessionConfig *config, guint n, GError **error);
/* There are at least @n asks. */
void tern_session_take_asks (TernSession *self, guint n);
void tern_session_clear_engine_side (TernSession *self);
/* What a window of @n_frames frames is for the prompt, at its longest; @runs is filled. */
void tern_session_plan_visual (const TernSession *self, guint n_frames, GArray *runs, TernPromptVisual *visual);
TernPromptParts tern_session_prompt_parts (const TernSession *self, const TernSessionConfig *config, guint question);
/* The prompt of question @question around @visual. FORMAT: ids beyond the model's vocabulary. */
gboolean tern_session_compile (const TernSession *self, const TernSessionConfig *config, guint question,
    const TernPromptVisual *visual, GArray *ids, GError **error);
/* Tokens that a session of @model may hold. */
guint tern_session_context_limit (const TernModel *model);

/* ---- session.c ---- */

void tern_session_destroy (TernClient *client);

/* ---- session-push.c; under the lock ---- */

/* The partial window is answered; what comes next begins anew. */
void tern_session_end_stretch (TernSession *self);
void tern_session_forget_seen (TernSession *self);
/* When @window ends; a live session closes it before that is known. */
guint64 tern_session_end_of (const TernSession *self, const TernWindow *window);
/* Frames of a group and of a window, and the rate at which they are looked at: of a new session. */
gboolean tern_session_plan_windows (TernSession *self, const TernSessionParams *params, TernWindowPlan *plan,
    GError **error);
