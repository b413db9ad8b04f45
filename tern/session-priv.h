/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Inside of a session: what the pushing threads and the scheduler's thread share, under the lock, and what is that
 * thread's alone. */
#pragma once

#include "engine/action/head.h"
#include "engine/decode/generator.h"
#include "tern/answered.h"
#include "tern/budget-priv.h"
#include "tern/frame-store.h"
#include "tern/model-priv.h"
#include "tern/reuse-priv.h"
#include "tern/placeholders.h"
#include "tern/reader.h"
#include "tern/result-priv.h"
#include "tern/session-config.h"
#include "tern/state-history.h"
#include "tern/stream.h"

/* The last frame of a stretch, looked at or not. */
typedef struct {
  guint64 pts;                  /* TERN_TIME_NONE: none yet */
  guint64 stated;               /* ns that it is said to stand for; 0 nothing is said */
  guint64 end;                  /* TERN_TIME_NONE: not known */
  gboolean kept;                /* one before it stood as long as was said of it */
} TernSeen;

/* A piece of work that was taken from the queue. */
typedef struct {
  gboolean has;
  TernWork work;
  gboolean looking;             /* its picture is encoded */
  guint64 number;               /* ... under this one (TernLook) */
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

/* What a generator has guessed: tern_generator_guesses(), tern_generator_drafts(). */
typedef struct {
  guint64 read, right, drafts, drafts_right;
} TernGuesses;

/* One question about what is in hand. */
typedef struct {
  TernReader reader;            /* with a timeline once there are caches */
  TernGenerator *generator;
  TernGuesses counted;          /* of it in the session's statistics */
  TernDp *dp;
  GArray *ids;                  /* gint32: its prompt */
  TernSessionConfig *compiled;  /* whose that is, for a video of compiled_frames; NULL: of nothing kept */
  guint compiled_frames;
  TernAskState state;
  guint prompt_tokens;
  float *logits;                /* of its rows in the pass; NULL: none */
  guint path_rows;              /* ... of paths of labels; 0: none */
  gboolean in_pass;
  gboolean acts;                /* an action model answers */
  gboolean speaks;              /* ... whose numbers are said as tokens; otherwise there are no logits, but */
  gboolean decides;             /* ... the last row of its prompt is in the pass, and this becomes */
  float *hidden;                /* [width] what it is after the final norm, then the robot's state; NULL: never asked for */
  double *actions;              /* [steps * dims] what was decided; likewise */
  gint32 *words;                /* [steps * dims] tokens of one that speaks; likewise */
  guint n_words;                /* said so far */
  guint64 time;                 /* ns, of the newest frame that is decided about */
  gint64 decode, first_token, end;      /* monotonic us; 0: not yet */
  char *prompt;                 /* with placeholders filled in; NULL: it has none */
  guint told;                   /* bytes of it that were told in partial results */
  GError *error;                /* instead of an answer */
} TernAsk;

typedef struct {
  TernResult values;            /* what is the same for all questions */
  guint n_asks, n_delivered;
  guint lead;                   /* the first one that is read, the others may go on from what it read */
  gboolean sharing;             /* others wait for it */
  guint next;                   /* whose rows go first when not all find room */
  gint64 begin;                 /* monotonic us */
  gboolean repeats;             /* nothing is new: it is told what was answered before */
  gboolean deferred;            /* the same, for what is new is not worth an answer */
  gboolean must;                /* it is answered whatever it is worth */
  TernWindowNews news;          /* of a window */
  guint64 picture;              /* the newest that it shows; 0: nobody says */
  gboolean forgotten;           /* nothing of what is asked about is remembered */
} TernAnswer;

/* Which frames are encoded. */
typedef struct {
  TernGate *gate;               /* NULL: all of them */
  guint64 stretch;              /* that the gate looks at */
  guint64 picture;              /* encoded last, counted from 1; ... */
  float *rows;                  /* ... [room][width] its tokens, for frames with nothing new; NULL without a gate */
  guint room, n;                /* n 0: there are none */
  guint grid_w, grid_h;         /* of them; 0: they are no grid */
  TernReuse *reuse;             /* what the tower keeps of frames; NULL: nothing */
} TernNews;

/* What is asked about one window, still or moment, and how far the answers are. */
typedef struct {
  TernInHand hand;
  TernAnswer told;
  TernAsk *asks;                /* [n_asks] one for each question; the first told.n_asks are in use */
  guint n_asks;
  /* With the memory of a stream: */
  guint64 since;                /* a request: frame that it is about from */
  guint visible;                /* rows of the memory that are seen */
  double memory[2 * TERN_STREAM_SPANS];         /* [n_memory] s: tern_stream_spans() when it began */
  guint n_memory;
} TernInquiry;

/* Frames of a window that is open, read as they come. */
typedef struct {
  gboolean in_use;
  guint64 first;                /* frame of the window */
  TernReader reader;
  gboolean in_pass;
} TernReading;

/* What timelines, generators and policies were made for. */
typedef struct {
  guint context;                /* of the timelines */
  guint own;                    /* ... that windows need: requests do not change how keys are kept */
  guint beam, forks, label, max_tokens, questions;
  guint prompt, tail;           /* tokens of the longest prompt; of one behind what questions share */
} TernCacheSize;

/* A question that is asked once: tern_session_ask(). */
typedef struct {
  guint64 id;
  TernSessionConfig *config;    /* with it as its one question; a reference */
  guint frames;                 /* the newest so many; 0: those of the open window */
  guint64 from, to;             /* ns of stream time; to 0: any */
  guint64 after;                /* frames before this one are looked at first */
  guint64 epoch;                /* of the session: a cancel ends what was asked before it */
  gint64 asked, deadline;       /* monotonic us; no deadline: G_MAXINT64 */
} TernPending;

/* The tokens of a frame that will come again with its group. */
typedef struct {
  guint refs;                   /* under the lock */
  guint64 number;               /* as it was said */
  guint64 pts, at, after;       /* ns: time stamp, sampling tick; from the former to its last frame */
  guint64 end;                  /* ns, of that one; TERN_TIME_NONE: not known */
  TernFrameSampler sampler;     /* after it */
  guint n_tokens, full;
  float *rows;                  /* [n_tokens][dim] */
  guint grid_w, grid_h;         /* 0: not known */
  gint32 *places;               /* [n_tokens] in the grid; NULL: all of it */
} TernPreview;

typedef struct {
  TernPreview *frames[TERN_GROUP_FRAMES];       /* oldest first; a reference each */
  guint n;
} TernPreviews;

/* What is remembered of a stream, and how it is read: session-memory-stream.c. */
typedef struct _TernSessionStream TernSessionStream;

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
  gboolean tokens_only;         /* as its parameters say */
  gboolean pairs;               /* two frames that are looked at make a picture, which is what windows and groups count */
  gboolean looks_back;          /* ... and is given the frame before it */
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
  /* Where two frames make a picture, the first of which the second is not there yet; NULL: none waits. */
  TernFrameSlot *half;
  guint64 half_at, half_pts;    /* ns: its sampling tick, its time */
  gboolean half_first;          /* of a group */
  TernFrameSlot *latest;        /* with looks_back: the last frame that was looked at in this stretch, a reference; NULL: none */
  TernPreviews previews;        /* of frames after the last one that was pushed */
  TernWorkQueue queue;
  gsize refused_bytes;          /* of the frame that there was no room for */
  GQueue results;               /* of TernResult, to be polled */
  TernStateHistory states;      /* with an action model */
  guint64 stretch_first;        /* frame that the newest stretch begins with */
  GQueue pending;               /* of TernPending, in the order of the calls */
  guint64 asked;                /* requests so far */
  gboolean ended;               /* a stretch, since the last frame: requests wait for no further one */
  guint64 epoch;                /* flushes and cancels so far */
  guint64 flushes;              /* of these; each ends every wait */
  guint waiting;                /* threads in tern_session_next() and wait() */
  gboolean gone;                /* being freed: nobody waits any more */
  guint in_hand;                /* pieces of work that were taken and are not over */
  gboolean in_window;           /* one of them is a window or still */
  gboolean discard;             /* what was begun before the last flush gives no result */
  gint64 last_pushed;           /* when the last frame came, monotonic us */
  guint64 next_id;
  TernSessionStats stats;
  TernCancel cancel;
  TernCancel stream_cancel;     /* of what the stream's timeline reads: a flush's alone */
  TernActionModel *action;      /* NULL: none. It stays */
  TernModelText *draft_text;    /* NULL: no draft model. They stay */
  TernDraftModel *draft;

  /* the scheduler's thread's */
  guint64 seen_epoch;           /* what was begun is of this one */
  TernFrameStore store;
  TernInHand frame;             /* a frame that is looked at */
  TernNews news;
  TernBudget *budget;           /* NULL: none */
  TernSpent charged;            /* of what passes have cost */
  guint64 charged_rows;
  guint64 told_picture;         /* the newest of the window that was answered last; its end, ns */
  guint64 told_end;
  TernAnswered answered;
  TernInquiry standing;         /* a window or still that is answered */
  TernInquiry request;          /* a request that is answered, beside it */
  TernPending *asked_now;       /* which one; NULL: none is in hand */
  gboolean request_waits;       /* until no window is answered */
  TernPreviews shown;           /* what it is about beside frames in the store */
  guint64 shown_first;          /* number that the first of them will have */
  guint64 shown_window;         /* first frame of the window that the last of them will be in */
  guint64 last_window;          /* first frame of the window that was answered last */
  guint64 release_to;           /* frames before this one may leave the store when the next group begins */
  TernActionRun *decider;       /* with an action model */
  guint64 decided_to;           /* frame after the last one that was decided about */
  TernSessionStream *stream;    /* NULL: windows are read by themselves */
  gboolean stream_waits;        /* a window in `standing` waits until its frames were read */
  TernReading *readings;        /* [n_readings] windows that have not ended */
  guint n_readings;
  const TernPromptFamily *family;
  TernCacheSize cache;          /* what the following were made for, of `standing` */
  TernCacheSize request_cache;  /* ... and of `request`; zeros: nothing yet */
  TernStore *caches;            /* what timelines read */
  TernKvType kv;
  GArray *planned;              /* gint32: a window's prompt, were it whole */
  TernSessionConfig *planned_of;        /* whose that is, if it holds for every window */
  GArray *runs;                 /* TernPromptRun of each of `pictures` */
  GArray *pictures;             /* TernPicture */
  GArray *places;               /* TernPlace, of rows that enter a pass */
  GArray *spans;                /* TernSpan */
  float *still_tokens;          /* [still_size][width] */
  guint still_size;
};

