/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "engine/decode/generator.h"

#include <math.h>

#include "engine/base/mem.h"
#include "engine/decode/generator-priv.h"
#include "tern/error.h"

/* ---- Parameters -------------------------------------------------------------------------------------------------- */

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

/* ---- Picking ----------------------------------------------------------------------------------------------------- */

static void
carve (TernPicking *picking, TernArena *arena, guint n_vocab)
{
  picking->candidates = tern_plan_take (arena, n_vocab, sizeof *picking->candidates, 1);
  picking->row = tern_plan_take (arena, n_vocab, sizeof *picking->row, 1);
}

gsize
tern_picking_bytes (guint n_vocab)
{
  TernPicking picking;
  TernArena arena = { 0 };

  carve (&picking, &arena, n_vocab);
  return arena.used;
}

TernPicking *
tern_picking_new (guint n_vocab, GError **error)
{
  TernArena arena = { .base = tern_mem_alloc (tern_picking_bytes (n_vocab), "candidates of the sampler", error) };
  TernPicking *picking;

  if (!arena.base)
    return NULL;
  picking = g_new (TernPicking, 1);
  carve (picking, &arena, n_vocab);
  return picking;
}

void
tern_picking_free (TernPicking *picking)
{
  if (!picking)
    return;
  tern_mem_free (picking->candidates);
  g_free (picking);
}

/* ---- Life -------------------------------------------------------------------------------------------------------- */

guint
tern_generator_pages (const TernGeneratorLimits *limits)
{
  /* A beam's answer begins anywhere in a page, which it has to itself. */
  guint pages = (limits->max_tokens + TERN_PAGE_ROWS - 1) / TERN_PAGE_ROWS + 1;

  return limits->max_beam > 1 ? (limits->max_beam - 1) * pages : 0;
}

TernGenerator *
tern_generator_new (TernLlm *llm, const TernTokenizer *tokenizer, const TernGeneratorLimits *limits, TernStore *store,
    GError **error)
{
  g_autoptr (TernGenerator) self = g_new0 (TernGenerator, 1);

  self->llm = tern_llm_ref (llm);
  self->tokenizer = tokenizer ? tern_tokenizer_ref ((TernTokenizer *) tokenizer) : NULL;
  self->n_vocab = tern_llm_info (llm)->n_vocab;
  /* Embeddings may have more rows than there are tokens: such an id has no text. */
  self->n_ids = tokenizer ? MIN (tern_tokenizer_size (tokenizer), self->n_vocab) : self->n_vocab;
  self->context = tern_store_context (store);
  self->limits = *limits;
  if (!check_range (limits->max_beam, TERN_BEAM_MIN, TERN_BEAM_MAX, "beam", error)
      || !check_range (limits->max_tokens, TERN_MAX_TOKENS_MIN, TERN_MAX_TOKENS_MAX, "max-tokens", error)
      || !(self->ids = tern_mem_alloc (limits->max_tokens * sizeof *self->ids, "tokens said", error))
      || !(self->probabilities = tern_mem_alloc (limits->max_tokens * sizeof *self->probabilities,
              "probabilities of the tokens said", error)))
    return NULL;
  self->wants = g_new0 (TernWanted, self->limits.max_beam);
  if (self->limits.max_beam > 1 && !tern_search_init (self, store, error))
    return NULL;
  return g_steal_pointer (&self);
}

void
tern_generator_free (TernGenerator *self)
{
  if (!self)
    return;
  tern_search_clear (self);
  g_free (self->wants);
  tern_mem_free (self->ids);
  tern_mem_free (self->probabilities);
  if (self->tokenizer)
    tern_tokenizer_unref (self->tokenizer);
  tern_llm_unref (self->llm);
  g_free (self);
}

/* ---- For the strategies ------------------------------------------------------------------------------------------ */

gboolean
tern_generator_is_end (const TernGenerator *self, gint32 id)
{
  return self->tokenizer && tern_tokenizer_is_eog (self->tokenizer, id);
}

void
tern_generator_say (TernGenerator *self, gint32 id, float probability)
{
  self->ids[self->said.n] = id;
  self->probabilities[self->said.n++] = probability;
}

void
tern_generator_finish (TernGenerator *self, TernFinish finish)
{
  self->n_wants = 0;
  self->finished = TRUE;
  self->said.finish = finish;
  tern_timeline_set_policy (self->timeline, self->policy);
}

/* ---- Steps ------------------------------------------------------------------------------------------------------- */

