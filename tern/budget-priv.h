/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the steps that share an account ask of it and tell it. Any thread. @budget is never NULL. */
#pragma once

#include "tern/ledger.h"

G_BEGIN_DECLS

/* Frames that are looked at: a stream's time, and when a frame is looked at although nothing is new (ns; 0: never). */
void tern_budget_set_silence (TernBudget *budget, guint64 max_silence);
void tern_budget_see (TernBudget *budget, TernTeller teller, guint64 time, double novelty);
gboolean tern_budget_wants_frame (TernBudget *budget, double novelty, gboolean must);
gboolean tern_budget_wants_answer (TernBudget *budget, const TernWindowNews *news);
void tern_budget_count_answer (TernBudget *budget, const TernWindowNews *news, gboolean answered, gboolean must, guint rows);
/* As tern_ledger_tokens(), and counts what is spared. */
guint tern_budget_tokens (TernBudget *budget, double novelty, guint n_frames, guint most);
double tern_budget_prune (TernBudget *budget, double novelty, guint keys, double least);

/* @ns of processor time; see tern_ledger_charge(). */
void tern_budget_charge (TernBudget *budget, TernCost cost, guint n, guint64 ns);
/* Processor time of the calling thread, ns. */
guint64 tern_budget_thread_time (void);

/* ---- For tests: what is measured is replaced ---- */

/* @func: what @n of @cost cost in ns, where @ns were measured. */
typedef guint64 (*TernBudgetCostFunc) (void *data, TernCost cost, guint n, guint64 ns);
void tern_budget_set_costs (TernBudget *budget, TernBudgetCostFunc func, void *data);
/* An account in watts of a machine whose counters are in these folders' files (engine/base/energy.h). */
TernBudget *tern_budget_new_at (const TernBudgetParams *params, const char *powercap, const char *stat, GError **error);

G_END_DECLS
