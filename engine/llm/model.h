/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Inside of the language model: what llm.c, timeline.c, pass.c, the families (arch/) and the blocks (blocks/) share.
 *
 * A model is an embedding, layers, a last norm and a head. A layer is two residual branches,
 *
 *   h += mixer (rms (h) * mixer_norm)         attention or short convolution
 *   h += ffn (rms (h) * ffn_norm)
 *
 * and each branch is a TernBlock. A family (one file in arch/) reads its keys, checks them and puts blocks together;
 * the forward pass in pass.c does not know families. */
#pragma once

#include "engine/base/mem.h"
#include "engine/llm/llm.h"
#include "engine/llm/pages.h"
#include "engine/llm/pass.h"
#include "engine/llm/rope.h"
#include "engine/weights/packing.h"

G_BEGIN_DECLS

typedef struct _TernBlock TernBlock;

typedef void (*TernLinearFunc) (TernLinear *linear, void *data);

typedef struct {
  const char *name;
  /* All that is not a linear; these are cleared before. */
  void (*free) (TernBlock *block);
  /* Calls @func with every linear. */
  void (*linears) (TernBlock *block, TernLinearFunc func, void *data);
  gboolean in_turn;             /* eval runs them all, in this order */
  /* Bytes owned beside the linears; NULL: none. */
  gsize (*owned) (const TernBlock *block);

  /* What one timeline remembers, in bytes; NULL: nothing. By position: a page of TERN_PAGE_ROWS of them. And whatever is
   * not by position, which is zero at first. The pass says where: tern_pass_page_at(), tern_pass_state(). */
  gsize (*page) (const TernBlock *block, TernKvType kv);
  gsize (*state) (const TernBlock *block);

  /* Floats that eval takes from the pass for chunks of @n rows, and bytes of every worker's scratch beside what the
   * linears need; NULL: none. */
  void (*work) (const TernBlock *block, TernArena *arena, guint n, guint context);
  gsize (*worker) (const TernBlock *block, guint n, guint context);

  /* y [n, width] = block (x [n, width]). FALSE: cancelled. */
  gboolean (*eval) (const TernBlock *block, TernPass *pass, const float *x, float *y);
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
  TernPacking *packing;         /* what the linears' packed forms lie in */
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

/* Where a layer's two blocks keep what they remember, in a page and in a state. */
typedef struct {
  gsize mixer_page, ffn_page, mixer_state, ffn_state;
} TernLayerPlace;

struct _TernStore {
  gatomicrefcount ref_count;
  TernLlm *llm;
  TernKvType kv;
  guint context, n_timelines, max_timelines;
  guint n_trail, max_trail;     /* states that trails hold, and may hold */
  TernPages pages;              /* of TERN_PAGE_ROWS positions of all layers */
  TernPages states;             /* of all layers */
  TernLayerPlace *places;       /* [n_layers] */
};

struct _TernTimeline {
  TernStore *store;
  TernPageTable table;
  guint32 state;                /* of store->states; TERN_NO_PAGE: zeros */
  guint32 trail[TERN_GUESS_MAX];        /* [n_trail] states after each row but the last of the decode segment read last */
  guint n_trail;
  const TernKeyPolicy *policy;
  gboolean torn;
};

/* Makes room for @n rows more, and the state one that is written to alone. @trail: the states after all but the last of them
 * will be remembered. */
gboolean tern_timeline_extend (TernTimeline *timeline, guint n, gboolean trail, GError **error);
void tern_timeline_forget_trail (TernTimeline *timeline);

/* A segment with its place in the pass. */
typedef struct {
  TernSegment segment;
  guint first, pos;             /* row of the pass; position in the timeline */
} TernPassSegment;

/* Rows on their way through the layers. */
struct _TernPass {
  TernLlm *llm;
  const TernKernels *kernels;
  TernPool *pool;
  TernActivations mode;
  TernCancel *cancel;           /* of all segments */
  const TernRope *rope;
  guint context, capacity, head_batch;
  gboolean round;               /* inputs of linears, see tern_block_round() */
  TernLlmTap tap;
  void *tap_data;
  void *memory;                 /* what everything below points into */
  TernPassSegment *segments;    /* [capacity] */
  TernCancel **cancels;         /* [capacity] */
  guint32 *segment_of;          /* [capacity] of each row */
  float *h, *x, *y;             /* [capacity, width] residual stream, normalised, block output */
  float *angles;                /* [capacity, rope->dim] cosines and sines of the rows' positions */
  void *input;                  /* tern_linear_input_bytes() for any linear of the model */
  float *mean;                  /* [context] softmax weights, mean over heads */
  guint8 *work_memory;
  TernArena work;               /* carved by the block that runs */
  TernCancel all;
  /* This pass: */
  guint n, n_decode, n_segments;        /* rows, of which those of decode segments come first */
  guint layer;
  gboolean in_ffn;              /* of the layer's blocks, the second one runs */
};

static inline const TernPassSegment *
tern_pass_segment_of (const TernPass *pass, guint row)
{
  return &pass->segments[pass->segment_of[row]];
}

static inline guint
tern_pass_pos (const TernPass *pass, guint row)
{
  const TernPassSegment *segment = tern_pass_segment_of (pass, row);

  return segment->pos + row - segment->first;
}

/* Of the running block: where @timeline's states lie. */
void *tern_pass_state (const TernPass *pass, const TernTimeline *timeline);
/* ... and where they are kept as they are after row @row of @segment; NULL: nowhere. */
void *tern_pass_trail (const TernPass *pass, const TernPassSegment *segment, guint row);
/* Of the running block: where its part of a page begins. */
gsize tern_pass_page_at (const TernPass *pass, const TernTimeline *timeline);

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
