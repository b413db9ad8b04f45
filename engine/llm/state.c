/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One timeline: memory planned once, and the forward pass that appends rows to it. */
#include <string.h>

#include "tern/error.h"
#include "engine/llm/blocks/blocks.h"
#include "engine/llm/model.h"

#define FLOAT_CONTEXT 1024      /* tokens that are kept as floats unless asked otherwise: see llm.h */
#define BATCH 128               /* default rows of a chunk */
/* Multiply-adds that one product holds at most: some 50 ms on two cores with 256-bit integer kernels. It decides how many
 * rows go through the layers at once, and is the same on every machine, as the results are. Cancelling is looked at
 * between slices of a product (engine/base/slice.h). */
#define CHUNK_OPS (G_GUINT64_CONSTANT (1) << 31)

struct _TernLlmState {
  TernLlm *llm;
  TernPool *pool;
  TernActivations mode;
  TernKvType kv;
  const TernKeyPolicy *policy;
  TernLlmTap tap;
  void *tap_data;
  void *memory;                 /* what everything below points into */
  guint context, batch, head_batch;
  guint pos;
  gboolean torn;                /* an eval was cancelled half way */
  void **mixer, **ffn;          /* [n_layers] state of each block */
  float *h, *x, *y;             /* [batch, width] residual stream, normalised, block output */
  float *angles;                /* [batch, rope dim] */
  void *input;
  float *mean;                  /* [context] */
  guint8 *work;                 /* the running block's */
};

/* What sizes a state, over all linears; the head is not in @weights, it has a batch of its own. */
typedef struct {
  const TernLlm *llm;
  guint64 weights;              /* most of one linear */
  guint cols;                   /* most input features */
  gsize scratch;                /* most bytes that one needs in a worker's scratch */
} Extent;

static void
extend (TernLinear *linear, void *data)
{
  Extent *extent = data;

  if (linear == tern_llm_head (extent->llm)) {
    extent->scratch = MAX (extent->scratch, tern_linear_scratch (linear));
  } else if (linear != &extent->llm->embedding) {       /* looked up, never multiplied */
    extent->weights = MAX (extent->weights, (guint64) linear->rows * linear->cols);
    extent->cols = MAX (extent->cols, linear->cols);
    extent->scratch = MAX (extent->scratch, tern_linear_scratch (linear));
  }
}

static Extent
extent (const TernLlm *llm)
{
  Extent found = { .llm = llm, .weights = 1, .cols = llm->info.width };

  tern_llm_each_linear (llm, extend, &found);
  return found;
}

/* Parameters with the defaults filled in. */
static void
resolve (TernLlmState *self, const TernLlm *llm, const TernLlmStateParams *params)
{
  guint64 head = (guint64) llm->info.width * llm->info.n_vocab;

  self->context = params->context ? params->context : llm->info.context;
  self->batch = params->batch ? params->batch : CLAMP (CHUNK_OPS / extent (llm).weights, 8, BATCH);
  self->batch = MIN (self->batch, self->context);
  self->head_batch = CLAMP (CHUNK_OPS / head, 1, self->batch);
  self->mode = params->activations;
  self->kv = params->kv;
  if (self->kv == TERN_KV_AUTO)
    self->kv = self->mode == TERN_ACTIVATIONS_F32 || self->context <= FLOAT_CONTEXT ? TERN_KV_F32 : TERN_KV_F16;
}

static void
plan_blocks (TernLlmState *self, const TernLlm *llm, TernArena *arena)
{
  guint n = llm->info.n_layers;
  void **mixer = tern_plan_take (arena, n, sizeof (void *), 1);
  void **ffn = tern_plan_take (arena, n, sizeof (void *), 1);

  for (guint i = 0; i < n; i++) {
    const TernLayer *layer = &llm->layers[i];
    void *m = layer->mixer->klass->state ? layer->mixer->klass->state (layer->mixer, arena, self->context, self->kv)
        : NULL;
    void *f = layer->ffn->klass->state ? layer->ffn->klass->state (layer->ffn, arena, self->context, self->kv) : NULL;

    if (arena->base) {
      mixer[i] = m;
      ffn[i] = f;
    }
  }
  self->mixer = mixer;
  self->ffn = ffn;
}

