/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "engine/decode/generator.h"

#include <math.h>
#include <string.h>

#include "tern/error.h"
#include "engine/base/mem.h"

static gboolean
check (gboolean ok, const char *name, const char *range, double found, GError **error)
{
  if (!ok)
    g_set_error (error, TERN_ERROR, TERN_ERROR_INVALID, "%s: expected %s, found %g", name, range, found);
  return ok;
}

static gboolean
check_range (double found, double min, double max, const char *name, GError **error)
{
  if (found >= min && found <= max)
    return TRUE;
  g_set_error (error, TERN_ERROR, TERN_ERROR_INVALID, "%s: expected %.7g to %.7g, found %g", name, min, max, found);
  return FALSE;
}

gboolean
tern_sampling_check (const TernSampling *s, GError **error)
{
  return check_range (s->max_tokens, TERN_MAX_TOKENS_MIN, TERN_MAX_TOKENS_MAX, "max-tokens", error)
      && check_range (s->beam, TERN_BEAM_MIN, TERN_BEAM_MAX, "beam", error)
      && check (isfinite (s->length_penalty), "length-penalty", "a finite number", s->length_penalty, error)
      && check_range (s->temperature, 0, TERN_TEMPERATURE_MAX, "temperature", error)
      && check (s->beam <= 1 || s->temperature == 0, "temperature", "0 with more than one beam", s->temperature, error)
      && check_range (s->top_k, 0, TERN_TOP_K_MAX, "top-k", error)
      && check_range (s->top_p, TERN_TOP_P_MIN, TERN_TOP_P_MAX, "top-p", error)
      && check_range (s->min_p, 0, TERN_MIN_P_MAX, "min-p", error)
      && check_range (s->repetition_penalty, TERN_REPETITION_PENALTY_MIN, TERN_REPETITION_PENALTY_MAX,
      "repetition-penalty", error);
}

static gboolean
take_beams (TernGenerator *self, const TernLlmStateParams *params, TernPool *pool, GError **error)
{
  const TernLlmInfo *info = tern_llm_info (self->llm);
  gsize nodes, others = self->max_beam - 1;

  self->beams = g_new0 (TernBeam, self->max_beam);
  self->next = g_new0 (TernBeam, self->max_beam);
  self->steps = g_new0 (TernBeamStep, 2 * self->max_beam);
  self->states = g_new0 (TernLlmState *, others);
  self->n_keys = g_new0 (gint, info->n_layers);
  for (guint i = 0; i < others; i++)
    if (!(self->states[i] = tern_llm_state_new (self->llm, params, pool, error)))
      return FALSE;
  self->context = tern_llm_state_context (self->states[0]);
  nodes = (gsize) self->max_beam * self->context * sizeof (TernBeamNode);
  return (self->logits = tern_mem_alloc (others * info->n_vocab * sizeof (float), "logits of the beams", error))
      && (self->nodes = tern_mem_alloc (nodes, "tokens of the beams", error))
      && (self->keys = tern_mem_alloc ((gsize) info->n_layers * self->context * sizeof (gint32), "keys of the beams",
          error));
}

TernGenerator *
tern_generator_new (TernLlm *llm, const TernTokenizer *tokenizer, guint max_beam, const TernLlmStateParams *params,
    TernPool *pool, GError **error)
{
  g_autoptr (TernGenerator) self = g_new0 (TernGenerator, 1);
  gsize n_vocab = tern_llm_info (llm)->n_vocab;

  self->llm = tern_llm_ref (llm);
  self->tokenizer = tokenizer ? tern_tokenizer_ref ((TernTokenizer *) tokenizer) : NULL;
  /* Embeddings may have more rows than there are tokens: such an id has no text. */
  self->n_ids = tokenizer ? MIN (tern_tokenizer_size (tokenizer), n_vocab) : n_vocab;
  self->max_beam = MAX (max_beam, 1);
  if (!check_range (max_beam, TERN_BEAM_MIN, TERN_BEAM_MAX, "beam", error)
      || !(self->candidates = tern_mem_alloc (n_vocab * sizeof (TernCandidate), "candidates of the sampler", error))
      || !(self->row = tern_mem_alloc (n_vocab * sizeof (float), "logits of the sampler", error)))
    return NULL;
  if (self->max_beam > 1 && !take_beams (self, params, pool, error))
    return NULL;
  return g_steal_pointer (&self);
}

