/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Inside of the language model: what llm.c, state.c, the families (arch/) and the blocks (blocks/) share.
 *
 * A model is an embedding, layers, a last norm and a head. A layer is two residual branches,
 *
 *   h += mixer (rms (h) * mixer_norm)         attention or short convolution
 *   h += ffn (rms (h) * ffn_norm)
 *
 * and each branch is a TernBlock. A family (one file in arch/) reads its keys, checks them and puts blocks together;
 * the forward pass in state.c does not know families. */
#pragma once

#include "engine/base/mem.h"
#include "engine/llm/llm.h"
#include "engine/llm/rope.h"

G_BEGIN_DECLS

typedef struct _TernBlock TernBlock;
typedef struct _TernPass TernPass;

typedef void (*TernLinearFunc) (TernLinear *linear, void *data);

typedef struct {
  const char *name;
  /* All that is not a linear; these are cleared before. */
  void (*free) (TernBlock *block);
  /* Calls @func with every linear. */
  void (*linears) (TernBlock *block, TernLinearFunc func, void *data);
  /* Bytes owned beside the linears; NULL: none. */
  gsize (*owned) (const TernBlock *block);

  /* What one timeline remembers. Called twice (counting, carving); NULL: nothing. The memory is zero at first. */
  void *(*state) (const TernBlock *block, TernArena *arena, guint context, TernKvType kv);
  void (*reset) (const TernBlock *block, void *state);
  /* Positions [from, to), and whatever is not by position. */
  void (*copy) (const TernBlock *block, void *dst, const void *src, guint from, guint to);

  /* Floats that eval takes from the pass for chunks of @n rows, and bytes of every worker's scratch beside what the
   * linears need; NULL: none. */
  void (*work) (const TernBlock *block, TernArena *arena, guint n, guint context);
  gsize (*worker) (const TernBlock *block, guint n, guint context);

  /* y [n, width] = block (x [n, width]). FALSE: cancelled. */
  gboolean (*eval) (const TernBlock *block, TernPass *pass, void *state, const float *x, float *y);
} TernBlockClass;

struct _TernBlock {
  const TernBlockClass *klass;
};

typedef struct {
  float *mixer_norm;            /* [width] */
  TernBlock *mixer;
  float *ffn_norm;              /* [width] */
  TernBlock *ffn;
} TernLayer;

struct _TernLlm {
  gatomicrefcount ref_count;
  TernGguf *file;
  const TernKernels *kernels;
  TernLlmInfo info;
  char *name;
  guint8 *is_attention;         /* [n_layers] */
  float eps;
  TernRope rope;
  TernLayer *layers;            /* [n_layers] */
  TernLinear embedding;         /* [n_vocab, width] */
  float *final_norm;            /* [width] */
  TernLinear output;            /* [n_vocab, width]; unused when tied */
  gboolean tied;
  gboolean bit_linear;          /* the layers' linears are BitNet's: they take activations of 8 bits, one scale a row */
  gboolean rounds;              /* and not all of them do so by themselves */
  gboolean usable;              /* opened, not planned alone */
};

/* One chunk of rows on its way through the layers. */
struct _TernPass {
  const TernKernels *kernels;
  TernPool *pool;
  TernActivations mode;
  TernCancel *cancel;
  const TernRope *rope;
  const float *angles;          /* [n, rope->dim] cosines and sines of the rows' positions */
  guint n, pos;                 /* rows, position of the first one */
  guint layer;
  gboolean round;               /* inputs of linears, see tern_block_round() */
  guint context;
  void *input;                  /* tern_linear_input_bytes() for any linear of the model */
  TernArena work;               /* carved by the block that runs */
  /* One new token: */
  gboolean decode;
  float *mean;                  /* [context] softmax weights, mean over heads */
  const TernKeyPolicy *policy;
};

/* Calls @func with every linear of the model. */
void tern_llm_each_linear (const TernLlm *llm, TernLinearFunc func, void *data);

static inline const TernLinear *
tern_llm_head (const TernLlm *llm)
{
  return llm->tied ? &llm->embedding : &llm->output;
}

/* FALSE: cancelled, leave. */
static inline gboolean
tern_pass_goes_on (const TernPass *pass)
{
  return !tern_cancel_is_raised (pass->cancel);
}

G_END_DECLS
