/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The language model: weights shared by all (TernLlm), and one timeline's caches (TernLlmState).
 *
 *   llm = tern_llm_open (file, kernels, pool, &error);
 *   state = tern_llm_state_new (llm, &params, pool, &error);
 *   tern_llm_eval (state, &(TernLlmInput) {.ids = ids, .n = n}, TERN_LOGITS_LAST, logits, cancel, &error);
 *   ... pick a token, eval it, and so on: see generate.h
 */
#pragma once

#include <glib.h>
#include "engine/base/cancel.h"
#include "engine/base/policy.h"
#include "engine/base/threads.h"
#include "engine/weights/linear.h"

G_BEGIN_DECLS

typedef struct _TernLlm TernLlm;
typedef struct _TernLlmState TernLlmState;

typedef struct {
  const char *architecture;     /* "lfm2" */
  const char *name;             /* general.name, or "" */
  guint n_layers, width, n_vocab, n_heads, head_dim, ffn_width;
  guint context;                /* tokens the model was made for */
  guint n_attention;            /* how many layers hold KV */
  const guint8 *is_attention;   /* [n_layers] */
} TernLlmInfo;

/* Immutable, any thread. Keeps a reference on @file. UNSUPPORTED lists the architectures that run. @pool (NULL: the
 * calling thread alone) repacks weights and is not kept. */
TernLlm *tern_llm_open (TernGguf *file, const TernKernels *kernels, TernPool *pool, GError **error);
/* All of open but the weights: everything is checked and bound, and nothing is read but the header, norms and other
 * vectors. Good for info and byte counts alone: tern_llm_state_new() refuses it. */
TernLlm *tern_llm_plan (TernGguf *file, const TernKernels *kernels, GError **error);
TernLlm *tern_llm_ref (TernLlm *llm);
void tern_llm_unref (TernLlm *llm);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (TernLlm, tern_llm_unref)

const TernLlmInfo *tern_llm_info (const TernLlm *llm);
TernGguf *tern_llm_file (const TernLlm *llm);   /* borrowed */

/* How keys and values are stored: per value 4 bytes, 2, or 1 and a scale for each head's row. AUTO: F32 for up to 1024
 * tokens of context, whose cache is small beside everything else, and with float activations; else F16. Rounding to F16
 * costs an NMSE of 1e-8 in the logits by itself, but behind int8 activations it moves some over a rounding step, as
 * much as 5e-4 in random models: short prompts keep the exact rule. */
typedef enum {
  TERN_KV_AUTO,
  TERN_KV_F32,
  TERN_KV_F16,
  TERN_KV_INT8,
} TernKvType;

/* "auto", "f32", "f16", "int8"; FALSE: @name is none of them. */
const char *tern_kv_name (TernKvType type);
gboolean tern_kv_parse (const char *name, TernKvType *type);

typedef struct {
  guint context;                /* tokens to hold; 0 = the model's own */
  guint batch;                  /* rows computed at once in prefill; 0 = 128, fewer for wide models (cancelling) */
  TernActivations activations;
  TernKvType kv;
} TernLlmStateParams;

/* What opening makes of the matrices that do not run from the map, in bytes. */
typedef struct {
  gsize source;                 /* in the file: read once and given back */
  gsize largest;                /* the most of one matrix: what is held for a moment */
  gsize packed;                 /* what they become, owned */
} TernLlmRepack;

/* For `tern inspect`, from a plan or an open model: bytes of a state with these parameters, of what it reserves in the
 * scratch of each worker of its pool, and of the weights that are not in the map (repacked matrices, vectors). */
gsize tern_llm_state_bytes (const TernLlm *llm, const TernLlmStateParams *params);
gsize tern_llm_scratch_bytes (const TernLlm *llm, const TernLlmStateParams *params);
gsize tern_llm_owned_bytes (const TernLlm *llm);
TernLlmRepack tern_llm_repack (const TernLlm *llm);
/* What AUTO means with these parameters. */
TernKvType tern_llm_kv_type (const TernLlm *llm, const TernLlmStateParams *params);

/* One thread at a time. @pool is borrowed and must outlive the state. All memory is taken here; eval allocates
 * nothing. */
TernLlmState *tern_llm_state_new (TernLlm *llm, const TernLlmStateParams *params, TernPool *pool, GError **error);
void tern_llm_state_free (TernLlmState *state);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (TernLlmState, tern_llm_state_free)

void tern_llm_state_reset (TernLlmState *state);
guint tern_llm_state_pos (const TernLlmState *state);           /* tokens held */
guint tern_llm_state_context (const TernLlmState *state);
TernKvType tern_llm_state_kv (const TernLlmState *state);       /* never AUTO */

/* Borrowed; asked during single-token evals only. NULL: attend to everything. */
void tern_llm_state_set_policy (TernLlmState *state, const TernKeyPolicy *policy);
const TernKeyPolicy *tern_llm_state_policy (const TernLlmState *state);

/* Makes @dst (same llm, same parameters) a copy of @src, whose first @from positions @dst is known to hold already
 * (0 copies all). For beam search: the prompt is copied once. */
void tern_llm_state_copy (TernLlmState *dst, const TernLlmState *src, guint from);

/* The embedding rows [n, width] of @ids, each < n_vocab, @ld apart: what eval makes of ids, for prompts that mix them
 * with visual tokens in one input. */
void tern_llm_embed (const TernLlm *llm, const gint32 *ids, guint n, float *rows, gsize ld);

/* Exactly one of ids and rows: token ids, or embedding rows (visual tokens) of the model's width. */
typedef struct {
  const gint32 *ids;            /* [n], each < n_vocab */
  const float *rows;            /* [n, width], ld apart */
  gsize ld;
  guint n;
} TernLlmInput;

typedef enum {
  TERN_LOGITS_NONE,
  TERN_LOGITS_LAST,             /* [n_vocab] */
  TERN_LOGITS_ALL,              /* [n, n_vocab] */
} TernLogits;

/* Appends @input to the timeline. Positions are consecutive. @cancel is looked at per layer and chunk; after CANCELLED
 * the state must be reset. Other errors: NO_SPACE (context full: nothing was changed), INVALID (an id out of range). */
gboolean tern_llm_eval (TernLlmState *state, const TernLlmInput *input, TernLogits want, float *logits,
    TernCancel *cancel, GError **error);

/* Debugging taps, borrowed views into the caches: K after norm and RoPE (in halves where the file has pairs, see
 * rope.h) and V [kv heads, context, head_dim] of an attention layer, in KV type F32 alone; conv state [l_cache - 1,
 * width] oldest first of a short-conv layer. NULL for the wrong kind. */
const float *tern_llm_state_keys (const TernLlmState *state, guint layer);
const float *tern_llm_state_values (const TernLlmState *state, guint layer);
const float *tern_llm_state_conv (const TernLlmState *state, guint layer);
/* Called with the residual stream [n, width] after each layer (layer = n_layers: after the final norm). */
typedef void (*TernLlmTap) (void *data, guint layer, const float *rows, guint n);
void tern_llm_state_set_tap (TernLlmState *state, TernLlmTap tap, void *data);

G_END_DECLS