gboolean
tern_generator_begin (TernGenerator *self, TernTimeline *timeline, const TernSampling *sampling, GError **error)
{
  self->strategy = NULL;
  self->n_wants = 0;
  self->finished = FALSE;
  self->probability = 0;
  self->said = (TernSaid) { .ids = self->ids, .finish = TERN_FINISH_LENGTH };
  if (!tern_sampling_check (sampling, error))
    return FALSE;
  if (sampling->beam > self->limits.max_beam)
    return check (FALSE, "beam", "at most what the generator was made for", sampling->beam, error);
  if (sampling->max_tokens > self->limits.max_tokens)
    return check (FALSE, "max-tokens", "at most what the generator was made for", sampling->max_tokens, error);
  self->sampling = *sampling;
  self->timeline = timeline;
  self->policy = tern_timeline_policy (timeline);
  self->strategy = sampling->beam > 1 ? &tern_strategy_beam : &tern_strategy_single;
  self->strategy->begin (self);
  return TRUE;
}

guint
tern_generator_wants (const TernGenerator *self, const TernWanted **rows)
{
  *rows = self->wants;
  return self->n_wants;
}

void
tern_generator_take (TernGenerator *self, const float *logits, TernPicking *picking)
{
  g_return_if_fail (self->strategy && !self->finished);

  self->n_wants = 0;
  self->strategy->take (self, logits, picking);
}

void
tern_generator_cancel (TernGenerator *self)
{
  if (!self->strategy || self->finished)
    return;
  self->strategy->cancel (self);
  tern_generator_finish (self, TERN_FINISH_CANCELLED);
}

gboolean
tern_generator_is_finished (const TernGenerator *self)
{
  return self->finished;
}

TernSaid
tern_generator_said (const TernGenerator *self)
{
  TernSaid said = self->said;

  said.mean_probability = said.n ? self->probability / said.n : -1;
  return said;
}

float
tern_generator_probability (const TernGenerator *self, guint i)
{
  return self->probabilities[i];
}

/* ---- Alone ------------------------------------------------------------------------------------------------------- */

/* One pass with what is wanted, or more where the pass is small. */
static gboolean
read_wanted (const TernGenerator *self, TernPass *pass, const TernWanted *wants, guint n, float *logits,
    TernCancel *cancel, GError **error)
{
  guint rows = tern_pass_rows (pass);

  for (; n > rows; n -= rows, wants += rows, logits += rows * self->n_vocab)
    if (!read_wanted (self, pass, wants, rows, logits, cancel, error))
      return FALSE;
  tern_pass_begin (pass);
  for (guint i = 0; i < n; i++) {
    TernSegment segment = { .timeline = wants[i].timeline, .n = 1, .decode = TRUE, .want = TERN_LOGITS_LAST,
      .logits = logits + i * self->n_vocab, .cancel = cancel };
    float *row = tern_pass_add (pass, &segment, error);

    if (!row) {
      tern_pass_begin (pass);   /* the other beams have not read theirs */
      return FALSE;
    }
    tern_llm_embed (self->llm, &wants[i].id, 1, row, tern_llm_info (self->llm)->width);
  }
  return tern_pass_run (pass, error);
}

gboolean
tern_generator_run (TernGenerator *self, TernSolo *solo, float *logits, const TernSampling *sampling, TernTokenFunc func,
    void *data, TernPicking *picking, TernCancel *cancel, GError **error)
{
  g_autofree float *rows = NULL;
  const TernWanted *wants;
  guint told = 0, n;

  if (!tern_generator_begin (self, tern_solo_timeline (solo), sampling, error))
    return FALSE;
  if (sampling->beam > 1)
    rows = g_new (float, self->n_vocab * sampling->beam);
  for (const float *next = logits;; next = rows ? rows : logits) {
    g_autoptr (GError) failure = NULL;

    if (tern_cancel_is_raised (cancel))
      tern_generator_cancel (self);
    else
      tern_generator_take (self, next, picking);
    for (; func && told < self->said.n; told++)
      func (data, self->ids[told], self->probabilities[told]);
    n = tern_generator_wants (self, &wants);
    if (n == 0)
      return TRUE;
    if (read_wanted (self, tern_solo_pass (solo), wants, n, rows ? rows : logits, cancel, &failure))
      continue;
    tern_generator_cancel (self);
    if (!g_error_matches (failure, TERN_ERROR, TERN_ERROR_CANCELLED)) {
      g_propagate_error (error, g_steal_pointer (&failure));
      return FALSE;
    }
    for (; func && told < self->said.n; told++)
      func (data, self->ids[told], self->probabilities[told]);
    return TRUE;
  }
}
