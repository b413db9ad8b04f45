/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One token after the other: the likeliest, or drawn. */
#include <math.h>
#include <string.h>

#include "engine/decode/generator-priv.h"
#include "engine/decode/mask.h"

/* What the next token is picked from: @logits themselves, or a copy with -inf where @mask (NULL: none) has no bit and where
 * each token already said is penalised once. What the mask leaves out stays out: -inf times a penalty is -inf. */
static const float *
prepare (const TernGenerator *self, const float *logits, const guint32 *mask, float *row)
{
  float penalty = self->sampling.repetition_penalty;

  if (!mask && penalty == 1)
    return logits;
  if (mask)
    tern_mask_apply (mask, logits, self->n_ids, row);
  else
    memcpy (row, logits, self->n_ids * sizeof (float));
  for (guint i = 0; penalty != 1 && i < self->said.n; i++)
    if (!mask || tern_mask_has (mask, self->ids[i]))
      row[self->ids[i]] = tern_penalise (logits[self->ids[i]], penalty);
  return row;
}

static void
single_begin (TernGenerator *self)
{
  self->random = (TernRandom) { self->sampling.seed };
}

static gint32
pick (TernGenerator *self, const float *logits, const guint32 *mask, TernPicking *picking)
{
  const TernSampling *sampling = &self->sampling;
  const float *row = prepare (self, logits, mask, picking->row);
  gint32 id = sampling->temperature > 0 ? tern_sample (row, self->n_ids, sampling, &self->random, picking->candidates)
      : tern_argmax (row, self->n_ids);

  /* Where none that is allowed has a number for a logit, the first one is as good as any. */
  return mask && !tern_mask_has (mask, id) ? tern_mask_first (mask, self->n_ids) : id;
}

/* Whether that was the last token, and how it ends. */
static gboolean
is_over (TernGenerator *self, TernFinish *finish)
{
  gboolean full = self->said.n == self->room;

  *finish = TERN_FINISH_LENGTH;
  if (!self->constraint)
    return full;
  *finish = tern_matcher_failed (self->matchers[0]) || (full && !tern_matcher_may_end (self->matchers[0]))
      ? TERN_FINISH_FAILED : TERN_FINISH_STOP;
  return full || *finish == TERN_FINISH_FAILED || tern_matcher_must_end (self->matchers[0]);
}

/* The next token by its logits. */
static void
take_row (TernGenerator *self, const float *logits, TernPicking *picking)
{
  const guint32 *mask = NULL;
  TernFinish finish;
  double logprob, total = tern_log_sum_exp (logits, self->n_ids);
  gint32 id;

  if (!isfinite (total)) {
    tern_generator_finish (self, TERN_FINISH_NO_NUMBERS);
    return;
  }
  if (self->constraint) {
    mask = tern_matcher_mask (self->matchers[0], self->room - self->said.n);
    if (tern_matcher_failed (self->matchers[0]) || tern_mask_first (mask, self->n_ids) < 0) {
      /* Nothing can be said: a sentence of nothing at most, in a vocabulary without an end token. */
      tern_generator_finish (self, tern_matcher_must_end (self->matchers[0]) ? TERN_FINISH_STOP : TERN_FINISH_FAILED);
      return;
    }
  }
  id = pick (self, logits, mask, picking);
  logprob = logits[id] - total;
  self->said.logprob += logprob;
  if (tern_generator_heeds_end (self) && tern_generator_is_end (self, id)) {
    tern_generator_finish (self, TERN_FINISH_STOP);
    return;
  }
  self->probability += exp (logprob);
  tern_generator_say (self, id, (float) exp (logprob));
  if (self->constraint)
    tern_matcher_accept (self->matchers[0], id);
  if (is_over (self, &finish)) {
    tern_generator_finish (self, finish);
    return;
  }
}

/* As if guesses had been read one by one, each if it was said: so that penalties, forms and draws are those of the tokens
 * before. */
static void
single_take (TernGenerator *self, const float *logits, TernPicking *picking)
{
  guint guesses = self->n_guesses, right = 0;

  self->n_guesses = 0;
  take_row (self, logits, picking);
  while (right < guesses && !self->finished && self->ids[self->said.n - 1] == self->wants[1 + right].id) {
    right++;
    take_row (self, logits + right * self->n_vocab, picking);
  }
  if (guesses > 0) {
    tern_timeline_cut (self->timeline, 1 + right);
    tern_generator_learn (self, guesses, right);
  }
  if (self->finished)
    return;
  self->wants[0] = (TernWanted) { self->timeline, self->ids[self->said.n - 1] };
  self->n_wants = 1;
}

/* What a pass has read of guesses, if it ran, was not said. */
static void
single_cancel (TernGenerator *self)
{
  if (self->n_guesses > 0 && tern_timeline_pos (self->timeline) > self->before && !tern_timeline_is_torn (self->timeline))
    tern_timeline_cut (self->timeline, 1);
}

const TernStrategy tern_strategy_single = { single_begin, single_take, single_cancel };
