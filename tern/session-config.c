/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tern/session-config.h"

#include "engine/decode/generator.h"
#include "tern/action-priv.h"
#include "tern/compress-group.h"

/* ---- Ranges ---- */

static gboolean
check_text (const char *name, const char *text, GError **error)
{
  const char *end;

  if (!text || g_utf8_validate (text, -1, &end))
    return TRUE;
  g_set_error (error, TERN_ERROR, TERN_ERROR_INVALID, "%s: expected UTF-8, found byte 0x%02x at %" G_GSIZE_FORMAT, name,
      (guchar) *end, (gsize) (end - text));
  return FALSE;
}

/* What cannot be more than one thing at once. */
static gboolean
check_form (const TernQuestion *question, guint n, GError **error)
{
  const struct { const char *name; gboolean is; } forms[] = {
    { "labels", question->labels != NULL }, { "json_schema", question->json_schema != NULL },
    { "grammar", question->grammar != NULL }, { "action", question->action },
  };
  const char *first = NULL;

  for (guint i = 0; i < G_N_ELEMENTS (forms); i++) {
    if (forms[i].is && first) {
      g_set_error (error, TERN_ERROR, TERN_ERROR_INVALID, "question %u: expected one form of answer, found %s and %s", n,
          first, forms[i].name);
      return FALSE;
    }
    first = forms[i].is ? forms[i].name : first;
  }
  if (!(question->min_confidence >= 0 && question->min_confidence <= 1)) {
    g_set_error (error, TERN_ERROR, TERN_ERROR_INVALID, "min_confidence of question %u: expected 0 to 1, found %g", n,
        question->min_confidence);
    return FALSE;
  }
  if (question->max_tokens > TERN_MAX_TOKENS_MAX) {
    g_set_error (error, TERN_ERROR, TERN_ERROR_INVALID, "max_tokens of question %u: expected at most %u, found %u", n,
        TERN_MAX_TOKENS_MAX, question->max_tokens);
    return FALSE;
  }
  return TRUE;
}

static gboolean
check_question (const TernQuestion *question, guint n, GError **error)
{
  const struct { const char *name, *text; } texts[] = {
    { "prompt", question->prompt }, { "prompt_id", question->prompt_id }, { "task", question->task },
    { "json_schema", question->json_schema }, { "grammar", question->grammar },
  };

  for (guint i = 0; i < G_N_ELEMENTS (texts); i++) {
    g_autofree char *name = g_strdup_printf ("%s of question %u", texts[i].name, n);

    if (!check_text (name, texts[i].text, error))
      return FALSE;
  }
  for (guint i = 0; question->labels && question->labels[i]; i++) {
    g_autofree char *name = g_strdup_printf ("label %u of question %u", i + 1, n);

    if (!check_text (name, question->labels[i], error))
      return FALSE;
  }
  return check_form (question, n, error);
}

static gboolean
check_questions (const TernSessionParams *params, GError **error)
{
  if (params->n_questions == 0)
    return check_text ("prompt", params->prompt, error) && check_text ("prompt_id", params->prompt_id, error);
  if (params->n_questions > TERN_QUESTIONS_MAX || !params->questions) {
    g_set_error (error, TERN_ERROR, TERN_ERROR_INVALID, "questions: expected at most %u, found %u%s", TERN_QUESTIONS_MAX,
        params->n_questions, params->questions ? "" : " without the questions");
    return FALSE;
  }
  for (guint i = 0; i < params->n_questions; i++)
    if (!check_question (&params->questions[i], i + 1, error))
      return FALSE;
  return TRUE;
}

