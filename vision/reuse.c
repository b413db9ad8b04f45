/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a tower keeps of a stream from picture to picture; the method stands in reuse.h. */
#include "vision/reuse-mask.h"

#include <string.h>

#include "tern/error.h"

#define PATIENCE 4              /* pictures computed whole in vain, one after the other, before the cache rests ... */
#define REST_LEAST 8            /* ... for so many, and twice as many the next time */
#define REST_MOST 64

/* ---- Memory ------------------------------------------------------------------------------------------------------ */

static void
carve (TernReuse *self, TernArena *arena)
{
  const TernVision *vision = self->vision;
  gsize n = self->max_patches, tokens = self->max_tokens, stream = n * vision->hidden * sizeof (float);
  gsize embedding = tokens * vision->info.embedding_dim * sizeof (float);

  self->rows = tern_arena_take (arena, n * sizeof (guint32));
  self->at = tern_arena_take (arena, n * sizeof (guint32));
  self->fresh_rows = tern_arena_take (arena, tokens * sizeof (guint32));
  self->fresh_at = tern_arena_take (arena, tokens * sizeof (guint32));
  self->mask = tern_arena_take (arena, n);
  self->ring = tern_arena_take (arena, n);
  self->given = tern_arena_take (arena, n);
  self->probes = tern_arena_take (arena, tokens);
  self->change = tern_arena_take (arena, n * sizeof (float));
  self->pixels = tern_arena_take (arena, n * 3 * vision->info.patch * vision->info.patch);
  self->keys = tern_arena_take (arena, vision->n_blocks * stream);
  self->values = tern_arena_take (arena, vision->n_blocks * stream);
  self->features = tern_arena_take (arena, stream);
  self->fresh = tern_arena_take (arena, embedding);
  self->tokens = tern_arena_take (arena, embedding);
}

static void
set_limits (TernReuse *self, const TernVision *vision, guint max_tokens)
{
  self->vision = (TernVision *) vision;
  self->max_tokens = MIN (max_tokens, TERN_VISION_MAX_TOKENS);
  self->max_patches = self->max_tokens * vision->info.factor * vision->info.factor;
}

gsize
tern_reuse_bytes (const TernVision *vision, guint max_tokens)
{
  TernReuse self = { 0 };
  TernArena arena = { 0 };

  set_limits (&self, vision, max_tokens);
  carve (&self, &arena);
  return arena.used + sizeof self;
}

gboolean
tern_reuse_fits (const TernVision *vision)
{
  return vision->projector->reusable;
}

gboolean
tern_reuse_check (const TernVision *vision, GError **error)
{
  if (tern_reuse_fits (vision))
    return TRUE;
  g_set_error (error, TERN_ERROR, TERN_ERROR_UNSUPPORTED, "%s: expected a tower whose features can be kept from picture to "
      "picture, found projector \"%s\"", tern_gguf_path (vision->file), vision->info.projector);
  return FALSE;
}

TernReuse *
tern_reuse_new (TernVision *vision, guint max_tokens, const TernReuseOptions *options, GError **error)
{
  TernArena arena = { 0 };
  TernReuse *self;
  void *block;

  if (!tern_reuse_check (vision, error))
    return NULL;
  block = tern_mem_alloc (tern_reuse_bytes (vision, max_tokens), "features of the vision encoder", error);
  if (!block)
    return NULL;
  self = g_new0 (TernReuse, 1);
  set_limits (self, tern_vision_ref (vision), max_tokens);
  self->options = *options;
  self->pause = REST_LEAST;
  self->block = arena.base = block;
  carve (self, &arena);
  return self;
}

void
tern_reuse_free (TernReuse *self)
{
  if (!self)
    return;
  tern_mem_free (self->block);
  tern_vision_unref (self->vision);
  g_free (self);
}

void
tern_reuse_forget (TernReuse *self)
{
  self->kept = FALSE;
  self->failures = self->rest = self->given_w = 0;
  self->pause = REST_LEAST;
}

void
tern_reuse_counts (const TernReuse *self, TernReuseCounts *counts)
{
  *counts = self->counts;
}

