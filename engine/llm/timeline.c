/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "engine/llm/timeline.h"

#include <string.h>

#include "engine/llm/blocks/blocks.h"
#include "engine/llm/kvcache.h"
#include "engine/llm/model.h"
#include "tern/error.h"

#define FLOAT_CONTEXT 1024      /* tokens that are kept as floats unless asked otherwise: see llm.h */

/* ---- Plan -------------------------------------------------------------------------------------------------------- */

typedef struct {
  TernKvType kv;
  guint context, timelines, pages, guesses;
  gsize page_bytes, state_bytes;
} Plan;

/* The place of a part of @bytes behind *@total; sizes come from files: a sum that is too large stays so. */
static gsize
place (gsize *total, gsize bytes)
{
  gsize at = *total;

  if (at > G_MAXSSIZE / 2 || bytes > G_MAXSSIZE / 2)
    *total = G_MAXSSIZE;
  else
    *total = at + tern_align_up (bytes);
  return at;
}

static gsize
page_bytes (const TernBlock *block, TernKvType kv)
{
  return block && block->klass->page ? block->klass->page (block, kv) : 0;
}

guint
tern_block_state (const TernBlock *block, TernStatePart parts[TERN_STATE_PARTS])
{
  return block && block->klass->state ? block->klass->state (block, parts) : 0;
}

gsize
tern_state_bytes (const TernStatePart *parts, guint n)
{
  gsize total = 0;

  for (guint i = 0; i < n; i++) {
    guint64 floats = (guint64) parts[i].rows * parts[i].cols;

    place (&total, floats > G_MAXSSIZE / sizeof (float) ? G_MAXSSIZE : floats * sizeof (float));
  }
  return total;
}

static gsize
state_bytes (const TernBlock *block)
{
  TernStatePart parts[TERN_STATE_PARTS];

  return tern_state_bytes (parts, tern_block_state (block, parts));
}

/* @places [n_layers] or NULL. */
static Plan
make_plan (const TernLlm *llm, const TernStoreParams *params, TernLayerPlace *places)
{
  Plan plan = { .kv = params->kv, .context = params->context ? params->context : llm->info.context };
  guint64 pages;

  plan.timelines = MAX (params->timelines, 1);
  plan.guesses = params->guesses;
  if (plan.kv == TERN_KV_AUTO)
    plan.kv = params->activations == TERN_ACTIVATIONS_F32 || plan.context <= FLOAT_CONTEXT ? TERN_KV_F32 : TERN_KV_F16;
  for (guint i = 0; i < llm->info.n_layers; i++) {
    const TernLayer *layer = &llm->layers[i];
    TernLayerPlace at;

    at.mixer_page = place (&plan.page_bytes, page_bytes (layer->mixer, plan.kv));
    at.ffn_page = place (&plan.page_bytes, page_bytes (layer->ffn, plan.kv));
    at.mixer_state = place (&plan.state_bytes, state_bytes (layer->mixer));
    at.ffn_state = place (&plan.state_bytes, state_bytes (layer->ffn));
    if (places)
      places[i] = at;
  }
  pages = (guint64) plan.timelines * (plan.context / TERN_PAGE_ROWS + (plan.context % TERN_PAGE_ROWS > 0));
  plan.pages = (guint) MIN (params->pages ? params->pages : pages, G_MAXUINT32 - 1);
  return plan;
}

/* Pages that one timeline may have. */
static gsize
table_bytes (guint context)
{
  return ((gsize) context / TERN_PAGE_ROWS + 1) * sizeof (guint32);
}

gsize
tern_store_bytes (const TernLlm *llm, const TernStoreParams *params)
{
  Plan plan = make_plan (llm, params, NULL);
  gsize pages = tern_pages_size (plan.page_bytes, plan.pages);
  gsize states = tern_pages_size (plan.state_bytes, plan.timelines + plan.guesses);

  if (pages > G_MAXSSIZE / 2 || states > G_MAXSSIZE / 2)
    return G_MAXSSIZE;
  return pages + states + sizeof (TernStore) + llm->info.n_layers * sizeof (TernLayerPlace)
      + plan.timelines * (sizeof (TernTimeline) + table_bytes (plan.context));
}

TernKvType
tern_store_kv_type (const TernLlm *llm, const TernStoreParams *params)
{
  return make_plan (llm, params, NULL).kv;
}

/* ---- Stores ------------------------------------------------------------------------------------------------------ */

gboolean
tern_store_check (const TernLlm *llm, const TernStoreParams *params, GError **error)
{
  if (params->context > llm->info.context) {
    g_set_error (error, TERN_ERROR, TERN_ERROR_INVALID, "context: expected at most %u tokens, which %s was made for, "
        "found %u", llm->info.context, tern_gguf_path (llm->file), params->context);
    return FALSE;
  }
  if (llm->info.n_attention == 0 || tern_kv_check (params->kv, llm->info.head_dim, error))
    return TRUE;
  g_prefix_error (error, "%s: ", tern_gguf_path (llm->file));
  return FALSE;
}

