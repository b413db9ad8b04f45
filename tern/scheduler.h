/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One thread per model that does all the work of its sessions and encoders.
 *
 * It works in rounds. A round asks every client that is ready what it would do next, puts one pass together (decode rows of
 * all of them first, then rows of prompts up to a budget), runs it, hands the logits out, and does a slice of one client's
 * picture, or of several small ones side by side (lanes.h). So a weight is read once for all, and one client's long prompt
 * or large picture holds another's next word up by a slice. Live clients go before others; among equals those that were
 * served least, and of these the one whose answers take longest. Clients are called between passes alone, never within one. */
#pragma once

#include <glib.h>
#include "engine/base/threads.h"
#include "engine/decode/generator.h"
#include "tern/lanes.h"

typedef struct _TernScheduler TernScheduler;
typedef struct _TernClient TernClient;

/* What a client would do in this round. */
typedef struct {
  guint decode;                 /* rows of tokens said: all of them or none */
  guint prompt;                 /* rows of prompts, at most */
  gboolean awaited;             /* ... of which some are about something that is over: they go before those that are early */
  gboolean slice;               /* work on a picture */
} TernDemand;

/* What a round has for its clients. Borrowed for the call. */
typedef struct {
  TernPass *pass;
  TernPicking *picking;
  guint rows;                   /* of prompts, that may be added in this call; to the end of a chunk more (tern_pass_cut()) */
  guint outputs;                /* logits that may be wanted, in this pass */
  guint guesses;                /* rows of decode that may be added beside those that were demanded */
  float *logits;                /* [outputs][n_vocab] for them, in the order of the segments */
} TernRound;

/* What a slice of a client's picture came to. Borrowed for the call. */
typedef struct {
  TernVisionStep step;
  const GError *error;          /* of FAILED and CANCELLED */
  gint64 us;                    /* that it took */
  guint64 cpu;                  /* ns, processor time of all threads; 0 unless the client's picture is metered */
} TernLooked;

/* On the scheduler's thread, without locks. */
typedef struct {
  /* Cheap: takes what came in, and says what is to be done. All zero: nothing, until the next kick. */
  TernDemand (*demand) (TernClient *client);
  /* Adds the decode rows, or up to round->rows rows of prompts as tern_pass_cut() has it, to round->pass; takes from
   * round->outputs and moves round->logits on. How many rows. */
  guint (*add_decode) (TernClient *client, TernRound *round);
  guint (*add_prompt) (TernClient *client, TernRound *round);
  /* The pass with its segments is over. @error: CANCELLED, its timelines are torn. */
  void (*read) (TernClient *client, TernRound *round, const GError *error);
  /* Says which picture a slice is wanted of; @metered: whether it wants to know what that costs. FALSE: of none any more. May be
   * asked and not be served. */
  gboolean (*look) (TernClient *client, TernLook *look, gboolean *metered);
  /* A slice of that was done; a picture that is not finished is gone on with while look() names it. */
  void (*looked) (TernClient *client, const TernLooked *looked);
  /* Frees the owner, after a round during which it was removed. */
  void (*destroy) (TernClient *client);
} TernClientClass;

/* How much of something a client was given; behind those who had less. */
typedef struct {
  guint64 decode, prompt, slice;
} TernServed;

/* Processor time of all threads that passes have cost a client, ns: they are shared by the number of rows. */
typedef struct {
  guint64 decode, prompt;
} TernSpent;

/* Somebody with work: a session, an encoder. Embedded in its owner. */
struct _TernClient {
  const TernClientClass *klass;
  gboolean live;                /* goes before those that are not */
  gint64 waited;                /* us that its answers take of late, kept by itself on the scheduler's thread: of those who
                                 * had about as much, the one that waits longer goes first */

  gboolean metered;             /* `spent` and `read_rows` are counted; before it is added, then it stays */
  TernSpent spent;              /* so far; the scheduler's thread's */
  guint64 read_rows;            /* of prompts, so far */

  gint64 deadline;              /* monotonic us at which it is to be asked even if nothing came, 0: never; set in demand() */

  /* the scheduler's, under its lock */
  GList link;
  gboolean linked, ready, in_hand, removed;
  guint rounds;                 /* that had it in hand */
  /* the scheduler's thread's, in a round */
  TernDemand demand;
  TernServed served;
  guint waits;                  /* what it wanted in the round before, too: a bit each */
  guint pass_decode, pass_prompt;       /* rows in the pass */
  gboolean metered_look;        /* look() said so */
  gboolean in_pass, again;      /* has segments in the pass; is to be asked in the next round too */
};

/* @threads of the pool, the scheduler's thread counted; 0 = the cores there are. @yielding: all of them step back for other
 * threads (tern_thread_step_back). */
TernScheduler *tern_scheduler_new (guint threads, gboolean yielding, GError **error);
/* Ends the thread. From that thread itself: when what it does is done. */
void tern_scheduler_free (TernScheduler *scheduler);
TernPool *tern_scheduler_pool (TernScheduler *scheduler);
/* Whether the caller is on the scheduler's thread. */
gboolean tern_scheduler_is_self (TernScheduler *scheduler);

/* What passes and pictures need; on the scheduler's thread (tern_scheduler_call), and not while a client adds to a pass.
 * Taken once, and again when timelines of more than the @context so far come. NO_SPACE, and all is as before. */
gboolean tern_scheduler_prepare_text (TernScheduler *scheduler, TernLlm *llm, guint context, TernActivations activations,
    GError **error);
gboolean tern_scheduler_prepare_vision (TernScheduler *scheduler, TernVision *vision, TernActivations activations,
    GError **error);
/* Rows of logits of one pass, at most: no client may want more at once. */
#define TERN_SCHEDULER_OUTPUTS 64
G_STATIC_ASSERT (TERN_BEAM_MAX <= TERN_SCHEDULER_OUTPUTS);
/* Of a picture that is to be begun (TernLook.number); no two have the same. On the scheduler's thread. */
guint64 tern_scheduler_number_picture (TernScheduler *scheduler);
/* Does a picture at once, out of its turn, from within a client's function; the picture under way begins anew. */
TernVisionState *tern_scheduler_take_vision (TernScheduler *scheduler);

void tern_scheduler_add (TernScheduler *scheduler, TernClient *client);
/* @client has work. Any thread. */
void tern_scheduler_kick (TernScheduler *scheduler, TernClient *client);
/* Waits until the round that has @client in hand, if there is one, is over. On the scheduler's thread it waits for
 * nothing. */
void tern_scheduler_settle (TernScheduler *scheduler, TernClient *client);
/* After this @client is not called any more, unless the caller is within a round that has it in hand: then FALSE, and
 * destroy() is called when the round is over. */
gboolean tern_scheduler_remove (TernScheduler *scheduler, TernClient *client);

/* Processor time of all threads, ns: differences tell what was spent between. On the scheduler's thread. */
guint64 tern_scheduler_cpu_time (TernScheduler *scheduler);
/* For tests: what tells how long slices of pictures took, of a scheduler that has an encoder. */
void tern_scheduler_set_clock (TernScheduler *scheduler, TernLanesClock clock);
/* For tests: whether a call or a client waits for the next round. */
gboolean tern_scheduler_is_wanted (TernScheduler *scheduler);

/* Runs @func on the scheduler's thread between two rounds, and waits for it: for what needs the pool at rest. */
typedef void (*TernSchedulerFunc) (void *data);
void tern_scheduler_call (TernScheduler *scheduler, TernSchedulerFunc func, void *data);