/* ---- session-run.c: the client ---- */

extern const TernClientClass tern_session_client_class;
/* What is in hand is over: its slot is free, who waits is woken. */
void tern_session_put_down (TernSession *self, TernInHand *hand);

/* ---- session-news.c: what is new ---- */

gboolean tern_session_open_gate (TernSession *self, const TernGateParams *params, GError **error);
/* Room for tokens of frames that are not encoded, @n at most. NO_SPACE. */
gboolean tern_session_prepare_gate (TernSession *self, guint n, GError **error);
void tern_session_close_gate (TernSession *self);
/* A frame was encoded. */
void tern_session_count_reuse (TernSession *self);
/* The frame in hand has nothing new, and has got its tokens; FALSE: it is to be encoded. */
gboolean tern_session_reuse_frame (TernSession *self, TernFrameGroup *group);
/* The frame in hand was encoded, or with FALSE could not be. Which picture it is. */
guint64 tern_session_keep_frame (TernSession *self, gboolean encoded);
/* What comes is another scene, or what was looked at was dropped. */
void tern_session_forget_news (TernSession *self);
/* How much was new in the frame that the gate looked at last. */
double tern_session_novelty (const TernSession *self);
/* The picture that all frames from @first up to before @end that are there show; 0: there are several. */
guint64 tern_session_picture (const TernSession *self, guint64 first, guint64 end);