TernStore *
tern_store_new (TernLlm *llm, const TernStoreParams *params, GError **error)
{
  g_autoptr (TernStore) self = NULL;
  Plan plan;

  g_return_val_if_fail (llm->usable, NULL);
  if (!tern_store_check (llm, params, error))
    return NULL;
  self = g_new0 (TernStore, 1);
  g_atomic_ref_count_init (&self->ref_count);
  self->llm = tern_llm_ref (llm);
  self->places = g_new (TernLayerPlace, llm->info.n_layers);
  plan = make_plan (llm, params, self->places);
  self->kv = plan.kv;
  self->context = plan.context;
  self->max_timelines = plan.timelines;
  self->max_trail = plan.guesses;
  if (!tern_pages_init (&self->pages, plan.page_bytes, plan.pages, "keys and values of the language model", error)
      || !tern_pages_init (&self->states, plan.state_bytes, plan.timelines, "states of the language model", error))
    return NULL;
  return g_steal_pointer (&self);
}

TernStore *
tern_store_ref (TernStore *self)
{
  g_atomic_ref_count_inc (&self->ref_count);
  return self;
}

void
tern_store_unref (TernStore *self)
{
  if (!self || !g_atomic_ref_count_dec (&self->ref_count))
    return;
  tern_pages_clear (&self->pages);
  tern_pages_clear (&self->states);
  g_free (self->places);
  tern_llm_unref (self->llm);
  g_free (self);
}

gboolean
tern_store_grow (TernStore *self, guint timelines, guint pages, guint guesses, GError **error)
{
  if (!tern_pages_grow (&self->states, timelines, "states of the language model", error))
    return FALSE;
  self->max_timelines += timelines;
  self->max_trail += guesses;
  return tern_pages_grow (&self->pages, pages, "keys and values of the language model", error);
}

guint
tern_store_free_pages (const TernStore *self)
{
  return self->pages.n_free;
}

guint
tern_store_free_guesses (const TernStore *self)
{
  return self->max_trail - self->n_trail;
}

guint
tern_store_context (const TernStore *self)
{
  return self->context;
}

TernKvType
tern_store_kv (const TernStore *self)
{
  return self->kv;
}

/* ---- Timelines --------------------------------------------------------------------------------------------------- */

TernTimeline *
tern_timeline_new (TernStore *store, GError **error)
{
  TernTimeline *self;

  if (store->n_timelines == store->max_timelines) {
    g_set_error (error, TERN_ERROR, TERN_ERROR_NO_SPACE, "timelines: expected at most %u of this store, found one more",
        store->max_timelines);
    return NULL;
  }
  self = g_new0 (TernTimeline, 1);
  self->store = tern_store_ref (store);
  self->table = (TernPageTable) { .pages = &store->pages, .rows = TERN_PAGE_ROWS,
    .page = g_malloc (table_bytes (store->context)) };
  self->state = TERN_NO_PAGE;
  store->n_timelines++;
  return self;
}

void
tern_timeline_free (TernTimeline *self)
{
  if (!self)
    return;
  tern_timeline_reset (self);
  self->store->n_timelines--;
  g_free (self->table.page);
  tern_store_unref (self->store);
  g_free (self);
}

void
tern_timeline_forget_trail (TernTimeline *self)
{
  for (guint i = 0; i < self->n_trail; i++)
    tern_pages_unref (&self->store->states, self->trail[i]);
  self->store->n_trail -= self->n_trail;
  self->n_trail = 0;
}

void
tern_timeline_reset (TernTimeline *self)
{
  tern_timeline_forget_trail (self);
  tern_page_table_cut (&self->table, 0);
  tern_pages_unref (&self->store->states, self->state);
  self->state = TERN_NO_PAGE;
  self->place = 0;
  self->torn = FALSE;
}

void
tern_timeline_fork (TernTimeline *self, const TernTimeline *from)
{
  g_return_if_fail (self->store == from->store);

  if (self == from)
    return;
  tern_timeline_forget_trail (self);
  tern_page_table_fork (&self->table, &from->table);
  tern_pages_unref (&self->store->states, self->state);
  self->state = from->state;
  if (self->state != TERN_NO_PAGE)
    tern_pages_ref (&self->store->states, self->state);
  self->place = from->place;
  self->torn = from->torn;
}

void
tern_timeline_cut (TernTimeline *self, guint keep)
{
  guint rows = self->n_trail + 1;       /* of the segment */

  g_return_if_fail (keep > 0 && keep <= rows);

  if (keep < rows) {
    guint32 *state = &self->trail[keep - 1], last = self->state;

    self->state = *state;
    *state = last;
    tern_page_table_cut (&self->table, self->table.n - (rows - keep));
    self->place -= rows - keep; /* decode segments are text */
  }
  tern_timeline_forget_trail (self);
}

