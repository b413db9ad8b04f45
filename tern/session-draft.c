/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A session's draft model: which one it is, what it takes, what it has guessed. */
#include "tern/session-priv.h"

gboolean
tern_session_open_draft (TernSession *self, const TernSessionParams *params, GError **error)
{
  if ((guint) params->draft_vocabulary > TERN_DRAFT_VOCABULARY_SLEM) {
    g_set_error (error, TERN_ERROR, TERN_ERROR_INVALID, "draft_vocabulary: expected 0 to %u, found %u",
        (guint) TERN_DRAFT_VOCABULARY_SLEM, (guint) params->draft_vocabulary);
    return FALSE;
  }
  if (!params->draft_model || !*params->draft_model)
    return TRUE;
  self->draft_text = tern_model_draft (self->model, params->draft_model, error);
  return self->draft_text && (self->draft = tern_draft_model_new (self->draft_text->llm, self->draft_text->tokenizer,
          self->text->llm, self->text->tokenizer, (TernDraftScheme) params->draft_vocabulary, error));
}

void
tern_session_close_draft (TernSession *self)
{
  g_clear_pointer (&self->draft, tern_draft_model_unref);
  g_clear_pointer (&self->draft_text, tern_shared_unref);
}

gboolean
tern_session_give_draft (TernSession *self, TernAsk *ask, guint context, GError **error)
{
  const TernDraftParams params = { .context = context, .activations = self->model->activations };
  TernDraft *draft = NULL;

  ask->counted = (TernGuesses) { 0 };
  if (!self->draft)
    return TRUE;
  if (!(draft = tern_draft_new (self->draft, &params, tern_scheduler_pool (self->model->scheduler), error)))
    return FALSE;
  tern_generator_set_draft (ask->generator, draft);
  return TRUE;
}

void
tern_session_count_guesses (TernSession *self, TernAsk *ask)
{
  TernGuesses now, before = ask->counted;

  tern_generator_guesses (ask->generator, &now.read, &now.right);
  tern_generator_drafts (ask->generator, &now.drafts, &now.drafts_right);
  g_mutex_lock (&self->lock);
  self->stats.guesses += now.read - before.read;
  self->stats.guesses_right += now.right - before.right;
  self->stats.drafts += now.drafts - before.drafts;
  self->stats.drafts_right += now.drafts_right - before.drafts_right;
  g_mutex_unlock (&self->lock);
  ask->counted = now;
}