/* ---- session-budget.c: what is worth it; without a budget everything is ---- */

gboolean tern_session_open_budget (TernSession *self, const TernSessionParams *params, GError **error);
/* @cpu ns were spent on @hand's picture; @over: it is encoded. */
void tern_session_charge_look (TernSession *self, const TernInHand *hand, guint64 cpu, gboolean over);
/* A pass is over. */
void tern_session_charge_pass (TernSession *self);
/* All questions of @in were answered. */
void tern_session_count_answer (TernSession *self, const TernInquiry *in);
void tern_session_see_tokens (TernSession *self, const TernWork *work);
/* What frames from @first up to before @end that are there show, but for `end`. The newest picture; 0: nobody says. */
guint64 tern_session_find_news (const TernSession *self, guint64 first, guint64 end, TernWindowNews *news);
/* Whether the window that begins with frame @first would be answered as it is. */
gboolean tern_session_may_answer (TernSession *self, guint64 first, const TernSessionConfig *config);
/* Whether @in's window, whose news are filled in but for `end`, is to be told the last answer again. */
gboolean tern_session_puts_off (TernSession *self, TernInquiry *in);
void tern_session_count_put_off (TernSession *self, const TernInquiry *in);
/* How many tokens of @group are kept. */
void tern_session_limit_group (TernSession *self, const TernFrameGroup *group, TernCompressorParams *params);
/* The share of keys that are left out, @prune at least; `spans` are found. */
double tern_session_prune (TernSession *self, const TernInquiry *in, double prune);

