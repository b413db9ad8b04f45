/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tern/ledger.h"

#include "tern/frames.h"

G_STATIC_ASSERT (G_N_ELEMENTS (((TernBudgetStats *) NULL)->spent) == TERN_COSTS);

#define NEWEST .25              /* weight of the newest cost in its mean */
#define UNKNOWN_RANK .5

void
tern_ledger_init (TernLedger *self, double rate)
{
  *self = (TernLedger) { .rate = rate, .time = TERN_TIME_NONE, .answered = TERN_TIME_NONE,
    .balance = rate * TERN_LEDGER_SPAN / 2 };
}

void
tern_ledger_set_rate (TernLedger *self, double rate)
{
  self->rate = rate;
}

/* ---- What things cost -------------------------------------------------------------------------------------------- */

static double
answer_cost (const TernLedger *self)
{
  return self->cost[TERN_COST_READ] * self->rows + self->cost[TERN_COST_SAY];
}

double
tern_ledger_cap (const TernLedger *self)
{
  return MAX (self->rate * TERN_LEDGER_SPAN, 2 * (self->cost[TERN_COST_FRAME] + answer_cost (self)));
}

static void
learn (double *mean, double value)
{
  *mean = *mean > 0 ? *mean + NEWEST * (value - *mean) : value;
}

void
tern_ledger_charge (TernLedger *self, TernCost cost, guint n, double seconds)
{
  self->balance -= seconds;
  self->stats.spent[cost] += seconds;
  self->open[cost] += seconds;
  if (n == 0)
    return;
  learn (&self->cost[cost], self->open[cost] / n);
  self->open[cost] = 0;
}

/* ---- Income ------------------------------------------------------------------------------------------------------ */

/* FALSE: somebody nearer to the source tells it. */
static gboolean
listens (TernLedger *self, TernTeller teller)
{
  if (teller < self->teller)
    return FALSE;
  if (teller > self->teller)
    self->time = TERN_TIME_NONE;
  self->teller = teller;
  return TRUE;
}

void
tern_ledger_advance (TernLedger *self, TernTeller teller, guint64 time)
{
  double seconds;

  if (time == TERN_TIME_NONE || !listens (self, teller))
    return;
  if (self->time != TERN_TIME_NONE && time > self->time) {
    seconds = MIN ((double) (time - self->time) / TERN_SECOND, TERN_LEDGER_SPAN);
    self->stats.allowed += self->rate * seconds;
    /* What a smaller rate or cheaper work makes of the cap takes nothing away. */
    if (self->balance < tern_ledger_cap (self))
      self->balance = MIN (self->balance + self->rate * seconds, tern_ledger_cap (self));
  }
  self->time = time;
}

/* ---- What is new ------------------------------------------------------------------------------------------------- */

void
tern_ledger_tell (TernLedger *self, TernTeller teller, double novelty)
{
  if (!(novelty > 0) || !listens (self, teller))
    return;
  self->novelty[self->n_novelties % TERN_LEDGER_RANKS] = novelty;
  self->n_novelties = self->n_novelties < 2 * TERN_LEDGER_RANKS ? self->n_novelties + 1 : TERN_LEDGER_RANKS + 1;
}

double
tern_ledger_rank (const TernLedger *self, double novelty)
{
  guint n = MIN (self->n_novelties, TERN_LEDGER_RANKS);
  double below = 0;

  if (!(novelty >= 0))
    return UNKNOWN_RANK;
  if (novelty == 0)
    return 0;
  if (n < TERN_LEDGER_RANKS_LEAST)
    return 1;
  for (guint i = 0; i < n; i++)
    below += self->novelty[i] < novelty ? 1 : self->novelty[i] == novelty ? .5 : 0;
  return below / n;
}

/* ---- Decisions --------------------------------------------------------------------------------------------------- */

static double
need (const TernLedger *self, double novelty, double cost)
{
  return cost + (1 - tern_ledger_rank (self, novelty)) * tern_ledger_cap (self) / 2;
}

gboolean
tern_ledger_wants_frame (TernLedger *self, double novelty, gboolean must)
{
  gboolean wants = must
      || self->balance >= need (self, novelty, self->cost[TERN_COST_FRAME] + answer_cost (self));

  self->stats.frames += wants;
  self->stats.frames_due += must;
  self->stats.frames_deferred += !wants;
  return wants;
}

/* Nobody was told anything for too long. */
static gboolean
was_silent (const TernLedger *self, guint64 end)
{
  return self->max_silence > 0 && (self->answered == TERN_TIME_NONE || end < self->answered
      || end - self->answered >= self->max_silence);
}

gboolean
tern_ledger_wants_answer (const TernLedger *self, const TernWindowNews *news)
{
  if (was_silent (self, news->end))
    return TRUE;
  /* Its frame was encoded because there was enough for this, too. */
  if (news->fresh && self->teller == TERN_TOLD_BY_FRAMES)
    return self->balance >= 0;
  /* What was put off is not in the picture that there is: it would be told the same. */
  return self->balance >= need (self, news->fresh || news->novelty < 0 ? news->novelty : 0, answer_cost (self));
}

void
tern_ledger_count_answer (TernLedger *self, const TernWindowNews *news, gboolean answered, gboolean must, guint rows)
{
  if (!answered) {
    self->stats.answers_deferred++;
    return;
  }
  self->stats.answers++;
  self->stats.answers_due += must;
  self->answered = news->end;
  learn (&self->rows, rows);
}

/* ---- Less of the same -------------------------------------------------------------------------------------------- */

double
tern_ledger_thrift (const TernLedger *self, double novelty)
{
  double reserve = tern_ledger_cap (self) / 2;
  double scarce = reserve > 0 ? 1 - (self->balance - answer_cost (self)) / reserve : 0;

  return (1 - tern_ledger_rank (self, novelty)) * CLAMP (scarce, 0, 1);
}

guint
tern_ledger_tokens (const TernLedger *self, double novelty, guint n_frames, guint most)
{
  double share = 1 - (1 - TERN_LEDGER_TOKENS_LEAST) * tern_ledger_thrift (self, novelty);
  guint n = (guint) (share * most + .5);

  return MIN (MAX (n, n_frames), most);
}

double
tern_ledger_prune (const TernLedger *self, double novelty, guint keys, double least)
{
  if (keys < TERN_LEDGER_PRUNE_KEYS)
    return least;
  return MAX (least, TERN_LEDGER_PRUNE_MOST * tern_ledger_thrift (self, novelty));
}
