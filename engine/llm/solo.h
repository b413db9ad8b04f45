/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One timeline with a pass of its own: for programs that read one text at a time. */
#pragma once

#include "engine/llm/pass.h"

G_BEGIN_DECLS

typedef struct _TernSolo TernSolo;

typedef struct {
  guint context;                /* tokens to hold; 0 = the model's own */
  guint batch;                  /* rows computed at once in prefill; 0 = 128, fewer for wide models (cancelling) */
  TernActivations activations;
  TernKvType kv;
  guint forks;                  /* timelines of its store beside its own */
  guint guesses;                /* of its store */
  guint fork_pages;             /* pages for them together; 0 = a whole context for each */
} TernSoloParams;

/* One thread at a time. @pool is borrowed and must outlive it. All memory is taken here. */
TernSolo *tern_solo_new (TernLlm *llm, const TernSoloParams *params, TernPool *pool, GError **error);
void tern_solo_free (TernSolo *solo);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (TernSolo, tern_solo_free)
gsize tern_solo_bytes (const TernLlm *llm, const TernSoloParams *params);
gsize tern_solo_scratch_bytes (const TernLlm *llm, const TernSoloParams *params);

/* Another timeline on @solo's store and pass, that holds what @solo has read. @solo was made for it, and outlives it. */
TernSolo *tern_solo_fork (TernSolo *solo, GError **error);

/* Borrowed. */
TernTimeline *tern_solo_timeline (TernSolo *solo);
TernStore *tern_solo_store (TernSolo *solo);
TernPass *tern_solo_pass (TernSolo *solo);

void tern_solo_reset (TernSolo *solo);
guint tern_solo_pos (const TernSolo *solo);
guint tern_solo_context (const TernSolo *solo);

/* Exactly one of ids and rows: token ids, or embedding rows (visual tokens) of the model's width. */
typedef struct {
  const gint32 *ids;            /* [n], each < n_vocab */
  const float *rows;            /* [n, width], ld apart */
  gsize ld;
  guint n;                      /* 1: a decode row */
  const float *const *slices;   /* [n] of tern_pass_deepen(), NULL for rows of text; NULL: all are */
  const TernPlace *places;      /* [n] or NULL, and where text goes on behind them, as in pass.h; no decode row then */
  guint advance;
} TernLlmInput;

/* Appends @input to the timeline. @cancel is looked at per layer and slice; after CANCELLED the timeline must be reset.
 * Other errors: NO_SPACE (context full: nothing was changed), INVALID (an id out of range). */
gboolean tern_solo_eval (TernSolo *solo, const TernLlmInput *input, TernLogits want, float *logits,
    TernCancel *cancel, GError **error);

G_END_DECLS