void
tern_reuse_set_changed (TernReuse *self, const guint8 *changed, guint grid_w, guint grid_h)
{
  self->given_w = grid_w;
  self->given_h = grid_h;
  if ((guint64) grid_w * grid_h <= self->max_patches)
    memcpy (self->given, changed, (gsize) grid_w * grid_h);
}

/* ---- A picture --------------------------------------------------------------------------------------------------- */

/* Multiply-adds of @rows patches of @n and @tokens tokens: products and attention. */
static guint64
count_macs (const TernVision *vision, guint64 rows, guint64 n, guint64 tokens)
{
  guint64 hidden = vision->hidden, layer = hidden * (4 * hidden + 2 * (guint64) vision->ffn + 2 * n), projector = 0;
  guint i;

  for (i = 0; i < TERN_PROJECTOR_LINEARS; i++)
    projector += (guint64) vision->mm[i].rows * vision->mm[i].cols;
  return rows * ((guint64) vision->patch.cols * hidden + vision->n_blocks * layer) + tokens * projector;
}

gboolean
tern_reuse_enter (TernReuse *self, const TernVisionPlan *plan)
{
  guint patch = self->vision->info.patch, n = plan->sub[0].width / patch * (plan->sub[0].height / patch);
  guint64 macs;

  if (plan->n == 1 && plan->n_tokens <= self->max_tokens && self->rest == 0)
    return TRUE;
  self->kept = FALSE;
  self->given_w = 0;
  if (plan->n > 1 || plan->n_tokens > self->max_tokens)
    return FALSE;
  self->rest--;
  macs = count_macs (self->vision, n, n, plan->n_tokens);
  self->counts.frames++;
  self->counts.refreshes++;
  self->counts.rested++;
  self->counts.computed += n;
  self->counts.macs += macs;
  self->counts.whole += macs;
  return FALSE;
}

static void
fail (TernReuse *self)
{
  if (++self->failures < PATIENCE || self->options.always)
    return;
  self->failures = PATIENCE - 1;
  self->rest = self->pause;
  self->pause = MIN (2 * self->pause, REST_MOST);
}

static void
choose_all (const TernVisionState *state)
{
  state->reuse->whole = TRUE;
  memset (state->reuse->mask, TRUE, state->n);
}

/* Nothing that is kept can be used, or shall be. */
static gboolean
is_due (const TernVisionState *state)
{
  const TernReuse *self = state->reuse;

  return !self->kept || self->grid_w != state->grid_w || self->grid_h != state->grid_h || !(self->options.drift > 0)
      || (self->options.refresh > 0 && self->age + 1 >= self->options.refresh)
      || (self->given_w > 0 && (self->given_w != state->grid_w || self->given_h != state->grid_h));
}

void
tern_reuse_choose (TernVisionState *state)
{
  TernReuse *self = state->reuse;

  self->whole = FALSE;
  if (is_due (state)) {
    choose_all (state);
  } else if (!tern_reuse_mark (state)) {
    fail (self);
    choose_all (state);
  }
  self->kept = FALSE;
  self->given_w = 0;
  tern_reuse_list (state);
  tern_reuse_take_pixels (state);
}

static double
square_distance (const float *a, const float *b, gsize n)
{
  double sum = 0;

  for (gsize i = 0; i < n; i++)
    sum += ((double) a[i] - b[i]) * ((double) a[i] - b[i]);
  return sum;
}

static double
measure_drift (const TernVisionState *state)
{
  const TernReuse *self = state->reuse;
  guint n = state->plan.sub[0].n_tokens, dim = self->vision->info.embedding_dim, i;
  double wrong = 0, power = 0;

  for (i = 0; i < n; i++)
    if (self->probes[i]) {
      const float *fresh = self->fresh + (gsize) self->fresh_at[i] * dim;

      wrong += square_distance (fresh, self->tokens + (gsize) i * dim, dim);
      for (guint k = 0; k < dim; k++)
        power += (double) fresh[k] * fresh[k];
    }
  return wrong == 0 && power == 0 ? 0 : (double) (n - self->n_fresh) / n * wrong / (2 * power);
}