/* Blocks run one after the other: their work areas are one. */
static gsize
work_bytes (const TernLlmState *self, const TernLlm *llm)
{
  gsize bytes = 0;

  for (guint i = 0; i < llm->info.n_layers; i++) {
    TernArena mixer = { 0 }, ffn = { 0 };

    llm->layers[i].mixer->klass->work (llm->layers[i].mixer, &mixer, self->batch, self->context);
    llm->layers[i].ffn->klass->work (llm->layers[i].ffn, &ffn, self->batch, self->context);
    bytes = MAX (bytes, MAX (mixer.used, ffn.used));
  }
  return bytes;
}

static void
plan (TernLlmState *self, const TernLlm *llm, TernArena *arena)
{
  const TernLlmInfo *info = &llm->info;
  gsize rows = self->batch;

  plan_blocks (self, llm, arena);
  self->h = tern_plan_take (arena, rows, info->width, sizeof (float));
  self->x = tern_plan_take (arena, rows, info->width, sizeof (float));
  self->y = tern_plan_take (arena, rows, info->width, sizeof (float));
  self->angles = tern_plan_take (arena, rows, llm->rope.dim, sizeof (float));
  self->input = tern_plan_take (arena, 1, 1, tern_linear_input_bytes (self->batch, extent (llm).cols));
  self->mean = tern_plan_take (arena, 1, self->context, sizeof (float));
  self->work = tern_plan_take (arena, 1, 1, work_bytes (self, llm));
}

static gsize
block_worker (const TernLlmState *self, const TernBlock *block)
{
  return block->klass->worker ? block->klass->worker (block, self->batch, self->context) : 0;
}

static gsize
worker_bytes (const TernLlmState *self, const TernLlm *llm)
{
  gsize bytes = extent (llm).scratch;

  for (guint i = 0; i < llm->info.n_layers; i++) {
    bytes = MAX (bytes, block_worker (self, llm->layers[i].mixer));
    bytes = MAX (bytes, block_worker (self, llm->layers[i].ffn));
  }
  return bytes;
}

gsize
tern_llm_state_bytes (const TernLlm *llm, const TernLlmStateParams *params)
{
  TernLlmState self = { 0 };
  TernArena arena = { 0 };

  resolve (&self, llm, params);
  plan (&self, llm, &arena);
  return arena.used + sizeof self;
}

gsize
tern_llm_scratch_bytes (const TernLlm *llm, const TernLlmStateParams *params)
{
  TernLlmState self = { 0 };

  resolve (&self, llm, params);
  return worker_bytes (&self, llm);
}

TernKvType
tern_llm_kv_type (const TernLlm *llm, const TernLlmStateParams *params)
{
  TernLlmState self = { 0 };

  resolve (&self, llm, params);
  return self.kv;
}

TernLlmState *
tern_llm_state_new (TernLlm *llm, const TernLlmStateParams *params, TernPool *pool, GError **error)
{
  g_autoptr (TernLlmState) self = g_new0 (TernLlmState, 1);
  TernArena arena = { 0 };

  g_return_val_if_fail (pool && llm->usable, NULL);
  self->llm = tern_llm_ref (llm);
  self->pool = pool;
  if (params->context > llm->info.context) {
    g_set_error (error, TERN_ERROR, TERN_ERROR_INVALID, "context: expected at most %u tokens, which %s was made for, "
        "found %u", llm->info.context, tern_gguf_path (llm->file), params->context);
    return NULL;
  }
  resolve (self, llm, params);
  plan (self, llm, &arena);
  self->memory = tern_mem_alloc (arena.used, "caches of the language model", error);
  if (!self->memory)
    return NULL;
  arena = (TernArena) { .base = self->memory };
  plan (self, llm, &arena);
  if (!tern_pool_reserve (pool, worker_bytes (self, llm), error))
    return NULL;
  return g_steal_pointer (&self);
}

void
tern_llm_state_free (TernLlmState *self)
{
  if (!self)
    return;
  tern_mem_free (self->memory);
  tern_llm_unref (self->llm);
  g_free (self);
}

static void
reset_block (const TernBlock *block, void *state)
{
  if (block->klass->reset)
    block->klass->reset (block, state);
}

void
tern_llm_state_reset (TernLlmState *self)
{
  for (guint i = 0; i < self->llm->info.n_layers; i++) {
    reset_block (self->llm->layers[i].mixer, self->mixer[i]);
    reset_block (self->llm->layers[i].ffn, self->ffn[i]);
  }
  self->pos = 0;
  self->torn = FALSE;
}

guint
tern_llm_state_pos (const TernLlmState *self)
{
  return self->pos;
}

