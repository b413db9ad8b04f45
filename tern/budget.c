/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The ledger, shared: under a lock, and with power turned into time of a core. */
#include "tern/budget-priv.h"

#include <math.h>
#include <string.h>
#include <time.h>

#include "engine/base/energy.h"

/* J for a second of a core, until a second was measured: between what small boards and servers take. */
#define FIRST_PRICE 10.0
#define PRICE_SECONDS 1.0       /* of cores' time over which it is measured, at least */

struct _TernBudget {
  gint refs;                    /* atomic */
  GMutex lock;
  TernLedger ledger;
  double cores, watts;          /* 0: not asked for */
  double limit;                 /* of who governs it */
  TernEnergy *energy;           /* NULL: no watts */
  double joules, busy;          /* of the counters, when the price was measured last */
  double price;                 /* J for a second of a core; 0: not known */
  TernBudgetCostFunc costs;     /* NULL: as measured */
  void *costs_data;
};

/* ---- Parameters -------------------------------------------------------------------------------------------------- */

static gboolean
is_within (double value, double least, double most)
{
  return value == 0 || (value >= least && value <= most);
}

gboolean
tern_budget_params_check (const TernBudgetParams *params, GError **error)
{
  g_return_val_if_fail (params != NULL, FALSE);
  if (!is_within (params->cores, TERN_BUDGET_CORES_MIN, TERN_BUDGET_CORES_MAX))
    g_set_error (error, TERN_ERROR, TERN_ERROR_INVALID, "budget: expected 0 or %g to %g cores, found %g",
        TERN_BUDGET_CORES_MIN, TERN_BUDGET_CORES_MAX, params->cores);
  else if (!is_within (params->watts, TERN_BUDGET_WATTS_MIN, TERN_BUDGET_WATTS_MAX))
    g_set_error (error, TERN_ERROR, TERN_ERROR_INVALID, "budget: expected 0 or %g to %g watts, found %g",
        TERN_BUDGET_WATTS_MIN, TERN_BUDGET_WATTS_MAX, params->watts);
  else if (params->cores == 0 && params->watts == 0)
    g_set_error_literal (error, TERN_ERROR, TERN_ERROR_INVALID, "budget: expected a number of cores or of watts, found none");
  else
    return TRUE;
  return FALSE;
}

gboolean
tern_budget_parse (const char *text, TernBudgetParams *params, GError **error)
{
  char *end;
  double value;

  g_return_val_if_fail (text != NULL && params != NULL, FALSE);
  value = g_ascii_strtod (text, &end);
  *params = (TernBudgetParams) { 0 };
  if (end != text && (strcmp (end, "W") == 0 || strcmp (end, "w") == 0))
    params->watts = value;
  else if (end != text && *end == '\0')
    params->cores = value;
  if (end == text || (*end != '\0' && params->watts == 0) || !isfinite (value)) {
    g_set_error (error, TERN_ERROR, TERN_ERROR_INVALID, "budget: expected a number of cores, as 0.5, or of watts, as 5W,"
        " found %s", text);
    return FALSE;
  }
  return tern_budget_params_check (params, error);
}

/* ---- Power ------------------------------------------------------------------------------------------------------- */

/* What comes in, of all that limits it. */
static void
update_rate (TernBudget *self)
{
  double rate = self->cores > 0 ? self->cores : HUGE_VAL;

  if (self->watts > 0)
    rate = MIN (rate, self->watts / (self->price > 0 ? self->price : FIRST_PRICE));
  tern_ledger_set_rate (&self->ledger, MIN (rate, self->limit));
}

/* What a second of a core has cost since the last time. */
static void
measure_price (TernBudget *self)
{
  double joules, busy, price;

  if (!self->energy || !tern_energy_read (self->energy, &joules, &busy) || busy - self->busy < PRICE_SECONDS)
    return;
  price = (joules - self->joules) / (busy - self->busy);
  if (price > 0)
    self->price = self->price > 0 ? (3 * self->price + price) / 4 : price;
  self->joules = joules;
  self->busy = busy;
  update_rate (self);
}

/* ---- Life -------------------------------------------------------------------------------------------------------- */

TernBudget *
tern_budget_new_at (const TernBudgetParams *params, const char *powercap, const char *stat, GError **error)
{
  TernEnergy *energy = NULL;
  TernBudget *self;

  g_return_val_if_fail (params != NULL, NULL);
  if (!tern_budget_params_check (params, error))
    return NULL;
  if (params->watts > 0 && !(energy = tern_energy_open (powercap, stat, error))) {
    g_prefix_error (error, "budget of %g W: ", params->watts);
    return NULL;
  }
  self = g_new0 (TernBudget, 1);
  self->refs = 1;
  g_mutex_init (&self->lock);
  self->cores = params->cores;
  self->watts = params->watts;
  self->limit = HUGE_VAL;
  self->energy = energy;
  update_rate (self);
  tern_ledger_init (&self->ledger, self->ledger.rate);
  return self;
}

