/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Compression as a step of its own: frames in, the frames of whole groups out. */
#include "tern/compress-group.h"

#include <string.h>

#include "compress/compress.h"
#include "engine/base/mem.h"
#include "tern/budget-priv.h"
#include "tern/tokens.h"

/* What the groups of the step and of sessions have: no encoder says yet what its tower attends to. */
#define GROUPS_HAVE TERN_COMPRESS_NEEDS_TOKENS

/* NULL when there is no such method. */
static const TernCompressMethod *
find (TernMethod method)
{
  guint n;
  const TernCompressMethod *const *methods = tern_compress_methods (&n);

  return (guint) method < n ? methods[method] : NULL;
}

gboolean
tern_method_parse (const char *name, TernMethod *method, GError **error)
{
  const TernCompressMethod *found = tern_compress_find (name, error);

  if (!found)
    return FALSE;
  for (*method = 0; find (*method) != found; (*method)++);
  return TRUE;
}

const char *
tern_method_name (TernMethod method)
{
  const TernCompressMethod *found = find (method);

  return found ? found->name : "";
}

const char *
tern_method_about (TernMethod method)
{
  const TernCompressMethod *found = find (method);

  return found ? found->about : "";
}

gboolean
tern_compressor_params_check (const TernCompressorParams *params, GError **error)
{
  const TernCompressMethod *method = find (params->method);

  if (!method) {
    guint n;

    tern_compress_methods (&n);
    g_set_error (error, TERN_ERROR, TERN_ERROR_INVALID, "compress.method: expected 0 to %u, found %u", n - 1,
        (guint) params->method);
    return FALSE;
  }
  if (!(params->merge_ratio >= 0 && params->merge_ratio <= TERN_SHARE_MAX)) {
    g_set_error (error, TERN_ERROR, TERN_ERROR_INVALID, "merge_ratio: expected 0 to %g, found %g", TERN_SHARE_MAX,
        params->merge_ratio);
    return FALSE;
  }
  return tern_compress_check (method, GROUPS_HAVE, error);
}

/* Every frame keeps a token: a window of which nothing is left says nothing. */
gboolean
tern_compressor_budgets_check (const TernCompressorParams *params, GError **error)
{
  guint64 rate = params->rate_d > 0 ? (params->rate_n + params->rate_d - 1) / params->rate_d : 0;

  if (!tern_compressor_params_check (params, error))
    return FALSE;
  if (MAX (params->max_tokens_per_window, params->max_tokens_per_second) > TERN_BUDGET_MAX) {
    g_set_error (error, TERN_ERROR, TERN_ERROR_INVALID, "max_tokens_per_window, max_tokens_per_second: expected at most %u,"
        " found %u", TERN_BUDGET_MAX, MAX (params->max_tokens_per_window, params->max_tokens_per_second));
    return FALSE;
  }
  if (params->max_tokens_per_window > 0 && params->window_frames == 0) {
    g_set_error (error, TERN_ERROR, TERN_ERROR_INVALID, "max_tokens_per_window: expected windows of so many frames to spread"
        " it over (window_frames), found none");
    return FALSE;
  }
  if (params->max_tokens_per_window > 0 && params->max_tokens_per_window < params->window_frames) {
    g_set_error (error, TERN_ERROR, TERN_ERROR_INVALID, "max_tokens_per_window: expected a token or more for each of the"
        " window's frames, %u, found %u", params->window_frames, params->max_tokens_per_window);
    return FALSE;
  }
  if (params->max_tokens_per_second > 0 && rate == 0) {
    g_set_error (error, TERN_ERROR, TERN_ERROR_INVALID, "max_tokens_per_second: expected a number of frames a second (rate_n,"
        " rate_d), found none");
    return FALSE;
  }
  if (params->max_tokens_per_second > 0 && params->max_tokens_per_second < rate) {
    g_set_error (error, TERN_ERROR, TERN_ERROR_INVALID, "max_tokens_per_second: expected a token or more for each of %"
        G_GUINT64_FORMAT " frames, found %u", rate, params->max_tokens_per_second);
    return FALSE;
  }
  return TRUE;
}

gsize
tern_compress_group_scratch (const TernCompressorParams *params, guint n_tokens, guint dim)
{
  return MAX (find (params->method)->scratch (n_tokens, dim), 1);
}

gboolean
tern_compress_group_mixes (const TernCompressorParams *params)
{
  return find (params->method)->mix != NULL;
}

/* What frames [@first, @first + @n) have of @most for every @frames frames. Any run of @frames frames has @most of it, wherever
 * it begins: the part of frame i is floor ((i + 1) most / frames) - floor (i most / frames). */
