/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* DyCoke stage 2, dynamic pruning in the KV cache (arXiv:2411.15024 sec. 3.3), as a key policy.
 *
 * Prefill is never pruned and nothing leaves the cache: at a decode step the attention layers from block L on look only
 * at the visual keys that the scoring layer found important, and at all text. A key that was left out comes back when
 * the attention changes. In a hybrid, the scoring layer is the last attention block before L, and the blocks that are
 * pruned are the attention blocks from L on; without one of either, nothing is pruned. */
#pragma once

#include <glib.h>
#include "engine/base/policy.h"

G_BEGIN_DECLS

typedef enum {
  TERN_DP_PAPER,                /* keep the selection while attention is similar, select anew when it changes */
  TERN_DP_REF,                  /* as the authors' code: a step whose attention is similar looks at everything */
  TERN_DP_ALWAYS,               /* select anew at every step */
} TernDpGate;

/* Steps are similar from this cosine on (the authors' code; the paper gives no number). */
#define TERN_DP_SIMILAR 0.9

typedef struct {
  double prune;                 /* P: the share of visual keys left out, 0..1 */
  guint layer;                  /* L */
  TernDpGate gate;
} TernDpParams;

/* Consecutive positions that hold visual tokens. */
typedef struct {
  guint start, n;
} TernSpan;

typedef struct {
  guint64 steps, selections;    /* decode steps scored, and how many of them selected anew */
  guint64 keys, kept;           /* visual keys there were and were attended to, summed over attention layers and steps */
  guint pruned_layers;
} TernDpStats;

typedef struct _TernDp TernDp;

/* For prompts and answers of at most @max_keys positions. @is_attention [n_layers]. All memory is taken here. */
TernDp *tern_dp_new (guint n_layers, const guint8 *is_attention, guint max_keys, GError **error);
void tern_dp_free (TernDp *dp);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (TernDp, tern_dp_free)

/* A new request, whose prompt holds visual tokens in @spans (ascending, apart, within max_keys). Forgets everything of
 * the last one. The policy to hand to the model, or NULL when nothing is to be pruned; valid until the next call. */
const TernKeyPolicy *tern_dp_begin (TernDp *dp, const TernDpParams *params, const TernSpan *spans, guint n_spans);
void tern_dp_stats (const TernDp *dp, TernDpStats *stats);

/* Visual keys kept of @n: floor ((1 - P) n) with the float trap closed, or the truncated product (ref). */
guint tern_dp_keep (TernDpGate gate, double prune, guint n);

/* The scoring block for L: the last attention block before it, or -1. */
gint tern_dp_score_layer (guint n_layers, const guint8 *is_attention, guint layer);

G_END_DECLS
