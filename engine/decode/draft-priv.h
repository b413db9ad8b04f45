/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Between the two halves of a draft: what vocabularies have in common (draft-model.c), and guessing (draft.c). */
#pragma once

#include "engine/decode/draft.h"

G_BEGIN_DECLS

struct _TernDraftModel {
  gatomicrefcount ref_count;
  TernLlm *llm;
  TernTokenizer *tokenizer, *target;
  TernDraftScheme scheme;
  guint n_ids, n_target;        /* ids that have a text, and a row in the model */
  guint shared;
  gint32 *to_target;            /* [n_ids] -1: the large model has no such token; NULL for SAME */
  gint32 *to_draft;             /* [n_target] likewise */
  double own, row;              /* what a token of the draft, a further row of the large model take of one of its passes */
};

/* Appends the draft's ids of the large model's @ids; @special: of a prompt, in whose text control tokens are recognised. */
void tern_draft_model_translate (const TernDraftModel *model, const gint32 *ids, guint n, gboolean special, GArray *out);
/* Appends the bytes of @ids, of the draft's vocabulary or the large model's. */
void tern_draft_spell (const TernTokenizer *tokenizer, const gint32 *ids, guint n, gboolean special, GString *out);
/* Appends to @out the ids of the bytes of @text from @begin on, as they are split behind what is before. */
void tern_draft_split (const TernTokenizer *tokenizer, const GString *text, gsize begin, GArray *out);

G_END_DECLS