static gboolean
check_params (const TernSessionParams *params, GError **error)
{
  if (params->rate_d == 0) {
    g_set_error (error, TERN_ERROR, TERN_ERROR_INVALID, "rate: expected a fraction with a denominator above 0, found %u/0",
        params->rate_n);
    return FALSE;
  }
  if (params->window < TERN_WINDOW_MIN || params->window > TERN_WINDOW_MAX || params->hop > TERN_HOP_MAX) {
    g_set_error (error, TERN_ERROR, TERN_ERROR_INVALID,
        "window and hop: expected 1 (hop: 0) to %" G_GINT64_FORMAT " ns, found %" G_GUINT64_FORMAT " and %"
        G_GUINT64_FORMAT, TERN_WINDOW_MAX, params->window, params->hop);
    return FALSE;
  }
  if (!(params->kv_prune >= 0 && params->kv_prune <= TERN_SHARE_MAX)) {
    g_set_error (error, TERN_ERROR, TERN_ERROR_INVALID, "kv_prune: expected 0 to %g, found %g", TERN_SHARE_MAX,
        params->kv_prune);
    return FALSE;
  }
  if ((guint) params->kv_gate > TERN_GATE_ALWAYS) {
    g_set_error (error, TERN_ERROR, TERN_ERROR_INVALID, "kv_gate: expected 0 to %u, found %u", (guint) TERN_GATE_ALWAYS,
        (guint) params->kv_gate);
    return FALSE;
  }
  if ((guint) params->kv_type > TERN_CACHE_INT3_ROTATED) {
    g_set_error (error, TERN_ERROR, TERN_ERROR_INVALID, "kv_type: expected 0 to %u, found %u", (guint) TERN_CACHE_INT3_ROTATED,
        (guint) params->kv_type);
    return FALSE;
  }
  if ((guint) params->partial > TERN_PARTIAL_WORDS) {
    g_set_error (error, TERN_ERROR, TERN_ERROR_INVALID, "partial: expected 0 to %u, found %u", (guint) TERN_PARTIAL_WORDS,
        (guint) params->partial);
    return FALSE;
  }
  if ((guint) params->fit > TERN_FIT_TRAINED) {
    g_set_error (error, TERN_ERROR, TERN_ERROR_INVALID, "fit: expected 0 to %u, found %u", (guint) TERN_FIT_TRAINED,
        (guint) params->fit);
    return FALSE;
  }
  return tern_session_stream_check (params, error) && tern_sampling_check (&params->sampling, error)
      && tern_gate_params_check (&params->gate, error) && tern_reuse_params_check (&params->reuse, error)
      && tern_compressor_params_check (&params->compress, error)
      && check_text ("system_prompt", params->system_prompt, error) && check_questions (params, error);
}

/* ---- Life ---- */

G_STATIC_ASSERT ((int) TERN_CACHE_AUTO == (int) TERN_KV_AUTO);
G_STATIC_ASSERT ((int) TERN_CACHE_F32 == (int) TERN_KV_F32);
G_STATIC_ASSERT ((int) TERN_CACHE_F16 == (int) TERN_KV_F16);
G_STATIC_ASSERT ((int) TERN_CACHE_INT8 == (int) TERN_KV_INT8);
G_STATIC_ASSERT ((int) TERN_CACHE_INT8_ROTATED == (int) TERN_KV_INT8_ROTATED);
G_STATIC_ASSERT ((int) TERN_CACHE_INT4 == (int) TERN_KV_INT4);
G_STATIC_ASSERT ((int) TERN_CACHE_INT4_ROTATED == (int) TERN_KV_INT4_ROTATED);
G_STATIC_ASSERT ((int) TERN_CACHE_INT3 == (int) TERN_KV_INT3);
G_STATIC_ASSERT ((int) TERN_CACHE_INT3_ROTATED == (int) TERN_KV_INT3_ROTATED);
G_STATIC_ASSERT ((int) TERN_GATE_PAPER == (int) TERN_DP_PAPER);
G_STATIC_ASSERT ((int) TERN_GATE_REF == (int) TERN_DP_REF);
G_STATIC_ASSERT ((int) TERN_GATE_ALWAYS == (int) TERN_DP_ALWAYS);