TernBudget *
tern_budget_new (const TernBudgetParams *params, GError **error)
{
  return tern_budget_new_at (params, TERN_ENERGY_POWERCAP, TERN_ENERGY_STAT, error);
}

TernBudget *
tern_budget_ref (TernBudget *self)
{
  g_return_val_if_fail (self != NULL, NULL);
  g_atomic_int_inc (&self->refs);
  return self;
}

void
tern_budget_unref (TernBudget *self)
{
  if (!self || !g_atomic_int_dec_and_test (&self->refs))
    return;
  tern_energy_free (self->energy);
  g_mutex_clear (&self->lock);
  g_free (self);
}

void
tern_budget_limit (TernBudget *self, double cores)
{
  g_return_if_fail (self != NULL && cores >= 0);
  g_mutex_lock (&self->lock);
  self->limit = cores;
  update_rate (self);
  g_mutex_unlock (&self->lock);
}

void
tern_budget_stats (TernBudget *self, TernBudgetStats *stats)
{
  g_return_if_fail (self != NULL && stats != NULL);
  g_mutex_lock (&self->lock);
  *stats = self->ledger.stats;
  stats->rate = self->ledger.rate;
  stats->balance = self->ledger.balance;
  stats->joules_per_second = self->price;
  g_mutex_unlock (&self->lock);
}

/* ---- What steps tell --------------------------------------------------------------------------------------------- */

void
tern_budget_set_silence (TernBudget *self, guint64 max_silence)
{
  g_mutex_lock (&self->lock);
  self->ledger.max_silence = max_silence;
  g_mutex_unlock (&self->lock);
}

void
tern_budget_see (TernBudget *self, TernTeller teller, guint64 time, double novelty)
{
  g_mutex_lock (&self->lock);
  measure_price (self);
  tern_ledger_advance (&self->ledger, teller, time);
  tern_ledger_tell (&self->ledger, teller, novelty);
  g_mutex_unlock (&self->lock);
}

void
tern_budget_charge (TernBudget *self, TernCost cost, guint n, guint64 ns)
{
  g_mutex_lock (&self->lock);
  if (self->costs)
    ns = self->costs (self->costs_data, cost, n, ns);
  tern_ledger_charge (&self->ledger, cost, n, (double) ns / 1e9);
  g_mutex_unlock (&self->lock);
}

void
tern_budget_set_costs (TernBudget *self, TernBudgetCostFunc func, void *data)
{
  g_mutex_lock (&self->lock);
  self->costs = func;
  self->costs_data = data;
  g_mutex_unlock (&self->lock);
}

guint64
tern_budget_thread_time (void)
{
  struct timespec now = { 0 };

  clock_gettime (CLOCK_THREAD_CPUTIME_ID, &now);
  return (guint64) now.tv_sec * 1000000000 + (guint64) now.tv_nsec;
}

/* ---- What steps ask ---------------------------------------------------------------------------------------------- */

gboolean
tern_budget_wants_frame (TernBudget *self, double novelty, gboolean must)
{
  gboolean wants;

  g_mutex_lock (&self->lock);
  wants = tern_ledger_wants_frame (&self->ledger, novelty, must);
  g_mutex_unlock (&self->lock);
  return wants;
}

gboolean
tern_budget_wants_answer (TernBudget *self, const TernWindowNews *news)
{
  gboolean wants;

  g_mutex_lock (&self->lock);
  wants = tern_ledger_wants_answer (&self->ledger, news);
  g_mutex_unlock (&self->lock);
  return wants;
}

void
tern_budget_count_answer (TernBudget *self, const TernWindowNews *news, gboolean answered, gboolean must, guint rows)
{
  g_mutex_lock (&self->lock);
  tern_ledger_count_answer (&self->ledger, news, answered, must, rows);
  g_mutex_unlock (&self->lock);
}

guint
tern_budget_tokens (TernBudget *self, double novelty, guint n_frames, guint most)
{
  guint tokens;

  g_mutex_lock (&self->lock);
  tokens = tern_ledger_tokens (&self->ledger, novelty, n_frames, most);
  self->ledger.stats.tokens_spared += most - tokens;
  g_mutex_unlock (&self->lock);
  return tokens;
}

double
tern_budget_prune (TernBudget *self, double novelty, guint keys, double least)
{
  double prune;

  g_mutex_lock (&self->lock);
  prune = tern_ledger_prune (&self->ledger, novelty, keys, least);
  self->ledger.stats.answers_pruned += prune > least;
  g_mutex_unlock (&self->lock);
  return prune;
}