static guint64
part (guint64 most, guint64 frames, guint64 first, guint n)
{
  first %= frames;
  return (first + n) * most / frames - first * most / frames;
}

/* A group's budget, of all that there are; 0: none. With @first of G_MAXUINT64 the most that any group has. */
static guint
group_budget (const TernCompressorParams *params, guint64 first, guint n)
{
  guint64 budget = params->max_tokens > 0 ? params->max_tokens : G_MAXUINT, rate_n = params->rate_n, rate_d = params->rate_d;
  struct { guint64 most, frames; } spread[] = {
    { params->max_tokens_per_window, params->window_frames }, { params->max_tokens_per_second, 0 },
  };

  /* Rates that are no rates of cameras are rounded, so that products fit. */
  for (; rate_n > 1 << 16 || rate_d > 1 << 22; rate_d /= 2)
    rate_n = MAX (rate_n / 2, 1);
  spread[1].frames = rate_n;
  spread[1].most *= MAX (rate_d, 1);
  for (guint i = 0; i < G_N_ELEMENTS (spread); i++)
    if (spread[i].most > 0 && spread[i].frames > 0)
      budget = MIN (budget, first == G_MAXUINT64 ? (n * spread[i].most + spread[i].frames - 1) / spread[i].frames
          : part (spread[i].most, spread[i].frames, first, n));
  return budget >= G_MAXUINT ? 0 : (guint) budget;
}

static TernCompressParams
inner_params (const TernCompressorParams *params, guint64 first, guint n_frames)
{
  return (TernCompressParams) { .merge_ratio = params->merge_ratio, .seed = params->seed,
    .max_tokens = group_budget (params, first, n_frames), .max_frame_tokens = params->max_tokens_per_frame };
}

gboolean
tern_compress_room (void **block, gsize *size, gsize bytes, GError **error)
{
  void *larger;

  if (bytes <= *size)
    return TRUE;
  larger = tern_mem_alloc (bytes, "token compression", error);
  if (!larger)
    return FALSE;
  tern_mem_free (*block);
  *block = larger;
  *size = bytes;
  return TRUE;
}

void
tern_compress_group_run (const TernCompressorParams *params, const TernTokenGroup *group, guint64 first, void *scratch,
    gint32 *keep, guint *n_keep, float *mixed)
{
  TernCompressParams inner = inner_params (params, first, group->n_frames);

  tern_compress_run (find (params->method), &inner, group, scratch, keep, n_keep, mixed);
}

guint64
tern_compressor_bound (const TernCompressorParams *params, guint n_frames, guint n_tokens)
{
  const TernCompressMethod *method;
  TernCompressParams inner;

  g_return_val_if_fail (params != NULL && n_frames <= TERN_GROUP_FRAMES, 0);
  method = find (params->method);
  g_return_val_if_fail (method != NULL, 0);
  inner = inner_params (params, G_MAXUINT64, n_frames);
  return tern_compress_bound (method, &inner, n_frames, n_tokens);
}

/* ---- The step ---- */

struct _TernCompressor {
  TernCompressorParams params, next_params;
  guint max_tokens, dim;
  TernBudget *budget;           /* NULL: none */

  TernTokens frames[TERN_GROUP_FRAMES];         /* what was pushed; rows in `tokens` */
  guint n_frames;
  gboolean ready;               /* the group is complete: pop gives its frames */
  guint popped;

  float *tokens;                /* [TERN_GROUP_FRAMES][n_tokens][dim] as pushed */
  float *kept;                  /* [max_tokens][dim] rows of the frame popped last */
  gint32 *keep;                 /* [TERN_GROUP_FRAMES][n_tokens] */
  guint n_keep[TERN_GROUP_FRAMES];
  float *mixed;                 /* [TERN_GROUP_FRAMES][max_tokens][dim], or NULL: the method does not mix */
  void *scratch;                /* for the method that was last used */
  gsize mixed_bytes, scratch_bytes;
  void *block;                  /* owns the other arrays */

  GMutex lock;                  /* stats */
  TernCompressorStats stats;
};

static void
carve (TernCompressor *self, TernArena *arena)
{
  gsize row = (gsize) self->dim * sizeof (float);

  self->tokens = tern_arena_take (arena, TERN_GROUP_FRAMES * self->max_tokens * row);
  self->kept = tern_arena_take (arena, self->max_tokens * row);
  self->keep = tern_arena_take (arena, TERN_GROUP_FRAMES * (gsize) self->max_tokens * sizeof (gint32));
}

