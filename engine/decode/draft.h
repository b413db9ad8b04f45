/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A small model that guesses what a large one says next (speculative decoding, arXiv:2211.17192). The large one reads its
 * guesses beside its newest token, and they stand as far as it says them itself: what is said is the same, bit for bit.
 *
 * The two may have different vocabularies. Of the schemes of Timor et al. (arXiv:2502.05202) there are
 *   TLI   (algorithm 4): the draft says tokens of both vocabularies alone, the likeliest of them;
 *   SLEM  (algorithm 2): the draft's text is split anew by the large model's vocabulary.
 * Their rule for what stands is that of guesses here: the longest beginning that equals what the large model picks by
 * itself, greedily or by its own draws. So sampling loses nothing either: it is the same for the same seed.
 *
 * A draft sees texts alone: of a prompt with pictures, the words. It has a timeline with what was said for certain, and reads
 * guesses on a fork of it, which is given up: whatever its layers remember, keys, convolutions, matrix states, it never has to go
 * back. What stands it reads again, in the pass that it needs for the newest token anyway. */
#pragma once

#include "engine/decode/speculate.h"
#include "engine/llm/pass.h"
#include "engine/text/tokenizer.h"

G_BEGIN_DECLS

typedef enum {
  TERN_DRAFT_AUTO,              /* SAME where it is the same, TLI where half of the large one's tokens are shared, else SLEM */
  TERN_DRAFT_SAME,              /* one vocabulary: each id is the same token */
  TERN_DRAFT_TLI,
  TERN_DRAFT_SLEM,
} TernDraftScheme;

/* "auto", "same", "tli", "slem"; FALSE: @name is none of them. */
const char *tern_draft_scheme_name (TernDraftScheme scheme);
gboolean tern_draft_scheme_parse (const char *name, TernDraftScheme *scheme);

/* A model as the draft of another. Immutable, counted, any thread. */
typedef struct _TernDraftModel TernDraftModel;

/* @draft with @tokenizer for a model @target with @target_tokenizer; keeps references. MISMATCH: SAME is asked for and the first
 * token that differs is named, or TLI and no token is shared. */
TernDraftModel *tern_draft_model_new (TernLlm *draft, TernTokenizer *tokenizer, TernLlm *target,
    TernTokenizer *target_tokenizer, TernDraftScheme scheme, GError **error);
TernDraftModel *tern_draft_model_ref (TernDraftModel *model);
void tern_draft_model_unref (TernDraftModel *model);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (TernDraftModel, tern_draft_model_unref)
TernDraftScheme tern_draft_model_scheme (const TernDraftModel *model);  /* never AUTO */
guint tern_draft_model_shared (const TernDraftModel *model);    /* tokens that both vocabularies have */

/* What a draft has read of one answer. One thread at a time. */
typedef struct _TernDraft TernDraft;

typedef struct {
  guint context;                /* tokens of prompt and answer, at most the draft's own; 0 = that */
  TernActivations activations;
} TernDraftParams;

/* @pool is borrowed, at rest during calls, and must outlive it. Keeps a reference on @model. All memory is taken here, but for
 * what SLEM needs while it splits texts. NO_SPACE. */
TernDraft *tern_draft_new (TernDraftModel *model, const TernDraftParams *params, TernPool *pool, GError **error);
void tern_draft_free (TernDraft *draft);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (TernDraft, tern_draft_free)
guint tern_draft_context (const TernDraft *draft);      /* tokens that there is room for */
/* Bytes that it takes, and that it reserves in the scratch of each worker; of a plan too. */
gsize tern_draft_bytes (const TernLlm *draft, const TernDraftParams *params);
gsize tern_draft_scratch_bytes (const TernLlm *draft, const TernDraftParams *params);

/* An answer to the prompt @ids [n] of the large model begins; negative ids (pictures) are left out. */
void tern_draft_begin (TernDraft *draft, const gint32 *ids, guint n);
/* What may follow @said [n], the answer so far, n > 0: at most @most tokens of the large model's vocabulary, borrowed until the
 * next call. Long prompts are read in pieces, one a call, without guesses until they end. @most 0, or a pause: nothing is read. */
guint tern_draft_guess (TernDraft *draft, const gint32 *said, guint n, guint most, const gint32 **ids);
/* Of the @n guesses of the last call the first @right came true. Where they do not pay, it is silent until the end of this
 * answer, and in those that follow for longer each time. */
void tern_draft_learn (TernDraft *draft, guint n, guint right);
/* A token was said, guessed or not. */
void tern_draft_hear (TernDraft *draft);

G_END_DECLS
