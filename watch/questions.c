/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "watch/questions.h"

#include <string.h>

/* As its elements will ask it, about the least there is to ask about: a session that is not used. */
static gboolean
can_be_asked (const TernCameraConfig *camera, TernModel *model, GError **error)
{
  TernSessionParams params = TERN_SESSION_PARAMS_INIT;
  TernQuestion question = { .prompt = camera->prompt, .task = camera->task,
    .labels = (const char *const *) camera->labels, .min_confidence = camera->min_confidence,
    .json_schema = camera->schema, .max_tokens = camera->max_tokens };
  TernSession *session;

  params.window = 1;            /* rounded up to a group */
  params.questions = &question;
  params.n_questions = 1;
  params.tokens_only = TRUE;
  session = tern_session_new (model, &params, error);
  tern_session_free (session);
  return session != NULL;
}

/* What @camera's answers are from; NULL: they are no labels. */
static const char *const *
labels_of (const TernCameraConfig *camera, TernModel *model)
{
  const TernTask *task = camera->task ? tern_model_task (model, camera->task) : NULL;

  if (camera->labels)
    return (const char *const *) camera->labels;
  return task && !camera->schema ? task->labels : NULL;
}

static gboolean
label_comes (const TernRuleConfig *rule, const GPtrArray *cameras, TernModel *model)
{
  for (guint i = 0; i < cameras->len; i++) {
    const TernCameraConfig *camera = g_ptr_array_index (cameras, i);
    const char *const *labels = tern_rule_config_has (rule, camera->name) ? labels_of (camera, model) : NULL;

    if (labels && g_strv_contains (labels, rule->label))
      return TRUE;
  }
  return FALSE;
}

gboolean
tern_questions_check (const TernWatchConfig *config, TernModel *model, GError **error)
{
  g_autoptr (GString) wrong = g_string_new (NULL);

  for (guint i = 0; i < config->cameras->len; i++) {
    const TernCameraConfig *camera = g_ptr_array_index (config->cameras, i);
    g_autoptr (GError) why = NULL;

    if (!can_be_asked (camera, model, &why))
      g_string_append_printf (wrong, "\n%s: [camera %s]: %s", config->path, camera->name, why->message);
  }
  for (guint i = 0; i < config->rules->len; i++) {
    const TernRuleConfig *rule = g_ptr_array_index (config->rules, i);

    if (rule->kind == TERN_RULE_LABEL && !label_comes (rule, config->cameras, model))
      g_string_append_printf (wrong, "\n%s: [rule %s]: label: expected one of the labels of its cameras, found %s", config->path,
          rule->name, rule->label);
  }
  if (wrong->len == 0)
    return TRUE;
  g_set_error_literal (error, TERN_ERROR, TERN_ERROR_INVALID, wrong->str + 1);
  return FALSE;
}