/* Room for what @params' method works with. */
static gboolean
make_room (TernCompressor *self, const TernCompressorParams *params, GError **error)
{
  gsize scratch = tern_compress_group_scratch (params, self->max_tokens, self->dim);
  gsize mixed = tern_compress_group_mixes (params)
      ? TERN_GROUP_FRAMES * (gsize) self->max_tokens * self->dim * sizeof (float) : 0;

  return tern_compress_room (&self->scratch, &self->scratch_bytes, scratch, error)
      && tern_compress_room ((void **) &self->mixed, &self->mixed_bytes, mixed, error);
}

TernCompressor *
tern_compressor_new (const TernCompressorParams *params, guint max_tokens, guint dim, GError **error)
{
  TernCompressor *self;
  TernArena arena = { NULL, 0 };

  g_return_val_if_fail (params != NULL, NULL);
  if (!tern_compressor_budgets_check (params, error))
    return NULL;
  if (max_tokens < 1 || max_tokens > TERN_FRAME_TOKENS_MAX || dim < 1 || dim > TERN_EMBEDDING_DIM_MAX) {
    g_set_error (error, TERN_ERROR, TERN_ERROR_INVALID,
        "frames to compress: expected 1 to %u tokens of 1 to %u numbers, found %u of %u", TERN_FRAME_TOKENS_MAX,
        TERN_EMBEDDING_DIM_MAX, max_tokens, dim);
    return NULL;
  }
  self = g_new0 (TernCompressor, 1);
  self->params = self->next_params = *params;
  self->max_tokens = max_tokens;
  self->dim = dim;
  g_mutex_init (&self->lock);
  carve (self, &arena);
  self->block = tern_mem_alloc (arena.used, "token compression", error);
  if (!self->block || !make_room (self, params, error)) {
    tern_compressor_free (self);
    return NULL;
  }
  arena = (TernArena) { self->block, 0 };
  carve (self, &arena);
  return self;
}

void
tern_compressor_free (TernCompressor *self)
{
  if (!self)
    return;
  tern_mem_free (self->block);
  tern_mem_free (self->scratch);
  tern_mem_free (self->mixed);
  tern_budget_unref (self->budget);
  g_mutex_clear (&self->lock);
  g_free (self);
}

gboolean
tern_compressor_set_params (TernCompressor *self, const TernCompressorParams *params, GError **error)
{
  g_return_val_if_fail (self != NULL && params != NULL, FALSE);
  if (!tern_compressor_budgets_check (params, error) || !make_room (self, params, error))
    return FALSE;
  self->next_params = *params;
  return TRUE;
}

void
tern_compressor_set_budget (TernCompressor *self, TernBudget *budget)
{
  TernBudget *before;

  g_return_if_fail (self != NULL);
  before = self->budget;
  self->budget = budget ? tern_budget_ref (budget) : NULL;
  tern_budget_unref (before);
}

/* How the group is compressed, with what the account leaves of it. */
static TernCompressorParams
group_params (const TernCompressor *self)
{
  TernCompressorParams params = self->params;
  double novelty = -1;          /* nobody says */
  guint most, tokens;

  if (!self->budget)
    return params;
  for (guint f = 0; f < self->n_frames; f++)
    novelty = MAX (novelty, self->frames[f].picture > 0 ? self->frames[f].novelty : -1);
  most = (guint) tern_compressor_bound (&params, self->n_frames, self->frames[0].n_tokens);
  tokens = tern_budget_tokens (self->budget, novelty, self->n_frames, most);
  if (tokens < most)
    params.max_tokens = tokens;
  return params;
}

static void
complete (TernCompressor *self)
{
  gint64 begin = g_get_monotonic_time ();
  guint64 since = self->budget ? tern_budget_thread_time () : 0;
  TernCompressorParams params;
  TernTokenGroup group = { .tokens = self->tokens, .n_frames = self->n_frames, .n_tokens = self->frames[0].n_tokens,
    .dim = self->dim, .main = self->dim / (1 + self->frames[0].deepstack),
    .index = self->frames[0].number / TERN_GROUP_FRAMES, .grid_w = self->frames[0].grid_w, .grid_h = self->frames[0].grid_h };
  guint kept = 0;

  self->params = self->next_params;
  params = group_params (self);
  tern_compress_group_run (&params, &group, self->frames[0].number, self->scratch, self->keep, self->n_keep,
      self->mixed);
  self->ready = TRUE;
  self->popped = 0;

  if (self->budget)
    tern_budget_charge (self->budget, TERN_COST_OTHER, 1, tern_budget_thread_time () - since);
  for (guint f = 0; f < self->n_frames; f++)
    kept += self->n_keep[f];
  g_mutex_lock (&self->lock);
  self->stats.frames += self->n_frames;
  self->stats.groups++;
  self->stats.tokens_in += (guint64) group.n_frames * group.n_tokens;
  self->stats.tokens_kept += kept;
  self->stats.milliseconds += (double) (g_get_monotonic_time () - begin) / 1000;
  g_mutex_unlock (&self->lock);
}

