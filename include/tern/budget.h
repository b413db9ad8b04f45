/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How much may be computed for a stream: the account that its steps share. Installed. */
#pragma once

#include <glib.h>
#include "tern/error.h"
#include "tern/ranges.h"

G_BEGIN_DECLS

/**
 * TernBudgetParams:
 * @cores: seconds of one core for each second of the stream, TERN_BUDGET_CORES_MIN..TERN_BUDGET_CORES_MAX; 0: none
 * @watts: power, TERN_BUDGET_WATTS_MIN..TERN_BUDGET_WATTS_MAX; 0: none. Turned into cores by what a second of a core costs on
 *   this machine, which is measured: energy of the processor's packages over the time that all programs' threads ran. So what
 *   the machine takes at rest counts in proportion. One of both is not 0; with both the lesser holds
 * @reserved: 0
 *
 * How much may be computed.
 *
 * Since: 0.1
 */
typedef struct {
  double cores;
  double watts;
  gpointer reserved[2];
} TernBudgetParams;

/**
 * TernBudget:
 *
 * An account of one stream: what may be computed comes in with its time, what was computed goes out, and what is new may spend
 * more than what is not (docs/budget.md). Who works on the stream is given a reference: a session
 * (TernSessionParams.budget), or the steps in front of it as well (tern_gate_set_budget(), tern_encoder_set_budget(),
 * tern_compressor_set_budget()). They choose then which frames are encoded, how many tokens of a group are kept, which windows are
 * answered and how many keys are looked at; always within what their own parameters allow. Reference counted; any thread.
 *
 * Since: 0.1
 */
typedef struct _TernBudget TernBudget;

/**
 * tern_budget_new:
 * @params: how much; copied
 * @error: return location of an error, or %NULL
 *
 * Opens an account, with ten seconds of what comes in.
 *
 * Errors: %TERN_ERROR_INVALID names the field, its range and the value found; %TERN_ERROR_UNSUPPORTED for watts where this
 *   machine has no energy counters that may be read.
 *
 * Returns: (transfer full) (nullable): the account; tern_budget_unref() gives it back. %NULL with @error set
 *
 * Since: 0.1
 */
TERN_API TernBudget *tern_budget_new (const TernBudgetParams *params, GError **error);

/**
 * tern_budget_ref:
 * @budget: an account
 *
 * Takes a reference.
 *
 * Returns: (transfer full): @budget
 *
 * Since: 0.1
 */
TERN_API TernBudget *tern_budget_ref (TernBudget *budget);

/**
 * tern_budget_unref:
 * @budget: (transfer full) (nullable): an account, or %NULL
 *
 * Gives a reference back; the last one closes it.
 *
 * Since: 0.1
 */
TERN_API void tern_budget_unref (TernBudget *budget);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (TernBudget, tern_budget_unref)

/**
 * tern_budget_limit:
 * @budget: an account
 * @cores: seconds of one core for each second of the stream, 0 or more; infinite: no limit
 *
 * From now on no more than that comes in, whatever was asked for: for who governs several streams, or the heat of a machine. At
 * 0 only what was saved is spent, and what max_silence wants.
 *
 * Since: 0.1
 */
TERN_API void tern_budget_limit (TernBudget *budget, double cores);

/**
 * TernBudgetStats:
 * @rate: seconds of one core that come in for each second of the stream, now
 * @allowed: s that have come in
 * @balance: s that may be spent, now; less than 0: overdrawn
 * @spent: (array fixed-size=4): s that were spent on encoding frames, on reading prompts, on saying answers, and on what is not
 *   decided about (looking, compressing, requests)
 * @frames: frames that were encoded; of these
 * @frames_due: in any case: the first of a scene, and after TernGateParams.max_silence
 * @frames_deferred: frames in which something was new, or that would have been encoded otherwise, and were not
 * @answers: windows that were answered; of these
 * @answers_due: in any case: the first, after a silence, and those whose answer cannot be told again
 * @answers_deferred: windows that were told the answer before again, with finish_reason `budget`
 * @tokens_spared: visual tokens that would have been kept otherwise
 * @answers_pruned: answers for which keys were left out beyond TernSessionParams.kv_prune
 * @joules_per_second: what a second of a core costs, as measured; 0: not known
 * @reserved: 0
 *
 * What an account was used for.
 *
 * Since: 0.1
 */
typedef struct {
  double rate;
  double allowed;
  double balance;
  double spent[4];
  guint64 frames;
  guint64 frames_due;
  guint64 frames_deferred;
  guint64 answers;
  guint64 answers_due;
  guint64 answers_deferred;
  guint64 tokens_spared;
  guint64 answers_pruned;
  double joules_per_second;
  guint64 reserved[4];
} TernBudgetStats;

/**
 * tern_budget_stats:
 * @budget: an account
 * @stats: (out caller-allocates): what it was used for
 *
 * Counts since it was opened.
 *
 * Since: 0.1
 */
TERN_API void tern_budget_stats (TernBudget *budget, TernBudgetStats *stats);

/**
 * tern_budget_parse:
 * @text: a number of cores ("0.5"), or of watts ("5W")
 * @params: (out caller-allocates): what it says
 * @error: return location of an error, or %NULL
 *
 * Reads what people write. Any thread.
 *
 * Errors: %TERN_ERROR_INVALID names what was expected and found.
 *
 * Returns: %FALSE with @error set
 *
 * Since: 0.1
 */
TERN_API gboolean tern_budget_parse (const char *text, TernBudgetParams *params, GError **error);

/**
 * tern_budget_params_check:
 * @params: how much
 * @error: return location of an error, or %NULL
 *
 * Whether they are in their ranges, and not both 0. Any thread.
 *
 * Errors: %TERN_ERROR_INVALID names the field, its range and the value found.
 *
 * Returns: %FALSE with @error set
 *
 * Since: 0.1
 */
TERN_API gboolean tern_budget_params_check (const TernBudgetParams *params, GError **error);

G_END_DECLS
