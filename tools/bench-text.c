/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Reading and saying tokens, by one timeline or by several in the same passes. Which tokens they are does not matter to the
 * time. */
#include "engine/llm/cost.h"
#include "engine/llm/pass.h"
#include "tern/error.h"
#include "tools/bench.h"

/* What the figures of one model share. */
typedef struct {
  gatomicrefcount refs;
  const TernBenchPlan *plan;
  TernLlm *llm;
  TernStore *store;
  TernPass *pass;
  TernKvType kv;
  gint32 *ids;                  /* [context] */
  float *logits;                /* [sessions, n_vocab] */
} Text;

typedef struct {
  TernFigure parent;
  Text *text;
  GPtrArray *bases;             /* of TernTimeline: each has read @depth tokens of its own; decode alone */
  GPtrArray *timelines;         /* that go on from there */
} TextFigure;

static void
text_unref (Text *text)
{
  if (!g_atomic_ref_count_dec (&text->refs))
    return;
  tern_pass_free (text->pass);
  g_clear_pointer (&text->store, tern_store_unref);
  tern_llm_unref (text->llm);
  g_free (text->ids);
  g_free (text->logits);
  g_free (text);
}

static void
text_figure_clear (TernFigure *figure)
{
  TextFigure *self = (TextFigure *) figure;

  g_ptr_array_unref (self->bases);
  g_ptr_array_unref (self->timelines);
  text_unref (self->text);
}

/* ---- Runs -------------------------------------------------------------------------------------------------------- */

/* @n more tokens of @timeline in as many rows as a pass takes. */
static gboolean
read_prompt (Text *text, TernTimeline *timeline, guint n, TernLogits want, GError **error)
{
  for (guint left = n; left > 0;) {
    TernSegment segment = { .timeline = timeline, .n = MIN (left, tern_pass_rows (text->pass)), .logits = text->logits };
    guint at = tern_timeline_pos (timeline);
    float *rows;

    left -= segment.n;
    segment.want = left ? TERN_LOGITS_NONE : want;
    tern_pass_begin (text->pass);
    if (!(rows = tern_pass_add (text->pass, &segment, error)))
      return FALSE;
    tern_llm_embed (text->llm, text->ids + at, segment.n, rows, tern_llm_info (text->llm)->width);
    if (!tern_pass_run (text->pass, error))
      return FALSE;
  }
  return TRUE;
}

/* One token of each timeline in one pass. */
static gboolean
say (TextFigure *self, GError **error)
{
  Text *text = self->text;
  const TernLlmInfo *info = tern_llm_info (text->llm);

  tern_pass_begin (text->pass);
  for (guint i = 0; i < self->timelines->len; i++) {
    TernSegment segment = { .timeline = self->timelines->pdata[i], .n = 1, .decode = TRUE, .want = TERN_LOGITS_LAST,
      .logits = text->logits + (gsize) i * info->n_vocab };
    guint at = tern_timeline_pos (segment.timeline);
    float *row = tern_pass_add (text->pass, &segment, error);

    if (!row)
      return FALSE;
    tern_llm_embed (text->llm, text->ids + at, 1, row, info->width);
  }
  return tern_pass_run (text->pass, error);
}

static gboolean
run_prefill (TernFigure *figure, GError **error)
{
  TextFigure *self = (TextFigure *) figure;
  TernTimeline *timeline = self->timelines->pdata[0];
  gint64 start;

  tern_timeline_reset (timeline);
  start = g_get_monotonic_time ();
  if (!read_prompt (self->text, timeline, figure->tokens, TERN_LOGITS_LAST, error))
    return FALSE;
  figure->seconds = MAX (g_get_monotonic_time () - start, 1) / 1e6;
  return TRUE;
}