void
tern_generator_free (TernGenerator *self)
{
  if (!self)
    return;
  for (guint i = 0; self->states && i + 1 < self->max_beam; i++)
    tern_llm_state_free (self->states[i]);
  g_free (self->states);
  g_free (self->beams);
  g_free (self->next);
  g_free (self->steps);
  g_free (self->n_keys);
  tern_mem_free (self->logits);
  tern_mem_free (self->nodes);
  tern_mem_free (self->keys);
  tern_mem_free (self->candidates);
  tern_mem_free (self->row);
  if (self->tokenizer)
    tern_tokenizer_unref (self->tokenizer);
  tern_llm_unref (self->llm);
  g_free (self);
}

gboolean
tern_generator_is_end (const TernGenerator *self, gint32 id)
{
  return self->tokenizer && tern_tokenizer_is_eog (self->tokenizer, id);
}

/* What the next token is picked from: @logits themselves, or a copy where each token already said is penalised once. */
static const float *
penalised (TernGenerator *self, const float *logits, float penalty, const TernGeneration *out)
{
  if (penalty == 1)
    return logits;
  memcpy (self->row, logits, self->n_ids * sizeof (float));
  for (guint i = 0; i < out->n; i++)
    self->row[out->ids[i]] = tern_penalise (logits[out->ids[i]], penalty);
  return self->row;
}

static gboolean
run_one (TernGenerator *self, TernLlmState *state, float *logits, const TernSampling *sampling, TernTokenFunc func,
    void *data, TernCancel *cancel, TernGeneration *out, GError **error)
{
  TernRandom random = { sampling->seed };
  guint limit = MIN (sampling->max_tokens, out->capacity);

  out->finish = TERN_FINISH_LENGTH;
  for (;;) {
    const float *row = penalised (self, logits, sampling->repetition_penalty, out);
    gint32 id = sampling->temperature > 0 ? tern_sample (row, self->n_ids, sampling, &random, self->candidates)
        : tern_argmax (row, self->n_ids);
    double logprob = logits[id] - tern_log_sum_exp (logits, self->n_ids);
    g_autoptr (GError) failure = NULL;

    out->logprob += logprob;
    if (!sampling->ignore_eog && tern_generator_is_end (self, id)) {
      out->finish = TERN_FINISH_STOP;
      break;
    }
    out->ids[out->n++] = id;
    out->mean_probability += exp (logprob);     /* a sum until the end */
    if (func)
      func (data, id, (float) exp (logprob));
    if (out->n == limit || tern_llm_state_pos (state) == tern_llm_state_context (state))
      break;
    if (!tern_llm_eval (state, &(TernLlmInput) { .ids = &id, .n = 1 }, TERN_LOGITS_LAST, logits, cancel, &failure)) {
      if (!g_error_matches (failure, TERN_ERROR, TERN_ERROR_CANCELLED)) {
        g_propagate_error (error, g_steal_pointer (&failure));
        return FALSE;
      }
      out->finish = TERN_FINISH_CANCELLED;
      break;
    }
  }
  out->mean_probability = out->n ? out->mean_probability / out->n : -1;
  return TRUE;
}

gboolean
tern_generator_run (TernGenerator *self, TernLlmState *state, float *logits, const TernSampling *sampling,
    TernTokenFunc func, void *data, TernCancel *cancel, TernGeneration *out, GError **error)
{
  out->n = 0;
  out->logprob = 0;
  out->mean_probability = 0;
  if (!tern_sampling_check (sampling, error))
    return FALSE;
  if (sampling->beam > self->max_beam)
    return check (FALSE, "beam", "at most what the generator was made for", sampling->beam, error);
  if (tern_cancel_is_raised (cancel) || !out->capacity) {
    out->mean_probability = -1;
    out->finish = out->capacity ? TERN_FINISH_CANCELLED : TERN_FINISH_LENGTH;
    return TRUE;
  }
  if (sampling->beam > 1)
    return tern_generator_beam (self, state, logits, sampling, func, data, cancel, out, error);
  return run_one (self, state, logits, sampling, func, data, cancel, out, error);
}