gboolean
tern_compressor_push (TernCompressor *self, const TernTokens *frame, GError **error)
{
  const TernTokens *first = &self->frames[0];
  gsize row = (gsize) self->dim * sizeof (float);

  g_return_val_if_fail (self != NULL && frame != NULL, FALSE);
  if (frame->dim != self->dim) {
    g_set_error (error, TERN_ERROR, TERN_ERROR_MISMATCH, "visual tokens to compress: expected %u numbers each, found %u",
        self->dim, frame->dim);
    return FALSE;
  }
  if (self->dim % (1 + (guint64) frame->deepstack) != 0) {
    g_set_error (error, TERN_ERROR, TERN_ERROR_INVALID, "frame %" G_GUINT64_FORMAT " to compress: expected rows of a token and "
        "features as wide as it, found %u features in %u numbers", frame->number, frame->deepstack, self->dim);
    return FALSE;
  }
  if (frame->keep || frame->n_tokens < 1 || frame->n_tokens > self->max_tokens
      || (guint64) frame->grid_w * frame->grid_h != frame->n_tokens) {
    g_set_error (error, TERN_ERROR, TERN_ERROR_INVALID,
        "frame %" G_GUINT64_FORMAT " to compress: expected a whole grid of 1 to %u tokens, found %u of %u x %u%s",
        frame->number, self->max_tokens, frame->n_tokens, frame->grid_w, frame->grid_h,
        frame->keep ? ", compressed already" : "");
    return FALSE;
  }
  if (!frame->tokens) {
    g_set_error (error, TERN_ERROR, TERN_ERROR_INVALID, "frame %" G_GUINT64_FORMAT " to compress: expected %u tokens, found none",
        frame->number, frame->n_tokens);
    return FALSE;
  }
  if (!tern_tokens_check_numbers (frame, error))
    return FALSE;

  if (self->ready && self->popped == self->n_frames)
    tern_compressor_reset (self);
  if (!self->ready && self->n_frames > 0 && (frame->grid_w != first->grid_w || frame->grid_h != first->grid_h
          || frame->deepstack != first->deepstack
          || frame->number / TERN_GROUP_FRAMES != first->number / TERN_GROUP_FRAMES))
    complete (self);
  if (self->ready) {
    g_set_error (error, TERN_ERROR, TERN_ERROR_BUSY, "a group of %u frames waits to be taken", self->n_frames);
    return FALSE;
  }

  memcpy (self->tokens + self->n_frames * (gsize) frame->n_tokens * self->dim, frame->tokens, frame->n_tokens * row);
  self->frames[self->n_frames++] = *frame;
  if (self->n_frames == TERN_GROUP_FRAMES)
    complete (self);
  return TRUE;
}

void
tern_compressor_drain (TernCompressor *self)
{
  g_return_if_fail (self != NULL);
  if (self->n_frames > 0 && !self->ready)
    complete (self);
}

void
tern_compressor_reset (TernCompressor *self)
{
  g_return_if_fail (self != NULL);
  self->n_frames = self->popped = 0;
  self->ready = FALSE;
}

gboolean
tern_compressor_pop (TernCompressor *self, TernTokens *frame)
{
  guint f = self->popped, n;
  const float *rows;
  const gint32 *keep;

  g_return_val_if_fail (self != NULL && frame != NULL, FALSE);
  if (!self->ready)
    return FALSE;
  if (f == self->n_frames) {
    tern_compressor_reset (self);
    return FALSE;
  }

  n = self->frames[f].n_tokens;
  rows = (tern_compress_group_mixes (&self->params) ? self->mixed : self->tokens) + (gsize) f * n * self->dim;
  keep = self->keep + (gsize) f * n;
  for (guint i = 0; i < self->n_keep[f]; i++)
    memcpy (self->kept + (gsize) i * self->dim, rows + (gsize) keep[i] * self->dim, self->dim * sizeof (float));
  *frame = self->frames[f];
  frame->n_tokens = self->n_keep[f];
  frame->tokens = self->kept;
  frame->keep = self->n_keep[f] == n ? NULL : keep;
  self->popped++;
  return TRUE;
}

void
tern_compressor_stats (TernCompressor *self, TernCompressorStats *stats)
{
  g_return_if_fail (self != NULL && stats != NULL);
  g_mutex_lock (&self->lock);
  *stats = self->stats;
  g_mutex_unlock (&self->lock);
}
