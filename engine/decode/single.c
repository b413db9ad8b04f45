/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One token after the other: the likeliest, or drawn. */
#include <math.h>
#include <string.h>

#include "engine/decode/generator-priv.h"

/* What the next token is picked from: @logits themselves, or a copy where each token already said is penalised once. */
static const float *
penalised (const TernGenerator *self, const float *logits, float *row)
{
  float penalty = self->sampling.repetition_penalty;

  if (penalty == 1)
    return logits;
  memcpy (row, logits, self->n_ids * sizeof (float));
  for (guint i = 0; i < self->said.n; i++)
    row[self->ids[i]] = tern_penalise (logits[self->ids[i]], penalty);
  return row;
}

static void
single_begin (TernGenerator *self)
{
  self->random = (TernRandom) { self->sampling.seed };
}

static void
single_take (TernGenerator *self, const float *logits, TernPicking *picking)
{
  const TernSampling *sampling = &self->sampling;
  const float *row = penalised (self, logits, picking->row);
  gint32 id = sampling->temperature > 0 ? tern_sample (row, self->n_ids, sampling, &self->random, picking->candidates)
      : tern_argmax (row, self->n_ids);
  double logprob = logits[id] - tern_log_sum_exp (logits, self->n_ids);

  self->said.logprob += logprob;
  if (!sampling->ignore_eog && tern_generator_is_end (self, id)) {
    tern_generator_finish (self, TERN_FINISH_STOP);
    return;
  }
  self->probability += exp (logprob);
  tern_generator_say (self, id, (float) exp (logprob));
  if (self->said.n == sampling->max_tokens
      || tern_timeline_pos (self->timeline) == tern_timeline_context (self->timeline)) {
    tern_generator_finish (self, TERN_FINISH_LENGTH);
    return;
  }
  self->wants[0] = (TernWanted) { self->timeline, id };
  self->n_wants = 1;
}

static void
single_cancel (TernGenerator *self)
{
}

const TernStrategy tern_strategy_single = { single_begin, single_take, single_cancel };
