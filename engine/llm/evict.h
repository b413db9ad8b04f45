/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Timelines without an end: some of what was read is forgotten, and what stays moves together, so that positions never leave
 * the range that a model was made for (StreamingLLM, arXiv:2309.17453 section 3.2: positions are places in the cache, not
 * times). A key that moves by d positions is turned by d times its frequencies: rotations add up (arXiv:2104.09864 eq. 16),
 * so the turned key is the one that would have been written there. States of recurrent blocks carry on as they are.
 *
 * A turned key is rounded once more. In F32 a turn is at most 2^-24 off, so that ten thousand of them, more than a day of
 * stream has, are as much as storing a key in F16 once. In F16 and int8 one turn is as much off as storing was; but a small
 * one moves slow pairs by less than half a step, which is lost, every time: 400 turns by one position are 3 % off in F16. So
 * who forgets for ever keeps F32 (tests/golden/test-evict.c has the bounds).
 *
 * One thread at a time, as for everything of a store. Nothing is allocated. */
#pragma once

#include "engine/llm/timeline.h"

G_BEGIN_DECLS

/* Where rows of a model of three rotary axes (TernLlmInfo.has_places) stand and go, which the timeline does not know; the others'
 * stand one behind the other. Borrowed for the call. */
typedef struct {
  const TernPlace *was;         /* of all rows of the timeline */
  const TernPlace *to;          /* [n] of those that stay */
  guint next;                   /* where text goes on behind these */
} TernMoves;

/* UNSUPPORTED: blocks of the model remember by position in ways that cannot be moved. */
gboolean tern_evict_check (const TernLlm *llm, GError **error);

/* Writes to all pages that are free, so that the system has given what there will ever be, and memory does not grow by those
 * that are taken for the first time after hours. */
void tern_evict_touch (TernStore *store);

/* Bytes of scratch that the functions below need for timelines of @llm. */
gsize tern_evict_scratch_bytes (const TernLlm *llm);

/* Forgets all rows of @timeline but those at positions @keep [n], ascending. @moves: of a model of three axes; NULL of others.
 * Forks of it keep theirs: pages that they share are copied. Errors, which change nothing: NO_SPACE (pages are missing),
 * INVALID (it is torn). */
gboolean tern_timeline_keep (TernTimeline *timeline, const gint32 *keep, guint n, const TernMoves *moves, void *scratch,
    GError **error);
/* Pages that this would take. */
guint tern_timeline_keep_pages (const TernTimeline *timeline, const gint32 *keep, guint n, const TernMoves *moves);

/* For who chooses what to forget: rows [n][width] as floats of positions first, first + 1, ... of an attention layer, the kv
 * heads side by side: keys as they were before they were turned, so that those of different positions can be compared, or
 * values. @places [n]: where the rows stand, of a model of three axes; NULL of others. */
guint tern_evict_kv_width (const TernLlm *llm, guint layer);    /* 0: no attention layer */
void tern_timeline_read_keys (const TernTimeline *timeline, guint layer, guint first, guint n, const TernPlace *places,
    float *rows, void *scratch);
void tern_timeline_read_values (const TernTimeline *timeline, guint layer, guint first, guint n, float *rows);

G_END_DECLS
