/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a session's timelines, generators and policies take; planned when the session is made. Only a still of many tiles,
 * a longer prompt, further beams or questions let it grow later. */
#include "tern/session-priv.h"

#include "engine/base/mem.h"

guint
tern_session_context_limit (const TernModel *model)
{
  guint made_for = tern_llm_info (tern_model_text (model)->llm)->context;

  return model->context > 0 ? MIN (model->context, made_for) : made_for;
}

/* ---- Prompts ----------------------------------------------------------------------------------------------------- */

TernPromptParts
tern_session_prompt_parts (const TernSession *self, const TernSessionConfig *config, guint question)
{
  return (TernPromptParts) { .family = self->family, .chat = self->text->chat, .tokenizer = self->text->tokenizer,
    .system = config->params.system_prompt, .text = config->questions[question].prompt };
}

void
tern_session_plan_visual (const TernSession *self, guint n_frames, GArray *runs, TernPromptVisual *visual)
{
  guint64 window = self->windower.window;       /* ns */

  g_array_set_size (runs, 0);
  for (guint i = 0; i < n_frames; i++)
    g_array_append_val (runs, ((TernPromptRun) { .time = (guint64) ((double) window / n_frames * i) }));
  *visual = (TernPromptVisual) { (const TernPromptRun *) runs->data, runs->len, TRUE, window };
}

gboolean
tern_session_compile (const TernSession *self, const TernSessionConfig *config, guint question,
    const TernPromptVisual *visual, GArray *ids, GError **error)
{
  gint32 n_vocab = (gint32) tern_llm_info (self->text->llm)->n_vocab;
  TernPromptParts parts = tern_session_prompt_parts (self, config, question);

  if (!tern_prompt_compile (ids, &parts, visual, error))
    return FALSE;
  for (guint i = 0; i < ids->len; i++)
    if (g_array_index (ids, gint32, i) >= n_vocab) {
      g_set_error (error, TERN_ERROR, TERN_ERROR_FORMAT, "%s: expected token ids below %d in the prompt, found %d",
          self->model->path, n_vocab, g_array_index (ids, gint32, i));
      return FALSE;
    }
  return TRUE;
}

/* ---- Caches ------------------------------------------------------------------------------------------------------ */

static void
clear_ask (TernAsk *ask)
{
  g_clear_pointer (&ask->generator, tern_generator_free);
  g_clear_pointer (&ask->dp, tern_dp_free);
  g_clear_pointer (&ask->reader.timeline, tern_timeline_free);
}

/* What was read is lost. */
static void
clear_caches (TernSession *self)
{
  tern_session_forget_readings (self);
  for (guint q = 0; q < self->n_asks; q++) {
    tern_reader_restart (&self->asks[q].reader);
    clear_ask (&self->asks[q]);
  }
  for (guint i = 0; i < self->n_readings; i++)
    g_clear_pointer (&self->readings[i].reader.timeline, tern_timeline_free);
  g_clear_pointer (&self->caches, tern_store_unref);
}

static guint
pages (guint tokens)
{
  return (tokens + TERN_PAGE_ROWS - 1) / TERN_PAGE_ROWS;
}

void
tern_session_take_asks (TernSession *self, guint n)
{
  if (n <= self->n_asks)
    return;
  self->asks = g_renew (TernAsk, self->asks, n);
  for (guint q = self->n_asks; q < n; q++) {
    self->asks[q] = (TernAsk) { .ids = g_array_new (FALSE, FALSE, sizeof (gint32)) };
    tern_reader_init (&self->asks[q].reader);
  }
  self->n_asks = n;
}

/* The prompt of a window that is open has no answer behind it, and so fewer pages than one that is answered. */
static TernStoreParams
plan_store (const TernSession *self, const TernCacheSize *size, const TernGeneratorLimits *limits)
{
  guint others = size->questions - 1;
  /* A fork's first page is a copy of one that is not full. */
  guint tails = others * (pages (size->tail + size->max_tokens) + 1);

  return (TernStoreParams) { .context = size->context, .kv = self->kv, .activations = self->model->activations,
    .timelines = size->questions * (1 + tern_generator_forks (limits)) + self->n_readings,
    .pages = pages (size->context) + self->n_readings * pages (size->prompt) + tails
        + size->questions * tern_generator_pages (limits) };
}

static gboolean
make_caches (TernSession *self, const TernCacheSize *size, GError **error)
{
  const TernLlmInfo *info = tern_llm_info (self->text->llm);
  TernGeneratorLimits limits = { .max_tokens = size->max_tokens, .max_beam = size->beam };
  TernStoreParams params = plan_store (self, size, &limits);

  if (!(self->caches = tern_store_new (self->text->llm, &params, error)))
    return FALSE;
  for (guint q = 0; q < size->questions; q++) {
    TernAsk *ask = &self->asks[q];

    if (!(ask->reader.timeline = tern_timeline_new (self->caches, error))
        || !(ask->generator = tern_generator_new (self->text->llm, self->text->tokenizer, &limits, self->caches, error))
        || !(ask->dp = tern_dp_new (info->n_layers, info->is_attention, size->context, error)))
      return FALSE;
  }
  for (guint i = 0; i < self->n_readings; i++)
    if (!(self->readings[i].reader.timeline = tern_timeline_new (self->caches, error)))
      return FALSE;
  return TRUE;
}