/* ---- session-frames.c: looking at pictures ---- */

void tern_session_begin_frame (TernSession *self);
void tern_session_begin_still (TernSession *self);
/* Whichever is under way, and what a slice of it came to. */
void tern_session_look (TernSession *self, TernLook *look);
void tern_session_looked (TernSession *self, const TernLooked *looked);
/* Chooses what is kept of the group that is open, if there is one. */
/* How groups are compressed, windows and rate of the session filled in. */
TernCompressorParams tern_session_compression (const TernSession *self, const TernSessionConfig *config);
void tern_session_close_group (TernSession *self, const TernSessionConfig *config);

/* ---- session-pictures.c: which of them are shown ---- */

/* `pictures` and `runs`, made anew for each prompt: none, then those of a closed group of a window that begins at @start.
 * A frame that nothing is left of is no picture. Returns the tokens that are kept. */
void tern_session_clear_pictures (TernSession *self);
void tern_session_add_frame (TernSession *self, const TernFrameGroup *group, guint f);
guint tern_session_add_group (TernSession *self, const TernFrameGroup *group, guint64 start);
/* The store's group that has a frame, or is the nearest; NULL: there is none. */
const TernFrameGroup *tern_session_group_of (const TernSession *self, guint64 frame);
/* Of a frame, ns: the sampling tick that windows go by, and when its last picture was taken. */
typedef struct {
  guint64 tick, newest;
} TernFrameTimes;
/* Of one that is in the store, or shown beforehand. */
TernFrameTimes tern_session_times_of (const TernSession *self, guint64 frame);
/* Those of @inquiry's window, still or moment, with what the result says of them. FAILED: a frame is missing. */
gboolean tern_session_gather (TernSession *self, TernInquiry *inquiry, GError **error);
/* Frames before @next are not needed by windows. They leave when the next group begins: until then there is something to
 * ask about. */
