/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tern/completion-priv.h"

#include <string.h>

#include "engine/decode/thought.h"
#include "tern/session-priv.h"

/* ---- What is asked ----------------------------------------------------------------------------------------------- */

static gboolean
refuse (GError **error, const char *name, const char *expected, guint found)
{
  g_set_error (error, TERN_ERROR, TERN_ERROR_INVALID, "%s: expected %s, found %u", name, expected, found);
  return FALSE;
}

static gboolean
check_text (const char *name, const char *text, GError **error)
{
  if (!text || g_utf8_validate (text, -1, NULL))
    return TRUE;
  g_set_error (error, TERN_ERROR, TERN_ERROR_INVALID, "%s: expected UTF-8, found other bytes", name);
  return FALSE;
}

static gboolean
check_stops (const char *const *stop, GError **error)
{
  guint n = stop ? g_strv_length ((char **) stop) : 0;

  if (n > TERN_STOPS_MAX)
    return refuse (error, "stop", "at most " G_STRINGIFY (TERN_STOPS_MAX) " texts", n);
  for (guint i = 0; i < n; i++) {
    if (!*stop[i])
      return refuse (error, "stop", "texts that are not empty", 0);
    if (!check_text ("stop", stop[i], error))
      return FALSE;
  }
  return TRUE;
}

static gboolean
check_params (const TernCompletionParams *params, GError **error)
{
  if (!params->chat == !params->text)
    return refuse (error, "chat and text", "one of them", params->chat ? 2 : 0);
  if (params->text && params->n_views > 0)
    return refuse (error, "views", "none with a text", params->n_views);
  if (params->n_views > TERN_VIEWS_MAX)
    return refuse (error, "views", "at most " G_STRINGIFY (TERN_VIEWS_MAX), params->n_views);
  if (params->json_schema && params->grammar)
    return refuse (error, "json_schema and grammar", "at most one of them", 2);
  if (params->top_scores > TERN_TOP_SCORES_MAX)
    return refuse (error, "top_scores", "at most " G_STRINGIFY (TERN_TOP_SCORES_MAX), params->top_scores);
  if (params->scores && params->sampling.beam > 1)
    return refuse (error, "scores", "one beam with them", params->sampling.beam);
  return tern_sampling_check (&params->sampling, error) && check_stops (params->stop, error)
      && check_text ("chat", params->chat, error) && check_text ("text", params->text, error)
      && check_text ("json_schema", params->json_schema, error) && check_text ("grammar", params->grammar, error);
}

static gboolean
take_views (TernCompletion *self, const TernCompletionParams *params, GError **error)
{
  for (guint i = 0; i < params->n_views; i++) {
    TernView *view = params->views ? params->views[i] : NULL;

    if (!view) {
      g_set_error (error, TERN_ERROR, TERN_ERROR_INVALID, "views: expected %u, found none at %u", params->n_views, i);
      return FALSE;
    }
    if (view->model != self->model && tern_model_vision (view->model) != tern_model_vision (self->model)) {
      g_set_error (error, TERN_ERROR, TERN_ERROR_MISMATCH, "view %u: expected one for %s, found one for %s", i,
          tern_model_path (self->model), tern_model_path (view->model));
      return FALSE;
    }
    if (!tern_view_show (view, error))
      return FALSE;
    g_ptr_array_add (self->views, tern_view_ref (view));
    self->visual_tokens += tern_view_bound (view);
  }
  return TRUE;
}

/* ---- The prompt -------------------------------------------------------------------------------------------------- */

/* What its views are for the prompt; their runs lie in @runs, one after the other. */
static void
show_views (const TernCompletion *self, GArray *runs, GArray *visuals)
{
  for (guint i = 0; i < self->views->len; i++) {
    const TernView *view = self->views->pdata[i];
    TernPromptVisual visual = { .n = runs->len, .video = view->clip };

    tern_view_runs (view, runs);
    visual.n = runs->len - visual.n;
    if (view->clip)
      visual.duration = g_array_index (view->frames, TernViewFrame, view->frames->len - 1).pts;
    g_array_append_val (visuals, visual);
  }
  for (guint i = 0, at = 0; i < visuals->len; at += g_array_index (visuals, TernPromptVisual, i++).n)
    g_array_index (visuals, TernPromptVisual, i).runs = &g_array_index (runs, TernPromptRun, at);
}

