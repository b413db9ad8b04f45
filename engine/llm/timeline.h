/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What sequences have read. A *timeline* is one sequence: keys and values in pages, the states of its recurrent blocks,
 * its position, the policy that prunes it. A *store* has the memory of timelines that may be forks of one another.
 *
 *   store = tern_store_new (llm, &(TernStoreParams) { .context = 1024, .timelines = 4, .tokens = 1500 }, &error);
 *   a = tern_timeline_new (store, &error);
 *   ... passes read rows into it: pass.h ...
 *   tern_timeline_fork (b, a);          // no copy; what both go on to read goes to pages of their own
 *
 * One thread at a time, forks and passes included. All memory is taken when store and timelines are made, or grow; but for
 * the states between rows that may be taken back, which are taken when the first ones are read: a recurrent state may have
 * megabytes, and most stores never guess. */
#pragma once

#include "engine/base/policy.h"
#include "engine/llm/llm.h"
#include "engine/llm/rope.h"

G_BEGIN_DECLS

typedef struct _TernStore TernStore;
typedef struct _TernTimeline TernTimeline;

/* Positions of a page. */
#define TERN_PAGE_ROWS 64
/* Rows of a decode segment behind its first one, at most. */
#define TERN_GUESS_MAX (TERN_POLICY_ROWS - 1)

typedef struct {
  guint context;                /* tokens of one timeline, at most; 0 = the model's own */
  guint timelines;              /* that exist at once; at least 1 */
  guint pages;                  /* of TERN_PAGE_ROWS tokens, over all of them; 0 = enough for @timelines apart */
  guint guesses;                /* rows that may be taken back at one time, over all of them: tern_timeline_cut() */
  TernKvType kv;
  TernActivations activations;  /* AUTO looks at it */
} TernStoreParams;

/* Whether there can be such a store: INVALID: a context beyond the model's; UNSUPPORTED: heads that cannot be kept in that
 * type. Of a plan too. */
gboolean tern_store_check (const TernLlm *llm, const TernStoreParams *params, GError **error);
/* The same errors, and NO_SPACE. Keeps a reference on @llm. */
TernStore *tern_store_new (TernLlm *llm, const TernStoreParams *params, GError **error);
TernStore *tern_store_ref (TernStore *store);
void tern_store_unref (TernStore *store);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (TernStore, tern_store_unref)
/* Bytes that a store and its timelines take, of a plan too. */
gsize tern_store_bytes (const TernLlm *llm, const TernStoreParams *params);
guint tern_store_free_pages (const TernStore *store);
/* Room for so many timelines, pages and guesses more; what there is stays as it is. NO_SPACE. */
gboolean tern_store_grow (TernStore *store, guint timelines, guint pages, guint guesses, GError **error);
guint tern_store_free_guesses (const TernStore *store);
guint tern_store_context (const TernStore *store);
TernKvType tern_store_kv (const TernStore *store);      /* never AUTO */
/* What AUTO means with these parameters. */
TernKvType tern_store_kv_type (const TernLlm *llm, const TernStoreParams *params);

/* Empty. NO_SPACE when there are as many as the store was made for. Keeps a reference on @store. */
TernTimeline *tern_timeline_new (TernStore *store, GError **error);
void tern_timeline_free (TernTimeline *timeline);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (TernTimeline, tern_timeline_free)

/* Forgets all. */
void tern_timeline_reset (TernTimeline *timeline);
/* @timeline forgets all and holds what @from, of the same store, has read. Its policy stays. */
void tern_timeline_fork (TernTimeline *timeline, const TernTimeline *from);
/* Rows of a decode segment behind its first one that its store has room for. */
guint tern_timeline_free_guesses (const TernTimeline *timeline);
/* Takes back all but the first @keep rows, at least one, of the decode segment that it read last: keys, values and
 * recurrent states are as if the others had never been read. What remembers the states between is given back; that happens
 * with whatever comes next, too. */
void tern_timeline_cut (TernTimeline *timeline, guint keep);
guint tern_timeline_pos (const TernTimeline *timeline);         /* tokens held */
/* Where its text goes on for rotary positions: tokens held, less what pictures were more than their larger side is long. */
guint tern_timeline_place (const TernTimeline *timeline);
guint tern_timeline_context (const TernTimeline *timeline);     /* tokens that it may hold */
/* A pass that it was in was cancelled: it is neither here nor there, and must be reset. */
gboolean tern_timeline_is_torn (const TernTimeline *timeline);

/* Borrowed; asked for decode rows alone. NULL: attend to everything. */
void tern_timeline_set_policy (TernTimeline *timeline, const TernKeyPolicy *policy);
const TernKeyPolicy *tern_timeline_policy (const TernTimeline *timeline);

/* Debugging: the row [head_dim] of position @pos of KV head @head of an attention layer, keys after norm and RoPE (in
 * halves where the file has pairs, see rope.h), in KV type F32 alone. NULL for the wrong kind. */
const float *tern_timeline_key (const TernTimeline *timeline, guint layer, guint head, guint pos);
const float *tern_timeline_value (const TernTimeline *timeline, guint layer, guint head, guint pos);
/* The part @name of a layer's recurrent state, and how many floats it is; its block says what they are: "conv" is the last
 * inputs of a convolution, oldest first. NULL: the layer has none of that name, or nothing was read into it. */
const float *tern_timeline_state (const TernTimeline *timeline, guint layer, const char *name, gsize *n);

G_END_DECLS
