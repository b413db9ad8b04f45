/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "engine/llm/solo.h"

#include <string.h>

#include "tern/error.h"

struct _TernSolo {
  TernLlm *llm;
  TernStore *store;
  TernTimeline *timeline;
  TernPass *pass;
  gboolean forked;              /* the pass is another's */
};

static TernStoreParams
store_params (const TernLlm *llm, const TernSoloParams *params)
{
  guint context = params->context ? params->context : tern_llm_info (llm)->context;
  TernStoreParams store = { .context = context, .timelines = 1 + params->forks, .kv = params->kv,
    .guesses = params->guesses, .activations = params->activations };

  if (params->fork_pages)
    store.pages = (context + TERN_PAGE_ROWS - 1) / TERN_PAGE_ROWS + params->fork_pages;
  return store;
}

static TernPassParams
pass_params (const TernLlm *llm, const TernSoloParams *params)
{
  guint context = params->context ? params->context : tern_llm_info (llm)->context;
  TernPassParams pass = { .context = context, .rows = MIN (params->batch, context), .activations = params->activations };

  return pass;
}

gsize
tern_solo_bytes (const TernLlm *llm, const TernSoloParams *params)
{
  TernStoreParams store = store_params (llm, params);
  TernPassParams pass = pass_params (llm, params);
  gsize a = tern_store_bytes (llm, &store), b = tern_pass_bytes (llm, &pass);

  return a > G_MAXSSIZE / 2 || b > G_MAXSSIZE / 2 ? G_MAXSSIZE : a + b;
}

gsize
tern_solo_scratch_bytes (const TernLlm *llm, const TernSoloParams *params)
{
  TernPassParams pass = pass_params (llm, params);

  return tern_pass_scratch_bytes (llm, &pass);
}

TernSolo *
tern_solo_new (TernLlm *llm, const TernSoloParams *params, TernPool *pool, GError **error)
{
  TernStoreParams store = store_params (llm, params);
  TernPassParams pass = pass_params (llm, params);
  g_autoptr (TernSolo) self = g_new0 (TernSolo, 1);

  self->llm = tern_llm_ref (llm);
  if (!(self->store = tern_store_new (llm, &store, error)) || !(self->timeline = tern_timeline_new (self->store, error))
      || !(self->pass = tern_pass_new (llm, &pass, pool, error)))
    return NULL;
  return g_steal_pointer (&self);
}

TernSolo *
tern_solo_fork (TernSolo *solo, GError **error)
{
  g_autoptr (TernSolo) self = g_new0 (TernSolo, 1);

  self->llm = tern_llm_ref (solo->llm);
  self->store = tern_store_ref (solo->store);
  self->pass = solo->pass;
  self->forked = TRUE;
  if (!(self->timeline = tern_timeline_new (self->store, error)))
    return NULL;
  tern_timeline_fork (self->timeline, solo->timeline);
  return g_steal_pointer (&self);
}

void
tern_solo_free (TernSolo *self)
{
  if (!self)
    return;
  if (!self->forked)
    tern_pass_free (self->pass);
  tern_timeline_free (self->timeline);
  tern_store_unref (self->store);
  tern_llm_unref (self->llm);
  g_free (self);
}

TernTimeline *
tern_solo_timeline (TernSolo *self)
{
  return self->timeline;
}

TernStore *
tern_solo_store (TernSolo *self)
{
  return self->store;
}

TernPass *
tern_solo_pass (TernSolo *self)
{
  return self->pass;
}

void
tern_solo_reset (TernSolo *self)
{
  tern_timeline_reset (self->timeline);
}

guint
tern_solo_pos (const TernSolo *self)
{
  return tern_timeline_pos (self->timeline);
}

guint
tern_solo_context (const TernSolo *self)
{
  return tern_timeline_context (self->timeline);
}

static gboolean
check_input (const TernSolo *self, const TernLlmInput *input, GError **error)
{
  guint n_vocab = tern_llm_info (self->llm)->n_vocab, pos = tern_solo_pos (self), context = tern_solo_context (self);

  if (!input->ids == !input->rows) {
    g_set_error (error, TERN_ERROR, TERN_ERROR_INVALID, "language model input: expected either ids or rows, found %s",
        input->ids ? "both" : "neither");
    return FALSE;
  }
  if (input->n > context - pos && !tern_timeline_is_torn (self->timeline)) {
    g_set_error (error, TERN_ERROR, TERN_ERROR_NO_SPACE, "context: expected at most %u tokens, found %u and %u more",
        context, pos, input->n);
    return FALSE;
  }
  for (guint i = 0; input->ids && i < input->n; i++)
    if (input->ids[i] < 0 || (guint) input->ids[i] >= n_vocab) {
      g_set_error (error, TERN_ERROR, TERN_ERROR_INVALID, "token %u: expected an id from 0 to %u, found %d", i,
          n_vocab - 1, input->ids[i]);
      return FALSE;
    }
  return TRUE;
}

static void
fill (const TernSolo *self, float *rows, const TernLlmInput *input, guint first, guint n)
{
  gsize width = tern_llm_info (self->llm)->width;

  if (input->ids) {
    tern_llm_embed (self->llm, input->ids + first, n, rows, width);
    return;
  }
  for (gsize t = 0; t < n; t++) {
    memcpy (rows + t * width, input->rows + (first + t) * input->ld, width * sizeof (float));
    if (input->slices && input->slices[first + t])
      tern_pass_deepen (self->pass, rows + t * width, input->slices[first + t]);
  }
}

gboolean
tern_solo_eval (TernSolo *self, const TernLlmInput *input, TernLogits want, float *logits, TernCancel *cancel,
    GError **error)
{
  gsize n_vocab = tern_llm_info (self->llm)->n_vocab;
  guint n;

  if (input->n && !check_input (self, input, error))
    return FALSE;
  for (guint i = 0; i < input->n; i += n) {
    TernSegment segment = { .timeline = self->timeline, .decode = input->n == 1 && !input->places && !input->slices,
      .cancel = cancel };
    float *rows;

    tern_pass_begin (self->pass);
    segment.n = n = tern_pass_cut (self->pass, self->timeline, input->n - i, input->n - i, TRUE);
    if (want == TERN_LOGITS_ALL || i + n == input->n)
      segment.want = want;
    segment.logits = want == TERN_LOGITS_ALL ? logits + i * n_vocab : logits;
    segment.places = input->places ? input->places + i : NULL;
    segment.advance = i + n == input->n ? input->advance : 0;
    rows = tern_pass_add (self->pass, &segment, error);
    if (!rows)
      return FALSE;
    fill (self, rows, input, i, n);
    if (!tern_pass_run (self->pass, error))
      return FALSE;
  }
  return TRUE;
}