void tern_session_let_go (TernSession *self, guint64 next);
void tern_session_release_frames (TernSession *self);

/* ---- session-answer.c: asking about them ---- */

/* What is in hand, whose frames are all there. */
void tern_session_begin_answer (TernSession *self, TernInquiry *inquiry);
/* Its asks are as before it. */
void tern_inquiry_clear (TernInquiry *inquiry);
/* What is not answered gets no answer: with @discard, or those asked end as cancelled. */
void tern_session_end_answer (TernSession *self, TernInquiry *inquiry, gboolean discard);
guint tern_session_add_decode (TernSession *self, TernRound *round);
guint tern_session_add_prompt (TernSession *self, TernRound *round);
void tern_session_take_logits (TernSession *self, TernRound *round, gboolean torn);
/* Rows that it would have read. */
TernDemand tern_session_wanted_rows (const TernSession *self);
/* Of an error that ends the answer before it begins. */
void tern_session_fail (TernSession *self, TernInquiry *inquiry, const GError *error);
/* @ask is answered, or @error is: takes it. */
void tern_session_end_ask (TernAsk *ask, GError *error);

/* ---- session-result.c: what they become ---- */

/* Hands over what is answered; the work is over with the last question. */
void tern_session_deliver (TernSession *self, TernInquiry *inquiry);
/* ... and what has been said so far, where whole words were added. */
void tern_session_tell_partial (TernSession *self, TernInquiry *inquiry, guint question);

/* ---- session-previews.c: frames that come again with their group; for requests alone ---- */

/* Those up to @number are there, or will not come; G_MAXUINT64: all of them. Under the lock. */
void tern_session_drop_previews (TernSession *self, guint64 number);
/* Whether there are some that @config may be asked about, and whatever came before them was looked at; @looking: the frame
 * that is looked at, or G_MAXUINT64. Under the lock. */
gboolean tern_session_has_previews (const TernSession *self, const TernSessionConfig *config, guint64 looking);
/* They become `shown`, and stay until they are hidden. Under the lock. */
void tern_session_show_previews (TernSession *self);
void tern_session_hide_previews (TernSession *self);

/* ---- session-ask.c: requests that wait; under the lock ---- */

/* Whether frames before @after wait to be looked at. */
gboolean tern_session_frames_wait (const TernSession *self, guint64 after);

/* One whose time is over, else the oldest one, if its frames were looked at; NULL: none. @seen: some were; @looking: the
 * frame that is looked at, or G_MAXUINT64. */
TernPending *tern_session_next_pending (TernSession *self, gboolean seen, guint64 looking);
void tern_pending_free (TernPending *pending);
/* When the first of them has waited long enough, monotonic us; G_MAXINT64: never. */
gint64 tern_session_pending_deadline (const TernSession *self);

/* ---- session-request.c: requests that are answered ---- */

/* Takes the next request in hand, if there is one to be answered now. */
void tern_session_take_request (TernSession *self);
/* Begins again: its caches went. */
void tern_session_restart_request (TernSession *self);
/* The request in hand is over. */
void tern_session_put_down_request (TernSession *self);
/* Those that were asked before the last cancel end as cancelled. */
void tern_session_end_requests (TernSession *self);

/* ---- session-states.c: the robot's states ---- */

/* Time of the newest frame of @window in the store; scheduler's thread. */
guint64 tern_session_newest_pts (const TernSession *self, const TernWindow *window);

/* ---- session-action.c: what an action model answers ---- */

