/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The blocks that layers are made of. Each constructor binds its tensors by name and exact shape; the caller has
 * checked the numbers themselves. */
#pragma once

#include "engine/llm/model.h"

G_BEGIN_DECLS

/* Where a block's tensors are. */
typedef struct {
  const TernGguf *file;
  const TernKernels *kernels;
  guint layer;
} TernBlockSource;

/* blk.<layer>.<name>, bound as a linear or loaded as floats. */
gboolean tern_block_linear (const TernBlockSource *source, TernLinear *linear, const char *name, guint cols, guint rows,
    GError **error);
float *tern_block_vector (const TernBlockSource *source, const char *name, guint n, GError **error);
/* blk.<layer>.<name> is in the file. */
gboolean tern_block_has (const TernBlockSource *source, const char *name);

void tern_block_free (TernBlock *block);        /* NULL and half-built ones too */
/* y = x W^T for the rows of @input. FALSE: cancelled before or after. */
gboolean tern_block_run (TernPass *pass, const TernLinear *linear, TernLinearInput *input, float *y);
void tern_block_input (TernPass *pass, TernLinearInput *input, const float *x, guint cols);
/* Pool for work of about @flops; NULL (the caller alone) when waking the others costs more. */
TernPool *tern_block_pool (const TernPass *pass, gsize flops);

/* Grouped-query attention over a cache. */
typedef struct {
  guint width;
  guint n_heads, n_kv, head_dim;        /* n_heads is a multiple of n_kv */
  float eps;
  gboolean qk_norm;             /* RMS norm of each q and k head before RoPE */
} TernAttentionParams;

TernBlock *tern_attention_new (const TernBlockSource *source, const TernAttentionParams *params, GError **error);
const float *tern_attention_keys (const TernBlock *block, const void *state);
const float *tern_attention_values (const TernBlock *block, const void *state);

/* LFM2's gated short convolution. */
typedef struct {
  guint width;
  guint taps;                   /* >= 1 */
} TernShortconvParams;

TernBlock *tern_shortconv_new (const TernBlockSource *source, const TernShortconvParams *params, GError **error);
const float *tern_shortconv_state (const TernBlock *block, const void *state);

/* down (silu (gate x) * up x). */
typedef struct {
  guint width, inner;
} TernFfnParams;

TernBlock *tern_ffn_new (const TernBlockSource *source, const TernFfnParams *params, GError **error);

G_END_DECLS
