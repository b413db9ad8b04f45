/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "engine/llm/evict.h"

#include <math.h>
#include <string.h>

#include "engine/llm/blocks/attend.h"
#include "tern/error.h"

/* ---- What there is ----------------------------------------------------------------------------------------------- */

static gboolean
is_fixed (const TernBlock *block)
{
  TernKvCache cache;

  return block && block->klass->page && !tern_attention_cache (block, NULL, 0, &cache);
}

gboolean
tern_evict_check (const TernLlm *llm, GError **error)
{
  for (guint i = 0; i < llm->info.n_layers; i++)
    if (is_fixed (llm->layers[i].mixer) || is_fixed (llm->layers[i].ffn)) {
      g_set_error (error, TERN_ERROR, TERN_ERROR_UNSUPPORTED, "%s: expected layers whose keys can be moved, found layer %u",
          tern_gguf_path (llm->file), i);
      return FALSE;
    }
  return TRUE;
}

#define SYSTEM_PAGE 4096

void
tern_evict_touch (TernStore *store)
{
  const TernPages *pages = &store->pages;

  for (guint i = 0; i < pages->n_free; i++)
    for (gsize at = 0; at < pages->bytes; at += SYSTEM_PAGE)
      *(volatile guint8 *) (tern_pages_at (pages, pages->free[i]) + at) = 0;
}

/* The cache of @layer; FALSE: it is no attention layer. */
static gboolean
cache_of (const TernTimeline *timeline, guint layer, TernKvCache *cache)
{
  const TernStore *store = timeline->store;

  return tern_attention_cache (store->llm->layers[layer].mixer, timeline, store->places[layer].mixer_page, cache);
}

/* ---- Scratch ----------------------------------------------------------------------------------------------------- */

typedef struct {
  float *angles;                /* [TERN_PAGE_ROWS, rope->dim] */
  float *spare;                 /* [head_dim] */
} Scratch;

static gsize
lay_out (const TernLlm *llm, void *memory, Scratch *scratch)
{
  TernArena arena = { .base = memory };

  scratch->angles = tern_plan_take (&arena, TERN_PAGE_ROWS, llm->rope.dim, sizeof (float));
  scratch->spare = tern_plan_take (&arena, 1, llm->info.head_dim, sizeof (float));
  return arena.used;
}

gsize
tern_evict_scratch_bytes (const TernLlm *llm)
{
  Scratch scratch;

  return lay_out (llm, NULL, &scratch);
}

/* Cosines and sines of a move by @by; of a pure turn, whatever magnitude positions have. In double, as positions are. */
static void
angles_of (const TernRope *rope, TernPlace by, float *angles)
{
  const gint32 axes[TERN_N_AXES] = { [TERN_AXIS_T] = by.t, [TERN_AXIS_H] = by.h, [TERN_AXIS_W] = by.w };
  guint half = rope->dim / 2;

  for (guint i = 0; i < half; i++) {
    double sine, cosine;

    sincos ((double) axes[rope->axis ? rope->axis[i] : TERN_AXIS_T] * rope->frequency[i], &sine, &cosine);
    angles[i] = (float) cosine;
    angles[half + i] = (float) sine;
  }
}

/* ---- Moving ------------------------------------------------------------------------------------------------------ */

/* Rows of one page to be. */
typedef struct {
  const gint32 *from;           /* [n] positions */
  const TernMoves *moves;       /* NULL: a position is the place */
  guint first, n;               /* where they go */
  guint32 was, to;              /* page that is there, and will be */
} Page;

static Page
page_of (const TernTimeline *timeline, const gint32 *keep, guint n, const TernMoves *moves, guint i)
{
  guint first = i * TERN_PAGE_ROWS;
  guint32 was = timeline->table.page[i];

  return (Page) { keep + first, moves, first, MIN (TERN_PAGE_ROWS, n - first), was, was };
}

/* How far row @r of it goes. */
static TernPlace
move_of (const Page *page, guint r)
{
  gint32 by = (gint32) (page->first + r) - page->from[r];
  const TernPlace *was, *to;

  if (!page->moves)
    return (TernPlace) { by, by, by };
  was = &page->moves->was[page->from[r]];
  to = &page->moves->to[page->first + r];
  return (TernPlace) { to->t - was->t, to->h - was->h, to->w - was->w };
}

static inline gboolean
is_alike (TernPlace a, TernPlace b)
{
  return a.t == b.t && a.h == b.h && a.w == b.w;
}

static gboolean
row_stays (const Page *page, guint r)
{
  return (guint) page->from[r] == page->first + r && is_alike (move_of (page, r), (TernPlace) { 0 });
}

/* Nothing in it changes: it stays, shared or not. */
static gboolean
stays (const Page *page)
{
  guint r = page->n;

  while (r > 0 && row_stays (page, r - 1))
    r--;
  return r == 0;
}

guint
tern_timeline_keep_pages (const TernTimeline *self, const gint32 *keep, guint n, const TernMoves *moves)
{
  guint needs = 0;

  for (guint i = 0; i * TERN_PAGE_ROWS < n; i++) {
    Page page = page_of (self, keep, n, moves, i);

    needs += !stays (&page) && tern_pages_is_shared (self->table.pages, page.was);
  }
  return needs;
}