static gboolean
find_family (const TernCompletion *self, const TernPromptFamily **family, GError **error)
{
  *family = self->views->len == 0 ? NULL
      : tern_prompt_family (self->model->projector, self->text->tokenizer, tern_model_path (self->model), error);
  return self->views->len == 0 || *family != NULL;
}

static gboolean
compile (TernCompletion *self, const TernCompletionParams *params, GError **error)
{
  g_autoptr (GArray) runs = g_array_new (FALSE, FALSE, sizeof (TernPromptRun));
  g_autoptr (GArray) visuals = g_array_new (FALSE, FALSE, sizeof (TernPromptVisual));
  gint32 n_vocab = (gint32) tern_llm_info (self->text->llm)->n_vocab;
  TernPromptChat chat = { .chat = self->text->chat, .tokenizer = self->text->tokenizer, .plain = self->text->plain,
    .json = params->chat };

  if (params->text) {
    if (!tern_prompt_compile_text (self->ids, self->text->tokenizer, params->text, error))
      return FALSE;
  } else {
    show_views (self, runs, visuals);
    chat.visuals = (const TernPromptVisual *) visuals->data;
    chat.n = visuals->len;
    if (!find_family (self, &chat.family, error) || !tern_prompt_compile_chat (self->ids, &chat, error))
      return FALSE;
    if (params->json_schema || params->grammar)
      tern_thought_close (self->text->tokenizer, self->ids);
  }
  for (guint i = 0; i < self->ids->len; i++)
    if (g_array_index (self->ids, gint32, i) >= n_vocab) {
      g_set_error (error, TERN_ERROR, TERN_ERROR_FORMAT, "%s: expected token ids below %d in the prompt, found %d",
          self->model->path, n_vocab, g_array_index (self->ids, gint32, i));
      return FALSE;
    }
  if (self->ids->len == 0)
    return refuse (error, "text", "some text for a model whose texts have no first token", 0);
  self->prompt_tokens = self->ids->len - runs->len + self->visual_tokens;
  return TRUE;
}

/* ---- Room -------------------------------------------------------------------------------------------------------- */

/* Fewer tokens to say where the context has no room for more, down to the shortest answer. */
static gboolean
fit (TernCompletion *self, GError **error)
{
  guint limit = tern_session_context_limit (self->model), shortest = self->constraint
      ? MAX (tern_constraint_shortest (self->constraint), 1) : 1;

  if (self->sampling.max_tokens < shortest) {
    g_set_error (error, TERN_ERROR, TERN_ERROR_INVALID, "max_tokens: expected at least the %u that the shortest answer of this"
        " form has, found %u", shortest, self->sampling.max_tokens);
    return FALSE;
  }
  if (self->prompt_tokens > limit || limit - self->prompt_tokens < shortest) {
    g_set_error (error, TERN_ERROR, TERN_ERROR_NO_SPACE, "context of %s: expected at most %u tokens, found %u of the prompt"
        " (%u of them of pictures) and %u to say at least", self->text->name, limit, self->prompt_tokens,
        self->visual_tokens, shortest);
    return FALSE;
  }
  self->sampling.max_tokens = MIN (self->sampling.max_tokens, limit - self->prompt_tokens);
  self->context = self->prompt_tokens + self->sampling.max_tokens;
  return TRUE;
}

static gboolean
take_memory (TernCompletion *self, GError **error)
{
  TernGeneratorLimits limits = { .max_tokens = self->sampling.max_tokens, .max_beam = self->sampling.beam };
  TernStoreParams params = { .context = self->context, .timelines = 1 + tern_generator_forks (&limits),
    .pages = (self->context + TERN_PAGE_ROWS - 1) / TERN_PAGE_ROWS + tern_generator_pages (&limits),
    .guesses = self->drafter ? TERN_GUESS_MAX : 0, .activations = self->model->activations };

  if (!(self->store = tern_store_new (self->text->llm, &params, error))
      || !(self->reader.timeline = tern_timeline_new (self->store, error))
      || !(self->generator = tern_generator_new (self->text->llm, self->text->tokenizer, &limits, self->store, error)))
    return FALSE;
  tern_generator_set_bias (self->generator, self->text->token_bias);
  return TRUE;
}

