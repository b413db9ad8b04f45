/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One walk through the layers with rows of many timelines: every weight is read once, whosever rows there are.
 *
 *   tern_pass_begin (pass);
 *   for each timeline that goes on:
 *     rows = tern_pass_add (pass, &(TernSegment) { .timeline = t, .n = n, .want = TERN_LOGITS_LAST, .logits = to }, &error);
 *     ... put n embedding rows there: tern_llm_embed(), visual tokens ...
 *   tern_pass_run (pass, &error);       // now the timelines hold the rows, and the logits are there
 *
 * What a timeline reads and is answered does not depend on who else is in its passes, nor on how its prompt is cut into
 * segments, where tern_pass_cut() says how: bit for bit. Decode rows and others are computed by different orders of summation
 * (kernels.h), so a row is always of the same kind. Behind the last layer that looks back at them, rows whose logits nobody
 * wants are not computed. One thread at a time; nothing is allocated but by new. */
#pragma once

#include "engine/llm/timeline.h"

G_BEGIN_DECLS

typedef struct _TernPass TernPass;

typedef struct {
  guint context;                /* of the timelines, at most; 0 = the model's own */
  guint rows;                   /* in a pass; 0 = 128, fewer for wide models (cancelling) */
  TernActivations activations;
} TernPassParams;

/* @pool is borrowed and must outlive the pass; its scratch is made large enough. Keeps a reference on @llm. NO_SPACE. */
TernPass *tern_pass_new (TernLlm *llm, const TernPassParams *params, TernPool *pool, GError **error);
void tern_pass_free (TernPass *pass);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (TernPass, tern_pass_free)
/* Bytes of a pass, and of what it reserves in the scratch of each worker of its pool; of a plan too. */
gsize tern_pass_bytes (const TernLlm *llm, const TernPassParams *params);
gsize tern_pass_scratch_bytes (const TernLlm *llm, const TernPassParams *params);
guint tern_pass_rows (const TernPass *pass);
guint tern_pass_context (const TernPass *pass);

typedef struct {
  TernTimeline *timeline;       /* borrowed until the pass is over; in one segment of a pass */
  guint n;                      /* rows, at least 1 */
  /* Models with three rotary axes (TernLlmInfo.has_places) alone; others do without. [n], borrowed for the call, each counted
   * from where the timeline's text goes on (tern_timeline_place()), which is @advance further on behind these rows. NULL: text,
   * whose rows stand one behind the other. A segment may mix both and end within a picture: @advance 0 then goes on from
   * the same place. */
  const TernPlace *places;
  guint advance;
  /* A token that was said, and others that may follow, to be taken back if they do not (tern_timeline_cut(); as many as
   * tern_store_free_guesses()): its timeline's policy is asked. These segments come before all others. */
  gboolean decode;
  gboolean stays;               /* of decode rows: none is taken back, so nothing is kept between them; no guesses are used */
  TernLogits want;              /* ALL of a prompt's rows is summed as many rows are, however few they are here */
  float *logits;                /* [n_vocab], or [n, n_vocab] for TERN_LOGITS_ALL; best side by side */
  float *hidden;                /* [width] of its last row after the final norm: what logits are computed from. NULL: none */
  TernCancel *cancel;           /* borrowed; NULL: never */
} TernSegment;

/* How many of the @left rows of a prompt that are still to be read into @timeline a segment should have now, of which about @most
 * are wanted: so many that it ends where the prompt does, or at a multiple of the model's chunk (TernLlmInfo), so that
 * bits do not depend on where others leave room. That may be more than @most; 0: there is no room in this pass, or @most is 0.
 * Without @last the prompt's last row is not to be in it: there is no room for its logits. Into an empty pass it is never 0, but
 * without @last for less than a chunk. */
guint tern_pass_cut (const TernPass *pass, const TernTimeline *timeline, guint left, guint most, gboolean last);
/* Multiples of which prompts are cut at: the model's, less where the pass has fewer rows. 1 for most models. */
guint tern_pass_chunk (const TernPass *pass);
/* Nothing is in the pass. */
void tern_pass_begin (TernPass *pass);
guint tern_pass_room (const TernPass *pass);    /* rows that it still takes */
/* The place [n, width] of the rows, to be filled before run; n is at most the room. Errors, which change nothing: INVALID
 * (a torn timeline), NO_SPACE (its context or the store's pages are full). */
float *tern_pass_add (TernPass *pass, const TernSegment *segment, GError **error);
/* Of a model with TernLlmInfo.deepstack: @row, one of those that tern_pass_add() gave the place of, is a picture's; @slices
 * [deepstack, width], borrowed until the pass has run, are added to it behind the first layers, one each (DeepStack,
 * arXiv:2406.04334; as Qwen3-VL does it). To other rows nothing is added. */
void tern_pass_deepen (TernPass *pass, const float *row, const float *slices);
guint tern_pass_segments (const TernPass *pass);

/* Appends the rows to their timelines. The cancels are looked at per layer and slice of a product: when all segments'
 * are raised, CANCELLED, and all timelines in it are torn. As long as one goes on, so does the pass. */
gboolean tern_pass_run (TernPass *pass, GError **error);

/* Called with the residual stream [n, width] after each layer (layer = n_layers: after the final norm, rows that logits
 * are wanted of). While there is one, no rows are left out of the last layers. Debugging. */
typedef void (*TernLlmTap) (void *data, guint layer, const float *rows, guint n);
void tern_pass_set_tap (TernPass *pass, TernLlmTap tap, void *data);

G_END_DECLS