/* Angles of each row's move; the runs of rows that move alike have the same. */
static void
turn_of_page (const TernTimeline *self, const Page *page, Scratch *scratch)
{
  const TernRope *rope = &self->store->llm->rope;

  for (guint r = 0; r < page->n; r++) {
    float *angles = scratch->angles + (gsize) r * rope->dim;
    TernPlace by = move_of (page, r);

    if (r > 0 && is_alike (by, move_of (page, r - 1)))
      memcpy (angles, angles - rope->dim, rope->dim * sizeof (float));
    else
      angles_of (rope, by, angles);
  }
}

/* Rows come from this page or later ones, which are as they were: each goes to a place at or before its own. */
static void
fill_page (const TernTimeline *self, const Page *page, const Scratch *scratch)
{
  const TernPages *pages = self->table.pages;
  guint dim = self->store->llm->rope.dim;
  TernKvCache cache;

  for (guint layer = 0; layer < self->store->llm->info.n_layers; layer++) {
    if (!cache_of (self, layer, &cache))
      continue;
    for (guint r = 0; r < page->n; r++) {
      guint from = (guint) page->from[r];
      guint32 source = from / TERN_PAGE_ROWS == page->first / TERN_PAGE_ROWS ? page->was
          : self->table.page[from / TERN_PAGE_ROWS];
      TernKvMove move = { tern_pages_at (pages, page->to), tern_pages_at (pages, source), r, from % TERN_PAGE_ROWS,
        row_stays (page, r) ? NULL : scratch->angles + (gsize) r * dim, dim };

      tern_kvcache_move (&cache, self->store->llm->kernels, &move, scratch->spare);
    }
  }
}

gboolean
tern_timeline_keep (TernTimeline *self, const gint32 *keep, guint n, const TernMoves *moves, void *memory, GError **error)
{
  TernPages *pages = self->table.pages;
  Scratch scratch;
  guint needs;

  g_return_val_if_fail (n == 0 || (guint) keep[n - 1] < self->table.n, FALSE);
  g_return_val_if_fail (!moves == !self->store->llm->info.has_places, FALSE);
  needs = tern_timeline_keep_pages (self, keep, n, moves);
  if (self->torn) {
    g_set_error_literal (error, TERN_ERROR, TERN_ERROR_INVALID, "language model: expected a timeline that was not cancelled "
        "to forget some of, found one that was");
    return FALSE;
  }
  if (needs > pages->n_free) {
    g_set_error (error, TERN_ERROR, TERN_ERROR_NO_SPACE, "pages of keys and values: expected %u that are free, found %u",
        needs, pages->n_free);
    return FALSE;
  }
  tern_timeline_forget_trail (self);
  lay_out (self->store->llm, memory, &scratch);
  for (guint i = 0; i * TERN_PAGE_ROWS < n; i++) {
    Page page = page_of (self, keep, n, moves, i);

    if (stays (&page))
      continue;
    if (tern_pages_is_shared (pages, page.was))
      page.to = tern_pages_take (pages);
    turn_of_page (self, &page, &scratch);
    fill_page (self, &page, &scratch);
    self->table.page[i] = page.to;
    if (page.to != page.was)
      tern_pages_unref (pages, page.was);
  }
  self->place = moves ? moves->next : self->place - (self->table.n - n);       /* each row that left had one */
  tern_page_table_cut (&self->table, n);
  return TRUE;
}

/* ---- Looking ----------------------------------------------------------------------------------------------------- */

guint
tern_evict_kv_width (const TernLlm *llm, guint layer)
{
  TernKvCache cache;

  return tern_attention_cache (llm->layers[layer].mixer, NULL, 0, &cache) ? cache.n_kv * cache.head_dim : 0;
}

void
tern_timeline_read_keys (const TernTimeline *self, guint layer, guint first, guint n, const TernPlace *places, float *rows,
    void *memory)
{
  const TernRope *rope = &self->store->llm->rope;
  TernKvCache cache;
  Scratch scratch;

  g_return_if_fail (first + n <= self->table.n && cache_of (self, layer, &cache));
  g_return_if_fail (!places == !self->store->llm->info.has_places);
  lay_out (self->store->llm, memory, &scratch);
  for (guint pos = first; pos < first + n; pos++) {
    TernPlace back = places ? places[pos - first] : (TernPlace) { (gint32) pos, (gint32) pos, (gint32) pos };

    angles_of (rope, (TernPlace) { -back.t, -back.h, -back.w }, scratch.angles);
    for (guint head = 0; head < cache.n_kv; head++, rows += cache.head_dim) {
      tern_kvcache_get (&cache, self->store->llm->kernels, TERN_KV_KEYS, head, pos, rows);
      self->store->llm->kernels->rope (rows, scratch.angles, rope->dim);
    }
  }
}

void
tern_timeline_read_values (const TernTimeline *self, guint layer, guint first, guint n, float *rows)
{
  TernKvCache cache;

  g_return_if_fail (first + n <= self->table.n && cache_of (self, layer, &cache));
  for (guint pos = first; pos < first + n; pos++)
    for (guint head = 0; head < cache.n_kv; head++, rows += cache.head_dim)
      tern_kvcache_get (&cache, self->store->llm->kernels, TERN_KV_VALUES, head, pos, rows);
}
