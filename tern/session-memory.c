/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a session's timelines, generators and policies take; planned when the session is made. Only a still of many tiles,
 * a longer prompt, further beams or questions let it grow later. */
#include "tern/session-priv.h"

#include "engine/base/mem.h"
#include "engine/decode/thought.h"
#include "engine/llm/evict.h"

guint
tern_session_context_limit (const TernModel *model)
{
  guint made_for = tern_llm_info (tern_model_text (model)->llm)->context;

  return model->context > 0 ? MIN (model->context, made_for) : made_for;
}

/* ---- Prompts ----------------------------------------------------------------------------------------------------- */

void
tern_session_plan_visual (const TernSession *self, guint n_frames, GArray *runs, TernPromptVisual *visual)
{
  guint64 window = self->windower.window;       /* ns */

  g_array_set_size (runs, 0);
  for (guint i = 0; i < n_frames; i++)
    g_array_append_val (runs, ((TernPromptRun) { .time = (guint64) ((double) window / n_frames * i) }));
  *visual = (TernPromptVisual) { .runs = (const TernPromptRun *) runs->data, .n = runs->len, .video = TRUE,
    .start = TERN_SESSION_PLANNED_START, .duration = window };
}

gboolean
tern_session_compile (const TernSession *self, const TernSessionConfig *config, guint question,
    const TernPromptVisual *visual, GArray *ids, char **filled, GError **error)
{
  gint32 n_vocab = (gint32) tern_llm_info (self->text->llm)->n_vocab;
  TernPlaceholders values = { visual->start, visual->start + visual->duration, visual->n, self->source };
  g_autofree char *text = tern_placeholders_fill (config->questions[question].prompt, &values);
  TernPromptParts parts = { .family = self->family, .chat = self->text->chat, .tokenizer = self->text->tokenizer,
    .system = config->params.system_prompt, .text = text,
    .think = config->params.think && tern_session_config_is_free (config, question) };

  if (!tern_prompt_compile (ids, &parts, visual, error))
    return FALSE;
  if (!tern_session_config_is_free (config, question))
    tern_thought_close (self->text->tokenizer, ids);
  if (filled) {
    g_free (*filled);
    *filled = g_steal_pointer (&text);
  }
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

static void
clear_asks (TernInquiry *in)
{
  for (guint q = 0; q < in->n_asks; q++) {
    tern_reader_restart (&in->asks[q].reader);
    clear_ask (&in->asks[q]);
  }
}

/* What was read is lost. */
static void
clear_caches (TernSession *self)
{
  tern_session_forget_readings (self);
  clear_asks (&self->standing);
  clear_asks (&self->request);
  self->request_cache = (TernCacheSize) { 0 };
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
tern_inquiry_take_asks (TernInquiry *in, guint n)
{
  if (n <= in->n_asks)
    return;
  in->asks = g_renew (TernAsk, in->asks, n);
  for (guint q = in->n_asks; q < n; q++) {
    in->asks[q] = (TernAsk) { .ids = g_array_new (FALSE, FALSE, sizeof (gint32)) };
    tern_reader_init (&in->asks[q].reader);
  }
  in->n_asks = n;
}

static TernGeneratorLimits
limits_of (const TernCacheSize *size)
{
  return (TernGeneratorLimits) { .max_tokens = size->max_tokens, .max_beam = size->beam, .max_forks = size->forks,
    .max_label = size->label };
}

static guint
timelines_of (const TernCacheSize *size)
{
  TernGeneratorLimits limits = limits_of (size);

  return 1 + tern_generator_forks (&limits);
}

/* The prompt of a window that is open has no answer behind it, and so fewer pages than one that is answered. */
static TernStoreParams
plan_store (const TernSession *self, const TernCacheSize *size, const TernGeneratorLimits *limits)
{
  guint others = size->questions - 1;
  /* A fork's first page is a copy of one that is not full. */
  guint tails = others * (pages (size->tail + size->max_tokens) + 1);

  TernStoreParams own = { .context = size->own, .kv = self->stream ? TERN_KV_F32 : self->kv,
    .activations = self->model->activations };
  /* A stream's timeline, beside a fork that holds what it has forgotten since, or a part of it. */
  guint stream = self->stream ? tern_stream_pages (tern_session_stream_tokens (self)) : 0;

  return (TernStoreParams) { .context = size->context, .activations = self->model->activations,
    .kv = tern_store_kv_type (self->text->llm, &own),
    .timelines = size->questions * timelines_of (size) + self->n_readings + (self->stream != NULL),
    .pages = stream + pages (size->context) + self->n_readings * pages (size->prompt) + tails
        + size->questions * tern_generator_pages (limits),
    .guesses = size->questions > 0 ? TERN_GUESS_MAX : 0 };
}

/* What one question is read and answered by. */
static gboolean
make_ask (TernSession *self, TernAsk *ask, const TernCacheSize *size, guint context, GError **error)
{
  const TernLlmInfo *info = tern_llm_info (self->text->llm);
  TernGeneratorLimits limits = limits_of (size);

  return (ask->reader.timeline = tern_timeline_new (self->caches, error))
      && (ask->generator = tern_generator_new (self->text->llm, self->text->tokenizer, &limits, self->caches, error))
      && tern_session_give_draft (self, ask, context, error)
      && (ask->dp = tern_dp_new (info->n_layers, info->is_attention, context, error));
}

static gboolean
make_caches (TernSession *self, const TernCacheSize *size, GError **error)
{
  TernGeneratorLimits limits = limits_of (size);
  TernStoreParams params = plan_store (self, size, &limits);

  if (!(self->caches = tern_store_new (self->text->llm, &params, error)))
    return FALSE;
  for (guint q = 0; q < size->questions; q++)
    if (!make_ask (self, &self->standing.asks[q], size, size->context, error))
      return FALSE;
  for (guint i = 0; i < self->n_readings; i++)
    if (!(self->readings[i].reader.timeline = tern_timeline_new (self->caches, error)))
      return FALSE;
  return TRUE;
}

gboolean
tern_session_has_room (const TernSession *self, const TernSessionConfig *config, guint n, GError **error)
{
  guint limit = tern_session_context_limit (self->model);

  if (n < limit && config->max_tokens <= limit - n)
    return TRUE;
  g_set_error (error, TERN_ERROR, TERN_ERROR_NO_SPACE,
      "context of %s: expected at most %u tokens, found %u of the prompt and %u to say; a shorter window, fewer frames,"
      " a higher merge ratio or fewer tokens to say would fit", self->text->name, limit, n, config->max_tokens);
  return FALSE;
}

/* What @size has to be for @config as well, prompts of @n tokens. Rounded, so that prompts of nearly one length do not each
 * take new caches. */
static TernCacheSize
enlarge (const TernSession *self, TernCacheSize size, const TernSessionConfig *config, guint n, guint tail)
{
  guint limit = tern_session_context_limit (self->model);

  size.context = MIN (MAX (pages (n + config->max_tokens) * TERN_PAGE_ROWS, size.context), limit);
  size.beam = MAX (size.beam, config->params.sampling.beam);
  size.forks = MAX (size.forks, config->forks);
  size.label = MAX (size.label, config->label);
  size.max_tokens = MAX (size.max_tokens, config->max_tokens);
  size.tail = MAX (size.tail, tail);
  size.prompt = MAX (pages (n) * TERN_PAGE_ROWS, size.prompt);
  size.questions = MAX (size.questions, config->n_questions);
  return size;
}

/* Whether what was made for @size will do for @config. */
static gboolean
suffices (const TernCacheSize *size, const TernSessionConfig *config, guint n, guint tail)
{
  return n + config->max_tokens <= size->context && n <= size->prompt && tail <= size->tail
      && config->params.sampling.beam <= size->beam && config->forks <= size->forks && config->label <= size->label
      && config->max_tokens <= size->max_tokens && config->n_questions <= size->questions;
}

static gboolean
remake (TernSession *self, const TernCacheSize *size, GError **error)
{
  clear_caches (self);
  tern_inquiry_take_asks (&self->standing, size->questions);
  if (!tern_scheduler_prepare_text (self->model->scheduler, self->text->llm, size->context, self->model->activations,
          error) || !make_caches (self, size, error)) {
    clear_caches (self);
    return FALSE;
  }
  self->cache = *size;
  return TRUE;
}

/* Around what is remembered of a stream, which stays: whatever else is needed is added. */
static gboolean
extend (TernSession *self, const TernSessionConfig *config, guint n, guint tail, GError **error)
{
  TernCacheSize size = enlarge (self, self->cache, config, MIN (n, self->cache.prompt), tail);
  TernGeneratorLimits before = limits_of (&self->cache), after = limits_of (&size);
  TernStoreParams had = plan_store (self, &self->cache, &before), needs = plan_store (self, &size, &after);

  if (n + config->max_tokens > self->cache.context) {
    g_set_error (error, TERN_ERROR, TERN_ERROR_NO_SPACE, "memory of a stream: expected at most %u tokens with a question and "
        "its answer, found %u", self->cache.context, n + config->max_tokens);
    return FALSE;
  }
  size.context = self->cache.context;
  clear_asks (&self->standing);
  tern_inquiry_take_asks (&self->standing, size.questions);
  if (!tern_store_grow (self->caches, needs.timelines - had.timelines, needs.pages - MIN (had.pages, needs.pages),
          needs.guesses - had.guesses, error))
    return FALSE;
  tern_evict_touch (self->caches);
  self->cache = size;
  for (guint q = 0; q < size.questions; q++)
    if (!make_ask (self, &self->standing.asks[q], &size, size.context, error))
      return FALSE;
  return TRUE;
}

gboolean
tern_session_reserve (TernSession *self, const TernSessionConfig *config, guint n, guint tail, GError **error)
{
  TernCacheSize size;

  if (!tern_session_has_room (self, config, n, error))
    return FALSE;
  if (self->stream && self->caches)
    return (suffices (&self->cache, config, n, tail) && self->standing.asks[0].dp)
        || extend (self, config, n, tail, error);
  if (self->caches && suffices (&self->cache, config, n, tail))
    return TRUE;
  tern_session_restart_request (self);
  size = enlarge (self, self->cache, config, n, tail);
  size.own = MAX (size.own, MIN (pages (n + config->max_tokens) * TERN_PAGE_ROWS, size.context));
  return remake (self, &size, error);
}

/* ---- Caches of requests ---- */

static guint
request_timelines (const TernCacheSize *size)
{
  return size->questions ? timelines_of (size) : 0;
}

static guint
request_pages (const TernCacheSize *size)
{
  TernGeneratorLimits limits = limits_of (size);

  return size->questions ? pages (size->context) + 1 + tern_generator_pages (&limits) : 0;
}

gboolean
tern_session_reserve_request (TernSession *self, const TernSessionConfig *config, guint n, GError **error)
{
  TernCacheSize size;

  if (!tern_session_has_room (self, config, n, error))
    return FALSE;
  if (self->stream)             /* at once as many as ever: what is taken does not grow with what is remembered */
    n = MAX (n, self->cache.context - config->max_tokens);
  if (self->stream && n + config->max_tokens > self->cache.context) {
    g_set_error (error, TERN_ERROR, TERN_ERROR_NO_SPACE, "memory of a stream: expected at most %u tokens with a question and "
        "its answer, found %u", self->cache.context, n + config->max_tokens);
    return FALSE;
  }
  if (!self->caches || n + config->max_tokens > self->cache.context) {
    if (self->standing.hand.has) {
      g_set_error_literal (error, TERN_ERROR, TERN_ERROR_BUSY, "caches: a window is answered by them");
      return FALSE;
    }
    size = self->cache;
    size.context = enlarge (self, size, config, n, 0).context;
    size.questions = MAX (size.questions, 1);
    size.beam = MAX (size.beam, 1);
    size.max_tokens = MAX (size.max_tokens, 1);
    if (!remake (self, &size, error))
      return FALSE;
  }
  if (suffices (&self->request_cache, config, n, 0) && self->request.asks[0].dp)
    return TRUE;

  size = enlarge (self, self->request_cache, config, n, 0);
  clear_asks (&self->request);
  if (!tern_store_grow (self->caches, request_timelines (&size) - request_timelines (&self->request_cache),
          request_pages (&size) - request_pages (&self->request_cache), 0, error))
    return FALSE;
  if (self->stream)
    tern_evict_touch (self->caches);
  self->request_cache = size;
  if (make_ask (self, &self->request.asks[0], &size, self->cache.context, error))
    return TRUE;
  clear_asks (&self->request);
  return FALSE;
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
    if (!tern_session_compile (self, config, q, &visual, ids, NULL, error))
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

  if (!(self->family = tern_prompt_family (model->projector, self->text->tokenizer, files, error)))
    return FALSE;
  if (self->stream) {
    return tern_session_plan_stream (self, &self->planned_prompt, &self->planned_tail, error);
  }
  return measure_prompts (self, self->config, &self->planned_prompt, &self->planned_tail, error);
}

gboolean
tern_session_prepare (TernSession *self, GError **error)
{
  const TernModel *model = self->model;
  const TernWindowPlan *plan = &self->windower.plan;
  guint n_tokens = self->vision ? tern_vision_info (self->vision)->max_tokens : 0;
  guint n_groups = (self->max_frames + self->group_frames - 1) / self->group_frames;
  guint visual = self->stream ? 0 : self->planned_visual;

  self->n_readings = self->stream ? 0 : (guint) MIN ((plan->window + plan->hop - 1) / plan->hop, 8);
  self->readings = g_new0 (TernReading, self->n_readings);
  for (guint i = 0; i < self->n_readings; i++)
    tern_reader_init (&self->readings[i].reader);
  return tern_session_prepare_gate (self, n_tokens, error)
      && (!self->vision || tern_scheduler_prepare_vision (model->scheduler, self->vision, model->activations, error))
      && (n_tokens == 0 || tern_frame_store_reserve (&self->store, &self->config->params.compress, n_groups + 1, n_tokens,
              error))
      && tern_session_reserve (self, self->config, visual + self->planned_prompt, self->planned_tail, error)
      && (!self->stream || tern_session_prepare_stream (self, error));
}

static void
free_asks (TernInquiry *in)
{
  for (guint q = 0; q < in->n_asks; q++) {
    g_clear_pointer (&in->asks[q].compiled, tern_session_config_unref);
    g_clear_error (&in->asks[q].error);
    g_free (in->asks[q].prompt);
    g_free (in->asks[q].hidden);
    g_free (in->asks[q].actions);
    g_free (in->asks[q].words);
    g_array_unref (in->asks[q].ids);
    tern_reader_clear (&in->asks[q].reader);
  }
  g_free (in->asks);
}

void
tern_session_clear_engine_side (TernSession *self)
{
  tern_session_close_stream (self);
  if (self->standing.asks || self->readings)
    clear_caches (self);
  free_asks (&self->standing);
  free_asks (&self->request);
  for (guint i = 0; i < self->n_readings; i++)
    tern_reader_clear (&self->readings[i].reader);
  g_free (self->readings);
  g_clear_pointer (&self->planned_of, tern_session_config_unref);
  tern_frame_store_clear (&self->store);
  tern_mem_free (self->still_tokens);
  g_array_unref (self->planned);
  g_array_unref (self->runs);
  g_array_unref (self->places);
  g_array_unref (self->pictures);
  g_array_unref (self->spans);
}
