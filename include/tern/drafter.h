/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Small models that guess what a larger one says next (speculative decoding, arXiv:2211.17192): the larger one reads their guesses
 * beside its newest token, and they stand as far as it says them itself, so answers are the same. Installed. */
#pragma once

#include <glib.h>
#include "tern/model.h"

G_BEGIN_DECLS

/**
 * TernDraftVocabulary:
 * @TERN_DRAFT_VOCABULARY_AUTO: %TERN_DRAFT_VOCABULARY_SAME where it is the same, %TERN_DRAFT_VOCABULARY_TLI where the draft
 *   has half of the model's tokens, else %TERN_DRAFT_VOCABULARY_SLEM
 * @TERN_DRAFT_VOCABULARY_SAME: it has to be the same, token by token
 * @TERN_DRAFT_VOCABULARY_TLI: the draft says tokens that both have alone (token-level intersection)
 * @TERN_DRAFT_VOCABULARY_SLEM: what it says is split anew, as a text (string-level exact match)
 *
 * What the vocabulary of a draft model has to do with the model's; the latter two after arXiv:2502.05202.
 *
 * Since: 0.1
 */
typedef enum {
  TERN_DRAFT_VOCABULARY_AUTO,
  TERN_DRAFT_VOCABULARY_SAME,
  TERN_DRAFT_VOCABULARY_TLI,
  TERN_DRAFT_VOCABULARY_SLEM,
} TernDraftVocabulary;

/**
 * TernDrafter:
 *
 * A draft model for the completions of one model (TernCompletionParams.drafter): counted, any thread. What its guesses are worth is
 * known from one completion to the next, and so is the memory that they take.
 *
 * Since: 0.1
 */
typedef struct _TernDrafter TernDrafter;

/**
 * tern_drafter_new:
 * @model: opened with %TERN_MODEL_TEXT; the drafter holds a reference
 * @path: GGUF file of the small language model, or a folder with one
 * @vocabulary: what its vocabulary has to do with the model's
 * @error: return location of an error, or %NULL
 *
 * Loads it, on the caller's thread; once per process for all that name the same file.
 *
 * Errors: %TERN_ERROR_NOT_FOUND, %TERN_ERROR_READ, %TERN_ERROR_FORMAT, %TERN_ERROR_UNSUPPORTED (a vision encoder),
 *   %TERN_ERROR_MISMATCH (its vocabulary is none that @vocabulary allows; the first token that differs is named),
 *   %TERN_ERROR_INVALID.
 *
 * Returns: (transfer full) (nullable): the drafter; tern_drafter_unref() gives it back. %NULL with @error set
 *
 * Since: 0.1
 */
TERN_API TernDrafter *tern_drafter_new (TernModel *model, const char *path, TernDraftVocabulary vocabulary, GError **error);

/**
 * tern_drafter_ref:
 * @drafter: a drafter
 *
 * A further reference. Any thread.
 *
 * Returns: (transfer full): @drafter
 *
 * Since: 0.1
 */
TERN_API TernDrafter *tern_drafter_ref (TernDrafter *drafter);

/**
 * tern_drafter_unref:
 * @drafter: (transfer full) (nullable): a drafter, or %NULL
 *
 * Gives a reference back. Any thread.
 *
 * Since: 0.1
 */
TERN_API void tern_drafter_unref (TernDrafter *drafter);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (TernDrafter, tern_drafter_unref)

G_END_DECLS