guint
tern_llm_state_context (const TernLlmState *self)
{
  return self->context;
}

TernKvType
tern_llm_state_kv (const TernLlmState *self)
{
  return self->kv;
}

void
tern_llm_state_set_policy (TernLlmState *self, const TernKeyPolicy *policy)
{
  self->policy = policy;
}

const TernKeyPolicy *
tern_llm_state_policy (const TernLlmState *self)
{
  return self->policy;
}

void
tern_llm_state_set_tap (TernLlmState *self, TernLlmTap tap, void *data)
{
  self->tap = tap;
  self->tap_data = data;
}

static void
copy_block (const TernBlock *block, void *dst, const void *src, guint from, guint to)
{
  if (block->klass->copy)
    block->klass->copy (block, dst, src, from, to);
}

void
tern_llm_state_copy (TernLlmState *dst, const TernLlmState *src, guint from)
{
  g_return_if_fail (dst->llm == src->llm && dst->context == src->context && dst->kv == src->kv);

  for (guint i = 0; i < src->llm->info.n_layers; i++) {
    copy_block (src->llm->layers[i].mixer, dst->mixer[i], src->mixer[i], from, src->pos);
    copy_block (src->llm->layers[i].ffn, dst->ffn[i], src->ffn[i], from, src->pos);
  }
  dst->pos = src->pos;
  dst->torn = src->torn;
}

const float *
tern_llm_state_keys (const TernLlmState *self, guint layer)
{
  return tern_attention_keys (self->llm->layers[layer].mixer, self->mixer[layer]);
}

const float *
tern_llm_state_values (const TernLlmState *self, guint layer)
{
  return tern_attention_values (self->llm->layers[layer].mixer, self->mixer[layer]);
}

const float *
tern_llm_state_conv (const TernLlmState *self, guint layer)
{
  return tern_shortconv_state (self->llm->layers[layer].mixer, self->mixer[layer]);
}

/* ---- The forward pass -------------------------------------------------------------------------------------------- */

typedef struct {
  const TernLlmState *state;
  const float *x;               /* [n, width] */
  const float *weight;
  float *y;
} Norming;

static void
norm_rows (void *data, guint begin, guint end, guint worker)
{
  const Norming *norming = data;
  const TernLlm *llm = norming->state->llm;

  for (gsize t = begin; t < end; t++)
    llm->kernels->rms_norm (norming->y + t * llm->info.width, norming->x + t * llm->info.width, norming->weight,
        llm->info.width, llm->eps);
}

static void
norm (TernLlmState *self, float *y, const float *x, const float *weight, guint n)
{
  Norming norming = { self, x, weight, y };

  tern_pool_run (n < 16 ? NULL : self->pool, norm_rows, &norming, n, 1);
}

/* h += block (norm (h)) */
static gboolean
branch (TernLlmState *self, TernPass *pass, const TernBlock *block, void *state, const float *weight)
{
  norm (self, self->x, self->h, weight, pass->n);
  for (gsize t = 0; pass->round && t < pass->n; t++)
    tern_block_round (pass, self->x + t * self->llm->info.width, self->llm->info.width);
  pass->work = (TernArena) { .base = self->work };
  if (!block->klass->eval (block, pass, state, self->x, self->y))
    return FALSE;
  self->llm->kernels->add (self->h, self->y, (gsize) pass->n * self->llm->info.width);
  return TRUE;
}

void
tern_llm_embed (const TernLlm *llm, const gint32 *ids, guint n, float *rows, gsize ld)
{
  for (guint t = 0; t < n; t++)
    tern_linear_row (&llm->embedding, (guint) ids[t], rows + t * ld);
}

static void
embed (TernLlmState *self, const TernLlmInput *input, guint first, guint n)
{
  gsize width = self->llm->info.width;

  for (gsize t = 0; t < n; t++) {
    float *row = self->h + t * width;

    if (input->ids)
      tern_linear_row (&self->llm->embedding, input->ids[first + t], row);
    else
      memcpy (row, input->rows + (first + t) * input->ld, width * sizeof (float));
  }
}