/* The first token after the fork is not timed: it copies what is written to. */
static gboolean
run_decode (TernFigure *figure, GError **error)
{
  TextFigure *self = (TextFigure *) figure;
  gint64 start;

  for (guint i = 0; i < self->timelines->len; i++)
    tern_timeline_fork (self->timelines->pdata[i], self->bases->pdata[i]);
  if (!say (self, error))
    return FALSE;
  start = g_get_monotonic_time ();
  for (guint step = 0; step < figure->tokens; step++)
    if (!say (self, error))
      return FALSE;
  figure->seconds = MAX (g_get_monotonic_time () - start, 1) / 1e6;
  return TRUE;
}

/* ---- Figures ----------------------------------------------------------------------------------------------------- */

static gboolean
add_timelines (Text *text, GPtrArray *timelines, guint n, guint depth, GError **error)
{
  for (guint i = 0; i < n; i++) {
    TernTimeline *timeline = tern_timeline_new (text->store, error);

    if (!timeline)
      return FALSE;
    g_ptr_array_add (timelines, timeline);
    if (!read_prompt (text, timeline, depth, TERN_LOGITS_NONE, error))
      return FALSE;
  }
  return TRUE;
}

static TextFigure *
add_figure (GPtrArray *figures, Text *text, const char *name, guint sessions, GError **error)
{
  TextFigure *self = g_new0 (TextFigure, 1);

  self->parent = (TernFigure) { .name = name, .unit = "tokens/s", .clear = text_figure_clear, .sessions = sessions };
  g_atomic_ref_count_inc (&text->refs);
  self->text = text;
  self->bases = g_ptr_array_new_with_free_func ((GDestroyNotify) tern_timeline_free);
  self->timelines = g_ptr_array_new_with_free_func ((GDestroyNotify) tern_timeline_free);
  g_ptr_array_add (figures, self);
  return add_timelines (text, self->timelines, sessions, 0, error) ? self : NULL;
}

static gboolean
add_prefill (GPtrArray *figures, Text *text, GError **error)
{
  guint n = text->plan->prefill;
  TextFigure *self = add_figure (figures, text, "prefill", 1, error);
  TernLlmWork work = { .timelines = 1, .rows = n, .heads = 1, .kv = text->kv };

  if (!self)
    return FALSE;
  self->parent.run = run_prefill;
  self->parent.what = g_strdup_printf ("%u tokens", n);
  self->parent.amount = self->parent.tokens = n;
  tern_llm_cost (text->llm, &work, &self->parent.cost);
  return TRUE;
}

/* @sessions timelines that say plan->decode tokens each after @depth others. */
static TernFigure *
add_decode (GPtrArray *figures, Text *text, const char *name, guint depth, guint sessions, GError **error)
{
  guint steps = text->plan->decode;
  TextFigure *self = add_figure (figures, text, name, sessions, error);
  TernLlmWork work = { .timelines = sessions, .rows = 1, .depth = depth + 1 + (steps - 1) / 2.0, .heads = sessions,
    .kv = text->kv };
  TernCost *cost;

  if (!self || !add_timelines (text, self->bases, sessions, depth, error))
    return NULL;
  self->parent.run = run_decode;
  self->parent.what = sessions == 1 ? g_strdup_printf ("%u tokens after %u", steps, depth)
      : g_strdup_printf ("%u sessions, %u tokens each after %u", sessions, steps, depth);
  self->parent.amount = (double) steps * sessions;
  self->parent.tokens = steps;
  self->parent.depth = depth;
  cost = &self->parent.cost;
  tern_llm_cost (text->llm, &work, cost);
  *cost = (TernCost) { steps * cost->bytes, steps * cost->i8, steps * cost->f32, steps * cost->bf16 };
  return &self->parent;
}

static gboolean
add_all (GPtrArray *figures, Text *text, GError **error)
{
  const TernBenchPlan *plan = text->plan;
  TernFigure *one = NULL, *many;

  if (plan->prefill && !add_prefill (figures, text, error))
    return FALSE;
  if (plan->decode && !(one = add_decode (figures, text, "decode", plan->prefill, 1, error)))
    return FALSE;
  if (plan->decode && plan->depth && !(one = add_decode (figures, text, "decode_at_depth", plan->depth, 1, error)))
    return FALSE;
  if (one && plan->sessions > 1) {
    if (!(many = add_decode (figures, text, "decode_sessions", one->depth, plan->sessions, error)))
      return FALSE;
    many->single = one;
  }
  return TRUE;
}