/* @asked in @config's own words, with the form of its answer. */
static gboolean
take_questions (TernSessionConfig *self, const TernQuestion *asked, guint n, const TernModelText *text, GError **error)
{
  guint most = self->params.sampling.max_tokens;
  TernQuestion *questions = g_new0 (TernQuestion, n);

  self->questions = questions;
  self->forms = g_new0 (TernAnswerForm, n);
  for (guint i = 0; i < n; i++) {
    TernAnswerForm *form = &self->forms[i];

    questions[i] = asked[i];
    questions[i].labels = NULL;
    self->n_questions = i + 1;
    if (!tern_question_fill (&questions[i], &asked[i], text, self->strings, error)
        || !check_form (&questions[i], i + 1, error)
        || !tern_answer_form_init (form, &questions[i], text, asked[i].max_tokens ? asked[i].max_tokens : most, error)) {
      if (n > 1 && questions[i].prompt_id && *questions[i].prompt_id)
        g_prefix_error (error, "%s: ", questions[i].prompt_id);
      return FALSE;
    }
    if (questions[i].action && self->params.action)
      form->max_tokens = MAX (tern_action_model_tokens (self->params.action), 1);
    self->max_tokens = MAX (self->max_tokens, form->max_tokens);
    if (form->labels) {
      self->forks = MAX (self->forks, MIN (tern_labels_forks (form->labels), TERN_LABEL_FORKS_MAX));
      self->label = MAX (self->label, tern_labels_longest (form->labels));
    }
    if (questions[i].action && !self->params.action) {
      g_set_error (error, TERN_ERROR, TERN_ERROR_INVALID, "question %u: expected a session with an action model, found one"
          " without", i + 1);
      return FALSE;
    }
  }
  return TRUE;
}

TernSessionConfig *
tern_session_config_new (const TernSessionParams *params, const TernModelText *text, GError **error)
{
  const TernQuestion one = { .prompt = params->prompt, .prompt_id = params->prompt_id };
  gboolean several = params->n_questions > 0;
  TernSessionConfig *self;

  if (!check_params (params, error))
    return NULL;
  self = g_new0 (TernSessionConfig, 1);
  self->refs = 1;
  self->strings = g_string_chunk_new (256);
  self->params = *params;
  if (params->system_prompt)
    self->params.system_prompt = g_string_chunk_insert (self->strings, params->system_prompt);
  self->params.source = NULL;
  self->params.draft_model = NULL;
  self->params.func = NULL;
  self->params.func_data = NULL;
  self->params.budget = NULL;
  self->params.action = params->action ? tern_action_model_ref (params->action) : NULL;
  if (!take_questions (self, several ? params->questions : &one, several ? params->n_questions : 1, text, error)) {
    tern_session_config_unref (self);
    return NULL;
  }
  self->params.prompt = self->questions[0].prompt;
  self->params.prompt_id = self->questions[0].prompt_id;
  self->params.questions = self->questions;
  self->params.n_questions = self->n_questions;
  self->dp = (TernDpParams) { .prune = params->kv_prune, .layer = params->kv_layer, .gate = (TernDpGate) params->kv_gate };
  return self;
}

TernSessionConfig *
tern_session_config_with (const TernSessionConfig *config, const TernQuestion *question, const TernModelText *text,
    GError **error)
{
  TernSessionParams params = config->params;

  params.questions = question;
  params.n_questions = 1;
  return tern_session_config_new (&params, text, error);
}

TernSessionConfig *
tern_session_config_ref (TernSessionConfig *self)
{
  g_atomic_int_inc (&self->refs);
  return self;
}

void
tern_session_config_unref (TernSessionConfig *self)
{
  if (!g_atomic_int_dec_and_test (&self->refs))
    return;
  for (guint i = 0; self->forms && i < self->n_questions; i++)
    tern_answer_form_clear (&self->forms[i]);
  for (guint i = 0; self->questions && i < self->n_questions; i++)
    g_free ((gpointer) self->questions[i].labels);
  g_free (self->forms);
  g_free ((gpointer) self->questions);
  g_clear_pointer (&self->params.action, tern_action_model_unref);
  g_string_chunk_free (self->strings);
  g_free (self);
}