static gboolean
constrain (TernCompletion *self, const TernCompletionParams *params, GError **error)
{
  if (!params->json_schema && !params->grammar)
    return TRUE;
  self->constraint = tern_model_text_constraint (self->text, params->json_schema, params->grammar, error);
  if (!self->constraint)
    g_prefix_error (error, "%s: ", params->json_schema ? "json_schema" : "grammar");
  return self->constraint != NULL;
}

/* ---- Life -------------------------------------------------------------------------------------------------------- */

void
tern_completion_destroy (TernClient *client)
{
  TernCompletion *self = (TernCompletion *) ((guint8 *) client - G_STRUCT_OFFSET (TernCompletion, client));

  if (self->drafter && self->generator)
    tern_drafter_give_back (self->drafter, tern_generator_steal_draft (self->generator));
  g_clear_pointer (&self->generator, tern_generator_free);
  g_clear_pointer (&self->drafter, tern_drafter_unref);
  tern_reader_clear (&self->reader);
  g_clear_pointer (&self->store, tern_store_unref);
  g_clear_pointer (&self->constraint, tern_constraint_unref);
  tern_completion_said_clear (&self->said);
  g_array_unref (self->ids);
  g_array_unref (self->places);
  g_ptr_array_unref (self->views);
  g_strfreev (self->stop);
  g_clear_error (&self->error);
  tern_model_unref (self->model);
  g_free (self);
}

static TernCompletion *
completion_new (TernModel *model, const TernCompletionParams *params)
{
  TernCompletion *self = g_new0 (TernCompletion, 1);

  self->client = (TernClient) { .klass = &tern_completion_client_class };
  self->model = tern_model_ref (model);
  self->text = tern_model_text (model);
  self->func = params->func;
  self->func_data = params->func_data;
  self->views = g_ptr_array_new_with_free_func ((GDestroyNotify) tern_view_unref);
  self->stop = params->stop && *params->stop ? g_strdupv ((char **) params->stop) : NULL;
  for (char **stop = self->stop; stop && *stop; stop++)
    self->longest_stop = MAX (self->longest_stop, strlen (*stop));
  self->sampling = params->sampling;
  self->chat = params->chat != NULL;
  self->scores = params->scores;
  self->top_scores = params->top_scores;
  if (params->drafter && !params->scores && params->sampling.beam <= 1)
    self->drafter = tern_drafter_ref (params->drafter);
  self->ids = g_array_new (FALSE, FALSE, sizeof (gint32));
  self->places = g_array_new (FALSE, FALSE, sizeof (TernPlace));
  tern_reader_init (&self->reader);
  tern_completion_said_init (&self->said);
  return self;
}

TernCompletion *
tern_completion_new (TernModel *model, const TernCompletionParams *params, GError **error)
{
  TernCompletion *self;

  g_return_val_if_fail (model != NULL && params != NULL && params->func != NULL, NULL);
  if (!tern_model_text (model)) {
    g_set_error (error, TERN_ERROR, TERN_ERROR_INVALID,
        "%s: expected a model opened with TERN_MODEL_TEXT, found one without", tern_model_path (model));
    return NULL;
  }
  if (!check_params (params, error))
    return NULL;
  self = completion_new (model, params);
  if (take_views (self, params, error) && compile (self, params, error) && constrain (self, params, error)
      && fit (self, error) && take_memory (self, error))
    return self;
  tern_completion_destroy (&self->client);
  return NULL;
}

guint
tern_completion_prompt_tokens (TernCompletion *self)
{
  g_return_val_if_fail (self != NULL, 0);
  return self->prompt_tokens;
}

void
tern_completion_start (TernCompletion *self)
{
  g_return_if_fail (self != NULL && !g_atomic_int_get (&self->started));
  g_atomic_int_set (&self->started, TRUE);
  tern_scheduler_add (self->model->scheduler, &self->client);
  tern_scheduler_kick (self->model->scheduler, &self->client);
}

void
tern_completion_cancel (TernCompletion *self)
{
  g_return_if_fail (self != NULL);
  tern_cancel_raise (&self->cancel);
  if (g_atomic_int_get (&self->started))
    tern_scheduler_kick (self->model->scheduler, &self->client);
}

void
tern_completion_free (TernCompletion *self)
{
  if (!self)
    return;
  tern_cancel_raise (&self->cancel);
  if (!g_atomic_int_get (&self->started) || tern_scheduler_remove (self->model->scheduler, &self->client))
    tern_completion_destroy (&self->client);
}
