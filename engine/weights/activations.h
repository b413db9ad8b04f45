/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* BitNet's forms: how the inputs of a model's linears are rounded, and what its weights are. A file names its form in the key
 * tern.activations; a file without it is int8's. Embedding and head are no linears of these papers and stay as they are.
 *
 *   int8    b1.58 (arXiv:2402.17764): ternary weights, 8 bits by the largest magnitude of a token
 *   w1a8    BitNet (arXiv:2310.11453), its binarised weights: sign (W - mean W), +1 or -1, times mean |W|; activations as
 *           int8. (The paper's range is +-128, cut off a little below; like the authors' later code we take 127.)
 *   a4.8    arXiv:2411.04965, its mixed rounding: 4 bits by the mean magnitude into attention's and the feed-forward's first
 *           matrices (quant_i4, kernels.h); before attention's last one the half of largest magnitude alone, in 8 bits; before the
 *           feed-forward's last one 8 bits, of which a squared ReLU leaves few
 *   v2      arXiv:2504.18415, its native 4 bits: by the mean magnitude everywhere; what goes into the last matrix of attention
 *           and of the feed-forward is turned before (H-BitLinear): x' = H x, as rotation.h has it without signs
 *   v2-a8   v2's first stage: the same in 8 bits by the largest magnitude
 *
 * The last matrix of a short convolution counts as attention's. H is of the whole width, a power of two, as in the paper; where the
 * key tern.activations.block (or the text "v2:BLOCK") says so, of each block of it.
 *
 * A form can also be forced on a file that was not made for it, to see what it costs: its weights are then brought to signs
 * (w1a8), or the rounded rows are turned back for them, on floats (v2). Not here: 3-bit keys and values (a4.8), FP4. */
#pragma once

#include "engine/weights/linear.h"

G_BEGIN_DECLS

typedef enum {
  TERN_POLICY_FILE,             /* what the file says */
  TERN_POLICY_INT8,
  TERN_POLICY_W1A8,
  TERN_POLICY_A4_8,
  TERN_POLICY_V2,
  TERN_POLICY_V2_A8,
} TernPolicyKind;

typedef struct {
  TernPolicyKind kind;
  guint block;                  /* of v2 and v2-a8: a power of two; 0: the width */
} TernActivationPolicy;

#define TERN_POLICY_KEY "tern.activations"
#define TERN_POLICY_BLOCK_KEY TERN_POLICY_KEY ".block"
#define TERN_POLICY_NAMES "int8, w1a8, a4.8, v2 or v2-a8"

/* The name alone: "v2". Of TERN_POLICY_FILE "". */
const char *tern_policy_name (TernPolicyKind kind);
/* "int8", "v2", "v2:128". INVALID says what was expected. */
gboolean tern_policy_parse (const char *text, TernActivationPolicy *policy, GError **error);

/* A policy on its way into a model: what linears borrow of it. */
typedef struct _TernPolicyBinding TernPolicyBinding;

/* @file's own policy, or @forced on it (NULL, or of kind FILE: not forced). FORMAT or UNSUPPORTED names the
 * key. */
TernPolicyBinding *tern_policy_binding_new (const TernGguf *file, const TernActivationPolicy *forced, GError **error);
/* After the linears. NULL-safe. */
void tern_policy_binding_free (TernPolicyBinding *binding);
const TernActivationPolicy *tern_policy_binding_policy (const TernPolicyBinding *binding);
/* Whether the weights are brought to another form than the file's (w1a8, forced). */
gboolean tern_policy_binding_changes_weights (const TernPolicyBinding *binding);
/* Tells @linear, of a layer, not packed yet, rotations bound. FORMAT or UNSUPPORTED: a width that is no whole number of blocks, a
 * matrix that prism.hadamard.* turns too, or one that cannot take the form. */
gboolean tern_policy_bind (TernPolicyBinding *binding, TernLinear *linear, GError **error);
/* The same where the weights must be looked at: FORMAT where a file of w1a8 has another value than -s and +s. Reads them once. */
gboolean tern_policy_check_weights (const TernPolicyBinding *binding, const TernLinear *linear, TernPool *pool, GError **error);

/* Leaves the @keep values of largest magnitude of @x as they are, of equal ones the first, and makes the others 0. */
void tern_keep_top (float *x, gsize n, gsize keep);

G_END_DECLS
