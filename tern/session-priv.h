/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Inside of a session: what the pushing threads and the engine thread share, under the lock, and what is the engine
 * thread's alone. */
#pragma once

#include "engine/decode/generator.h"
#include "tern/frame-store.h"
#include "tern/model-priv.h"
#include "tern/result-priv.h"
#include "tern/session-config.h"

/* The last frame of a stretch, looked at or not. */
typedef struct {
  guint64 pts;                  /* TERN_TIME_NONE: none yet */
  guint64 stated;               /* ns that it is said to stand for; 0 nothing is said */
  guint64 end;                  /* TERN_TIME_NONE: not known */
} TernSeen;

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
  gboolean busy;                /* a step is under way */
  gboolean in_window;           /* ... of a window or still */
  gboolean discard;             /* ... whose result nobody wants */
  gint64 last_pushed;           /* when the last frame came, monotonic us */
  guint64 next_id;
  TernSessionStats stats;
  TernCancel cancel;

  /* the engine thread's */
  TernVisionState *vision_state;
  TernSolo *state;
  TernGenerator *generator;
  TernPicking *picking;
  TernDp *dp;
  TernKvType kv;
  guint context, beam, max_tokens;      /* what state, generator and dp were made for */
  guint store_epoch;            /* what `store` holds is of this epoch */
  TernFrameStore store;
  GArray *pictures;             /* TernPicture */
  TernSessionConfig *compiled;  /* whose prompt `ids` is, for a video of `compiled_frames`; NULL: of nothing kept */
  guint compiled_frames;
  const TernPromptFamily *family;
  GArray *ids;                  /* gint32, TERN_PROMPT_RUN for pictures */
  GArray *runs;                 /* TernPromptRun of each of `pictures` */
  float *rows;                  /* [TERN_SESSION_ROWS][width] prompt on its way into the model */
  float *logits;                /* [n_vocab] */
  TernSpan *spans;              /* [spans_size] where visual tokens stand in the prompt */
  guint spans_size;
  float *still_tokens;          /* [still_size][width] */
  guint still_size;
};

/* Prompt rows that are handed to the model at once. */
#define TERN_SESSION_ROWS 128

/* Visual tokens of one frame or sub-image in a prompt. */
typedef struct {
  const float *tokens;          /* [.., width] */
  const gint32 *keep;           /* [n] rows of tokens, or NULL for the first n */
  guint n;
} TernPicture;

/* ---- session-run.c: the engine thread's side ---- */

gboolean tern_session_step (TernClient *client);
/* Takes all memory that windows of the planned size need; called on the engine thread. */
gboolean tern_session_prepare (TernSession *self, GError **error);
void tern_session_clear_engine_side (TernSession *self);
/* What a window of @n_frames frames is for the prompt, at its longest; @runs is filled. */
void tern_session_plan_visual (const TernSession *self, guint n_frames, GArray *runs, TernPromptVisual *visual);
TernPromptParts tern_session_prompt_parts (const TernSession *self, const TernSessionConfig *config, guint question);
/* Tokens that a session of @model may hold. */
guint tern_session_context_limit (const TernModel *model);

/* ---- session.c ---- */

void tern_session_destroy (TernClient *client);
/* Under the lock: the oldest work, which makes the session busy; FALSE when nothing waits. */
gboolean tern_session_take_work (TernSession *self, TernWork *work);

/* ---- session-push.c; under the lock ---- */

/* The partial window is answered; what comes next begins anew. */
void tern_session_end_stretch (TernSession *self);
void tern_session_forget_seen (TernSession *self);
/* When @window ends; a live session closes it before that is known. */
guint64 tern_session_end_of (const TernSession *self, const TernWindow *window);