/* Whether the session's action model suits it, and what it remembers. MISMATCH, NO_SPACE. */
gboolean tern_session_open_action (TernSession *self, GError **error);
void tern_session_close_action (TernSession *self);
/* What comes next is a first decision. */
void tern_session_forget_action (TernSession *self);
/* @ask has room for its answer about @inquiry's frames, which are in the store. */
void tern_session_expect_action (TernSession *self, const TernInquiry *inquiry, TernAsk *ask);
/* Its prompt was read: decides, and ends it. */
void tern_session_decide (TernSession *self, TernInquiry *inquiry, TernAsk *ask);
/* It speaks, and @ask->logits are there: the next number is said, the last one ends it. */
void tern_session_speak (TernSession *self, TernAsk *ask);
/* What was decided, into @values. */
void tern_session_conclude_action (const TernSession *self, const TernInquiry *inquiry, const TernAsk *ask, TernResult *values);

/* ---- session-draft.c: what guesses answers ---- */

/* Loads the draft model, if there is to be one; on the caller's thread. NOT_FOUND, READ, FORMAT, UNSUPPORTED, MISMATCH, INVALID. */
gboolean tern_session_open_draft (TernSession *self, const TernSessionParams *params, GError **error);
void tern_session_close_draft (TernSession *self);
/* @ask's new generator gets a draft, if there is one. */
gboolean tern_session_give_draft (TernSession *self, TernAsk *ask, guint context, GError **error);
/* What @ask's generator has guessed since the last call is in the statistics. Takes the lock. */
void tern_session_count_guesses (TernSession *self, TernAsk *ask);

/* ---- session-early.c: reading frames of windows that have not ended ---- */

/* A group was closed. */
void tern_session_read_early (TernSession *self);
/* Gives the reader of the window that begins with frame @first to @reader, in exchange; FALSE: there is none. */
gboolean tern_session_take_reading (TernSession *self, guint64 first, TernReader *reader);
/* @reader has read what the reader of that window has. */
void tern_session_fork_reading (TernSession *self, guint64 first, TernReader *reader);
void tern_session_forget_readings (TernSession *self);
/* Those of windows that begin before frame @next: frames before it leave the store. */
void tern_session_forget_readings_before (TernSession *self, guint64 next);

/* ---- session-memory-stream.c: one timeline for all frames ---- */

void tern_session_open_stream (TernSession *self, const TernSessionParams *params);
void tern_session_close_stream (TernSession *self);
/* The words around pictures, and what is remembered; tokenises. *@prompt: of a question with all that is remembered, at most;
 * *@tail: of it, what several do not share. NO_SPACE. */
gboolean tern_session_plan_stream (TernSession *self, guint *prompt, guint *tail, GError **error);
guint tern_session_stream_tokens (const TernSession *self);
TernStream *tern_session_stream_memory (TernSession *self);
/* With the caches made; on the scheduler's thread. */
gboolean tern_session_prepare_stream (TernSession *self, GError **error);
/* Whether each of @config's questions can be asked behind what was read; any thread, tokenises. */
gboolean tern_session_stream_fits (const TernSession *self, const TernSessionConfig *config, GError **error);
void tern_session_stream_forget (TernSession *self);
/* So many closed groups wait to be read that no further frame is looked at. */
gboolean tern_session_stream_is_full (const TernSession *self);
/* Whether all closed groups' frames before frame @end were. */
gboolean tern_session_stream_has_read (const TernSession *self, guint64 end);
/* Frames from this one on stay in the store. */
guint64 tern_session_stream_needs (const TernSession *self);
gboolean tern_session_stream_has_seen (const TernSession *self);        /* something is remembered */
/* Rows of closed groups that were not read yet. */
guint tern_session_stream_left (const TernSession *self);
/* What reads them; NULL: there are none, or not now. */
TernReader *tern_session_stream_reader (TernSession *self);
gboolean tern_session_stream_reads (const TernSession *self, const TernReader *reader);         /* whether @reader is that one */
void tern_session_stream_pass (TernSession *self, gboolean in_pass, gboolean torn);
/* A request is @wanted: whether it has to wait for the end of what is being read; no more is begun until then. */
gboolean tern_session_stream_hold (TernSession *self, gboolean wanted);
/* What a request is about; @found: the moment is filled in with the store's frames. FALSE: nothing was seen. */
gboolean tern_session_stream_moment (const TernSession *self, const TernPending *pending, gboolean found, TernInquiry *in);
/* As tern_session_gather(), compile and start of reading. */
gboolean tern_session_stream_gather (TernSession *self, TernInquiry *in, GError **error);
gboolean tern_session_stream_compile (TernSession *self, TernInquiry *in, guint q, const TernPromptVisual *when, GArray *ids,
    char **filled, GError **error);
