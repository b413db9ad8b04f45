/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "engine/llm/pass.h"

#include <string.h>

#include "engine/llm/blocks/blocks.h"
#include "engine/llm/model.h"
#include "tern/error.h"
#include "tern/ranges.h"

#define ROWS 128                /* default of a pass */
/* Multiply-adds that one product holds at most: some 50 ms on two cores with 256-bit integer kernels. It decides how many
 * rows go through the layers at once, and is the same on every machine. Cancelling is looked at between slices of a
 * product (engine/base/slice.h). */
#define PASS_OPS (G_GUINT64_CONSTANT (1) << 31)
/* Fewer are not computed at once: a row for each beam of a search is read in one pass. */
#define LEAST_ROWS TERN_BEAM_MAX

/* ---- Plan -------------------------------------------------------------------------------------------------------- */

/* What sizes a pass, over all linears; the head is not in @weights, it has a batch of its own. */
typedef struct {
  const TernLlm *llm;
  guint64 weights;              /* most of one linear */
  guint cols;                   /* most input features */
  gsize scratch;                /* most bytes that one needs in a worker's scratch */
  gboolean turned;              /* one turns or rounds its input */
} Extent;

static void
extend (TernLinear *linear, void *data)
{
  Extent *extent = data;

  extent->turned |= tern_linear_turns (linear);
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
resolve (TernPass *self, const TernLlm *llm, const TernPassParams *params)
{
  guint64 head = (guint64) llm->info.width * llm->info.n_vocab;

  self->context = params->context ? params->context : llm->info.context;
  self->capacity = params->rows ? params->rows : CLAMP (PASS_OPS / extent (llm).weights, LEAST_ROWS, ROWS);
  if (!params->rows && llm->info.chunk > 1)     /* a chunk has room beside rows of decode, and two of them alone */
    self->capacity = MAX (self->capacity / llm->info.chunk, 2) * llm->info.chunk;
  self->chunk = llm->info.chunk;
  while (self->chunk > self->capacity)
    self->chunk = (self->chunk + 1) / 2;
  self->head_batch = CLAMP (PASS_OPS / head, 1, self->capacity);
  self->mode = params->activations;
}

/* What sizes a pass, over all blocks: they run one after the other, so their work areas are one. */
typedef struct {
  const TernPass *pass;
  gsize work, worker;           /* bytes */
} Areas;

static void
take_area (TernBlock *block, void *data)
{
  Areas *areas = data;
  guint capacity = areas->pass->capacity, context = areas->pass->context;
  TernArena arena = { 0 };

  if (block->klass->work)
    block->klass->work (block, &arena, capacity, context);
  areas->work = MAX (areas->work, arena.used);
  if (block->klass->worker)
    areas->worker = MAX (areas->worker, block->klass->worker (block, capacity, context));
}

static Areas
take_areas (const TernPass *self, const TernLlm *llm)
{
  Areas areas = { .pass = self };

  tern_llm_each_block (llm, take_area, &areas);
  return areas;
}

/* Of any linear. */
static gsize
input_bytes (const TernPass *self, const TernLlm *llm)
{
  Extent all = extent (llm);

  return tern_linear_input_bytes (self->capacity, all.cols)
      + (all.turned ? tern_linear_turned_bytes (self->capacity, all.cols) : 0);
}

static void
plan (TernPass *self, const TernLlm *llm, TernArena *arena)
{
  const TernLlmInfo *info = &llm->info;
  gsize rows = self->capacity;

  self->segments = tern_plan_take (arena, rows, sizeof *self->segments, 1);
  self->staying = tern_plan_take (arena, rows, sizeof *self->staying, 1);
  self->cancels = tern_plan_take (arena, rows, sizeof *self->cancels, 1);
  self->segment_of = tern_plan_take (arena, rows, sizeof *self->segment_of, 1);
  self->slices = info->deepstack ? tern_plan_take (arena, rows, sizeof *self->slices, 1) : NULL;
  self->h = tern_plan_take (arena, rows, info->width, sizeof (float));
  self->x = tern_plan_take (arena, rows, info->width, sizeof (float));
  self->y = tern_plan_take (arena, rows, info->width, sizeof (float));
  self->angles = tern_plan_take (arena, rows, llm->rope.dim, sizeof (float));
  self->input = tern_plan_take (arena, 1, 1, input_bytes (self, llm));
  self->mean = tern_plan_take (arena, 1, self->context, sizeof (float));
  self->work_memory = tern_plan_take (arena, 1, 1, take_areas (self, llm).work);
}

static gsize
worker_bytes (const TernPass *self, const TernLlm *llm)
{
  return MAX (extent (llm).scratch, take_areas (self, llm).worker);
}

gsize
tern_pass_bytes (const TernLlm *llm, const TernPassParams *params)
{
  TernPass self = { 0 };
  TernArena arena = { 0 };

  resolve (&self, llm, params);
  plan (&self, llm, &arena);
  return arena.used + sizeof self;
}

gsize
tern_pass_scratch_bytes (const TernLlm *llm, const TernPassParams *params)
{
  TernPass self = { 0 };

  resolve (&self, llm, params);
  return worker_bytes (&self, llm);
}

TernPass *
tern_pass_new (TernLlm *llm, const TernPassParams *params, TernPool *pool, GError **error)
{
  g_autoptr (TernPass) self = NULL;
  TernArena arena = { 0 };

  g_return_val_if_fail (pool && llm->usable, NULL);
  self = g_new0 (TernPass, 1);
  self->llm = tern_llm_ref (llm);
  self->kernels = llm->kernels;
  self->rope = &llm->rope;
  self->pool = pool;
  resolve (self, llm, params);
  self->round = llm->rounds && self->mode == TERN_ACTIVATIONS_INT8;
  plan (self, llm, &arena);
  self->memory = tern_mem_alloc (arena.used, "work space of the language model", error);
  if (!self->memory)
    return NULL;
  arena = (TernArena) { .base = self->memory };
  plan (self, llm, &arena);
  self->cancel = &self->all;
  if (!tern_pool_reserve (pool, worker_bytes (self, llm), error))
    return NULL;
  return g_steal_pointer (&self);
}

void
tern_pass_free (TernPass *self)
{
  if (!self)
    return;
  tern_mem_free (self->memory);
  tern_llm_unref (self->llm);
  g_free (self);
}

guint
tern_pass_rows (const TernPass *self)
{
  return self->capacity;
}

guint
tern_pass_context (const TernPass *self)
{
  return self->context;
}

void
tern_pass_set_tap (TernPass *self, TernLlmTap tap, void *data)
{
  self->tap = tap;
  self->tap_data = data;
}

/* ---- Putting one together ---------------------------------------------------------------------------------------- */

static void
clear (TernPass *self)
{
  self->n = self->n_decode = self->n_segments = 0;
  self->all = (TernCancel) { 0 };
}

void
tern_pass_begin (TernPass *self)
{
  /* What was put together and never ran has not been read. */
  for (guint i = 0; i < self->n_segments; i++) {
    tern_timeline_forget_trail (self->segments[i].segment.timeline);
    tern_page_table_cut (&self->segments[i].segment.timeline->table, self->segments[i].pos);
    self->segments[i].segment.timeline->place = self->segments[i].place;
  }
  clear (self);
}

guint
tern_pass_room (const TernPass *self)
{
  return self->capacity - self->n;
}

guint
tern_pass_chunk (const TernPass *self)
{
  return self->chunk;
}

guint
tern_pass_cut (const TernPass *self, const TernTimeline *timeline, guint left, guint most, gboolean last)
{
  guint n = MIN (left, most), room = tern_pass_room (self), over;

  if (!last && left > 0)
    left--;
  n = MIN (MIN (n, left), room);
  over = (timeline->table.n + n) % self->chunk;
  if (n == 0 || over == 0 || (n == left && last))
    return n;
  if (over < n)                 /* down to where the chunk before ends; else up to the end of the first one */
    return n - over;
  n += self->chunk - over;
  if (n > left)
    n = last ? left : 0;
  return n <= room ? n : 0;
}

guint
tern_pass_segments (const TernPass *self)
{
  return self->n_segments;
}

float *
tern_pass_add (TernPass *self, const TernSegment *segment, GError **error)
{
  TernTimeline *timeline = segment->timeline;
  const TernPlace *places = self->rope->axis ? segment->places : NULL;
  guint first = self->n, pos = timeline->table.n, place = timeline->place;

  g_return_val_if_fail (segment->n > 0 && segment->n <= tern_pass_room (self), NULL);
  g_return_val_if_fail (!segment->decode || (self->n == self->n_decode && !places), NULL);
  g_return_val_if_fail (timeline->store->llm == self->llm && timeline->store->context <= self->context, NULL);

  if (!tern_timeline_extend (timeline, segment->n, segment->decode && !segment->stays, error))
    return NULL;
  self->segments[self->n_segments] = (TernPassSegment) { *segment, first, pos, place };
  self->segments[self->n_segments].segment.places = NULL;
  self->cancels[self->n_segments] = segment->cancel;
  for (guint t = 0; t < segment->n; t++) {
    self->segment_of[first + t] = self->n_segments;
    if (self->slices)
      self->slices[first + t] = NULL;
  }
  tern_rope_angles (self->rope, place, places, segment->n, self->angles + (gsize) first * self->rope->dim);
  timeline->place = place + (places ? segment->advance : segment->n);
  self->n_segments++;
  self->n += segment->n;
  self->n_decode += segment->decode ? segment->n : 0;
  return self->h + (gsize) first * self->llm->info.width;
}

void
tern_pass_deepen (TernPass *self, const float *row, const float *slices)
{
  gsize at = (gsize) (row - self->h) / self->llm->info.width;

  g_return_if_fail (self->slices && row >= self->h && at < self->n);
  self->slices[at] = slices;
}

/* ---- Where the running block finds what a timeline remembers ------------------------------------------------------ */

/* After row @row of a decode segment. */
static guint32
state_after (const TernTimeline *timeline, guint row)
{
  return row < timeline->n_trail ? timeline->trail[row] : timeline->state;
}

TernStateStep
tern_pass_step (const TernPass *self, const TernPassSegment *segment, guint row, guint part)
{
  const TernTimeline *timeline = segment->segment.timeline;
  const TernLayer *layer = &self->llm->layers[self->layer];
  const TernLayerPlace *place = &timeline->store->places[self->layer];
  gboolean decode = segment->segment.decode;
  guint32 from = decode && row > 0 ? state_after (timeline, row - 1) : timeline->state;
  guint32 to = decode ? state_after (timeline, row) : timeline->state;
  TernStatePart parts[TERN_STATE_PARTS];
  gsize at;

  tern_block_state (self->in_ffn ? layer->ffn : layer->mixer, parts);
  at = (self->in_ffn ? place->ffn_state : place->mixer_state) + tern_state_bytes (parts, part);
  return (TernStateStep) { (const float *) (tern_pages_at (&timeline->store->states, from) + at),
    (float *) (tern_pages_at (&timeline->store->states, to) + at) };
}

gsize
tern_pass_page_at (const TernPass *self, const TernTimeline *timeline)
{
  const TernLayerPlace *place = &timeline->store->places[self->layer];

  return self->in_ffn ? place->ffn_page : place->mixer_page;
}

/* ---- The walk ---------------------------------------------------------------------------------------------------- */

typedef struct {
  const TernPass *pass;
  const float *x;               /* [n, width] */
  const float *weight;
  float *y;
} Norming;

static void
norm_rows (void *data, guint begin, guint end, guint worker)
{
  const Norming *norming = data;
  const TernLlm *llm = norming->pass->llm;

  for (gsize t = begin; t < end; t++)
    llm->kernels->rms_norm (norming->y + t * llm->info.width, norming->x + t * llm->info.width, norming->weight,
        llm->info.width, llm->eps);
}

static void
norm (const TernPass *self, float *y, const float *x, const float *weight, guint n)
{
  Norming norming = { self, x, weight, y };

  tern_pool_run (n < 16 ? NULL : self->pool, norm_rows, &norming, n, 1);
}

static void
scale (float *x, gsize n, float by)
{
  for (gsize i = 0; by != 1 && i < n; i++)
    x[i] *= by;
}

/* x = norm (h), and the work area is free. */
static void
enter_block (TernPass *self, const float *weight)
{
  norm (self, self->x, self->h, weight, self->n);
  for (gsize t = 0; self->round && t < self->n; t++)
    tern_block_round (self, self->x + t * self->llm->info.width, self->llm->info.width);
  self->work = (TernArena) { .base = self->work_memory };
}

/* h += residual_scale * block (norm (h)) */
static gboolean
branch (TernPass *self, const TernBlock *block, const float *weight)
{
  if (!block || self->n == 0)
    return TRUE;
  enter_block (self, weight);
  if (!block->klass->eval (block, self, self->x, self->y))
    return FALSE;
  scale (self->y, (gsize) self->n * self->llm->info.width, self->llm->residual_scale);
  self->kernels->add (self->h, self->y, (gsize) self->n * self->llm->info.width);
  return TRUE;
}

/* Behind layer self->layer. */
static void
add_slices (TernPass *self)
{
  gsize width = self->llm->info.width;

  for (gsize t = 0; t < self->n; t++)
    if (self->slices[t])
      self->kernels->add (self->h + t * width, self->slices[t] + self->layer * width, width);
}

static guint
needed_rows (const TernSegment *segment, guint more)
{
  gboolean all = segment->decode || segment->want == TERN_LOGITS_ALL;
  gboolean last = segment->want == TERN_LOGITS_LAST || segment->hidden;

  return tern_needed_rows (segment->n, all ? segment->n : last ? 1 : 0, more);
}

/* Some rows are not needed any more. Who looks on sees all of them. */
static gboolean
can_narrow (const TernPass *self, guint more)
{
  guint n = 0;

  if (more == G_MAXUINT || self->tap)
    return FALSE;
  for (guint i = 0; i < self->n_segments; i++)
    n += needed_rows (&self->segments[i].segment, more);
  return n < self->n;
}

/* The first rows of segments leave the pass, and so do segments that have none left. Decode rows stay, and stay the first. */
static void
narrow (TernPass *self, guint more)
{
  gsize width = self->llm->info.width, dim = self->rope->dim;
  guint n = 0, n_segments = 0;

  if (!can_narrow (self, more))
    return;
  for (guint i = 0; i < self->n_segments; i++) {
    TernPassSegment at = self->segments[i];
    guint stay = needed_rows (&at.segment, more), leave = at.segment.n - stay;
    gsize from = at.first + leave;

    if (stay == 0)
      continue;
    memmove (self->h + n * width, self->h + from * width, stay * width * sizeof (float));
    memmove (self->angles + n * dim, self->angles + from * dim, stay * dim * sizeof (float));
    if (self->slices)
      memmove (self->slices + n, self->slices + from, stay * sizeof *self->slices);
    for (guint t = 0; t < stay; t++)
      self->segment_of[n + t] = n_segments;
    at.first = n;
    at.pos += leave;
    at.segment.n = stay;
    self->staying[n_segments++] = at;
    n += stay;
  }
  self->segments = self->staying;
  self->n_segments = n_segments;
  self->n = n;
}

/* What is asked of a prompt is its last row, if that: for the others a mixer that is the last to look back at them remembers
 * them, and is not evaluated. */
static gboolean
mix (TernPass *self, const TernLayer *layer)
{
  const TernBlock *mixer = layer->mixer;

  narrow (self, layer->needed_before);
  if (mixer && mixer->klass->remember && can_narrow (self, layer->needed_behind)) {
    enter_block (self, layer->mixer_norm);
    if (!mixer->klass->remember (mixer, self, self->x))
      return FALSE;
    narrow (self, layer->needed_behind);
  }
  if (!branch (self, mixer, layer->mixer_norm))
    return FALSE;
  narrow (self, layer->needed_behind);
  return TRUE;
}

static gboolean
walk (TernPass *self)
{
  for (self->layer = 0; self->layer < self->llm->info.n_layers && self->n > 0; self->layer++) {
    const TernLayer *layer = &self->llm->layers[self->layer];

    self->in_ffn = FALSE;
    if (!mix (self, layer))
      return FALSE;
    self->in_ffn = TRUE;
    if (!branch (self, layer->ffn, layer->ffn_norm))
      return FALSE;
    if (self->layer < self->llm->info.deepstack)
      add_slices (self);
    if (self->tap)
      self->tap (self->tap_data, self->layer, self->h, self->n);
  }
  return tern_pass_goes_on (self);
}

/* ---- The head ---------------------------------------------------------------------------------------------------- */

/* Rows whose logits lie side by side, gathered for one product. */
typedef struct {
  float *logits;                /* of the first one; NULL: none yet */
  guint n;
  gboolean decode;              /* single rows: summed as decode rows are */
} Heads;

static gboolean
flush_heads (TernPass *self, Heads *heads)
{
  const TernLlm *llm = self->llm;
  gsize width = llm->info.width;
  TernLinearInput input;
  guint n = heads->n;

  heads->n = 0;
  if (n == 0)
    return TRUE;
  if (!tern_pass_goes_on (self))
    return FALSE;
  norm (self, self->x, self->x, llm->final_norm, n);
  if (self->tap)
    self->tap (self->tap_data, llm->info.n_layers, self->x, n);
  tern_linear_input_init (&input, self->input, llm->kernels, self->mode, self->x, width, n, width);
  input.few = heads->decode ? n : 0;
  if (!tern_linear_run_until (tern_llm_head (llm), &input, NULL, heads->logits, llm->info.n_vocab, self->pool, self->cancel))
    return FALSE;
  scale (heads->logits, (gsize) n * llm->info.n_vocab, llm->logit_scale);
  return TRUE;
}

static gboolean
add_head (TernPass *self, Heads *heads, guint row, float *logits, gboolean decode)
{
  gsize width = self->llm->info.width;
  gboolean fits = heads->n > 0 && heads->n < self->head_batch && heads->decode == decode
      && logits == heads->logits + (gsize) heads->n * self->llm->info.n_vocab;

  if (!fits && !flush_heads (self, heads))
    return FALSE;
  if (heads->n == 0) {
    heads->logits = logits;
    heads->decode = decode;
  }
  memcpy (self->x + heads->n++ * width, self->h + row * width, width * sizeof (float));
  return TRUE;
}

static gboolean
run_heads (TernPass *self)
{
  Heads heads = { 0 };

  for (guint i = 0; i < self->n_segments; i++) {
    const TernPassSegment *at = &self->segments[i];
    const TernSegment *segment = &at->segment;
    gboolean all = segment->want == TERN_LOGITS_ALL, few = segment->decode || !all;
    guint first = all ? 0 : segment->n - 1;

    for (guint t = first; segment->want != TERN_LOGITS_NONE && t < segment->n; t++)
      if (!add_head (self, &heads, at->first + t, segment->logits + (gsize) (t - first) * self->llm->info.n_vocab, few))
        return FALSE;
  }
  return flush_heads (self, &heads);
}

/* A norm looks at its row alone: what the head reads, bit for bit, whether it is asked or not. */
static void
take_hidden (TernPass *self)
{
  gsize width = self->llm->info.width;

  for (guint i = 0; i < self->n_segments; i++) {
    const TernPassSegment *at = &self->segments[i];

    if (at->segment.hidden)
      norm (self, at->segment.hidden, self->h + (at->first + at->segment.n - 1) * width, self->llm->final_norm, 1);
  }
}

gboolean
tern_pass_run (TernPass *self, GError **error)
{
  TernPassSegment *segments = self->segments;
  guint n_segments = self->n_segments;
  gboolean ok = TRUE;

  if (self->n > 0) {
    self->all = (TernCancel) { .all = self->cancels, .n_all = self->n_segments };
    ok = tern_pass_goes_on (self) && walk (self);
    if (ok) {
      take_hidden (self);
      ok = run_heads (self);
    }
  }
  self->segments = segments;
  for (guint i = 0; !ok && i < n_segments; i++)
    segments[i].segment.timeline->torn = TRUE;
  clear (self);
  if (!ok)
    g_set_error_literal (error, TERN_ERROR, TERN_ERROR_CANCELLED, "language model: cancelled");
  return ok;
}
