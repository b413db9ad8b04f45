/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The blocks that layers are made of. Each constructor asks its source for all the tensors that it can use and goes
 * without those that the family does not have; the caller has checked the numbers. */
#pragma once

#include "engine/llm/model.h"
#include "engine/llm/tensors.h"

G_BEGIN_DECLS

void tern_block_free (TernBlock *block);        /* NULL and half-built ones too */
/* y = x W^T + bias for the rows of @input; @bias may be NULL. FALSE: cancelled before. */
gboolean tern_block_run (TernPass *pass, const TernLinear *linear, const float *bias, TernLinearInput *input, float *y);
/* The same for several linears, whose `beside` say so, in one run; with @then (or NULL), whose `in_step` say so too. */
gboolean tern_block_run_beside (TernPass *pass, const TernLinearProduct *products, guint n, TernLinearInput *input,
    TernPoolFunc then, void *then_data);
void tern_block_input (TernPass *pass, TernLinearInput *input, const float *x, guint cols);
/* Where the model asks for it: rounds a row to the 8 bits that BitNet's linears take (arXiv:2402.17764 eq. 4), for
 * those whose weights are not stored as ternary. What is ternary quantises its input itself, to the same values. */
void tern_block_round (const TernPass *pass, float *x, guint cols);
/* Pool for work of about @flops; NULL (the caller alone) when waking the others costs more. */
TernPool *tern_block_pool (const TernPass *pass, gsize flops);

/* Grouped-query attention over a cache: attn_q, attn_k, attn_v and attn_output (weight, bias), or attn_qkv for three of
 * them; attn_q_norm and attn_k_norm of each head before it turns; attn_sub_norm before attn_output. */
typedef struct {
  guint width;
  guint n_heads, n_kv, head_dim;        /* n_heads is a multiple of n_kv */
  float eps;                    /* of its norms */
  /* What a head gives is multiplied by sigmoid of a gate (arXiv:2505.06708): attn_q has, for every head, as many rows for it
   * behind those of the query. */
  gboolean gated;
  float scale;                  /* of q . k; 0: 1 / sqrt (head_dim) */
} TernAttentionParams;

TernBlock *tern_attention_new (const TernBlockSource *source, const TernAttentionParams *params, GError **error);
/* A row of @timeline's cache in the part of its pages that begins at @at; NULL for no block, and where tern_timeline_key() says
 * so. */
const float *tern_attention_row (const TernBlock *block, const TernTimeline *timeline, gsize at, gboolean value, guint head,
    guint pos);

/* LFM2's gated short convolution: shortconv.in_proj, shortconv.conv, shortconv.out_proj. */
typedef struct {
  guint width;
  guint taps;                   /* >= 1 */
} TernShortconvParams;

TernBlock *tern_shortconv_new (const TernBlockSource *source, const TernShortconvParams *params, GError **error);

/* Gated DeltaNet: attn_qkv, attn_gate, ssm_alpha, ssm_beta, ssm_conv1d, ssm_dt, ssm_a, ssm_norm, ssm_out. What it remembers:
 * "conv" [taps - 1, channels], "delta" [value_heads, head_dim (keys), head_dim (values)]. */
typedef struct {
  guint width;
  guint key_heads, value_heads; /* the latter a multiple of the former */
  guint head_dim;               /* of both; value_heads * head_dim is at most 2^24 */
  guint taps;                   /* >= 1 */
  float eps;                    /* of the output's norm */
} TernGatedDeltaParams;

TernBlock *tern_gated_delta_new (const TernBlockSource *source, const TernGatedDeltaParams *params, GError **error);

/* down (norm (act (gate x) * up x)): ffn_gate, ffn_up, ffn_down (weight, bias), ffn_sub_norm. Without a gate down (norm (act
 * (up x))). The shared one of experts: ffn_gate_shexp, ffn_up_shexp, ffn_down_shexp (weight); with
 * ffn_gate_inp_shexp, a vector, its output counts sigmoid (vector . x) times. */
typedef enum {
  TERN_GATE_SILU,
  TERN_GATE_RELU2,              /* max (x, 0)^2 */
} TernGate;

typedef struct {
  guint width, inner;
  TernGate gate;
  float eps;                    /* of its norm */
  gboolean shared;
} TernFfnParams;

TernBlock *tern_ffn_new (const TernBlockSource *source, const TernFfnParams *params, GError **error);

/* Feed-forward blocks of which every row uses a few: ffn_gate_inp, exp_probs_b, ffn_gate_exps (none: act (up x) alone),
 * ffn_up_exps, ffn_down_exps; ffn_latent_down and ffn_latent_up around them. */
typedef enum {
  TERN_ROUTER_SIGMOID,          /* weights sigmoid (logit) */
  TERN_ROUTER_SOFTMAX,          /* over all experts */
  TERN_ROUTER_SOFTMAX_CHOSEN,   /* over those that are used */
} TernRouter;

typedef struct {
  guint width, inner;           /* at most 2^20 each */
  guint latent;                 /* what experts see and make instead of the width; 0: the width */
  guint n_experts;              /* 1 to TERN_MOE_MAX_EXPERTS */
  guint n_used;                 /* by a row: 1 to n_experts */
  /* A row first chooses n_groups_used of n_groups (0: 1), as many experts each, by the two largest scores in each
   * (arXiv:2412.19437); then experts of these alone, which are n_used or more. */
  guint n_groups, n_groups_used;
  TernRouter router;
  TernGate gate;
  gboolean normalise;           /* a row's weights sum to 1 before they are scaled */
  float least;                  /* added to that sum, as the released models do */
  float scale;
} TernMoeParams;

#define TERN_MOE_MAX_EXPERTS 1024

TernBlock *tern_moe_new (const TernBlockSource *source, const TernMoeParams *params, GError **error);

/* Mamba-1: ssm_in, ssm_conv1d (weight, bias), ssm_x, ssm_dt (weight, bias), ssm_a, ssm_d, ssm_out; ssm_dt_norm, ssm_b_norm,
 * ssm_c_norm. Its state: "conv" [taps - 1, inner], "ssm" [states, inner]. */
typedef struct {
  guint width, inner, states, rank;
  guint taps;                   /* >= 1 */
  gboolean norms;               /* of the step, B and C, where they have no weights */
  float eps;                    /* of these */
} TernMamba1Params;

TernBlock *tern_mamba1_new (const TernBlockSource *source, const TernMamba1Params *params, GError **error);

/* Mamba-2: ssm_in, ssm_conv1d (weight, bias), ssm_dt (bias), ssm_a, ssm_d, ssm_norm, ssm_out. Its state: "conv" [taps - 1,
 * heads * channels + 2 groups * states], "ssm" [heads, states, channels]. */
typedef struct {
  guint width;
  guint heads, channels;        /* of each head */
  guint groups, states;         /* groups: a divisor of heads */
  guint taps;                   /* >= 1 */
  float eps;                    /* of its norm */
} TernMamba2Params;

TernBlock *tern_mamba2_new (const TernBlockSource *source, const TernMamba2Params *params, GError **error);

/* y = first (x) + second (x); takes both. What is remembered by position is @first's, recurrent states are @second's. NULL when one
 * of them is. */
TernBlock *tern_pair_new (TernBlock *first, TernBlock *second, guint width);
/* The first one of a pair, or @block itself, which may be NULL. */
const TernBlock *tern_pair_first (const TernBlock *block);

G_END_DECLS