gboolean tern_session_stream_fork (TernSession *self, TernInquiry *in, TernReader *reader, GError **error);

/* ---- session-memory.c ---- */

/* Of a window that has not come yet: as long as times get, for placeholders. */
#define TERN_SESSION_PLANNED_START (G_GUINT64_CONSTANT (99999999) * TERN_SECOND + TERN_SECOND / 999)


/* Makes and measures the prompts of a whole window. Tokenises: on the caller's thread, not the scheduler's. */
gboolean tern_session_plan (TernSession *self, GError **error);
/* Takes all memory that windows of the planned size need; on the scheduler's thread. */
gboolean tern_session_prepare (TernSession *self, GError **error);
/* Makes or grows what timelines need for @config's questions, whose prompts have @n tokens and @tail of them that they do
 * not share. A request under way begins again. */
gboolean tern_session_reserve (TernSession *self, const TernSessionConfig *config, guint n, guint tail, GError **error);
/* The same for a request, beside what there is. BUSY: not as long as a window is answered. */
gboolean tern_session_reserve_request (TernSession *self, const TernSessionConfig *config, guint n, GError **error);
/* Whether a prompt of @n tokens and an answer fit into the context. NO_SPACE. */
gboolean tern_session_has_room (const TernSession *self, const TernSessionConfig *config, guint n, GError **error);
/* There are at least @n asks. */
void tern_inquiry_take_asks (TernInquiry *inquiry, guint n);
void tern_session_clear_engine_side (TernSession *self);
/* What a window of @n_frames frames is for the prompt, at its longest; @runs is filled. */
void tern_session_plan_visual (const TernSession *self, guint n_frames, GArray *runs, TernPromptVisual *visual);
/* The prompt of question @question around @visual; @filled (or NULL): its text, placeholders filled in, to be freed. FORMAT:
 * ids beyond the model's vocabulary. */
gboolean tern_session_compile (const TernSession *self, const TernSessionConfig *config, guint question,
    const TernPromptVisual *visual, GArray *ids, char **filled, GError **error);
/* Tokens that a session of @model may hold. */
guint tern_session_context_limit (const TernModel *model);

/* ---- session.c ---- */

void tern_session_destroy (TernClient *client);
/* Whether a whole window, each of @config's questions and its answer would fit into the context; else NO_SPACE. Not under
 * the lock, nor on the engine thread: it tokenises. */
gboolean tern_session_fits (const TernSession *self, const TernSessionConfig *config, GError **error);

/* ---- session-push.c; under the lock ---- */

/* The partial window is answered; what comes next begins anew. */
void tern_session_end_stretch (TernSession *self);
void tern_session_forget_seen (TernSession *self);
/* A frame that waits for its second one is a picture without, and what comes next follows nothing. */
void tern_session_end_picture (TernSession *self);
/* A frame that waits for its second one goes, and the one before it. Under the lock. */
void tern_session_drop_half (TernSession *self);
/* Without it: whether @tokens can be taken. MISMATCH, INVALID. */
gboolean tern_session_check_tokens (TernSession *self, const TernTokens *tokens, GError **error);
/* When @window ends; a live session closes it before that is known. */
guint64 tern_session_end_of (const TernSession *self, const TernWindow *window);
/* Frames of a group and of a window, and the rate at which they are looked at: of a new session. */
gboolean tern_session_plan_windows (TernSession *self, const TernSessionParams *params, TernWindowPlan *plan,
    GError **error);