/* ---- Memory ------------------------------------------------------------------------------------------------------ */

static guint
count_pages (guint tokens)
{
  return (tokens + TERN_PAGE_ROWS - 1) / TERN_PAGE_ROWS;
}

/* Adds @n pairs of timelines, of which one has read @depth tokens and the other says more. */
static void
add_pairs (TernStoreParams *store, guint n, guint depth, guint decode)
{
  store->timelines += 2 * n;
  store->pages += n * (count_pages (depth) + count_pages (decode) + 1);
}

static void
plan_store (const TernBenchPlan *plan, TernStoreParams *store)
{
  guint said = plan->decode + 1, deepest = plan->depth ? plan->depth : plan->prefill;

  *store = (TernStoreParams) { .context = MAX (plan->prefill, plan->depth) + said, .timelines = 1, .kv = plan->kv,
    .pages = count_pages (plan->prefill) + 1 };
  add_pairs (store, 1, plan->prefill, said);
  if (plan->depth)
    add_pairs (store, 1, plan->depth, said);
  if (plan->sessions > 1)
    add_pairs (store, plan->sessions, deepest, said);
}

static gboolean
check_plan (const TernLlm *llm, const TernStoreParams *store, const char *source, GError **error)
{
  guint most = tern_llm_info (llm)->context;
  guint64 bytes = tern_store_bytes (llm, store), available = tern_machine_available ();

  if (store->context > most) {
    g_set_error (error, TERN_ERROR, TERN_ERROR_INVALID, "--prefill, --depth, --decode: expected at most the %u tokens "
        "that %s was made for, found %u", most, source, store->context);
    return FALSE;
  }
  if (bytes <= available)
    return TRUE;
  g_set_error (error, TERN_ERROR, TERN_ERROR_NO_SPACE, "%s: %u timelines of up to %u tokens need %" G_GUINT64_FORMAT
      " MB of memory, %" G_GUINT64_FORMAT " are there", source, store->timelines, store->context, bytes >> 20,
      available >> 20);
  return FALSE;
}

/* Its rows are as many as there are in others, or one for each session. */
static gboolean
make_pass (Text *text, guint context, GError **error)
{
  TernPassParams params = { .context = context };

  text->pass = tern_pass_new (text->llm, &params, text->plan->pool, error);
  if (!text->pass || tern_pass_rows (text->pass) >= text->plan->sessions)
    return text->pass != NULL;
  params.rows = text->plan->sessions;
  tern_pass_free (text->pass);
  return (text->pass = tern_pass_new (text->llm, &params, text->plan->pool, error)) != NULL;
}

gboolean
tern_text_figures_add (GPtrArray *figures, const TernBenchPlan *plan, TernLlm *llm, TernKvType *kv, GError **error)
{
  Text *text = g_new0 (Text, 1);
  TernStoreParams store;
  guint n_vocab = tern_llm_info (llm)->n_vocab;
  gboolean good;

  plan_store (plan, &store);
  g_atomic_ref_count_init (&text->refs);
  text->plan = plan;
  text->llm = tern_llm_ref (llm);
  *kv = text->kv = tern_store_kv_type (llm, &store);
  text->ids = g_new (gint32, store.context);
  text->logits = g_new (float, (gsize) plan->sessions * n_vocab);
  for (guint i = 0; i < store.context; i++)
    text->ids[i] = (i * 7919u + 13) % n_vocab;
  good = check_plan (llm, &store, plan->source, error) && (text->store = tern_store_new (llm, &store, error))
      && make_pass (text, store.context, error) && add_all (figures, text, error);
  text_unref (text);
  return good;
}

double
tern_text_token_bytes (const TernLlm *llm)
{
  TernLlmWork work = { .timelines = 1, .rows = 1, .heads = 1, .kv = TERN_KV_F16 };
  TernCost cost = { 0 };

  tern_llm_cost (llm, &work, &cost);
  return cost.bytes;
}