static void
hand_over (const TernVisionState *state)
{
  TernReuse *self = state->reuse;
  gsize dim = self->vision->info.embedding_dim;

  for (guint i = 0; i < self->n_fresh; i++)
    memcpy (self->tokens + self->fresh_rows[i] * dim, self->fresh + i * dim, dim * sizeof (float));
  memcpy (state->tokens, self->tokens, state->plan.sub[0].n_tokens * dim * sizeof (float));
}

gboolean
tern_reuse_finish (TernVisionState *state)
{
  TernReuse *self = state->reuse;

  self->counts.computed += self->n_rows;
  self->counts.macs += count_macs (self->vision, self->n_rows, state->n, self->n_fresh);
  if (!self->whole) {
    self->counts.drift = measure_drift (state);
    if (self->options.drift < 2 && !(self->counts.drift <= self->options.drift)) {
      self->counts.drifted++;
      fail (self);
      choose_all (state);
      tern_reuse_list (state);
      tern_reuse_take_pixels (state);
      return FALSE;
    }
    self->failures = 0;
    self->pause = REST_LEAST;
  }
  hand_over (state);
  self->counts.frames++;
  self->counts.refreshes += self->whole;
  self->counts.reused += state->n - self->n_rows;
  self->counts.whole += count_macs (self->vision, state->n, state->n, state->plan.sub[0].n_tokens);
  self->age = self->whole ? 0 : self->age + 1;
  self->grid_w = state->grid_w;
  self->grid_h = state->grid_h;
  self->kept = TRUE;
  return TRUE;
}

/* ---- Loops over what is computed --------------------------------------------------------------------------------- */

#define GRAIN 16

static void
add_rows (void *data, guint begin, guint end, guint worker)
{
  const TernVisionState *state = data;
  const TernVisionLoop *loop = &state->loop;

  for (guint i = begin; i < end; i++)
    state->vision->kernels->add (loop->y + (gsize) i * loop->cols,
        loop->x + (gsize) state->reuse->rows[i] * loop->cols, loop->cols);
}

static void
set_rows (const TernVisionState *state, TernVisionLoop *loop, TernPoolFunc func)
{
  *loop = (TernVisionLoop) { .func = func, .items = state->reuse->n_rows, .grain = GRAIN, .cols = state->vision->hidden,
    .work = (guint64) state->vision->hidden * TERN_VISION_VALUE_WORK };
}

gboolean
tern_reuse_loop_add (TernVisionState *state, TernVisionLoop *loop, float *y, const float *x)
{
  set_rows (state, loop, add_rows);
  loop->y = y;
  loop->x = x;
  return TRUE;
}

void
tern_reuse_keep_rows (const TernVisionState *state, guint row, guint n, const float *x, gsize ldx, float *to)
{
  gsize hidden = state->vision->hidden;

  for (guint i = 0; i < n; i++)
    memcpy (to + state->reuse->rows[row + i] * hidden, x + i * ldx, hidden * sizeof (float));
}

static void
keep_qkv (void *data, guint begin, guint end, guint worker)
{
  const TernVisionState *state = data;
  gsize hidden = state->vision->hidden;
  const float *k = state->wide + begin * 3 * hidden + hidden;

  tern_reuse_keep_rows (state, begin, end - begin, k, 3 * hidden, tern_reuse_keys (state));
  tern_reuse_keep_rows (state, begin, end - begin, k + hidden, 3 * hidden, tern_reuse_values (state));
}

gboolean
tern_reuse_keep_qkv (TernVisionState *state, guint round, TernVisionLoop *loop)
{
  if (!state->reuse || round > 0)
    return FALSE;
  set_rows (state, loop, keep_qkv);
  return TRUE;
}

static void
keep_features (void *data, guint begin, guint end, guint worker)
{
  const TernVisionState *state = data;

  tern_reuse_keep_rows (state, begin, end - begin, state->x + (gsize) begin * state->vision->hidden, state->vision->hidden,
      state->reuse->features);
}

gboolean
tern_reuse_keep_features (TernVisionState *state, guint round, TernVisionLoop *loop)
{
  if (!state->reuse || round > 0)
    return FALSE;
  set_rows (state, loop, keep_features);
  return TRUE;
}
