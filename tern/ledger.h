/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What may be computed, and for what: an account in seconds of one core. Plain arithmetic on what it is told (times of the
 * stream, costs that somebody measured, how much of a picture is new): it looks at no clock and at no counter, and the same calls
 * give the same answers. Not thread-safe: tern/budget.c has the lock.
 *
 *   income     `rate` seconds of a core for each second of the stream, up to a cap: SPAN seconds of it, or twice what a frame and
 *              an answer cost, whichever is more. Half of the cap is the *reserve*. The account begins with half of SPAN
 *   costs      what a frame, a row of a prompt and an answer cost is learned: a mean whose newest value weighs a quarter
 *   rank       of a novelty: the share of the newest 64 that it is above, those that equal it half. 1 while there are fewer
 *              than eight, or where what is to be done has to be
 *   need       cost + (1 - rank) reserve: it is done where there is as much. What is newest may spend all, what is as new as
 *              everything else half of the reserve, and what is not new only what nobody else wants
 *   thrift     (1 - rank) (1 - (balance - answer) / reserve), within 0..1: by how much less is spent on what is done
 *
 * A frame's cost is its own and that of the answer that it makes worth giving: so what was looked at is answered, too. Whatever
 * was done is paid for, by its measured cost, though the account be overdrawn: then what comes next waits until it is not.
 * That income over a long time equals spending is all that is promised; events decide when. (Token buckets, as of ITU-T I.371,
 * with a price that falls with the value of what is asked for, as in the knapsack with a dual price; our own rules.) */
#pragma once

#include <glib.h>
#include "tern/budget.h"

G_BEGIN_DECLS

#define TERN_LEDGER_SPAN 20.0   /* s of income that are saved */
#define TERN_LEDGER_RANKS 64
#define TERN_LEDGER_RANKS_LEAST 8
#define TERN_LEDGER_TOKENS_LEAST .5     /* of the tokens that would be kept otherwise */
#define TERN_LEDGER_PRUNE_MOST .7
#define TERN_LEDGER_PRUNE_KEYS 1024     /* visual keys from which on leaving some out saves what could be measured */

typedef enum {
  TERN_COST_FRAME,              /* frames encoded */
  TERN_COST_READ,               /* rows of prompts */
  TERN_COST_SAY,                /* answers about windows */
  TERN_COST_OTHER,              /* what nothing is decided by: looking, compressing, requests */
  TERN_COSTS
} TernCost;

/* Who tells the time and what is new. Where somebody looks at frames, tokens that were made of them tell nothing further. */
typedef enum {
  TERN_TOLD_BY_TOKENS,
  TERN_TOLD_BY_FRAMES,
} TernTeller;

typedef struct {
  double rate, balance;         /* seconds of a core: a second; now */
  guint64 max_silence;          /* ns; 0: none */
  TernTeller teller;
  guint64 time;                 /* ns of stream time that income was had for; TERN_TIME_NONE: none yet */
  guint64 answered;             /* ns: end of the window answered last; NONE: none was */
  double cost[TERN_COSTS];      /* s of one; 0: not known */
  double open[TERN_COSTS];      /* s spent on what is not finished */
  double rows;                  /* of the prompt of a window */
  double novelty[TERN_LEDGER_RANKS];
  guint n_novelties;            /* told so far */
  TernBudgetStats stats;
} TernLedger;

/* @rate > 0. */
void tern_ledger_init (TernLedger *ledger, double rate);
/* From now on: what a governor allows. */
void tern_ledger_set_rate (TernLedger *ledger, double rate);
double tern_ledger_cap (const TernLedger *ledger);

/* The stream has come to @time. Back, and ahead by more than SPAN: no income for that. */
void tern_ledger_advance (TernLedger *ledger, TernTeller teller, guint64 time);
/* So much of a picture is new: 0 is nothing, and not remembered. */
void tern_ledger_tell (TernLedger *ledger, TernTeller teller, double novelty);
/* @seconds were spent; with them @n of it are finished, 0: it goes on. */
void tern_ledger_charge (TernLedger *ledger, TernCost cost, guint n, double seconds);

/* 0..1, of a novelty that was told or is; below 0, which is not known, one half. */
double tern_ledger_rank (const TernLedger *ledger, double novelty);

/* Whether a frame is encoded; @must: it is in any case. Counts. */
gboolean tern_ledger_wants_frame (TernLedger *ledger, double novelty, gboolean must);

/* What a window shows. */
typedef struct {
  double novelty;               /* the largest of its frames; below 0: nobody says */
  gboolean fresh;               /* a picture of it was encoded since the last answer */
  guint64 end;                  /* ns of stream time */
} TernWindowNews;

/* Whether it is answered, where the last answer may be told again instead. Counts nothing. */
gboolean tern_ledger_wants_answer (const TernLedger *ledger, const TernWindowNews *news);
/* What became of it: answered with a prompt of @rows, or with @answered FALSE put off. @must: nobody asked whether. */
void tern_ledger_count_answer (TernLedger *ledger, const TernWindowNews *news, gboolean answered, gboolean must, guint rows);

/* Less of the same: 0 all, 1 as little as may be. */
double tern_ledger_thrift (const TernLedger *ledger, double novelty);
/* Of @most tokens of @n_frames frames those that are kept, a token a frame at least. */
guint tern_ledger_tokens (const TernLedger *ledger, double novelty, guint n_frames, guint most);
/* The share of a window's @keys visual keys that decoding leaves out, @least at least. */
double tern_ledger_prune (const TernLedger *ledger, double novelty, guint keys, double least);

G_END_DECLS
