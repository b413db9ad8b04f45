/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Where the language model and the compressors meet: the model asks "which keys?", a policy answers.
 *
 * During decode (one new token), for each attention layer in order, the model
 *   1. calls keys() and attends only to the answer, or to everything when it is NULL;
 *   2. when layer == score_layer, attends to everything and hands the head-mean of the softmax row to observe().
 * Several tokens may be read at once, some of them a guess: then each layer asks for all of them, in order, which n_keys
 * tells apart, and a later step with no more keys than one before means that this one and those behind it were never said.
 * Prefill never asks. The policy is owned by the caller and used by one thread at a time. */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* What one attention layer saw for the newest token. Rows are borrowed for the call. */
typedef struct {
  guint layer;                  /* block index in the model, counted over all blocks */
  guint n_keys;                 /* the new token's own key included */
  const float *scores;          /* [n_keys] head mean of softmax(q.k / sqrt(d)), or NULL */
  const float *query;           /* [n_heads * head_dim] after norm and RoPE, or NULL */
} TernKeyView;

#define TERN_POLICY_ROWS 8

typedef struct {
  /* Model block whose scores are wanted, or -1. Must be an attention block. */
  gint score_layer;

  /* Tokens that may be read at once, at most TERN_POLICY_ROWS; 0 means 1. */
  guint rows;

  void (*observe) (void *self, const TernKeyView *view);

  /* Ascending positions that @layer shall attend to, all < @n_keys, with n_keys - 1 (the new token) among them; NULL
   * for all. Borrowed until the next layer is asked for, or observed. */
  const gint32 *(*keys) (void *self, guint layer, guint n_keys, guint *n_out);

  void *self;
} TernKeyPolicy;

G_END_DECLS
