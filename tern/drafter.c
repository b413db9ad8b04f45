/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tern/drafter-priv.h"

#include "tern/error.h"
#include "tern/model-priv.h"

G_STATIC_ASSERT ((int) TERN_DRAFT_VOCABULARY_AUTO == (int) TERN_DRAFT_AUTO);
G_STATIC_ASSERT ((int) TERN_DRAFT_VOCABULARY_SAME == (int) TERN_DRAFT_SAME);
G_STATIC_ASSERT ((int) TERN_DRAFT_VOCABULARY_TLI == (int) TERN_DRAFT_TLI);
G_STATIC_ASSERT ((int) TERN_DRAFT_VOCABULARY_SLEM == (int) TERN_DRAFT_SLEM);

/* Drafts are made for at least so many tokens, so that most completions can have the one of another. */
#define CONTEXT_LEAST 1024

struct _TernDrafter {
  gint refs;                    /* atomic */
  TernModel *model;
  TernModelText *text;
  TernDraftModel *draft;
  GMutex lock;
  GPtrArray *resting;           /* TernDraft; the newest is taken first: one client after the other has the same, which knows what
                                 * guesses are worth */
};

TernDrafter *
tern_drafter_new (TernModel *model, const char *path, TernDraftVocabulary vocabulary, GError **error)
{
  g_autoptr (TernDrafter) self = NULL;
  const TernModelText *text;

  g_return_val_if_fail (model != NULL && path != NULL, NULL);
  text = tern_model_text (model);
  if (!text || (guint) vocabulary > TERN_DRAFT_VOCABULARY_SLEM) {
    g_set_error (error, TERN_ERROR, TERN_ERROR_INVALID, text ? "vocabulary: expected 0 to %u, found %u"
        : "expected a model opened with TERN_MODEL_TEXT", (guint) TERN_DRAFT_VOCABULARY_SLEM, (guint) vocabulary);
    return NULL;
  }
  self = g_new0 (TernDrafter, 1);
  self->refs = 1;
  g_mutex_init (&self->lock);
  self->resting = g_ptr_array_new_with_free_func ((GDestroyNotify) tern_draft_free);
  self->model = tern_model_ref (model);
  self->text = tern_model_draft (model, path, error);
  if (!self->text || !(self->draft = tern_draft_model_new (self->text->llm, self->text->tokenizer, text->llm, text->tokenizer,
              (TernDraftScheme) vocabulary, error)))
    return NULL;
  return g_steal_pointer (&self);
}

TernDrafter *
tern_drafter_ref (TernDrafter *self)
{
  g_return_val_if_fail (self != NULL, NULL);
  g_atomic_int_inc (&self->refs);
  return self;
}

void
tern_drafter_unref (TernDrafter *self)
{
  if (!self || !g_atomic_int_dec_and_test (&self->refs))
    return;
  g_ptr_array_unref (self->resting);
  g_clear_pointer (&self->draft, tern_draft_model_unref);
  g_clear_pointer (&self->text, tern_shared_unref);
  tern_model_unref (self->model);
  g_mutex_clear (&self->lock);
  g_free (self);
}

/* The newest one that is large enough; @old: one that is not, and goes for a larger one. */
static TernDraft *
find_resting (TernDrafter *self, guint context, TernDraft **old)
{
  TernDraft *found = NULL;

  *old = NULL;
  g_mutex_lock (&self->lock);
  for (guint i = self->resting->len; i > 0 && !found; i--) {
    if (tern_draft_context (g_ptr_array_index (self->resting, i - 1)) >= context)
      found = g_ptr_array_steal_index (self->resting, i - 1);
  }
  if (!found && self->resting->len)
    *old = g_ptr_array_steal_index (self->resting, 0);
  g_mutex_unlock (&self->lock);
  return found;
}

TernDraft *
tern_drafter_take (TernDrafter *self, guint context, GError **error)
{
  guint most = tern_llm_info (self->text->llm)->context, size = CONTEXT_LEAST;
  TernDraftParams params = { .activations = self->model->activations };
  TernDraft *draft, *old;

  while (size < context && size < most)
    size *= 2;
  params.context = MIN (size, most);
  draft = find_resting (self, params.context, &old);
  tern_draft_free (old);
  return draft ? draft : tern_draft_new (self->draft, &params, tern_scheduler_pool (self->model->scheduler), error);
}

void
tern_drafter_give_back (TernDrafter *self, TernDraft *draft)
{
  if (!draft)
    return;
  g_mutex_lock (&self->lock);
  g_ptr_array_add (self->resting, draft);
  g_mutex_unlock (&self->lock);
}
