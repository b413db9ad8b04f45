/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Inside of the language model: what llm.c, timeline.c, pass.c, the families (arch/) and the blocks (blocks/) share.
 *
 * A model is an embedding, layers, a last norm and a head. A layer is two residual branches,
 *
 *   h += mixer (rms (h) * mixer_norm)         attention, short convolution, state space
 *   h += ffn (rms (h) * ffn_norm)
 *
 * and each branch is a TernBlock; a layer may have one of them alone. A family (one file in arch/) reads its keys, checks
 * them and puts blocks together; the forward pass in pass.c does not know families. */
#pragma once

#include "engine/base/mem.h"
#include "engine/llm/llm.h"
#include "engine/llm/pages.h"
#include "engine/llm/pass.h"
#include "engine/llm/rope.h"
#include "engine/weights/packing.h"
#include "engine/weights/rotation.h"

G_BEGIN_DECLS

typedef struct _TernBlock TernBlock;

typedef void (*TernLinearFunc) (TernLinear *linear, void *data);
typedef void (*TernBlockFunc) (TernBlock *block, void *data);

/* A part of a recurrent state: @rows times @cols floats, one after the other, aligned to TERN_ALIGN, zero before the first
 * token. Sizes come from files: whatever they are, nothing overflows before tern_decoder_load() has refused it. */
typedef struct {
  const char *name;             /* for tern_timeline_state(): "conv", "delta" */
  guint rows, cols;
} TernStatePart;

#define TERN_STATE_PARTS 4
/* Most of all layers' states together: a key that asks for more is wrong. The largest published ones take 150 MiB. */
#define TERN_STATE_MAX (G_GUINT64_CONSTANT (4) << 30)

typedef struct {
  const char *name;
  /* All that is not a linear; these are cleared before. */
  void (*free) (TernBlock *block);
  /* Calls @func with every linear. */
  void (*linears) (TernBlock *block, TernLinearFunc func, void *data);
  gboolean in_turn;             /* eval runs them all, in this order */
  /* Rows of prompts that are summed together, as TernLlmInfo.chunk has it; NULL: each by itself. */
  guint (*chunk) (const TernBlock *block);
  gboolean rounds;              /* policies of activations are about such blocks: their linears read inputs of their own */
  /* Bytes owned beside the linears; NULL: none. */
  gsize (*owned) (const TernBlock *block);

  /* What one timeline remembers; NULL: nothing. By position: bytes of a page of TERN_PAGE_ROWS of them. And whatever is not
   * by position, of one size however long the text is: its @parts, whose number is returned, at most TERN_STATE_PARTS. The
   * pass says where: tern_pass_page_at(), tern_pass_step(). */
  gsize (*page) (const TernBlock *block, TernKvType kv);
  guint (*state) (const TernBlock *block, TernStatePart *parts);

  /* Floats that eval takes from the pass for chunks of @n rows, and bytes of every worker's scratch beside what the
   * linears need; NULL: none. */
  void (*work) (const TernBlock *block, TernArena *arena, guint n, guint context);
  gsize (*worker) (const TernBlock *block, guint n, guint context);

  /* y [n, width] = block (x [n, width]). FALSE: cancelled. */
  gboolean (*eval) (const TernBlock *block, TernPass *pass, const float *x, float *y);

  /* For rows whose output nobody needs. How many rows before those whose output is asked for, and behind the last one, eval has
   * to see for these and for what is remembered (so that it may not see earlier ones at all: what it puts out for the rows that it
   * has no past of is not looked at). NULL: all of them. */
  guint (*before) (const TernBlock *block);
  /* What eval remembers of the rows, without its output; eval may come over some of them again. FALSE: cancelled. NULL: eval alone
   * does it. */
  gboolean (*remember) (const TernBlock *block, TernPass *pass, const float *x);
} TernBlockClass;

struct _TernBlock {
  const TernBlockClass *klass;
};

typedef struct {
  float *mixer_norm;            /* [width] */
  TernBlock *mixer;             /* NULL: none */
  float *ffn_norm;              /* [width] */
  TernBlock *ffn;               /* NULL: none */
  /* Of a segment, so many rows before those that are asked about are needed behind the mixer, and before the layer; G_MAXUINT: all.
   * The rest leaves the pass there. */
  guint needed_behind, needed_before;
} TernLayer;

/* Of @n rows, the last @asked of which are asked about, those that are needed where these and @more before them are. Costs
 * are reckoned with averages, which are no integers; integers stay exact. */
static inline double
tern_needed_rows (double n, double asked, double more)
{
  return MIN (n, asked + more);
}

struct _TernLlm {
  gatomicrefcount ref_count;
  TernGguf *file;
  TernPacking *packing;         /* what the linears' packed forms lie in */
  TernRotations *rotations;     /* NULL: none of its matrices is rotated */
  TernPolicyBinding *policy;    /* how inputs of the layers' linears are rounded */
  const TernKernels *kernels;
  TernLlmInfo info;
  char *name;
  guint8 *is_attention;         /* [n_layers] */
  float eps;
  float embedding_scale;        /* embeddings are multiplied by it */
  float residual_scale;         /* ... and what a block adds, */
  float logit_scale;            /* ... and logits */
  TernRope rope;
  TernLayer *layers;            /* [n_layers] */
  TernLinear embedding;         /* [n_vocab, width] */
  float *final_norm;            /* [width] */
  TernLinear output;            /* [n_vocab, width]; unused when tied */
  gboolean tied;
  gboolean bit_linear;          /* the layers' linears are BitNet's: they take activations of 8 bits, one scale a row */
  gboolean rounds;              /* and not all of them do so by themselves, nor does a policy say so of each */
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
  guint place;                  /* of the next row of text */
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
  guint place;                  /* the timeline's before */
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
  guint chunk;                  /* tern_pass_chunk() */
  gboolean round;               /* inputs of linears, see tern_block_round() */
  TernLlmTap tap;
  void *tap_data;
  void *memory;                 /* what everything below points into */
  TernPassSegment *segments;    /* [capacity] */
  TernPassSegment *staying;     /* [capacity] segments with the rows that have not left; `segments` while there are such */
  TernCancel **cancels;         /* [capacity] */
  guint32 *segment_of;          /* [capacity] of each row */
  const float **slices;         /* [capacity] what is added to it behind the first layers, or NULL; NULL: the model has none */
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

/* A step of a recurrent state, a part of it: read as it is before a row, written as it is after it. The same place, but for
 * guesses (segments whose rows may be taken back): what is between them lies beside the state, and a block that reads from
 * one place and writes all of the other copies nothing. */
typedef struct {
  const float *from;
  float *to;
} TernStateStep;

/* Of the running block: part @part over row @row of @segment, whose rows come one after the other. Segments that are no
 * decode segments have one place for all their rows, so that a block may go over many of them at once. */
TernStateStep tern_pass_step (const TernPass *pass, const TernPassSegment *segment, guint row, guint part);
/* Of the running block: where its part of a page begins. */
gsize tern_pass_page_at (const TernPass *pass, const TernTimeline *timeline);

/* Calls @func with every linear of the model; with every block of its layers, in the order of a pass. */
void tern_llm_each_linear (const TernLlm *llm, TernLinearFunc func, void *data);
void tern_llm_each_block (const TernLlm *llm, TernBlockFunc func, void *data);

/* Parts of the state of @block, which may be NULL, and bytes of the first @n of them; saturates. */
guint tern_block_state (const TernBlock *block, TernStatePart parts[TERN_STATE_PARTS]);
gsize tern_state_bytes (const TernStatePart *parts, guint n);

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