gboolean
tern_session_has_room (const TernSession *self, const TernSessionConfig *config, guint n, GError **error)
{
  guint limit = tern_session_context_limit (self->model), max_tokens = config->params.sampling.max_tokens;

  if (n < limit && max_tokens <= limit - n)
    return TRUE;
  g_set_error (error, TERN_ERROR, TERN_ERROR_NO_SPACE,
      "context of %s: expected at most %u tokens, found %u of the prompt and %u to say; a shorter window, fewer frames,"
      " a higher merge ratio or fewer tokens to say would fit", self->text->name, limit, n, max_tokens);
  return FALSE;
}

gboolean
tern_session_reserve (TernSession *self, const TernSessionConfig *config, guint n, guint tail, GError **error)
{
  const TernSampling *sampling = &config->params.sampling;
  guint limit = tern_session_context_limit (self->model), context = n + sampling->max_tokens;
  TernCacheSize size = self->cache;

  if (!tern_session_has_room (self, config, n, error))
    return FALSE;
  if (context <= size.context && n <= size.prompt && sampling->beam <= size.beam
      && sampling->max_tokens <= size.max_tokens && config->n_questions <= size.questions && tail <= size.tail && self->caches)
    return TRUE;

  clear_caches (self);
  tern_session_take_asks (self, config->n_questions);
  /* Rounded, so that prompts of nearly one length do not each take new caches. */
  size.context = MIN (MAX (pages (context) * TERN_PAGE_ROWS, size.context), limit);
  size.beam = MAX (size.beam, sampling->beam);
  size.max_tokens = MAX (size.max_tokens, sampling->max_tokens);
  size.tail = MAX (size.tail, tail);
  size.prompt = MAX (pages (n) * TERN_PAGE_ROWS, size.prompt);
  size.questions = MAX (size.questions, config->n_questions);
  if (!tern_scheduler_prepare_text (self->model->scheduler, self->text->llm, size.context, self->model->activations,
          error) || !make_caches (self, &size, error)) {
    clear_caches (self);
    return FALSE;
  }
  self->cache = size;
  return TRUE;
}

/* ---- Life -------------------------------------------------------------------------------------------------------- */

/* The longest prompt of @config, and most of one that comes after what all share. */
static gboolean
measure_prompts (TernSession *self, const TernSessionConfig *config, guint *longest, guint *tail, GError **error)
{
  g_autoptr (GArray) first = g_array_new (FALSE, FALSE, sizeof (gint32));
  TernPromptVisual visual;
  guint shared = G_MAXUINT;

  *longest = *tail = 0;
  for (guint q = 0; q < config->n_questions; q++) {
    GArray *ids = q ? self->planned : first;

    tern_session_plan_visual (self, self->max_frames, self->runs, &visual);
    if (!tern_session_compile (self, config, q, &visual, ids, error))
      return FALSE;
    if (q > 0)
      shared = tern_reader_alike (first, ids, MIN (shared, MIN (first->len, ids->len)));
    *longest = MAX (*longest, ids->len);
  }
  if (config->n_questions > 1)
    *tail = *longest - MIN (shared, *longest - 1);
  return TRUE;
}

gboolean
tern_session_plan (TernSession *self, GError **error)
{
  const TernModel *model = self->model;
  g_autofree char *files = model->mmproj_path ? g_strdup_printf ("%s with %s", model->path, model->mmproj_path)
      : g_strdup (model->path);

  return (self->family = tern_prompt_family (model->projector, self->text->tokenizer, files, error))
      && measure_prompts (self, self->config, &self->planned_prompt, &self->planned_tail, error);
}

gboolean
tern_session_prepare (TernSession *self, GError **error)
{
  const TernModel *model = self->model;
  const TernWindowPlan *plan = &self->windower.plan;
  guint n_tokens = self->vision ? tern_vision_info (self->vision)->max_tokens : 0;
  guint n_groups = (self->max_frames + self->group_frames - 1) / self->group_frames;

  self->n_readings = (guint) MIN ((plan->window + plan->hop - 1) / plan->hop, 8);
  self->readings = g_new0 (TernReading, self->n_readings);
  for (guint i = 0; i < self->n_readings; i++)
    tern_reader_init (&self->readings[i].reader);
  return (!self->vision || tern_scheduler_prepare_vision (model->scheduler, self->vision, model->activations, error))
      && (n_tokens == 0 || tern_frame_store_reserve (&self->store, n_groups + 1, n_tokens, error))
      && tern_session_reserve (self, self->config, self->planned_visual + self->planned_prompt, self->planned_tail,
          error);
}

void
tern_session_clear_engine_side (TernSession *self)
{
  if (self->asks || self->readings)
    clear_caches (self);
  for (guint q = 0; q < self->n_asks; q++) {
    g_clear_pointer (&self->asks[q].compiled, tern_session_config_unref);
    g_clear_error (&self->asks[q].error);
    g_array_unref (self->asks[q].ids);
    tern_reader_clear (&self->asks[q].reader);
  }
  for (guint i = 0; i < self->n_readings; i++)
    tern_reader_clear (&self->readings[i].reader);
  g_free (self->asks);
  g_free (self->readings);
  g_clear_pointer (&self->planned_of, tern_session_config_unref);
  tern_frame_store_clear (&self->store);
  tern_mem_free (self->still_tokens);
  g_array_unref (self->planned);
  g_array_unref (self->runs);
  g_array_unref (self->pictures);
  g_array_unref (self->spans);
}