/* Logits of rows [first, first + n) of the residual stream. */
static gboolean
head (TernLlmState *self, TernPass *pass, guint first, guint n, float *logits)
{
  const TernLlm *llm = self->llm;
  gsize width = llm->info.width;

  norm (self, self->x, self->h + first * width, llm->final_norm, n);
  if (self->tap)
    self->tap (self->tap_data, llm->info.n_layers, self->x, n);
  for (guint t = 0; t < n; t += self->head_batch) {
    guint rows = MIN (self->head_batch, n - t);
    TernLinearInput input;

    if (!tern_pass_goes_on (pass))
      return FALSE;
    tern_linear_input_init (&input, self->input, llm->kernels, self->mode, self->x + t * width, width, rows, width);
    if (!tern_linear_run_until (tern_llm_head (llm), &input, NULL, logits + (gsize) t * llm->info.n_vocab,
            llm->info.n_vocab, self->pool, pass->cancel))
      return FALSE;
  }
  return TRUE;
}

/* Rows [first, first + n) of @input through all layers. */
static gboolean
chunk (TernLlmState *self, TernPass *pass, const TernLlmInput *input, guint first, guint n)
{
  const TernLlm *llm = self->llm;

  pass->n = n;
  pass->pos = self->pos + first;
  embed (self, input, first, n);
  tern_rope_angles (&llm->rope, pass->pos, n, self->angles);
  for (pass->layer = 0; pass->layer < llm->info.n_layers; pass->layer++) {
    const TernLayer *layer = &llm->layers[pass->layer];

    if (!branch (self, pass, layer->mixer, self->mixer[pass->layer], layer->mixer_norm)
        || !branch (self, pass, layer->ffn, self->ffn[pass->layer], layer->ffn_norm))
      return FALSE;
    if (self->tap)
      self->tap (self->tap_data, pass->layer, self->h, n);
  }
  return TRUE;
}

static gboolean
run (TernLlmState *self, const TernLlmInput *input, TernLogits want, float *logits, TernCancel *cancel)
{
  TernPass pass = {
    .kernels = self->llm->kernels, .pool = self->pool, .mode = self->mode, .cancel = cancel,
    .round = self->llm->rounds && self->mode == TERN_ACTIVATIONS_INT8,
    .rope = &self->llm->rope, .angles = self->angles, .context = self->context, .input = self->input,
    .decode = input->n == 1, .mean = self->mean, .policy = self->policy,
  };

  for (guint i = 0; i < input->n; i += self->batch) {
    guint n = MIN (self->batch, input->n - i);

    if (!tern_pass_goes_on (&pass) || !chunk (self, &pass, input, i, n))
      return FALSE;
    if (want == TERN_LOGITS_ALL && !head (self, &pass, 0, n, logits + (gsize) i * self->llm->info.n_vocab))
      return FALSE;
    if (want == TERN_LOGITS_LAST && i + n == input->n && !head (self, &pass, n - 1, 1, logits))
      return FALSE;
  }
  return TRUE;
}

static gboolean
check_input (const TernLlmState *self, const TernLlmInput *input, GError **error)
{
  if (self->torn) {
    g_set_error (error, TERN_ERROR, TERN_ERROR_INVALID, "language model: expected a state that was reset after "
        "cancelling, found one that was not");
    return FALSE;
  }
  if (!input->ids == !input->rows) {
    g_set_error (error, TERN_ERROR, TERN_ERROR_INVALID, "language model input: expected either ids or rows, found %s",
        input->ids ? "both" : "neither");
    return FALSE;
  }
  if (input->n > self->context - self->pos) {
    g_set_error (error, TERN_ERROR, TERN_ERROR_NO_SPACE, "context: expected at most %u tokens, found %u and %u more",
        self->context, self->pos, input->n);
    return FALSE;
  }
  for (guint i = 0; input->ids && i < input->n; i++)
    if (input->ids[i] < 0 || (guint) input->ids[i] >= self->llm->info.n_vocab) {
      g_set_error (error, TERN_ERROR, TERN_ERROR_INVALID, "token %u: expected an id from 0 to %u, found %d", i,
          self->llm->info.n_vocab - 1, input->ids[i]);
      return FALSE;
    }
  return TRUE;
}

gboolean
tern_llm_eval (TernLlmState *self, const TernLlmInput *input, TernLogits want, float *logits, TernCancel *cancel,
    GError **error)
{
  if (!input->n)
    return TRUE;
  if (!check_input (self, input, error))
    return FALSE;
  if (!run (self, input, want, logits, cancel)) {
    self->torn = TRUE;
    g_set_error (error, TERN_ERROR, TERN_ERROR_CANCELLED, "language model: cancelled");
    return FALSE;
  }
  self->pos += input->n;
  return TRUE;
}
