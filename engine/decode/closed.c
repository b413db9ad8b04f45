/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How likely labels are. The logits of the prompt are those of their first tokens; all that follow are known beforehand, so
 * each path through the trie of the labels' tokens is read on a fork of the prompt as rows of a prompt are, with the logits
 * of every row: one pass, where there are forks enough. What paths share is read by each of them. */
#include <math.h>
#include <string.h>

#include "engine/decode/generator-priv.h"
#include "engine/decode/labels-priv.h"

/* ---- Logits ------------------------------------------------------------------------------------------------------ */

/* The vocabulary's sum in floats: 1e-6 of it, beside a summation in doubles that took longer than the pass. */
static double
log_sum (const TernGenerator *self, const float *logits, TernPicking *picking)
{
  const TernKernels *kernels = tern_llm_kernels (self->llm);
  float largest = -INFINITY, sum;

  memcpy (picking->row, logits, self->n_ids * sizeof (float));
  sum = kernels->softmax_step (picking->row, self->n_ids, 1, &largest);
  return (double) largest + log (sum);
}

static double
log_end (const TernGenerator *self, const float *logits, double total)
{
  double sum = 0;

  for (guint i = 0; i < self->labels->n_ends; i++)
    if ((guint) self->labels->ends[i] < self->n_ids)
      sum += exp (logits[self->labels->ends[i]] - total);
  return log (sum);
}

/* @logits follow @node, whose log p with all before it is @logprob: what that says of labels that end there or with the
 * next token. Returns the log p of the child @next (-1: none). Finished when the logits are no numbers. */
static double
take_node (TernGenerator *self, gint32 node, double logprob, gint32 next, const float *logits, TernPicking *picking)
{
  TernClosed *closed = &self->closed;
  const TernLabels *labels = self->labels;
  double total = log_sum (self, logits, picking), found = 0;
  gboolean numbers = isfinite (total);
  guint child = 0;

  if (labels->nodes[node].label >= 0)
    closed->logprobs[labels->nodes[node].label] = logprob + log_end (self, logits, total);
  for (gint32 c = labels->nodes[node].child; c >= 0; c = labels->nodes[c].next, child++) {
    double own = logprob + (logits[labels->nodes[c].id] - total);

    numbers &= !isnan (own);
    if (labels->nodes[c].child < 0)
      closed->logprobs[labels->nodes[c].label] = own;
    else if (node == 0)
      closed->firsts[child] = own;
    if (c == next)
      found = own;
  }
  if (!numbers)
    tern_generator_finish (self, TERN_FINISH_NO_NUMBERS);
  return found;
}

/* ---- Paths ------------------------------------------------------------------------------------------------------- */

static void
let_go (TernGenerator *self)
{
  for (guint i = 0; i < self->limits.max_forks; i++)
    tern_timeline_reset (self->timelines[i]);
  self->closed.n_paths = self->closed.at = 0;
}

/* As many paths as there are forks. */
static void
want_paths (TernGenerator *self)
{
  TernClosed *closed = &self->closed;
  const TernLabels *labels = self->labels;

  let_go (self);
  closed->first_tip = closed->next_tip;
  for (; closed->n_paths < self->limits.max_forks && closed->next_tip < labels->n_tips; closed->n_paths++) {
    const TernLabelTip *tip = &labels->tips[closed->next_tip++];
    TernTimeline *timeline = self->timelines[closed->n_paths];

    tern_timeline_fork (timeline, self->timeline);
    tern_timeline_set_policy (timeline, NULL);
    closed->paths[closed->n_paths] = (TernPath) { timeline, labels->ids + tip->first, tip->n };
  }
  if (closed->n_paths > 0)
    closed->logprob = closed->firsts[labels->tips[closed->first_tip].child];
  else
    tern_generator_finish (self, TERN_FINISH_STOP);
}

void
tern_closed_take_row (TernGenerator *self, const float *logits, TernPicking *picking)
{
  TernClosed *closed = &self->closed;
  const TernLabels *labels = self->labels;
  TernPath *path = &closed->paths[closed->at];
  const TernLabelTip *tip = &labels->tips[closed->first_tip + closed->at];
  guint row = tip->first + tip->n - path->n;

  path->ids++;
  path->n--;
  closed->logprob = take_node (self, labels->steps[row], closed->logprob, path->n ? labels->steps[row + 1] : -1, logits,
      picking);
  if (self->finished)
    let_go (self);
  if (self->finished || path->n > 0)
    return;
  if (++closed->at == closed->n_paths)
    want_paths (self);
  else
    closed->logprob = closed->firsts[labels->tips[closed->first_tip + closed->at].child];
}

/* ---- The strategy ------------------------------------------------------------------------------------------------ */

static void
closed_begin (TernGenerator *self)
{
  self->closed.n_paths = self->closed.at = self->closed.next_tip = 0;
}

static void
closed_take (TernGenerator *self, const float *logits, TernPicking *picking)
{
  take_node (self, 0, 0, -1, logits, picking);
  if (!self->finished)
    want_paths (self);
}

const TernStrategy tern_strategy_closed = { closed_begin, closed_take, let_go };
