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

/* The newest of those that rest is taken first: one client after the other has the same, which knows what guesses are worth. */
typedef struct {
  TernDraft *draft;
  guint context;
} Resting;

struct _TernDrafter {
  gint refs;                    /* atomic */
  TernModel *model;
  TernModelText *text;
  TernDraftModel *draft;
  GMutex lock;
  GArray *resting;              /* Resting */
  GHashTable *contexts;         /* TernDraft -> its context: all there are */
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
  self->resting = g_array_new (FALSE, FALSE, sizeof (Resting));
  self->contexts = g_hash_table_new (g_direct_hash, g_direct_equal);
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
  for (guint i = 0; i < self->resting->len; i++)
    tern_draft_free (g_array_index (self->resting, Resting, i).draft);
  g_array_unref (self->resting);
  g_hash_table_unref (self->contexts);
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
    Resting resting = g_array_index (self->resting, Resting, i - 1);

    if (resting.context < context)
      continue;
    found = resting.draft;
    g_array_remove_index (self->resting, i - 1);
  }
  if (!found && self->resting->len) {
    *old = g_array_index (self->resting, Resting, 0).draft;
    g_hash_table_remove (self->contexts, *old);
    g_array_remove_index (self->resting, 0);
  }
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
  if (draft || !(draft = tern_draft_new (self->draft, &params, tern_scheduler_pool (self->model->scheduler), error)))
    return draft;
  g_mutex_lock (&self->lock);
  g_hash_table_insert (self->contexts, draft, GUINT_TO_POINTER (params.context));
  g_mutex_unlock (&self->lock);
  return draft;
}

void
tern_drafter_give_back (TernDrafter *self, TernDraft *draft)
{
  Resting resting = { .draft = draft };

  if (!draft)
    return;
  g_mutex_lock (&self->lock);
  resting.context = GPOINTER_TO_UINT (g_hash_table_lookup (self->contexts, draft));
  g_array_append_val (self->resting, resting);
  g_mutex_unlock (&self->lock);
}
