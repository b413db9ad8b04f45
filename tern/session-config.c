/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tern/session-config.h"

#include "engine/decode/generator.h"
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
  for (guint i = 0; i < params->n_questions; i++) {
    g_autofree char *prompt = g_strdup_printf ("prompt of question %u", i + 1);
    g_autofree char *id = g_strdup_printf ("prompt_id of question %u", i + 1);

    if (!check_text (prompt, params->questions[i].prompt, error)
        || !check_text (id, params->questions[i].prompt_id, error))
      return FALSE;
  }
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
  if ((guint) params->kv_type > TERN_CACHE_INT8) {
    g_set_error (error, TERN_ERROR, TERN_ERROR_INVALID, "kv_type: expected 0 to %u, found %u", (guint) TERN_CACHE_INT8,
        (guint) params->kv_type);
    return FALSE;
  }
  if ((guint) params->fit > TERN_FIT_TRAINED) {
    g_set_error (error, TERN_ERROR, TERN_ERROR_INVALID, "fit: expected 0 to %u, found %u", (guint) TERN_FIT_TRAINED,
        (guint) params->fit);
    return FALSE;
  }
  return tern_sampling_check (&params->sampling, error) && tern_compressor_params_check (&params->compress, error)
      && check_text ("system_prompt", params->system_prompt, error) && check_questions (params, error);
}

/* ---- Life ---- */

G_STATIC_ASSERT ((int) TERN_CACHE_AUTO == (int) TERN_KV_AUTO);
G_STATIC_ASSERT ((int) TERN_CACHE_F32 == (int) TERN_KV_F32);
G_STATIC_ASSERT ((int) TERN_CACHE_F16 == (int) TERN_KV_F16);
G_STATIC_ASSERT ((int) TERN_CACHE_INT8 == (int) TERN_KV_INT8);
G_STATIC_ASSERT ((int) TERN_GATE_PAPER == (int) TERN_DP_PAPER);
G_STATIC_ASSERT ((int) TERN_GATE_REF == (int) TERN_DP_REF);
G_STATIC_ASSERT ((int) TERN_GATE_ALWAYS == (int) TERN_DP_ALWAYS);

static const char *
keep (GStringChunk *strings, const char *text, const char *otherwise)
{
  const char *kept = text ? text : otherwise;

  return kept ? g_string_chunk_insert (strings, kept) : NULL;
}

static const TernQuestion *
keep_questions (GStringChunk *strings, const TernQuestion *asked, guint n, const char *default_prompt)
{
  TernQuestion *questions = g_new0 (TernQuestion, n);

  for (guint i = 0; i < n; i++) {
    questions[i].prompt = keep (strings, asked[i].prompt, default_prompt);
    questions[i].prompt_id = keep (strings, asked[i].prompt_id, "");
  }
  return questions;
}

TernSessionConfig *
tern_session_config_new (const TernSessionParams *params, const char *default_prompt, GError **error)
{
  const TernQuestion one = { .prompt = params->prompt, .prompt_id = params->prompt_id };
  gboolean several = params->n_questions > 0;
  TernSessionConfig *self;

  if (!check_params (params, error))
    return NULL;
  self = g_new0 (TernSessionConfig, 1);
  self->refs = 1;
  self->strings = g_string_chunk_new (256);
  self->n_questions = several ? params->n_questions : 1;
  self->questions = keep_questions (self->strings, several ? params->questions : &one, self->n_questions, default_prompt);

  self->params = *params;
  self->params.prompt = self->questions[0].prompt;
  self->params.prompt_id = self->questions[0].prompt_id;
  self->params.questions = self->questions;
  self->params.n_questions = self->n_questions;
  self->params.system_prompt = keep (self->strings, params->system_prompt, NULL);
  self->params.source = NULL;
  self->params.func = NULL;
  self->params.func_data = NULL;
  self->dp = (TernDpParams) { .prune = params->kv_prune, .layer = params->kv_layer, .gate = (TernDpGate) params->kv_gate };
  return self;
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
  g_free ((gpointer) self->questions);
  g_string_chunk_free (self->strings);
  g_free (self);
}