/* There is a state for each timeline beside those of trails, so one that a fork shares leaves another free. */
static void
own_state (TernTimeline *self)
{
  TernPages *states = &self->store->states;
  guint32 before = self->state;

  if (before != TERN_NO_PAGE && !tern_pages_is_shared (states, before))
    return;
  self->state = tern_pages_take (states);
  if (before == TERN_NO_PAGE) {
    memset (tern_pages_at (states, self->state), 0, states->bytes);
  } else {
    memcpy (tern_pages_at (states, self->state), tern_pages_at (states, before), states->bytes);
    tern_pages_unref (states, before);
  }
}

/* There are states for all timelines, and for @n more rows between which one is kept. */
static gboolean
reserve_trail (TernStore *store, guint n, GError **error)
{
  guint needs = store->max_timelines + store->n_trail + n;

  return needs <= store->states.n
      || tern_pages_grow (&store->states, needs - store->states.n, "states of the language model between guesses", error);
}

/* States that no timeline has yet. */
static void
take_trail (TernTimeline *self, guint n)
{
  for (guint i = 0; i < n; i++)
    self->trail[i] = tern_pages_take (&self->store->states);
  self->n_trail = n;
  self->store->n_trail += n;
}

gboolean
tern_timeline_extend (TernTimeline *self, guint n, gboolean trail, GError **error)
{
  tern_timeline_forget_trail (self);
  if (self->torn) {
    g_set_error_literal (error, TERN_ERROR, TERN_ERROR_INVALID, "language model: expected a timeline that was reset "
        "after cancelling, found one that was not");
    return FALSE;
  }
  if (n > self->store->context - self->table.n) {
    g_set_error (error, TERN_ERROR, TERN_ERROR_NO_SPACE, "context: expected at most %u tokens, found %u and %u more",
        self->store->context, self->table.n, n);
    return FALSE;
  }
  if (trail && n - 1 > MIN (TERN_GUESS_MAX, tern_store_free_guesses (self->store))) {
    g_set_error (error, TERN_ERROR, TERN_ERROR_NO_SPACE, "states of the language model: expected a segment of at most %u rows, "
        "found %u", MIN (TERN_GUESS_MAX, tern_store_free_guesses (self->store)) + 1, n);
    return FALSE;
  }
  if (trail && !reserve_trail (self->store, n - 1, error))
    return FALSE;
  if (!tern_page_table_append (&self->table, n)) {
    g_set_error (error, TERN_ERROR, TERN_ERROR_NO_SPACE, "pages of keys and values: expected at most %u in use, found "
        "%u more needed", self->store->pages.n, tern_page_table_needs (&self->table, n) - self->store->pages.n_free);
    return FALSE;
  }
  own_state (self);
  if (trail)
    take_trail (self, n - 1);
  return TRUE;
}

guint
tern_timeline_free_guesses (const TernTimeline *self)
{
  return tern_store_free_guesses (self->store);
}

guint
tern_timeline_pos (const TernTimeline *self)
{
  return self->table.n;
}

guint
tern_timeline_place (const TernTimeline *self)
{
  return self->place;
}

guint
tern_timeline_context (const TernTimeline *self)
{
  return self->store->context;
}

gboolean
tern_timeline_is_torn (const TernTimeline *self)
{
  return self->torn;
}

void
tern_timeline_set_policy (TernTimeline *self, const TernKeyPolicy *policy)
{
  self->policy = policy;
}

const TernKeyPolicy *
tern_timeline_policy (const TernTimeline *self)
{
  return self->policy;
}

/* ---- Looking at them --------------------------------------------------------------------------------------------- */

const float *
tern_timeline_key (const TernTimeline *self, guint layer, guint head, guint pos)
{
  return tern_attention_row (self->store->llm->layers[layer].mixer, self, self->store->places[layer].mixer_page, FALSE,
      head, pos);
}

const float *
tern_timeline_value (const TernTimeline *self, guint layer, guint head, guint pos)
{
  return tern_attention_row (self->store->llm->layers[layer].mixer, self, self->store->places[layer].mixer_page, TRUE,
      head, pos);
}

/* Where the part @name of a block's state begins in it. */
static gboolean
find_part (const TernBlock *block, const char *name, gsize *at, gsize *n)
{
  TernStatePart parts[TERN_STATE_PARTS];
  guint n_parts = tern_block_state (block, parts);

  for (guint i = 0; i < n_parts; i++)
    if (g_str_equal (parts[i].name, name)) {
      *at = tern_state_bytes (parts, i);
      *n = (gsize) parts[i].rows * parts[i].cols;
      return TRUE;
    }
  return FALSE;
}

const float *
tern_timeline_state (const TernTimeline *self, guint layer, const char *name, gsize *n)
{
  const TernLayer *blocks = &self->store->llm->layers[layer];
  const TernLayerPlace *places = &self->store->places[layer];
  gsize begin = places->mixer_state, at;

  if (self->state == TERN_NO_PAGE)
    return NULL;
  if (!find_part (blocks->mixer, name, &at, n)) {
    begin = places->ffn_state;
    if (!find_part (blocks->ffn, name, &at, n))
      return NULL;
  }
  return (const float *) (tern_pages_at (&self->store->states, self->state) + begin + at);
}
