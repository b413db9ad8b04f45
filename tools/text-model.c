/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tools/text-model.h"

#include <string.h>

#include "tern/error.h"
#include "tern/model-files.h"
#include "tools/tool.h"

int
tern_text_find_model (char **path, const char *subcommand)
{
  const char *variable = g_getenv ("TERN_MODEL_PATH");
  g_autoptr (GError) error = NULL;
  char *found;

  if (!*path && (!variable || !*variable))
    return tern_tool_usage ("%s: expected --model F, found none", subcommand);
  if (*path && !g_file_test (*path, G_FILE_TEST_IS_DIR))
    return TERN_TOOL_DONE;
  if (!(found = tern_model_find_text (*path, &error)))
    return tern_tool_fail (&error);
  g_free (*path);
  *path = found;
  return TERN_TOOL_DONE;
}

int
tern_text_options_check (TernTextOptions *options, const char *subcommand)
{
  int status = tern_text_find_model (&options->model, subcommand);
  TernKvType kv;

  if (status != TERN_TOOL_DONE)
    return status;
  if (!tern_tool_check_threads (options->threads))
    return TERN_TOOL_USAGE;
  if (options->kv && !tern_kv_parse (options->kv, &kv))
    return tern_tool_usage ("--kv: expected " TERN_KV_NAMES ", found %s", options->kv);
  if (!tern_text_parse_activations (options->activations_name, &options->activations, &options->policy))
    return TERN_TOOL_USAGE;
  return TERN_TOOL_DONE;
}

gboolean
tern_text_parse_activations (const char *text, TernActivations *activations, TernActivationPolicy *policy)
{
  g_autoptr (GError) error = NULL;

  *policy = (TernActivationPolicy) { TERN_POLICY_FILE, 0 };
  *activations = g_strcmp0 (text, "f32") == 0 ? TERN_ACTIVATIONS_F32 : TERN_ACTIVATIONS_INT8;
  if (!text || *activations == TERN_ACTIVATIONS_F32 || tern_policy_parse (text, policy, &error))
    return TRUE;
  tern_tool_usage ("--activations: f32, or: %s", error->message);
  return FALSE;
}

void
tern_text_options_clear (TernTextOptions *options)
{
  g_clear_pointer (&options->model, g_free);
  g_clear_pointer (&options->kv, g_free);
  g_clear_pointer (&options->activations_name, g_free);
}

gboolean
tern_text_model_open (TernTextModel *model, const TernTextOptions *options, GError **error)
{
  const TernKernels *kernels = tern_kernels_default (error);

  model->options = options;
  return kernels && (model->file = tern_gguf_open (options->model, error))
      && (model->pool = tern_pool_new (options->threads, error))
      && (model->llm = tern_llm_open_forced (model->file, kernels, &options->policy, model->pool, error))
      && (model->tokenizer = tern_tokenizer_new (model->file, error));
}

gboolean
tern_text_model_start (TernTextModel *model, const char *what, gsize need, gsize wish, GError **error)
{
  guint most = tern_llm_info (model->llm)->context;

  if (need > most) {
    g_set_error (error, TERN_ERROR, TERN_ERROR_NO_SPACE, "%s: expected at most the %u tokens that %s was made for, "
        "found %" G_GSIZE_FORMAT, what, most, model->options->model, need);
    return FALSE;
  }
  model->params.context = need + MIN (wish, most - need);
  model->params.activations = model->options->activations;
  model->params.kv = TERN_KV_AUTO;
  if (model->options->kv)
    tern_kv_parse (model->options->kv, &model->params.kv);      /* checked with the options */
  model->state = tern_solo_new (model->llm, &model->params, model->pool, error);
  return model->state != NULL;
}

void
tern_text_model_clear (TernTextModel *model)
{
  tern_solo_free (model->state);
  tern_tokenizer_unref (model->tokenizer);
  tern_llm_unref (model->llm);
  tern_gguf_unref (model->file);
  tern_pool_free (model->pool);
}
